"""Early hints, files sent by the kernel, proxies that are believed, connections taken over."""

import gzip
import json
import os
import random
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from support import RawConnection, Response, Server, gohttp_serve, wait_until
from wsgi_helpers import APPS, in_background, nothing_to_read, worker_threads

MB = 1_000_000
UPGRADE = [("Connection", "Upgrade"), ("Upgrade", "echo")]
FORWARDED = "X-Forwarded-For"


@contextmanager
def serve(*options: str) -> Iterator[Server]:
    with gohttp_serve("extras_cases:app", *options, cwd=APPS) as server:
        yield server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve("--threads", "4") as server:
        yield server


@pytest.fixture(scope="module")
def single() -> Iterator[Server]:
    with serve("--threads", "1") as server:
        yield server


@pytest.fixture(scope="module")
def content() -> bytes:
    return random.Random(1).randbytes(5 * MB)


@pytest.fixture
def path(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "content"
    path.write_bytes(content)
    return path


def target(path: Path, **asked: object) -> str:
    return "/file?" + urlencode({"path": path} | asked)


def get_json(server: Server, path: str, headers: list[tuple[str, str]] | None = None) -> Any:
    response = server.get(path, headers or [])
    assert response.status == 200, response
    return json.loads(response.body)


def read_to_end(connection: RawConnection) -> bytes:
    """What still comes, be it until the end or a reset."""
    pieces = [connection._buffer]
    connection._buffer = b""
    try:
        while data := connection.socket.recv(MB):
            pieces.append(data)
    except ConnectionResetError:
        pass
    return b"".join(pieces)


# --- early hints ---------------------------------------------------------------------------------


def test_early_hints_come_before_the_response(server: Server, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with server.connect() as connection:
        connection.send_request("GET", f"/hints?{gate}")
        first = connection.read_response(interim=True, head=True)
        assert (first.status, first.reason) == (103, "Early Hints")
        assert first.all("link") == ["</a.css>; rel=preload; as=style", "</b.js>; rel=preload"]
        assert {name for name, _ in first.headers} == {"link"}
        second = connection.read_response(interim=True, head=True)
        assert (second.status, second.all("link")) == (103, ["</c.css>; rel=preload"])
        assert nothing_to_read(connection)  # the response itself takes its time
        gate.touch()
        third = connection.read_response(interim=True, head=True)
        assert (third.status, third.all("link")) == (103, ["</d.css>"])
        response = connection.read_response()
        assert (response.status, response.body) == (200, b"body more")
        assert response.all("link") == []
        connection.send_request("GET", "/ok")
        assert connection.read_response(interim=True).body == b"ok"


def test_early_hints_are_not_for_http_1_0(server: Server) -> None:
    assert "wsgi.early_hints" in get_json(server, "/environ")["keys"]
    with server.connect() as connection:
        connection.send_request("GET", "/environ", [("Connection", "keep-alive")])
        assert "wsgi.early_hints" in json.loads(connection.read_response().body)["keys"]
        # The same fields on the same connection, by an older client.
        connection.send(b"GET /environ HTTP/1.0\r\nHost: test\r\nConnection: keep-alive\r\n\r\n")
        assert "wsgi.early_hints" not in json.loads(connection.read_response().body)["keys"]


def test_bad_early_hints_raise_and_send_nothing(server: Server) -> None:
    with server.connect() as connection:
        connection.send_request("GET", "/hints-bad")
        response = connection.read_response(interim=True)
    assert response.status == 200
    assert json.loads(response.body) == ["ValueError"] * 5 + ["TypeError"] * 3 + [
        "ValueError",
        "TypeError",
    ]


def test_error_after_early_hints_is_a_500(server: Server) -> None:
    with server.connect() as connection:
        connection.send_request("GET", "/hints-then-raise")
        assert connection.read_response(interim=True, head=True).status == 103
        assert connection.read_response().status == 500


def test_early_hints_before_a_file(server: Server, path: Path, content: bytes) -> None:
    with server.connect() as connection:
        connection.send_request("GET", target(path).replace("/file", "/hints-then-file"))
        assert connection.read_response(interim=True, head=True).status == 103
        assert connection.read_response().body == content


def test_early_hints_for_head(server: Server, path: Path) -> None:
    with server.connect() as connection:
        connection.send_request("HEAD", target(path).replace("/file", "/hints-then-file"))
        assert connection.read_response(interim=True, head=True).status == 103
        assert connection.read_response(head=True).header("content-length") == str(5 * MB)


# --- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 4095, 65536, 65537, 5 * MB])
@pytest.mark.parametrize("kind", ["plain", "raw", "update", "bytesio"])
def test_file_is_sent_whole(
    server: Server, tmp_path: Path, content: bytes, size: int, kind: str
) -> None:
    path = tmp_path / "content"
    path.write_bytes(content[:size])
    with server.connect() as connection:
        for _ in range(2):
            connection.send_request("GET", target(path, kind=kind))
            response = connection.read_response()
            assert response.status == 200
            assert response.body == content[:size]
            if kind != "bytesio":
                assert response.header("content-length") == str(size)


@pytest.mark.parametrize("kind", ["plain", "raw", "bytesio"])
def test_file_is_sent_from_where_it_stands(
    server: Server, path: Path, content: bytes, kind: str
) -> None:
    def body(**asked: object) -> bytes:
        return server.get(target(path, kind=kind, **asked)).body

    assert body(seek=1) == content[1:]
    assert body(read=10) == content[10:]  # a reader is further ahead than it says
    assert body(seek=4 * MB, read=3) == content[4 * MB + 3 :]
    assert body(seek=5 * MB) == b""
    assert body(seek=6 * MB) == b""  # beyond the end
    assert body(seek=1000, length=500) == content[1000:1500]


@pytest.mark.parametrize("kind", ["plain", "bytesio"])
def test_file_longer_than_its_content_length_is_cut(
    server: Server, path: Path, content: bytes, kind: str
) -> None:
    with server.connect() as connection:
        for length in (0, 1, 100_000, 4 * MB):
            connection.send_request("GET", target(path, kind=kind, length=length))
            response = connection.read_response()
            assert response.header("content-length") == str(length)
            assert response.body == content[:length]


@pytest.mark.parametrize("kind", ["plain", "bytesio"])
def test_file_shorter_than_its_content_length_closes_the_connection(
    server: Server, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "short"
    path.write_bytes(b"short")
    start = len(server.log())
    with server.connect() as connection:
        connection.send_request("GET", target(path, kind=kind, length=10))
        assert connection.read_head().header("content-length") == "10"
        assert read_to_end(connection) == b"short"
    wait_until(
        lambda: any("GET /file" in line and "closed" in line for line in server.log()[start:]),
        "a line about the missing bytes",
    )


@pytest.mark.parametrize("kind", ["plain", "raw", "bytesio", "gzip"])
def test_head_of_a_file(server: Server, path: Path, kind: str) -> None:
    if kind == "gzip":
        path.write_bytes(gzip.compress(b"x" * 100))
    with server.connect() as connection:
        for asked in ({}, {"length": 77}, {"length": 50 * MB}):
            connection.send_request("HEAD", target(path, kind=kind, **asked))
            response = connection.read_response(head=True)
            assert response.status == 200
            if kind in {"plain", "raw"} or asked:
                length = asked.get("length", 5 * MB)
                assert response.header("content-length") == str(length)
        connection.send_request("GET", "/ok")
        assert connection.read_response().body == b"ok"


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_file_with_a_status_without_body(server: Server, path: Path, status: str) -> None:
    with server.connect() as connection:
        connection.send_request("GET", target(path, status=status))
        assert connection.read_response(head=True).status == int(status[:3])
        connection.send_request("GET", "/ok")
        assert connection.read_response().body == b"ok"


def test_file_to_http_1_0(server: Server, path: Path, content: bytes) -> None:
    for keep in (b"", b"Connection: keep-alive\r\n"):
        with server.connect() as connection:
            connection.send(b"GET %s HTTP/1.0\r\n%s\r\n" % (target(path).encode(), keep))
            response = connection.read_response()
            assert response.body == content
            assert response.header("content-length") == str(5 * MB)
            if keep:
                connection.send_request("GET", "/ok")
                assert connection.read_response().body == b"ok"
            else:
                assert connection.is_closed()


def test_file_over_http_2(
    server: Server, path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(APPS.parents[1] / "protocol")
    from h2client import H2Client

    with H2Client(server) as client:
        stream = client.request("GET", target(path, seek=10))
        assert (stream.status, stream.body == content[10:]) == (200, True)


def test_file_over_a_unix_socket(tmp_path: Path, path: Path, content: bytes) -> None:
    with serve("--uds", str(tmp_path / "socket")) as server, server.connect() as connection:
        for _ in range(2):
            connection.send_request("GET", target(path, seek=7))
            assert connection.read_response().body == content[7:]


def test_compressed_file_is_not_sent_as_it_lies_there(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "content.gz"
    text = b"some text " * 50_000
    path.write_bytes(gzip.compress(text))
    assert server.get(target(path, kind="gzip")).body == text
    assert server.get(target(path, kind="gzip", seek=100)).body == text[100:]


def test_object_with_a_descriptor_is_read_by_its_own_method(server: Server, path: Path) -> None:
    path.write_bytes(b"Some Text" * 10_000)
    get_json(server, "/file-forget")
    assert server.get(target(path, kind="descriptor")).body == b"sOME tEXT" * 10_000
    wait_until(lambda: get_json(server, "/file-state")[1] == 1, "it to be closed")


def test_pipe_is_read_to_its_end(server: Server, path: Path, content: bytes) -> None:
    assert server.get(target(path, kind="pipe")).body == content


def test_file_after_write(server: Server, path: Path, content: bytes) -> None:
    assert server.get(target(path, write="before ")).body == b"before " + content
    response = server.get(target(path, write="before ", length=7 + 5 * MB))
    assert response.body == b"before " + content
    response = server.get(target(path, write="before ", length=7 + 1000))
    assert response.body == b"before " + content[:1000]


def test_pipelined_files_keep_their_order(server: Server, path: Path, content: bytes) -> None:
    with server.connect() as connection:
        for number in range(6):
            connection.send_request("GET", target(path, seek=number * 100_000, length=200_000))
            connection.send_request("GET", "/ok")
        for number in range(6):
            start = number * 100_000
            assert connection.read_response().body == content[start : start + 200_000]
            assert connection.read_response().body == b"ok"


def test_files_are_closed_and_leak_nothing(server: Server, path: Path) -> None:
    def descriptors() -> int:
        return len(os.listdir(f"/proc/{server.pid}/fd"))

    get_json(server, "/file-forget")
    before = descriptors()
    for _ in range(10):
        assert server.get(target(path, kind="bytesio", length=5)).status == 200
        assert server.get(target(path)).status == 200
        assert server.request("HEAD", target(path)).status == 200
        assert server.get(target(path, kind="raw", length=5)).status == 200
        with server.connect() as connection:  # a client that goes in the middle
            connection.send_request("GET", target(path))
            connection.read_head()
            connection.reset()
    wait_until(lambda: get_json(server, "/file-state") == [[True] * 50, 10], "all to be closed")
    get_json(server, "/file-forget")
    wait_until(lambda: descriptors() <= before + 1, "all descriptors to be closed")


def test_file_is_closed_once(server: Server, path: Path) -> None:
    for asked in ({}, {"length": 3}, {"length": 10 * MB}):
        get_json(server, "/file-forget")
        with server.connect() as connection:
            connection.send_request("GET", target(path, kind="bytesio", **asked))
            connection.read_head()
            read_to_end_of(connection, asked.get("length", 5 * MB))
        wait_until(lambda: get_json(server, "/file-state") != [[False], 0], "it to be closed")
        assert get_json(server, "/file-state") == [[True], 1]


def read_to_end_of(connection: RawConnection, length: int) -> None:
    """So many bytes, or until the server closes."""
    got = len(connection._buffer)
    while got < length and (data := connection.socket.recv(MB)):
        got += len(data)


def test_file_that_shrinks_while_it_is_sent_cuts_the_connection(
    server: Server, tmp_path: Path
) -> None:
    path = tmp_path / "large"
    size = 64 * MB
    with path.open("wb") as file:
        file.truncate(size)
    with server.connect() as connection:
        connection.send_request("GET", target(path))
        assert connection.read_head().header("content-length") == str(size)
        start = len(server.log())
        os.truncate(path, 1 * MB)
        assert len(read_to_end(connection)) < size
        wait_until(
            lambda: any("has become shorter" in line for line in server.log()[start:]), "the note"
        )
    with server.connect() as connection:
        connection.send_request("GET", target(path))
        assert len(connection.read_response().body) == 1 * MB


def test_file_that_grows_while_it_is_sent_is_as_long_as_was_said(
    server: Server, path: Path, content: bytes
) -> None:
    with server.connect() as connection:
        connection.send_request("GET", target(path))
        assert connection.read_head().header("content-length") == str(5 * MB)
        with path.open("ab") as file:
            file.write(b"more" * MB)
        assert connection.read_exactly(5 * MB) == content
        connection.send_request("GET", "/ok")
        assert connection.read_response().body == b"ok"


def test_slow_downloads_take_no_thread(single: Server, tmp_path: Path) -> None:
    path = tmp_path / "large"
    size = 64 * MB
    with path.open("wb") as file:
        file.truncate(size)
    slow = [single.connect() for _ in range(3)]
    try:
        for connection in slow:
            connection.send_request("GET", target(path))
            assert connection.read_head().status == 200
        for _ in range(20):
            assert single.get("/ok").body == b"ok"
        assert get_json(single, "/file-state")[0] == [True] * 3  # the kernel has its own
        for connection in slow:
            got = len(connection._buffer)
            while got < size:
                got += len(connection.socket.recv(MB))
            assert got == size
    finally:
        for connection in slow:
            connection.close()
    assert worker_threads(single.pid) == 1


def test_stop_waits_for_a_download(path: Path) -> None:
    size = 64 * MB
    with path.open("wb") as file:
        file.truncate(size)
    with serve() as server, server.connect() as connection:
        connection.send_request("GET", target(path))
        assert connection.read_head().status == 200
        server.signal()
        server.wait_for_log("stopping")
        got = len(connection._buffer)
        while data := connection.socket.recv(MB):
            got += len(data)
        assert got == size
        assert server.wait() == 0


def test_many_downloads_at_once(server: Server, path: Path, content: bytes) -> None:
    bodies = in_background(lambda: server.get(target(path)).body == content, 20)()
    assert all(bodies)


# --- proxies -------------------------------------------------------------------------------------


def seen(server: Server, *headers: tuple[str, str]) -> tuple[str, str, bool]:
    """Address, scheme, and whether there is a port."""
    return _of(get_json(server, "/environ", list(headers)))


def _of(environ: dict[str, str]) -> tuple[str, str, bool]:
    return environ["REMOTE_ADDR"], environ["wsgi.url_scheme"], "REMOTE_PORT" in environ


def test_local_proxy_is_believed(server: Server) -> None:
    assert seen(server) == ("127.0.0.1", "http", True)
    assert seen(server, (FORWARDED, "192.0.2.1")) == ("192.0.2.1", "http", False)
    both = seen(server, (FORWARDED, "2001:db8::1"), ("X-Forwarded-Proto", "https"))
    assert both == ("2001:db8::1", "https", False)
    assert seen(server, ("X-Forwarded-Proto", "https")) == ("127.0.0.1", "https", True)


@pytest.mark.parametrize(
    ("value", "client"),
    [
        ("6.6.6.6, 192.0.2.1", "192.0.2.1"),
        ("6.6.6.6,192.0.2.1,127.0.0.1", "192.0.2.1"),
        ("192.0.2.1, ::1, 127.0.0.1", "192.0.2.1"),
        ("127.0.0.1", "127.0.0.1"),
        ("192.0.2.1:1234", "192.0.2.1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("  192.0.2.1  ", "192.0.2.1"),
        ("192.0.2.1, ", "192.0.2.1"),
    ],
)
def test_rightmost_that_is_no_proxy_is_the_client(server: Server, value: str, client: str) -> None:
    assert seen(server, (FORWARDED, value)) == (client, "http", False)


@pytest.mark.parametrize(
    "value", ["", ",", "unknown", "6.6.6.6, nonsense", "1.2.3", "_hidden", "0x7f.1"]
)
def test_garbage_is_ignored(server: Server, value: str) -> None:
    assert seen(server, (FORWARDED, value)) == ("127.0.0.1", "http", True)


@pytest.mark.parametrize("value", ["", "javascript", "https://", "https, ftp", "https,"])
def test_garbage_for_a_scheme_is_ignored(server: Server, value: str) -> None:
    assert seen(server, ("X-Forwarded-Proto", value)) == ("127.0.0.1", "http", True)


def test_repeated_fields_are_one_list(server: Server) -> None:
    fields = [(FORWARDED, "6.6.6.6"), (FORWARDED, "192.0.2.7, 127.0.0.1")]
    environ = get_json(server, "/environ", fields)
    assert environ["REMOTE_ADDR"] == "192.0.2.7"
    assert environ["HTTP_X_FORWARDED_FOR"] == "6.6.6.6,192.0.2.7, 127.0.0.1"


def test_requests_of_a_connection_have_their_own_clients(server: Server) -> None:
    with server.connect() as connection:
        for client in ("192.0.2.1", "192.0.2.1", None, "192.0.2.2", None, "bad", "192.0.2.1"):
            headers = [(FORWARDED, client)] if client else []
            connection.send_request("GET", "/environ", headers)
            expected = (client, "http", False)
            if client in {None, "bad"}:
                expected = ("127.0.0.1", "http", True)
            assert _of(json.loads(connection.read_response().body)) == expected


@pytest.mark.parametrize("trusted", ["", "10.0.0.0/8", "::1"])
def test_others_are_not_believed(trusted: str) -> None:
    with serve("--trusted-proxies", trusted) as server:
        fields = [(FORWARDED, "192.0.2.1"), ("X-Forwarded-Proto", "https")]
        environ = get_json(server, "/environ", fields)
        assert _of(environ) == ("127.0.0.1", "http", True)
        assert environ["HTTP_X_FORWARDED_FOR"] == "192.0.2.1"  # the app may look itself


def test_all_may_be_believed() -> None:
    with serve("--trusted-proxies", "*") as server:
        assert seen(server, (FORWARDED, "192.0.2.1"))[0] == "192.0.2.1"
        assert seen(server, (FORWARDED, "192.0.2.1, 10.0.0.1"))[0] == "192.0.2.1"


def test_networks_may_be_believed() -> None:
    with serve("--trusted-proxies", "127.0.0.0/8,10.0.0.0/8") as server:
        assert seen(server, (FORWARDED, "6.6.6.6, 192.0.2.1, 10.1.2.3"))[0] == "192.0.2.1"
        assert seen(server, (FORWARDED, "6.6.6.6, 11.1.2.3, 10.1.2.3"))[0] == "11.1.2.3"


@pytest.mark.parametrize("trusted", [True, False])
def test_unix_sockets_are_believed_if_anyone_is(tmp_path: Path, trusted: bool) -> None:
    options = [] if trusted else ["--trusted-proxies", ""]
    with serve("--uds", str(tmp_path / "socket"), *options) as server:
        fields = [(FORWARDED, "192.0.2.1"), ("X-Forwarded-Proto", "https")]
        expected = ("192.0.2.1", "https", False) if trusted else ("", "http", False)
        assert seen(server, *fields) == expected


# --- taking the connection over ------------------------------------------------------------------


def upgrade(connection: RawConnection, path: str = "/echo", more: bytes = b"") -> Response:
    lines = [f"GET {path} HTTP/1.1", "Host: test", *(f"{name}: {value}" for name, value in UPGRADE)]
    connection.send("\r\n".join(lines).encode() + b"\r\n\r\n" + more)
    response = connection.read_response()
    assert response.status == 101
    return response


def test_socket_is_there_for_an_upgrade_only(server: Server) -> None:
    assert "gunicorn.socket" not in get_json(server, "/environ")["keys"]
    with server.connect() as connection:
        connection.send_request("GET", "/environ", UPGRADE)
        assert "gunicorn.socket" in json.loads(connection.read_response().body)["keys"]
        connection.send(
            b"GET /environ HTTP/1.0\r\nConnection: keep-alive, Upgrade\r\nUpgrade: echo\r\n\r\n"
        )
        assert "gunicorn.socket" not in json.loads(connection.read_response().body)["keys"]


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        ([("Upgrade", "websocket")], b""),  # a proxy passed it on, and goes on to speak HTTP
        ([("Upgrade", "websocket"), ("Connection", "keep-alive")], b""),
        (UPGRADE, b"five."),  # would be taken for the other protocol
        ([*UPGRADE, ("Transfer-Encoding", "chunked")], b"5\r\nfive.\r\n0\r\n\r\n"),
    ],
)
def test_request_that_is_no_proper_upgrade_has_no_socket(
    server: Server, fields: list[tuple[str, str]], body: bytes
) -> None:
    with server.connect() as connection:
        connection.send_request("GET", "/environ", fields, body)
        assert "gunicorn.socket" not in json.loads(connection.read_response().body)["keys"]
        connection.send_request("GET", "/ok")
        assert connection.read_response().body == b"ok"


def test_connection_may_be_taken_over(server: Server) -> None:
    with server.connect() as connection:
        response = upgrade(connection)
        assert response.headers == [("connection", "Upgrade"), ("upgrade", "echo")]
        for number in range(100):
            connection.send(b"line %d\n" % number)
            assert connection.read_exactly(len(b"> line %d\n" % number)) == b"> line %d\n" % number
        connection.send(b"bye\n")
        assert connection.is_closed()


def test_what_came_with_the_head_is_not_lost(server: Server) -> None:
    with server.connect() as connection:
        upgrade(connection, more=b"GET / HTTP/1.1\n\xff\0\nhalf")
        assert connection.read_exactly(21) == b"> GET / HTTP/1.1\n> \xff\0"
        connection.send(b" a line\n")
        assert connection.read_exactly(15) == b"\n> half a line\n"
        connection.send(b"bye\n")
        assert connection.is_closed()


def test_much_may_come_with_the_head(server: Server) -> None:
    lines = [b"%d %s\n" % (number, b"x" * 1000) for number in range(500)]
    with server.connect() as connection:
        send = in_background(
            lambda: connection.send(
                b"GET /echo HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"
                + b"".join(lines)
                + b"bye\n"
            )
        )
        assert connection.read_response().status == 101
        expected = b"".join(b"> " + line for line in lines)
        assert connection.read_exactly(len(expected)) == expected
        send()
        assert connection.is_closed()


def test_connection_may_be_taken_over_on_a_unix_socket(tmp_path: Path) -> None:
    with serve("--uds", str(tmp_path / "socket")) as server, server.connect() as connection:
        upgrade(connection, more=b"hello\n")
        assert connection.read_exactly(8) == b"> hello\n"


def test_connection_may_be_taken_over_after_other_requests(server: Server) -> None:
    with server.connect() as connection:
        for _ in range(3):
            connection.send_request("GET", "/ok")
            assert connection.read_response().body == b"ok"
        upgrade(connection, more=b"hello\n")
        assert connection.read_exactly(8) == b"> hello\n"


def test_handler_that_takes_over_may_end_the_connection(server: Server) -> None:
    with server.connect() as connection:
        upgrade(connection, "/push")
        data = connection.read_until_close()
        assert len(data) == 64 * 65536
        assert data[::65536] == bytes(range(64))


def test_client_that_goes_ends_the_handler(single: Server) -> None:
    for end in (RawConnection.finish_sending, RawConnection.reset):
        connection = single.connect()
        upgrade(connection, more=b"hello\n")
        assert connection.read_exactly(8) == b"> hello\n"
        end(connection)
        assert single.get("/ok").body == b"ok"  # by the only thread
        connection.close()


@pytest.mark.parametrize("ends", ["stop", "return"])
def test_end_of_a_handler_that_has_taken_over_is_no_error(server: Server, ends: str) -> None:
    start = len(server.log())
    with server.connect() as connection:
        upgrade(connection, f"/echo?{ends}", b"bye\n")
        assert connection.is_closed()
    server.get("/ok", [("x_mark", "1")])
    wait_until(lambda: any("x_mark" in line for line in server.log()[start:]), "the mark")
    assert [line for line in server.log()[start:] if "x_mark" not in line] == []


def test_error_of_a_handler_that_has_taken_over_is_logged(server: Server) -> None:
    start = len(server.log())
    with server.connect() as connection:
        upgrade(connection, "/echo?raise", b"bye\n")
        assert connection.is_closed()  # and no 500 comes
    wait_until(
        lambda: any("RuntimeError: after taking over" in line for line in server.log()[start:]),
        "the traceback",
    )


def test_exc_info_comes_back_where_the_connection_was_taken_over(server: Server) -> None:
    start = len(server.log())
    with server.connect() as connection:
        upgrade(connection, "/taken-and-failed")
        assert connection.is_closed()
    wait_until(lambda: any("Error: " in line for line in server.log()[start:]), "the traceback")
    (error,) = [line for line in server.log()[start:] if "Error: " in line]
    assert error == "LookupError: its own error"


def test_connections_taken_over_let_waiting_ones_in() -> None:
    with serve("--threads", "2") as server, ExitStack() as stack:
        for _ in range(2):
            connections = [stack.enter_context(server.connect()) for _ in range(12)]
            for connection in connections:
                connection.send_request("GET", "/late-echo", UPGRADE)
            for connection in connections:
                assert connection.read_head().status == 101


def test_client_that_takes_nothing_loses_its_connection() -> None:
    with serve("--write-timeout", "0.5") as server, server.connect() as connection:
        server.get("/ok")
        upgrade(connection, "/push?2000")
        wait_until(lambda: "GET /push: " in "".join(server.log()), "the handler's end", 10)
        assert len(read_to_end(connection)) < 2000 * 65536


def test_client_that_leaves_is_no_error_of_who_has_taken_over(server: Server) -> None:
    start = len(server.log())
    with server.connect() as connection:
        upgrade(connection, "/push?2000")
        connection.reset()
    wait_until(lambda: any("GET /push: " in line for line in server.log()[start:]), "the note")
    assert not any("Exception" in line for line in server.log()[start:])


def test_stop_iteration_is_an_error_otherwise(server: Server) -> None:
    start = len(server.log())
    assert server.get("/stop-iteration", UPGRADE[1:]).status == 500
    wait_until(lambda: any("StopIteration" in x for x in server.log()[start:]), "the traceback")
    with server.connect() as connection:  # after one that was taken over
        upgrade(connection, "/echo?stop", b"bye\n")
        assert connection.is_closed()
    assert server.get("/stop-iteration").status == 500


def test_connection_that_is_not_taken_is_a_usual_one(server: Server) -> None:
    with server.connect() as connection:
        for _ in range(3):
            connection.send_request("GET", "/not-taken", UPGRADE)
            response = connection.read_response()
            assert (response.status, response.header("connection")) == (200, None)
            assert response.text == "<UpgradeSocket, not taken> False"
        connection.send_request("GET", "/ok")
        assert connection.read_response().body == b"ok"


def test_it_is_too_late_when_the_response_has_begun(server: Server) -> None:
    with server.connect() as connection:
        connection.send_request("GET", "/too-late", UPGRADE)
        response = connection.read_response()
        assert (response.status, response.body) == (200, b"one FileExistsError")
        connection.send_request("GET", "/ok")
        assert connection.read_response().body == b"ok"


def test_stop_cuts_connections_that_were_taken_over() -> None:
    with (
        gohttp_serve(
            "extras_cases:app", "--graceful-timeout", "0.5", cwd=APPS, exit_code=None
        ) as server,
        server.connect() as connection,
    ):
        upgrade(connection, more=b"hello\n")
        assert connection.read_exactly(8) == b"> hello\n"
        began = time.monotonic()
        server.signal()
        server.wait(5)
        assert time.monotonic() - began < 4
        assert connection.is_closed()


def test_descriptors_of_connections_taken_over_are_closed(server: Server) -> None:
    def descriptors() -> int:
        return len(os.listdir(f"/proc/{server.pid}/fd"))

    server.get("/ok")
    before = descriptors()
    for number in range(10):
        with server.connect() as connection:
            upgrade(connection, more=b"hello\n" if number % 2 else b"bye\n")
            if number % 2:
                assert connection.read_exactly(8) == b"> hello\n"
                connection.socket.shutdown(socket.SHUT_RDWR)
    wait_until(lambda: descriptors() <= before, "all descriptors to be closed")
