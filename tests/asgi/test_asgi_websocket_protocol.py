"""RFC 6455 with raw frames: the handshake, frames, messages, and the close."""

import select
from collections.abc import Iterator

import pytest
from asgi_helpers import LOOPS, LogFrom, events, new_key, open_gate, wait_for_events
from support import RawConnection, Server, wait_until
from websocket_client import (
    BINARY,
    CLOSE,
    CONTINUATION,
    KEY,
    PING,
    PONG,
    TEXT,
    Frame,
    WebSocket,
    close_frame,
    frame,
    handshake,
    key_of,
    mask,
    read_switch,
    serve_websockets,
    websocket,
    write_script,
)
from websocket_messages import ACCEPT

EURO = "€".encode()
MAX = 10_000  # --ws-max-size


@pytest.fixture(scope="module", params=LOOPS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with serve_websockets("--loop", request.param, "--ws-max-size", str(MAX)) as server:
        yield server


@pytest.fixture
def chat(server: Server) -> Iterator[WebSocket]:
    with websocket(server, "/echo") as chat:
        yield chat


# --- the handshake -------------------------------------------------------------------------------


def test_key_of_the_rfc_gives_the_answer_of_the_rfc(server: Server) -> None:
    with server.connect() as connection:
        handshake(connection, "/echo", [("Sec-WebSocket-Key", KEY)])
        accept = connection.read_head().header("sec-websocket-accept")
    assert accept == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@pytest.mark.parametrize(
    "headers",
    [
        [("UPGRADE", "WebSocket"), ("connection", "keep-alive, UPGRADE")],
        [("Upgrade", "h3, websocket"), ("Connection", "keep-alive"), ("Connection", "Upgrade")],
        [("Origin", "http://elsewhere.example")],
    ],
)
def test_handshake_is_read_without_regard_to_case_and_in_lists(
    server: Server, headers: list[tuple[str, str]]
) -> None:
    with server.connect() as connection:
        handshake(connection, "/echo", headers)
        read_switch(connection)
        WebSocket(connection).assert_open()


@pytest.mark.parametrize("version", ["8", "14", "0", "13, 8", "", "13x"])
def test_other_versions_get_a_426_that_names_13(server: Server, version: str) -> None:
    with server.connect() as connection:
        handshake(connection, "/echo", [("Sec-WebSocket-Version", version)])
        response = connection.read_response()
        assert response.status == 426
        assert response.header("sec-websocket-version") == "13"
        assert response.header("upgrade") == "websocket"
        assert (response.header("connection") or "").lower() == "upgrade"
        connection.send_request("GET", "/ok")
        assert connection.read_response().body == b"ok"


def test_missing_version_is_refused(server: Server) -> None:
    with server.connect() as connection:
        handshake(connection, "/echo", without=["Sec-WebSocket-Version"])
        assert connection.read_response().status in (400, 426)


@pytest.mark.parametrize(
    "key", ["", "short", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZSE=", "*" * 24]
)
def test_bad_key_is_a_400(server: Server, key: str) -> None:
    with server.connect() as connection:
        handshake(connection, "/echo", [("Sec-WebSocket-Key", key)])
        assert connection.read_response().status == 400
        connection.send_request("GET", "/ok")
        assert connection.read_response().body == b"ok"


def test_missing_key_is_a_400(server: Server) -> None:
    with server.connect() as connection:
        handshake(connection, "/echo", without=["Sec-WebSocket-Key"])
        assert connection.read_response().status == 400


@pytest.mark.parametrize("name", ["Sec-WebSocket-Key", "Sec-WebSocket-Version"])
def test_repeated_field_of_the_handshake_is_a_400(server: Server, name: str) -> None:
    value = KEY if name.endswith("Key") else "13"
    with server.connect() as connection:
        handshake(connection, "/echo", [(name, value), (name, value)])
        assert connection.read_response().status == 400


def test_refused_handshake_is_logged_and_the_app_not_called(server: Server) -> None:
    path, log = write_script(server, "receive"), LogFrom(server)
    with server.connect() as connection:
        handshake(connection, path, [("Sec-WebSocket-Version", "8")])
        assert connection.read_response().status == 426
    assert "426 for a WebSocket on /script" in log.text()
    assert events(server, key_of(path)) == []


@pytest.mark.parametrize("method", ["POST", "PUT", "OPTIONS"])
def test_other_methods_are_plain_http(server: Server, method: str) -> None:
    with server.connect() as connection:
        handshake(connection, "/ok", method=method)
        response = connection.read_response()
        assert (response.status, response.body) == (200, b"ok")
        assert response.header("upgrade") is None


@pytest.mark.parametrize(
    ("headers", "without"),
    [
        ([], ["Upgrade"]),
        ([], ["Connection"]),
        ([("Upgrade", "h2c")], []),
        ([("Connection", "keep-alive")], []),
    ],
)
def test_request_that_asks_for_no_websocket_is_plain_http(
    server: Server, headers: list[tuple[str, str]], without: list[str]
) -> None:
    with server.connect() as connection:
        handshake(connection, "/ok", headers, without=without)
        assert connection.read_response().body == b"ok"


def test_http_1_0_cannot_have_a_websocket(server: Server) -> None:
    with server.connect() as connection:
        connection.send(
            b"GET /ok HTTP/1.0\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + KEY.encode() + b"\r\n\r\n"
        )
        assert connection.read_response().body == b"ok"


def test_frames_sent_with_the_handshake_are_not_lost(server: Server) -> None:
    behind = frame(TEXT, b"first") + frame(PING, b"?") + frame(TEXT, b"second")[:5]
    with server.connect() as connection:
        handshake(connection, "/echo", behind=behind)
        read_switch(connection)
        chat = WebSocket(connection)
        chat.send(frame(TEXT, b"second")[5:])
        got = [chat.read_frame() for _ in range(3)]
    assert sorted(got, key=lambda frame: frame.payload) == [
        Frame(PONG, b"?"),
        Frame(TEXT, b"first"),
        Frame(TEXT, b"second"),
    ]


def test_many_frames_sent_before_the_accept_are_not_lost(server: Server) -> None:
    path = write_script(server, "receive", "gate", ACCEPT, *["receive"] * 100)
    with server.connect() as connection:
        handshake(connection, path)
        wait_until(lambda: "at the gate" in events(server, key_of(path)), "the gate")
        connection.send(frame(BINARY, b"x" * 1000) * 100)
        open_gate(server, key_of(path))
        read_switch(connection)
        assert WebSocket(connection).read_close() == (1000, "")
    received = events(server, key_of(path))[3:]
    assert received == [{"type": "websocket.receive", "bytes": "x" * 1000}] * 100


def test_websocket_after_other_requests_of_its_connection(server: Server) -> None:
    with server.connect() as connection:
        connection.send_request("GET", "/ok")
        assert connection.read_response().body == b"ok"
        handshake(connection, "/echo")
        read_switch(connection)
        assert WebSocket(connection).close() == (1000, "")


def test_body_of_a_handshake_is_not_taken_for_frames(server: Server) -> None:
    path, text = write_script(server, "receive", ACCEPT, "receive"), frame(TEXT, b"smuggled")
    with server.connect() as connection:
        handshake(connection, path, [("Content-Length", str(len(text)))])
        # A refusal needs no body, and an app that accepts may not see it.
        wait_until(
            lambda: "sent" in events(server, key_of(path)) or _has_answer(connection), "an answer"
        )
        connection.send(text + frame(PING, b"?"))
        response = connection.read_head()
        if response.status != 101:
            assert response.status == 400
            return
        assert WebSocket(connection).read_frame() == Frame(PONG, b"?")
        assert WebSocket(connection).close() == (1000, "")
    wait_until(lambda: len(events(server, key_of(path))) == 3, "the disconnect")
    assert events(server, key_of(path))[2]["type"] == "websocket.disconnect"


def _has_answer(connection: RawConnection) -> bool:
    return bool(select.select([connection.socket], [], [], 0)[0])


# --- frames --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 125, 126, 127, 1000, MAX])
def test_messages_of_any_size_come_back(chat: WebSocket, size: int) -> None:
    data = bytes(n % 251 for n in range(size))
    chat.binary(data)
    assert chat.read() == data


def test_large_messages_come_back() -> None:
    with serve_websockets() as server, websocket(server, "/echo") as chat:
        for size in (65535, 65536, 1_000_000, 16 * 1024 * 1024):
            data = (b"0123456789abcdef" * (size // 16 + 1))[:size]
            chat.binary(data)
            assert chat.read() == data
        chat.send(b"\x82\xff" + (16 * 1024 * 1024 + 1).to_bytes(8) + b"mask")
        assert chat.read_end()[0] == 1009  # the default of --ws-max-size


def test_frames_may_come_byte_by_byte(chat: WebSocket) -> None:
    def send_bytes(data: bytes) -> None:
        for byte in data:
            chat.send(bytes([byte]))

    # One by one: a ping is answered before the app has answered a message.
    send_bytes(frame(TEXT, "tëxt".encode()))
    assert chat.read() == "tëxt"
    send_bytes(frame(PING, b"?"))
    assert chat.read_frame() == Frame(PONG, b"?")
    send_bytes(frame(BINARY, b"x" * 200))
    assert chat.read() == b"x" * 200


def test_many_frames_may_come_at_once(chat: WebSocket) -> None:
    chat.send(*(frame(TEXT, str(number).encode()) for number in range(3000)))
    assert [chat.read() for _ in range(3000)] == [str(number) for number in range(3000)]


def test_longer_lengths_than_need_be_are_understood_or_refused(chat: WebSocket) -> None:
    chat.send(b"\x81\xfe\x00\x01" + b"\0\0\0\0" + b"x")
    got = chat.read_frame()
    assert got == Frame(TEXT, b"x") or got.payload[:2] == (1002).to_bytes(2)


def test_fragments_make_one_message(chat: WebSocket) -> None:
    chat.send(frame(TEXT, b"one", fin=False), frame(CONTINUATION, b" two", fin=False))
    chat.send(frame(CONTINUATION, b"", fin=False))
    chat.send(frame(CONTINUATION, b" three"))
    assert chat.read() == "one two three"
    chat.send(frame(BINARY, b"", fin=False), frame(CONTINUATION, b""))
    assert chat.read() == b""


def test_control_frames_between_fragments_are_answered_at_once(chat: WebSocket) -> None:
    chat.send(frame(TEXT, b"one", fin=False), frame(PING, b"between"))
    assert chat.read_frame() == Frame(PONG, b"between")
    chat.send(frame(PONG, b"unasked for"), frame(CONTINUATION, b" two"))
    assert chat.read() == "one two"


def test_close_between_fragments_closes(server: Server) -> None:
    key = new_key()
    with websocket(server, f"/echo?{key}") as chat:
        chat.send(frame(TEXT, b"one", fin=False))
        assert chat.close(3000) == (3000, "")
    wait_for_events(server, key, [{"type": "websocket.disconnect", "code": 3000, "reason": ""}])


@pytest.mark.parametrize("payload", [b"", b"x", b"\0\xff" * 60, b"x" * 125])
def test_ping_is_answered_with_its_payload(chat: WebSocket, payload: bytes) -> None:
    chat.send(frame(PING, payload))
    assert chat.read_frame() == Frame(PONG, payload)


def test_each_of_many_pings_is_answered_in_order(chat: WebSocket) -> None:
    chat.send(*(frame(PING, str(number).encode()) for number in range(1000)))
    for number in range(1000):
        assert chat.read_frame() == Frame(PONG, str(number).encode())


def test_pings_are_answered_while_the_app_is_busy(server: Server) -> None:
    path = write_script(server, ACCEPT, "gate")
    with websocket(server, path) as chat:
        chat.text("nobody takes this")
        chat.assert_open()
        open_gate(server, key_of(path))


VIOLATIONS = {
    "unmasked": frame(TEXT, b"x", masked=False),
    "unmasked ping": frame(PING, masked=False),
    "reserved bit 1 without compression": frame(TEXT, b"x", rsv=4),
    "reserved bit 2": frame(TEXT, b"x", rsv=2),
    "reserved bit 3": frame(TEXT, b"x", rsv=1),
    "reserved bit of a ping": frame(PING, b"x", rsv=4),
    "reserved opcode 3": frame(3, b"x"),
    "reserved opcode 7": frame(7, b"x"),
    "reserved opcode 11": frame(11),
    "reserved opcode 15": frame(15),
    "fragmented ping": frame(PING, b"x", fin=False),
    "fragmented close": frame(CLOSE, b"", fin=False),
    "ping of 126 bytes": frame(PING, b"x" * 126),
    "close of 126 bytes": close_frame(1000, b"x" * 124),
    "continuation of nothing": frame(CONTINUATION, b"x"),
    "message within a message": frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"),
    "reserved bit of a continuation": frame(TEXT, b"x", fin=False)
    + frame(CONTINUATION, b"y", rsv=4),
    "length with its top bit set": b"\x82\xff\x80" + bytes(7) + b"mask",
    "half a code": frame(CLOSE, b"\x03"),
    **{
        f"close code {code}": close_frame(code)
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    },
}


@pytest.mark.parametrize("case", VIOLATIONS)
def test_violation_closes_with_1002_and_the_app_is_told(server: Server, case: str) -> None:
    key, log = new_key(), LogFrom(server)
    with websocket(server, f"/echo?{key}") as chat:
        chat.send(frame(TEXT, b"before"), VIOLATIONS[case], frame(TEXT, b"behind"))
        assert chat.read() == "before"
        assert chat.read_end()[0] == 1002
    wait_until(lambda: events(server, key), "the disconnect")
    told = events(server, key)
    assert [(event["type"], event["code"]) for event in told] == [("websocket.disconnect", 1002)]
    text = log.text()
    assert "Traceback" not in text
    assert " error " not in text


@pytest.mark.parametrize(
    "frames",
    [
        [frame(TEXT, b"\xff")],
        [frame(TEXT, b"\xc0\xaf")],
        [frame(TEXT, b"\xed\xa0\x80")],
        [frame(TEXT, b"\xf4\x90\x80\x80")],
        [frame(TEXT, EURO[:2])],
        [frame(TEXT, EURO[:2], fin=False), frame(CONTINUATION, b"x")],
        [frame(TEXT, b"good", fin=False), frame(CONTINUATION, b"\xff")],
        [frame(TEXT, EURO[:1], fin=False), frame(CONTINUATION)],
        [close_frame(1000, b"\xff")],
    ],
)
def test_text_that_is_not_utf_8_closes_with_1007(chat: WebSocket, frames: list[bytes]) -> None:
    chat.send(*frames)
    assert chat.read_end()[0] == 1007


@pytest.mark.parametrize(
    "begun", [frame(TEXT, b"x\xff", fin=False), frame(TEXT, b"x\xff" + b"y" * 100)[:20]]
)
def test_text_that_is_not_utf_8_is_found_before_its_end(chat: WebSocket, begun: bytes) -> None:
    chat.send(begun)
    assert chat.read_end()[0] == 1007


def test_characters_may_be_split_over_frames(chat: WebSocket) -> None:
    smile = "\U0001f600".encode()
    chat.send(frame(TEXT, EURO[:1], fin=False), frame(CONTINUATION, EURO[1:2], fin=False))
    chat.send(frame(CONTINUATION, b"", fin=False))
    chat.send(frame(CONTINUATION, EURO[2:] + smile[:3], fin=False))
    chat.send(frame(CONTINUATION, smile[3:]))
    assert chat.read() == "€\U0001f600"
    whole = frame(TEXT, EURO * 30)
    for at in range(7, 13):
        chat.send(whole[:at])
        chat.send(whole[at:])
        assert chat.read() == "€" * 30


def test_binary_need_not_be_utf_8(chat: WebSocket) -> None:
    chat.send(frame(BINARY, b"\xff", fin=False), frame(CONTINUATION, b"\xfe"))
    assert chat.read() == b"\xff\xfe"


@pytest.mark.parametrize(
    "frames",
    [
        [frame(BINARY, b"x" * (MAX + 1))],
        [frame(BINARY, b"x" * (MAX + 1))[:8]],  # its length says it
        [frame(BINARY, b"x" * MAX, fin=False), frame(CONTINUATION, b"y")],
        [frame(TEXT, b"x", fin=False), *[frame(CONTINUATION, b"y", fin=False)] * MAX],
        [b"\x82\xff\x7f" + b"\xff" * 7 + b"mask"],
    ],
)
def test_message_larger_than_the_limit_closes_with_1009(
    server: Server, frames: list[bytes]
) -> None:
    key = new_key()
    with websocket(server, f"/echo?{key}") as chat:
        chat.send(*frames)
        assert chat.read_end()[0] == 1009
    wait_until(lambda: events(server, key), "the disconnect")
    assert events(server, key)[0]["code"] == 1009


def test_limit_counts_each_message_by_itself(chat: WebSocket) -> None:
    for _ in range(3):
        chat.send(frame(BINARY, b"x" * (MAX - 1), fin=False), frame(CONTINUATION, b"y"))
        assert len(chat.read()) == MAX


# --- the close -----------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 4999])
def test_clients_close_is_answered_with_its_code_and_the_end(chat: WebSocket, code: int) -> None:
    assert chat.close(code, "reason") == (code, "")


def test_clients_close_without_a_code_is_answered_without_one(chat: WebSocket) -> None:
    assert chat.close(None) == (None, "")


def test_nothing_behind_the_clients_close_is_looked_at(server: Server) -> None:
    key = new_key()
    with websocket(server, f"/echo?{key}") as chat:
        chat.send(close_frame(1000), frame(TEXT, b"late"), frame(PING), b"\xff\xff")
        assert chat.read_end() == (1000, "")
    wait_for_events(server, key, [{"type": "websocket.disconnect", "code": 1000, "reason": ""}])


def test_server_that_closes_waits_for_the_clients_close_before_it_ends(server: Server) -> None:
    path = write_script(server, ACCEPT, {"type": "websocket.close", "code": 3000})
    with websocket(server, path) as chat:
        assert chat.read_close() == (3000, "")
        chat.send(frame(TEXT, b"late"), frame(BINARY, b"x" * 5000, fin=False))
        chat.assert_open()  # a ping is still answered
        chat.send(frame(CONTINUATION, b""), close_frame(3000))
        assert chat.wire.read_until_close() == b""


def test_server_that_closed_ends_when_the_client_just_leaves(server: Server) -> None:
    path = write_script(server, ACCEPT, {"type": "websocket.close", "code": 3000}, "receive")
    with server.connect() as connection:
        handshake(connection, path)
        read_switch(connection)
        chat = WebSocket(connection)
        assert chat.read_close() == (3000, "")
        connection.finish_sending()
        assert connection.read_until_close() == b""


def test_both_may_close_at_once(server: Server) -> None:
    path = write_script(server, ACCEPT, "gate", {"type": "websocket.close", "code": 3001})
    with websocket(server, path) as chat:
        wait_for_events(server, key_of(path), ["sent", "at the gate"])
        open_gate(server, key_of(path))
        chat.send(close_frame(3002))
        assert chat.read_end()[0] in (3001, 3002)


def test_violation_behind_the_message_that_the_app_closes_on_gives_one_close_frame(
    server: Server,
) -> None:
    close = {"type": "websocket.close", "code": 3000}
    path = write_script(server, "receive", ACCEPT, "receive", close)
    with websocket(server, path) as chat:
        chat.send(frame(TEXT, b"good"), frame(3, b"bad"))
        assert chat.read_close()[0] in (3000, 1002)
        chat.send(close_frame(3000))
        assert chat.wire.read_until_close() == b""


def test_violation_behind_the_message_after_which_the_app_ends_gives_one_close_frame(
    server: Server,
) -> None:
    path = write_script(server, "receive", ACCEPT, "receive")
    with websocket(server, path) as chat:
        chat.send(frame(TEXT, b"good"), frame(3, b"bad"))
        assert chat.read_close()[0] in (1000, 1002)
        chat.send(close_frame(1000))
        assert chat.wire.read_until_close() == b""


def test_nothing_follows_the_answer_to_the_clients_close(server: Server) -> None:
    for _ in range(150):
        with websocket(server, "/chatter") as chat:
            assert chat.read() == "chatter"
            chat.send(close_frame(3000))
            while (got := chat.read_frame()) == Frame(TEXT, b"chatter"):
                pass
            assert got == Frame(CLOSE, (3000).to_bytes(2))
            assert chat.wire.read_until_close() == b""


def test_masks_of_any_key_are_undone(chat: WebSocket) -> None:
    for key in (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x01\x80\x7f\x00"):
        chat.send(b"\x82\x8d" + key + mask(b"thirteen byte", key))
        assert chat.read() == b"thirteen byte"


def test_websocket_is_in_the_access_log() -> None:
    with serve_websockets("--access-log") as server:
        with websocket(server, "/echo") as chat:
            chat.close()
        wait_until(
            lambda: [line for line in server.output() if "/echo" in line and "101" in line],
            "the line in the access log",
        )
