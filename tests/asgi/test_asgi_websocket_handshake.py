"""Answering a handshake: accept, 403 and denial responses (ASGI WebSocket specification 2.5)."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from asgi_helpers import (
    LOOPS,
    LogFrom,
    events,
    open_gate,
    wait_for_events,
)
from support import Server, wait_until
from websocket_client import (
    TEXT,
    assert_usable,
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


# --- connect and accept ---------------------------------------------------------------------------


def test_handshake_is_answered_when_the_app_accepts_and_not_before(server: Server) -> None:
    path = write_script(server, "receive", "gate", ACCEPT)
    with server.connect() as connection:
        handshake(connection, path)
        wait_for_events(server, key_of(path), [CONNECT, "at the gate"])
        connection.socket.setblocking(False)
        with pytest.raises(BlockingIOError):
            connection.socket.recv(1, socket.MSG_PEEK)
        connection.socket.settimeout(10)
        open_gate(server, key_of(path))
        read_switch(connection)


def test_no_message_is_given_before_the_accept_and_none_is_lost(server: Server) -> None:
    path = write_script(server, "receive", ("receive", 0.1), ACCEPT, "receive")
    with server.connect() as connection:
        handshake(connection, path, behind=frame(TEXT, b"early"))
        read_switch(connection)
        early = {"type": "websocket.receive", "text": "early"}
        wait_for_events(server, key_of(path), [CONNECT, "timed out", "sent", early])


def test_accept_chooses_a_subprotocol(server: Server) -> None:
    path = write_script(server, {**ACCEPT, "subprotocol": "chat"})
    with server.connect() as connection:
        handshake(connection, path, [("Sec-WebSocket-Protocol", "superchat, chat")])
        assert read_switch(connection).header("sec-websocket-protocol") == "chat"


@pytest.mark.parametrize("rest", [{}, {"subprotocol": None}, {"headers": []}])
def test_accept_without_a_subprotocol_chooses_none(server: Server, rest: dict[str, Any]) -> None:
    path = write_script(server, ACCEPT | rest)
    with server.connect() as connection:
        handshake(connection, path, [("Sec-WebSocket-Protocol", "superchat, chat")])
        assert read_switch(connection).header("sec-websocket-protocol") is None


def test_accept_adds_headers_in_their_order(server: Server) -> None:
    headers = [(b"set-cookie", b"a=1"), [b"x-b", b"2"], (b"set-cookie", b"c=3")]
    path = write_script(server, {**ACCEPT, "headers": headers})
    with server.connect() as connection:
        handshake(connection, path)
        response = read_switch(connection)
    added = [pair for pair in response.headers if pair[0] in ("set-cookie", "x-b")]
    assert added == [("set-cookie", "a=1"), ("x-b", "2"), ("set-cookie", "c=3")]


def test_headers_of_the_handshake_are_not_the_apps_to_set(server: Server) -> None:
    names = [
        *("connection", "upgrade", "content-length", "transfer-encoding"),
        *("sec-websocket-accept", "sec-websocket-extensions", "sec-websocket-protocol"),
    ]
    headers = [(name.encode(), b"5") for name in names]
    path = write_script(server, {**ACCEPT, "subprotocol": "chat", "headers": headers})
    with server.connect() as connection:
        handshake(connection, path, [("Sec-WebSocket-Protocol", "chat")])
        response = read_switch(connection)  # strict about the others
    assert response.all("sec-websocket-protocol") == ["chat"]
    assert response.all("sec-websocket-extensions") == []


@pytest.mark.parametrize(
    "bad",
    [
        {"headers": [(b"x-a", b"1\r\nx-split: yes")]},
        {"headers": [(b"x a", b"1")]},
        {"headers": [("x-a", b"1")]},
        {"headers": [(b"x-a",)]},
        {"headers": 7},
        {"subprotocol": "a\r\nx-split: yes"},
        {"subprotocol": ""},
        {"subprotocol": b"chat"},
    ],
)
def test_bad_accept_is_an_error_and_a_better_one_may_follow(
    server: Server, bad: dict[str, Any]
) -> None:
    path = write_script(server, ("try", {**ACCEPT, **bad}), ACCEPT, HELLO)
    with websocket(server, path, [("Sec-WebSocket-Protocol", "chat")]) as chat:
        assert chat.read() == "hello"
    refused, *rest = events(server, key_of(path))
    assert refused in ("ValueError", "TypeError")
    assert rest == ["sent", "sent"]


# --- refusing: 403 and denial responses -----------------------------------------------------------


@pytest.mark.parametrize("rest", [{}, {"code": 3000, "reason": "why"}, {"code": None}])
def test_close_before_accept_is_a_403(server: Server, rest: dict[str, Any]) -> None:
    path = write_script(server, "receive", CLOSE | rest)
    log = LogFrom(server)
    with server.connect() as connection:
        handshake(connection, path)
        assert connection.read_response().status == 403
        assert_usable(connection)
    assert "error" not in log.text()


def test_refused_app_hears_of_the_end(server: Server) -> None:
    path = write_script(server, "receive", CLOSE, "receive")
    with server.connect() as connection:
        handshake(connection, path)
        assert connection.read_response().status == 403
    wait_until(lambda: len(events(server, key_of(path))) == 3, "the disconnect")
    last = events(server, key_of(path))[-1]
    assert (last["type"], last["code"]) == ("websocket.disconnect", 1006)


def test_denial_response_is_what_the_client_gets(server: Server) -> None:
    path = write_script(server, "receive", DENY, denial(b"a teapot"))
    log = LogFrom(server)
    with server.connect() as connection:
        handshake(connection, path)
        response = connection.read_response()
        assert (response.status, response.body) == (418, b"a teapot")
        assert response.all("x-a") == ["1", "2"]
        assert response.header("sec-websocket-accept") is None
        assert_usable(connection)
    assert "error" not in log.text()


def test_denial_response_is_streamed(server: Server) -> None:
    path = write_script(server, "receive", DENY, denial(b"one", True), "gate", denial(b"two"))
    with server.connect() as connection:
        handshake(connection, path)
        assert connection.read_head().status == 418
        assert connection.read_chunk() == b"one"
        open_gate(server, key_of(path))
        assert connection.read_chunk() == b"two"
        assert connection.read_chunk() == b""


def test_denial_response_without_a_body_may_leave_out_everything(server: Server) -> None:
    start = {"type": "websocket.http.response.start", "status": 401}
    path = write_script(server, start, {"type": "websocket.http.response.body"})
    with server.connect() as connection:
        handshake(connection, path)
        response = connection.read_response()
        assert (response.status, response.body) == (401, b"")
        assert_usable(connection)


def test_denial_response_that_the_app_does_not_end_is_cut(server: Server) -> None:
    path = write_script(server, DENY, denial(b"begun", True))
    with server.connect() as connection:
        handshake(connection, path)
        assert connection.read_head().status == 418
        assert connection.read_chunk() == b"begun"
        with pytest.raises(ConnectionError):
            connection.read_chunk()


def test_error_within_a_denial_response_cuts_it_and_is_logged(server: Server) -> None:
    path = write_script(server, DENY, denial(b"begun", True), "raise")
    log = LogFrom(server)
    with server.connect() as connection:
        handshake(connection, path)
        assert connection.read_head().status == 418
        assert connection.read_chunk() == b"begun"
        with pytest.raises(ConnectionError):
            connection.read_chunk()
    wait_until(lambda: "LookupError: the app's own error" in log.text(), "the error in the log")
    assert log.text().count("Traceback") == 1


@pytest.mark.parametrize(
    "bad", [{"status": 101}, {"status": "403"}, {"status": None}, {"headers": [("x", b"1")]}]
)
def test_bad_denial_is_an_error_and_a_better_one_may_follow(
    server: Server, bad: dict[str, Any]
) -> None:
    path = write_script(server, ("try", {**DENY, **bad}), DENY, denial(b"good"))
    with server.connect() as connection:
        handshake(connection, path)
        assert connection.read_response().body == b"good"
    assert events(server, key_of(path))[0] in ("TypeError", "ValueError")


def test_app_hears_that_the_client_left_during_a_denial_response(server: Server) -> None:
    path = write_script(server, "receive", DENY, denial(b"one", True), "receive", HELLO)
    with server.connect() as connection:
        handshake(connection, path)
        assert connection.read_head().status == 418
    wait_until(lambda: len(events(server, key_of(path))) >= 4, "the disconnect")
    assert events(server, key_of(path))[3] == disconnect(1006)


def test_denial_to_a_client_that_has_gone_is_an_os_error_and_not_logged(server: Server) -> None:
    parts = [denial(b"x" * 65536, True)] * 200
    path = write_script(server, "receive", DENY, *parts)
    log = LogFrom(server)
    with server.connect() as connection:
        handshake(connection, path)
        assert connection.read_head().status == 418
        connection.reset()
    wait_until(lambda: "OSError" in events(server, key_of(path)), "the error")
    assert "Traceback" not in log.text()
