"""Neither a slow client nor a slow app makes the server hold what it cannot pass on."""

import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
from conversation import Conversation, connect, each_face, resident
from support import Server, wait_until

MEGABYTE = 1_000_000
SPARE = 40 * MEGABYTE  # windows and kernel buffers are far below, the bodies far above


@each_face
def test_a_client_that_does_not_read_does_not_fill_the_servers_memory(server: Server) -> None:
    before = resident(server)
    connections = [connect(server, receive_buffer=4096) for _ in range(5)]
    try:
        for connection in connections:
            connection.send_request("GET", f"/_stream/{300 * MEGABYTE}")
        for connection in connections:
            assert connection.read_head().status == 200
            for _ in range(50):
                assert connection.read_chunk()
        assert resident(server) - before < SPARE
        # Others are served meanwhile.
        assert server.get("/").status == 200
    finally:
        for connection in connections:
            connection.reset()


@each_face
def test_hundreds_of_megabytes_pass_through_little_memory(server: Server) -> None:
    before, most, left = resident(server), 0, 200 * MEGABYTE
    with connect(server) as connection:
        connection.send(b"GET /_stream/%d HTTP/1.0\r\n\r\n" % left)
        assert connection.read_head().status == 200
        while not connection.at_end():
            left -= len(connection.read_available())
            most = max(most, resident(server) if left % 64 == 0 else 0)
    assert left == 0
    assert max(most, resident(server)) - before < SPARE


@each_face
def test_an_app_that_does_not_read_makes_the_client_wait(server: Server) -> None:
    key = f"pressure-{server.pid}"
    before = resident(server)
    with connect(server) as connection:
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)
        connection.send(
            b"POST /_hold?%s HTTP/1.1\r\nHost: test\r\nContent-Length: 500000000\r\n\r\n"
            % key.encode()
        )
        wait_until(lambda: f"holding {key}" in server.output(), "the app to hold")
        connection.socket.settimeout(1)
        sent, blocked = 0, False
        while sent < SPARE and not blocked:
            try:
                sent += connection.socket.send(b"a" * 65536)
            except TimeoutError:
                blocked = True
        assert blocked
        assert resident(server) - before < SPARE
        assert server.get(f"/_release?{key}").body == b"released"
        connection.socket.settimeout(10)
        assert connection.read_response().body == b"held"


@pytest.mark.parametrize("face", ["wsgi", "asgi"])
def test_a_large_upload_passes_through_little_memory(server: Server) -> None:
    size = 200 * MEGABYTE
    before, most = resident(server), 0
    with connect(server) as connection:
        connection.send(b"POST /_count HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(200):
            connection.send(b"a" * MEGABYTE)
            most = max(most, resident(server))
        assert connection.read_response().body == b"%d" % size
    assert most - before < SPARE


THREADS = 16  # the default; an app that streams to a slow client keeps one of them busy


def small_uploads(server: Server, framing: bytes) -> list[Conversation]:
    slow = [connect(server) for _ in range(3 * THREADS)]
    for connection in slow:
        connection.send(b"POST / HTTP/1.1\r\nHost: test\r\n" + framing)
    return slow


def downloads(server: Server, count: int) -> list[Conversation]:
    slow = [connect(server, receive_buffer=4096) for _ in range(count)]
    for connection in slow:
        connection.send_request("GET", f"/_stream/{50 * MEGABYTE}")
    for connection in slow:
        assert connection.read_head().status == 200
    return slow


def ask(server: Server) -> int:
    with connect(server, timeout=3) as connection:
        connection.send_request("GET")
        return connection.read_response().status


@each_face
@pytest.mark.parametrize("what", ["uploads", "chunked uploads", "downloads"])
def test_slow_clients_do_not_starve_others(server: Server, face: str, what: str) -> None:
    if what == "uploads":
        slow = small_uploads(server, b"Content-Length: 1000\r\n\r\nabc")
    elif what == "chunked uploads":
        slow = small_uploads(server, b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    else:
        slow = downloads(server, 3 * THREADS if face == "asgi" else THREADS - 4)
    try:
        with ThreadPoolExecutor(10) as pool:
            answers = list(pool.map(lambda _: ask(server), range(40)))
        assert answers == [200] * 40
    finally:
        for connection in slow:
            connection.reset()
    assert server.get("/").status == 200
