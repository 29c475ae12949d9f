"""PEP 3333: each *must* for a server, and where it is tested.

Here stand those that no other file covers.  E is test_wsgi_environ.py, I test_wsgi_input.py,
R test_wsgi_response.py, T test_wsgi_threads.py, H this file.

    Specification details
        positional arguments                       H app_is_called_with_positional_arguments
        environ is a builtin dict, free to change  E environ_is_a_builtin_dict, changes_of_environ
        start_response: two arguments and one more H start_response_takes_what_the_pep_says
        start_response returns write(bytes)        H same; R write_sends_what_it_is_given
        an app may be a class                      H app_may_be_a_class
        bytes go out unaltered                     H octets_are_not_altered
        each piece before the next is asked for    R first_piece_reaches_the_client_before
        len() of the iterable is believed          R any_iterable_of_bytes_is_sent (one-piece)
        close() once: end, error, client gone      R close_is_called…, client_that_leaves_stops…
        no other attribute of the iterable is used H attributes_of_the_iterable_are_not_used
    environ
        required variables, native strings         E required_variables, …_with_strings_of_text
        REQUEST_METHOD, SERVER_NAME/PORT not empty E request_method_is_as_sent, server_name_and_port
        what is not known is left out              H variables_that_are_not_known_are_left_out
        wsgi.version … run_once                    E validator_is_content, threads_and_workers
        a URL can be made of it again              H url_can_be_made_of_environ_again
        PATH_INFO decoded, latin-1                 E path_info_is_percent_decoded_latin_1
        SCRIPT_NAME                                E root_path_is_the_script_name
        repeated headers, cookies                  E repeated_headers…, repeated_cookies…
    Input and error streams
        read, readline, readlines, iteration       I reading
        nothing beyond Content-Length              I pipelined_request_is_not_part_of_the_body
        end of file is simulated                   I reading (read() again), reading_without_a_body
        flush, write, writelines                   E wsgi_errors_reaches_stderr
    start_response()
        twice without exc_info is an error         R second_call_without_exc_info
        headers wait for the first non-empty piece R headers_wait_for_the_first_non_empty_piece
          … or the end of the iterable             H headers_wait_for_the_end_of_an_empty_body
          … or the first write()                   R write_reaches…; H exc_info_after_write…
        exc_info before the headers are out        R exc_info_before…, H error_page_in_place_of…
        exc_info after: raised again, as it was    R exc_info_after…; H exc_info_comes_back_as_given
        may be called by the first iteration       R start_response_may_be_called_by_the_first_…
        no control characters                      R bad_status_or_header; H line_ends_and_nul…
        hop-by-hop headers                         R hop_by_hop_headers; H hop_by_hop_header
        missing headers are added, case ignored    H own_header_is_not_doubled
    Content-Length
        never more than declared                   R body_longer_than_declared; H iterating_stops,
                                                   write_beyond_the_length_is_an_error
        less than declared: closed and logged      R body_shorter_than_declared
    Buffering and streaming, write()
        empty pieces are no end                    R start_response_may_follow_empty_pieces
        write() before the iterable                R what_is_written_precedes_the_iterable
        only bytes                                 R write_of_text, what_is_no_iterable_of_bytes
    HTTP 1.1 Expect/Continue                       I reading_sends_100_continue, …_never_asks;
                                                   H http_1_0_client_is_never_told_100
    HTTP features
        HEAD, 204, 304                             R head_has_the_headers_of_get, no_content…
        chunked bodies                             I reading (chunks), bodies_of_any_size_come_whole
        unread body never is the next request      I next_request_never_sees_an_unread_body
    Thread support                                 E one_thread_is_not_called_multithreaded;
                                                   T never_more_calls_at_once_than_threads
    wsgi.file_wrapper
        nothing sent unless it is returned         H file_wrapper_that_is_not_returned
        position and Content-Length are kept       H file_is_sent_from_its_position
        close(), iteration, other file-likes       R file_wrapper_…
    Error handling                                 R exception_is_a_500_with_its_traceback…
    Conformance as wsgiref.validate sees it        E validator_is_content…; H validator_…
"""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest
from support import TIMEOUT, Response, Server, gohttp_serve, rss, wait_until
from wsgi_helpers import APPS, LogFrom, events, get_json, new_key, wait_for_event

MIB = 1024 * 1024
FRAMEWORKS = Path(__file__).parent.parent / "frameworks"
CONTENT = b"0123456789" * 20_000  # of the files that the app sends


@contextmanager
def serve(*options: str, name: str = "app") -> Iterator[Server]:
    with gohttp_serve(f"wsgi_pep3333:{name}", *options, cwd=APPS) as server:
        yield server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve() as server:
        yield server


# --- the calls -----------------------------------------------------------------------------------


def test_app_is_called_with_positional_arguments(server: Server) -> None:
    """The app's parameters are positional only."""
    assert server.get("/ok").body == b"ok"


def test_start_response_takes_what_the_pep_says(server: Server) -> None:
    assert server.get("/keywords").body == b"TypeError TypeError TypeError callable"


def test_app_may_be_a_class(server: Server) -> None:
    key = new_key()
    assert server.get(f"/class?{key}").body == b"of an instance"
    wait_for_event(server, key, "close")


# --- the iterable --------------------------------------------------------------------------------


def test_octets_are_not_altered(server: Server) -> None:
    octets = bytes(range(256))
    assert server.get("/octets").body == octets + b"\r\n\n\r\n0\r\n\r\n" + octets[::-1]


def test_attributes_of_the_iterable_are_not_used(server: Server) -> None:
    """`read` and `fileno` mean something on a wsgi.file_wrapper only."""
    key = new_key()
    assert server.get(f"/curious?{key}").body == b"one two"
    wait_for_event(server, key, "close")
    assert set(events(server, key)) <= {"close", "__len__"}


def test_iterating_stops_when_the_declared_length_is_reached(server: Server) -> None:
    key = new_key()
    with server.connect() as connection:
        connection.send_request("GET", f"/endless-beyond-length?{key}")
        assert connection.read_response().body == b"123412"
    wait_until(lambda: "close" in events(server, key), "the iterable to be closed", timeout=3)


def test_write_beyond_the_length_is_an_error(server: Server) -> None:
    key = new_key()
    assert server.get(f"/write-beyond-length?{key}").body == b"123456"
    wait_until(lambda: events(server, key), "write to return")
    assert events(server, key) != ["nothing"]


# --- start_response ------------------------------------------------------------------------------


def test_exc_info_comes_back_as_given(server: Server) -> None:
    key = new_key()
    with server.connect() as connection:
        connection.send_request("GET", f"/reraised?{key}")
        assert connection.read_head().status == 200
        assert connection.read_chunk() == b"begun"
    wait_until(lambda: events(server, key), "the exception to come back")
    assert events(server, key) == [True, True]  # the same object, with its traceback


def test_exc_info_after_write_comes_back(server: Server) -> None:
    key = new_key()
    response = server.get(f"/exc-info-in-write?{key}")
    assert (response.status, response.body) == (200, b"begun and ended")
    assert events(server, key) == ["LookupError"]


def test_error_page_in_place_of_a_refused_header(server: Server) -> None:
    response = server.get("/second-after-raise")
    assert (response.status, response.body) == (500, b"sorry")
    assert response.header("x-split") is None


def test_headers_wait_for_the_end_of_an_empty_body(server: Server) -> None:
    response = server.get("/empty-generator-held")
    assert (response.status, response.body) == (404, b"")
    assert response.header("x-first") is None
    assert response.header("x-second") == "2"


@pytest.mark.parametrize(
    ("name", "value"),
    [("date", "Thu, 01 Jan 1970 00:00:00 GMT"), ("server", "own/1"), ("content-length", "2")],
)
def test_own_header_is_not_doubled(server: Server, name: str, value: str) -> None:
    """Whatever the case in which the app writes it; what it leaves out, the server adds."""
    response = server.get(f"/own-header?{name}")
    assert response.header(name) == value
    assert response.header("date")
    assert response.body == b"ok"


@pytest.mark.parametrize(
    "name", ["connection", "te", "trailer", "upgrade", "keep-alive", "transfer-encoding"]
)
def test_hop_by_hop_header_of_the_app_is_not_sent(server: Server, name: str) -> None:
    with server.connect() as connection:
        connection.send_request("GET", f"/one-hop-by-hop?{name}")
        response = connection.read_response()
        assert response.status in (200, 500)
        assert response.header(name) is None
        connection.send_request("GET", "/ok")
        assert connection.read_response().body == b"ok"


@pytest.mark.parametrize(
    "case",
    [
        "status-lf",
        "status-cr",
        "status-nul",
        "value-cr",
        "value-fold",
        "name-lf",
        "name-nul",
        "length-crlf",
        "connection-crlf",
        "hint-crlf",
    ],
)
def test_line_ends_and_nul_of_the_app_are_refused(server: Server, case: str) -> None:
    log = LogFrom(server)
    with server.connect() as connection:
        connection.send_request("GET", f"/control?{case}")
        response = connection.read_response(interim=True)
        assert response.status == 500
        assert not {"x-split", "x-a", "link"} & {name for name, _ in response.headers}
        connection.send_request("GET", "/ok")
        assert connection.read_response().body == b"ok"
    assert "in control" in log.text()  # the app's own frame


# --- environ -------------------------------------------------------------------------------------


def test_variables_that_are_not_known_are_left_out(server: Server) -> None:
    environ = get_json(server, "/environ")["environ"]
    types = get_json(server, "/environ")["types"]
    assert not {"REMOTE_USER", "AUTH_TYPE", "REMOTE_IDENT", "HTTP_COOKIE"} & set(types)
    assert "NoneType" not in types.values()
    assert all(isinstance(key, str) for key in environ)


@pytest.mark.parametrize(
    "path", ["/uri", "/uri?a=b&c=%20d", "/uri?", "/uri?=%2F+%zz", "/uri?%C3%A9"]
)
@pytest.mark.parametrize("host", ["test", "example.org:8080", "[::1]:80"])
def test_url_can_be_made_of_environ_again(server: Server, path: str, host: str) -> None:
    uri, _ = json.loads(server.get(path, [("Host", host)]).body)
    assert uri == f"http://{host.removesuffix(':80')}{path.removesuffix('?')}" or (
        uri == f"http://{host}{path.removesuffix('?')}"
    )


def test_url_with_a_script_name_can_be_made_again() -> None:
    with serve("--root-path", "/shop") as server:
        for path in ("/uri?x=1", "/shop/uri?x=1"):  # cut off by the proxy, and not
            assert get_json(server, path) == ["http://test/shop/uri?x=1", "/shop"]


@pytest.mark.parametrize(
    ("method", "target", "path"),
    [
        ("GET", "http://test", b"/"),
        ("GET", "http://test?x=1", b"/"),
        ("GET", "/%00%0d%0a", b"/\0\r\n"),
        ("GET", "/?", b"/"),
    ],
)
def test_validator_is_content_with_any_target(
    strict: Server, method: str, target: str, path: bytes | None
) -> None:
    response = strict.request(method, target)
    assert response.status == 200
    assert path is None or response.body == path


@pytest.fixture(scope="module")
def strict() -> Iterator[Server]:
    with serve(name="strict") as server:
        yield server


def test_http_1_0_client_is_never_told_100(server: Server) -> None:
    with server.connect() as connection:
        connection.send(
            b"POST /input?read() HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbody"
        )
        response = connection.read_response(interim=True)
        assert (response.status, response.body) == (200, b'["body"]')


# --- wsgi.file_wrapper ---------------------------------------------------------------------------


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("0", CONTENT),
        ("199995", CONTENT[199_995:]),
        ("200000", b""),
        ("5,3", b"567"),
        ("0,200000", CONTENT),
        ("7,0", b""),
    ],
)
def test_file_is_sent_from_its_position(
    server: Server, query: str, body: bytes, version: bytes
) -> None:
    with server.connect() as connection:
        connection.send(
            b"GET /real-file?%s HTTP/%s\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"
            % (query.encode(), version)
        )
        response = connection.read_response()
        assert response.body == body
        assert response.header("content-length") == str(len(body))
        if version == b"1.1":
            connection.send_request("GET", "/ok")
            assert connection.read_response().body == b"ok"


def test_file_shorter_than_declared_closes_the_connection(server: Server) -> None:
    with server.connect() as connection:
        connection.send_request("GET", "/real-file?0,200001")
        assert connection.read_head().header("content-length") == "200001"
        assert connection.read_exactly(len(CONTENT)) == CONTENT
        assert connection.is_closed()


def test_head_of_a_file_has_its_length_and_no_body(server: Server) -> None:
    with server.connect() as connection:
        connection.send_request("HEAD", "/real-file?0")
        assert connection.read_response(head=True).header("content-length") == "200000"
        connection.send_request("GET", "/ok")
        assert connection.read_response().body == b"ok"


def test_file_wrapper_that_is_not_returned_is_not_sent(server: Server) -> None:
    assert server.get("/unused-file").body == b"something else"


def test_file_follows_what_was_written(server: Server) -> None:
    assert server.get("/written-file").body == b"first 0123456789"


def test_descriptors_of_files_are_closed(server: Server) -> None:
    def descriptors() -> int:
        return len(list(Path(f"/proc/{server.pid}/fd").iterdir()))

    server.get("/real-file?0")
    before = descriptors()
    for _ in range(20):
        server.get("/real-file?0")
        server.request("HEAD", "/real-file?0")
        server.get("/unused-file")
        with server.connect() as connection:  # leaves in the middle
            connection.send_request("GET", "/real-file?0")
            connection.read_head()
            connection.reset()
    wait_until(lambda: descriptors() <= before + 2, "the files to be closed")


# --- the validator around real apps --------------------------------------------------------------


def assert_validator_content(server: Server) -> None:
    """Nothing that wsgiref.validate finds; it tells of a missing close() when it is collected."""
    text = "\n".join(server.log())
    assert "AssertionError" not in text
    assert "garbage collected" not in text
    assert "WSGIWarning" not in text


def form_post(server: Server, path: str, fields: dict[str, str]) -> Response:
    headers = [("Content-Type", "application/x-www-form-urlencoded")]
    return server.request("POST", path, headers, urlencode(fields).encode())


def upload(server: Server, path: str, content: bytes) -> Response:
    body = (
        b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n" + content + b"\r\n--edge--\r\n"
    )
    return server.request(
        "POST", path, [("Content-Type", "multipart/form-data; boundary=edge")], body
    )


def test_validator_is_content_with_flask() -> None:
    with serve(name="flask_app") as server:
        assert json.loads(form_post(server, "/form", {"a": "1", "b": "\xfc"}).body) == {
            "a": "1",
            "b": "\xfc",
        }
        assert upload(server, "/upload", os.urandom(3 * MIB)).body == str(3 * MIB).encode()
        assert server.request("POST", "/raw", body=b"x" * 70_000).body == b"70000"
        with server.connect() as connection:
            headers = [("Transfer-Encoding", "chunked")]
            connection.send_request("POST", "/raw", headers, b"3\r\nabc\r\n0\r\n\r\n")
            assert connection.read_response().body == b"3"
        assert server.get("/stream").body == b"0 1 2 3 4 "
        assert server.get("/file").body == CONTENT
        assert server.request("HEAD", "/file").status == 200
        assert server.get("/file", [("Range", "bytes=5-7")]).status in (200, 206)
        assert server.get("/error").status == 500
        assert server.get("/missing").status == 404
        assert server.request("OPTIONS", "/form").status == 200
        assert server.request("POST", "/stream").status == 405
        wait_until(lambda: any("own error" in line for line in server.log()), "Flask's log")
        assert_validator_content(server)


def test_validator_is_content_with_write() -> None:
    with serve(name="writing_app") as server:
        assert server.get("/").body == b"one two three"
        assert server.request("HEAD", "/").status == 200
        with server.connect() as connection:
            connection.send(b"GET / HTTP/1.0\r\n\r\n")
            assert connection.read_response().body == b"one two three"
        assert_validator_content(server)


def test_validator_is_content_with_django(tmp_path: Path) -> None:
    env = {"FOLDER": str(tmp_path), "DJANGO_SETTINGS_MODULE": "django_site.settings"}
    subprocess.run(
        [sys.executable, "-m", "django", "migrate", "--verbosity=0"],
        cwd=FRAMEWORKS,
        env={**os.environ, **env},
        check=True,
    )
    (tmp_path / "document.bin").write_bytes(CONTENT)
    env["PYTHONPATH"] = str(FRAMEWORKS)
    local = [("Host", "127.0.0.1")]
    target = "wsgi_pep3333:django_app"
    with gohttp_serve(target, cwd=APPS, env=env) as server:
        assert server.get("/pid", local).status == 200
        assert server.get("/notes", local).status == 200
        assert server.get("/visits", local).status == 200
        headers = [*local, ("Content-Type", "application/json")]
        note = json.dumps({"author": "a", "text": "b"}).encode()
        assert server.request("POST", "/notes.json", headers, note).status == 201
        assert (
            json.loads(server.request("POST", "/raw", local, b"x" * 50_000).body)["length"]
            == 50_000
        )
        assert server.get("/stream?count=20", local).body.count(b"\n") == 20
        assert server.get("/file", local).body == CONTENT
        assert server.get("/static/admin/css/base.css", local).status == 200
        assert server.get("/fails", local).status == 500
        assert server.get("/pid").status == 400  # a host that Django does not serve
        assert_validator_content(server)


# --- streams -------------------------------------------------------------------------------------


def latency(server: Server) -> float:
    before = time.monotonic()
    assert server.get("/ok").body == b"ok"
    return time.monotonic() - before


def test_fast_requests_beside_200_event_streams(server: Server) -> None:
    """Streams beyond the first half second do not count: 200 of them on 16 threads."""
    with ExitStack() as stack:
        readers = [stack.enter_context(server.connect(timeout=30)) for _ in range(200)]
        for number, reader in enumerate(readers):
            reader.send_request("GET", f"/sse?sse-{number}")
        for reader in readers:  # each one got through
            assert reader.read_head().header("content-type") == "text/event-stream"
            assert reader.read_chunk() == b"data: 0\n\n"
        latencies = [latency(server) for _ in range(200)]
        assert max(latencies) < 0.5, sorted(latencies)[-10:]
        for reader in readers:
            assert reader.read_chunk() == b"data: 1\n\n"
        left = time.monotonic()
    for number in range(200):
        wait_for_event(server, f"sse-{number}", "close")
    assert time.monotonic() - left < 5
    assert [events(server, f"sse-{n}") for n in range(200)] == [["close"]] * 200


def test_fast_request_does_not_wait_for_event_streams_that_begin() -> None:
    with serve() as server, ExitStack() as stack:
        latency(server)
        for number in range(300):
            reader = stack.enter_context(server.connect())
            reader.send_request("GET", f"/sse?sse-{number}")
        assert max(latency(server) for _ in range(20)) < 1.0


def test_large_upload_is_read_as_it_comes_with_flat_memory(server: Server) -> None:
    total, piece = 300 * MIB, bytes(MIB)
    server.request("POST", "/input-count", body=bytes(4 * MIB))  # what stays once is there
    before, most = rss(server.pid), 0
    with server.connect() as connection:
        connection.send_request("POST", "/input-count", [("Content-Length", str(total))])
        for _ in range(total // len(piece)):
            connection.send(piece)
            most = max(most, rss(server.pid))
        assert json.loads(connection.read_response().body)[0] == total
    assert most - before < 30 * MIB


def test_early_answer_to_an_upload_reaches_the_client(server: Server) -> None:
    """The client goes on sending for a while; its answer is not lost to a reset."""
    with server.connect() as connection:
        connection.send_request("POST", "/answer-early", [("Content-Length", str(500 * MIB))])
        sent = threading.Event()
        pieces = 0

        def go_on_sending() -> None:
            nonlocal pieces
            try:
                for _ in range(50):
                    connection.socket.sendall(bytes(64 * 1024))
                    pieces += 1
                    time.sleep(0.005)
            except OSError:
                pass  # it may be closed in the end, with the answer read
            sent.set()

        thread = threading.Thread(target=go_on_sending, daemon=True)
        thread.start()
        assert connection.socket.recv(1, socket.MSG_PEEK) == b"H"
        # The answer lies in the socket while more is sent: a reset would take it away.
        enough = pieces + 20
        wait_until(lambda: sent.is_set() or pieces >= enough, "more to be sent")
        response = connection.read_response()
        assert (response.status, response.body) == (413, b"enough")
        assert response.header("connection") == "close"
        assert sent.wait(TIMEOUT)
        thread.join(TIMEOUT)
    assert server.get("/ok").body == b"ok"


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_client_that_leaves_stops_an_event_stream_promptly(server: Server, leave: str) -> None:
    key = new_key()
    with server.connect() as connection:
        connection.send_request("GET", f"/sse?{key}")
        assert connection.read_head().status == 200
        connection.read_chunk()
        getattr(connection, leave)()
    wait_until(lambda: events(server, key), "the generator to be closed", timeout=2)
    assert events(server, key) == ["close"]
