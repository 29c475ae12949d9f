"""Handlers `def handler(w, req)`: patterns, requests, responses, errors, `async def`."""

import itertools
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support import Response, Server, gohttp_serve, rss, wait_until

APPS = Path(__file__).parent / "apps"
MIB = 1024 * 1024
CHUNKED = [("Transfer-Encoding", "chunked")]
BAD_HEADERS = [
    "value-crlf",
    "value-lf",
    "value-nul",
    "value-wide",
    "name-crlf",
    "name-space",
    "name-empty",
    "name-wide",
    "length-text",
]

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with gohttp_serve("native_cases", "--body-timeout", "1", cwd=APPS) as server:
        yield server


def new_key() -> str:
    return f"key-{next(_numbers)}"


def get_json(server: Server, path: str, headers: list[tuple[str, str]] | None = None) -> Any:
    response = server.get(path, headers or [])
    assert response.status == 200, response
    return json.loads(response.body)


def events(server: Server, key: str) -> list[Any]:
    recorded: list[Any] = get_json(server, f"/events?{key}")
    return recorded


def open_gate(server: Server, key: str) -> None:
    get_json(server, f"/open?{key}")


def new_log(server: Server, start: int, pattern: str) -> str:
    """The log from line `start` on, once it holds `pattern`."""
    wait_until(lambda: any(pattern in line for line in server.log()[start:]), f"{pattern!r} logged")
    return "\n".join(server.log()[start:])


def assert_500_with_usable_connection(server: Server, path: str) -> Response:
    with server.connect() as connection:
        connection.send_request("GET", path)
        response = connection.read_response()
        assert response.status == 500, response
        assert not {"x-never", "x-a", "x-split"} & {name for name, _ in response.headers}
        connection.send_request("GET", "/ok")
        assert connection.read_response().body == b"ok"
    return response


# --- patterns ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("/", "/"),
        ("/unknown", "/"),
        ("/exact/below", "/"),
        ("/exact", "/exact"),
        ("/tree/", "/tree/"),
        ("/tree/other/deep", "/tree/"),
        ("/tree/branch/", "/tree/branch/"),
        ("/tree/branch/twig", "/tree/branch/"),
        ("/tree/leaf", "/tree/leaf"),
        ("/tree/leaf/", "/tree/"),
        ("/tree/branches", "/tree/"),
        ("/tree/x%2Fy", "/tree/"),
        ("/%65xact", "/exact"),
        ("/exact?a=b", "/exact"),
    ],
)
def test_the_longest_pattern_wins_and_root_takes_the_rest(
    server: Server, path: str, pattern: str
) -> None:
    response = server.get(path)
    assert response.body == f"GET {path}".encode()
    assert response.header("x-pattern") == pattern


def test_pattern_may_hold_any_letters(server: Server) -> None:
    shown = server.get("/gr%C3%BC%C3%9Fe").header("x-pattern")
    # Sent as latin-1, which is what header text is.
    assert shown == "/gr\xfc\xdfe"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "BREW"])
def test_pattern_takes_every_method(server: Server, method: str) -> None:
    response = server.request(method, "/exact")
    assert (response.header("x-pattern"), response.body) == ("/exact", f"{method} /exact".encode())


@pytest.mark.parametrize(
    ("host", "path", "pattern"),
    [
        ("example.org", "/", "example.org/"),
        ("EXAMPLE.ORG:8080", "/other", "example.org/"),
        ("example.org", "/tree/leaf", "example.org/tree/"),
        ("www.example.org", "/exact", "/exact"),
        ("example.net", "/exact", "Example.Net/exact"),
        ("example.net", "/other", "/"),
    ],
)
def test_pattern_with_a_host_takes_that_host_only(
    server: Server, host: str, path: str, pattern: str
) -> None:
    assert server.get(path, [("Host", host)]).header("x-pattern") == pattern


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("/tree", "/tree/"),
        ("/tree?a=b", "/tree/?a=b"),
        ("/tree/branch", "/tree/branch/"),
        ("//exact", "/exact"),
        ("/a/../exact", "/exact"),
        ("/tree/./leaf", "/tree/leaf"),
        ("/tree//leaf?x=1&y=2", "/tree/leaf?x=1&y=2"),
        ("/..", "/"),
        ("/tree/../../etc/", "/etc/"),
        ("/a%20b/../c%20d", "/c%20d"),
    ],
)
def test_unclean_paths_and_subtrees_without_their_slash_are_redirected(
    server: Server, target: str, location: str
) -> None:
    with server.connect() as connection:
        connection.send_request("GET", target)
        response = connection.read_response()
        assert (response.status, response.header("location")) == (301, location)
        connection.send_request("GET", location)
        assert connection.read_response().status == 200


@pytest.mark.parametrize(
    "target", ["//evil.example/..//x", "/%0d%0aX-Split:%20yes/../%0d%0aY", "/\\evil/.."]
)
def test_redirect_leads_nowhere_else(server: Server, target: str) -> None:
    response = server.get(target)
    location = response.header("location")
    assert response.header("x-split") is None
    assert location is None or (location.startswith("/") and not location.startswith(("//", "/\\")))


def test_malformed_and_taken_patterns_are_value_errors(server: Server) -> None:
    outcomes = get_json(server, "/bad-patterns")
    assert outcomes.pop("no function") == "TypeError"
    assert outcomes.pop("no text") == "TypeError"
    assert set(outcomes.values()) == {"ValueError"}, outcomes


def test_route_is_a_decorator_that_gives_the_function_back(server: Server) -> None:
    assert server.get("/decorated/").body == b"decorated"


def test_any_callable_is_a_handler(server: Server) -> None:
    for path, body in [
        ("/object", b"an object"),
        ("/method", b"a method"),
        ("/async-object", b"an async object"),
    ]:
        assert server.get(path).body == body


def test_pattern_may_be_added_while_the_server_runs(server: Server) -> None:
    assert server.get("/came-later").header("x-pattern") == "/"
    server.get("/route-later")
    assert server.get("/came-later").header("x-pattern") == "/came-later"


# --- the request ---------------------------------------------------------------------------------


def test_request_tells_what_the_client_sent(server: Server) -> None:
    headers = [("Host", "example.com:81"), ("X-A", "1"), ("x-a", "2 \xff")]
    response = server.request("POST", "/request/a%20b?x=%20&y", headers, b"caf\xe9")
    request = json.loads(response.body)
    assert request["method"] == "POST"
    assert request["host"] == "example.com:81"
    assert request["url"] == "/request/a%20b?x=%20&y"
    assert request["path"] == "/request/a b"
    assert request["query_string"] == "x=%20&y"
    assert request["proto"] == "HTTP/1.1"
    assert request["remote_addr"].startswith("127.0.0.1:")
    assert request["cancelled"] is False
    assert request["body"] == "caf\xe9"
    assert request["body is bytes"] is True
    assert [h for h in request["headers"] if h[0].lower() == "x-a"] == [
        ["x-a", "1"],
        ["x-a", "2 \xff"],
    ]
    assert "POST" in request["repr"]


def test_request_of_http_1_0(server: Server) -> None:
    with server.connect() as connection:
        connection.send(b"GET /request/ HTTP/1.0\r\n\r\n")
        request = json.loads(connection.read_response().body)
    assert (request["proto"], request["host"], request["query_string"]) == ("HTTP/1.0", "", "")
    assert (request["body"], request["headers"]) == ("", [])


def test_request_with_an_absolute_target(server: Server) -> None:
    request = get_json(server, "http://example.com/request/x?y=1")
    assert (request["host"], request["path"]) == ("example.com", "/request/x")
    assert request["query_string"] == "y=1"


def test_remote_addr_is_empty_on_a_unix_socket(tmp_path: Path) -> None:
    with gohttp_serve("native_cases", "--uds", str(tmp_path / "s"), cwd=APPS) as server:
        assert get_json(server, "/request/")["remote_addr"] == ""


def test_request_headers_are_a_mapping_without_case_that_cannot_be_changed(server: Server) -> None:
    headers = [("X-Name", "one"), ("x-name", "two")]
    assert get_json(server, "/request-headers", headers) == {
        "item": "one",
        "other case": "one",
        "missing": "KeyError",
        "get": "one",
        "get missing": None,
        "get default": "default",
        "get_all": ["one", "two"],
        "in": [True, False],
        "set": "TypeError",
        "delete": "TypeError",
        "add": "TypeError",
        "len": True,
        "same": "one",
    }


def test_handles_cannot_be_made_or_changed(server: Server) -> None:
    outcomes = get_json(server, "/frozen")
    assert set(outcomes) <= {"AttributeError", "TypeError"}, outcomes


@pytest.mark.parametrize("size", [0, 1, 100_000, 3_000_000])
@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_body_is_whole_and_can_be_read_twice(server: Server, size: int, framing: str) -> None:
    data = b"x" * size
    with server.connect() as connection:
        if framing == "length":
            connection.send_request("POST", "/body-length", [], data)
        else:
            chunk = b"%x\r\n%s\r\n" % (size, data) if size else b""
            connection.send_request("POST", "/body-length", CHUNKED, chunk + b"0\r\n\r\n")
        assert json.loads(connection.read_response().body) == [size, size, True]
        connection.send_request("GET", "/ok")
        assert connection.read_response().body == b"ok"


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_body_of_a_slow_client_comes_whole_while_others_are_served(
    server: Server, framing: str
) -> None:
    with server.connect() as slow:
        if framing == "length":
            slow.send_request("POST", "/body-length", [("Content-Length", "20")])
            pieces = [b"x"] * 20
        else:
            slow.send_request("POST", "/body-length", CHUNKED)
            pieces = [b"1\r\nx\r\n"] * 20 + [b"0\r\n\r\n"]
        for piece in pieces:
            slow.send(piece)
            assert server.get("/ok").body == b"ok"
        assert json.loads(slow.read_response().body) == [20, 20, True]


def test_unread_body_is_not_taken_for_the_next_request(server: Server) -> None:
    with server.connect() as connection:
        for headers, wire in (
            ([("Content-Length", "22")], b"GET /x HTTP/1.1\r\nHost:"),
            (CHUNKED, b"16\r\nGET /x HTTP/1.1\r\nHost:\r\n0\r\n\r\n"),
        ):
            connection.send_request("POST", "/ok", headers, wire)
            assert connection.read_response().body == b"ok"


def test_body_that_does_not_come_whole_is_an_os_error(server: Server) -> None:
    gone, late = new_key(), new_key()
    with server.connect() as connection:
        connection.send_request("POST", f"/body-error?{gone}", CHUNKED, b"4\r\nbody\r\n")
        server.get("/")  # the other has begun before this: one that has gone is not begun
    wait_until(lambda: events(server, gone) == ["ConnectionResetError"], "the handler to be told")
    with server.connect() as connection:
        connection.send_request("POST", f"/body-error?{late}", CHUNKED, b"4\r\nbody\r\n")
        assert connection.read_response().status == 408
    wait_until(lambda: events(server, late) == ["TimeoutError"], "the handler to be told")


# --- write, set_status, headers ------------------------------------------------------------------


def test_write_takes_text_and_anything_bytes_like_and_returns_the_number_of_bytes(
    server: Server,
) -> None:
    expected = "t\xe9xt bytes bytearray memoryview every [6, 6, 10, 11, 5, 0, 0]"
    assert server.get("/write-kinds").body == expected.encode()


def test_write_of_anything_else_is_a_type_error(server: Server) -> None:
    assert set(get_json(server, "/write-wrong")) == {"TypeError"}


def test_write_of_a_dict_names_what_is_expected_and_the_method_for_json(server: Server) -> None:
    said = "w.write() takes str or a bytes-like object, not dict: for JSON use w.json(...)"
    assert server.get("/write-dict").text == said


@pytest.mark.parametrize("how", ["client", "stop"])
def test_log_does_not_speak_of_a_body_where_there_was_none(how: str) -> None:
    options = ("--graceful-timeout", "0.3")
    with gohttp_serve("native_cases", *options, cwd=APPS, exit_code=None) as server:
        with server.connect() as connection:
            connection.send_request("GET", "/stream-to-the-end")
            connection.read_head()
            if how == "client":
                connection.reset()
            else:
                server.signal()
            line = server.wait_for_log("GET /stream-to-the-end was given up")
        if how == "stop":
            server.wait()
        assert line.endswith("its connection ended before the response was whole")


def test_write_of_text_that_is_no_unicode_is_an_encoding_error(server: Server) -> None:
    assert get_json(server, "/write-surrogate") == "UnicodeEncodeError"


@pytest.mark.parametrize("code", [200, 201, 302, 404, 418, 500, 599])
def test_set_status_before_write(server: Server, code: int) -> None:
    response = server.get(f"/status?{code}")
    assert (response.status, response.body) == (code, b"body")


@pytest.mark.parametrize("code", [204, 304])
def test_no_content_and_not_modified_have_no_body(server: Server, code: int) -> None:
    with server.connect() as connection:
        connection.send_request("GET", f"/status?{code}")
        assert connection.read_response().status == code
        connection.send_request("GET", "/ok")
        assert connection.read_response().body == b"ok"


def test_set_status_without_write_sends_an_empty_body(server: Server) -> None:
    response = server.get("/status-only?404")
    assert (response.status, response.body, response.header("content-length")) == (404, b"", "0")


def test_last_status_counts(server: Server) -> None:
    assert server.get("/status-twice").status == 201


def test_set_status_after_write_is_logged_and_ignored(server: Server) -> None:
    start = len(server.log())
    assert server.get("/status-late").status == 200
    assert "404" in new_log(server, start, "set_status")


@pytest.mark.parametrize("at", ["/late", "/late-async"])
def test_what_is_set_after_the_head_is_logged_once_with_the_request_as_sent(
    server: Server, at: str
) -> None:
    start = len(server.log())
    target = f"{at}/a%0Ab"
    response = server.get(target)
    assert (response.status, response.body) == (200, b"bodymore")
    assert (response.header("x-soon"), response.header("x-late")) == ("1", None)
    end = f"{at}/end"
    assert server.get(end).status == 200
    log = new_log(server, start, f"GET {end}: the header")
    said = [line for line in log.splitlines() if f"GET {target}" in line]
    assert [line.partition("GET ")[2] for line in said] == [
        f"{target}: set_status(404) came after the first write and was ignored",
        f'{target}: the header "X-Late" was set after the headers had been sent, and was ignored',
    ]
    assert all(" warning " in line for line in said)


def test_header_set_after_a_write_that_was_not_sent_yet_is_sent(server: Server) -> None:
    start = len(server.log())
    response = server.get("/late/in-time?in-time")
    assert (response.header("x-soon"), response.header("x-buffered")) == ("1", "1")
    server.get("/late/end")
    assert "/late/in-time" not in new_log(server, start, "GET /late/end: the header")


def test_set_status_takes_status_codes_only(server: Server) -> None:
    outcomes = get_json(server, "/status-wrong")
    assert outcomes[:5] == ["ValueError"] * 5
    assert outcomes[5:7] in (["OverflowError"] * 2, ["ValueError"] * 2)
    assert outcomes[7:] == ["TypeError"] * 2


def test_handler_that_does_nothing_is_an_empty_200(server: Server) -> None:
    response = server.get("/nothing")
    assert (response.status, response.body, response.header("content-length")) == (200, b"", "0")
    assert response.header("content-type") is None


def test_response_headers_are_a_mapping_without_case(server: Server) -> None:
    response = server.get("/headers")
    assert response.all("x-one") == ["second"]
    assert response.all("set-cookie") == ["a=1", "b=2"]
    assert response.header("x-gone") is None
    assert response.header("x-latin") == "caf\xe9"
    assert response.header("content-type") == "text/x-own"
    assert json.loads(response.body) == {
        "item": "second",
        "all": ["a=1", "b=2"],
        "gone": False,
        "delete missing": "KeyError",
        "missing": "KeyError",
        "number": "TypeError",
        "bytes": "TypeError",
        "length": 5,
    }


def test_setting_a_header_replaces_all_of_its_values(server: Server) -> None:
    response = server.get("/headers-replaced")
    assert response.all("set-cookie") == ["c=3"]
    assert response.header("x-between") == "1"


def test_headers_may_be_set_behind_the_first_write_until_the_head_is_sent(server: Server) -> None:
    response = server.get("/headers-between")
    assert len(response.body) == 4 + 16 * 1024
    assert (response.header("x-between"), response.header("x-late")) == ("sent", None)


def test_headers_set_after_the_head_was_sent_are_not_sent(server: Server) -> None:
    response = server.get("/headers-late")
    assert (response.body, response.header("x-late")) == (b"body", None)


@pytest.mark.parametrize("case", BAD_HEADERS)
def test_bad_header_is_a_logged_500(server: Server, case: str) -> None:
    start = len(server.log())
    assert_500_with_usable_connection(server, f"/bad-header?{case}")
    assert "GET /bad-header" in new_log(server, start, "Error")


def test_framing_headers_of_the_handler_are_not_sent(server: Server) -> None:
    response = server.get("/own-framing")
    assert response.body == b"plain"
    assert not {"transfer-encoding", "keep-alive"} & {name for name, _ in response.headers}


def test_content_type_is_told_by_the_body(server: Server) -> None:
    assert server.get("/ok").header("content-type") == "text/plain; charset=utf-8"


@pytest.mark.parametrize("query", ["1x0", "1x1", "1x16384", "16x1024", "100x10"])
def test_small_body_is_sent_with_its_length(server: Server, query: str) -> None:
    count, _, size = query.partition("x")
    total = int(count) * int(size)
    response = server.get(f"/sized?{query}")
    assert (len(response.body), response.header("content-length")) == (total, str(total))


@pytest.mark.parametrize("query", ["1x16385", "20x1024", "3x1000000"])
def test_large_body_is_sent_in_chunks(server: Server, query: str) -> None:
    count, _, size = query.partition("x")
    response = server.get(f"/sized?{query}")
    assert len(response.body) == int(count) * int(size)
    assert response.header("transfer-encoding") == "chunked"


def test_declared_length_is_kept(server: Server) -> None:
    response = server.get("/length?5,exact")
    assert (response.header("content-length"), response.body) == ("5", b"exact")


def test_body_longer_than_declared_is_cut_and_logged(server: Server) -> None:
    start = len(server.log())
    assert server.get("/length?4,longer").body == b"long"
    new_log(server, start, "more than its Content-Length")


def test_body_shorter_than_declared_closes_the_connection_and_is_logged(server: Server) -> None:
    start = len(server.log())
    with server.connect() as connection:
        connection.send_request("GET", "/length?10,short")
        assert connection.read_head().header("content-length") == "10"
        assert connection.read_exactly(5) == b"short"
        assert connection.is_closed()
    new_log(server, start, "shorter than its Content-Length")


@pytest.mark.parametrize(("path", "length"), [("/ok", "2"), ("/sized?3x9", "27")])
def test_head_has_the_length_of_get_and_no_body(server: Server, path: str, length: str) -> None:
    with server.connect() as connection:
        connection.send_request("HEAD", path)
        response = connection.read_response(head=True)
        assert (response.status, response.header("content-length")) == (200, length)
        connection.send_request("GET", "/ok")
        assert connection.read_response().body == b"ok"


def test_flush_sends_what_was_written(server: Server) -> None:
    key = new_key()
    with server.connect() as connection:
        connection.send_request("GET", f"/flush-gated?{key}")
        assert connection.read_head().status == 200
        assert connection.read_chunk() == b"first"
        open_gate(server, key)
        assert connection.read_chunk() == b"second"
        assert connection.read_chunk() == b""


def test_flush_before_write_sends_the_head(server: Server) -> None:
    key = new_key()
    with server.connect() as connection:
        connection.send_request("GET", f"/flush-first?{key}")
        head = connection.read_head()
        assert (head.status, head.header("x-early")) == (201, "yes")
        open_gate(server, key)
        assert connection.read_chunk() == b"body"
        assert connection.read_chunk() == b""


def test_write_waits_for_a_client_that_does_not_read(server: Server) -> None:
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
        wait_until(stands_still, "the handler to wait")
        assert seen[-1] * 64 * 1024 < 32 * MIB  # what the kernel's buffers hold, and a little
        assert rss(server.pid) - before < 16 * MIB
    wait_until(lambda: events(server, key) == ["ConnectionResetError"], "the handler to be told")


def test_client_that_leaves_is_nobodys_error(server: Server) -> None:
    key, start = new_key(), len(server.log())
    with server.connect() as connection:
        connection.send_request("GET", f"/flood?{key}")
        assert connection.read_head().status == 200
        connection.reset()
    wait_until(lambda: events(server, key) == ["ConnectionResetError"], "the handler to be told")
    server.get("/status-late")  # logged after whatever came before
    assert "Traceback" not in new_log(server, start, "set_status")


# --- handles used too late, or from other threads ------------------------------------------------


@pytest.mark.parametrize("path", ["/keep", "/async-keep"])
def test_writing_after_the_handler_has_ended_is_a_runtime_error(server: Server, path: str) -> None:
    key = new_key()
    with server.connect() as connection:
        connection.send_request("GET", f"{path}?{key}")
        assert connection.read_response().body == b"kept"
        connection.send_request("GET", f"/use-kept?{key}")
        outcomes = json.loads(connection.read_response().body)
        assert outcomes[:3] == ["RuntimeError"] * 3
        assert outcomes[5:] == [path, "", "test"]
        connection.send_request("GET", "/ok")
        response = connection.read_response()
        assert (response.body, response.header("x-late")) == (b"ok", None)


def test_threads_of_the_handler_may_write() -> None:
    options = ("--graceful-timeout", "1")
    with (
        gohttp_serve("native_cases", *options, cwd=APPS, exit_code=None) as server,
        server.connect(timeout=3) as connection,
    ):
        connection.send_request("GET", "/write-from-threads")
        assert connection.read_response().body == b"x" * 400_000


def test_thread_that_goes_on_writing_as_the_handler_ends_is_told(server: Server) -> None:
    key = new_key()
    with server.connect() as connection:
        for number in range(1, 6):
            connection.send_request("GET", f"/write-while-ending?{key}")
            assert set(connection.read_response().body) == {ord("x")}
            connection.send_request("GET", "/ok")
            assert connection.read_response().body == b"ok"
            wait_until(
                lambda n=number: events(server, key) == ["RuntimeError"] * n,
                "the thread to be told",
            )


# --- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/raise", "/async-raise"])
def test_exception_is_a_500_with_its_traceback_in_the_log(server: Server, path: str) -> None:
    start = len(server.log())
    response = assert_500_with_usable_connection(server, path)
    assert b"never sent" not in response.body
    log = new_log(server, start, "LookupError: the handler's own error")
    assert f"GET {path}" in log
    assert "native_cases.py" in log


@pytest.mark.parametrize("path", ["/raise", "/async-raise"])
@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("exit", "SystemExit: 7"),
        ("interrupt", "KeyboardInterrupt"),
        ("cancelled", "CancelledError"),
    ],
)
def test_exceptions_that_would_end_a_program_end_a_request_only(
    path: str, query: str, name: str
) -> None:
    options = ("--graceful-timeout", "1")
    with gohttp_serve("native_cases", *options, cwd=APPS, exit_code=None) as server:
        with server.connect(timeout=2) as connection:
            connection.send_request("GET", f"{path}?{query}")
            assert connection.read_response().status == 500
            for other in ("/ok", "/async"):
                connection.send_request("GET", other)
                assert connection.read_response().status in (200, 201)
        server.wait_for_log(name)


@pytest.mark.parametrize("path", ["/raise-after-flush", "/async-raise-after-flush"])
def test_exception_after_flush_leaves_the_response_incomplete(server: Server, path: str) -> None:
    start = len(server.log())
    with server.connect() as connection:
        connection.send_request("GET", path)
        assert connection.read_head().status == 200
        assert connection.read_chunk() == b"begun"
        with pytest.raises(ConnectionError):
            connection.read_chunk()
    new_log(server, start, "LookupError: after flush")


# --- async def and threads -----------------------------------------------------------------------


def test_async_handler(server: Server) -> None:
    response = server.request("POST", "/async", body=b"body")
    assert (response.status, response.body) == (201, b"async POST body")
    assert response.header("x-async") == "yes"


def test_async_handlers_run_at_once_on_one_loop(server: Server) -> None:
    key, count = new_key(), 100
    with ExitStack() as stack:
        connections = [stack.enter_context(server.connect()) for _ in range(count)]
        for connection in connections:
            connection.send_request("GET", f"/async-gate?{key}")
        wait_until(lambda: len(events(server, key)) == count, "all to be inside")
        open_gate(server, key)
        for connection in connections:
            assert connection.read_response().body == b"released"


def test_async_handler_streams(server: Server) -> None:
    key = new_key()
    with server.connect() as connection:
        connection.send_request("GET", f"/async-stream?{key}")
        assert connection.read_head().status == 200
        assert connection.read_chunk() == b"first"
        open_gate(server, key)
        assert connection.read_chunk() == b"second"
        assert connection.read_chunk() == b""


def test_async_handler_has_a_whole_loop(server: Server) -> None:
    assert server.get("/async-parts").body == b"task thread timeout"


def test_async_handler_that_waits_for_a_slow_body_does_not_stop_the_others(server: Server) -> None:
    with server.connect() as slow:
        slow.send_request("POST", "/async", CHUNKED)
        slow.send(b"4\r\nbody\r\n")
        for _ in range(5):
            assert server.get("/async").body == b"async GET "
        slow.send(b"0\r\n\r\n")
        assert slow.read_response().body == b"async POST body"


def test_fast_handlers_are_quick_while_others_sleep(server: Server) -> None:
    with ExitStack() as stack:
        sleepers = [stack.enter_context(server.connect()) for _ in range(6)]
        for sleeper in sleepers:
            sleeper.send_request("GET", "/sleep?0.5")
        began = time.monotonic()
        for _ in range(20):
            assert server.get("/ok").body == b"ok"
        assert time.monotonic() - began < 0.4
        for sleeper in sleepers:
            assert sleeper.read_response().body == b"slept"
        assert time.monotonic() - began < 1.5


def test_shutdown_from_a_handler_answers_and_ends_the_server() -> None:
    with gohttp_serve("native_cases", cwd=APPS) as server:
        assert server.get("/shutdown").body == b"stopping"
        assert server.wait() == 0


def test_exception_while_another_thread_writes_does_not_stop_the_server(server: Server) -> None:
    """Logging lets other threads run; the response must not be locked meanwhile."""
    for _ in range(3):
        with server.connect() as connection:
            connection.send_request("GET", "/raise-while-writing")
            assert connection.read_head().status in (200, 500)
    assert server.get("/ok").body == b"ok"
