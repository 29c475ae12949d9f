"""Forms, texts and JSON: whole however they come, and refused where they cannot be read."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import Response, Server, gohttp_serve, wait_until
from websocket_wire import H2Connection, H2Stream

APPS = Path(__file__).parent / "apps"
URLENCODED = "application/x-www-form-urlencoded"
CHUNKED = ("Transfer-Encoding", "chunked")
each_way = pytest.mark.parametrize("at", ["", "/async"], ids=["sync", "async"])


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("copies") / "copy"


@pytest.fixture(scope="module")
def server(copy: Path) -> Iterator[Server]:
    with gohttp_serve("form_cases:mux", cwd=APPS, env={"FORM_COPY": str(copy)}) as server:
        yield server


def post(server: Server, path: str, kind: str, body: bytes) -> Response:
    return server.request("POST", path, [("Content-Type", kind)], body)


def part(disposition: str, data: bytes, boundary: str = "xYx") -> bytes:
    head = f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n"
    return head.encode() + data + b"\r\n"


def multipart(*parts: bytes, boundary: str = "xYx") -> tuple[str, bytes]:
    kind = f"multipart/form-data; boundary={boundary}"
    return kind, b"".join(parts) + f"--{boundary}--\r\n".encode()


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def state(server: Server) -> dict[str, float]:
    told: dict[str, float] = json.loads(server.get("/state").body)
    return told


# --- whole, however they come --------------------------------------------------------------------


@each_way
@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        (URLENCODED, b"a=" + b"x" * 9_000_000, "413"),
        (URLENCODED, b"&".join([b"a=1"] * 129), "413"),
        (URLENCODED, b"a=\xff", "400"),
        (multipart()[0], part('name="a"', b"1") + part('nothing="b"', b"2"), "400"),
    ],
    ids=["long", "many", "no-utf-8", "no-name"],
)
def test_form_that_was_refused_is_refused_again(
    server: Server, at: str, kind: str, body: bytes, status: str
) -> None:
    """And what was left of the body is not taken for another form."""
    first, second = json.loads(post(server, f"{at}/form-twice", kind, body).body)
    assert first == second
    assert first.startswith(status)


@each_way
@pytest.mark.parametrize("size", [60_000, 300_000, 4_000_000])
def test_long_urlencoded_form_is_whole(server: Server, at: str, size: int) -> None:
    response = post(server, f"{at}/form", URLENCODED, b"a=" + b"x" * size + b"&b=2")
    assert (response.status, response.text) == (
        200,
        f'{{"lengths":[["a",{size}],["b",1]],"files":{{}}}}',
    )


@pytest.mark.parametrize("framing", [CHUNKED, ("Content-Length", "200000")])
def test_urlencoded_form_in_two_pieces_is_whole(server: Server, framing: tuple[str, str]) -> None:
    first, second = b"a=" + b"x" * 99_998, b"x" * 99_996 + b"&b=2"
    if framing is CHUNKED:
        first, second = chunk(first), chunk(second) + b"0\r\n\r\n"
    with server.connect() as connection:
        fields = [("Content-Type", URLENCODED), framing]
        connection.send_request("POST", "/form-after-a-sign", fields, first)
        assert connection.read_head().status == 200
        assert connection.read_chunk() == b"\n"
        connection.send(second)
        assert connection.read_chunk() == b'[["a",199994],["b",1]]'


def test_urlencoded_form_in_two_frames_is_whole(server: Server) -> None:
    with H2Connection(server) as connection:
        number = connection.h2.get_next_available_stream_id()
        fields = [(":method", "POST"), (":scheme", "http"), (":path", "/form"), (":authority", "t")]
        stream = connection.streams[number] = H2Stream(connection, number)
        connection.h2.send_headers(number, [*fields, ("content-type", URLENCODED)])
        connection.h2.send_data(number, b"a=" + b"x" * 10_000)
        connection.h2.send_data(number, b"x" * 10_000 + b"&b=2", end_stream=True)
        connection.flush()
        got = json.loads(stream.read_until_close())
    assert got["lengths"] == [["a", 20_000], ["b", 1]]


@each_way
def test_text_of_a_multipart_form_is_a_field_however_long(server: Server, at: str) -> None:
    kind, body = multipart(part('name="a"', b"x" * 200_000), part('name="b"', b"2"))
    got = json.loads(post(server, f"{at}/form", kind, body).body)
    assert got == {"lengths": [["a", 200_000], ["b", 1]], "files": {}}


@each_way
def test_multipart_form_with_text_around_it_in_small_pieces_is_read(
    server: Server, at: str
) -> None:
    kind, body = multipart(part('name="f"; filename="f"', b"x" * 3000), part('name="b"', b"2"))
    body = b"preamble\r\n" + body + b"epilogue\r\n"
    pieces = [body[i : i + 7] for i in range(0, len(body), 7)]
    sent = b"".join(map(chunk, pieces)) + b"0\r\n\r\n"
    response = server.request("POST", f"{at}/form", [("Content-Type", kind), CHUNKED], sent)
    assert json.loads(response.body) == {"lengths": [["b", 1]], "files": {"f": [3000]}}


@each_way
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        multipart(part('name="a"', b"1", "b" * 2000), boundary="b" * 2000),
        multipart(part('filename="f"', b"1")),
        multipart(part('name="a"', b"\xff")),
    ],
    ids=["long boundary", "no name", "no text"],
)
def test_multipart_form_of_a_wrong_form_is_400(
    server: Server, at: str, kind: str, body: bytes
) -> None:
    assert post(server, f"{at}/form", kind, body).status == 400


@pytest.mark.parametrize("size", [6, 200_000])
def test_file_of_a_form_is_saved_as_a_whole(server: Server, copy: Path, size: int) -> None:
    data = b"abcdef" + b"x" * (size - 6)
    response = post(server, "/save", *multipart(part('name="f"; filename="../f"', data)))
    assert json.loads(response.body) == [size, size, "abcdef"]
    assert copy.read_bytes() == data


# --- files are closed ----------------------------------------------------------------------------


@each_way
@pytest.mark.parametrize("how", ["no end", "too many parts", "too much text", "strange charset"])
def test_files_of_a_form_that_cannot_be_read_are_closed(server: Server, at: str, how: str) -> None:
    files = part('name="f"; filename="f"', b"x" * 100_000) * 2
    wrong, status = {
        "no end": (part('name="f"; filename="f"', b"x" * 100_000)[:-1000], 400),
        "too many parts": (part('name="a"', b"1") * 200, 413),
        "too much text": (part('name="a"', b"x" * 9_000_000), 413),
        "strange charset": (part('name="a"\r\nContent-Type: text/plain; charset=rot13', b"x"), 415),
    }[how]
    before = state(server)["descriptors"]
    for _ in range(5):
        body = files + wrong
        assert (
            post(server, f"{at}/form", "multipart/form-data; boundary=xYx", body).status == status
        )
    assert state(server)["descriptors"] < before + 5


def test_files_of_a_form_whose_client_has_left_are_closed(server: Server) -> None:
    before = state(server)["descriptors"]
    body = part('name="f"; filename="f"', b"x" * 300_000) * 2
    fields = [("Content-Type", "multipart/form-data; boundary=xYx"), CHUNKED]
    for _ in range(10):
        with server.connect() as connection:
            connection.send_request("POST", "/form", fields, chunk(body))
    wait_until(lambda: state(server)["descriptors"] < before + 5, "the files to be closed")


# --- charsets ------------------------------------------------------------------------------------


@each_way
@pytest.mark.parametrize(
    "charset", ["punycode", "idna", "utf-7", "rot13", "hex", "mbcs", "x" * 999]
)
def test_what_is_no_charset_is_415(server: Server, at: str, charset: str) -> None:
    kind, body = multipart(part('name="a"', b"1"))
    of_part = multipart(part(f'name="a"\r\nContent-Type: text/plain; charset={charset}', b"1"))
    for path, asked, sent in (
        ("/form", f"{URLENCODED}; charset={charset}", b"a=1"),
        ("/form", f"{kind}; charset={charset}", body),
        ("/form", *of_part),
        ("/text", f"text/plain; charset={charset}", b"x"),
    ):
        response = post(server, at + path, asked, sent)
        assert response.status == 415, (path, asked)


def test_invented_charsets_are_not_remembered(server: Server) -> None:
    kind, body = multipart(part('name="a"', b"1"))
    before = state(server)["codecs"]
    for number in range(20):
        for of_body in (f"{kind}; charset=invented{number}", f"{URLENCODED}; charset=new{number}"):
            assert post(server, "/form", of_body, body).status == 415
        one = multipart(part(f'name="a"\r\nContent-Type: text/plain; charset=part{number}', b"1"))
        assert post(server, "/form", *one).status == 415
    assert state(server)["codecs"] == before


@each_way
@pytest.mark.parametrize(
    ("charset", "sent"),
    [
        ("UTF-8", "é".encode()),
        ('"utf8"', "é".encode()),
        ("ISO-8859-1", b"\xe9"),
        ("windows-1252", b"\xe9"),
        ("utf-16le", b"\xe9\0"),
    ],
)
def test_charsets_of_the_web_are_known(server: Server, at: str, charset: str, sent: bytes) -> None:
    assert post(server, f"{at}/text", f"text/plain; charset={charset}", sent).text == "é"
    if b"\0" not in sent:
        kind = f"{URLENCODED}; charset={charset}"
        assert json.loads(post(server, f"{at}/form", kind, b"a=%E9" + sent).body)["files"] == {}


# --- text and JSON -------------------------------------------------------------------------------


@each_way
@pytest.mark.parametrize(
    "kind",
    [
        "text/plain; charset*=utf-8''utf-8; charset*0=x",
        f"text/plain; charset*{'9' * 5000}=utf-8",
        "text/plain; charset*0*=utf-8",
    ],
)
def test_charset_told_in_a_way_that_http_has_not_is_415(server: Server, at: str, kind: str) -> None:
    assert post(server, f"{at}/text", kind, b"x").status == 415


def test_content_type_is_read_in_linear_time(server: Server) -> None:
    before = state(server)["cpu"]
    for _ in range(10):
        assert post(server, "/text", ";" * 60_000, b"x").status == 200
    # By the square of its length, each took more than a tenth of a second.
    assert state(server)["cpu"] - before < 0.5


@each_way
@pytest.mark.parametrize("body", [b"NaN", b"[Infinity]", b'{"a": -Infinity}'])
def test_numbers_that_json_has_not_are_400(server: Server, at: str, body: bytes) -> None:
    assert post(server, f"{at}/json", "application/json", body).status == 400


@each_way
def test_lone_surrogates_are_answered_as_escapes(server: Server, at: str) -> None:
    for path, end in ((f"{at}/json", ""), ("/event", "\n\n")):
        response = post(server, path, "application/json", b'["\\ud800", "\\u00e9"]')
        assert response.status == 200
        sent = response.text.removeprefix("data: ")
        assert sent.endswith(end)
        assert json.loads(sent) == ["\ud800", "é"]
        assert "\\ud800" in sent


# --- what is missing -----------------------------------------------------------------------------


@each_way
@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/field", "the form has no 'name'"),
        ("/file", "the form has no file 'name'"),
        ("/parameter?pages=1", "the query has no 'page'"),
    ],
)
def test_missing_value_is_400_and_named_in_the_log(
    server: Server, at: str, path: str, told: str
) -> None:
    before = len(server.log())
    assert post(server, at + path, *multipart(part('name="other"', b"1"))).status == 400
    wait_until(lambda: any(told in line for line in server.log()[before:]), "the log to name it")
    assert not any("Traceback" in line for line in server.log()[before:])


def test_missing_value_is_a_key_error_to_handlers(server: Server) -> None:
    kind, body = multipart(part('name="a"', b"1"))
    got = json.loads(post(server, "/absent?there=1", kind, body).body)
    assert got["get"] == [None, "1", None]
    assert got["in"] == [False, False, True]
    for name in ("KeyError", "BadRequest", "MissingValue"):
        assert got[name] == ["the query has no 'page'", "page"]
