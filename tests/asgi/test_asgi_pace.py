"""Requests with much to do before they wait are begun one by one, so that none is in another's way.

Where tasks start eagerly, that is, on the server's own loop.
"""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from asgi_helpers import APPS, get_json
from support import Server, gohttp_serve, wait_until
from wire import RawConnection

AT_ONCE = 16
PLACES = 4  # --limit-concurrency

pytestmark = pytest.mark.skipif(
    sys.version_info < (3, 12), reason="a task has no first step when it is made"
)


@contextmanager
def serve(*options: str) -> Iterator[Server]:
    with gohttp_serve("pace_cases:app", *options, cwd=APPS) as server:
        yield server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve() as server:
        yield server


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    return tmp_path / "kept"


@contextmanager
def sent_at_once(server: Server, gate: Path, paths: list[str]) -> Iterator[list[RawConnection]]:
    """Connections whose requests have come while the loop was kept, and now begin."""
    with ExitStack() as stack:
        connections = [stack.enter_context(server.connect()) for _ in paths]
        for connection in connections:
            connection.send_request("GET", "/light")
            assert connection.read_response().body == b"light"
        keeper = stack.enter_context(server.connect())
        keeper.send_request("GET", f"/keep-the-loop?{gate}")
        wait_until(gate.exists, "the loop to be kept")
        for connection, path in zip(connections, paths, strict=True):
            connection.send_request("GET", path)
        gate.unlink()
        assert keeper.read_response().body == b"kept"
        yield connections


def know(server: Server, *paths: str) -> None:
    """Has the server see what kinds of requests these are."""
    for _ in range(3):
        for path in paths:
            assert server.get(path).status == 200
    get_json(server, "/seen")


def seen(server: Server) -> tuple[int, list[Any]]:
    most, begun = get_json(server, "/seen")
    return most, begun


def test_requests_that_would_be_in_each_others_way_begin_one_by_one(
    server: Server, gate: Path
) -> None:
    know(server, "/heavy")
    with sent_at_once(server, gate, ["/heavy"] * AT_ONCE) as connections:
        assert [c.read_response().body for c in connections] == [b"heavy"] * AT_ONCE
    most, _ = seen(server)
    # Two, if the machine stood still for as long as one waits at most.
    assert 1 <= most <= 2


def test_what_is_seen_of_the_first_holds_for_those_that_came_with_it(gate: Path) -> None:
    with serve() as server, sent_at_once(server, gate, ["/heavy"] * AT_ONCE) as connections:
        assert [c.read_response().body for c in connections] == [b"heavy"] * AT_ONCE
        most, _ = seen(server)
    assert 1 <= most <= 2


def test_others_do_not_wait_behind_them(server: Server, gate: Path) -> None:
    know(server, "/heavy", "/light")
    paths = [*("/heavy?heavy" for _ in range(AT_ONCE)), "/light?light"]
    with sent_at_once(server, gate, paths) as connections:
        assert [c.read_response().status for c in connections] == [200] * len(paths)
    _, begun = seen(server)
    begun = [key for key in begun if key]
    assert begun.count("heavy") == AT_ONCE
    assert begun.index("light") <= 1


def test_those_that_wait_take_places_of_the_limit(gate: Path) -> None:
    with serve("--limit-concurrency", str(PLACES)) as server:
        know(server, "/heavy")
        with sent_at_once(server, gate, ["/heavy"] * AT_ONCE) as connections:
            answers = [connection.read_response().status for connection in connections]
        # They are read one after the other: some may come when others have ended.
        assert answers.count(200) >= PLACES
        assert answers.count(200) + answers.count(503) == AT_ONCE
        assert answers.count(503) > 0
        know(server, "/heavy")  # there is room again


def test_a_stop_waits_for_those_that_have_not_begun(gate: Path) -> None:
    with serve() as server:
        know(server, "/heavy")
        with sent_at_once(server, gate, ["/heavy"] * AT_ONCE) as connections:
            server.signal()
            assert [c.read_response().body for c in connections] == [b"heavy"] * AT_ONCE
        assert server.wait() == 0


def test_outgoing_connections_of_a_pool_are_used_again_by_requests_that_come_at_once(
    server: Server, gate: Path
) -> None:
    """httpx gives several requests one connection, of which all but one then need another."""
    with serve() as asked:
        ask = f"/ask?{asked.url}/peer"
        know(server, ask)
        with sent_at_once(server, gate, [ask] * AT_ONCE) as connections:
            peers = {connection.read_response().body for connection in connections}
    assert len(peers) < AT_ONCE / 2
