"""Limits, exact at the boundary: just below passes, one more is refused with the right status."""

import pytest
from conftest import Servers
from conversation import connect, converse, each_face, refused, seen
from support import Response, Server

HEAD_SIZE, HEADERS, TARGET_SIZE, BODY_SIZE = 1000, 10, 100, 5000

LIMITS = (
    f"--max-head-size={HEAD_SIZE}",
    f"--max-headers={HEADERS}",
    f"--max-target-size={TARGET_SIZE}",
    f"--max-body-size={BODY_SIZE}",
)


@pytest.fixture
def limited(servers: Servers, face: str) -> Server:
    return servers(face, *LIMITS)


def ok(responses: list[Response]) -> None:
    assert [response.status for response in responses] == [200]


def ask(server: Server, request: bytes) -> list[Response]:
    """The answer to a whole request; if it is served, the connection is closed by us."""
    return converse(server, request.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))


def head_of_size(size: int) -> bytes:
    """A head of so many bytes, with the field that `ask` adds."""
    bare = b"GET / HTTP/1.1\r\nConnection: close\r\nHost: test\r\nA: \r\n\r\n"
    padding = b"a" * (size - len(bare))
    return b"GET / HTTP/1.1\r\nHost: test\r\nA: " + padding + b"\r\n\r\n"


@each_face
def test_a_target_of_the_largest_size_passes(limited: Server) -> None:
    target = b"/" + b"a" * (TARGET_SIZE - 1)
    ok(ask(limited, b"GET " + target + b" HTTP/1.1\r\nHost: test\r\n\r\n"))


@each_face
def test_a_target_one_byte_longer_gets_414(limited: Server) -> None:
    seen(limited)
    target = b"/" + b"a" * TARGET_SIZE
    refused(ask(limited, b"GET " + target + b" HTTP/1.1\r\nHost: test\r\n\r\n"), 414)
    assert seen(limited) == []


@each_face
def test_an_endless_request_line_gets_414_before_it_ends(limited: Server) -> None:
    refused(converse(limited, b"GET /" + b"a" * 4 * TARGET_SIZE), 414)


@each_face
def test_a_head_of_the_largest_size_passes(limited: Server) -> None:
    ok(ask(limited, head_of_size(HEAD_SIZE)))


@each_face
def test_a_head_one_byte_larger_gets_431(limited: Server) -> None:
    seen(limited)
    refused(ask(limited, head_of_size(HEAD_SIZE + 1)), 431)
    assert seen(limited) == []


@each_face
def test_an_endless_head_gets_431_before_it_ends(limited: Server) -> None:
    refused(ask(limited, b"GET / HTTP/1.1\r\nA: " + b"a" * 2 * HEAD_SIZE), 431)


@each_face
def test_a_head_that_trickles_meets_the_same_limit(limited: Server) -> None:
    with connect(limited) as connection:
        for byte in head_of_size(HEAD_SIZE):
            connection.send(bytes([byte]))
        assert connection.read_response().status == 200
        for byte in head_of_size(HEAD_SIZE + 40)[: HEAD_SIZE + 1]:
            connection.send(bytes([byte]))
        refused(connection.rest(), 431)


@each_face
@pytest.mark.parametrize("more", [0, 1])
def test_the_number_of_headers(limited: Server, more: int) -> None:
    fields = b"A: b\r\n" * (HEADERS - 2 + more)  # beside Host and Connection
    responses = ask(limited, b"GET / HTTP/1.1\r\nHost: test\r\n" + fields + b"\r\n")
    if more:
        refused(responses, 431)
    else:
        ok(responses)


@each_face
def test_a_body_of_the_largest_size_passes(limited: Server) -> None:
    body = b"a" * BODY_SIZE
    head = b"POST /_count HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n" % BODY_SIZE
    (response,) = ask(limited, head + body)
    assert response.body == b"%d" % BODY_SIZE


@each_face
def test_a_content_length_one_byte_larger_gets_413(limited: Server) -> None:
    seen(limited)
    head = b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n" % (BODY_SIZE + 1)
    refused(ask(limited, head), 413)  # at once: no byte of the body is waited for
    assert seen(limited) == []


@each_face
def test_413_is_read_by_a_client_that_sends_its_body_all_the_same(limited: Server) -> None:
    size = 4_000_000
    head = b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n" % size
    refused(ask(limited, head + b"a" * size), 413)


@each_face
@pytest.mark.parametrize("chunk", [1, 999, BODY_SIZE])
def test_chunks_of_the_largest_size_together_pass(limited: Server, chunk: int) -> None:
    (response,) = ask(limited, chunked(BODY_SIZE, chunk, b"/_count"))
    assert response.body == b"%d" % BODY_SIZE


@each_face
@pytest.mark.parametrize("chunk", [1, 999, BODY_SIZE + 1])
def test_chunks_one_byte_larger_together_get_413(limited: Server, chunk: int) -> None:
    seen(limited)
    refused(ask(limited, chunked(BODY_SIZE + 1, chunk, b"/")), 413)
    assert seen(limited) == []


def chunked(size: int, chunk: int, target: bytes) -> bytes:
    body = b""
    for start in range(0, size, chunk):
        data = b"a" * min(chunk, size - start)
        body += b"%x\r\n%s\r\n" % (len(data), data)
    head = b"POST %s HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n" % target
    return head + body + b"0\r\n\r\n"


@each_face
@pytest.mark.parametrize(
    "flood",
    [
        pytest.param(b"1;" + b"a" * 20_000, id="one long extension"),
        pytest.param(b"1;aaaaaaaaaaaaaaa\r\na\r\n" * 20_000, id="many extensions"),
        pytest.param(b"0\r\nA: " + b"a" * 40_000, id="one long trailer"),
        pytest.param(b"0\r\n" + b"A: b\r\n" * 10_000, id="many trailers"),
        pytest.param(b"0" * 20_000, id="endless size"),
    ],
)
def test_what_surrounds_chunks_is_limited_too(server: Server, flood: bytes) -> None:
    head = b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
    refused(converse(server, head + flood))
