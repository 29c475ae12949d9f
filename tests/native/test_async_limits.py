"""`--limit-concurrency` for `async def` handlers, alone and beside an ASGI app."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from remote import APPS, log_since, new_key, open_gate, wait_for
from support import RawConnection, Server, gohttp_serve

PLACES = 2


@pytest.fixture(scope="module", params=["alone", "beside"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with serve(request.param) as server:
        yield server


@contextmanager
def serve(kind: str) -> Iterator[Server]:
    options = ("--limit-concurrency", str(PLACES), "--threads", "4")
    env = {"CASES_KIND": kind}
    with gohttp_serve("async_limit_cases:mux", *options, cwd=APPS, env=env) as server:
        yield server


def waiting(server: Server, path: str, key: str) -> RawConnection:
    connection = server.connect()
    connection.send_request("GET", f"{path}?{key}")
    return connection


def refused(server: Server, path: str) -> None:
    response = server.get(f"{path}?{new_key()}")
    assert (response.status, response.header("retry-after")) == (503, "1")


def test_more_than_the_limit_get_503_until_one_has_ended(server: Server) -> None:
    key, start = new_key(), len(server.log())
    for path in ("/waits", "/around"):
        key = new_key()
        with ExitStack() as stack:
            held = [stack.enter_context(waiting(server, path, key)) for _ in range(PLACES)]
            wait_for(server, key, *["began"] * PLACES)
            for other in ("/waits", "/around"):
                refused(server, other)
            assert server.get("/plain").body == b"plain"
            log_since(server, start, f"limit_concurrency ({PLACES}) are running already")
            open_gate(server, key)
            for connection in held:
                assert connection.read_response().body == b"waited"
        assert server.get(f"{path}?{key}").body == b"waited"  # its gate is open


def test_place_of_a_handler_that_fails_or_whose_client_leaves_is_free_again(
    server: Server,
) -> None:
    for _ in range(PLACES + 1):
        key = new_key()
        with waiting(server, "/waits", key) as connection:
            wait_for(server, key, "began")
            connection.reset()
        open_gate(server, key)
    key = new_key()
    open_gate(server, key)
    assert server.get(f"/waits?{key}").body == b"waited"


@pytest.mark.parametrize(("held", "other"), [("/asgi", "/waits"), ("/waits", "/asgi")])
def test_requests_of_an_asgi_app_count_too(held: str, other: str) -> None:
    key = new_key()
    with serve("beside") as server, ExitStack() as stack:
        connections = [stack.enter_context(waiting(server, held, key)) for _ in range(PLACES)]
        wait_for(server, key, *["began"] * PLACES)
        refused(server, other)
        open_gate(server, key)
        for connection in connections:
            assert connection.read_response().body == b"waited"


def test_handlers_that_no_loop_takes_are_ended_and_their_coroutines_closed(
    server: Server,
) -> None:
    start = len(server.log())
    for _ in range(2 * PLACES):
        assert server.get("/no-loop").status == 500
    log = log_since(server, start, "the loop takes no more")
    assert "never awaited" not in log
