"""PEP 3333, "environ Variables" and "Input and Error Streams": what the app is told."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import Server
from wsgi_helpers import LogFrom, get_json, serve_cases


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve_cases() as server:
        yield server


def environ_of(
    server: Server,
    path: str = "/environ",
    headers: list[tuple[str, str]] | None = None,
    method: str = "GET",
    body: bytes = b"",
) -> dict[str, Any]:
    response = server.request(method, path, headers or [], body)
    assert response.status == 200, response
    environ: dict[str, Any] = json.loads(response.body)["environ"]
    return environ


# --- by the validator of the standard library ----------------------------------------------------


@pytest.mark.parametrize(
    ("method", "body"),
    [("GET", b""), ("POST", b"abc\nline\nlast"), ("PUT", b"x" * 200_000), ("DELETE", b"")],
)
def test_validator_is_content(server: Server, method: str, body: bytes) -> None:
    log = LogFrom(server)
    response = server.request(method, "/validated?a=b", [("X-A", "b")], body)
    assert (response.status, response.body) == (200, b"valid " + body)
    assert "garbage collected" not in log.text()


def test_validator_is_content_with_head(server: Server) -> None:
    log = LogFrom(server)
    response = server.request("HEAD", "/validated")
    assert (response.status, response.body) == (200, b"")
    assert "Exception" not in log.text()


def test_validator_is_content_with_a_chunked_body(server: Server) -> None:
    with server.connect() as connection:
        connection.send_request(
            "POST",
            "/validated",
            [("Transfer-Encoding", "chunked")],
            b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        )
        assert connection.read_response().body == b"valid abcde"


# --- keys, types and values ----------------------------------------------------------------------


def test_environ_is_a_builtin_dict_with_strings_of_text(server: Server) -> None:
    shown = get_json(server, "/environ")
    assert shown["class"] == "dict"
    for key, type_name in shown["types"].items():
        if "." not in key:
            assert type_name == "str", key


def test_required_variables(server: Server) -> None:
    environ = environ_of(server, "/some/path?x=1&y=%20")
    assert environ["REQUEST_METHOD"] == "GET"
    assert environ["SCRIPT_NAME"] == ""
    assert environ["PATH_INFO"] == "/some/path"
    assert environ["QUERY_STRING"] == "x=1&y=%20"
    assert environ["SERVER_NAME"] == "127.0.0.1"
    assert environ["SERVER_PORT"] == str(server.port)
    assert environ["SERVER_PROTOCOL"] == "HTTP/1.1"
    assert environ["REMOTE_ADDR"] == "127.0.0.1"
    assert environ["REMOTE_PORT"].isdigit()
    assert environ["wsgi.version"] == [1, 0]
    assert environ["wsgi.url_scheme"] == "http"
    assert environ["wsgi.run_once"] is False
    assert environ["wsgi.input_terminated"] is True
    assert environ["SERVER_SOFTWARE"].startswith("gohttp/")


def test_query_string_is_empty_without_a_query(server: Server) -> None:
    assert environ_of(server)["QUERY_STRING"] == ""
    assert environ_of(server, "/environ?")["QUERY_STRING"] == ""


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/a%20b", "/a b"),
        ("/caf%C3%A9", "/caf\xc3\xa9"),
        ("/a%2Fb", "/a/b"),
        ("/a+b", "/a+b"),
        ("/100%", "/100%"),
        ("/%zz", "/%zz"),
        ("/%ff%FE", "/\xff\xfe"),
        ("//double//slash", "//double//slash"),
        ("/a/../b", "/a/../b"),
        ("/semi;colon=1", "/semi;colon=1"),
    ],
)
def test_path_info_is_percent_decoded_latin_1(server: Server, target: str, path: str) -> None:
    assert environ_of(server, target)["PATH_INFO"] == path


def test_absolute_target_gives_its_path(server: Server) -> None:
    environ = environ_of(server, "http://example.org/there?x=1")
    assert (environ["PATH_INFO"], environ["QUERY_STRING"]) == ("/there", "x=1")
    assert environ["HTTP_HOST"] == "example.org"


def test_header_values_are_latin_1_text(server: Server) -> None:
    assert environ_of(server, headers=[("X-Name", "caf\xe9 \xff")])["HTTP_X_NAME"] == "caf\xe9 \xff"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"])
def test_request_method_is_as_sent(server: Server, method: str) -> None:
    assert environ_of(server, method=method)["REQUEST_METHOD"] == method


def test_http_1_0_is_named_so(server: Server) -> None:
    with server.connect() as connection:
        connection.send(b"GET /environ HTTP/1.0\r\n\r\n")
        environ = json.loads(connection.read_response().body)["environ"]
    assert environ["SERVER_PROTOCOL"] == "HTTP/1.0"
    assert "HTTP_HOST" not in environ


# --- header variables ----------------------------------------------------------------------------


def test_headers_become_variables(server: Server) -> None:
    environ = environ_of(server, headers=[("X-Some-Name", "value"), ("aCCept", "*/*")])
    assert environ["HTTP_X_SOME_NAME"] == "value"
    assert environ["HTTP_ACCEPT"] == "*/*"


def test_content_type_and_length_have_no_http_prefix(server: Server) -> None:
    environ = environ_of(server, "/environ", [("Content-Type", "text/x")], "POST", b"12345")
    assert (environ["CONTENT_TYPE"], environ["CONTENT_LENGTH"]) == ("text/x", "5")
    assert not {"HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"} & environ.keys()


def test_content_length_is_absent_without_a_body(server: Server) -> None:
    assert environ_of(server).get("CONTENT_LENGTH", "") == ""


def test_content_length_is_absent_with_a_chunked_body(server: Server) -> None:
    with server.connect() as connection:
        headers = [("Transfer-Encoding", "chunked")]
        connection.send_request("POST", "/environ", headers, b"0\r\n\r\n")
        environ = json.loads(connection.read_response().body)["environ"]
    assert environ.get("CONTENT_LENGTH", "") == ""


def test_repeated_headers_are_joined_by_commas_in_order(server: Server) -> None:
    headers = [("X-A", "1"), ("X-B", "other"), ("x-a", "2"), ("X-A", "3")]
    environ = environ_of(server, headers=headers)
    assert [part.strip() for part in environ["HTTP_X_A"].split(",")] == ["1", "2", "3"]
    assert environ["HTTP_X_B"] == "other"


def test_repeated_cookies_are_joined_by_semicolons(server: Server) -> None:
    environ = environ_of(server, headers=[("Cookie", "a=1"), ("Cookie", "b=2; c=3")])
    assert environ["HTTP_COOKIE"] == "a=1; b=2; c=3"


@pytest.mark.parametrize("order", [1, -1])
def test_underscored_header_never_shadows_a_dashed_one(server: Server, order: int) -> None:
    log = LogFrom(server)
    headers = [("X-User", "true"), ("X_User", "forged"), ("X-Other", "1")][::order]
    environ = environ_of(server, headers=headers)
    assert environ["HTTP_X_USER"] == "true"
    assert "x_user" in log.text().lower()


def test_underscored_header_alone_is_dropped(server: Server) -> None:
    environ = environ_of(server, headers=[("X_User", "forged"), ("Content_Length", "7")])
    assert not {"HTTP_X_USER", "CONTENT_LENGTH", "HTTP_CONTENT_LENGTH"} & environ.keys()


def test_proxy_header_variables_of_the_environment_do_not_leak_in(server: Server) -> None:
    assert "PATH" not in environ_of(server)


def test_many_different_header_names_do_not_mix_up_their_values(server: Server) -> None:
    with server.connect() as connection:
        for number in range(400):
            name = f"X-Name-{number}"
            connection.send_request("GET", "/environ", [(name, str(number)), ("X-Same", "s")])
            environ = json.loads(connection.read_response().body)["environ"]
            assert environ[f"HTTP_X_NAME_{number}"] == str(number)
            assert sum(key.startswith("HTTP_X_NAME") for key in environ) == 1


def test_values_of_one_request_do_not_show_in_the_next(server: Server) -> None:
    with server.connect() as connection:
        for value in ("short", "x" * 500, "", "short"):
            connection.send_request("GET", "/environ", [("X-A", value), ("Cookie", value)])
            environ = json.loads(connection.read_response().body)["environ"]
            assert (environ["HTTP_X_A"], environ["HTTP_COOKIE"]) == (value, value)
        connection.send_request("GET", "/environ")
        assert "HTTP_X_A" not in json.loads(connection.read_response().body)["environ"]


def test_changes_of_environ_stay_with_their_request(server: Server) -> None:
    with server.connect() as connection:
        for _ in range(2):
            connection.send_request("GET", "/mutated")
            assert json.loads(connection.read_response().body) == [None, "/mutated"]
        connection.send_request("GET", "/environ")
        environ = json.loads(connection.read_response().body)["environ"]
    assert environ["SERVER_NAME"] == "127.0.0.1"
    assert environ["wsgi.version"] == [1, 0]


# --- wsgi.errors ---------------------------------------------------------------------------------


def test_wsgi_errors_reaches_stderr(server: Server) -> None:
    log = LogFrom(server)
    assert server.get("/errors").body == b"ok"
    text = log.text()
    assert "written to errors: gr\xfc\xdfe" in text
    assert "first line\nsecond line" in text


# --- other ways to be started --------------------------------------------------------------------


def test_root_path_is_the_script_name() -> None:
    with serve_cases("--root-path", "/prefix/") as server:
        for target, inner in [
            ("/prefix/a%20b", "/a b"),  # a proxy that leaves the prefix
            ("/a", "/a"),  # one that cuts it off
            ("/prefix", ""),
            ("/prefixed/a", "/prefixed/a"),
        ]:
            environ = environ_of(server, target)
            assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("/prefix", inner), target


def test_one_thread_is_not_called_multithreaded() -> None:
    with serve_cases("--threads", "1") as server:
        environ = environ_of(server)
        assert (environ["wsgi.multithread"], environ["wsgi.multiprocess"]) == (False, False)


def test_threads_and_workers_are_told() -> None:
    with serve_cases("--threads", "2", workers=2) as server:
        environ = environ_of(server)
        assert (environ["wsgi.multithread"], environ["wsgi.multiprocess"]) == (True, True)


def test_server_name_and_port_are_never_empty_on_a_unix_socket(tmp_path: Path) -> None:
    with serve_cases("--uds", str(tmp_path / "s")) as server:
        environ = environ_of(server)
        assert environ["SERVER_NAME"]
        assert environ["SERVER_PORT"]
        assert environ.get("REMOTE_ADDR", "") == ""
        assert server.request("POST", "/validated", body=b"abcd").body == b"valid abcd"
