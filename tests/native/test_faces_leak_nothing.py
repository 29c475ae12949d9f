"""Memory stays flat under each face: good requests, exceptions, clients that leave."""

import importlib.util
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support import TIMEOUT, Server, gohttp_serve, rss

TESTS = Path(__file__).parents[1]
MIB = 1024 * 1024
BATCH = 50


@dataclass(frozen=True)
class Face:
    """A server to be watched; its app has /ok, /raise or /raises, and /flood."""

    target: str
    folder: str
    raising: str
    options: tuple[str, ...] = ()


FACES = {
    "wsgi": Face("wsgi_cases:app", "wsgi", "/raise"),
    "asgi-asyncio": Face("asgi_cases:app", "asgi", "/raises", ("--loop", "asyncio")),
    "asgi-uvloop": Face("asgi_cases:app", "asgi", "/raises", ("--loop", "uvloop")),
    "native": Face("native_cases", "native", "/raise"),
    "native-async": Face("native_cases", "native", "/async-raise"),
}


@pytest.fixture(scope="module", params=FACES)
def name(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if name == "asgi-uvloop" and importlib.util.find_spec("uvloop") is None:
        pytest.skip("uvloop is not installed")
    return name


@pytest.fixture(scope="module")
def server(name: str) -> Iterator[Server]:
    face = FACES[name]
    cwd = TESTS / face.folder / "apps"
    with gohttp_serve(face.target, *face.options, cwd=cwd) as server:
        yield server


def growth(server: Server, work: Callable[[int], None], warm_up: int, count: int) -> int:
    """By how much memory grows over `count` requests that come after `warm_up` others."""
    work(warm_up)
    before = rss(server.pid)
    work(count)
    return rss(server.pid) - before


def pipelined(server: Server, request: bytes, status: bytes) -> Callable[[int], None]:
    """Requests in batches over one connection."""

    def work(count: int) -> None:
        with socket.create_connection((server.host, server.port), TIMEOUT) as client:
            for _ in range(count // BATCH):
                client.sendall(request * BATCH)
                received = b""
                while received.count(b"HTTP/1.1 " + status) < BATCH:
                    data = client.recv(65536)
                    assert data, f"the server closed the connection after {received!r}"
                    received += data

    return work


def request_for(path: str, body: bytes = b"") -> bytes:
    method, length = ("POST", b"Content-Length: %d\r\n" % len(body)) if body else ("GET", b"")
    headers = b"Host: test\r\nX-Name: value\r\nCookie: a=1\r\nCookie: b=2\r\n" + length
    return f"{method} {path} HTTP/1.1\r\n".encode() + headers + b"\r\n" + body


def test_requests(server: Server, name: str) -> None:
    path = "/async-object" if name == "native-async" else "/ok"
    work = pipelined(server, request_for(path), b"200")
    assert growth(server, work, 3_000, 20_000) < 3 * MIB


def test_requests_with_a_body(server: Server, name: str) -> None:
    path = {"w": "/input-count", "a": "/receive-all", "n": "/body-length"}[name[0]]
    work = pipelined(server, request_for(path, b"x" * 1000), b"200")
    assert growth(server, work, 1_000, 4_000) < 3 * MIB


def test_requests_with_headers_of_ever_new_names(server: Server) -> None:
    def work(count: int) -> None:
        with server.connect() as connection:
            for number in range(count):
                header = (f"X-{id(work)}-{number}-{'n' * 200}", str(number))
                connection.send_request("GET", "/ok", [header])
                assert connection.read_response().status == 200

    assert growth(server, work, 1_000, 2_000) < 3 * MIB


def test_exceptions(server: Server, name: str) -> None:
    work = pipelined(server, request_for(FACES[name].raising), b"500")
    assert growth(server, work, 500, 2_000) < 3 * MIB


def test_connections(server: Server) -> None:
    def work(count: int) -> None:
        for _ in range(count):
            with server.connect() as connection:
                connection.send_request("GET", "/ok")
                assert connection.read_response().body == b"ok"

    assert growth(server, work, 300, 1_500) < 3 * MIB


def test_clients_that_leave(server: Server) -> None:
    def work(count: int) -> None:
        for number in range(count):
            with server.connect() as connection:
                connection.send_request("GET", f"/flood?left-{number % 3}")
                assert connection.read_head().status == 200
                connection.reset()
        assert server.get("/ok").body == b"ok"

    assert growth(server, work, 60, 200) < 6 * MIB


def test_clients_that_leave_in_mid_body(server: Server, name: str) -> None:
    path = {"w": "/input-count", "a": "/receive-error", "n": "/body-length"}[name[0]]

    def work(count: int) -> None:
        for _ in range(count):
            with server.connect() as connection:
                headers = [("Transfer-Encoding", "chunked")]
                connection.send_request("POST", path, headers, b"4\r\nbody\r\n")
                # One at a time: else they come faster than they are given up, and how many wait
                # is what is measured.
                connection.finish_sending()
                connection.read_until_close()
        assert server.get("/ok").body == b"ok"

    assert growth(server, work, 100, 400) < 3 * MIB
