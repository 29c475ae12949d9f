"""A handler that blocks in C without letting go of the GIL stops Python, but not the engine."""

import time
from collections.abc import Iterator

import pytest
from support import RawConnection, Server, gohttp_serve
from wsgi_helpers import APPS


@pytest.fixture(params=["1", "4"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with gohttp_serve("gil_hog:app", "--threads", request.param, cwd=APPS) as running:
        assert running.get("/").body == b"done"
        yield running


def test_bad_requests_are_refused_while_the_gil_is_kept(server: Server) -> None:
    with server.connect() as hog:
        hog.send_request("GET", "/hog?3")
        began = time.monotonic()
        with server.connect() as waiting:  # its handler cannot begin before the GIL is free
            waiting.send_request("GET", "/")
            for _ in range(3):
                with server.connect() as garbage:
                    garbage.send(b"no request at all\r\n\r\n")
                    assert garbage.read_response().status == 400
            assert time.monotonic() - began < 2
            assert waiting.read_response().body == b"done"
        assert hog.read_response().body == b"done"


def test_requests_are_answered_again_after_the_gil_was_kept(server: Server) -> None:
    with server.connect() as hog:
        hog.send_request("GET", "/hog?1")
        others: list[RawConnection] = [server.connect() for _ in range(8)]
        for other in others:
            other.send_request("GET", "/")
        assert [other.read_response().body for other in others] == [b"done"] * 8
        for other in others:
            other.close()
        assert hog.read_response().body == b"done"
    assert server.get("/").body == b"done"
