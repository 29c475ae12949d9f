"""`w.trailers`: fields behind the body (RFC 9110 section 6.5), on HTTP/1.1 and HTTP/2."""

import hashlib
import json
from collections.abc import Iterator

import pytest
from h2trailers import get_over_http2
from remote import APPS, log_since
from support import Server, gohttp_serve

each_way = pytest.mark.parametrize("at", ["", "/async"], ids=["sync", "async"])
DIGEST = hashlib.sha256(b"one two three").hexdigest()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with gohttp_serve("trailer_cases:mux", "--log-level", "debug", cwd=APPS) as server:
        yield server


@each_way
@pytest.mark.parametrize(
    ("path", "declared", "expected"),
    [
        (
            "/declared",
            "X-Digest, x-count",
            (b"one two three", {"x-digest": DIGEST, "x-count": "3"}),
        ),
        ("/small", "X-A", (b"small", {"x-a": "1, \xe9"})),
        ("/undeclared", None, (b"first", {"x-late": "yes"})),
        ("/promised-late", "X-Never", (b"first", {})),
    ],
)
def test_trailers_follow_the_body(
    server: Server, at: str, path: str, declared: str | None, expected: tuple[bytes, dict[str, str]]
) -> None:
    with server.connect() as connection:
        connection.send_request("GET", at + path)
        response = connection.read_response()
        assert (response.status, response.header("trailer")) == (200, declared)
        assert (response.body, _joined(response.trailers)) == expected
        assert response.header("transfer-encoding") == "chunked"
        # The connection is in step.
        connection.send_request("GET", f"{at}/small")
        assert connection.read_response().body == b"small"
    headers, body, behind = get_over_http2(server, at + path)
    assert (headers[":status"], headers.get("trailer")) == ("200", declared)
    assert (body, _joined(behind)) == expected


@each_way
def test_those_that_do_not_come_are_not_announced_where_that_is_known(
    server: Server, at: str
) -> None:
    response = server.get(f"{at}/promised")
    assert (response.body, response.header("content-length")) == (b"body", "4")
    assert response.header("trailer") is None


def _joined(fields: list[tuple[str, str]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in fields:
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined


@each_way
@pytest.mark.parametrize("path", ["/small", "/declared", "/undeclared"])
def test_http_1_0_has_no_place_for_them(server: Server, at: str, path: str) -> None:
    with server.connect() as connection:
        connection.send(f"GET {at}{path} HTTP/1.0\r\n\r\n".encode())
        response = connection.read_response()
        assert response.header("trailer") is None
        assert response.header("transfer-encoding") is None
        assert response.body in (b"small", b"one two three", b"first")
        assert connection.is_closed()


@each_way
def test_body_of_declared_length_has_none(server: Server, at: str) -> None:
    before = len(server.log())
    response = server.get(f"{at}/length")
    assert (response.body, response.header("trailer")) == (b"body", None)
    assert response.header("content-length") == "4"
    log_since(server, before, "no place for trailers")


@each_way
@pytest.mark.parametrize(("method", "path"), [("GET", "/none"), ("HEAD", "/small")])
def test_what_has_no_body_has_none(server: Server, at: str, method: str, path: str) -> None:
    with server.connect() as connection:
        connection.send_request(method, at + path)
        response = connection.read_response(head=method == "HEAD")
        assert response.trailers == []
        connection.send_request("GET", f"{at}/small")
        assert connection.read_response().body == b"small"


@each_way
def test_response_that_is_cut_has_none(server: Server, at: str) -> None:
    with server.connect() as connection:
        connection.send_request("GET", f"{at}/raises")
        assert connection.read_head().status == 200
        assert connection.read_chunk() == b"part"
        assert connection.is_closed()


@each_way
def test_fields_that_must_come_before_the_body_are_refused(server: Server, at: str) -> None:
    got = json.loads(server.get(f"{at}/refused").body)
    assert got["left"] == []
    outcomes = got["outcomes"]
    assert len(outcomes) == 14
    assert outcomes.pop("a b").startswith('"a b" is not a header name')
    assert outcomes.pop("").startswith('"" is not a header name')
    assert "control character" in outcomes.pop("X-Split")
    assert "beyond latin-1" in outcomes.pop("X-Wide")
    assert all("RFC 9110 section 6.5.1" in text for text in outcomes.values()), outcomes


@each_way
def test_wrong_declaration_is_an_error_of_the_handler(server: Server, at: str) -> None:
    before = len(server.log())
    assert server.get(f"{at}/declares-wrongly").status == 500
    log_since(server, before, "cannot stand in trailers")
