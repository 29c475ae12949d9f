"""The strict client all tests rely on: what it accepts, and what it must not let pass."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from support import RawConnection


@contextmanager
def answering(data: bytes) -> Iterator[RawConnection]:
    """A connection to a server that sends `data` and closes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.sendall(data)

        thread = threading.Thread(target=serve)
        thread.start()
        with RawConnection(listener.getsockname()) as connection:
            yield connection
        thread.join()


def test_bodies_by_length_chunks_and_close() -> None:
    data = (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: a\r\nset-cookie: b\r\n\r\nhi"
        b"HTTP/1.1 100 Continue\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: 1\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"
        b"HTTP/1.0 200 \r\n\r\nrest"
    )
    with answering(data) as connection:
        first = connection.read_response()
        assert (first.status, first.body, first.all("Set-Cookie")) == (200, b"hi", ["a", "b"])
        second = connection.read_response()
        assert (second.body, second.trailers) == (b"abc", [("t", "1")])
        assert connection.read_response(head=True).body == b""
        assert connection.read_response().status == 304
        last = connection.read_response()
        assert (last.version, last.body) == ("HTTP/1.0", b"rest")
        assert connection.is_closed()


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\n\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbad header: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_breaches_are_seen(data: bytes) -> None:
    with answering(data) as connection, pytest.raises(AssertionError):
        connection.read_response()


def test_early_close_is_an_error() -> None:
    data = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"
    with (
        answering(data) as connection,
        pytest.raises(ConnectionError, match="unread: b'ab'"),
    ):
        connection.read_response()
