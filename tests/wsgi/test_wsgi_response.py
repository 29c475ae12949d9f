"""PEP 3333, "The start_response() Callable" and what follows: heads, bodies, errors, close()."""

from collections.abc import Iterator

import pytest
from apps.wsgi_cases import BAD_STARTS, CLOSED
from support import TIMEOUT, Response, Server, rss, wait_until
from wsgi_helpers import (
    LogFrom,
    events,
    new_key,
    nothing_to_read,
    open_gate,
    serve_cases,
    wait_for_event,
)

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve_cases() as server:
        yield server


def assert_500_with_usable_connection(server: Server, path: str) -> Response:
    """The path answers 500 in full, and its connection serves the next request."""
    with server.connect() as connection:
        connection.send_request("GET", path)
        response = connection.read_response()
        assert response.status == 500, response
        assert "x-never" not in dict(response.headers)
        connection.send_request("GET", "/ok")
        assert connection.read_response().body == b"ok"
    return response


def assert_incomplete(server: Server, path: str, begun: bytes, method: str = "GET") -> None:
    """The path answers 200, sends what it has, and cuts: no client takes it for whole."""
    with server.connect() as connection:
        connection.send_request(method, path)
        head = connection.read_head()
        assert head.status == 200
        if head.header("transfer-encoding") == "chunked":
            assert connection.read_chunk() == begun
            with pytest.raises(ConnectionError):
                connection.read_chunk()
        else:
            declared = int(head.header("content-length") or "0")
            assert connection.read_exactly(len(begun)) == begun
            assert declared > len(begun)
            assert connection.is_closed()


# --- exc_info ------------------------------------------------------------------------------------


def test_exc_info_before_the_headers_are_sent_replaces_them(server: Server) -> None:
    response = server.get("/exc-info-before")
    assert (response.status, response.reason, response.body) == (503, "Sorry", b"sorry")
    assert response.header("x-first") is None
    assert response.header("x-second") == "2"


def test_exc_info_in_the_first_call_is_allowed(server: Server) -> None:
    assert server.get("/exc-info-first").status == 503


def test_exc_info_may_be_given_by_name(server: Server) -> None:
    assert server.get("/exc-info-by-name").status == 503


def test_exc_info_none_is_as_none_given(server: Server) -> None:
    assert server.get("/exc-info-none").body == b"ok"


def test_exc_info_after_the_headers_are_sent_is_raised_again(server: Server) -> None:
    key, log = new_key(), LogFrom(server)
    assert_incomplete(server, f"/exc-info-after?{key}", b"begun")
    assert events(server, key) == ['LookupError("the app\'s own error")']
    assert "LookupError: the app's own error" in log.text()


def test_exc_info_after_an_empty_piece_still_replaces_the_headers(server: Server) -> None:
    response = server.get("/changed-after-empty-piece")
    assert (response.status, response.body) == (404, b"changed")
    assert response.header("x-first") is None


def test_second_call_without_exc_info_is_an_assertion_error(server: Server) -> None:
    key, log = new_key(), LogFrom(server)
    assert_500_with_usable_connection(server, f"/twice?{key}")
    assert events(server, key) == ["AssertionError"]
    assert "AssertionError" in log.text()


# --- when start_response is called ---------------------------------------------------------------


def test_start_response_may_be_called_by_the_first_iteration(server: Server) -> None:
    response = server.get("/start-in-generator")
    assert (response.status, response.body) == (201, b"late")
    assert response.header("x-late") == "yes"


def test_start_response_may_follow_empty_pieces(server: Server) -> None:
    response = server.get("/start-after-empty-pieces")
    assert (response.status, response.body) == (201, b"late")


@pytest.mark.parametrize("path", ["/start-never", "/start-never-empty", "/start-never-generator"])
def test_start_response_never_called_is_500(server: Server, path: str) -> None:
    log = LogFrom(server)
    assert_500_with_usable_connection(server, path)
    text = log.text()
    assert "start_response" in text
    assert path in text


def test_headers_wait_for_the_first_non_empty_piece(server: Server) -> None:
    key = new_key()
    with server.connect() as connection:
        connection.send_request("GET", f"/headers-held?{key}")
        wait_for_event(server, key, "waiting")
        assert nothing_to_read(connection)
        open_gate(server, key)
        assert connection.read_response().body == b"body"


# --- bad status and headers ----------------------------------------------------------------------


@pytest.mark.parametrize("case", BAD_STARTS)
def test_bad_status_or_header_is_a_logged_500(server: Server, case: str) -> None:
    log = LogFrom(server)
    response = assert_500_with_usable_connection(server, f"/bad-start?{case}")
    assert not {"x-split", "x-a"} & {name for name, _ in response.headers}
    text = log.text()
    assert "GET /bad-start" in text
    assert "in bad_start" in text  # the app's own frame


def test_status_and_headers_go_out_in_latin_1(server: Server) -> None:
    response = server.get("/latin-1")
    assert response.reason == "Sch\xf6n"
    assert response.header("x-name") == "caf\xe9"
    assert response.header("x-empty") == ""


def test_repeated_headers_stay_apart(server: Server) -> None:
    assert server.get("/repeated").all("set-cookie") == ["a=1", "b=2"]


def test_hop_by_hop_headers_of_the_app_are_not_sent(server: Server) -> None:
    """PEP 3333: the server may refuse or drop them; it must not break the framing by them."""
    with server.connect() as connection:
        connection.send_request("GET", "/hop-by-hop")
        response = connection.read_response()
        assert response.status in (200, 500)
        assert not {"keep-alive", "upgrade", "transfer-encoding"} & {n for n, _ in response.headers}
        connection.send_request("GET", "/ok")
        assert connection.read_response().body == b"ok"


def test_connection_close_of_the_app_is_obeyed(server: Server) -> None:
    with server.connect() as connection:
        connection.send_request("GET", "/connection-close")
        response = connection.read_response()
        assert (response.body, response.header("connection")) == (b"bye", "close")
        assert connection.is_closed()


# --- write() -------------------------------------------------------------------------------------


def test_write_sends_what_it_is_given(server: Server) -> None:
    assert server.get("/write-only").body == b"one two"


@pytest.mark.parametrize("kind", ["list", "generator"])
def test_what_is_written_precedes_the_iterable(server: Server, kind: str) -> None:
    assert server.get(f"/write-then-{kind}").body == b"one two three"


def test_write_reaches_the_client_before_the_app_goes_on(server: Server) -> None:
    key = new_key()
    with server.connect() as connection:
        connection.send_request("GET", f"/write-gated?{key}")
        assert connection.read_head().status == 200
        assert connection.read_chunk() == b"first"
        open_gate(server, key)
        assert connection.read_chunk() == b"second"
        assert connection.read_chunk() == b""


def test_write_keeps_a_declared_length(server: Server) -> None:
    response = server.get("/write-length")
    assert (response.header("content-length"), response.body) == ("6", b"abcdef")


def test_write_of_text_is_a_type_error(server: Server) -> None:
    key = new_key()
    assert_500_with_usable_connection(server, f"/write-text?{key}")
    assert events(server, key) == ["TypeError"]


def test_write_and_start_response_after_the_end_raise_and_harm_nobody(server: Server) -> None:
    key = new_key()
    with server.connect() as connection:
        connection.send_request("GET", f"/write-kept?{key}")
        assert connection.read_response().body == b"kept"
        connection.send_request("GET", f"/write-after-end?{key}")
        assert connection.read_response().body == b'["AssertionError", "AssertionError"]'
        connection.send_request("GET", "/ok")
        assert connection.read_response().body == b"ok"


# --- shapes of bodies ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "body", "length"),
    [
        ("list", b"abc", "3"),
        ("tuple", b"abc", "3"),
        ("generator", b"abc", None),
        ("iterator", b"abc", None),
        ("one-piece", b"abc", "3"),
        ("empty-list", b"", "0"),
        ("empty-generator", b"", "0"),
        ("old-style", b"old style", None),
    ],
)
def test_any_iterable_of_bytes_is_sent(
    server: Server, shape: str, body: bytes, length: str | None
) -> None:
    with server.connect() as connection:
        connection.send_request("GET", f"/shape?{shape}")
        response = connection.read_response()
        assert (response.body, response.header("content-length")) == (body, length)
        connection.send_request("GET", "/ok")
        assert connection.read_response().body == b"ok"


@pytest.mark.parametrize(
    "shape",
    ["bytes", "text-list", "text-generator", "bytearray", "none-piece", "none", "number"],
)
def test_what_is_no_iterable_of_bytes_is_a_logged_500(server: Server, shape: str) -> None:
    log = LogFrom(server)
    assert_500_with_usable_connection(server, f"/shape?{shape}")
    assert "TypeError" in log.text()


def test_text_after_bytes_cuts_the_response(server: Server) -> None:
    log = LogFrom(server)
    assert_incomplete(server, "/shape?text-later", b"begun")
    assert "TypeError" in log.text()


@pytest.mark.parametrize("kind", ["list", "generator"])
def test_body_shorter_than_declared_closes_the_connection_and_is_logged(
    server: Server, kind: str
) -> None:
    log = LogFrom(server)
    assert_incomplete(server, f"/length?declared=10&body=short&kind={kind}", b"short")
    text = log.text()
    assert "shorter than its Content-Length" in text
    assert "/length" in text


@pytest.mark.parametrize("kind", ["list", "generator"])
def test_empty_body_under_a_declared_length_is_not_whole(server: Server, kind: str) -> None:
    assert_incomplete(server, f"/length?declared=10&body=&kind={kind}", b"")


@pytest.mark.parametrize("kind", ["list", "generator"])
def test_body_longer_than_declared_is_cut_and_logged(server: Server, kind: str) -> None:
    log = LogFrom(server)
    with server.connect() as connection:
        connection.send_request("GET", f"/length?declared=4&body=longer&kind={kind}")
        assert connection.read_response().body == b"long"
        connection.send_request("GET", "/ok")
        assert connection.read_response().body == b"ok"
    assert "more than its Content-Length" in log.text()


def test_body_as_long_as_declared_is_whole(server: Server) -> None:
    log = LogFrom(server)
    assert server.get("/length?declared=5&body=exact&kind=generator").body == b"exact"
    assert "Content-Length" not in log.text()


# --- responses without a body --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "length"), [("/ok", "2"), ("/declared", "10"), ("/streamed", None)]
)
def test_head_has_the_headers_of_get_and_no_body(
    server: Server, path: str, length: str | None
) -> None:
    with server.connect() as connection:
        connection.send_request("HEAD", path)
        response = connection.read_response(head=True)
        assert (response.status, response.header("content-length")) == (200, length)
        assert response.header("content-type") == "text/plain"
        connection.send_request("GET", "/ok")
        assert connection.read_response().body == b"ok"


@pytest.mark.parametrize("code", [204, 304])
def test_no_content_and_not_modified_have_no_body(server: Server, code: int) -> None:
    with server.connect() as connection:
        connection.send_request("GET", f"/status?{code}")
        response = connection.read_response()
        assert (response.status, response.body, response.header("x-kept")) == (code, b"", "yes")
        connection.send_request("GET", "/ok")
        assert connection.read_response().body == b"ok"


@pytest.mark.parametrize("code", [200, 201, 299, 404, 418, 500, 599])
def test_other_statuses_keep_their_body(server: Server, code: int) -> None:
    response = server.get(f"/status?{code}")
    assert (response.status, response.reason) == (code, "Whatever")
    assert response.body == b"a body that may not be sent"


# --- close() -------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("kind", CLOSED)
def test_close_is_called_exactly_once(server: Server, kind: str, method: str) -> None:
    key = new_key(kind)
    with server.connect() as connection:
        connection.send_request(method, f"/closed?{key}", [("Connection", "close")])
        connection.read_head()
        connection.socket.settimeout(TIMEOUT)
        while connection.socket.recv(4096):
            pass
    wait_for_event(server, key, "close")
    assert events(server, key) == ["close"]


@pytest.mark.parametrize("path", ["/closed-short", "/closed-unstarted", "/closed-no-content"])
def test_close_is_called_exactly_once_for_a_bad_response_too(server: Server, path: str) -> None:
    key = new_key()
    with server.connect() as connection:
        connection.send_request("GET", f"{path}?{key}")
        connection.read_head()
    wait_for_event(server, key, "close")
    assert events(server, key) == ["close"]


@pytest.mark.parametrize("leave", ["close", "reset"])
@pytest.mark.parametrize(
    ("path", "event"),
    [("/flood", "close"), ("/trickle", "close"), ("/generator-finally", "finally")],
)
def test_client_that_leaves_stops_the_iterable_and_closes_it_once(
    server: Server, path: str, event: str, leave: str
) -> None:
    key, log = new_key(), LogFrom(server)
    with server.connect() as connection:
        connection.send_request("GET", f"{path}?{key}")
        assert connection.read_head().status == 200
        connection.read_chunk()
        getattr(connection, leave)()
    wait_until(lambda: event in events(server, key), "the iterable to be closed", timeout=2)
    assert events(server, key) == [event]
    assert "Exception" not in log.text()  # a client may leave: nobody's error


def test_error_in_close_is_logged_and_the_response_is_whole(server: Server) -> None:
    key, log = new_key("close-raises"), LogFrom(server)
    with server.connect() as connection:
        connection.send_request("GET", f"/closed?{key}")
        assert connection.read_response().body == b"ab"
        connection.send_request("GET", "/ok")
        assert connection.read_response().body == b"ok"
    assert "LookupError: in close" in log.text()


# --- exceptions ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/raise", "/raise-after-start"])
def test_exception_is_a_500_with_its_traceback_in_the_log(server: Server, path: str) -> None:
    log = LogFrom(server)
    response = assert_500_with_usable_connection(server, path)
    assert b"LookupError" not in response.body  # no insides for the client
    text = log.text()
    assert f"GET {path}" in text
    assert "Traceback (most recent call last)" in text
    assert "wsgi_cases.py" in text
    assert "LookupError: " in text


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("exit", "SystemExit: 7"),
        ("interrupt", "KeyboardInterrupt"),
        ("generator-exit", "GeneratorExit"),
        ("stop-iteration", "StopIteration"),
    ],
)
def test_exceptions_that_would_end_a_program_end_a_request_only(
    server: Server, kind: str, name: str
) -> None:
    log = LogFrom(server)
    assert_500_with_usable_connection(server, f"/raise?{kind}")
    assert name in log.text()
    assert server.process.poll() is None


@pytest.mark.parametrize(
    ("query", "name"), [("", "LookupError: in the body"), ("exit", "SystemExit: 7")]
)
def test_exception_in_the_body_leaves_it_incomplete(server: Server, query: str, name: str) -> None:
    log = LogFrom(server)
    assert_incomplete(server, f"/raise-in-body?{query}", b"begun")
    assert name in log.text()


def test_exception_in_the_body_of_an_http_1_0_response_is_seen_as_a_reset(server: Server) -> None:
    """Without chunks the end of the connection is the end of the body: only RST tells."""
    with server.connect() as connection:
        connection.send(b"GET /raise-in-body HTTP/1.0\r\n\r\n")
        with pytest.raises(ConnectionResetError):  # it may overtake what was sent before
            connection.read_until_close()


def test_exception_for_a_request_with_an_unread_body(server: Server) -> None:
    with server.connect() as connection:
        connection.send_request("POST", "/raise", body=b"x" * 10_000)
        assert connection.read_response().status == 500
        connection.send_request("GET", "/ok")
        assert connection.read_response().body == b"ok"


# --- streaming -----------------------------------------------------------------------------------


def test_first_piece_reaches_the_client_before_the_second_is_made(server: Server) -> None:
    key = new_key()
    with server.connect() as connection:
        connection.send_request("GET", f"/stream-gated?{key}")
        assert connection.read_head().status == 200
        assert connection.read_chunk() == b"first"
        open_gate(server, key)
        assert connection.read_chunk() == b"second"
        assert connection.read_chunk() == b""


def test_generator_waits_for_a_client_that_does_not_read(server: Server) -> None:
    key = new_key()
    server.get("/ok")
    before = rss(server.pid)
    seen: list[int] = []

    def stands_still() -> bool:
        assert server.get("/ok").body == b"ok"  # others are served meanwhile
        seen.append(events(server, key + "-progress")[0])
        return len(seen) > 100 and len(set(seen[-100:])) == 1 and seen[-1] > 0

    with server.connect() as connection:
        connection.send_request("GET", f"/flood?{key}")
        wait_until(stands_still, "the generator to stop")
        assert seen[-1] * 64 * 1024 < 32 * MIB  # what the kernel's buffers hold, and a little
        assert rss(server.pid) - before < 16 * MIB
        assert connection.read_head().status == 200
        for _ in range(1000):
            assert len(connection.read_chunk()) == 64 * 1024
        assert rss(server.pid) - before < 16 * MIB
    wait_for_event(server, key, "close")


# --- wsgi.file_wrapper ---------------------------------------------------------------------------


def test_file_wrapper_sends_the_file_in_blocks_and_closes_it(server: Server) -> None:
    key = new_key()
    assert server.get(f"/file?{key}").body == b"0123456789" * 1000
    wait_for_event(server, key, "close")
    assert events(server, key) == ["close"]
    assert set(events(server, key + "-sizes")) == {4096}


def test_file_wrapper_is_a_true_iterator(server: Server) -> None:
    key = new_key()
    assert server.get(f"/file-as-iterator?{key}").body == b'[true, "abcd", "ef", "end"]'
    assert events(server, key) == ["close"]


def test_file_wrapper_takes_a_file_without_close(server: Server) -> None:
    assert server.get("/file-without-close").body == b"no close"


def test_file_wrapper_may_be_iterated_by_a_middleware(server: Server) -> None:
    assert server.get("/file-wrapped-again").body == b"ABC"


def test_file_wrapper_closes_its_file_for_head(server: Server) -> None:
    key = new_key()
    assert server.request("HEAD", f"/file?{key}").status == 200
    wait_for_event(server, key, "close")
