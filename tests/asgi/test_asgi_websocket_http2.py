"""WebSockets over HTTP/2: extended CONNECT (RFC 8441)."""

from collections.abc import Iterator

import pytest
from asgi_helpers import LOOPS, LogFrom, events, new_key, open_gate, wait_for_events
from support import Server, wait_until
from websocket_client import (
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Frame,
    H2Connection,
    close_frame,
    frame,
    key_of,
    serve_websockets,
    write_script,
)
from websocket_messages import ACCEPT, disconnect


@pytest.fixture(scope="module", params=LOOPS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with serve_websockets("--loop", request.param) as server:
        yield server


@pytest.fixture
def connection(server: Server) -> Iterator[H2Connection]:
    with H2Connection(server) as connection:
        yield connection


def test_settings_allow_the_extended_connect(connection: H2Connection) -> None:
    assert connection.may_connect


def test_accept_is_a_200_without_the_fields_of_http_1(
    server: Server, connection: H2Connection
) -> None:
    accept = {**ACCEPT, "subprotocol": "chat", "headers": [(b"x-a", b"1"), (b"x-a", b"2")]}
    path = write_script(server, accept, "gate")
    stream = connection.open(path, [("sec-websocket-protocol", "superchat, chat")])
    assert stream.status() == 200
    names = [name for name, _ in stream.headers]
    assert not {"upgrade", "connection", "sec-websocket-accept", "content-length"} & set(names)
    assert ("sec-websocket-protocol", "chat") in stream.headers
    assert [value for name, value in stream.headers if name == "x-a"] == ["1", "2"]
    open_gate(server, key_of(path))


def test_messages_come_back(connection: H2Connection) -> None:
    chat = connection.websocket("/echo")
    chat.text("tëxt")
    assert chat.read() == "tëxt"
    for size in (0, 125, 126, 65535, 65536, 3_000_000):
        chat.binary(b"x" * size)
        assert chat.read() == b"x" * size
    chat.send(frame(TEXT, b"one", fin=False), frame(PING, b"?"), frame(CONTINUATION, b" two"))
    assert chat.read_frame() == Frame(PONG, b"?")
    assert chat.read() == "one two"


def test_frames_are_masked_here_too(connection: H2Connection) -> None:
    chat = connection.websocket("/echo")
    chat.send(frame(TEXT, b"x", masked=False))
    assert chat.read_end()[0] == 1002


def test_streams_are_independent(connection: H2Connection) -> None:
    chats = [connection.websocket("/echo") for _ in range(50)]
    for number, chat in enumerate(chats):
        chat.text(str(number))
    for number, chat in reversed(list(enumerate(chats))):
        assert chat.read() == str(number)
    assert chats[0].close(3000) == (3000, "")
    chats[1].wire.reset()
    chats[2].assert_open()


def test_close_of_the_client_is_answered_and_ends_the_stream(
    server: Server, connection: H2Connection
) -> None:
    key = new_key()
    chat = connection.websocket(f"/echo?{key}")
    assert chat.close(3000, "why") == (3000, "")
    wait_for_events(server, key, [disconnect(3000, "why")])
    connection.websocket("/echo").assert_open()


def test_close_of_the_app_comes_with_its_code(server: Server, connection: H2Connection) -> None:
    close = {"type": "websocket.close", "code": 3001, "reason": "done"}
    chat = connection.websocket(write_script(server, ACCEPT, close))
    assert chat.read_close() == (3001, "done")
    chat.send(close_frame(3001))
    assert chat.wire.read_until_close() == b""


@pytest.mark.parametrize("leave", ["reset", "close"])
def test_disconnect_is_1006_when_the_stream_just_ends(
    server: Server, connection: H2Connection, leave: str
) -> None:
    key, log = new_key(), LogFrom(server)
    chat = connection.websocket(f"/echo?{key}")
    chat.text("here")
    assert chat.read() == "here"
    getattr(chat.wire, leave)()
    wait_for_events(server, key, [disconnect(1006)])
    assert "error" not in log.text()


def test_disconnect_is_1006_when_the_connection_ends(server: Server) -> None:
    keys = [new_key(), new_key()]
    with H2Connection(server) as connection:
        for key in keys:
            connection.websocket(f"/echo?{key}")
    for key in keys:
        wait_for_events(server, key, [disconnect(1006)])


def test_send_after_the_stream_was_reset_is_an_os_error_and_not_logged(
    server: Server, connection: H2Connection
) -> None:
    hello = {"type": "websocket.send", "text": "hello"}
    path = write_script(server, "receive", ACCEPT, "receive", hello)
    log = LogFrom(server)
    connection.websocket(path).wire.reset()
    wait_until(lambda: "OSError" in events(server, key_of(path)), "the error")
    assert events(server, key_of(path))[2] == disconnect(1006)
    assert "Traceback" not in log.text()


def test_stream_that_is_reset_before_the_accept_is_a_disconnect(
    server: Server, connection: H2Connection
) -> None:
    path = write_script(server, "receive", "gate", "receive")
    stream = connection.open(path)
    wait_until(lambda: "at the gate" in events(server, key_of(path)), "the gate")
    stream.reset()
    open_gate(server, key_of(path))
    wait_until(lambda: len(events(server, key_of(path))) == 3, "the disconnect")
    assert events(server, key_of(path))[2] == disconnect(1006)


def test_frames_sent_before_the_accept_are_not_lost(
    server: Server, connection: H2Connection
) -> None:
    path = write_script(server, "receive", "gate", ACCEPT, "receive")
    stream = connection.open(path)
    stream.send(frame(TEXT, b"early"))
    wait_until(lambda: "at the gate" in events(server, key_of(path)), "the gate")
    open_gate(server, key_of(path))
    assert stream.status() == 200
    wait_until(lambda: len(events(server, key_of(path))) == 4, "the message")
    assert events(server, key_of(path))[3] == {"type": "websocket.receive", "text": "early"}


@pytest.mark.parametrize("version", [None, "8", ""])
def test_other_versions_are_refused(connection: H2Connection, version: str | None) -> None:
    stream = connection.open("/echo", version=version)
    assert stream.status() in (400, 426)
    connection.websocket("/echo").assert_open()


def test_close_before_accept_is_a_403(server: Server, connection: H2Connection) -> None:
    stream = connection.open(write_script(server, "receive", {"type": "websocket.close"}))
    assert stream.status() == 403
    stream.read_until_close()
    connection.websocket("/echo").assert_open()


def test_denial_response(server: Server, connection: H2Connection) -> None:
    start = {"type": "websocket.http.response.start", "status": 418, "headers": [(b"x-a", b"1")]}
    body = {"type": "websocket.http.response.body", "body": b"one ", "more_body": True}
    path = write_script(server, start, body, {**body, "body": b"two", "more_body": False})
    stream = connection.open(path)
    assert stream.status() == 418
    assert ("x-a", "1") in stream.headers
    assert stream.read_until_close() == b"one two"


def test_error_before_and_after_accept(server: Server, connection: H2Connection) -> None:
    assert connection.open(write_script(server, "receive", "raise")).status() == 500
    assert connection.open(write_script(server, "receive")).status() == 500
    assert connection.websocket(write_script(server, ACCEPT, "raise")).read_close() == (1011, "")
    assert connection.websocket(write_script(server, ACCEPT)).read_close() == (1000, "")


def test_connect_with_another_protocol_is_not_a_websocket(
    server: Server, connection: H2Connection
) -> None:
    path = write_script(server, "receive", ACCEPT)
    stream = connection.open(path, protocol="connect-udp")
    assert stream.status() == 501
    assert events(server, key_of(path)) == []


def test_websocket_is_in_the_access_log_with_its_end() -> None:
    with serve_websockets("--access-log") as server:
        with H2Connection(server) as connection:
            assert connection.websocket("/echo").close() == (1000, "")
        wait_until(
            lambda: [line for line in server.output() if "/echo" in line and "200" in line],
            "the line in the access log",
        )
