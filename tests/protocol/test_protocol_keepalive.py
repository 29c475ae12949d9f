"""Connections that serve more than one request, and how they end."""

import json

import pytest
from conversation import connect, converse, each_face
from support import Server

GET = b"GET /%d HTTP/1.1\r\nHost: test\r\n\r\n"


@each_face
def test_many_pipelined_requests_are_answered_in_order(server: Server) -> None:
    count = 500
    responses = converse(server, b"".join(GET % n for n in range(count)), half_close=True)
    assert [json.loads(response.body)["path"] for response in responses] == [
        f"/{n}" for n in range(count)
    ]


@each_face
def test_pipelined_bodies_are_told_apart(server: Server) -> None:
    sent = b""
    for n in range(50):
        sent += b"POST /%d HTTP/1.1\r\nHost: test\r\nContent-Length: 7\r\n\r\nbody%03d" % (n, n)
        sent += b"POST /%d HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n" % n
        sent += b"4\r\nbody\r\n3\r\n%03d\r\n0\r\n\r\n" % n
    responses = converse(server, sent, half_close=True)
    saw = [json.loads(response.body) for response in responses]
    expected = [(f"/{n}", f"body{n:03}") for n in range(50) for _ in range(2)]
    assert [(each["path"], each["body"]) for each in saw] == expected


@each_face
def test_a_request_that_comes_byte_by_byte_is_understood(server: Server) -> None:
    with connect(server) as connection:
        for byte in b"POST /bytes HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\nabc":
            connection.send(bytes([byte]))
        assert json.loads(connection.read_response().body)["body"] == "abc"


@each_face
def test_an_error_after_pipelined_requests_comes_after_their_answers(server: Server) -> None:
    responses = converse(server, GET % 1 + GET % 2 + b"bad\r\n\r\n" + GET % 3)
    assert [response.status for response in responses] == [200, 200, 400]


@each_face
def test_connection_close_is_answered_and_obeyed(server: Server) -> None:
    responses = converse(
        server, b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n" + GET % 2
    )
    assert [response.status for response in responses] == [200]
    assert responses[0].header("connection") == "close"


@each_face
@pytest.mark.parametrize("value", [b"Close", b"x, CLOSE", b"close, keep-alive", b"x,\tclose ,y"])
def test_close_is_found_among_other_words(server: Server, value: bytes) -> None:
    request = b"GET / HTTP/1.1\r\nHost: test\r\nConnection: " + value + b"\r\n\r\n"
    assert len(converse(server, request + GET % 2)) == 1


@each_face
def test_http_1_0_closes_after_one_request(server: Server) -> None:
    responses = converse(server, b"GET / HTTP/1.0\r\n\r\nGET /2 HTTP/1.0\r\n\r\n")
    assert [response.status for response in responses] == [200]


@each_face
def test_http_1_0_keeps_the_connection_when_asked_to(server: Server) -> None:
    responses = converse(
        server, b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\nGET /2 HTTP/1.0\r\n\r\n"
    )
    assert [response.status for response in responses] == [200, 200]
    assert responses[0].header("connection") == "keep-alive"
    assert responses[1].header("connection") in (None, "close")


@each_face
def test_http_1_0_gets_a_stream_up_to_the_close_and_no_chunks(server: Server) -> None:
    with connect(server) as connection:
        connection.send(b"GET /_stream/100000 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        response = connection.read_response()
    assert response.header("transfer-encoding") is None
    assert response.header("content-length") is None
    assert response.header("connection") in (None, "close")
    assert len(response.body) == 100_000


@each_face
def test_http_1_1_gets_a_stream_in_chunks_and_goes_on(server: Server) -> None:
    with connect(server) as connection:
        for size in (1, 65536, 1_000_000):
            connection.send_request("GET", f"/_stream/{size}")
            response = connection.read_response()
            assert response.header("transfer-encoding") == "chunked"
            assert len(response.body) == size


@each_face
def test_a_client_that_has_finished_sending_still_gets_its_answer(server: Server) -> None:
    with connect(server) as connection:
        connection.send_request("POST", "/", body=b"abc")
        connection.finish_sending()
        response = connection.read_response()
        assert json.loads(response.body)["body"] == "abc"
        assert connection.at_end()


@each_face
def test_a_client_that_has_finished_sending_still_gets_a_slow_stream(server: Server) -> None:
    with connect(server) as connection:
        connection.send_request("GET", "/_stream_hold/1000?half")
        assert connection.read_head().status == 200
        connection.finish_sending()
        server.get("/_release?half")
        assert connection.read_until_close().endswith(b"3\r\nend\r\n0\r\n\r\n")


@each_face
@pytest.mark.parametrize("target", ["/", "/_stream/1000", "/_status/204", "/_status/304"])
def test_head_has_no_body_and_the_connection_goes_on(server: Server, target: str) -> None:
    with connect(server) as connection:
        for _ in range(2):
            connection.send_request("HEAD", target)
            response = connection.read_response(head=True)
            assert response.status in (200, 204, 304)
        connection.send_request("GET", "/last")
        assert json.loads(connection.read_response().body)["path"] == "/last"


@each_face
def test_head_tells_the_length_that_get_would_have(server: Server) -> None:
    with connect(server) as connection:
        connection.send_request("HEAD", "/_unread")
        assert connection.read_response(head=True).header("content-length") == "6"


@each_face
@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_a_body_have_no_framing(server: Server, status: int) -> None:
    with connect(server) as connection:
        for _ in range(2):
            connection.send_request("GET", f"/_status/{status}")
            response = connection.read_response()
            assert response.status == status
            assert response.header("transfer-encoding") is None
            assert response.header("content-length") is None
        connection.send_request("GET", "/last")
        assert connection.read_response().status == 200


@each_face
@pytest.mark.parametrize("target", ["/_status/205", "/_with_body/205", "/_streamed/205"])
def test_a_reset_content_has_the_length_0_and_no_body(server: Server, target: str) -> None:
    with connect(server) as connection:
        for method in ("GET", "HEAD", "GET"):
            connection.send_request(method, target)
            head = connection.read_head()
            assert (head.status, head.header("content-length")) == (205, "0")
            assert head.header("transfer-encoding") is None
        connection.send_request("GET", "/last")
        assert connection.read_response().status == 200


@each_face
@pytest.mark.parametrize("size", [1, 10_000, 200_000])
def test_a_small_body_that_nobody_reads_is_skipped(server: Server, size: int) -> None:
    body = (b"GET /evil HTTP/1.1\r\nHost: test\r\n\r\n" * size)[:size]
    with connect(server) as connection:
        for _ in range(3):
            connection.send_request("POST", "/_unread", body=body)
            assert connection.read_response().body == b"unread"
        connection.send_request("GET", "/last")
        assert json.loads(connection.read_response().body)["path"] == "/last"


@each_face
def test_small_chunks_that_nobody_reads_are_skipped(server: Server) -> None:
    request = (
        b"POST /_unread HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\nhello\r\n0\r\n\r\n"
    )
    responses = converse(server, request * 3 + GET % 7, half_close=True)
    assert [response.status for response in responses] == [200] * 4
    assert json.loads(responses[3].body)["path"] == "/7"


@each_face
def test_a_large_body_that_nobody_reads_ends_the_connection(server: Server) -> None:
    with connect(server) as connection:
        connection.send(
            b"POST /_unread HTTP/1.1\r\nHost: test\r\nContent-Length: 100000000\r\n\r\n"
        )
        response = connection.read_response()
        assert response.body == b"unread"
        assert response.header("connection") == "close"
        connection.finish_sending()
        assert connection.at_end()


@each_face
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_an_early_answer_reaches_a_client_that_is_still_sending(
    server: Server, framing: str
) -> None:
    size = 8_000_000
    with connect(server) as connection:
        head = b"POST /_unread HTTP/1.1\r\nHost: test\r\n"
        if framing == "length":
            connection.send(head + b"Content-Length: %d\r\n\r\n" % size + b"a" * size)
        else:
            connection.send(head + b"Transfer-Encoding: chunked\r\n\r\n")
            for _ in range(size // 80_000):
                connection.send(b"%x\r\n" % 80_000 + b"a" * 80_000 + b"\r\n")
            connection.send(b"0\r\n\r\n")
        (response,) = connection.rest()
        assert response.body == b"unread"


@each_face
@pytest.mark.parametrize("size", [1, 70_000, 5_000_000])
def test_bodies_of_all_sizes_arrive_whole(server: Server, size: int) -> None:
    with connect(server) as connection:
        for _ in range(2):
            connection.send_request("POST", "/_count", body=b"a" * size)
            assert connection.read_response().body == b"%d" % size


@each_face
def test_a_client_that_leaves_in_the_middle_of_a_body_is_not_an_error(server: Server) -> None:
    for _ in range(5):
        with connect(server) as connection:
            connection.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 900000\r\n\r\nabc")
            connection.finish_sending()
            assert connection.at_end()
    assert server.get("/").status == 200
    assert not [line for line in server.log() if "Traceback" in line]


@each_face
def test_an_upgrade_that_is_not_known_is_ignored_and_the_body_is_read(server: Server) -> None:
    fields = [("Connection", "upgrade"), ("Upgrade", "h2c, whatever")]
    with connect(server) as connection:
        for _ in range(2):
            connection.send_request("POST", "/", fields, b"abc")
            response = connection.read_response()
            assert response.status == 200
            assert json.loads(response.body)["body"] == "abc"
