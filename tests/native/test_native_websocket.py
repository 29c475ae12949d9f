"""`w.websocket(req)` and `w.async_websocket(req)`: RFC 6455 for native handlers."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from remote import APPS, events, log_since, new_key, wait_for
from support import Server, gohttp_serve, rss, wait_until
from websocket_wire import (
    BINARY,
    TEXT,
    H2Connection,
    frame,
    handshake,
    read_switch,
    websocket,
)
from websockets.sync.client import connect

THREADS = 2
MIB = 1024 * 1024
each_way = pytest.mark.parametrize("at", ["", "/async"], ids=["sync", "async"])


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    options = ("--threads", str(THREADS), "--request-timeout", "2", "--ws-max-size", "1m")
    with gohttp_serve("socket_cases:mux", *options, cwd=APPS) as server:
        yield server


# --- messages ------------------------------------------------------------------------------------


@each_way
def test_messages_of_both_kinds_come_back(server: Server, at: str) -> None:
    key = new_key()
    with websocket(server, f"{at}/echo?{key}") as client:
        client.text("grüß")
        assert client.read() == "grüß"
        client.binary(b"\0\xff")
        assert client.read() == b"\0\xff"
        client.send(frame(TEXT, b"one"), frame(BINARY, b"two"), frame(TEXT, b""))
        assert [client.read() for _ in range(3)] == ["one", b"two", ""]
        assert client.close() == (1000, "")
    wait_for(server, key, "ended")


@each_way
def test_messages_over_http2(server: Server, at: str) -> None:
    with H2Connection(server) as connection:
        client = connection.websocket(f"{at}/echo?{new_key()}")
        client.text("over HTTP/2")
        assert client.read() == "over HTTP/2"
        assert client.close()[0] == 1000


@each_way
@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize("size", [10, 100_000])
def test_real_client(server: Server, at: str, compression: str | None, size: int) -> None:
    url = f"ws://{server.host}:{server.port}{at}/echo?{new_key()}"
    text = "abcdefghij" * (size // 10)
    with connect(url, compression=compression) as client:
        assert bool(client.protocol.extensions) == (compression is not None)
        for message in (text, text.encode()):
            client.send(message)
            assert client.recv() == message


def test_one_task_sends_while_another_receives(server: Server) -> None:
    key = new_key()
    with websocket(server, f"/async/both-ways?{key}") as client:
        assert [client.read() for _ in range(3)] == ["tick 0", "tick 1", "tick 2"]
        client.text("got them")
        assert client.read_close() == (1000, "")
    wait_for(server, key, "got them")


# --- the handshake -------------------------------------------------------------------------------


@each_way
@pytest.mark.parametrize(
    ("offered", "agreed"), [("v1, v2, v3", "v2"), ("v1", "v1"), ("v9", None), (None, None)]
)
def test_subprotocol_and_fields_of_the_handler(
    server: Server, at: str, offered: str | None, agreed: str | None
) -> None:
    fields = [("Sec-WebSocket-Protocol", offered)] if offered else []
    with server.connect() as connection:
        handshake(connection, f"{at}/agreed", fields)
        response = read_switch(connection)
        assert response.header("sec-websocket-protocol") == agreed
        assert response.header("x-mine") == "kept"
        assert (response.header("set-cookie") or "").startswith("a=1;")
        assert connection.read_exactly(2)[0] == 0x81
        assert connection.read_exactly(len(str(agreed))).decode() == str(agreed)
        assert connection.read_exactly(2) == b"\x88\x05"
        assert connection.read_exactly(5) == (4000).to_bytes(2) + b"bye"


@each_way
def test_request_for_no_websocket_is_told_to_upgrade(server: Server, at: str) -> None:
    response = server.get(f"{at}/echo?{new_key()}")
    assert (response.status, response.header("upgrade")) == (426, "websocket")


@each_way
@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ([("Sec-WebSocket-Key", "short")], 400),
        ([("Sec-WebSocket-Version", "12")], 426),
        ([("Content-Length", "3")], 400),
    ],
)
def test_wrong_handshake_is_refused(
    server: Server, at: str, fields: list[tuple[str, str]], status: int
) -> None:
    start = len(server.log())
    with server.connect() as connection:
        handshake(connection, f"{at}/echo?{new_key()}", fields, behind=b"abc")
        response = connection.read_response()
        assert response.status == status
        version = response.header("sec-websocket-version")
        assert version == ("13" if status == 426 else None)
        assert response.header("upgrade") == ("websocket" if status == 426 else None)
    assert server.get("/plain").status == 200
    assert not any("Traceback" in line for line in server.log()[start:])


def test_refusal_that_a_handler_catches_has_been_answered(server: Server) -> None:
    key = new_key()
    assert server.get(f"/caught?{key}").status == 426
    wait_for(server, key, [426, "the request asks for no WebSocket"])


def test_handler_without_a_websocket_does_not_say_yes(server: Server) -> None:
    with server.connect() as connection:
        handshake(connection, "/no-socket")
        assert connection.read_response().body == b"plain"  # RFC 9110: Upgrade may be ignored
    with H2Connection(server) as h2:
        assert h2.open("/no-socket").status() == 501
        assert h2.open("/nowhere").status() == 404


def test_each_kind_of_handler_has_its_own(server: Server) -> None:
    for at, said in (("", b"here use w.websocket(req)"), ("/async", b"use w.async_websocket(req)")):
        with server.connect() as connection:
            handshake(connection, f"{at}/wrong-kind")
            assert connection.read_response().body.endswith(said)


def test_websocket_cannot_come_after_the_first_write(server: Server) -> None:
    with server.connect() as connection:
        handshake(connection, "/too-late")
        body = connection.read_response().body
        assert body == b"begunthe response has been started already"


# --- ends ----------------------------------------------------------------------------------------


@each_way
@pytest.mark.parametrize(
    ("code", "reason", "told"),
    [(1000, "done", [1000, "done"]), (4321, "", [4321, ""]), (None, "", [1005, ""])],
)
def test_handler_is_told_how_the_client_closed(
    server: Server, at: str, code: int | None, reason: str, told: list[object]
) -> None:
    key = new_key()
    with websocket(server, f"{at}/until-closed?{key}") as client:
        client.text("x")
        assert client.read() == "x"
        client.close(code, reason)
    wait_for(server, key, *[["WebSocketClosed", *told]] * 2)


@each_way
@pytest.mark.parametrize("path", ["/until-closed", "/lets-pass"])
def test_client_that_is_gone_is_1006_and_nobodys_error(server: Server, at: str, path: str) -> None:
    key, start = new_key(), len(server.log())
    with server.connect() as connection:
        handshake(connection, f"{at}{path}?{key}")
        read_switch(connection)
        connection.reset()
    if path == "/until-closed":
        wait_for(server, key, *[["WebSocketClosed", 1006, ""]] * 2)
    assert server.get("/plain").status == 200
    assert not any("Traceback" in line for line in server.log()[start:])


@each_way
@pytest.mark.parametrize("how", ["inside", "outside"])
def test_exception_of_a_handler_closes_with_1011(server: Server, at: str, how: str) -> None:
    start = len(server.log())
    with websocket(server, f"{at}/raises/{how}") as client:
        assert client.read_close() == (1011, "")
    log = log_since(server, start, "LookupError: of the handler")
    assert "its WebSocket was closed with 1011" in log


@each_way
def test_end_of_the_handler_closes(server: Server, at: str) -> None:
    with websocket(server, f"{at}/returns") as client:
        assert client.read() == "that is all"
        assert client.read_close() == (1000, "")


def test_wrong_codes_and_messages_are_errors_of_the_call(server: Server) -> None:
    key = new_key()
    with websocket(server, f"/misused?{key}") as client:
        assert client.read() == " ".join(["ValueError"] * 6 + ["TypeError"] * 3)
        assert [client.read(), client.read()] == [b"bytes", b"view"]
        assert client.read_close() == (1001, "")
    wait_for(server, key, ["the WebSocket has been closed from this side already", True])


@each_way
def test_violation_of_the_client_is_closed_by_the_engine(server: Server, at: str) -> None:
    key = new_key()
    with websocket(server, f"{at}/until-closed?{key}") as client:
        client.send(frame(TEXT, b"\xff"))
        assert client.read_close()[0] == 1007
    wait_until(lambda: len(events(server, key)) == 2, "the handler to be told")
    with websocket(server, f"{at}/until-closed?{new_key()}") as client:
        client.binary(bytes(MIB + 1))
        assert client.read_close()[0] == 1009


# --- threads, time, memory -----------------------------------------------------------------------


@each_way
def test_open_websockets_take_no_thread_and_have_no_deadline(server: Server, at: str) -> None:
    with ExitStack() as stack:
        clients = [
            stack.enter_context(websocket(server, f"{at}/echo?{new_key()}"))
            for _ in range(4 * THREADS)
        ]
        assert server.get("/plain").body == b"plain"
        start = len(server.log())
        # Longer than --request-timeout and what it may be late: another request is cut meanwhile.
        for _ in range(2):
            assert server.get("/slow").status == 504
        for client in clients:
            client.text("still there")
            assert client.read() == "still there"
        assert not any("echo" in line for line in server.log()[start:])


@each_way
def test_sending_waits_for_a_client_that_does_not_read(server: Server, at: str) -> None:
    key = new_key()
    assert server.get("/plain").status == 200
    before = rss(server.pid)
    seen: list[int] = []

    def stands_still() -> bool:
        seen.append(events(server, key)[0])
        return len(seen) > 50 and len(set(seen[-50:])) == 1 and seen[-1] > 0

    with server.connect() as connection:
        handshake(connection, f"{at}/flood?{key}")
        read_switch(connection)
        wait_until(stands_still, "the handler to wait")
        assert rss(server.pid) - before < 16 * MIB
        connection.reset()
    wait_until(lambda: events(server, key)[-1] == "ended", "the handler to be told")


@each_way
def test_stop_closes_with_1001_and_loses_no_handler(at: str) -> None:
    with (
        gohttp_serve("socket_cases:mux", cwd=APPS) as server,
        websocket(server, f"{at}/echo?{new_key()}") as client,
    ):
        client.text("x")
        assert client.read() == "x"
        server.signal(signal.SIGTERM)
        assert client.read_close()[0] in (1001, 1012)
        assert server.wait() == 0
        assert not any("Traceback" in line for line in server.log())
