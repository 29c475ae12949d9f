"""`Expect: 100-continue` (RFC 9110 section 10.1.1)."""

import json

import pytest
from conftest import Servers
from conversation import connect, each_face, refused
from support import Server

EXPECT = b"Expect: 100-continue\r\n\r\n"
POST = b"POST %s HTTP/1.1\r\nHost: test\r\n"


@each_face
@pytest.mark.parametrize("size", [5, 300_000])
def test_100_is_sent_when_the_app_reads(server: Server, size: int) -> None:
    with connect(server) as connection:
        for _ in range(2):
            connection.send(POST % b"/_count" + b"Content-Length: %d\r\n" % size + EXPECT)
            interim = connection.read_response(interim=True)
            assert (interim.status, interim.headers) == (100, [])
            connection.send(b"a" * size)
            response = connection.read_response(interim=True)
            assert (response.status, response.body) == (200, b"%d" % size)


@each_face
def test_100_is_sent_for_a_chunked_body(server: Server) -> None:
    with connect(server) as connection:
        connection.send(POST % b"/" + b"Transfer-Encoding: chunked\r\n" + EXPECT)
        assert connection.read_response(interim=True).status == 100
        connection.send(b"5\r\nhello\r\n0\r\n\r\n")
        assert json.loads(connection.read_response(interim=True).body)["body"] == "hello"


@each_face
def test_no_100_when_the_app_does_not_read_and_the_connection_ends(server: Server) -> None:
    with connect(server) as connection:
        connection.send(POST % b"/_unread" + b"Content-Length: 5\r\n" + EXPECT)
        response = connection.read_response(interim=True)
        assert (response.status, response.body) == (200, b"unread")
        # Whether the body will come cannot be known, so nothing after it can be understood.
        assert response.header("connection") == "close"
        connection.finish_sending()
        assert connection.at_end()


@each_face
def test_no_100_when_the_body_has_begun_to_come(server: Server) -> None:
    with connect(server) as connection:
        connection.send(POST % b"/" + b"Content-Length: 5\r\n" + EXPECT + b"hello")
        response = connection.read_response()
        assert json.loads(response.body)["body"] == "hello"
        connection.send_request("GET", "/next")
        assert json.loads(connection.read_response().body)["path"] == "/next"


@each_face
def test_no_100_without_a_body(server: Server) -> None:
    with connect(server) as connection:
        connection.send(POST % b"/" + b"Content-Length: 0\r\n" + EXPECT)
        assert connection.read_response(interim=True).status == 200


@each_face
def test_no_100_for_http_1_0(server: Server) -> None:
    with connect(server) as connection:
        connection.send(b"POST / HTTP/1.0\r\nContent-Length: 5\r\n" + EXPECT + b"hello")
        response = connection.read_response(interim=True)
        assert response.status == 200
        assert json.loads(response.body)["body"] == "hello"


@each_face
def test_too_large_a_body_is_refused_instead_of_asked_for(servers: Servers, face: str) -> None:
    server = servers(face, "--max-body-size=1000")
    with connect(server) as connection:
        connection.send(POST % b"/" + b"Content-Length: 1001\r\n" + EXPECT)
        refused(connection.rest(), 413)


@each_face
def test_a_client_that_does_not_wait_for_100_is_served(server: Server) -> None:
    with connect(server) as connection:
        for n in range(3):
            connection.send(POST % b"/%d" % n + b"Content-Length: 5\r\n" + EXPECT + b"hello")
        for n in range(3):
            assert json.loads(connection.read_response().body)["path"] == f"/{n}"
