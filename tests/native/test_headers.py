"""Headers: refused where they are set, and a mapping as others are."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import Server, gohttp_serve

APPS = Path(__file__).parent / "apps"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with gohttp_serve("header_cases:mux", cwd=APPS) as server:
        yield server


def test_wrong_header_is_refused_where_it_is_set(server: Server) -> None:
    response = server.get("/wrong")
    assert response.status == 200
    assert response.header("x-kept") == "1"
    told, fields = json.loads(response.body)
    assert fields == 1
    for name, errors in told.items():
        assert len(errors) == 5, name
        assert all((name or '""') in error for error in errors), errors
    assert "control character" in told["X-Break"][0]
    assert "beyond latin-1" in told["X-Wide"][0]
    assert "is not a header name" in told["X-Nämé"][0]
    assert "Content-Length" in told["Content-Length"][0]


def test_wrong_header_names_the_line_that_sets_it(server: Server) -> None:
    before = len(server.log())
    response = server.get("/wrong-and-uncaught")
    assert response.status == 500
    assert response.header("set-cookie") is None
    server.wait_for_log('ValueError: the value of header "X-Break"')
    assert any('w.headers["X-Break"] = ' in line for line in server.log()[before:])


def test_what_a_header_can_hold_is_sent(server: Server) -> None:
    response = server.get("/fine")
    assert (response.status, response.body) == (200, b"ok")
    assert response.header("x-tab") == "a\tb"
    assert response.header("x-latin") == "\xe9"


def test_headers_are_a_mutable_mapping(server: Server) -> None:
    sent = [("X-E", "1"), ("X-E", "2"), ("X-B", "5")]
    got = json.loads(server.get("/mapping", sent).body)
    assert got["is"] is True
    assert got["setdefault"] == ["1", "1"]
    assert got["pop"] == ["1", "KeyError", None, "else", False]
    assert got["update"] == [["X-B", "2"], ["X_C", "3"], ["X-D", "4"]]
    kept = [("x_c", "3"), ("x-d", "4"), ("x-e", "1"), ("x-e", "2"), ("x-b", "5")]
    around = [(name.lower(), value) for name, value in got["update by headers"]]
    assert [field for field in around if field[0].startswith("x")] == kept
    assert len(got["popitem"]) == 2
    assert got["clear"] == [0, "KeyError"]
    assert got["bad"] == ["TypeError", "TypeError", "ValueError"]
    assert got["request"] == ["TypeError"] * 5
    assert got["trailers"] == ["ValueError", 1]


@pytest.mark.parametrize(
    "change", ["set", "add", "setdefault", "update", "delete", "pop", "popitem", "clear"]
)
def test_change_that_comes_too_late_is_logged(server: Server, change: str) -> None:
    assert server.get(f"/late/{change}").body == b"a"
    server.wait_for_log(
        f"GET /late/{change}: the header .* was set after the headers had been sent"
    )


def test_late_change_of_nothing_is_not_logged(server: Server) -> None:
    assert server.get("/late/nothing").body == b"a"
    assert server.get("/late/set").body == b"a"
    server.wait_for_log("GET /late/set: the header")
    assert not any("/late/nothing" in line for line in server.log())
