"""The ASGI WebSocket specification 2.5: scope, messages, and what becomes of the app's mistakes."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from asgi_helpers import (
    LOOPS,
    LogFrom,
    events,
    get_json,
    new_key,
    open_gate,
    wait_for_events,
)
from support import RawConnection, Server, wait_until
from websocket_client import (
    BINARY,
    TEXT,
    H2Connection,
    close_frame,
    frame,
    handshake,
    key_of,
    read_switch,
    serve_websockets,
    websocket,
    write_script,
)
from websockets.sync.client import connect

ACCEPT: dict[str, Any] = {"type": "websocket.accept"}
CLOSE: dict[str, Any] = {"type": "websocket.close"}
CONNECT: dict[str, Any] = {"type": "websocket.connect"}
HELLO: dict[str, Any] = {"type": "websocket.send", "text": "hello"}
DENY: dict[str, Any] = {
    "type": "websocket.http.response.start",
    "status": 418,
    "headers": [(b"x-a", b"1"), (b"x-a", b"2")],
}


@pytest.fixture(scope="module", params=LOOPS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with serve_websockets("--loop", request.param) as server:
        yield server


def denial(data: bytes, more: bool = False) -> dict[str, Any]:
    return {"type": "websocket.http.response.body", "body": data, "more_body": more}


def disconnect(code: int, reason: str = "") -> dict[str, Any]:
    return {"type": "websocket.disconnect", "code": code, "reason": reason}


def scope_of(
    server: Server, target: str = "/scope", headers: list[tuple[str, str]] | None = None
) -> dict[str, Any]:
    """The scope, each value as `[type name, value]`."""
    with websocket(server, target, headers or []) as chat:
        scope: dict[str, Any] = chat.read_json()
        assert chat.read_close() == (1000, "")
    return scope


def assert_usable(connection: RawConnection) -> None:
    connection.send_request("GET", "/ok")
    assert connection.read_response().body == b"ok"


# --- scope ---------------------------------------------------------------------------------------


def test_every_key_has_its_type_and_value(server: Server) -> None:
    scope = scope_of(server, "/scope?a=b&c=%20")
    assert scope["type"] == ["str", "websocket"]
    assert scope["asgi"][1]["version"] == ["str", "3.0"]
    assert scope["asgi"][1]["spec_version"] == ["str", "2.5"]
    assert scope["http_version"] == ["str", "1.1"]
    assert scope["scheme"] == ["str", "ws"]
    assert scope["path"] == ["str", "/scope"]
    assert scope["raw_path"] == ["bytes", "/scope"]
    assert scope["query_string"] == ["bytes", "a=b&c=%20"]
    assert scope["root_path"] == ["str", ""]
    assert scope["server"] == ["tuple", [["str", "127.0.0.1"], ["int", server.port]]]
    assert scope["client"][1][0] == ["str", "127.0.0.1"]
    assert scope["client"][1][1][1] > 1023
    assert scope["subprotocols"] == ["list", []]
    assert scope["extensions"] == ["dict", {"websocket.http.response": ["dict", {}]}]
    assert "method" not in scope


def test_query_string_is_empty_bytes_without_a_query(server: Server) -> None:
    assert scope_of(server)["query_string"] == ["bytes", ""]


def test_http_version_is_2_on_http_2(server: Server) -> None:
    with H2Connection(server) as connection:
        scope = connection.websocket("/scope?x").read_json()
    assert scope["http_version"] == ["str", "2"]
    assert scope["scheme"] == ["str", "ws"]
    assert scope["type"] == ["str", "websocket"]
    assert "method" not in scope


def test_subprotocols_are_in_the_clients_order(server: Server) -> None:
    fields = [("Sec-WebSocket-Protocol", "b, a"), ("Sec-WebSocket-Protocol", "c.v1")]
    scope = scope_of(server, headers=fields)
    assert scope["subprotocols"] == ["list", [["str", "b"], ["str", "a"], ["str", "c.v1"]]]


@pytest.mark.parametrize(
    ("proto", "scheme"), [("https", "wss"), ("wss", "wss"), ("http", "ws"), ("ws", "ws")]
)
def test_scheme_is_what_the_proxy_says(server: Server, proto: str, scheme: str) -> None:
    scope = scope_of(server, headers=[("X-Forwarded-Proto", proto), ("X-Forwarded-For", "1.2.3.4")])
    assert scope["scheme"] == ["str", scheme]
    assert scope["client"][1] == [["str", "1.2.3.4"], ["int", 0]]


@pytest.mark.parametrize(
    ("target", "path"), [("/a%20b", "/a b"), ("/caf%C3%A9", "/caf\xe9"), ("/a%2Fb", "/a/b")]
)
def test_path_is_decoded_utf_8_and_raw_path_as_sent(server: Server, target: str, path: str) -> None:
    scope = scope_of(server, target + "?x=%20")
    assert scope["path"] == ["str", path]
    assert scope["raw_path"] == ["bytes", target]


def test_headers_have_lower_case_names_and_stay_apart_and_in_order(server: Server) -> None:
    headers = [("X-MiXed", "VaLue \xff"), ("Cookie", "a=1"), ("x-a", "2"), ("Cookie", "b=2")]
    kind, pairs = scope_of(server, headers=headers)["headers"]
    assert kind == "list"
    fields = [(pair[0], pair[1]) for _, pair in pairs]
    assert all(name[0] == value[0] == "bytes" for name, value in fields)
    plain = [(name[1], value[1]) for name, value in fields]
    assert [f for f in plain if f[0] in ("x-mixed", "cookie", "x-a")] == [
        (name.lower(), value) for name, value in headers
    ]
    assert ("upgrade", "websocket") in plain


def test_changes_of_the_scope_stay_with_their_websocket(server: Server) -> None:
    for _ in range(2):
        with websocket(server, "/scope-changed") as chat:
            assert chat.read_json() == [None, False, "websocket"]


def test_state_is_a_shallow_copy_of_what_lifespan_left(server: Server) -> None:
    seen = []
    for _ in range(2):
        with websocket(server, "/state") as chat:
            seen.append(chat.read_json())
    first, second = seen
    assert first[:2] == second[:2] == [1, None]
    assert second[2] == first[2] + 1
    assert get_json(server, "/state")[2] == second[2] + 1  # shared with HTTP


@pytest.mark.parametrize("loop", LOOPS)
def test_root_path_and_unix_socket(tmp_path: Path, loop: str) -> None:
    path = str(tmp_path / "s")
    with serve_websockets("--loop", loop, "--uds", path, "--root-path", "/root") as server:
        scope = scope_of(server, "/a%20b")
        assert scope["root_path"] == ["str", "/root"]
        assert scope["path"] == ["str", "/root/a b"]
        assert scope["raw_path"] == ["bytes", "/a%20b"]
        assert scope["server"] == ["tuple", [["str", path], ["NoneType", None]]]
        assert scope["client"] == ["NoneType", None]
        with websocket(server, "/root/echo") as chat:
            chat.text("over a Unix socket")
            assert chat.read() == "over a Unix socket"
            assert chat.close() == (1000, "")


# --- connect and accept --------------------------------------------------------------------------


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


# --- refusing: 403 and denial responses ----------------------------------------------------------


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


# --- send ----------------------------------------------------------------------------------------


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


# --- the order of messages -----------------------------------------------------------------------


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
        assert chat.close() == (1000, "")
    assert events(server, key_of(path))[2] == "RuntimeError"


@pytest.mark.parametrize("late", [HELLO, ACCEPT, CLOSE, DENY])
def test_everything_long_after_close_is_the_same_error(server: Server, late: Any) -> None:
    path = write_script(server, ACCEPT, CLOSE, "gate", ("try", late))
    with websocket(server, path) as chat:
        assert chat.read_close() == (1000, "")
        open_gate(server, key_of(path))
        wait_until(lambda: len(events(server, key_of(path))) == 4, "the last message")
    assert events(server, key_of(path))[3] == "RuntimeError"


# --- receive and disconnect ----------------------------------------------------------------------


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


# --- close ---------------------------------------------------------------------------------------


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
        assert chat.close() == (1000, "")


# --- how the app ends ----------------------------------------------------------------------------


@pytest.mark.parametrize("first", [[], ["receive"], ["receive", "gate"]])
def test_error_before_accept_is_a_logged_500(server: Server, first: list[str]) -> None:
    path = write_script(server, *first, "raise")
    log = LogFrom(server)
    open_gate(server, key_of(path))
    with server.connect() as connection:
        handshake(connection, path)
        response = connection.read_response()
        assert response.status == 500
        assert b"own error" not in response.body
        assert_usable(connection)
    text = log.text()
    assert "/script" in text
    assert text.count("LookupError: the app's own error") == 1
    assert text.count("Traceback") == 1  # and not by asyncio once more


@pytest.mark.parametrize("how", ["raise", "raise OSError"])
def test_error_after_accept_closes_with_1011_and_is_logged(server: Server, how: str) -> None:
    path = write_script(server, ACCEPT, HELLO, how)
    log = LogFrom(server)
    with websocket(server, path) as chat:
        assert chat.read() == "hello"
        assert chat.close(1011) == (1011, "")
    text = log.text()
    assert "the app's own" in text
    assert text.count("Traceback") == 1


def test_error_after_close_is_logged_and_the_close_stays(server: Server) -> None:
    path = write_script(server, ACCEPT, {**CLOSE, "code": 3000}, "raise")
    log = LogFrom(server)
    with websocket(server, path) as chat:
        assert chat.close() == (3000, "")
    wait_until(lambda: "LookupError: the app's own error" in log.text(), "the error in the log")


@pytest.mark.parametrize("first", [[], ["receive"]])
def test_return_without_an_answer_is_a_logged_500(server: Server, first: list[str]) -> None:
    path = write_script(server, *first)
    log = LogFrom(server)
    with server.connect() as connection:
        handshake(connection, path)
        assert connection.read_response().status == 500
        assert_usable(connection)
    text = log.text()
    assert "/script" in text
    assert "without 'websocket.accept'" in text


def test_return_after_accept_closes_with_1000_and_is_not_logged(server: Server) -> None:
    path = write_script(server, ACCEPT)
    log = LogFrom(server)
    with websocket(server, path) as chat:
        assert chat.close() == (1000, "")
    assert "error" not in log.text()


def test_cancelled_task_before_accept_is_a_5xx(server: Server) -> None:
    path = write_script(server, "receive", "cancel")
    with server.connect() as connection:
        handshake(connection, path)
        assert connection.read_response().status in (500, 503)
        assert_usable(connection)


def test_cancelled_task_after_accept_closes(server: Server) -> None:
    path = write_script(server, ACCEPT, "cancel")
    with websocket(server, path) as chat:
        # The server is first: an answer to a close of ours would have our code.
        assert chat.read_close()[0] in (1001, 1011)


# --- tasks ---------------------------------------------------------------------------------------


def test_receive_that_is_given_up_loses_nothing(server: Server) -> None:
    with websocket(server, "/receive-cancelled") as chat:
        assert chat.read() == "go"
        for number in range(20):
            chat.text(str(number))
        assert chat.read() == " ".join(map(str, range(20)))


def test_sender_is_cancelled_before_send_fails_for_the_clients_close(server: Server) -> None:
    key, log = new_key(), LogFrom(server)
    with websocket(server, f"/two-sides?{key}") as chat:
        assert chat.read() == "0"
        assert chat.read() == "1"
        chat.send(close_frame(3000))
        wait_for_events(server, key, ["cancelled", disconnect(3000)])
    assert "Traceback" not in log.text()


def test_send_that_waits_can_be_cancelled_and_the_websocket_goes_on(server: Server) -> None:
    key = new_key()
    with websocket(server, f"/full-and-cancelled?{key}") as chat:
        wait_for_events(server, key, ["CancelledError"])
        while (message := chat.read()) != "last":
            assert message == bytes(65536)
        assert chat.close() == (1000, "")


def test_what_one_says_all_hear_in_one_order(server: Server) -> None:
    with ExitStack() as stack:
        chats = [stack.enter_context(websocket(server, "/room")) for _ in range(20)]
        for number, chat in enumerate(chats):
            chat.text(f"in {number}")
            while chat.read() != f"in {number}":
                pass
        for chat in chats[:-1]:
            while chat.read() != "in 19":
                pass
        for number, chat in enumerate(chats):
            chat.text(str(number))
        heard = [[chat.read() for _ in chats] for chat in chats]
    assert sorted(heard[0], key=int) == [str(number) for number in range(20)]
    assert all(order == heard[0] for order in heard)


def test_the_websockets_package_agrees(server: Server) -> None:
    key = new_key()
    with connect(f"ws://127.0.0.1:{server.port}/echo?{key}", max_size=None) as chat:
        for message in ("tëxt", b"\0\xff", "", "x" * 100_000, b"ab" * 3_000_000):
            chat.send(message)
            assert chat.recv() == message
        chat.send(["in ", "frag", "ments"])
        assert chat.recv() == "in fragments"
        assert chat.ping().wait(10)
        chat.close(3000, "done")
        assert (chat.close_code, chat.protocol.close_rcvd and chat.protocol.close_rcvd.code) == (
            3000,
            3000,
        )
    wait_for_events(server, key, [disconnect(3000, "done")])
