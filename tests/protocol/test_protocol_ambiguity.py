"""Requests that two readers could read in two ways are refused, and nothing after them is read."""

import pytest
from conversation import connect, converse, each_face, refused, seen, serve_echo, trouble
from support import Response, Server, wait_until

NEXT = b"GET /smuggled HTTP/1.1\r\nHost: test\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nHost: test\r\n"
POST = b"POST / HTTP/1.1\r\nHost: test\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"

HEADS = {
    # Two framings (RFC 9112 section 6.3)
    "CL then TE": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "TE then CL": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "CL 0 and TE": POST + b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "differing CL": POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "same CL twice": POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "CL list": POST + b"Content-Length: 3, 3\r\n\r\nabc",
    "CL plus sign": POST + b"Content-Length: +3\r\n\r\nabc",
    "CL minus sign": POST + b"Content-Length: -3\r\n\r\nabc",
    "CL hexadecimal": POST + b"Content-Length: 0x3\r\n\r\nabc",
    "CL underscore": POST + b"Content-Length: 1_0\r\n\r\n0123456789",
    "CL fraction": POST + b"Content-Length: 3.0\r\n\r\nabc",
    "CL empty": POST + b"Content-Length:\r\n\r\n",
    "CL inner space": POST + b"Content-Length: 1 0\r\n\r\n0123456789",
    "CL overflow": POST + b"Content-Length: 18446744073709551617\r\n\r\na",
    "CL full-width digit": POST + b"Content-Length: \xef\xbc\x93\r\n\r\nabc",
    "CL quoted": POST + b'Content-Length: "3"\r\n\r\nabc',
    "CL vertical tab": POST + b"Content-Length:\x0b3\r\n\r\nabc",
    # Transfer codings other than chunked (RFC 9112 section 6.1)
    "TE gzip, chunked": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "TE chunked, gzip": POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "TE chunked, chunked": POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "TE identity": POST + b"Transfer-Encoding: identity\r\n\r\n",
    "TE unknown": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "TE empty": POST + b"Transfer-Encoding:\r\n\r\n",
    "TE quoted": POST + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "TE parameter": POST + b"Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n",
    "TE comma before": POST + b"Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n",
    "TE vertical tab": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "TE twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "TE folded": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "HTTP/1.0 and TE": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    # Lines (RFC 9112 section 2.2)
    "bare LF after the request line": b"GET / HTTP/1.1\nHost: test\r\n\r\n",
    "bare LF after a field": GET + b"A: b\nC: d\r\n\r\n",
    "bare LF at the head's end": GET + b"A: b\r\n\n",
    "bare LF everywhere": b"GET / HTTP/1.1\nHost: test\n\n",
    "bare LF before the request": b"\n" + GET + b"\r\n",
    "bare CR in a value": GET + b"A: b\rC: d\r\n\r\n",
    "bare CR after the request line": b"GET / HTTP/1.1\rHost: test\r\n\r\n",
    "bare CR at the head's end": GET + b"A: b\r\n\rX",
    "CR CR LF": GET + b"A: b\r\r\n\r\n",
    "bare CR before the request": b"\r" + GET + b"\r\n",
    # Fields (RFC 9112 section 5)
    "space before the colon": GET + b"A : b\r\n\r\n",
    "tab before the colon": GET + b"A\t: b\r\n\r\n",
    "space before the first field": b"GET / HTTP/1.1\r\n Host: test\r\n\r\n",
    "obs-fold with space": GET + b"A: b\r\n c\r\n\r\n",
    "obs-fold with tab": GET + b"A: b\r\n\tc\r\n\r\n",
    "no colon": GET + b"A\r\n\r\n",
    "no name": GET + b": b\r\n\r\n",
    "NUL in a value": GET + b"A: b\0c\r\n\r\n",
    "NUL in a name": GET + b"A\0B: c\r\n\r\n",
    "control character in a value": GET + b"A: b\x01c\r\n\r\n",
    "DEL in a value": GET + b"A: b\x7fc\r\n\r\n",
    "quote in a name": GET + b'A"B: c\r\n\r\n',
    "letter beyond ASCII in a name": GET + b"A\xe4: c\r\n\r\n",
    "space in a name": GET + b"Content Length: 3\r\n\r\nabc",
    # Host (RFC 9112 section 3.2)
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
    "two Hosts": GET + b"Host: other\r\n\r\n",
    "the same Host twice": GET + b"Host: test\r\n\r\n",
    "Host with a path": b"GET / HTTP/1.1\r\nHost: test/path\r\n\r\n",
    "Host with a user": b"GET / HTTP/1.1\r\nHost: user@test\r\n\r\n",
    "Host with a space": b"GET / HTTP/1.1\r\nHost: te st\r\n\r\n",
    "Host with a bad port": b"GET / HTTP/1.1\r\nHost: test:80a\r\n\r\n",
    "Host with two ports": b"GET / HTTP/1.1\r\nHost: test:80:81\r\n\r\n",
    "Host with an open bracket": b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
    "Host beyond ASCII": b"GET / HTTP/1.1\r\nHost: t\xe4st\r\n\r\n",
    "two Hosts in HTTP/1.0": b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
    # Request line (RFC 9112 section 3)
    "two spaces before the target": b"GET  / HTTP/1.1\r\nHost: test\r\n\r\n",
    "two spaces before the version": b"GET /  HTTP/1.1\r\nHost: test\r\n\r\n",
    "tab in the request line": b"GET\t/\tHTTP/1.1\r\nHost: test\r\n\r\n",
    "space before the method": b" GET / HTTP/1.1\r\nHost: test\r\n\r\n",
    "space after the version": b"GET / HTTP/1.1 \r\nHost: test\r\n\r\n",
    "space in the target": b"GET /a b HTTP/1.1\r\nHost: test\r\n\r\n",
    "NUL in the target": b"GET /a\0b HTTP/1.1\r\nHost: test\r\n\r\n",
    "NUL in the method": b"GE\0T / HTTP/1.1\r\nHost: test\r\n\r\n",
    "version 1.2": b"GET / HTTP/1.2\r\nHost: test\r\n\r\n",
    "version 2.0": b"GET / HTTP/2.0\r\nHost: test\r\n\r\n",
    "version in lower case": b"GET / http/1.1\r\nHost: test\r\n\r\n",
    "no version": b"GET /\r\nHost: test\r\n\r\n",
    "relative target": b"GET path HTTP/1.1\r\nHost: test\r\n\r\n",
    "asterisk for GET": b"GET * HTTP/1.1\r\nHost: test\r\n\r\n",
    "absolute target without host": b"GET http:///path HTTP/1.1\r\nHost: test\r\n\r\n",
    "absolute target with a user": b"GET http://u@test/ HTTP/1.1\r\nHost: test\r\n\r\n",
    "absolute target of another scheme": b"GET ftp://test/ HTTP/1.1\r\nHost: test\r\n\r\n",
    "absolute target, no Host": b"GET http://test/ HTTP/1.1\r\n\r\n",
    "TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 64,
}

BODIES = {
    # Chunks (RFC 9112 section 7.1)
    "bare LF after a size": b"3\nabc\r\n0\r\n\r\n",
    "bare LF after the data": b"3\r\nabc\n0\r\n\r\n",
    "bare LF after the last size": b"3\r\nabc\r\n0\n\r\n",
    "bare LF at the end": b"3\r\nabc\r\n0\r\n\n",
    "bare LF in an extension": b"3;a\nb\r\nabc\r\n0\r\n\r\n",
    "bare CR in an extension": b"3;a\rb\r\nabc\r\n0\r\n\r\n",
    "bare CR after a size": b"3\rabc\r\n0\r\n\r\n",
    "NUL in an extension": b"3;a\0b\r\nabc\r\n0\r\n\r\n",
    "space before a size": b" 3\r\nabc\r\n0\r\n\r\n",
    "space after a size": b"3 \r\nabc\r\n0\r\n\r\n",
    "space before an extension": b"3 ;a\r\nabc\r\n0\r\n\r\n",
    "plus sign": b"+3\r\nabc\r\n0\r\n\r\n",
    "minus sign": b"-3\r\nabc\r\n0\r\n\r\n",
    "0x": b"0x3\r\nabc\r\n0\r\n\r\n",
    "underscore": b"0_3\r\nabc\r\n0\r\n\r\n",
    "no size": b"\r\nabc\r\n0\r\n\r\n",
    "extension without size": b";a\r\nabc\r\n0\r\n\r\n",
    "not hexadecimal": b"g\r\nabc\r\n0\r\n\r\n",
    "size of 17 digits": b"10000000000000003\r\nabc\r\n0\r\n\r\n",
    "size of 16 digits": b"ffffffffffffffff\r\nabc\r\n0\r\n\r\n",
    "longer than its size": b"2\r\nabc\r\n0\r\n\r\n",
    "shorter than its size": b"4\r\nabc\r\n0\r\n\r\n",
    "two CRLF after the data": b"3\r\nabc\r\n\r\n0\r\n\r\n",
    "no name in a trailer": b"0\r\n: b\r\n\r\n",
    "space before the colon of a trailer": b"0\r\nA : b\r\n\r\n",
    "obs-fold in a trailer": b"0\r\nA: b\r\n c\r\n\r\n",
    "bare LF in a trailer": b"0\r\nA: b\nC: d\r\n\r\n",
    "bare CR in a trailer": b"0\r\nA: b\rC: d\r\n\r\n",
    "NUL in a trailer": b"0\r\nA: b\0\r\n\r\n",
    "no trailer but a request": b"0\r\nGET /smuggled HTTP/1.1\r\nHost: test\r\n\r\n",
}


def refusals(server: Server) -> int:
    """How many requests the log says have been refused."""
    return sum(" info " in line and " 400 for a request from " in line for line in server.log())


@each_face
@pytest.mark.parametrize("name", HEADS)
def test_an_ambiguous_head_is_refused(server: Server, name: str) -> None:
    seen(server)
    before = refusals(server)
    refused(converse(server, HEADS[name] + NEXT, timeout=3))
    assert seen(server) == []
    wait_until(lambda: refusals(server) > before, "a line in the log")


@each_face
@pytest.mark.parametrize("name", BODIES)
def test_an_ambiguous_chunk_is_refused(server: Server, name: str) -> None:
    seen(server)
    refused(converse(server, CHUNKED + BODIES[name] + NEXT, timeout=3))
    assert seen(server) == []


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("face", ["asgi"])
def test_an_ambiguous_chunk_is_refused_when_it_trickles(server: Server, name: str) -> None:
    seen(server)
    with connect(server, timeout=3) as connection:
        connection.send(CHUNKED)
        for byte in BODIES[name]:
            connection.send(bytes([byte]))
        refused(connection.rest())
    assert seen(server) == []


@pytest.mark.parametrize("face", ["wsgi"])
def test_a_refusal_is_logged_once_at_info_with_its_reason(server: Server) -> None:
    before = refusals(server)
    converse(server, b"LOGGED / HTTP/1.1\r\nHost: test\r\nHost: other\r\n\r\n")
    server.wait_for_log(
        r" info .* 400 for a request from 127\.0\.0\.1 \(LOGGED\): more than one Host"
    )
    assert refusals(server) == before + 1


@pytest.mark.parametrize("face", ["wsgi", "native"])
@pytest.mark.parametrize(
    ("body", "status"), [(b"X\r\n", 400), (b"1\r\na", None)], ids=["malformed", "cut off"]
)
def test_a_body_that_fails_is_the_clients_error_and_not_logged_as_the_apps(
    face: str, body: bytes, status: int | None
) -> None:
    """The app at /_count does not expect an `OSError` when it reads; most apps do not."""
    with serve_echo(face) as server:
        request = CHUNKED.replace(b"POST /", b"POST /_count") + body
        responses = converse(server, request, half_close=status is None)
        assert [response.status for response in responses] == ([status] if status else [])
        assert server.get("/").status == 200
        server.signal()
        assert server.wait() == 0
        server.stderr.close()  # waits for the last line
        assert trouble(server) == []


def ok(responses: list[Response]) -> None:
    assert [response.status for response in responses] == [200]


@each_face
@pytest.mark.parametrize(
    "request_",
    [
        b"\r\n\r\n" + GET + b"\r\n",  # RFC 9112 section 2.2: an empty line or two before it
        GET + b"A:b\r\n\r\n",
        GET + b"A: \t b \t \r\n\r\n",
        GET + b"A:\r\n\r\n",
        GET + b"A: \xe4\xff\r\n\r\n",
        b"GET / HTTP/1.1\r\nhOsT: TEST:8000\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost:\r\n\r\n",  # empty is allowed where there is no authority
        b"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET http://other/ HTTP/1.1\r\nHost: test\r\n\r\n",
        b"GET HTTP://other HTTP/1.1\r\nHost: test\r\n\r\n",
        POST + b"Transfer-Encoding: CHUNKED\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        POST + b"Content-Length: 0003\r\n\r\nabc",
        CHUNKED + b'00003;a=b;c="d"\r\nabc\r\n0;e\r\nA: b\r\n\r\n',
    ],
)
def test_what_looks_odd_but_has_one_meaning_is_served(server: Server, request_: bytes) -> None:
    ok(converse(server, request_, half_close=True))


@pytest.mark.parametrize("face", ["asgi", "native"])
def test_the_host_of_an_absolute_target_wins(server: Server) -> None:
    (response,) = converse(
        server, b"GET http://other:81/a?b HTTP/1.1\r\nHost: test\r\n\r\n", half_close=True
    )
    saw = response.text
    assert '["host", "other:81"]' in saw
    assert '"test"' not in saw


@pytest.mark.parametrize("face", ["wsgi"])
def test_an_underscore_never_shadows_a_dash_in_environ(server: Server) -> None:
    response = server.get("/", [("X-User", "real"), ("X_User", "forged"), ("X_Only", "forged")])
    assert '["x-user", "real"]' in response.text
    assert "forged" not in response.text
    server.wait_for_log('header "x_user" dropped')


@pytest.mark.parametrize("face", ["asgi"])
def test_asgi_passes_underscores_on(server: Server) -> None:
    response = server.get("/", [("X-User", "real"), ("X_User", "other")])
    assert '["x-user", "real"], ["x_user", "other"]' in response.text
