"""Memory stays flat behind ready-made middleware of all sorts together."""

import base64
from collections.abc import Callable, Iterator

import pytest
from middleware_site import TARGETS, Site, serve
from support import rss

MIB = 1024 * 1024
KNOWN = ("Authorization", "Basic " + base64.b64encode(b"a:a").decode())
CODINGS = ["zstd", "br", "gzip"]


@pytest.fixture(scope="module", params=TARGETS)
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    with serve(tmp_path_factory.mktemp("site"), request.param) as site:
        yield site


def growth(site: Site, work: Callable[[int], None], warm_up: int, count: int) -> int:
    """By how much memory grows over `count` requests that come after `warm_up` others."""
    work(warm_up)
    before = rss(site.server.pid)
    work(count)
    return rss(site.server.pid) - before


def test_requests(site: Site) -> None:
    """Compressed whole and in pieces, refused, and with exceptions."""
    paths = [(f"/all/{kind}/x?size=5000", 200) for kind in site.kinds]
    paths += [(f"/all/{kind}/x?size=5000&pieces=5", 200) for kind in site.kinds]
    paths += [("/all/files/large.txt", 200), ("/all/none", 404), ("/all/sync/raise", 503)]

    def work(count: int) -> None:
        with site.server.connect() as connection:
            for number in range(count):
                path, status = paths[number % len(paths)]
                coding = ("Accept-Encoding", CODINGS[number % 3])
                connection.send_request("GET", path, [KNOWN, coding])
                assert connection.read_response().status == status
                connection.send_request("GET", path)
                assert connection.read_response().status == 401

    assert growth(site, work, 500, 800) < 8 * MIB


def test_clients_that_leave_in_mid_stream(site: Site) -> None:
    def work(count: int) -> None:
        for number in range(count):
            kind = ["files/large.txt", *(f"{kind}/x" for kind in site.kinds)][
                number % (len(site.kinds) + 1)
            ]
            coding = ("Accept-Encoding", CODINGS[number % 3])
            with site.server.connect() as connection:
                path = f"/all/{kind}?size=3000000&pieces=300"
                connection.send_request("GET", path, [KNOWN, coding])
                assert connection.read_head().status == 200
                connection.reset()
        assert site.server.get("/all/none", [KNOWN]).status == 404

    assert growth(site, work, 240, 240) < 12 * MIB


def test_bodies_that_are_too_long(site: Site) -> None:
    def work(count: int) -> None:
        fields = [KNOWN, ("Transfer-Encoding", "chunked")]
        for number in range(count):
            kind = site.kinds[number % len(site.kinds)]
            with site.server.connect() as connection:
                connection.send_request("POST", f"/all/{kind}/length", fields)
                connection.send(b"7d0\r\n" + bytes(2000) + b"\r\n")
                assert connection.read_response().status == 413

    assert growth(site, work, 200, 800) < 3 * MIB
