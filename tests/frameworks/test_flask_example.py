"""examples/myflaskapp.py, used as a visitor uses it."""

import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import niquests
import pytest

from .serving import (
    EXAMPLES,
    Server,
    Setup,
    eventually,
    get,
    in_parallel,
    serve,
    session_for,
    setups,
)


@pytest.fixture(scope="module", params=setups("wsgi"))
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    setup: Setup = request.param
    folder = tmp_path_factory.mktemp("flask-example")
    env = {"GUESTBOOK": str(folder / "guestbook.sqlite3")}
    with serve("myflaskapp:app", setup, folder, cwd=EXAMPLES, env=env) as server:
        yield server


# --- pages --------------------------------------------------------------------------------------


def test_home_page_is_rendered_from_its_templates(client: niquests.Session) -> None:
    response = client.get("/")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert int(response.headers["Content-Length"]) == len(response.content or b"")
    assert "<h1>It works.</h1>" in (response.text or "")
    assert "<dd>127.0.0.1</dd>" in (response.text or "")
    assert 'href="/static/style.css"' in (response.text or "")


def test_session_counts_the_visits_of_each_client(client: niquests.Session, server: Server) -> None:
    for visit in (1, 2, 3):
        assert f"<dt>Your visits</dt><dd>{visit}</dd>" in (client.get("/").text or "")
    with session_for(server) as other:
        assert "<dt>Your visits</dt><dd>1</dd>" in (other.get("/").text or "")


def test_valid_form_redirects_and_flashes_once(client: niquests.Session) -> None:
    form = {"name": "Zoë <b>", "message": "Schöne Grüße 🚀\nand a second line"}
    posted = client.post("/guestbook", data=form, allow_redirects=False)
    assert posted.status_code == 303
    assert posted.headers["Location"] == "/guestbook"

    page = client.get("/guestbook").text or ""
    assert "Thank you, Zoë &lt;b&gt;. Your message is in the book." in page
    assert "Schöne Grüße 🚀\nand a second line" in page
    assert 'value="Zoë &lt;b&gt;"' in page  # the session remembers the name

    again = client.get("/guestbook").text or ""
    assert "Thank you" not in again
    assert "Schöne Grüße 🚀" in again


def test_redirect_after_a_form_is_followed(client: niquests.Session) -> None:
    response = client.post("/guestbook", data={"name": "Ada", "message": "followed"})
    assert response.status_code == 200
    assert [step.status_code for step in response.history] == [303]
    assert "Thank you, Ada." in (response.text or "")


def test_invalid_form_is_shown_again_with_its_faults(client: niquests.Session) -> None:
    response = client.post("/guestbook", data={"name": "x" * 41, "message": ""})
    page = response.text or ""
    assert response.status_code == 422
    assert "At most 40 characters, please." in page
    assert "Please write something." in page
    assert "x" * 41 in page


def test_missing_page_is_404(client: niquests.Session) -> None:
    response = client.get("/no-such-page")
    assert response.status_code == 404
    assert "There is no such page here." in (response.text or "")


def test_wrong_method_is_405_with_the_allowed_ones(client: niquests.Session) -> None:
    response = client.delete("/guestbook")
    assert response.status_code == 405
    allowed = set(str(response.headers["Allow"]).split(", "))
    assert allowed == {"GET", "HEAD", "OPTIONS", "POST"}


def test_exception_is_a_500_page_and_a_traceback_in_the_log(
    client: niquests.Session, server: Server
) -> None:
    response = client.get("/error")
    assert response.status_code == 500
    assert "The app failed." in (response.text or "")
    assert "this page always fails" not in (response.text or "")
    assert eventually(lambda: "RuntimeError: this page always fails" in server.log())
    assert "Traceback (most recent call last)" in server.log()
    assert client.get("/").status_code == 200


def test_head_has_the_headers_of_get_and_no_body(server: Server) -> None:
    with closing(server.connect()) as connection:
        for path in ("/upload", "/static/style.css", "/no-such-page", "/upload"):
            connection.request("GET", path)
            got = connection.getresponse()
            body = got.read()
            connection.request("HEAD", path)
            head = connection.getresponse()
            assert head.read() == b""
            assert head.status == got.status
            assert int(head.headers["Content-Length"]) == len(body)
            assert head.headers["Content-Type"] == got.headers["Content-Type"]


def test_head_of_a_streamed_answer_ends(server: Server) -> None:
    with closing(server.connect()) as connection:
        connection.request("HEAD", "/download.csv?rows=100000")
        response = connection.getresponse()
        assert response.status == 200
        assert response.read() == b""
        connection.request("GET", "/sleep/0")
        assert json.load(connection.getresponse())["slept"] == 0


# --- JSON ---------------------------------------------------------------------------------------


def test_json_goes_in_and_comes_out(client: niquests.Session) -> None:
    entry = {"name": "Grace", "message": 'naïve … 東京 \u2028 \\ "'}
    added = client.post("/api/guestbook", json=entry)
    assert added.status_code == 201
    assert added.headers["Content-Type"] == "application/json"
    number = added.json()["id"]
    entries = client.get("/api/guestbook", params={"count": 100}).json()["entries"]
    found = next(one for one in entries if one["id"] == number)
    assert {key: found[key] for key in entry} == entry


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b'{"name": ""}', "application/json", 422),
        (b"[1, 2]", "application/json", 422),
        (b'{"name": ', "application/json", 400),
        (b"name=Ada", "application/x-www-form-urlencoded", 415),
    ],
)
def test_wrong_json_is_refused(
    client: niquests.Session, body: bytes, content_type: str, status: int
) -> None:
    response = client.post("/api/guestbook", data=body, headers={"Content-Type": content_type})
    assert response.status_code == status


# --- up and down --------------------------------------------------------------------------------


def test_upload_of_megabytes_arrives_whole(client: niquests.Session, upload_bytes: bytes) -> None:
    response = client.post(
        "/upload",
        files={"file": ("größe 東京.bin", upload_bytes, "application/octet-stream")},
        headers={"Accept": "application/json"},
    )
    assert response.json() == {
        "name": "größe 東京.bin",
        "size": len(upload_bytes),
        "sha256": hashlib.sha256(upload_bytes).hexdigest(),
    }


def test_upload_from_a_browser_shows_a_page(client: niquests.Session, upload_file: Path) -> None:
    with upload_file.open("rb") as file:
        response = client.post("/upload", files={"file": file})
    assert response.status_code == 200
    assert "<dd>photo.bin</dd>" in (response.text or "")
    assert hashlib.sha256(upload_file.read_bytes()).hexdigest() in (response.text or "")


def test_upload_without_a_file_is_refused(client: niquests.Session) -> None:
    response = client.post("/upload", data={"other": "field"})
    assert response.status_code == 422
    assert "Please choose a file first." in (response.text or "")


def test_streamed_download_of_ten_megabytes_is_complete(client: niquests.Session) -> None:
    rows = 290_000
    response = client.get("/download.csv", params={"rows": rows}, stream=True)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert "Content-Length" not in response.headers
    received = b"".join(response.iter_content(64 * 1024))
    expected = "n,square,cube\r\n" + "".join(f"{n},{n**2},{n**3}\r\n" for n in range(rows))
    assert len(received) > 10_000_000
    assert received == expected.encode()


def test_download_starts_before_it_is_complete(server: Server) -> None:
    with closing(server.connect()) as connection:
        connection.request("GET", "/download.csv?rows=5000000")  # more than 200 MB in the end
        response = connection.getresponse()
        assert response.read(24) == b"n,square,cube\r\n0,0,0\r\n1,"


def test_downloads_of_several_clients_do_not_mix(server: Server) -> None:
    def download(number: int) -> bool:
        rows = 10_000 + number * 1000
        expected = "n,square,cube\r\n" + "".join(f"{n},{n**2},{n**3}\r\n" for n in range(rows))
        return get(server, f"/download.csv?rows={rows}") == (200, expected.encode())

    assert all(in_parallel(8, download))


# --- static files -------------------------------------------------------------------------------


STYLE = (EXAMPLES / "static" / "style.css").read_bytes()


def test_static_file_is_sent_as_it_is(client: niquests.Session) -> None:
    response = client.get("/static/style.css")
    assert response.content == STYLE
    assert str(response.headers["Content-Type"]).startswith("text/css")
    assert int(response.headers["Content-Length"]) == len(STYLE)


def test_static_file_that_the_client_has_is_304(client: niquests.Session) -> None:
    first = client.get("/static/style.css")
    for condition in (
        {"If-None-Match": first.headers["ETag"]},
        {"If-Modified-Since": first.headers["Last-Modified"]},
    ):
        response = client.get("/static/style.css", headers=condition)
        assert response.status_code == 304
        assert response.content == b""
        assert response.headers["ETag"] == first.headers["ETag"]
    stale = client.get("/static/style.css", headers={"If-None-Match": '"another"'})
    assert stale.content == STYLE


@pytest.mark.parametrize(
    ("wanted", "part"),
    [
        ("bytes=10-19", slice(10, 20)),
        (f"bytes={len(STYLE) - 5}-", slice(-5, None)),
        ("bytes=-7", slice(-7, None)),
        ("bytes=0-0", slice(0, 1)),
    ],
)
def test_range_of_a_static_file_is_206(client: niquests.Session, wanted: str, part: slice) -> None:
    response = client.get("/static/style.css", headers={"Range": wanted})
    start, stop, _ = part.indices(len(STYLE))
    assert response.status_code == 206
    assert response.content == STYLE[part]
    assert response.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{len(STYLE)}"
    assert int(response.headers["Content-Length"]) == stop - start


def test_range_behind_the_end_is_416(client: niquests.Session) -> None:
    response = client.get("/static/style.css", headers={"Range": f"bytes={len(STYLE) + 1}-"})
    assert response.status_code == 416


def test_static_files_cannot_be_left_through_the_parent_folder(server: Server) -> None:
    for path in ("/static/../myflaskapp.py", "/static/%2e%2e/myflaskapp.py"):
        status, body = get(server, path)
        assert status == 404
        assert b"Flask(__name__)" not in body


# --- many at once -------------------------------------------------------------------------------


def test_slow_requests_do_not_stop_fast_ones(server: Server) -> None:
    slow_done = threading.Event()

    def slow() -> None:
        get(server, "/sleep/2000")
        slow_done.set()

    slow_ones = [threading.Thread(target=slow) for _ in range(3)]
    for thread in slow_ones:
        thread.start()
    for _ in range(20):
        assert get(server, "/sleep/0")[0] == 200
    assert not slow_done.is_set()
    for thread in slow_ones:
        thread.join()


def test_requests_wait_at_the_same_time(server: Server) -> None:
    start = time.monotonic()
    assert {status for status, _ in in_parallel(4, lambda _: get(server, "/sleep/500"))} == {200}
    assert time.monotonic() - start < 1.9


def test_fifty_clients_write_and_read_at_once(server: Server) -> None:
    def visit(number: int) -> tuple[int, bool]:
        with session_for(server) as session:
            form = {"name": f"client {number}", "message": f"parallel {number}"}
            posted = session.post("/guestbook", data=form)
            thanked = f"Thank you, client {number}." in (posted.text or "")
            return posted.status_code, thanked

    assert in_parallel(50, visit) == [(200, True)] * 50
    with session_for(server) as session:
        entries = session.get("/api/guestbook", params={"count": 1000}).json()["entries"]
    written = [one["message"] for one in entries if re.match(r"parallel \d+$", one["message"])]
    assert sorted(written) == sorted(f"parallel {number}" for number in range(50))
