"""A Bottle app: apps/bottle_app.py."""

import os
from collections.abc import Iterator
from contextlib import closing

import niquests
import pytest

from .serving import Server, Setup, eventually, serve

DOCUMENT = os.urandom(2 * 1024 * 1024 + 11)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("bottle")
    (folder / "static").mkdir()
    (folder / "static" / "document.bin").write_bytes(DOCUMENT)
    (folder / "static" / "style.css").write_text("body { color: red }")
    (folder / "secret.txt").write_text("outside of the root")
    with serve("bottle_app:app", Setup("wsgi", 1), folder) as server:
        yield server


# --- requests -----------------------------------------------------------------------------------


def test_routes_take_what_is_in_the_path(client: niquests.Session, server: Server) -> None:
    assert client.get("/hello/Zoë und 東京").text == "Hello Zoë und 東京!"
    assert client.get("/items/7?a=%20b").json() == {
        "number": 7,
        "url": f"{server.url}/items/7?a=%20b",
        "address": "127.0.0.1",
    }
    assert client.get("/items/seven").status_code == 404
    assert client.post("/hello/x").status_code == 405


def test_form_fields_and_file(client: niquests.Session) -> None:
    fields = {"name": "Größe", "tag": ["a", "b & c"]}
    expected = {"name": "Größe", "tags": ["a", "b & c"]}
    assert client.post("/form", data=fields).json() == {**expected, "file": None}
    files = {"file": ("photo.bin", DOCUMENT)}
    answer = client.post("/form", data=fields, files=files).json()
    assert answer == {**expected, "file": ["photo.bin", len(DOCUMENT)]}


def test_json_goes_in_and_comes_out(client: niquests.Session) -> None:
    sent = {"text": "naïve … 東京", "numbers": [1, 2.5, None]}
    assert client.post("/json", json=sent).json() == {"sent": sent}
    broken = client.post("/json", data=b"{", headers={"Content-Type": "application/json"})
    assert broken.status_code == 400


def test_chunked_body_that_bottle_cannot_read_leaves_the_server_well(
    client: niquests.Session,
) -> None:
    # Bottle undoes the chunks itself; under a server that has done so it answers 400.
    for _ in range(2):
        body = (part for part in (b'{"a":', b" 1", b"}"))
        headers = {"Content-Type": "application/json"}
        assert client.post("/json", data=body, headers=headers).status_code == 400
        assert client.post("/json", json=[1]).json() == {"sent": [1]}


def test_signed_cookie_is_kept(client: niquests.Session) -> None:
    assert [client.get("/visits").json()["visits"] for _ in range(3)] == [1, 2, 3]
    forged = {"Cookie": "visits=9"}
    client.cookies.clear()
    assert client.get("/visits", headers=forged).json() == {"visits": 1}


# --- static files -------------------------------------------------------------------------------


def test_static_file_is_sent_whole(client: niquests.Session) -> None:
    response = client.get("/static/document.bin")
    assert response.content == DOCUMENT
    assert int(response.headers["Content-Length"]) == len(DOCUMENT)
    assert response.headers["Accept-Ranges"] == "bytes"
    style = client.get("/static/style.css")
    assert str(style.headers["Content-Type"]).startswith("text/css")


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("0-0", 0, 1),
        ("100-199999", 100, 200_000),
        ("-17", len(DOCUMENT) - 17, len(DOCUMENT)),
        (f"{len(DOCUMENT) - 5}-", len(DOCUMENT) - 5, len(DOCUMENT)),
    ],
)
def test_range_of_a_static_file(client: niquests.Session, asked: str, start: int, end: int) -> None:
    part = client.get("/static/document.bin", headers={"Range": f"bytes={asked}"})
    assert part.status_code == 206
    assert part.headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(DOCUMENT)}"
    assert int(part.headers["Content-Length"]) == end - start
    assert part.content == DOCUMENT[start:end]


def test_range_beyond_the_file_is_416(client: niquests.Session) -> None:
    beyond = {"Range": f"bytes={len(DOCUMENT)}-"}
    assert client.get("/static/document.bin", headers=beyond).status_code == 416


def test_static_file_that_has_not_changed_is_304(client: niquests.Session) -> None:
    first = client.get("/static/style.css")
    for name, value in (
        ("If-None-Match", first.headers["ETag"]),
        ("If-Modified-Since", first.headers["Last-Modified"]),
    ):
        again = client.get("/static/style.css", headers={name: str(value)})
        assert (again.status_code, again.content) == (304, b"")


def test_static_file_outside_of_the_root_is_refused(server: Server) -> None:
    with closing(server.connect()) as connection:
        for path, status in (("/static/../secret.txt", 403), ("/static/none", 404)):
            connection.request("GET", path)
            response = connection.getresponse()
            assert (response.status, b"outside" in response.read()) == (status, False)


def test_head_of_a_static_file_has_its_length_only(server: Server) -> None:
    with closing(server.connect()) as connection:
        for _ in range(2):
            connection.request("HEAD", "/static/document.bin")
            response = connection.getresponse()
            assert response.headers["Content-Length"] == str(len(DOCUMENT))
            assert response.read() == b""


# --- streams ------------------------------------------------------------------------------------


def test_generator_is_streamed(client: niquests.Session) -> None:
    response = client.get("/stream/3000")
    assert "Content-Length" not in response.headers
    assert response.text == "".join(f"Zeile {number}: ü\n" for number in range(3000))


def test_generator_ends_when_the_client_leaves(server: Server) -> None:
    with closing(server.connect()) as connection:
        connection.request("GET", "/endless/tired")
        assert len(connection.getresponse().read(50_000)) == 50_000
    assert server.recorded("left tired")


# --- errors -------------------------------------------------------------------------------------


def test_abort_and_raised_errors_are_answers(client: niquests.Session) -> None:
    gone = client.get("/abort/410")
    assert (gone.status_code, "not here" in (gone.text or "")) == (410, True)
    teapot = client.get("/raised")
    assert (teapot.status_code, teapot.headers["X-Pot"]) == (418, "tea")
    missing = client.get("/no/such/route")
    assert missing.status_code == 404
    assert missing.text == "nothing at /no/such/route: Not found: '/no/such/route'"


def test_redirect_is_followed(client: niquests.Session, server: Server) -> None:
    response = client.get("/moved")
    assert [step.headers["Location"] for step in response.history] == [f"{server.url}/hello/there"]
    assert response.text == "Hello there!"


def test_exception_is_500_with_a_traceback_in_the_log(
    client: niquests.Session, server: Server
) -> None:
    assert client.get("/fails").status_code == 500
    assert eventually(lambda: "ZeroDivisionError: the Bottle route divides" in server.log())
    assert client.get("/hello/again").text == "Hello again!"
