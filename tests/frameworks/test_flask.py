"""The parts of Flask that lean on the server, in apps/flask_app.py."""

import hashlib
import http.client
import json
import os
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import quote

import niquests
import pytest

from .serving import Server, Setup, eventually, pids_seen, serve, setups

DOCUMENT = os.urandom(3 * 1024 * 1024 + 11)


@pytest.fixture(scope="module", params=setups("wsgi"))
def setup(request: pytest.FixtureRequest) -> Setup:
    setup: Setup = request.param
    return setup


@pytest.fixture(scope="module")
def server(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("flask")
    (folder / "document.bin").write_bytes(DOCUMENT)
    with serve("flask_app:app", setup, folder) as server:
        yield server


def test_every_worker_answers(server: Server, setup: Setup) -> None:
    assert len(pids_seen(server, "/pid", setup.workers)) == setup.workers


# --- what the request says ----------------------------------------------------------------------


def test_blueprint_routes_hooks_and_errors(client: niquests.Session, server: Server) -> None:
    response = client.get("/shop/items/7")
    assert response.json() == {"number": 7, "url": f"{server.url}/shop/items/7"}
    assert response.headers["X-Shop"] == "open"
    gone = client.get("/shop/empty")
    assert (gone.status_code, gone.text) == (410, "sold out")


def test_unicode_in_path_and_query(client: niquests.Session) -> None:
    answer = client.get(
        "/unicode/grüße/東京 🚀", params={"q": ["žluť", "a&b=c"], "leer": ""}
    ).json()
    assert answer["name"] == "grüße/東京 🚀"
    assert answer["path"] == "/unicode/grüße/東京 🚀"
    assert answer["query"]["q"] == ["žluť", "a&b=c"]
    assert answer["script_name"] == ""


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("a%20b+c", "a b+c"),
        ("a%2Fb", "a/b"),
        ("100%25", "100%"),
        ("%e6%9d%b1", "東"),
        ("x;y=1", "x;y=1"),
        ("a%3Fb", "a?b"),
    ],
)
def test_escapes_in_the_path_are_undone_once(server: Server, sent: str, name: str) -> None:
    with closing(server.connect()) as connection:
        connection.request("GET", f"/unicode/{sent}?raw=%2F+%C3%A4")
        answer = json.load(connection.getresponse())
    assert answer["name"] == name
    assert answer["raw_query"] == "raw=%2F+%C3%A4"
    assert answer["query"] == {"raw": ["/ ä"]}


def test_address_of_client_and_server(client: niquests.Session, server: Server) -> None:
    answer = client.get("/who").json()
    assert answer["remote_addr"] == "127.0.0.1"
    assert answer["host"] == f"127.0.0.1:{server.port}"
    assert answer["url_root"] == f"{server.url}/"
    assert answer["scheme"] == "http"
    assert answer["protocol"] == "HTTP/1.1"
    assert answer["port"] == str(server.port)
    assert answer["multithread"] is True


def test_host_header_makes_the_url_root(server: Server) -> None:
    with closing(server.connect()) as connection:
        connection.request("GET", "/who", headers={"Host": "shop.example:8080"})
        answer = json.load(connection.getresponse())
    assert answer["host"] == "shop.example:8080"
    assert answer["url_root"] == "http://shop.example:8080/"


def test_multiprocess_flag_says_whether_there_are_workers(
    client: niquests.Session, setup: Setup
) -> None:
    assert client.get("/who").json()["multiprocess"] is (setup.workers > 1)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_methods_with_and_without_a_body(client: niquests.Session, method: str) -> None:
    for body in ("", "some text"):
        response = client.request(method, "/method", data=body.encode() or None)
        assert response.json() == {"method": method, "body": body}


def test_large_and_many_headers_pass_both_ways(server: Server) -> None:
    large = "".join(chr(33 + number % 90) for number in range(7000))
    numbers = {f"X-Number-{number}": str(number) for number in range(60)}
    with closing(server.connect()) as connection:
        connection.request("GET", "/header", headers={"X-Large": large, **numbers})
        response = connection.getresponse()
        assert response.read() == b"7000"
    assert response.headers["X-Large"] == large[::-1]
    assert {name: response.headers[name] for name in numbers} == numbers


def test_cookies_are_set_kept_and_sent_back(client: niquests.Session, server: Server) -> None:
    with closing(server.connect()) as connection:
        connection.request("GET", "/cookies", headers={"Cookie": "one=1; two=2"})
        response = connection.getresponse()
        assert json.load(response) == {"one": "1", "two": "2"}
    cookies = response.headers.get_all("Set-Cookie", [])
    assert [cookie.partition("=")[0] for cookie in cookies] == ["plain", "quoted", "kept", "gone"]
    assert cookies[0] == "plain=1; Path=/"
    assert "Max-Age=3600" in cookies[2]

    client.get("/cookies")
    sent_back = client.get("/cookies").json()
    assert sent_back == {"plain": "1", "quoted": "a b; c, d", "kept": "2"}


# --- bodies -------------------------------------------------------------------------------------


def test_chunked_upload_is_read_as_a_stream(client: niquests.Session, upload_bytes: bytes) -> None:
    def chunks() -> Iterator[bytes]:
        position, size = 0, 1
        while position < len(upload_bytes):
            yield upload_bytes[position : position + size]
            position, size = position + size, size * 2 % 90_001

    answer = client.post("/stream", data=chunks()).json()
    assert answer["length"] == len(upload_bytes)
    assert answer["sha256"] == hashlib.sha256(upload_bytes).hexdigest()
    assert answer["content_length"] is None
    assert answer["trailing"] == ""


def test_upload_with_a_length_is_read_as_a_stream(
    client: niquests.Session, upload_bytes: bytes
) -> None:
    answer = client.post("/stream", data=upload_bytes).json()
    assert answer["length"] == answer["content_length"] == len(upload_bytes)
    assert answer["sha256"] == hashlib.sha256(upload_bytes).hexdigest()


def test_body_is_iterated_by_lines(client: niquests.Session) -> None:
    sent = ["first\n", "\n", "third " + "x" * 70_000 + "\n", "no end"]
    assert client.post("/lines", data="".join(sent).encode()).json() == sent
    assert client.post("/lines", data=(one.encode() for one in sent)).json() == sent


def test_connection_lives_on_after_a_body_nobody_read(server: Server) -> None:
    with closing(server.connect()) as connection:
        for _ in range(3):
            connection.request("POST", "/unread", body=b"x" * 5000)
            assert connection.getresponse().read() == b"not interested"
        connection.request("POST", "/method", body=b"read")
        assert json.load(connection.getresponse()) == {"method": "POST", "body": "read"}


def test_refusal_comes_before_the_body_it_refuses(server: Server) -> None:
    with closing(server.connect()) as connection:
        connection.putrequest("POST", "/small-only")
        connection.putheader("Content-Length", str(100_000_000))
        connection.endheaders()
        assert connection.getresponse().status == 413


def test_204_has_no_body_and_keeps_the_connection(server: Server) -> None:
    with closing(server.connect()) as connection:
        for _ in range(2):
            connection.request("POST", "/nothing")
            response = connection.getresponse()
            assert (response.status, response.read()) == (204, b"")
            assert "Transfer-Encoding" not in response.headers


def test_stream_with_context_sees_the_request(client: niquests.Session) -> None:
    response = client.get("/with-context", params={"name": "Zoë"})
    assert response.text == "Hello Zoë!"


def test_send_file_sends_a_file(client: niquests.Session) -> None:
    response = client.get("/file")
    assert response.content == DOCUMENT
    assert int(response.headers["Content-Length"]) == len(DOCUMENT)
    disposition = str(response.headers["Content-Disposition"])
    assert f"filename*=UTF-8''{quote('größe.bin')}" in disposition
    part = client.get("/file", headers={"Range": "bytes=1000000-1999999"})
    assert part.status_code == 206
    assert part.content == DOCUMENT[1_000_000:2_000_000]
    etag = str(response.headers["ETag"])
    assert client.get("/file", headers={"If-None-Match": etag}).status_code == 304


def test_send_file_sends_what_is_in_memory(client: niquests.Session) -> None:
    response = client.get("/memory-file")
    assert response.content == b"in memory"
    assert response.headers["ETag"] == '"fixed"'


# --- ends ---------------------------------------------------------------------------------------


def test_response_is_closed_when_it_was_sent(client: niquests.Session, server: Server) -> None:
    assert client.get("/after/whole").text == "answered"
    assert server.recorded("closed whole")


def test_generator_ends_when_the_client_leaves(server: Server) -> None:
    with closing(server.connect()) as connection:
        connection.request("GET", "/endless/tired")
        assert len(connection.getresponse().read(50_000)) == 50_000
    assert server.recorded("left tired")


def test_failure_midway_does_not_look_complete(server: Server) -> None:
    with closing(server.connect()) as connection:
        connection.request("GET", "/fails-midway/one")
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            connection.getresponse().read()
    assert eventually(lambda: "RuntimeError: failed midway one" in server.log())


def test_exception_in_a_view_is_500_with_a_traceback_in_the_log(
    client: niquests.Session, server: Server
) -> None:
    assert client.get("/fails").status_code == 500
    assert eventually(lambda: "ZeroDivisionError: the view divides by zero" in server.log())
