"""`w.hijack()`: the connection is the handler's, as with Go's `Hijacker`."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from h2trailers import get_over_http2
from remote import APPS, new_key, wait_for
from support import Server, gohttp_serve

THREADS = 2
each_way = pytest.mark.parametrize("at", ["", "/async"], ids=["sync", "async"])


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    options = ("--threads", str(THREADS), "--request-timeout", "1")
    with gohttp_serve("hijack_cases:mux", *options, cwd=APPS) as server:
        yield server


@each_way
def test_bytes_behind_the_request_and_later_ones_are_the_handlers(server: Server, at: str) -> None:
    with server.connect() as connection:
        connection.send(f"GET {at}/upper HTTP/1.1\r\nHost: test\r\n\r\nbehind".encode())
        assert connection.read_head().status == 299
        assert connection.read_exactly(6) == b"BEHIND"
        connection.send(b"later")
        assert connection.read_exactly(5) == b"LATER"
        connection.finish_sending()
        assert connection.is_closed()


@each_way
def test_connection_has_no_deadline_and_takes_no_thread(server: Server, at: str) -> None:
    with ExitStack() as stack:
        held = [stack.enter_context(server.connect()) for _ in range(2 * THREADS)]
        for connection in held:
            connection.send_request("GET", f"{at}/upper")
            assert connection.read_head().status == 299
        start = len(server.log())
        for _ in range(3):  # longer than --request-timeout and what it may be late
            assert server.get("/slow").status == 504
        for connection in held:
            connection.send(b"still there")
            assert connection.read_exactly(11) == b"STILL THERE"
        assert not any("/upper" in line for line in server.log()[start:])


def test_response_that_has_begun_cannot_be_taken_over(server: Server) -> None:
    body = server.get("/too-late").body
    assert body == b"begun FileExistsError the response has been started already"


def test_other_versions_cannot_be_taken_over(server: Server) -> None:
    said = b"only connections of HTTP/1.1 can be taken over"
    with server.connect() as connection:
        connection.send(b"GET /attempt HTTP/1.0\r\n\r\n")
        assert connection.read_response().body.endswith(said)
    assert get_over_http2(server, "/attempt")[1].endswith(said)


def test_writer_is_of_no_use_afterwards(server: Server) -> None:
    key = new_key()
    with server.connect() as connection:
        connection.send_request("GET", f"/write-after?{key}")
        assert connection.read_head().status == 299
        assert connection.read_until_close() == b"mine"
    wait_for(server, key, ["RuntimeError"] * 3 + ["FileExistsError"])


def test_connection_is_closed_if_python_makes_no_socket_of_it(server: Server) -> None:
    key = new_key()
    with server.connect() as connection:
        connection.send_request("GET", f"/no-socket?{key}")
        assert connection.is_closed()
    wait_for(server, key, "no socket")


def test_more_than_there_are_threads_for_get_503() -> None:
    most = 448
    with gohttp_serve("hijack_cases:mux", cwd=APPS) as server, ExitStack() as stack:
        key = new_key()
        for _ in range(most):
            connection = stack.enter_context(server.connect())
            connection.send_request("GET", f"/holds?{key}")
            assert connection.read_head().status == 299
        assert server.get("/holds").status == 503
        # Others are served.
        assert b"too many connections" in server.get("/attempt").body
