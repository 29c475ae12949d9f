"""Messages of an open WebSocket: send, receive, close, and what may not come when."""

from collections.abc import Iterator
from typing import Any

import pytest
from asgi_helpers import (
    LOOPS,
    LogFrom,
    events,
    new_key,
    open_gate,
    wait_for_events,
)
from support import Server, wait_until
from websocket_client import (
    BINARY,
    TEXT,
    assert_usable,
    close_frame,
    frame,
    handshake,
    key_of,
    read_switch,
    serve_websockets,
    websocket,
    write_script,
)
from websocket_messages import ACCEPT, CLOSE, CONNECT, DENY, HELLO, denial, disconnect


@pytest.fixture(scope="module", params=LOOPS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with serve_websockets("--loop", request.param) as server:
        yield server


# --- send -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"text": "tëxt"}, "tëxt"),
        ({"bytes": b"\0\xff"}, b"\0\xff"),
        ({"text": "text", "bytes": None}, "text"),
        ({"text": None, "bytes": b"bytes"}, b"bytes"),
        ({"text": ""}, ""),
        ({"bytes": b""}, b""),
        ({"text": "\U0001f600\0"}, "\U0001f600\0"),
        ({"text": "x" * 126}, "x" * 126),
        ({"bytes": b"x" * 65536}, b"x" * 65536),
    ],
)
def test_send_makes_one_message_of_its_kind(
    server: Server, message: dict[str, Any], expected: str | bytes
) -> None:
    path = write_script(server, ACCEPT, {"type": "websocket.send", **message})
    with websocket(server, path) as chat:
        got = chat.read()
        assert (type(got), got) == (type(expected), expected)
        assert chat.read_close() == (1000, "")


BAD_SENDS: list[Any] = [
    {"type": "websocket.send"},
    {"type": "websocket.send", "text": None, "bytes": None},
    {"type": "websocket.send", "text": "both", "bytes": b"both"},
    {"type": "websocket.send", "text": b"bytes"},
    {"type": "websocket.send", "bytes": "text"},
    {"type": "websocket.send", "text": 7},
    {"type": "websocket.send", "bytes": 7},
    {"type": "websocket.send", "text": "\ud800"},
    {"type": "websocket.nonsense"},
    {"type": "http.response.start", "status": 200},
    {"type": 7},
    {"text": "no type"},
    None,
    ["type"],
]


@pytest.mark.parametrize("bad", BAD_SENDS)
def test_bad_message_is_an_error_and_the_websocket_goes_on(server: Server, bad: Any) -> None:
    path = write_script(server, ACCEPT, ("try", bad), HELLO)
    with websocket(server, path) as chat:
        assert chat.read() == "hello"
        assert chat.read_close() == (1000, "")
    _, refused, _ = events(server, key_of(path))
    assert refused not in ("sent", "OSError")


@pytest.mark.parametrize("bad", [BAD_SENDS[0], BAD_SENDS[7], BAD_SENDS[8]])
def test_bad_message_that_is_not_caught_closes_with_1011(server: Server, bad: Any) -> None:
    path = write_script(server, ACCEPT, bad)
    log = LogFrom(server)
    with websocket(server, path) as chat:
        assert chat.read_close() == (1011, "")
    text = log.text()
    assert events(server, key_of(path))[-1] in text
    assert "in run_script" in text


# --- the order of messages ------------------------------------------------------------------------


@pytest.mark.parametrize("early", [HELLO, denial(b"without a start")])
def test_what_needs_a_beginning_is_an_error_before_it(server: Server, early: Any) -> None:
    path = write_script(server, "receive", ("try", early), ACCEPT, HELLO)
    with websocket(server, path) as chat:
        assert chat.read() == "hello"
    assert events(server, key_of(path))[1] == "RuntimeError"


@pytest.mark.parametrize("late", [ACCEPT, DENY, denial(b"late")])
def test_second_answer_after_accept_is_an_error(server: Server, late: Any) -> None:
    path = write_script(server, ACCEPT, ("try", late), HELLO)
    with websocket(server, path) as chat:
        assert chat.read() == "hello"
    assert events(server, key_of(path))[1] == "RuntimeError"


@pytest.mark.parametrize("late", [ACCEPT, CLOSE, HELLO, DENY])
def test_other_messages_within_a_denial_response_are_errors(server: Server, late: Any) -> None:
    path = write_script(server, DENY, denial(b"a", True), ("try", late), denial(b"b"))
    with server.connect() as connection:
        handshake(connection, path)
        assert connection.read_response().body == b"ab"
        assert_usable(connection)
    assert events(server, key_of(path))[2] == "RuntimeError"


@pytest.mark.parametrize("late", [ACCEPT, CLOSE, HELLO, DENY, denial(b"late")])
@pytest.mark.parametrize("end", ["close", "denial"])
def test_everything_after_a_refusal_is_an_error(server: Server, end: str, late: Any) -> None:
    refusal = [CLOSE] if end == "close" else [DENY, denial(b"whole")]
    path = write_script(server, *refusal, ("try", late))
    with server.connect() as connection:
        handshake(connection, path)
        assert connection.read_response().status == (403 if end == "close" else 418)
        assert_usable(connection)
    wait_until(lambda: len(events(server, key_of(path))) > len(refusal), "the last message")
    assert events(server, key_of(path))[len(refusal)] == "RuntimeError"


@pytest.mark.parametrize("late", [HELLO, ACCEPT, CLOSE, DENY])
def test_everything_at_once_after_close_is_an_error(server: Server, late: Any) -> None:
    path = write_script(server, ACCEPT, CLOSE, ("try", late))
    with websocket(server, path) as chat:
        assert chat.answer_close() == (1000, "")
    wait_until(lambda: len(events(server, key_of(path))) == 3, "the last message")
    assert events(server, key_of(path))[2] == "RuntimeError"


@pytest.mark.parametrize("late", [HELLO, ACCEPT, CLOSE, DENY])
def test_everything_long_after_close_is_the_same_error(server: Server, late: Any) -> None:
    path = write_script(server, ACCEPT, CLOSE, "gate", ("try", late))
    with websocket(server, path) as chat:
        assert chat.read_close() == (1000, "")
        open_gate(server, key_of(path))
        wait_until(lambda: len(events(server, key_of(path))) == 4, "the last message")
    assert events(server, key_of(path))[3] == "RuntimeError"


# --- receive and disconnect -----------------------------------------------------------------------


def test_receive_gives_text_as_text_and_bytes_as_bytes(server: Server) -> None:
    path = write_script(server, "receive", ACCEPT, "receive", "receive", "receive", "receive")
    with websocket(server, path) as chat:
        chat.send(frame(TEXT, "tëxt".encode()), frame(BINARY, b"\0\xff"), frame(TEXT))
        chat.send(frame(BINARY))
        assert chat.read_close() == (1000, "")
    received = [event for event in events(server, key_of(path)) if event != "sent"][1:]
    assert [message["type"] for message in received] == ["websocket.receive"] * 4
    assert [message.get("text") for message in received] == ["tëxt", None, "", None]
    assert [message.get("bytes") for message in received] == [None, "\0\xff", None, ""]


@pytest.mark.parametrize(
    ("code", "reason"),
    [(1000, ""), (1001, "going"), (1011, "ouch"), (3000, "rëason"), (4999, "x" * 123)],
)
def test_disconnect_has_the_clients_code_and_reason(server: Server, code: int, reason: str) -> None:
    key = new_key()
    with websocket(server, f"/echo?{key}") as chat:
        chat.close(code, reason)
    wait_for_events(server, key, [disconnect(code, reason)])


def test_disconnect_is_1005_when_the_client_gave_no_code(server: Server) -> None:
    key = new_key()
    with websocket(server, f"/echo?{key}") as chat:
        assert chat.close(None) == (None, "")
    wait_for_events(server, key, [disconnect(1005)])


@pytest.mark.parametrize("leave", ["close", "reset", "finish_sending"])
def test_disconnect_is_1006_when_the_client_vanished(server: Server, leave: str) -> None:
    key, log = new_key(), LogFrom(server)
    with server.connect() as connection:
        handshake(connection, f"/echo?{key}")
        read_switch(connection)
        getattr(connection, leave)()
        wait_for_events(server, key, [disconnect(1006)])
    assert "error" not in log.text()


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_disconnect_is_1006_when_the_client_vanished_before_the_accept(
    server: Server, leave: str
) -> None:
    path = write_script(server, "receive", "gate", "receive", ("wrap", ACCEPT))
    log = LogFrom(server)
    with server.connect() as connection:
        handshake(connection, path)
        wait_for_events(server, key_of(path), [CONNECT, "at the gate"])
        getattr(connection, leave)()
    open_gate(server, key_of(path))
    wait_until(lambda: len(events(server, key_of(path))) >= 3, "the disconnect")
    assert events(server, key_of(path))[2] == disconnect(1006)
    text = log.text()
    assert "Traceback" not in text
    assert "without" not in text


def test_messages_come_before_the_disconnect_that_followed_them(server: Server) -> None:
    path = write_script(server, "receive", ACCEPT, "gate", *["receive"] * 4)
    with websocket(server, path) as chat:
        chat.send(frame(TEXT, b"1"), frame(TEXT, b"2"), close_frame(3001, b"bye"))
        assert chat.read_end() == (3001, "")
    open_gate(server, key_of(path))
    messages = [{"type": "websocket.receive", "text": text} for text in "12"]
    gone = disconnect(3001, "bye")  # and whoever asks again hears the same
    wait_for_events(server, key_of(path), [CONNECT, "sent", "at the gate", *messages, gone, gone])


def test_disconnect_comes_to_everyone_who_waits_for_it(server: Server) -> None:
    key = new_key()
    with websocket(server, f"/listeners?{key}") as chat:
        assert chat.read() == "both wait"
        chat.close()
    wait_for_events(server, key, ["websocket.disconnect"] * 2)


@pytest.mark.parametrize("leave", ["close", "reset"])
@pytest.mark.parametrize("uncaught", ["OSError", "wrapped"])
def test_send_after_the_clients_going_is_an_os_error_and_not_logged(
    server: Server, leave: str, uncaught: str
) -> None:
    last = HELLO if uncaught == "OSError" else ("wrap", HELLO)
    path = write_script(server, "receive", ACCEPT, "receive", ("try", HELLO), last)
    log = LogFrom(server)
    with server.connect() as connection:
        handshake(connection, path)
        read_switch(connection)
        getattr(connection, leave)()
    ends = [disconnect(1006), "OSError", "OSError"]
    wait_for_events(server, key_of(path), [CONNECT, "sent", *ends])
    text = log.text()
    assert "Traceback" not in text
    assert "error" not in text


def test_send_after_the_clients_close_is_an_os_error_and_not_logged(server: Server) -> None:
    path = write_script(server, "receive", ACCEPT, "receive", HELLO)
    log = LogFrom(server)
    with websocket(server, path) as chat:
        chat.close(1001)
    wait_for_events(server, key_of(path), [CONNECT, "sent", disconnect(1001), "OSError"])
    assert "Traceback" not in log.text()


def test_own_error_after_the_clients_going_is_logged(server: Server) -> None:
    path = write_script(server, "receive", ACCEPT, "receive", "raise OSError")
    log = LogFrom(server)
    with websocket(server, path) as chat:
        chat.close()
    wait_until(lambda: "raise OSError" in events(server, key_of(path)), "the error")
    wait_until(lambda: "FileNotFoundError: the app's own file" in log.text(), "it in the log")


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_send_that_waits_for_a_client_that_leaves_is_an_os_error(
    server: Server, leave: str
) -> None:
    key, log = new_key(), LogFrom(server)
    with server.connect() as connection:
        handshake(connection, f"/flood?{key}")
        read_switch(connection)
        getattr(connection, leave)()
    wait_for_events(server, key, ["OSError"])
    assert "Traceback" not in log.text()


def test_close_after_the_clients_going_is_no_error(server: Server) -> None:
    path = write_script(server, "receive", ACCEPT, "receive", CLOSE)
    with websocket(server, path) as chat:
        chat.close()
    wait_for_events(server, key_of(path), [CONNECT, "sent", disconnect(1000), "sent"])


# --- close ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rest", "code", "reason"),
    [
        ({}, 1000, ""),
        ({"code": 1001}, 1001, ""),
        ({"code": 3000, "reason": "rëason"}, 3000, "rëason"),
        ({"code": 4999, "reason": None}, 4999, ""),
        ({"code": None, "reason": "why"}, 1000, "why"),
        ({"reason": "x" * 123}, 1000, "x" * 123),
        ({"reason": "x" + "ë" * 100}, 1000, "x" + "ë" * 61),  # what fits, in whole characters
    ],
)
def test_close_has_the_apps_code_and_reason(
    server: Server, rest: dict[str, Any], code: int, reason: str
) -> None:
    path = write_script(server, "receive", ACCEPT, CLOSE | rest, "receive")
    with websocket(server, path) as chat:
        assert chat.read_close() == (code, reason)
        chat.send(close_frame(code))
        assert chat.wire.read_until_close() == b""
    wait_until(lambda: len(events(server, key_of(path))) == 4, "the disconnect")
    told = events(server, key_of(path))[-1]
    assert (told["type"], told["code"]) == ("websocket.disconnect", code)


@pytest.mark.parametrize("code", [0, 999, 1004, 1006, 1015, 2999, 5000, 65536, -1, "1000"])
def test_close_code_that_may_not_be_sent_is_an_error(server: Server, code: Any) -> None:
    path = write_script(server, ACCEPT, ("try", {**CLOSE, "code": code}), HELLO)
    with websocket(server, path) as chat:
        assert chat.read() == "hello"
        assert chat.read_close() == (1000, "")
    assert events(server, key_of(path))[1] in ("ValueError", "TypeError", "OverflowError")


def test_what_was_sent_before_the_close_comes_before_it(server: Server) -> None:
    large = {"type": "websocket.send", "bytes": b"x" * 5_000_000}
    path = write_script(server, ACCEPT, large, HELLO, CLOSE)
    with websocket(server, path) as chat:
        assert len(chat.read()) == 5_000_000
        assert chat.read() == "hello"
        assert chat.answer_close() == (1000, "")
