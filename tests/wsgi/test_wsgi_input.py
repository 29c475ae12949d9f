"""PEP 3333, "Input and Error Streams": wsgi.input over both framings, and nothing beyond it."""

import io
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from support import RawConnection, Response, Server, rss
from wsgi_helpers import LogFrom, events, new_key, serve_cases, wait_for_event

LINES = b"one\ntwo\n\nlast"
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve_cases("--body-timeout", "1") as server:
        yield server


def chunked(body: bytes, size: int) -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def post(connection: RawConnection, path: str, body: bytes, framing: str) -> Response:
    """Send a body under one of four framings and read the answer."""
    if framing.startswith("length"):
        headers, wire = [("Content-Length", str(len(body)))], body
    else:
        headers, wire = [("Transfer-Encoding", "chunked")], chunked(body, 3)
    if framing.endswith("at once"):
        connection.send_request("POST", path, headers, wire)
    else:  # a packet for each byte
        connection.send_request("POST", path, headers)
        for byte in wire:
            connection.send(bytes([byte]))
    return connection.read_response()


FRAMINGS = ["length at once", "length byte by byte", "chunks at once", "chunks byte by byte"]


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize(
    ("steps", "results"),
    [
        ("read()", ["one\ntwo\n\nlast"]),
        ("read(-1)", ["one\ntwo\n\nlast"]),
        ("read(None)", ["one\ntwo\n\nlast"]),
        ("read(),read(),read(5)", ["one\ntwo\n\nlast", "", ""]),
        ("read(0),read(3),read(100)", ["", "one", "\ntwo\n\nlast"]),
        ("readline(),readline(),readline(),readline()", ["one\n", "two\n", "\n", "last"]),
        ("readline(2),readline(2),readline(9),readline(-1)", ["on", "e\n", "two\n", "\n"]),
        ("readline(0),readline(None)", ["", "one\n"]),
        ("read(),readline(),readlines(),iter()", ["one\ntwo\n\nlast", "", [], []]),
        ("readlines()", [["one\n", "two\n", "\n", "last"]]),
        ("readlines(1),readlines(5),readlines()", [["one\n"], ["two\n", "\n"], ["last"]]),
        ("iter()", [["one\n", "two\n", "\n", "last"]]),
        ("readline(),iter()", ["one\n", ["two\n", "\n", "last"]]),
        ("read(4),readline(),readlines()", ["one\n", "two\n", ["\n", "last"]]),
    ],
)
def test_reading(server: Server, steps: str, results: list[Any], framing: str) -> None:
    with server.connect() as connection:
        response = post(connection, f"/input?{steps}", LINES, framing)
        assert json.loads(response.body) == results
        connection.send_request("GET", "/ok")
        assert connection.read_response().body == b"ok"


def test_reading_without_a_body_gives_nothing_at_once(server: Server) -> None:
    steps = "read(),read(5),readline(),readlines(),iter()"
    assert json.loads(server.get(f"/input?{steps}").body) == ["", "", "", [], []]


@pytest.mark.parametrize("framing", ["length at once", "chunks at once"])
def test_empty_body_gives_nothing_at_once(server: Server, framing: str) -> None:
    with server.connect() as connection:
        response = post(connection, "/input?read(),readline()", b"", framing)
        assert json.loads(response.body) == ["", ""]


@pytest.mark.parametrize("size", [1, 1024 * 1024 - 1, 1024 * 1024 + 1, 9_000_000])
@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_bodies_of_any_size_come_whole(server: Server, size: int, framing: str) -> None:
    body = b"x" * size
    with server.connect() as connection:
        if framing == "length":
            connection.send_request("POST", "/input-count", [], body)
        else:
            headers = [("Transfer-Encoding", "chunked")]
            connection.send_request("POST", "/input-count", headers, chunked(body, 65_536))
        total, reads, after = json.loads(connection.read_response().body)
    assert (total, after) == (size, "")
    assert reads == -(-size // 100_000)  # read(n) gives n while there are n


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_large_body_is_the_same_however_it_is_read(server: Server, framing: str) -> None:
    body = b"".join(b"line %d\n" % number for number in range(30_000))
    file = io.BytesIO(body)
    sizes = [10, 100_000, 70_000, 1, None]
    expected = [file.read(sizes[0]), file.readline(), *map(file.read, sizes[1:]), file.read()]
    reads = ["read(10)", "readline()", *(f"read({size})" for size in sizes[1:]), "read()"]
    length = ("Content-Length", str(len(body)))
    chunks = ("Transfer-Encoding", "chunked")
    with server.connect() as connection:
        headers = [length if framing == "length" else chunks]
        connection.send_request("POST", f"/input?{','.join(reads)}", headers)
        wire = body if framing == "length" else chunked(body, 999)
        for at in range(0, len(wire), 50_000):
            connection.send(wire[at : at + 50_000])
        assert json.loads(connection.read_response().body) == [r.decode() for r in expected]
        connection.send_request("GET", "/ok")
        assert connection.read_response().body == b"ok"


def test_pipelined_request_behind_a_large_body_is_not_part_of_it(server: Server) -> None:
    body = b"x" * 200_000
    with server.connect() as connection:
        connection.send(
            b"POST /input?read(),read() HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n"
            + body
            + b"GET /ok HTTP/1.1\r\nHost: a\r\n\r\n"
        )
        assert json.loads(connection.read_response().body) == [body.decode(), ""]
        assert connection.read_response().body == b"ok"


def test_line_in_many_tiny_pieces_takes_no_time(server: Server) -> None:
    pieces = 100_000
    with server.connect() as connection:
        connection.send_request(
            "POST", "/input?readline()", [("Transfer-Encoding", "chunked")], b"1\r\nx\r\n" * pieces
        )
        began = time.monotonic()
        connection.send(b"1\r\n\n\r\n0\r\n\r\n")
        assert json.loads(connection.read_response().body) == ["x" * pieces + "\n"]
        assert time.monotonic() - began < 5  # 30 s, when it was looked through for each piece


def test_declared_length_alone_takes_no_memory(server: Server) -> None:
    before = rss(server.pid)
    with ExitStack() as stack:
        for _ in range(8):
            connection = stack.enter_context(server.connect())
            connection.send_request(
                "POST", "/input?read()", [("Content-Length", str(1 << 40))], b"x" * 1000
            )
        assert server.get("/ok").body == b"ok"
        assert rss(server.pid) - before < 64 * MIB


def test_pipelined_request_is_not_part_of_the_body(server: Server) -> None:
    with server.connect() as connection:
        connection.send(
            b"POST /input?read(),read() HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"
            b"POST /input?read() HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"4\r\nmore\r\n0\r\n\r\n"
            b"GET /ok HTTP/1.1\r\nHost: a\r\n\r\n"
        )
        assert connection.read_response().body == b'["body", ""]'
        assert connection.read_response().body == b'["more"]'
        assert connection.read_response().body == b"ok"


def test_body_is_read_while_the_response_is_written(server: Server) -> None:
    with server.connect() as connection:
        connection.send_request("POST", "/input-echo-lines", [("Transfer-Encoding", "chunked")])
        for number in range(3):
            connection.send(chunked(b"line %d\n" % number, 100).removesuffix(b"0\r\n\r\n"))
            if number == 0:
                assert connection.read_head().status == 200
            assert connection.read_chunk() == b"> line %d\n" % number
        connection.send(b"0\r\n\r\n")
        assert connection.read_chunk() == b""


# --- bodies that the app does not read -----------------------------------------------------------


@pytest.mark.parametrize("path", ["/ok", "/input?read(1)", "/raise", "/streamed"])
@pytest.mark.parametrize("framing", FRAMINGS)
def test_next_request_never_sees_an_unread_body(server: Server, path: str, framing: str) -> None:
    smuggled = b"GET /raise HTTP/1.1\r\nHost: a\r\n\r\n" * 3
    with server.connect() as connection:
        post(connection, path, smuggled, framing)
        connection.send_request("GET", "/environ?next")
        assert json.loads(connection.read_response().body)["environ"]["QUERY_STRING"] == "next"


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_large_unread_body_is_discarded_or_ends_the_connection(
    server: Server, framing: str
) -> None:
    """The client gets its answer whole, and no part of the body is taken for a request."""
    body = b"GET /raise HTTP/1.1\r\nHost: a\r\n\r\n" * 100_000
    log = LogFrom(server)
    with server.connect() as connection:
        if framing == "length":
            headers, wire = [("Content-Length", str(len(body)))], body
        else:
            headers, wire = [("Transfer-Encoding", "chunked")], chunked(body, 65_536)
        connection.send_request("POST", "/ok", headers, wire)
        response = connection.read_response()
        assert (response.status, response.body) == (200, b"ok")
        if framing == "length":  # its end was out of reach from the start, and the client is told
            assert response.header("connection") == "close"
        assert connection.is_closed()
    assert "Exception" not in log.text()


# --- bodies that do not come whole ---------------------------------------------------------------


def test_client_that_goes_in_mid_body_raises_connection_reset_error(server: Server) -> None:
    key = new_key()
    with server.connect() as connection:
        headers = [("Transfer-Encoding", "chunked")]
        connection.send_request("POST", f"/input-error?{key}", headers, b"4\r\nbody\r\n")
        server.get("/ok")  # the other has begun before this: one that has gone is not begun
    wait_for_event(server, key, "ConnectionResetError")


def test_client_that_goes_in_mid_body_of_known_length_is_no_whole_body(server: Server) -> None:
    key = new_key()
    with server.connect() as connection:
        headers = [("Content-Length", str(2 * MIB))]
        connection.send_request("POST", f"/input-error?{key}", headers, b"x" * MIB)
        server.get("/ok")
    wait_for_event(server, key, "ConnectionResetError")


@pytest.mark.parametrize("bad", [b"xyz\r\n", b"4\r\nbodyXX", b"5\nbody\n", b"-1\r\n", b"1" * 40])
def test_malformed_chunk_is_an_os_error_and_a_400(server: Server, bad: bytes) -> None:
    key = new_key()
    with server.connect() as connection:
        headers = [("Transfer-Encoding", "chunked")]
        connection.send_request("POST", f"/input-error?{key}", headers, b"3\r\nabc\r\n" + bad)
        assert connection.read_response().status == 400
        assert connection.is_closed()
    assert set(events(server, key)) <= {"OSError"}


def test_client_that_stalls_raises_timeout_error_and_is_told_408(server: Server) -> None:
    key = new_key()
    with server.connect() as connection:
        headers = [("Transfer-Encoding", "chunked")]
        connection.send_request("POST", f"/input-error?{key}", headers, b"3\r\nabc\r\n")
        assert connection.read_response().status == 408
        assert connection.is_closed()
    wait_for_event(server, key, "TimeoutError")


# --- Expect: 100-continue ------------------------------------------------------------------------


def test_reading_sends_100_continue(server: Server) -> None:
    with server.connect() as connection:
        headers = [("Expect", "100-continue"), ("Content-Length", "4")]
        connection.send_request("POST", "/input?read()", headers)
        assert connection.read_response(interim=True).status == 100
        connection.send(b"body")
        assert connection.read_response().body == b'["body"]'


def test_client_that_waits_for_100_in_vain_is_not_waited_for(server: Server) -> None:
    key = new_key()
    with server.connect() as connection:
        headers = [("Expect", "100-continue"), ("Content-Length", "10")]
        connection.send_request("POST", f"/write-then-read?{key}", headers)
        assert connection.read_head().status == 200  # it is too late for 100
        wait_for_event(server, key, "TimeoutError")


def test_rest_of_the_body_is_not_to_be_had_after_the_response(server: Server) -> None:
    key = new_key()
    with server.connect() as connection:
        headers = [("Content-Length", str(8 * MIB))]
        connection.send_request("POST", f"/satisfied-then-read?{key}", headers, b"x" * MIB)
        assert connection.read_response().body == b"done"
        wait_for_event(server, key, "OSError: the response was complete")


def test_app_that_does_not_read_never_asks_for_the_body(server: Server) -> None:
    with server.connect() as connection:
        headers = [("Expect", "100-continue"), ("Content-Length", "4")]
        connection.send_request("POST", "/ok", headers)
        response = connection.read_response(interim=True)
        assert response.status == 200
