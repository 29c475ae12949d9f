"""Compressed responses: what is compressed, how, and what is left alone."""

import gzip
import importlib
import random
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import brotli
import pytest
import zstandard
from gohttp import middleware
from middleware_site import HANDLERS, TARGETS, TEXT, Site, serve, varies_on
from support import Response

HERE = Path(__file__).parent


@pytest.fixture(scope="module", params=TARGETS)
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    with serve(tmp_path_factory.mktemp("site"), request.param) as site:
        yield site


@pytest.fixture(params=HANDLERS)
def kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@pytest.fixture
def http_2(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The class of clients."""
    monkeypatch.syspath_prepend(HERE.parent / "protocol")
    return importlib.import_module("h2client").H2Client


CODINGS = ["zstd", "br", "gzip"]


class Decoder:
    """Decodes a body piece by piece: what has come must be readable at once."""

    def __init__(self, coding: str) -> None:
        self._zlib = zlib.decompressobj(31) if coding == "gzip" else None
        self._brotli = brotli.Decompressor() if coding == "br" else None
        self._zstd = zstandard.ZstdDecompressor().decompressobj() if coding == "zstd" else None

    def feed(self, data: bytes) -> bytes:
        if self._zlib:
            return self._zlib.decompress(data)
        if self._brotli:
            return bytes(self._brotli.process(data))
        assert self._zstd
        return bytes(self._zstd.decompress(data))

    @property
    def ended(self) -> bool:
        if self._zlib:
            return self._zlib.eof and not self._zlib.unused_data
        if self._brotli:
            return bool(self._brotli.is_finished())
        assert self._zstd
        return bool(self._zstd.eof) and not self._zstd.unused_data


def decoded(response: Response, coding: str) -> bytes:
    assert response.header("content-encoding") == coding, response
    decoder = Decoder(coding)
    body = decoder.feed(response.body)
    assert decoder.ended
    return body


def text_of(size: int) -> bytes:
    return (TEXT * (size // len(TEXT) + 1))[:size]


def accept(value: str) -> list[tuple[str, str]]:
    return [("Accept-Encoding", value)]


@pytest.mark.parametrize("coding", CODINGS)
def test_whole_bodies_are_compressed(site: Site, kind: str, coding: str) -> None:
    for size in (1024, 10_000, 1_000_000):
        response = site.server.get(f"/packed/{kind}/x?size={size}", accept(coding))
        assert decoded(response, coding) == text_of(size)
        assert len(response.body) < size / 4
        assert response.header("vary") == "accept-encoding"
        assert response.header("x-request-id")
        if size <= 10_000:
            assert response.header("content-length") == str(len(response.body))


@pytest.mark.parametrize("coding", CODINGS)
def test_streams_are_sent_as_they_come(site: Site, kind: str, coding: str) -> None:
    gate = site.gate()
    path = f"/packed/{kind}/x?size=300&pieces=3&type=text/event-stream&gate={gate}"
    decoder = Decoder(coding)
    with site.server.connect() as connection:
        connection.send_request("GET", path, accept(coding))
        head = connection.read_head()
        assert head.header("content-encoding") == coding
        assert head.header("transfer-encoding") == "chunked"
        body = b""
        for number in range(1, 4):
            while len(body) < 100 * number:
                body += decoder.feed(connection.read_chunk())
            assert body == text_of(300)[: 100 * number], "no more, no less than was written"
            site.open(f"{gate}-{number}")
        while chunk := connection.read_chunk():
            body += decoder.feed(chunk)
    assert body == text_of(300)
    assert decoder.ended


def test_bodies_of_declared_length_are_compressed_as_they_come(site: Site, kind: str) -> None:
    for pieces in (1, 4):
        path = f"/packed/{kind}/x?size=100000&declared=1&pieces={pieces}"
        response = site.server.get(path, accept("gzip"))
        assert decoded(response, "gzip") == text_of(100_000)
        assert response.header("content-length") in (None, str(len(response.body)))
    response = site.server.get(f"/packed/{kind}/x?size=100&declared=1&pieces=2", accept("gzip"))
    assert (response.body, response.header("content-encoding")) == (text_of(100), None)
    assert response.header("content-length") == "100"


@pytest.mark.parametrize(
    ("sent", "coding"),
    [
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, br", "br"),
        ("br;q=0.5, gzip;q=0.8", "gzip"),
        ("zstd;q=0.1, *;q=0.5", "br"),
        ("*", "zstd"),
        ("GZIP", "gzip"),
        ("x-gzip", "gzip"),
        ("identity, gzip;q=0.5", None),
        ("gzip;q=0", None),
        ("deflate", None),
        ("", None),
    ],
)
def test_client_says_what_it_likes_best(site: Site, sent: str, coding: str | None) -> None:
    response = site.server.get("/packed/sync/x?size=5000", accept(sent))
    if coding:
        assert decoded(response, coding) == text_of(5000)
    else:
        assert (response.body, response.header("content-encoding")) == (text_of(5000), None)
    assert response.header("vary") == "accept-encoding"


def test_what_is_not_to_be_compressed_is_left_alone(site: Site, kind: str) -> None:
    for options in [
        "size=1023",
        "size=5000&type=image/png",
        "size=5000&type=application/octet-stream",
        "size=5000&field=content-encoding:zstd",
        "size=5000&field=cache-control:private,%20no-transform",
        "size=5000&field=content-digest:sha-256=:AAAA:",
    ]:
        etag = "&field=etag:%22a%22&field=accept-ranges:bytes"
        response = site.server.get(f"/packed/{kind}/x?{options}{etag}", accept("gzip, br"))
        assert response.body == text_of(len(response.body)), options
        assert response.header("content-length") == str(len(response.body))
        assert response.header("etag") == '"a"'
        assert response.header("accept-ranges") == "bytes"
        assert response.header("vary") is None


def test_part_of_a_body_is_left_alone(site: Site, kind: str) -> None:
    part = "size=5000&status=206&field=content-range:bytes%200-4999/9999"
    for kept in ("", "&field=cache-control:no-transform", "&type=image/png"):
        path = f"/packed/{kind}/x?{part}{kept}&field=etag:%22a%22&field=accept-ranges:bytes"
        for fields in (accept("gzip, br"), []):
            response = site.server.get(path, fields)
            assert (response.status, response.body) == (206, text_of(5000))
            assert response.header("content-encoding") is None
            assert response.header("etag") == '"a"'
            assert response.header("accept-ranges") == "bytes"
            # As the 200 would: RFC 9110 section 15.3.7.
            assert response.header("vary") == (None if kept else "accept-encoding")


def test_304_varies_as_the_200_would(site: Site, kind: str) -> None:
    for options, expected in [
        ("", {"accept-encoding"}),
        ("&type=none", {"accept-encoding"}),
        ("&field=vary:cookie", {"cookie", "accept-encoding"}),
        ("&type=image/png", set()),
        ("&field=cache-control:no-transform", set()),
    ]:
        for fields in (accept("gzip"), []):
            path = f"/packed/{kind}/x?status=304&field=etag:%22a%22{options}"
            response = site.server.get(path, fields)
            assert (response.status, response.body) == (304, b"")
            assert varies_on(response) == expected, options


def test_parts_and_304_of_a_file_vary(site: Site) -> None:
    path = "/packed/files/large.txt"
    tag = site.server.get(path).header("etag") or ""
    for field, status in [
        (("Range", "bytes=0-9"), 206),
        (("Range", "bytes=0-9, 20-29"), 206),
        (("If-None-Match", tag), 304),
    ]:
        response = site.server.get(path, [field])
        assert (response.status, varies_on(response)) == (status, {"accept-encoding"})


def test_body_without_a_type_is_left_alone(site: Site) -> None:
    for kind in set(site.kinds) & {"wsgi", "asgi"}:  # native bodies are typed by their first bytes
        response = site.server.get(f"/packed/{kind}/x?size=5000&type=none", accept("gzip"))
        assert (response.body, response.header("content-encoding")) == (text_of(5000), None)


def test_http_1_0_is_not_compressed(site: Site, kind: str) -> None:
    with site.server.connect() as connection:
        line = f"GET /packed/{kind}/x?size=5000 HTTP/1.0\r\n"
        connection.send(f"{line}Accept-Encoding: gzip\r\n\r\n".encode())
        response = connection.read_response()
    assert (response.body, response.header("content-encoding")) == (text_of(5000), None)
    assert response.header("vary") == "accept-encoding"


def test_entity_tags_are_made_weak_and_ranges_not_offered(site: Site, kind: str) -> None:
    path = f"/packed/{kind}/x?size=5000&field=accept-ranges:bytes&field=vary:cookie&field=etag:"
    response = site.server.get(f'{path}"a"', accept("gzip"))
    assert response.header("etag") == 'W/"a"'
    assert response.header("accept-ranges") is None
    assert varies_on(response) == {"cookie", "accept-encoding"}
    assert site.server.get(f'{path}W/"a"', accept("gzip")).header("etag") == 'W/"a"'


def test_304_repeats_the_tag_that_the_client_has(site: Site, kind: str) -> None:
    path = f"/packed/{kind}/x?status=304&field=etag:%22a%22"
    held = [*accept("gzip"), ("If-None-Match", '"b", W/"a"')]
    with site.server.connect() as connection:
        for fields, tag in [(held, 'W/"a"'), (accept("gzip"), '"a"')]:
            connection.send_request("GET", path, fields)
            response = connection.read_response()
            assert (response.status, response.body) == (304, b"")
            assert response.header("etag") == tag
            assert response.header("content-encoding") is None


def test_head_says_what_get_would(site: Site, kind: str) -> None:
    path = f"/packed/{kind}/x?size=5000&declared=1&field=etag:%22a%22"
    with site.server.connect() as connection:
        connection.send_request("HEAD", path, accept("gzip"))
        response = connection.read_response(head=True)
        assert response.status == 200
        assert response.header("content-encoding") == "gzip"
        assert response.header("content-length") is None, "it would have to be compressed for that"
        assert response.header("etag") == 'W/"a"'
        assert response.header("vary") == "accept-encoding"
        connection.send_request("HEAD", f"/packed/{kind}/x?size=10&declared=1", accept("gzip"))
        response = connection.read_response(head=True)
        assert response.header("content-encoding") is None
        assert response.header("content-length") == "10"


def test_204_stays_as_it_is(site: Site, kind: str) -> None:
    response = site.server.get(f"/gzip/{kind}/x?status=204", accept("gzip"))
    assert (response.status, response.body) == (204, b"")
    assert response.header("content-encoding") is None


def test_empty_bodies_stay_empty(site: Site) -> None:
    response = site.server.get("/gzip/get-only/../files//", accept("gzip"))
    assert (response.status, response.header("content-encoding")) == (301, None)


def test_body_is_compressed_once(site: Site, kind: str) -> None:
    response = site.server.get(f"/two-times/{kind}/x?size=5000", accept("gzip, br"))
    assert decoded(response, "gzip") == text_of(5000), "the innermost came first"
    response = site.server.get(f"/two-times/{kind}/x?size=5000", accept("br"))
    assert decoded(response, "br") == text_of(5000)


def test_types_may_be_named(site: Site, kind: str) -> None:
    for media, coding in [("application/x-mine", "gzip"), ("IMAGE/PNG", "gzip"), ("text/a", None)]:
        path = f"/mine/{kind}/x?size=5000&type={media}"
        assert site.server.get(path, accept("gzip")).header("content-encoding") == coding, media


def test_error_page_is_compressed_where_it_is_long_enough(site: Site, kind: str) -> None:
    response = site.server.get(f"/gzip/{kind}/raise", accept("gzip"))
    assert response.status == 500
    assert decoded(response, "gzip") == b"500 Internal Server Error\n"


@pytest.mark.parametrize("coding", CODINGS)
def test_files_are_compressed(site: Site, coding: str) -> None:
    with site.server.connect() as connection:
        for name, content in [("text.txt", TEXT * 100), ("large.txt", TEXT * 20_000)]:
            connection.send_request("GET", f"/packed/files/{name}", accept(coding))
            response = connection.read_response()
            assert decoded(response, coding) == content
            assert (response.header("etag") or "").startswith('W/"')
            assert response.header("accept-ranges") is None
    path = "/packed/files/large.txt"
    response = site.server.get(path, [*accept(coding), ("Range", "bytes=0-9")])
    assert (response.status, response.body) == (206, TEXT[:10])
    assert response.header("content-encoding") is None
    plain = site.server.get(path)
    assert plain.body == TEXT * 20_000
    tag = plain.header("etag")
    for sent in (f"W/{tag}", tag):
        response = site.server.get(path, [*accept(coding), ("If-None-Match", sent or "")])
        assert (response.status, response.header("etag")) == (304, sent)


def test_file_compressed_beforehand_is_sent_as_it_is(site: Site) -> None:
    (site.folder / "ready.txt").write_bytes(text_of(5000))
    (site.folder / "ready.txt.gz").write_bytes(gzip.compress(text_of(4999)))
    response = site.server.get("/packed/files/ready.txt", accept("gzip"))
    assert decoded(response, "gzip") == text_of(4999)
    assert response.header("accept-ranges") == "bytes"


def test_client_that_leaves_a_compressed_file_harms_nobody(site: Site) -> None:
    noise = random.Random(1).randbytes(4_000_000).hex().encode()
    (site.folder / "noise.txt").write_bytes(noise)
    with site.server.connect() as connection:
        connection.send_request("GET", "/packed/files/noise.txt", accept("gzip"))
        connection.read_head()
        connection.reset()
    response = site.server.get("/packed/files/noise.txt", accept("gzip"))
    assert decoded(response, "gzip") == noise


def test_compressed_bodies_on_http_2(site: Site, http_2: Any) -> None:
    with http_2(site.server) as client:
        for kind in site.kinds:
            for size in (5000, 1_000_000):
                path = f"/packed/{kind}/x?size={size}"
                stream = client.request("GET", path, [("accept-encoding", "br")])
                assert stream.headers["content-encoding"] == "br"
                assert brotli.decompress(stream.body) == text_of(size)
        stream = client.request("GET", "/packed/files/large.txt", [("accept-encoding", "gzip")])
        assert gzip.decompress(stream.body) == TEXT * 20_000


def test_short_body_is_no_good_end_though_it_is_compressed(site: Site) -> None:
    """The app declares more than it gives: the client must not take it for whole."""
    for kind in set(site.kinds) & {"wsgi", "asgi"}:
        path = f"/packed/{kind}/x?size=5000&pieces=2&field=content-length:6000"
        with site.server.connect() as connection:
            connection.send_request("GET", path, accept("gzip"))
            connection.read_head()
            decoder = Decoder("gzip")
            with pytest.raises(ConnectionError):
                decoder.feed(b"".join(iter(connection.read_chunk, b"")))


def test_codings_that_cannot_be_are_refused() -> None:
    for keywords, error in [
        ({"codings": []}, "nothing could be compressed"),
        ({"codings": ["deflate"]}, "a coding is 'zstd', 'br' or 'gzip', not \"deflate\""),
        ({"codings": ["br", "br"]}, '"br" is named twice'),
        ({"levels": {"gzip": 10}}, 'the levels of "gzip" are 1 to 9, not 10'),
        ({"codings": ["br"], "levels": {"gzip": 1}}, "not among the codings"),
        ({"types": ["text"]}, "a type is like 'text/html'"),
        ({"min_size": -1}, "from 0 up, not -1"),
    ]:
        with pytest.raises(ValueError, match=error):
            middleware.compress(**keywords)  # type: ignore[arg-type]


@pytest.mark.parametrize("coding", CODINGS)
def test_files_of_handlers_are_compressed(site: Site, kind: str, coding: str) -> None:
    with site.server.connect() as connection:
        for _ in range(2):
            connection.send_request("GET", f"/packed/{kind}/file", accept(coding))
            response = connection.read_response()
            assert decoded(response, coding) == TEXT * 20_000
            assert response.header("transfer-encoding") == "chunked"
