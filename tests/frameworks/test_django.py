"""A Django site (django_site/), through its WSGI and its ASGI entry."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import niquests
import pytest

from .serving import (
    HERE,
    Server,
    Setup,
    eventually,
    in_parallel,
    pids_seen,
    serve,
    session_for,
    setups,
)

DOCUMENT = os.urandom(4 * 1024 * 1024 + 11)
SUPERUSER = {"username": "boss", "password": "a long secret"}


def manage(folder: Path, *arguments: str) -> None:
    env = {
        **os.environ,
        "FOLDER": str(folder),
        "DJANGO_SETTINGS_MODULE": "django_site.settings",
        "DJANGO_SUPERUSER_PASSWORD": SUPERUSER["password"],
    }
    subprocess.run([sys.executable, "-m", "django", *arguments], cwd=HERE, env=env, check=True)


@pytest.fixture(scope="module")
def empty_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the migrated database and one superuser."""
    folder = tmp_path_factory.mktemp("django-empty")
    manage(folder, "migrate", "--verbosity=0")
    user = SUPERUSER["username"]
    manage(folder, "createsuperuser", "--noinput", "--username", user, "--email", "b@example.org")
    (folder / "document.bin").write_bytes(DOCUMENT)
    return folder


@pytest.fixture(scope="module", params=[*setups("wsgi"), *setups("asgi")])
def setup(request: pytest.FixtureRequest) -> Setup:
    setup: Setup = request.param
    return setup


@pytest.fixture(scope="module")
def server(
    setup: Setup, empty_site: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("django") / "site"
    shutil.copytree(empty_site, folder)
    with serve(f"django_site.{setup.interface}:application", setup, folder, cwd=HERE) as server:
        yield server


def token_in(page: str | None) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page or "")
    assert found, page
    return found[1]


def log_in(client: niquests.Session) -> niquests.Response:
    page = client.get("/admin/login/?next=/admin/")
    form = {**SUPERUSER, "csrfmiddlewaretoken": token_in(page.text), "next": "/admin/"}
    return client.post("/admin/login/", data=form)


def test_every_worker_answers(server: Server, setup: Setup) -> None:
    assert len(pids_seen(server, "/pid", setup.workers)) == setup.workers


# --- requests -----------------------------------------------------------------------------------


def test_request_tells_where_it_went(
    client: niquests.Session, server: Server, setup: Setup
) -> None:
    response = client.get("/echo/grüße/東京 x", params={"q": ["žluť", "a&b"], "leer": ""})
    answer = response.json()
    assert answer["interface"] == setup.interface
    assert answer["rest"] == "grüße/東京 x"
    assert answer["path"] == "/echo/grüße/東京 x"
    assert answer["query"]["q"] == ["žluť", "a&b"]
    assert answer["remote_addr"] == "127.0.0.1"
    assert answer["uri"].startswith(f"{server.url}/echo/gr%C3%BC%C3%9Fe/")


def test_unknown_host_is_refused(server: Server) -> None:
    with closing(server.connect()) as connection:
        connection.request("GET", "/pid", headers={"Host": "elsewhere.example"})
        assert connection.getresponse().status == 400


def test_missing_page_and_missing_slash(client: niquests.Session) -> None:
    assert client.get("/no-such-page").status_code == 404
    response = client.get("/admin", allow_redirects=False)
    assert (response.status_code, response.headers["Location"]) == (301, "/admin/")


def test_head_has_no_body(server: Server) -> None:
    with closing(server.connect()) as connection:
        for path in ("/notes", "/stream?count=1000", "/file", "/pid"):
            connection.request("HEAD", path)
            response = connection.getresponse()
            assert (response.status, response.read()) == (200, b"")


def test_exception_is_500_with_a_traceback_in_the_log(
    client: niquests.Session, server: Server
) -> None:
    assert client.get("/fails").status_code == 500
    assert eventually(lambda: "RuntimeError: the Django view fails" in server.log())
    assert client.get("/pid").status_code == 200


# --- sessions and forms -------------------------------------------------------------------------


def test_session_is_kept_in_the_database(client: niquests.Session, server: Server) -> None:
    assert [client.get("/visits").json()["visits"] for _ in range(4)] == [1, 2, 3, 4]
    with session_for(server) as other:
        assert other.get("/visits").json() == {"visits": 1}


def test_form_without_the_csrf_token_is_403(client: niquests.Session) -> None:
    note = {"author": "thief", "text": "not wanted"}
    assert client.post("/notes", data=note).status_code == 403
    client.get("/notes")  # the cookie alone is not enough
    assert client.post("/notes", data=note).status_code == 403
    wrong = {**note, "csrfmiddlewaretoken": "x" * 64}
    assert client.post("/notes", data=wrong).status_code == 403
    assert "not wanted" not in (client.get("/notes").text or "")


def test_form_with_the_csrf_token_is_accepted(client: niquests.Session) -> None:
    token = token_in(client.get("/notes").text)
    note = {"author": "Zoë", "text": "Grüße 🚀", "csrfmiddlewaretoken": token}
    response = client.post("/notes", data=note)
    assert [step.status_code for step in response.history] == [302]
    assert "Noted for Zoë." in (response.text or "")
    assert "<li>Zoë: Grüße 🚀</li>" in (response.text or "")
    assert "Noted for Zoë." not in (client.get("/notes").text or "")


def test_form_with_faults_is_shown_again(client: niquests.Session) -> None:
    token = token_in(client.get("/notes").text)
    note = {"author": "x" * 41, "text": "", "csrfmiddlewaretoken": token}
    response = client.post("/notes", data=note)
    assert response.status_code == 422
    assert "This field is required." in (response.text or "")


def test_json_goes_in_and_comes_out(client: niquests.Session) -> None:
    note = {"author": "json", "text": 'naïve … 東京 \u2028 \\ "'}
    assert client.post("/notes.json", json=note).status_code == 201
    assert note in client.get("/notes.json").json()["notes"]


def test_async_view_uses_the_database(client: niquests.Session) -> None:
    client.post("/notes.json", json={"author": "awaited", "text": "x"})
    assert "awaited" in client.get("/notes-async.json").json()["authors"]


# --- bodies -------------------------------------------------------------------------------------


def test_small_upload_stays_in_memory(client: niquests.Session) -> None:
    data, files = {"title": "Größe"}, {"file": ("größe.txt", b"small" * 100, "text/plain")}
    answer = client.post("/upload", data=data, files=files).json()
    assert answer == {
        "name": "größe.txt",
        "size": 500,
        "sha256": hashlib.sha256(b"small" * 100).hexdigest(),
        "kind": "InMemoryUploadedFile",
        "title": "Größe",
    }


def test_large_upload_goes_to_a_temporary_file(
    client: niquests.Session, upload_bytes: bytes
) -> None:
    answer = client.post("/upload", files={"file": ("big.bin", upload_bytes)}).json()
    assert answer["kind"] == "TemporaryUploadedFile"
    assert answer["size"] == len(upload_bytes)
    assert answer["sha256"] == hashlib.sha256(upload_bytes).hexdigest()


def test_raw_body_is_read_in_pieces(client: niquests.Session, upload_bytes: bytes) -> None:
    answer = client.post("/raw", data=upload_bytes).json()
    assert answer["length"] == len(upload_bytes)
    assert answer["sha256"] == hashlib.sha256(upload_bytes).hexdigest()


def test_streaming_response_is_complete(client: niquests.Session) -> None:
    response = client.get("/stream", params={"count": 5000})
    assert "Content-Length" not in response.headers
    assert response.text == "".join(f"line {number}\n" for number in range(5000))


def test_file_response_is_complete(client: niquests.Session) -> None:
    response = client.get("/file")
    assert int(response.headers["Content-Length"]) == len(DOCUMENT)
    assert "filename*=utf-8''gr%C3%B6%C3%9Fe.bin" in str(response.headers["Content-Disposition"])
    assert response.content == DOCUMENT


def test_wsgi_file_wrapper_is_offered(client: niquests.Session, setup: Setup) -> None:
    assert client.get("/echo/x").json()["file_wrapper"] is (setup.interface == "wsgi")


def test_sent_file_is_closed(client: niquests.Session, server: Server) -> None:
    assert client.get("/watched-file/whole").content == DOCUMENT
    assert server.recorded("closed whole")


def test_file_is_closed_when_the_client_leaves(server: Server) -> None:
    with closing(server.connect()) as connection:
        connection.request("GET", "/watched-file/left")
        assert connection.getresponse().read(1000) == DOCUMENT[:1000]
    assert server.recorded("closed left")


# --- the admin ----------------------------------------------------------------------------------


def test_admin_asks_to_log_in(client: niquests.Session) -> None:
    response = client.get("/admin/")
    assert response.status_code == 200
    assert str(response.url).endswith("/admin/login/?next=/admin/")
    assert 'name="password"' in (response.text or "")


def test_admin_refuses_a_wrong_password(client: niquests.Session) -> None:
    token = token_in(client.get("/admin/login/").text)
    form = {**SUPERUSER, "password": "wrong", "csrfmiddlewaretoken": token}
    response = client.post("/admin/login/", data=form)
    assert "Please enter the correct username and password" in (response.text or "")


def test_admin_lets_the_superuser_in_and_out(client: niquests.Session) -> None:
    page = log_in(client)
    assert str(page.url).endswith("/admin/")
    assert "Site administration" in (page.text or "")
    left = client.post("/admin/logout/", data={"csrfmiddlewaretoken": token_in(page.text)})
    assert left.status_code == 200
    assert "admin/login" in str(client.get("/admin/").url)


def test_admin_adds_and_lists_a_note(client: niquests.Session) -> None:
    log_in(client)
    token = token_in(client.get("/admin/django_site/note/add/").text)
    note = {"author": "admin", "text": "from the admin", "csrfmiddlewaretoken": token}
    response = client.post("/admin/django_site/note/add/", data=note)
    assert "was added successfully" in (response.text or "")
    assert "admin: from the admin" in (response.text or "")


def test_admin_static_files_are_served(client: niquests.Session) -> None:
    response = client.get("/static/admin/css/base.css")
    assert response.status_code == 200
    assert str(response.headers["Content-Type"]).startswith("text/css")
    assert int(response.headers["Content-Length"]) == len(response.content or b"")
    since = {"If-Modified-Since": str(response.headers["Last-Modified"])}
    assert client.get("/static/admin/css/base.css", headers=since).status_code == 304
    assert client.get("/static/admin/none.css").status_code == 404


# --- many at once -------------------------------------------------------------------------------


def test_twenty_clients_write_at_once(server: Server) -> None:
    def visit(number: int) -> tuple[int, list[int]]:
        with session_for(server) as session:
            note = {"author": f"client {number}", "text": "parallel"}
            status = session.post("/notes.json", json=note).status_code
            return status or 0, [session.get("/visits").json()["visits"] for _ in range(2)]

    assert in_parallel(20, visit) == [(201, [1, 2])] * 20
    with session_for(server) as session:
        written = [one["author"] for one in session.get("/notes.json").json()["notes"]]
    assert {f"client {number}" for number in range(20)} <= set(written)
