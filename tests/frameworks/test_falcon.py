"""A Falcon app under WSGI: apps/falcon_app.py."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import closing

import niquests
import pytest

from .serving import Server, Setup, eventually, serve

DOCUMENT = os.urandom(2 * 1024 * 1024 + 11)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("falcon")
    (folder / "document.bin").write_bytes(DOCUMENT)
    with serve("falcon_app:app", Setup("wsgi", 1), folder) as server:
        yield server


# --- media --------------------------------------------------------------------------------------


def test_route_answers_with_media(client: niquests.Session, server: Server) -> None:
    response = client.get("/items/7/größe", params={"q": "a&b", "r": "東京"})
    assert response.headers["Content-Type"] == "application/json"
    answer = response.json()
    assert answer.pop("uri").startswith(f"{server.url}/items/7/")
    assert answer == {
        "number": 7,
        "name": "größe",
        "query": {"q": "a&b", "r": "東京"},
        "address": "127.0.0.1",
        "accepts_json": True,
    }


def test_json_goes_in_and_comes_out(client: niquests.Session) -> None:
    sent = {"text": "naïve … 東京", "numbers": [1, 2.5, None]}
    response = client.put("/items/8/x", json=sent)
    assert (response.status_code, response.headers["X-Name"]) == (201, "x")
    assert response.json() == {"number": 8, "sent": sent}


def test_broken_and_missing_media_are_400(client: niquests.Session) -> None:
    headers = {"Content-Type": "application/json"}
    for body in (b"{", b""):
        response = client.put("/items/8/x", data=body, headers=headers)
        assert response.status_code == 400
        assert "JSON" in response.json()["title"] + response.json()["description"]


def test_multipart_form_is_read_part_by_part(client: niquests.Session, upload_bytes: bytes) -> None:
    files = {"file": ("photo.bin", upload_bytes)}
    answer = client.post("/form", data={"name": "Zoë"}, files=files).json()
    assert answer == [["name", None, 4], ["file", "photo.bin", len(upload_bytes)]]


# --- uploads ------------------------------------------------------------------------------------


def test_bounded_stream_ends_with_the_body(client: niquests.Session, upload_bytes: bytes) -> None:
    for body in (upload_bytes, b"", b"x"):
        answer = client.post("/upload", data=body).json()
        assert answer["length"] == len(body)
        assert answer["content_length"] in (len(body), None if not body else len(body))
        assert answer["sha256"] == hashlib.sha256(body).hexdigest()
        assert answer["trailing"] == ""


def test_stream_ends_with_a_chunked_body(client: niquests.Session, upload_bytes: bytes) -> None:
    size = 50_001
    pieces = (upload_bytes[at : at + size] for at in range(0, len(upload_bytes), size))
    answer = client.post("/raw-upload", data=pieces).json()
    assert answer == {
        "length": len(upload_bytes),
        "sha256": hashlib.sha256(upload_bytes).hexdigest(),
        "content_length": None,
    }


# --- answers ------------------------------------------------------------------------------------


def test_whole_answer_has_its_content_length(server: Server) -> None:
    with closing(server.connect()) as connection:
        for method, body in (("GET", "Grüße".encode()), ("HEAD", b"")):
            connection.request(method, "/text")
            response = connection.getresponse()
            assert response.headers["Content-Length"] == "7"
            assert response.headers["X-Before"] == method
            assert response.headers["X-Succeeded"] == "True"
            assert response.read() == body


def test_streamed_answer_is_complete_and_has_no_length(server: Server) -> None:
    with closing(server.connect()) as connection:
        for count in (5000, 1, 0):
            connection.request("GET", f"/lines/{count}")
            response = connection.getresponse()
            body = response.read()
            assert body == b"".join(b"line %d\n" % number for number in range(count))
            if count:
                assert response.headers["Transfer-Encoding"] == "chunked"
                assert "Content-Length" not in response.headers


def test_stream_of_a_known_length_is_not_chunked(server: Server) -> None:
    with closing(server.connect()) as connection:
        for _ in range(2):
            connection.request("GET", "/sized")
            response = connection.getresponse()
            assert response.headers["Content-Length"] == str(len(DOCUMENT))
            assert "Transfer-Encoding" not in response.headers
            assert response.read() == DOCUMENT


def test_stream_is_closed_when_it_was_sent(client: niquests.Session, server: Server) -> None:
    assert client.get("/memory").content == b"in memory"
    assert server.recorded("closed memory")


def test_generator_ends_when_the_client_leaves(server: Server) -> None:
    with closing(server.connect()) as connection:
        connection.request("GET", "/endless/tired")
        assert len(connection.getresponse().read(50_000)) == 50_000
    assert server.recorded("left tired")


def test_204_has_no_body_and_keeps_the_connection(server: Server) -> None:
    with closing(server.connect()) as connection:
        for _ in range(2):
            connection.request("DELETE", "/items/7/x")
            response = connection.getresponse()
            assert (response.status, response.read()) == (204, b"")
            assert "Transfer-Encoding" not in response.headers


# --- errors -------------------------------------------------------------------------------------


def test_error_handler_answers(client: niquests.Session) -> None:
    response = client.get("/errors/sold-out")
    assert response.status_code == 410
    assert response.json() == {"error": "the last one has gone", "path": "/errors/sold-out"}
    assert response.headers["X-Succeeded"] == "False"


def test_http_errors_are_answers(client: niquests.Session) -> None:
    forbidden = client.get("/errors/forbidden")
    assert forbidden.status_code == 403
    assert forbidden.json() == {"title": "Closed", "description": "come back tomorrow"}
    assert client.get("/no/such/route").status_code == 404
    wrong = client.post("/text")
    assert (wrong.status_code, wrong.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")
    moved = client.get("/errors/moved")
    assert [step.status_code for step in moved.history] == [302]
    assert moved.text == "Grüße"


def test_exception_is_500_with_a_traceback_in_the_log(
    client: niquests.Session, server: Server
) -> None:
    response = client.get("/errors/any")
    assert (response.status_code, response.json()) == (500, {"title": "500 Internal Server Error"})
    assert eventually(lambda: "ZeroDivisionError: the Falcon responder" in server.log())
    assert client.get("/text").status_code == 200
