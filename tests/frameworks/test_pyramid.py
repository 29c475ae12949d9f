"""A Pyramid app: apps/pyramid_app.py."""

import os
from collections.abc import Iterator
from contextlib import closing

import niquests
import pytest

from .serving import Server, Setup, eventually, pids_seen, serve, session_for

DOCUMENT = os.urandom(2 * 1024 * 1024 + 11)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("pyramid")
    (folder / "document.bin").write_bytes(DOCUMENT)
    with serve("pyramid_app:app", Setup("wsgi", 2), folder) as server:
        yield server


def test_every_worker_answers(server: Server) -> None:
    assert len(pids_seen(server, "/pid", 2)) == 2


# --- requests -----------------------------------------------------------------------------------


def test_route_and_json_renderer(client: niquests.Session, server: Server) -> None:
    response = client.get("/items/7/größe/東京", params={"q": ["žluť", "a&b=c"]})
    assert str(response.headers["Content-Type"]).startswith("application/json")
    assert response.json() == {
        "number": "7",
        "rest": ["größe", "東京"],
        "query": {"q": ["žluť", "a&b=c"]},
        "url": f"{server.url}/items/8/x%20y/%C3%BC",
        "day": "2024-02-29",
    }


def test_json_body_and_status_of_the_renderer(client: niquests.Session) -> None:
    sent = {"text": "東京", "list": [1, None]}
    response = client.post("/items/9/", json=sent)
    assert (response.status_code, response.headers["X-Number"]) == (201, "9")
    assert response.json() == {"sent": sent}


def test_form_with_a_file(client: niquests.Session, upload_bytes: bytes) -> None:
    files = {"file": ("photo.bin", upload_bytes)}
    answer = client.post("/form", data={"name": "Zoë"}, files=files).json()
    assert answer == {"name": "Zoë", "filename": "photo.bin", "length": len(upload_bytes)}


# --- sessions -----------------------------------------------------------------------------------


def test_session_is_kept_in_a_signed_cookie_for_all_workers(
    client: niquests.Session, server: Server
) -> None:
    seen = []
    cookie = ""
    while len(seen) < 20:
        with closing(server.connect()) as connection:  # any worker may take it
            connection.request("GET", "/visits", headers={"Cookie": cookie} if cookie else {})
            response = connection.getresponse()
            seen.append(response.read())
            cookie = response.headers["Set-Cookie"].partition(";")[0]
    assert seen == [b'{"visits": %d}' % number for number in range(1, 21)]
    with session_for(server) as other:
        assert other.get("/visits").json() == {"visits": 1}


def test_forged_session_is_not_believed(server: Server) -> None:
    with session_for(server) as session:
        value = session.get("/visits").cookies["session"]
        assert value
    with session_for(server) as thief:
        forged = {"Cookie": f"session={'A' if value[0] != 'A' else 'B'}{value[1:]}"}
        assert thief.get("/visits", headers=forged).json() == {"visits": 1}


def test_flash_messages_are_shown_once_and_invalidate_forgets(client: niquests.Session) -> None:
    client.get("/visits")
    client.get("/visits")
    assert client.get("/flashes").json() == ["visit 1", "visit 2"]
    assert client.get("/flashes").json() == []
    left = client.get("/leave")
    assert [step.status_code for step in left.history] == [302]
    assert left.json() == {"visits": 1}


def test_csrf_token_of_the_session_is_required(client: niquests.Session) -> None:
    token = client.get("/token").text
    assert client.post("/guarded").status_code == 400
    assert client.post("/guarded", data={"csrf_token": token}).text == "let in"


# --- streams ------------------------------------------------------------------------------------


def test_app_iter_is_streamed(client: niquests.Session, server: Server) -> None:
    response = client.get("/stream/5000")
    assert "Content-Length" not in response.headers
    assert response.text == "".join(f"line {number}\n" for number in range(5000))
    assert server.recorded("ended 5000")


def test_app_iter_ends_when_the_client_leaves(server: Server) -> None:
    with closing(server.connect()) as connection:
        connection.request("GET", "/stream/endless")
        assert connection.getresponse().read(14) == b"line 0\nline 1\n"
    assert server.recorded("ended endless")


def test_file_response_is_complete(client: niquests.Session) -> None:
    response = client.get("/file")
    assert int(response.headers["Content-Length"]) == len(DOCUMENT)
    assert response.content == DOCUMENT


def test_file_iter_is_closed(client: niquests.Session, server: Server) -> None:
    assert client.get("/watched-file").content == DOCUMENT
    assert server.recorded("closed file")


def test_head_has_no_body(server: Server) -> None:
    with closing(server.connect()) as connection:
        for path in ("/items/1/", "/file", "/stream/100", "/pid"):
            connection.request("HEAD", path)
            response = connection.getresponse()
            assert (response.status, response.read()) == (200, b"")


# --- errors -------------------------------------------------------------------------------------


def test_exception_view_answers(client: niquests.Session) -> None:
    response = client.get("/sold-out")
    assert response.status_code == 410
    assert response.json() == {"error": "the last one has gone", "path": "/sold-out"}


def test_not_found_view_answers(client: niquests.Session) -> None:
    for path, detail in (("/missing", "not in the shop"), ("/no/route", "/no/route")):
        response = client.get(path)
        assert response.status_code == 404
        assert response.json() == {"missing": path, "detail": detail}


def test_exception_without_a_view_is_500_with_a_traceback_in_the_log(
    client: niquests.Session, server: Server
) -> None:
    assert client.get("/fails").status_code == 500
    assert eventually(lambda: "ZeroDivisionError: the Pyramid view divides" in server.log())
    assert client.get("/pid").status_code == 200
