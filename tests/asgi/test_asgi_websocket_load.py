"""WebSockets that are silent, slow, many, or in the way of a stop."""

import itertools
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from asgi_helpers import LOOPS, LogFrom, events, new_key, open_gate, wait_for_events
from support import RawConnection, Server, rss, wait_until
from websocket_client import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    Frame,
    H2Connection,
    WebSocket,
    close_frame,
    frame,
    handshake,
    key_of,
    read_switch,
    serve_websockets,
    websocket,
    write_script,
)
from websocket_messages import ACCEPT, disconnect

MIB = 1024 * 1024
SPARE = 32 * MIB  # windows and the kernel's buffers are below, what is sent far above


@pytest.fixture(scope="module", params=LOOPS)
def loop(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def server(loop: str) -> Iterator[Server]:
    with serve_websockets("--loop", loop) as server:
        yield server


@pytest.fixture(scope="module")
def pinging(loop: str) -> Iterator[Server]:
    """Pings after 0.2 s, and waits 0.4 s for the answer."""
    options = ("--ws-ping-interval", "0.2", "--ws-ping-timeout", "0.4")
    with serve_websockets("--loop", loop, *options) as server:
        yield server


# --- pings ---------------------------------------------------------------------------------------


def test_silent_client_is_pinged_and_lives_while_it_answers(pinging: Server) -> None:
    with websocket(pinging, "/echo") as chat:
        for _ in range(2):
            got = chat.read_frame()
            assert got.opcode == PING
            chat.send(frame(PONG, got.payload))
        chat.text("alive")
        assert chat.read() == "alive"


def test_any_frame_is_a_sign_of_life(pinging: Server) -> None:
    with websocket(pinging, "/echo") as chat:
        for number in range(2):
            assert chat.read_frame().opcode == PING
            chat.text(str(number))
            assert chat.read() == str(number)


def test_client_that_does_not_answer_is_cut_and_the_app_told(pinging: Server) -> None:
    key, log = new_key(), LogFrom(pinging)
    with websocket(pinging, f"/echo?{key}") as chat:
        begun = time.monotonic()
        assert chat.read_frame().opcode == PING
        assert chat.read_end()[0] == 1011
        assert 0.5 < time.monotonic() - begun < 5
        wait_for_events(pinging, key, [disconnect(1006)])
    assert "did not answer a ping" in log.text()


def test_client_that_speaks_is_not_pinged(pinging: Server) -> None:
    with websocket(pinging, "/echo") as chat:
        begun = time.monotonic()
        while time.monotonic() - begun < 0.7:
            chat.text("speaking")
            assert chat.read_frame() == Frame(TEXT, b"speaking")


def test_no_pings_with_an_interval_of_0() -> None:
    with (
        serve_websockets("--ws-ping-interval", "0", "--ws-ping-timeout", "0.1") as server,
        server.connect(timeout=0.5) as connection,
    ):
        handshake(connection, "/echo")
        read_switch(connection)
        with pytest.raises(TimeoutError):
            connection.read_exactly(1)


def test_client_is_not_cut_because_the_app_is_slow(pinging: Server) -> None:
    """Nothing is read while the app takes nothing: the client's pongs wait unread."""
    key = new_key()
    with websocket(pinging, f"/hold?{key}") as chat:
        wait_for_events(pinging, key, ["holding"])
        chat.binary(b"x" * 60_000)
        chat.binary(b"x" * 60_000)
        for _ in range(4):
            got = chat.read_frame()
            assert got.opcode == PING, got
            chat.send(frame(PONG, got.payload))
        open_gate(pinging, key)
        chat.text("end")
        while (got := chat.read_frame()).opcode == PING:
            chat.send(frame(PONG, got.payload))
        assert got == Frame(TEXT, b"[2, 120000]")


def test_client_is_not_cut_while_it_takes_a_large_message_slowly(pinging: Server) -> None:
    size = 12 * MIB
    with websocket(pinging, f"/large?{size}", receive_buffer=65536) as chat:
        head, left = chat.wire.read_exactly(10), size
        assert head[0] == 0x80 | BINARY
        begun = time.monotonic()
        while left:
            left -= len(chat.wire.read_exactly(min(left, 65536)))
            # Slow, but never silent for long: 1.5 s for all of it.
            pause = begun + 1.5 * (size - left) / size - time.monotonic()
            time.sleep(max(pause, 0))
        got = chat.read_frame()
        assert got.opcode == PING, got
        chat.send(frame(PONG, got.payload))
        chat.send(close_frame(1000))
        while (got := chat.read_frame()).opcode == PING:
            pass
        assert got == Frame(CLOSE, (1000).to_bytes(2))


def test_pings_on_http_2(pinging: Server) -> None:
    key = new_key()
    with H2Connection(pinging) as connection:
        chat = connection.websocket(f"/echo?{key}")
        got = chat.read_frame()
        assert got.opcode == PING
        chat.send(frame(PONG, got.payload))
        assert chat.read_frame().opcode == PING
        assert chat.read_end()[0] == 1011
    wait_for_events(pinging, key, [disconnect(1006)])


# --- back-pressure -------------------------------------------------------------------------------


def progress_stands(server: Server, key: str, limit: int) -> int:
    """How often the app could send until it had to wait; others are served meanwhile."""
    seen: list[int] = []

    def stands_still() -> bool:
        assert server.get("/ok").body == b"ok"
        seen.append(events(server, f"{key}-progress")[0])
        assert seen[-1] < limit, "send() does not wait"
        return len(seen) > 50 and len(set(seen[-50:])) == 1 and seen[-1] > 0

    wait_until(stands_still, "the app to wait")
    return seen[-1]


def test_app_waits_for_a_client_that_does_not_read(server: Server) -> None:
    key = new_key()
    server.get("/ok")
    before = rss(server.pid)
    with websocket(server, f"/flood?{key}") as chat:
        progress_stands(server, key, SPARE // 65536)
        assert rss(server.pid) - before < SPARE
        for _ in range(1000):
            assert len(chat.read()) == 65536
        assert rss(server.pid) - before < SPARE
    wait_for_events(server, key, ["OSError"])


def test_app_waits_for_a_client_that_does_not_read_on_http_2(server: Server) -> None:
    key = new_key()
    before = rss(server.pid)
    with H2Connection(server) as connection:
        connection.acknowledge = False
        connection.websocket(f"/flood?{key}")
        progress_stands(server, key, SPARE // 65536)
        assert rss(server.pid) - before < SPARE
    wait_for_events(server, key, ["OSError"])


def send_until_blocked(connection: RawConnection, data: bytes) -> int:
    """Bytes that the server took, at most 64 MiB, until it took nothing for a while."""
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)
    connection.socket.settimeout(0.3)
    sent = 0
    try:
        while sent < 2 * SPARE:
            sent += connection.socket.send(data[sent % len(data) :])
    except TimeoutError:
        pass
    connection.socket.settimeout(10)
    return sent


def test_client_waits_for_an_app_that_does_not_take(server: Server) -> None:
    key, one = new_key(), frame(BINARY, b"x" * 10_000)
    before = rss(server.pid)
    with server.connect() as connection:
        handshake(connection, f"/hold?{key}")
        read_switch(connection)
        wait_for_events(server, key, ["holding"])
        sent = send_until_blocked(connection, one)
        assert sent < SPARE
        assert rss(server.pid) - before < SPARE
        assert server.get("/ok").body == b"ok"
        open_gate(server, key)
        chat = WebSocket(connection)
        chat.send(one[sent % len(one) :] if sent % len(one) else b"", frame(TEXT, b"end"))
        count = -(-sent // len(one))
        assert chat.read_json() == [count, count * 10_000]


def test_small_messages_for_an_app_that_does_not_take_are_bounded_too(server: Server) -> None:
    key = new_key()
    before = rss(server.pid)
    with server.connect() as connection:
        handshake(connection, f"/hold?{key}")
        read_switch(connection)
        wait_for_events(server, key, ["holding"])
        assert send_until_blocked(connection, frame(BINARY) * 10_000) < SPARE
        assert rss(server.pid) - before < SPARE
    open_gate(server, key)
    wait_until(lambda: len(events(server, key)) == 2, "the disconnect")
    assert events(server, key)[1] == disconnect(1006)


def test_client_that_sends_before_the_accept_has_to_wait(server: Server) -> None:
    path = write_script(server, "receive", "gate", ACCEPT)
    before = rss(server.pid)
    with server.connect() as connection:
        handshake(connection, path)
        wait_until(lambda: "at the gate" in events(server, key_of(path)), "the gate")
        assert send_until_blocked(connection, frame(BINARY, b"x" * 10_000)) < SPARE
        assert rss(server.pid) - before < SPARE
    open_gate(server, key_of(path))


def test_pings_of_a_client_that_reads_no_answer_are_bounded(server: Server) -> None:
    before = rss(server.pid)
    with server.connect() as connection:
        handshake(connection, "/echo")
        read_switch(connection)
        assert send_until_blocked(connection, frame(PING, b"x" * 125) * 100) < SPARE
        assert rss(server.pid) - before < SPARE


def test_messages_larger_than_all_windows_pass_both_ways(server: Server) -> None:
    data = b"0123456789abcdef" * (MIB // 2)
    with websocket(server, "/echo") as chat:
        for _ in range(3):
            chat.binary(data)
            assert chat.read() == data


def test_memory_of_large_messages_is_given_back(server: Server) -> None:
    with websocket(server, "/echo") as chat:
        for number in range(12):
            chat.binary(b"x" * 4 * MIB)
            assert len(chat.read()) == 4 * MIB
            if number == 3:
                before = rss(server.pid)
        assert rss(server.pid) - before < SPARE


def test_client_that_takes_nothing_is_cut_after_the_write_timeout() -> None:
    options = ("--ws-ping-interval", "0", "--write-timeout", "1")
    with serve_websockets(*options) as server:
        large = {"type": "websocket.send", "bytes": b"x" * 12 * MIB}
        path = write_script(server, "receive", ACCEPT, large, "receive")
        with websocket(server, path, receive_buffer=65536):
            wait_until(lambda: len(events(server, key_of(path))) == 4, "the cut", timeout=5)
        assert events(server, key_of(path))[3] == disconnect(1006)


# --- many ----------------------------------------------------------------------------------------


def test_hundreds_of_websockets_at_once(server: Server) -> None:
    count, log = 400, LogFrom(server)
    before = rss(server.pid)
    with ExitStack() as stack:
        connections = [stack.enter_context(server.connect()) for _ in range(count)]
        for connection in connections:
            handshake(connection, "/echo")
        chats = [WebSocket(connection) for connection in connections]
        for connection in connections:
            read_switch(connection)
        for turn, (number, chat) in itertools.product(range(3), enumerate(chats)):
            chat.text(f"{number} {turn}")
        for number, chat in enumerate(chats):
            assert [chat.read() for _ in range(3)] == [f"{number} {turn}" for turn in range(3)]
        assert (rss(server.pid) - before) / count < 64 * 1024
        for chat in chats:
            assert chat.close() == (1000, "")
    assert "error" not in log.text()


def test_websockets_that_come_and_go_leave_nothing(server: Server) -> None:
    def come_and_go(count: int) -> None:
        for _ in range(count):
            with websocket(server, "/echo") as chat:
                chat.binary(b"x" * 1000)
                assert chat.read() == b"x" * 1000
                chat.close()

    come_and_go(300)
    before = rss(server.pid)
    come_and_go(600)
    assert rss(server.pid) - before < 3 * MIB


# --- the stop ------------------------------------------------------------------------------------


@pytest.mark.parametrize("loop", LOOPS)
def test_stop_closes_with_1001_and_the_server_ends_in_time(loop: str) -> None:
    key = new_key()
    with serve_websockets("--loop", loop) as server:
        with ExitStack() as stack:
            chats = [stack.enter_context(websocket(server, f"/echo?{key}")) for _ in range(20)]
            for chat in chats:
                chat.text("here")
                assert chat.read() == "here"
            begun = time.monotonic()
            server.signal(signal.SIGTERM)
            for chat in chats:
                code, _ = chat.read_close()
                assert code == 1001
                chat.send(close_frame(1001))
                assert chat.wire.read_until_close() == b""
        chat.wire.close()
        assert server.wait() == 0
        assert time.monotonic() - begun < 4
        assert not [line for line in server.log() if "Traceback" in line or " error " in line]


@pytest.mark.parametrize("loop", LOOPS)
def test_stop_closes_with_1001_on_http_2(loop: str) -> None:
    with serve_websockets("--loop", loop) as server, H2Connection(server) as connection:
        chat = connection.websocket("/echo")
        server.signal(signal.SIGTERM)
        assert chat.read_close()[0] == 1001
        chat.send(close_frame(1001))
        assert chat.wire.read_until_close() == b""
        chat.wire.close()
        assert server.wait() == 0


@pytest.mark.parametrize("loop", LOOPS)
def test_stop_does_not_wait_for_a_client_that_does_not_answer(loop: str) -> None:
    with serve_websockets("--loop", loop, "--graceful-timeout", "1", exit_code=None) as server:
        key = new_key()
        with websocket(server, f"/echo?{key}") as silent, websocket(server, f"/flood?{key}"):
            begun = time.monotonic()
            server.signal(signal.SIGTERM)
            assert silent.read_close()[0] == 1001
            server.wait()
            assert time.monotonic() - begun < 5


@pytest.mark.parametrize("loop", LOOPS)
def test_handshake_that_is_answered_during_the_stop_still_gets_its_1001(loop: str) -> None:
    with serve_websockets("--loop", loop) as server:
        path = write_script(server, "receive", ("receive", 0.3), ACCEPT, "receive")
        with server.connect() as connection:
            handshake(connection, path)
            wait_until(lambda: events(server, key_of(path)), "the app to be called")
            server.signal(signal.SIGTERM)
            response = connection.read_head()
            if response.status == 101:
                chat = WebSocket(connection)
                assert chat.read_close()[0] == 1001
                chat.send(close_frame(1001))
            else:
                assert response.status == 503
        assert server.wait() == 0


def test_app_is_told_of_the_stop() -> None:
    with serve_websockets() as server:
        path = write_script(server, "receive", ACCEPT, "receive", "raise")
        with websocket(server, path) as chat:
            server.signal(signal.SIGTERM)
            assert chat.read_close()[0] == 1001
            chat.send(close_frame(1001))
        server.wait()
        # It came out of receive(), and went on to its error.
        assert [line for line in server.log() if "the app's own error" in line]
