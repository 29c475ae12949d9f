"""What Request and ResponseWriter offer beside the bare exchange, in sync and async handlers."""

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import gohttp.testing
import pytest
from gohttp import Mux, Request, ResponseWriter
from support import Response, Server, gohttp_serve

APPS = Path(__file__).parent / "apps"
each_way = pytest.mark.parametrize("at", ["", "/async"], ids=["sync", "async"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    (folder / "a.txt").write_bytes(b"0123456789" * 1000)
    (folder / "sub").mkdir()
    (folder / "sub" / "index.html").write_text("<p>index")
    (folder / ".secret").write_text("secret")
    (folder.parent / "outside.txt").write_text("outside")
    os.mkfifo(folder / "pipe")
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    environment = {"CASES_FOLDER": str(folder)}
    with gohttp_serve("api_cases:mux", cwd=APPS, env=environment) as server:
        yield server


def post(server: Server, path: str, kind: str, body: bytes) -> Response:
    return server.request("POST", path, [("Content-Type", kind)], body)


def multipart(*parts: tuple[str, bytes], boundary: str = "xYx") -> tuple[str, bytes]:
    body = b"".join(
        f"--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + data + b"\r\n"
        for head, data in parts
    )
    return f"multipart/form-data; boundary={boundary}", body + f"--{boundary}--\r\n".encode()


# --- forms, JSON, text ---------------------------------------------------------------------------


@each_way
def test_urlencoded_form(server: Server, at: str) -> None:
    kind = "application/x-www-form-urlencoded; charset=utf-8"
    response = post(server, f"{at}/form", kind, b"a=1&a=2&b=%C3%BC+x&c=")
    assert json.loads(response.body) == {
        "pairs": [["a", "1"], ["a", "2"], ["b", "ü x"], ["c", ""]],
        "files": {},
        "again": True,
    }


@each_way
@pytest.mark.parametrize("size", [0, 10, 300_000, 1_500_000])
def test_multipart_form_with_files(server: Server, at: str, size: int) -> None:
    kind, body = multipart(
        ('name="a"', "ü".encode()),
        ('name="f"; filename="x.txt"\r\nContent-Type: text/plain', b"x" * size),
        ('name="f"; filename="y.bin"', b"yy"),
    )
    got = json.loads(post(server, f"{at}/form", kind, body).body)
    assert got["pairs"] == [["a", "ü"]]
    assert got["files"]["f"][0] == ["x.txt", "text/plain", size, "x" * min(size, 5)]
    assert got["files"]["f"][1][2:] == [2, "yy"]


@each_way
@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("text/plain", b"a=1", 415),
        ("multipart/form-data", b"a=1", 400),
        ("multipart/form-data; boundary=xYx", b"--xYx\r\nbroken", 400),
        (*multipart(*[(f'name="n{n}"', b"x") for n in range(200)]), 413),
        ("application/x-www-form-urlencoded", b"a=" + b"x" * (9 * 1024 * 1024), 413),
        ("multipart/form-data; boundary=", b"", 400),
    ],
    ids=["type", "no boundary", "cut short", "parts", "fields", "empty boundary"],
)
def test_form_that_cannot_be_read_is_the_clients_fault(
    server: Server, at: str, kind: str, body: bytes, status: int
) -> None:
    before = len(server.log())
    assert post(server, f"{at}/form", kind, body).status == status
    assert server.get("/facts").status == 200
    assert not any("Traceback" in line for line in server.log()[before:])


@each_way
def test_json(server: Server, at: str) -> None:
    response = post(server, f"{at}/json", "application/json", '{"ü": [1, null]}'.encode())
    assert (response.status, json.loads(response.body)) == (201, {"got": {"ü": [1, None]}})
    assert response.header("content-type") == "application/json"


@each_way
@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe\x00", b"[" * 200_000])
def test_body_that_is_no_json_is_400(server: Server, at: str, body: bytes) -> None:
    assert post(server, f"{at}/json", "application/json", body).status == 400


@each_way
@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("text/plain", "ü".encode(), 200),
        ("text/plain; charset=iso-8859-1", b"\xfc", 200),
        ("text/plain", b"\xfc", 400),
        ("text/plain; charset=klingon", b"x", 415),
    ],
)
def test_text(server: Server, at: str, kind: str, body: bytes, status: int) -> None:
    response = post(server, f"{at}/text", kind, body)
    assert response.status == status
    if status == 200:
        assert response.body == "ü".encode()


def test_bad_request_that_a_handler_raises_has_its_status(server: Server) -> None:
    assert server.get("/refused").status == 422
    assert "no such colour" in server.wait_for_log("GET /refused")


# --- facts ---------------------------------------------------------------------------------------


@each_way
def test_query_cookies_and_basic_auth(server: Server, at: str) -> None:
    credentials = base64.b64encode("mé:p:w".encode()).decode()
    headers = [
        ("Cookie", 'x=1; y="2"; x=3; novalue; =noname'),
        ("Authorization", f"Basic {credentials}"),
    ]
    facts = json.loads(server.get(f"{at}/facts?a=1&b=%20&a=2&c", headers).body)
    assert facts == {
        "query": [["a", "1"], ["b", " "], ["a", "2"], ["c", ""]],
        "all": ["1", "2"],
        "first": "1",
        "cookies": {"x": "1", "y": "2"},
        "auth": ["mé", "p:w"],
        "scheme": "http",
        "pattern": "/facts",
        "context": {"x": 1},
    }


@pytest.mark.parametrize(
    "value", ["", "Basic", "Basic !!!", "Basic YQ==", "Bearer x", "Basic /w=="]
)
def test_what_is_no_basic_auth_is_none(server: Server, value: str) -> None:
    facts = json.loads(server.get("/facts", [("Authorization", value)]).body)
    assert facts["auth"] is None


# --- the body in pieces --------------------------------------------------------------------------


@each_way
@pytest.mark.parametrize("size", [0, 1, 50_000, 70_000, 2_000_000])
def test_body_is_read_in_pieces(server: Server, at: str, size: int) -> None:
    total, most, after, rest = json.loads(
        post(server, f"{at}/pieces", "application/octet-stream", b"x" * size).body
    )
    assert (total, after, rest) == (size, 0, 0)
    assert most <= 50_000


def test_body_that_has_been_read_in_part_is_not_to_be_had_whole(server: Server) -> None:
    response = post(server, "/piece-then-body", "text/plain", b"abc")
    assert b"some of it has been given by read()" in response.body


@each_way
def test_whole_body_can_be_read_in_pieces_after(server: Server, at: str) -> None:
    response = post(server, f"{at}/body-then-pieces", "text/plain", b"x" * 10)
    assert json.loads(response.body) == [10, 3, 7, 10]


# --- answers -------------------------------------------------------------------------------------


@each_way
def test_answers_of_usual_kinds(server: Server, at: str) -> None:
    html = server.get(f"{at}/answers/html")
    assert (html.status, html.body) == (202, "<p>é</p>".encode())
    assert html.header("content-type") == "text/html; charset=utf-8"
    error = server.get(f"{at}/answers/error")
    assert (error.status, error.body) == (404, b"not here\n")
    assert error.header("x-content-type-options") == "nosniff"
    assert error.header("etag") is None
    assert error.header("cache-control") is None
    own = server.get(f"{at}/answers/own-type")
    assert (own.status, own.header("content-type")) == (409, "application/problem+json")
    assert own.body == '{"a":"é"}'.encode()


@each_way
@pytest.mark.parametrize(
    ("to", "location"),
    [
        ("/a?b=c#d", "/a?b=c#d"),
        ("/ü x", "/%C3%BC%20x"),
        ("/%41", "/%41"),
        ("/a\r\nSet-Cookie: x=1", "/a%0D%0ASet-Cookie:%20x=1"),
        ('/"><script>', "/%22%3E%3Cscript%3E"),
    ],
)
def test_redirect_is_escaped(server: Server, at: str, to: str, location: str) -> None:
    response = server.get(f"{at}/answers/redirect?to={quote(to, safe='')}")
    assert (response.status, response.header("location")) == (302, location)
    assert response.header("set-cookie") is None
    assert b"<script>" not in response.body


def test_redirect_has_a_status_of_redirects(server: Server) -> None:
    assert server.get("/answers/redirect?to=/&status=308").status == 308
    assert server.get("/answers/redirect?to=/&status=200").status == 500


@each_way
def test_cookies_are_set(server: Server, at: str) -> None:
    response = server.get(f"{at}/answers/cookies")
    assert [value for name, value in response.headers if name == "set-cookie"] == [
        "a=1; Max-Age=60; Path=/; Secure; HttpOnly; SameSite=None",
        "b=2; Expires=Wed, 02 Jan 2030 00:00:00 GMT",
    ]
    assert json.loads(server.get(f"{at}/answers/bad-cookies").body) == [True] * 8


@each_way
def test_events(server: Server, at: str) -> None:
    response = server.get(f"{at}/events")
    assert response.header("content-type") == "text/event-stream"
    assert response.body.decode().split("\n\n") == [
        ": hello",
        "event: tick\nid: 1\nretry: 500\ndata: one\ndata: two\ndata: three",
        'data: {"n": 2}',
        "data: refused",
        "data: refused",
        "",
    ]


@each_way
def test_early_hints(server: Server, at: str) -> None:
    with server.connect() as connection:
        connection.send_request("GET", f"{at}/hints")
        hint = connection.read_response(interim=True)
        assert hint.status == 103
        assert [value for name, value in hint.headers if name == "link"] == [
            "</a.css>; rel=preload",
            "</b.js>; rel=preload",
        ]
        assert connection.read_response().body == b"done"


def test_connection_is_taken_over(server: Server) -> None:
    with server.connect() as connection:
        connection.send(b"GET /hijack HTTP/1.1\r\nHost: test\r\n\r\nbehind")
        assert connection.read_until_close().endswith(b"\r\n\r\nBEHIND")


# --- files ---------------------------------------------------------------------------------------


@each_way
def test_file_with_ranges_and_conditions(server: Server, at: str) -> None:
    whole = server.get(f"{at}/file?name=a.txt")
    assert (whole.status, len(whole.body), whole.header("x-mine")) == (200, 10_000, "kept")
    part = server.get(f"{at}/file?name=a.txt", [("Range", "bytes=3-5")])
    assert (part.status, part.body) == (206, b"345")
    since = whole.header("last-modified")
    assert since is not None
    unchanged = server.get(f"{at}/file?name=a.txt", [("If-Modified-Since", since)])
    assert (unchanged.status, unchanged.body) == (304, b"")


@each_way
@pytest.mark.parametrize("name", ["nothing", "sub", "pipe"])
def test_what_is_no_file_is_an_error_of_the_handler(server: Server, at: str, name: str) -> None:
    assert server.get(f"{at}/file?name={name}").status == 500
    assert server.get("/facts").status == 200
    server.wait_for_log(rf"Error: .*/files\d*/{name}\b")


@each_way
def test_headers_stay_set_when_a_file_cannot_be_served(server: Server, at: str) -> None:
    response = server.get(f"{at}/file-or-else")
    assert response.header("x-mine") == "kept"
    assert response.body == b"no file\nX-Mine is kept\n"


def test_missing_file_is_told_as_open_tells_it(tmp_path: Path) -> None:
    told: list[OSError] = []

    def handler(w: ResponseWriter, req: Request) -> None:
        for name in ("none.txt", "a\udcff.txt", "file.txt/below"):
            try:
                w.serve_file(req, tmp_path / name)
            except OSError as error:
                told.append(error)
        w.text("seen")

    (tmp_path / "file.txt").write_text("text")
    mux = Mux()
    mux.route("/", handler)
    with gohttp.testing.serve(mux) as url:
        assert urlopen(url).read() == b"seen"
    for name, error in zip(("none.txt", "a\udcff.txt", "file.txt/below"), told, strict=True):
        with pytest.raises(type(error)) as usual:
            os.stat(str(tmp_path / name))
        assert str(error) == str(usual.value)
        assert error.filename == str(tmp_path / name)
    assert isinstance(told[0], FileNotFoundError)


def test_static_files(server: Server) -> None:
    assert server.get("/static/a.txt").body == b"0123456789" * 1000
    assert server.get("/static/sub/").body == b"<p>index"
    assert server.get("/static/sub").status == 301
    assert server.get("/static/nothing").status == 404
    assert server.get("/static/pipe").status == 404
    assert server.request("POST", "/static/a.txt", (), b"x").status == 405


# Names of files are bytes, which need not be UTF-8.
ODD = os.fsencode("gr\udcfc\udcdfe \udcff.txt")


def test_static_file_whose_name_is_not_utf_8(server: Server, folder: Path) -> None:
    with open(os.path.join(os.fsencode(folder), ODD), "wb") as file:
        file.write(b"odd")
    for path in ("gr%FC%DFe%20%FF.txt", "gr%fc%dfe%20%ff.%74xt"):
        response = server.get(f"/static/{path}")
        assert (response.status, response.body) == (200, b"odd")
        assert response.header("content-type") == "text/plain; charset=utf-8"
    # The same letters as UTF-8 are another name.
    assert server.get("/static/gr%C3%BC%C3%9Fe%20%FF.txt").status == 404
    assert server.get("/static/%FF%FE").status == 404


def test_static_folder_whose_name_is_not_utf_8(server: Server, folder: Path) -> None:
    inside = os.path.join(os.fsencode(folder), b"d\xff")
    os.mkdir(inside)
    with open(os.path.join(inside, b"index.html"), "wb") as file:
        file.write(b"<p>odd")
    moved = server.get("/static/d%FF?x=%FE")
    assert (moved.status, moved.header("location")) == (301, "./d%FF/?x=%FE")
    assert server.get("/static/d%FF/").body == b"<p>odd"


def test_bytes_that_a_path_cannot_hold_are_no_500(server: Server) -> None:
    for name in (b"\xff", b"d\xff", b"gr\xfc\xdfe", b"\xc3\xbc/", b"\xc3"):
        target = b"/static/" + name
        with server.connect() as connection:
            connection.send(b"GET " + target + b" HTTP/1.1\r\nHost: test\r\n\r\n")
            assert connection.read_response().status in (301, 400, 404)


def test_directory_whose_name_is_not_utf_8_is_served(tmp_path: Path) -> None:
    directory = tmp_path / "public\udcff"
    directory.mkdir()
    (directory / "a.txt").write_text("here")
    mux = Mux()
    mux.files("/", directory)
    with gohttp.testing.serve(mux) as url:
        assert urlopen(f"{url}/a.txt").read() == b"here"
    with pytest.raises(FileNotFoundError):
        mux.files("/other", tmp_path / "none\udcff")


@pytest.mark.parametrize(
    "path",
    [
        "../outside.txt",
        "%2e%2e/outside.txt",
        "..%2foutside.txt",
        "sub/../../outside.txt",
        ".secret",
    ],
)
def test_nothing_outside_the_folder_is_served(server: Server, path: str) -> None:
    response = server.get(f"/static/{path}")
    assert response.status in (301, 400, 404)
    assert b"outside" not in response.body
    assert b"secret" not in response.body


# --- middleware ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "body"), [("sync", b"sync"), ("async", b"async 3")])
def test_middleware_is_around_handlers_of_both_kinds(
    server: Server, path: str, body: bytes
) -> None:
    response = server.request("POST", f"/wrapped/{path}", (), b"abc")
    assert response.body == body
    around: list[Any] = [value for name, value in response.headers if name == "x-around"]
    assert around == ["outer", "inner"]
