"""Memory stays flat with trailers, callbacks, deadlines and WebSockets, whichever way they end."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from remote import APPS
from support import Server, gohttp_serve, rss, wait_until
from websocket_wire import handshake, read_switch, websocket

MIB = 1024 * 1024
each_way = pytest.mark.parametrize("at", ["", "/async"], ids=["sync", "async"])


@contextmanager
def flat(server: Server, work: Callable[[int], None], warm_up: int, count: int) -> Iterator[None]:
    work(warm_up)
    before = rss(server.pid)
    work(count)
    yield
    assert rss(server.pid) - before < 3 * MIB


def requests(server: Server, path: str) -> Callable[[int], None]:
    def work(count: int) -> None:
        with server.connect() as connection:
            for _ in range(count):
                connection.send_request("GET", path)
                assert connection.read_response().status == 200

    return work


@each_way
@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("trailer_cases:mux", "/small"),
        ("deadline_cases:mux", "/fine"),
        ("deadline_cases:mux", "/kept-in-a-circle"),
        ("deadline_cases:mux", "/sleeps/5/0"),
    ],
)
def test_good_ends(target: str, path: str, at: str) -> None:
    with (
        gohttp_serve(target, cwd=APPS) as server,
        flat(server, requests(server, at + path), 500, 4_000),
    ):
        assert server.get(at + path).status == 200


@each_way
def test_clients_that_leave(at: str) -> None:
    def work(count: int) -> None:
        for number in range(count):
            with server.connect() as connection:
                connection.send_request("GET", f"{at}/hears?left-{number % 3}")
                if number % 2:
                    connection.reset()
                else:
                    connection.finish_sending()
                    assert connection.read_response().status == 200

    with gohttp_serve("deadline_cases:mux", cwd=APPS) as server, flat(server, work, 100, 500):
        assert server.get("/fine").status == 200


@each_way
@pytest.mark.parametrize("end", ["close", "reset", "raises"])
def test_websockets(at: str, end: str) -> None:
    path = "/raises/inside" if end == "raises" else "/echo"

    def work(count: int) -> None:
        for _ in range(count):
            if end == "reset":
                with server.connect() as connection:
                    handshake(connection, at + path)
                    read_switch(connection)
                    connection.reset()
                continue
            with websocket(server, at + path) as client:
                if end == "raises":
                    assert client.read_close() == (1011, "")
                    continue
                client.text("x" * 1000)
                assert client.read() == "x" * 1000
                client.close()

    options = ("--log-level", "info")
    with (
        gohttp_serve("socket_cases:mux", *options, cwd=APPS) as server,
        flat(server, work, 100, 400),
    ):
        wait_until(lambda: server.get("/plain").status == 200, "the server to answer")
