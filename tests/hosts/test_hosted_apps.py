"""WSGI and ASGI apps in programs of Rust: below an axum router, and beside handlers of ours."""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from hosts import HOSTS, ROOT, hosting, seen
from support import TIMEOUT, Server, wait_until

WSGI, ASGI = "wsgi_cases:app", "asgi_cases:app"
PIECES = 1024


@pytest.fixture(scope="module", params=HOSTS)
def host(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module", params=[WSGI, ASGI], ids=["wsgi", "asgi"])
def target(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def server(host: str, target: str) -> Iterator[Server]:
    with hosting(host, f"/py={target}") as running:
        yield running


def test_both_kinds_of_apps_and_rust_answer_side_by_side(host: str):
    with hosting(host, f"/a={WSGI}", f"/b={ASGI}") as server:
        assert re.fullmatch("Hello, you, from .*\n", server.get("/hello/you").text)
        assert server.request("POST", "/a/echo", body=b"one").text == "one"
        assert server.request("POST", "/b/echo", body=b"two").text == "two"
        assert server.get("/a/echo").header("x-from") == "wsgi"
        assert server.get("/b/echo").header("x-from") == "asgi"
        assert server.get("/c").status == 404


def test_a_wsgi_app_is_told_its_prefix_and_its_client(host: str):
    with hosting(host, f"/py={WSGI}") as server:
        environ = json.loads(server.get("/py/a%20b/environ?x=%31", [("X-A", "1")]).body)
        inner = json.loads(server.get("/py/py/environ").body)
    assert environ["SCRIPT_NAME"] == "/py"
    assert environ["PATH_INFO"] == "/a b/environ"
    assert environ["QUERY_STRING"] == "x=%31"
    assert environ["REMOTE_ADDR"] == "127.0.0.1"
    assert environ["SERVER_PROTOCOL"] == "HTTP/1.1"
    assert environ["HTTP_HOST"] == "test"
    assert environ["HTTP_X_A"] == "1"
    assert (inner["SCRIPT_NAME"], inner["PATH_INFO"]) == ("/py", "/py/environ")


def test_an_asgi_app_is_told_its_prefix_its_client_and_its_state(host: str):
    with hosting(host, f"/py={ASGI}") as server:
        scope = json.loads(server.get("/py/a%20b/scope?x=%31").body)
        inner = json.loads(server.get("/py/py/scope").body)
    assert scope["root_path"] == "/py"
    assert scope["path"] == "/py/a b/scope"
    assert scope["client"][0] == "127.0.0.1"
    assert (scope["http_version"], scope["scheme"]) == ("1.1", "http")
    assert scope["state"] == {"begun": "yes"}
    assert (inner["root_path"], inner["path"]) == ("/py", "/py/py/scope")


@pytest.mark.parametrize("mount", [f"/={WSGI}", f"/={ASGI}"], ids=["wsgi", "asgi"])
def test_an_app_may_have_all_paths_that_nothing_else_takes(host: str, mount: str):
    with hosting(host, mount) as server:
        assert server.get("/hello/you").text.startswith("Hello, you, from")
        assert server.request("POST", "/echo", body=b"root").text == "root"
        place = "environ" if "wsgi" in mount else "scope"
        told = json.loads(server.get(f"/x/{place}").body)
        assert told.get("SCRIPT_NAME", told.get("root_path")) == ""
        assert told.get("PATH_INFO", told.get("path")) == f"/x/{place}"


def test_the_prefix_itself_is_the_apps(server: Server):
    for path in ("/py", "/py/"):
        assert server.get(path).text == "nothing here"
    assert server.get("/pyx").text != "nothing here"


@pytest.mark.parametrize("size", [0, 1, 100_000, 900_000, 5_000_000])
def test_bodies_of_all_sizes_come_back_whole(server: Server, size: int):
    body = bytes(i % 251 for i in range(251)) * (size // 251 + 1)
    response = server.request("POST", "/py/echo", body=body[:size])
    assert (response.status, response.body) == (200, body[:size])


def test_a_chunked_body_comes_back_whole(server: Server):
    with server.connect() as client:
        client.send_request("POST", "/py/echo", [("Transfer-Encoding", "chunked")])
        client.send(b"3\r\nabc\r\n")
        client.send(b"4\r\ndefg\r\n0\r\n\r\n")
        assert client.read_response().text == "abcdefg"


def test_a_client_that_expects_to_be_asked_for_its_body_is(server: Server):
    with server.connect() as client:
        client.send_request(
            "POST", "/py/echo", [("Expect", "100-continue"), ("Content-Length", "4")]
        )
        assert client.read_response(interim=True).status == 100
        client.send(b"body")
        assert client.read_response().text == "body"


def test_request_and_response_stream_at_the_same_time(server: Server, target: str):
    with server.connect() as client:
        path = "/py/lines" if target == WSGI else "/py/pieces"
        client.send_request("POST", path, [("Transfer-Encoding", "chunked")])
        client.send(b"4\r\none\n\r\n")
        assert client.read_head().status == 200
        assert client.read_chunk() == b"ONE\n"
        client.send(b"4\r\ntwo\n\r\n")
        assert client.read_chunk() == b"TWO\n"
        client.send(b"0\r\n\r\n")
        assert client.read_chunk() == b""


def test_an_app_waits_for_a_client_that_does_not_read(server: Server):
    with server.connect() as client:
        client.send_request("GET", "/py/endless")
        wait_until(lambda: seen(server, "sent") > 0, "the first piece")
        for _ in range(20):
            assert server.get("/hello/you").status == 200
        assert seen(server, "sent") < PIECES
        # An upload that nobody reads fills the buffers on the way, too.
        with server.connect() as other:
            head = b"POST /py/hold HTTP/1.1\r\nHost: test\r\nContent-Length: 67108864\r\n\r\n"
            other.send(head)
            wait_until(lambda: seen(server, "held") == 1, "the handler")
            other.socket.settimeout(1)
            sent = 0
            while sent < 64 << 20:
                try:
                    sent += other.socket.send(b"y" * 65536)
                except TimeoutError:
                    break
            assert sent < 64 << 20
            other.socket.settimeout(TIMEOUT)
            assert server.get("/py/release").text == "released"
            while sent < 64 << 20:
                sent += other.socket.send(b"y" * min(65536, (64 << 20) - sent))
            assert other.read_response().text == str(64 << 20)


def test_an_app_is_told_that_its_client_has_gone(server: Server, target: str):
    with server.connect() as client:
        client.send_request("GET", "/py/endless")
        assert client.read_head().status == 200
        client.read_chunk()
        client.reset()
    wait_until(lambda: seen(server, "closed") == 1, "the app to hear of it")
    assert seen(server, "sent") < PIECES
    if target == ASGI:
        with server.connect() as client:
            client.send_request("GET", "/py/wait")
            wait_until(lambda: seen(server, "held") == 1, "the handler")
            client.reset()
        wait_until(lambda: seen(server, "closed") == 2, "the app to hear of it")


def test_an_exception_is_a_500_and_told_with_its_traceback(server: Server):
    assert server.get("/py/raise").status == 500
    server.wait_for_log("LookupError: as asked")
    server.wait_for_log('_cases.py", line')
    assert server.request("POST", "/py/echo", body=b"on").text == "on"


def test_a_head_has_no_body(server: Server):
    with server.connect() as client:
        client.send_request("HEAD", "/py/seen")
        response = client.read_response(head=True)
        assert (response.status, response.header("content-type")) == (200, "text/plain")
        client.send_request("GET", "/py/none")
        assert client.read_response().status == 404


def test_connections_are_kept(server: Server):
    with server.connect() as client:
        for n in range(50):
            client.send_request("POST", "/py/echo", body=b"%d" % n)
            assert client.read_response().text == str(n)


def test_files_of_a_wsgi_app_are_sent_whole(host: str):
    with hosting(host, f"/py={WSGI}") as server:
        assert server.get("/py/file").body == b"f" * 300_000
        source = ROOT / "tests" / "hosts" / "apps" / "wsgi_cases.py"
        response = server.get("/py/this-file")
        assert response.body == source.read_bytes()


def test_blocked_handlers_do_not_block_others(host: str):
    with hosting(host, f"/py={WSGI}") as server, ExitStack() as clients:
        held = [clients.enter_context(server.connect()) for _ in range(15)]
        for client in held:
            client.send_request("GET", "/py/hold")
        wait_until(lambda: seen(server, "held") == 15, "the handlers")
        assert server.get("/hello/you").status == 200
        assert server.get("/py/release").text == "released"
        for client in held:
            assert client.read_response().text == "0"


def test_a_stop_answers_what_is_in_flight_and_ends_the_lifespan(host: str):
    with hosting(host, f"/a={WSGI}", f"/b={ASGI}") as server:
        with server.connect() as one, server.connect() as two:
            for client, prefix in ((one, "/a"), (two, "/b")):
                client.send(
                    b"POST %s/echo HTTP/1.1\r\nHost: test\r\nConnection: close\r\n"
                    b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n" % prefix.encode()
                )
            # Requests behind them have been answered, so these have been read.
            for prefix in ("/a", "/b"):
                assert server.get(f"{prefix}/seen").status == 200
            server.signal()
            for client in (one, two):
                client.send(b"2\r\nde\r\n0\r\n\r\n")
                assert client.read_response().text == "abcde"
        assert server.wait(TIMEOUT) == 0
        started, serving, ended = server.output()
        assert (started, ended) == ("app started", "app ended")
        assert serving.startswith("serving at ")
