"""ASGI's HTTP messages: receive() and send(), and what becomes of the app's mistakes."""

import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from apps.asgi_cases import BAD_SENDS, GOOD_SENDS
from asgi_helpers import (
    APPS,
    LOOPS,
    LogFrom,
    events,
    get_json,
    new_key,
    open_gate,
    serve_cases,
    wait_for_events,
)
from support import RawConnection, Server, gohttp_serve, rss, wait_until

MIB = 1024 * 1024
CHUNKED = [("Transfer-Encoding", "chunked")]


@pytest.fixture(scope="module", params=LOOPS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with serve_cases("--loop", request.param) as server:
        yield server


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def assert_usable(connection: RawConnection) -> None:
    connection.send_request("GET", "/ok")
    assert connection.read_response().body == b"ok"


def assert_incomplete(server: Server, path: str, begun: bytes) -> None:
    """The path answers 200, sends what it has, and cuts: no client takes it for whole."""
    with server.connect() as connection:
        connection.send_request("GET", path)
        head = connection.read_head()
        assert head.status == 200
        if head.header("transfer-encoding") == "chunked":
            if begun:
                assert connection.read_chunk() == begun
            with pytest.raises(ConnectionError):
                connection.read_chunk()
        else:
            assert connection.read_exactly(len(begun)) == begun
            assert int(head.header("content-length") or "0") > len(begun)
            assert connection.is_closed()


# --- receive(): the body -------------------------------------------------------------------------


def test_request_without_a_body_is_one_message(server: Server) -> None:
    keys = ["body", "more_body", "type"]
    assert get_json(server, "/receive-all") == [0, 0, 1, keys]


@pytest.mark.parametrize("size", [1, 10_000, 300_000, 9_000_000])
@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_body_comes_whole_and_in_bounded_pieces(server: Server, size: int, framing: str) -> None:
    with server.connect() as connection:
        if framing == "length":
            connection.send_request("POST", "/receive-all", [], b"x" * size)
        else:
            pieces = [chunk(b"x" * min(60_000, size - at)) for at in range(0, size, 60_000)]
            wire = b"".join(pieces) + b"0\r\n\r\n"
            connection.send_request("POST", "/receive-all", CHUNKED, wire)
        total, largest, count, _ = json.loads(connection.read_response().body)
        assert total == size
        assert largest <= MIB
        assert count >= size / largest
        assert_usable(connection)


def test_pieces_are_given_as_they_come(server: Server) -> None:
    with server.connect() as connection:
        connection.send_request("POST", "/receive-echo", CHUNKED)
        for number in range(5):
            connection.send(chunk(b"piece %d" % number))
            if number == 0:
                assert connection.read_head().status == 200
            assert connection.read_chunk() == b"piece %d" % number
        connection.send(b"0\r\n\r\n")
        assert connection.read_chunk() == b""


def test_receive_can_be_a_task(server: Server) -> None:
    assert get_json(server, "/receive-in-task")["type"] == "http.request"


def test_cancelled_receive_passes_the_cancellation_through(server: Server) -> None:
    response = server.request("POST", "/receive-cancelled", body=b"body")
    assert json.loads(response.body) == ["body", ["cancelled"], "CancelledError"]


def test_receive_that_timed_out_loses_nothing(server: Server) -> None:
    key = new_key()
    with server.connect() as connection:
        connection.send_request("POST", f"/receive-timed-out?{key}", CHUNKED)
        wait_for_events(server, key, ["ready"])
        connection.send(chunk(b"late") + b"0\r\n\r\n")
        outcomes = json.loads(connection.read_response().body)
    assert outcomes[:3] == ["timed out"] * 3
    assert "".join(outcomes[3:]) == "late"


def test_next_request_never_sees_an_unread_body(server: Server) -> None:
    with server.connect() as connection:
        for headers, wire in (
            ([("Content-Length", "22")], b"GET /x HTTP/1.1\r\nHost:"),
            (CHUNKED, chunk(b"GET /x HTTP/1.1\r\nHost:") + b"0\r\n\r\n"),
        ):
            connection.send_request("POST", "/ok", headers, wire)
            assert connection.read_response().body == b"ok"
            assert_usable(connection)


def test_reading_sends_100_continue_and_not_reading_does_not(server: Server) -> None:
    headers = [("Expect", "100-continue"), ("Content-Length", "4")]
    with server.connect() as connection:
        connection.send_request("POST", "/receive-all", headers)
        assert connection.read_response(interim=True).status == 100
        connection.send(b"body")
        assert json.loads(connection.read_response().body)[0] == 4
    with server.connect() as connection:
        connection.send_request("POST", "/ok", headers)
        assert connection.read_response(interim=True).status == 200


# --- receive(): the disconnect -------------------------------------------------------------------


def test_disconnect_follows_the_end_of_the_response(server: Server) -> None:
    key = new_key()
    with server.connect() as connection:
        connection.send_request("GET", f"/receive-after-end?{key}")
        assert connection.read_response().body == b"answer"
        wait_until(lambda: "end" in events(server, key), "receive() to return")
        assert events(server, key)[-2:] == ["http.disconnect", "end"]
        assert_usable(connection)


def test_pending_receive_is_told_of_the_end_of_the_response(server: Server) -> None:
    key = new_key()
    with server.connect() as connection:
        connection.send_request("GET", f"/receive-pending-at-end?{key}")
        assert connection.read_response().body == b"answer"
        wait_for_events(server, key, ["http.disconnect"])
        assert_usable(connection)


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_disconnect_comes_when_the_client_leaves(server: Server, leave: str) -> None:
    key, log = new_key(), LogFrom(server)
    with server.connect() as connection:
        connection.send_request("GET", f"/receive-disconnect?{key}")
        assert connection.read_head().status == 200
        assert connection.read_chunk() == b"begun"
        getattr(connection, leave)()
    wait_for_events(server, key, ["http.disconnect", "http.disconnect"])
    assert "Exception" not in log.text()


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_disconnect_comes_before_the_response_has_begun(server: Server, leave: str) -> None:
    key, log = new_key(), LogFrom(server)
    with server.connect() as connection:
        connection.send_request("GET", f"/receive-disconnect-unstarted?{key}")
        getattr(connection, leave)()
    wait_for_events(server, key, ["waiting", "http.disconnect"])
    assert "Exception" not in log.text()


@pytest.mark.parametrize("loop", LOOPS)
def test_disconnect_comes_to_everyone_who_waits_for_it(loop: str) -> None:
    key, options = new_key(), ("--loop", loop, "--graceful-timeout", "1")
    with gohttp_serve("asgi_cases:app", *options, cwd=APPS, exit_code=None) as server:
        with server.connect() as connection:
            connection.send_request("GET", f"/receive-by-two?{key}")
            wait_until(lambda: "waiting" in events(server, key), "both to wait")
        wait_until(lambda: len(events(server, key)) == 3, "both to be told", timeout=2)
        assert sorted(events(server, key)) == ["http.disconnect", "http.disconnect", "waiting"]


@pytest.mark.parametrize(
    ("headers", "sent"), [(CHUNKED, b"4\r\nbody\r\n"), ([("Content-Length", "100")], b"body")]
)
def test_client_that_goes_in_mid_body_is_a_disconnect(
    server: Server, headers: list[tuple[str, str]], sent: bytes
) -> None:
    key = new_key()
    with server.connect() as connection:
        connection.send_request("POST", f"/receive-error?{key}", headers, sent)
    wait_for_events(server, key, ["http.disconnect"])


def test_malformed_chunk_is_a_disconnect_and_a_400(server: Server) -> None:
    key = new_key()
    with server.connect() as connection:
        connection.send_request("POST", f"/receive-error?{key}", CHUNKED, b"4\r\nbody\r\nxyz\r\n")
        assert connection.read_response().status == 400
        assert connection.is_closed()
    wait_for_events(server, key, ["http.disconnect"])


# --- send(): what is refused ---------------------------------------------------------------------


@pytest.mark.parametrize("case", BAD_SENDS)
def test_bad_message_is_an_error_and_a_logged_500(server: Server, case: str) -> None:
    key, log = new_key(), LogFrom(server)
    with server.connect() as connection:
        connection.send_request("GET", f"/bad-send?{quote(case)}&{key}")
        response = connection.read_response()
        assert response.status == 500
        assert not {"x-a", "x-split"} & {name for name, _ in response.headers}
        assert_usable(connection)
    last, error = events(server, key)
    assert last, f"refused too early, with {error}"
    text = log.text()
    assert "GET /bad-send" in text
    assert error in text
    assert "in bad_send" in text  # the app's own frame


def test_refused_messages_leave_the_response_open(server: Server) -> None:
    response = server.get("/bad-send-caught")
    assert response.status == 200
    assert json.loads(response.body) == sum(len(sends) == 1 for sends in BAD_SENDS.values())


def test_messages_after_the_end_are_errors_and_harm_nobody(server: Server) -> None:
    key = new_key()
    with server.connect() as connection:
        connection.send_request("GET", f"/body-after-end?{key}")
        assert connection.read_response().body == b"whole"
        assert_usable(connection)
    wait_for_events(server, key, ["RuntimeError", "RuntimeError"])


def test_second_start_after_body_cuts_the_response(server: Server) -> None:
    assert_incomplete(server, "/second-start-after-body", b"begun")


# --- send(): what is taken -----------------------------------------------------------------------


@pytest.mark.parametrize("case", GOOD_SENDS)
def test_good_messages(server: Server, case: str) -> None:
    response = server.get(f"/good-send?{quote(case)}")
    assert (response.status, response.body) == (200, b"ok")
    assert response.header("x-a") == "1"


def test_headers_and_body_may_be_left_out(server: Server) -> None:
    response = server.get("/no-headers")
    assert (response.status, response.body) == (200, b"")
    assert response.header("content-length") == "0"


def test_transfer_encoding_of_the_app_is_ignored(server: Server) -> None:
    with server.connect() as connection:
        connection.send_request("GET", "/own-framing")
        response = connection.read_response()
        assert response.body == b"onetwo"
        assert_usable(connection)
    with server.connect() as connection:
        connection.send(b"GET /own-framing HTTP/1.0\r\n\r\n")
        response = connection.read_response()
        assert (response.body, response.all("transfer-encoding")) == (b"onetwo", [])


@pytest.mark.parametrize("parts", ["whole", "parts"])
def test_declared_length_is_kept(server: Server, parts: str) -> None:
    response = server.get(f"/length?5,exact,{parts}")
    assert (response.header("content-length"), response.body) == ("5", b"exact")


@pytest.mark.parametrize("parts", ["whole", "parts"])
def test_body_shorter_than_declared_closes_the_connection_and_is_logged(
    server: Server, parts: str
) -> None:
    log = LogFrom(server)
    assert_incomplete(server, f"/length?10,short,{parts}", b"short")
    assert "shorter than its Content-Length" in log.text()


@pytest.mark.parametrize("parts", ["whole", "parts"])
def test_body_longer_than_declared_is_cut_and_logged(server: Server, parts: str) -> None:
    log = LogFrom(server)
    with server.connect() as connection:
        connection.send_request("GET", f"/length?4,longer,{parts}")
        assert connection.read_response().body == b"long"
        assert_usable(connection)
    assert "more than its Content-Length" in log.text()


@pytest.mark.parametrize("code", [204, 304])
def test_no_content_and_not_modified_have_no_body(server: Server, code: int) -> None:
    with server.connect() as connection:
        connection.send_request("GET", f"/status?{code}")
        response = connection.read_response()
        assert (response.status, response.body, response.header("x-kept")) == (code, b"", "yes")
        assert_usable(connection)


@pytest.mark.parametrize("path", ["/ok", "/status?200", "/length?5,exact,parts"])
def test_head_has_no_body(server: Server, path: str) -> None:
    with server.connect() as connection:
        connection.send_request("HEAD", path)
        assert connection.read_response(head=True).status == 200
        assert_usable(connection)


def test_first_piece_reaches_the_client_before_the_second_is_sent(server: Server) -> None:
    key = new_key()
    with server.connect() as connection:
        connection.send_request("GET", f"/stream-gated?{key}")
        assert connection.read_head().status == 200
        assert connection.read_chunk() == b"first"
        open_gate(server, key)
        assert connection.read_chunk() == b"second"
        assert connection.read_chunk() == b""


# --- send(): clients that do not read, or leave --------------------------------------------------


def test_send_waits_for_a_client_that_does_not_read(server: Server) -> None:
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
        wait_until(stands_still, "the app to wait")
        assert seen[-1] * 64 * 1024 < 32 * MIB  # what the kernel's buffers hold, and a little
        assert rss(server.pid) - before < 16 * MIB
        assert connection.read_head().status == 200
        for _ in range(1000):
            assert len(connection.read_chunk()) == 64 * 1024
        assert rss(server.pid) - before < 16 * MIB
    wait_until(lambda: events(server, key), "the app to be told")


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_send_to_a_client_that_has_left_is_an_os_error_and_not_logged(
    server: Server, leave: str
) -> None:
    key, log = new_key(), LogFrom(server)
    with server.connect() as connection:
        connection.send_request("GET", f"/flood?{key}")
        assert connection.read_head().status == 200
        getattr(connection, leave)()
    wait_until(lambda: events(server, key), "the app to be told", timeout=2)
    is_os_error, name = events(server, key)
    assert is_os_error, name
    text = log.text()
    assert "Exception" not in text
    assert "Traceback" not in text


def test_app_that_ignores_the_disconnect_goes_on_alone(server: Server) -> None:
    key, log = new_key(), LogFrom(server)
    with server.connect() as connection:
        connection.send_request("GET", f"/ignores-disconnect?{key}")
        assert connection.read_head().status == 200
    wait_for_events(server, key, [100])
    assert "Traceback" not in log.text()


# --- how the app ends ----------------------------------------------------------------------------


def test_app_that_returns_without_a_response_is_a_logged_500(server: Server) -> None:
    log = LogFrom(server)
    with server.connect() as connection:
        connection.send_request("GET", "/returns")
        assert connection.read_response().status == 500
        assert_usable(connection)
    text = log.text()
    assert "GET /returns" in text
    assert "without sending a response" in text


@pytest.mark.parametrize(
    ("path", "begun"), [("returns-after-start", b""), ("returns-in-body", b"begun")]
)
def test_app_that_returns_in_mid_response_leaves_it_incomplete(
    server: Server, path: str, begun: bytes
) -> None:
    log = LogFrom(server)
    with server.connect() as connection:
        connection.send_request("GET", f"/{path}")
        try:
            head = connection.read_head()
        except ConnectionError:
            head = None  # nothing had been sent, and nothing was
        if head is not None and head.status == 200:
            assert begun
            assert connection.read_chunk() == begun
            with pytest.raises(ConnectionError):
                connection.read_chunk()
    assert "without completing its response" in log.text()


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/raises", "LookupError: the app's own error"),
        ("/raises?later", "LookupError: the app's own error"),
        ("/raises-after-start", "LookupError: after the start"),
        ("/raises-os-error", "FileNotFoundError: the app's own file"),
    ],
)
def test_exception_is_a_500_with_its_traceback_in_the_log(
    server: Server, path: str, name: str
) -> None:
    log = LogFrom(server)
    with server.connect() as connection:
        connection.send_request("GET", path)
        response = connection.read_response()
        assert response.status == 500
        assert response.header("x-never") is None
        assert b"Error:" not in response.body  # no insides for the client
        assert_usable(connection)
    text = log.text()
    assert f"GET {path.partition('?')[0]}" in text
    assert "Traceback (most recent call last)" in text
    assert name in text
    assert text.count("Traceback") == 1  # and not by asyncio once more


@pytest.mark.parametrize("query", ["", "?later"])
def test_exception_in_the_body_leaves_it_incomplete(server: Server, query: str) -> None:
    log = LogFrom(server)
    assert_incomplete(server, f"/raises-in-body{query}", b"begun")
    assert "LookupError: in the body" in log.text()


def test_exception_after_the_end_is_logged_and_the_response_whole(server: Server) -> None:
    log = LogFrom(server)
    with server.connect() as connection:
        connection.send_request("GET", "/raises-after-end")
        assert connection.read_response().body == b"whole"
        assert_usable(connection)
    assert "LookupError: after the end" in log.text()


def test_task_that_is_cancelled_is_answered_with_an_error(server: Server) -> None:
    with server.connect() as connection:
        connection.send_request("GET", "/cancels-itself")
        assert connection.read_response().status in (500, 503)
        assert_usable(connection)


def test_receive_after_an_early_response_is_a_disconnect(server: Server) -> None:
    """The rest of the body is thrown away: nobody may wait for it."""
    key = new_key()
    with server.connect() as connection:
        connection.send_request("POST", f"/read-on?{key}", [("Transfer-Encoding", "chunked")])
        assert connection.read_response().body == b'"early"'
        wait_for_events(server, key, ["http.disconnect"])
        connection.send(b"3\r\nabc\r\n0\r\n\r\n")
        connection.send_request("GET", "/scope")
        assert connection.read_response().status == 200


def test_error_raised_because_the_client_has_gone_is_not_logged_as_the_apps(server: Server) -> None:
    key, log = new_key(), LogFrom(server)
    with server.connect() as connection:
        connection.send_request("GET", f"/wrapped-disconnect?{key}")
        connection.read_head()
        connection.reset()
    wait_for_events(server, key, ["gone"])
    assert server.get("/scope").status == 200
    assert "LookupError" not in log.text()
