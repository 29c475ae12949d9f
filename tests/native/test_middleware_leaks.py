"""Memory stays flat behind ready-made middleware of all sorts together."""

import base64
from collections.abc import Callable, Iterator

import pytest
from middleware_site import HANDLERS, TARGETS, Site, serve
from support import rss

MIB = 1024 * 1024
TIMES = 6
KNOWN = ("Authorization", "Basic " + base64.b64encode(b"a:a").decode())
CODINGS = ["zstd", "br", "gzip"]


@pytest.fixture(scope="module", params=TARGETS)
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    with serve(tmp_path_factory.mktemp("site"), request.param) as site:
        yield site


def growth(site: Site, work: Callable[[int], None], warm_up: int, count: int, limit: int) -> int:
    """By how much memory grows over `count` requests that come after `warm_up` others: the least
    of some times, for a leak grows each time, and an allocator's stock does not."""
    work(warm_up)
    before, grown = rss(site.server.pid), []
    for _ in range(TIMES):
        work(count)
        after = rss(site.server.pid)
        grown.append(after - before)
        if grown[-1] < limit:
            break
        before = after
    return min(grown)


CASES = {
    "whole": ("x?size=5000", 200),
    "pieces": ("x?size=5000&pieces=5", 200),
    "raise": ("raise", 503),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", HANDLERS)
def test_requests(site: Site, kind: str, case: str) -> None:
    """Compressed, refused, and with exceptions. What a thread keeps for itself is no leak."""
    below, status = CASES[case]
    if case == "raise" and kind in ("wsgi", "asgi", "inner"):
        status = 500

    def work(count: int) -> None:
        with site.server.connect() as connection:
            for number in range(count):
                coding = ("Accept-Encoding", CODINGS[number % 3])
                connection.send_request("GET", f"/all/{kind}/{below}", [KNOWN, coding])
                assert connection.read_response().status == status
                connection.send_request("GET", f"/all/{kind}/{below}")
                assert connection.read_response().status == 401

    assert growth(site, work, 90, 300, 6 * MIB) < 6 * MIB


def test_clients_that_leave_in_mid_stream(site: Site) -> None:
    def work(count: int) -> None:
        for number in range(count):
            kind = ["files/large.txt", *(f"{kind}/x" for kind in site.kinds)][
                number % (len(site.kinds) + 1)
            ]
            coding = ("Accept-Encoding", CODINGS[number % 3])
            with site.server.connect() as connection:
                path = f"/all/{kind}?size=300000&pieces=300"
                connection.send_request("GET", path, [KNOWN, coding])
                assert connection.read_head().status == 200
                connection.reset()
        assert site.server.get("/all/none", [KNOWN]).status == 404

    assert growth(site, work, 240, 240, 12 * MIB) < 12 * MIB


def test_bodies_that_are_too_long(site: Site) -> None:
    def work(count: int) -> None:
        fields = [KNOWN, ("Transfer-Encoding", "chunked")]
        for number in range(count):
            kind = site.kinds[number % len(site.kinds)]
            with site.server.connect() as connection:
                connection.send_request("POST", f"/all/{kind}/length", fields)
                connection.send(b"7d0\r\n" + bytes(2000) + b"\r\n")
                assert connection.read_response().status == 413

    assert growth(site, work, 200, 800, 3 * MIB) < 3 * MIB
