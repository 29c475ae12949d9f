"""WebSockets of flask-sock under WSGI (apps/flask_sock_app.py), with websocket-client."""

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import niquests
import pytest
import websocket

from .serving import REFERENCE, Server, Setup, eventually, in_parallel, serve

MEGABYTE = 1024 * 1024

# It hands out its own socket: with what it has read from it lost, without a choice, and closed
# while the close frame is under way.
beyond_gunicorn = pytest.mark.skipif(REFERENCE, reason="asked of us, not of the reference")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("flask-sock")
    with serve("flask_sock_app:app", Setup("wsgi", 1), folder) as server:
        yield server


@contextmanager
def connected(server: Server, path: str, **options: object) -> Iterator[websocket.WebSocket]:
    """A WebSocket; its connection is cut at the end, without a word."""
    url = f"ws://127.0.0.1:{server.port}{path}"
    ws = websocket.create_connection(url, timeout=20, **options)
    try:
        yield ws
    finally:
        ws.shutdown()


def close_frame(ws: websocket.WebSocket) -> tuple[int, str]:
    opcode, data = ws.recv_data(control_frame=True)
    assert opcode == websocket.ABNF.OPCODE_CLOSE
    return struct.unpack("!H", data[:2])[0], data[2:].decode()


# --- messages -----------------------------------------------------------------------------------


def test_text_and_binary_come_back_as_what_they_were(server: Server) -> None:
    with connected(server, "/echo") as ws:
        for text in ("hello", "", "Grüße 東京 🚀"):
            ws.send(text)
            assert ws.recv_data() == (websocket.ABNF.OPCODE_TEXT, text.encode())
        for data in (b"", bytes(range(256))):
            ws.send_binary(data)
            assert ws.recv_data() == (websocket.ABNF.OPCODE_BINARY, data)


@pytest.mark.parametrize("size", [125, 126, 65_535, 65_536, MEGABYTE])
def test_message_of_each_size_comes_back_whole(server: Server, size: int) -> None:
    data = os.urandom(size)
    with connected(server, "/echo") as ws:
        for _ in range(2):
            ws.send_binary(data)
            assert ws.recv() == data


def test_message_in_fragments_comes_back_in_one(server: Server) -> None:
    with connected(server, "/echo") as ws:
        text, more = websocket.ABNF.OPCODE_TEXT, websocket.ABNF.OPCODE_CONT
        for data, opcode, last in (("one ", text, 0), ("two ", more, 0), ("three", more, 1)):
            ws.send_frame(websocket.ABNF.create_frame(data, opcode, last))
        assert ws.recv() == "one two three"


def test_many_messages_sent_ahead_come_back_in_order(server: Server) -> None:
    with connected(server, "/echo") as ws:
        for number in range(500):
            ws.send(f"message {number}")
        assert [ws.recv() for _ in range(500)] == [f"message {number}" for number in range(500)]


def test_ping_is_answered_with_its_data(server: Server) -> None:
    with connected(server, "/echo") as ws:
        ws.ping("are you there")
        opcode, data = ws.recv_data(control_frame=True)
        assert (opcode, data) == (websocket.ABNF.OPCODE_PONG, b"are you there")
        ws.send("still")
        assert ws.recv() == "still"


# --- the handshake ------------------------------------------------------------------------------


def test_view_sees_path_query_and_cookies_and_speaks_first(server: Server) -> None:
    with connected(server, "/greet/Zo%C3%AB?title=Dr+%C3%84", cookie="seen=yes") as ws:
        assert ws.recv() == "Hello Zoë, Dr Ä, yes"


def test_subprotocol_is_agreed(server: Server) -> None:
    with connected(server, "/echo", subprotocols=["other", "chat.v1"]) as ws:
        assert ws.getsubprotocol() == "chat.v1"


@beyond_gunicorn
def test_message_that_follows_the_handshake_at_once_is_not_lost(server: Server) -> None:
    # b"early" in a masked text frame (the mask is zero), in one packet with the request.
    head = (
        f"GET /echo HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    connection = server.connect()
    connection.connect()
    try:
        connection.sock.sendall(head.encode() + b"\x81\x85\0\0\0\0early")
        with connection.sock.makefile("rb") as answer:
            assert answer.readline() == b"HTTP/1.1 101 Switching Protocols\r\n"
            lines = list(iter(answer.readline, b"\r\n"))
            assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in lines
            assert answer.read(7) == b"\x81\x05early"
    finally:
        connection.close()


@beyond_gunicorn
def test_route_may_answer_a_request_to_upgrade_as_any_other(server: Server) -> None:
    headers = {"Upgrade": "other/1", "Connection": "Upgrade"}
    with niquests.Session(base_url=server.url) as session:
        for _ in range(3):
            response = session.get("/either", headers=headers)
            assert (response.status_code, response.text) == (200, "could upgrade")
            assert session.get("/either").text == "could not"


def test_werkzeug_refuses_a_websocket_on_an_ordinary_route(server: Server) -> None:
    for path, status in (("/plain", 400), ("/none", 404)):
        with pytest.raises(websocket.WebSocketBadStatusException) as refused:
            websocket.create_connection(f"ws://127.0.0.1:{server.port}{path}", timeout=20)
        assert refused.value.status_code == status


# --- the end ------------------------------------------------------------------------------------


def test_view_learns_the_clients_close_code_and_confirms_it(server: Server) -> None:
    with connected(server, "/watched/polite") as ws:
        ws.send("x")
        assert ws.recv() == "x"
        ws.send_close(4321, b"enough")
        assert close_frame(ws)[0] == 4321
        assert ws.sock.recv(1) == b""
    assert server.recorded("polite closed 4321 enough")


@beyond_gunicorn
@pytest.mark.parametrize("code", [1000, 1011, 4000])
def test_client_learns_the_views_close_code(server: Server, code: int) -> None:
    with connected(server, f"/close/{code}") as ws:
        ws.send("go on")
        assert close_frame(ws) == (code, "go away")
        ws.send_close(code)
        assert ws.sock.recv(1) == b""


@beyond_gunicorn
def test_view_that_returns_closes_with_1000(server: Server) -> None:
    with connected(server, "/returns") as ws:
        assert ws.recv() == "the only message"
        assert close_frame(ws)[0] == 1000
        ws.send_close(1000)
        assert ws.sock.recv(1) == b""


def test_view_ends_when_the_client_is_gone_without_a_word(server: Server) -> None:
    with connected(server, "/watched/rude") as ws:
        ws.send("x")
        assert ws.recv() == "x"
    assert eventually(lambda: any(event.startswith("rude closed") for event in server.events()))


def test_exception_in_a_view_is_in_the_log_and_the_server_lives_on(
    client: niquests.Session, server: Server
) -> None:
    with connected(server, "/fails") as ws:
        ws.send("go on")
        assert eventually(lambda: "ZeroDivisionError: the WebSocket divides" in server.log())
    assert client.get("/plain").status_code == 200


# --- many at once -------------------------------------------------------------------------------


def test_several_clients_talk_at_once_beside_ordinary_routes(server: Server) -> None:
    def talk(number: int) -> bool:
        if number >= 8:
            with niquests.Session(base_url=server.url) as session:
                answers = [session.get(f"/plain?n={number}").json() for _ in range(20)]
            return all(answer["query"] == {"n": str(number)} for answer in answers)
        with connected(server, "/echo") as ws:
            for turn in range(50):
                message = f"{number} {turn} " + "x" * (turn * 100)
                ws.send(message)
                if ws.recv() != message:
                    return False
        return True

    assert in_parallel(12, talk) == [True] * 12


def test_what_one_client_says_all_hear(server: Server) -> None:
    with (
        connected(server, "/room/1") as one,
        connected(server, "/room/1") as two,
        connected(server, "/room/2") as elsewhere,
    ):
        assert [ws.recv() for ws in (one, two, elsewhere)] == ["joined"] * 3
        one.send("hello all")
        two_heard = two.recv()
        elsewhere.send("only here")
        assert (one.recv(), two_heard, elsewhere.recv()) == ("hello all", "hello all", "only here")


def test_threads_of_closed_websockets_are_free_again(server: Server) -> None:
    # Twice as many as there are threads, one after the other.
    for number in range(40):
        with connected(server, "/echo") as ws:
            ws.send(str(number))
            assert ws.recv() == str(number)
            ws.send_close(1000)
            assert close_frame(ws)[0] == 1000


@beyond_gunicorn
def test_open_websockets_do_not_hold_up_a_stop(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("stop")
    env = {"GOHTTP_GRACEFUL_TIMEOUT": "0.5"}
    with (
        serve("flask_sock_app:app", Setup("wsgi", 1), folder, env=env) as server,
        connected(server, "/watched/stopped") as ws,
    ):
        ws.send("x")
        assert ws.recv() == "x"
        server.terminate()
        assert server.wait() == 0
