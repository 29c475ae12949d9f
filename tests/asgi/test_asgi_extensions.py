"""ASGI extensions: files that the kernel sends, early hints, trailers; what scopes say of them."""

import builtins
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h2.events
import pytest
from asgi_helpers import (
    APPS,
    LOOPS,
    LogFrom,
    events,
    get_json,
    new_key,
    open_gate,
)
from support import RawConnection, Response, Server, gohttp_serve, rss, wait_until
from websocket_client import H2Connection, H2Stream

MIB = 1024 * 1024
DATA = bytes(range(256)) * 4
START: dict[str, Any] = {"type": "http.response.start", "status": 200}
WITH_TRAILERS = {**START, "trailers": True}
TE = [("TE", "trailers")]

FILES = {"http.response.pathsend", "http.response.zerocopysend"}
HINT = "http.response.early_hint"
TRAILERS = "http.response.trailers"


@pytest.fixture(scope="module", params=LOOPS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    target = "extension_cases:app"
    with gohttp_serve(target, "--loop", request.param, cwd=APPS) as server:
        yield server


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file.bin"
    path.write_bytes(DATA)
    return path


def body(data: bytes = b"", more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


def nothing_in(*names: str) -> dict[str, dict[str, Any]]:
    return {name: {} for name in names}


def start(length: int) -> dict[str, Any]:
    return {**START, "headers": [(b"content-length", str(length).encode())]}


def path_send(path: object) -> dict[str, Any]:
    return {"type": "http.response.pathsend", "path": str(path)}


def file_send(file: str = "object", **rest: Any) -> dict[str, Any]:
    """`file`: "object" or "number" of the file that the script opened last."""
    return {"type": "http.response.zerocopysend", "file": file, **rest}


def hint(*links: object) -> dict[str, Any]:
    return {"type": HINT, "links": list(links)}


def trailers(*pairs: tuple[bytes, bytes], more: bool = False) -> dict[str, Any]:
    return {"type": TRAILERS, "headers": list(pairs), "more_trailers": more}


def write_script(server: Server, *steps: Any) -> tuple[str, str]:
    """Teaches the app the steps; the path that takes them, and the key of its events and gate."""
    key = new_key()
    assert server.request("POST", f"/script?{key}", body=repr(list(steps)).encode()).status == 200
    return f"/script?{key}", key


def ask(
    server: Server, *steps: Any, method: str = "GET", headers: list[tuple[str, str]] | None = None
) -> tuple[Response, list[Any]]:
    """The response to these steps, and what they recorded; the connection must remain usable."""
    path, key = write_script(server, *steps)
    with server.connect() as connection:
        connection.send_request(method, path, headers or [])
        response = connection.read_response(head=method == "HEAD")
        assert_usable(connection)
    return response, recorded(server, key)


def recorded(server: Server, key: str) -> list[Any]:
    """What the steps have recorded, once the app has taken them."""
    wait_until(lambda: "ended" in events(server, key), "the end of the script")
    return events(server, key)[:-1]


def assert_usable(connection: RawConnection) -> None:
    connection.send_request("GET", "/ok")
    assert connection.read_response().body == b"ok"


def assert_refused(server: Server, error: str, *steps: Any) -> str:
    """The last step raises in the app, which is a 500 and logged; the log."""
    log = LogFrom(server)
    response, outcome = ask(server, *steps)
    assert response.status == 500
    assert outcome == [error]
    text = log.text()
    assert "GET /script" in text
    assert error in text
    return text


def assert_cut(server: Server, *steps: Any, begun: bytes, headers: Any = ()) -> list[Any]:
    """A chunked response that begins so, and then is cut; what was recorded."""
    path, key = write_script(server, *steps)
    with server.connect() as connection:
        connection.send_request("GET", path, headers)
        assert connection.read_head().header("transfer-encoding") == "chunked"
        assert connection.read_chunk() == begun
        with pytest.raises(ConnectionError):
            connection.read_chunk()
    return recorded(server, key)


class H2Client(H2Connection):
    """HTTP/2 that also knows plain requests and trailers."""

    def __init__(self, server: Server) -> None:
        self.trailers: dict[int, list[tuple[str, str]]] = {}
        super().__init__(server)

    def _handle(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.TrailersReceived):
            pairs = [(str(name), str(value)) for name, value in event.headers]
            self.trailers[event.stream_id] = pairs
        super()._handle(event)

    def get(self, path: str) -> H2Stream:
        number = self.h2.get_next_available_stream_id()
        pseudo = [(":method", "GET"), (":path", path), (":scheme", "http"), (":authority", "test")]
        stream = self.streams[number] = H2Stream(self, number)
        self.h2.send_headers(number, pseudo, end_stream=True)
        self.flush()
        return stream

    def read(self, path: str) -> tuple[H2Stream, bytes]:
        """The stream, once it has ended as it should, and its body."""
        stream = self.get(path)
        return stream, stream.read_until_close()


# --- scope["extensions"] -------------------------------------------------------------------------


def test_http_1_1_has_files_and_early_hints(server: Server) -> None:
    assert get_json(server, "/extensions") == nothing_in(*FILES, HINT)


def test_http_1_0_has_files_only(server: Server) -> None:
    with server.connect() as connection:
        # Neither interim responses nor chunks there, whatever it says that it takes.
        connection.send(b"GET /extensions HTTP/1.0\r\nTE: trailers\r\n\r\n")
        assert json.loads(connection.read_response().body) == nothing_in(*FILES)


@pytest.mark.parametrize("te", ["trailers", "Trailers", "gzip;q=0.5, trailers"])
def test_http_1_1_has_trailers_for_who_takes_them(server: Server, te: str) -> None:
    response = server.get("/extensions", [("TE", te)])
    assert json.loads(response.body) == nothing_in(*FILES, HINT, TRAILERS)


@pytest.mark.parametrize("te", ["gzip", "", "no-trailers"])
def test_other_te_is_no_wish_for_trailers(server: Server, te: str) -> None:
    response = server.get("/extensions", [("TE", te)])
    assert TRAILERS not in json.loads(response.body)


def test_http_2_has_all_but_interim_responses(server: Server) -> None:
    with H2Client(server) as connection:
        assert json.loads(connection.read("/extensions")[1]) == {
            "http.response.pathsend": {},
            "http.response.zerocopysend": {},
            TRAILERS: {},
        }


def test_extensions_follow_the_request_on_one_connection(server: Server) -> None:
    with server.connect() as connection:
        for headers in (TE, [], TE):
            connection.send_request("GET", "/extensions", headers)
            given = json.loads(connection.read_response().body)
            assert (TRAILERS in given) == bool(headers)


def test_each_request_has_extensions_of_its_own(server: Server) -> None:
    expected = {*FILES, HINT}
    with server.connect() as connection:
        for _ in range(3):
            connection.send_request("GET", "/extensions-changed")
            assert json.loads(connection.read_response().body).keys() == expected


def test_what_an_app_writes_into_an_extension_is_not_seen_by_others(server: Server) -> None:
    expected = nothing_in(*FILES, HINT)
    assert get_json(server, "/extensions-changed") == expected
    assert get_json(server, "/extensions-changed") == expected


# --- http.response.pathsend ----------------------------------------------------------------------


def test_path_is_sent_whole_with_its_length(server: Server, file: Path) -> None:
    response, outcome = ask(server, START, path_send(file))
    assert (response.status, response.body, outcome) == (200, DATA, [])
    assert response.header("content-length") == str(len(DATA))


def test_path_is_sent_under_a_declared_length(server: Server, file: Path) -> None:
    response, outcome = ask(server, start(len(DATA)), path_send(file))
    assert (response.body, outcome) == (DATA, [])
    assert response.header("content-length") == str(len(DATA))


def test_path_to_http_1_0(server: Server, file: Path) -> None:
    path, _ = write_script(server, START, path_send(file))
    with server.connect() as connection:
        connection.send(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        assert connection.read_response().body == DATA


@pytest.mark.parametrize("head", [START, start(len(DATA))], ids=["undeclared", "declared"])
def test_head_of_a_path_has_its_length_and_no_body(
    server: Server, file: Path, head: dict[str, Any]
) -> None:
    response, outcome = ask(server, head, path_send(file), method="HEAD")
    assert (response.status, response.header("content-length")) == (200, str(len(DATA)))
    assert outcome == []


@pytest.mark.parametrize("head", [START, start(0)], ids=["undeclared", "declared"])
def test_empty_file_is_an_empty_body(server: Server, tmp_path: Path, head: dict[str, Any]) -> None:
    (tmp_path / "empty").touch()
    response, _ = ask(server, head, path_send(tmp_path / "empty"))
    assert (response.body, response.header("content-length")) == (b"", "0")


def test_no_content_sends_no_file(server: Server, file: Path) -> None:
    response, outcome = ask(server, {**START, "status": 304}, path_send(file))
    assert (response.status, outcome) == (304, [])


def test_path_that_is_missing_is_an_error_and_a_500(server: Server, tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    log = assert_refused(server, "FileNotFoundError", START, path_send(missing))
    assert str(missing) in log


def test_path_of_a_directory_is_an_error_and_a_500(server: Server, tmp_path: Path) -> None:
    log = assert_refused(server, "ValueError", START, path_send(tmp_path))
    assert str(tmp_path) in log


def test_path_of_a_pipe_is_an_error_and_does_not_keep_the_loop(
    server: Server, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    path, key = write_script(server, START, path_send(pipe))
    try:
        with server.connect(timeout=1) as connection:
            connection.send_request("GET", path)
            assert connection.read_response().status == 500
    finally:
        # Whoever waits for the other end to be opened has it now.
        os.close(os.open(pipe, os.O_RDWR | os.O_NONBLOCK))
    assert recorded(server, key) == ["ValueError"]


@pytest.mark.parametrize(
    "message",
    [{"type": "http.response.pathsend"}, {"type": "http.response.pathsend", "path": None}],
    ids=["without", "none"],
)
def test_path_send_needs_a_path(server: Server, message: dict[str, Any]) -> None:
    response, outcome = ask(server, START, ("try", message), body(b"instead"))
    assert (response.status, response.body) == (200, b"instead")
    assert outcome in (["ValueError"], ["TypeError"], ["KeyError"])


def test_path_before_the_start_is_an_error(server: Server, file: Path) -> None:
    assert_refused(server, "RuntimeError", path_send(file))


@pytest.mark.parametrize("length", [None, len(DATA)])
def test_nothing_may_follow_a_path(server: Server, file: Path, length: int | None) -> None:
    head = START if length is None else start(length)
    later = [body(b"more"), path_send(file), START]
    response, outcome = ask(server, head, path_send(file), *[("try", m) for m in later])
    assert response.body == DATA
    assert outcome == ["RuntimeError"] * 3


def test_path_may_end_a_body(server: Server, file: Path) -> None:
    response, _ = ask(server, START, body(b"first ", True), path_send(file))
    assert response.header("transfer-encoding") == "chunked"
    assert response.body == b"first " + DATA


def test_file_shorter_than_declared_is_cut_and_logged(server: Server, file: Path) -> None:
    log = LogFrom(server)
    path, key = write_script(server, start(len(DATA) + 5), path_send(file))
    with server.connect() as connection:
        connection.send_request("GET", path)
        assert connection.read_head().header("content-length") == str(len(DATA) + 5)
        assert connection.read_exactly(len(DATA)) == DATA
        assert connection.is_closed()
    recorded(server, key)
    assert "shorter than its Content-Length" in log.text()


def test_file_longer_than_declared_is_cut_at_its_length(server: Server, file: Path) -> None:
    response, _ = ask(server, start(5), path_send(file))
    assert response.body == DATA[:5]


def test_large_path_does_not_go_through_memory_or_stop_others(
    server: Server, tmp_path: Path
) -> None:
    large = tmp_path / "large"
    block = os.urandom(MIB)
    large.write_bytes(block * 48)
    server.get("/ok")
    before = rss(server.pid)
    path, key = write_script(server, START, path_send(large))
    with server.connect() as connection:
        connection.send_request("GET", path)
        assert connection.read_head().header("content-length") == str(48 * MIB)
        assert recorded(server, key) == []  # the app is free, though the client reads nothing
        assert server.get("/ok").body == b"ok"
        for _ in range(48):
            assert connection.read_exactly(MIB) == block
        assert_usable(connection)
    assert rss(server.pid) - before < 16 * MIB


@pytest.mark.parametrize("extension", ["path", "file"])
def test_file_is_sent_on_http_2(server: Server, file: Path, extension: str) -> None:
    message = path_send(file) if extension == "path" else file_send()
    path, _key = write_script(server, ("open", str(file)), START, message)
    with H2Client(server) as connection:
        stream, body = connection.read(path)
        assert stream.status() == 200
        assert body == file.read_bytes()


# --- http.response.zerocopysend ------------------------------------------------------------------


@pytest.mark.parametrize("given", ["object", "number"])
@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({}, DATA),
        ({"offset": 100}, DATA[100:]),
        ({"count": 100}, DATA[:100]),
        ({"offset": 100, "count": 200}, DATA[100:300]),
        ({"offset": 1000, "count": 200}, DATA[1000:]),
        ({"offset": None, "count": None}, DATA),
        ({"offset": len(DATA)}, b""),
        ({"offset": 5000}, b""),
        ({"count": 0}, b""),
        ({"offset": 0, "count": 1}, DATA[:1]),
    ],
)
def test_part_of_a_file(
    server: Server, file: Path, given: str, part: dict[str, Any], expected: bytes
) -> None:
    response, outcome = ask(server, ("open", str(file)), START, file_send(given, **part))
    assert (response.status, response.body, outcome) == (200, expected, [])
    assert response.header("content-length") == str(len(expected))


def test_without_an_offset_the_position_is_where_it_begins_and_moves(
    server: Server, file: Path
) -> None:
    tell = ("tell", None)
    parts = [
        ("open", str(file)),
        ("seek", 10),
        START,
        file_send(count=20, more_body=True),
        tell,
        file_send("number", count=30, more_body=True),
        tell,
        file_send(),
        tell,
    ]
    response, outcome = ask(server, *parts)
    assert response.body == DATA[10:]
    assert outcome == [30, 60, len(DATA)]


def test_with_an_offset_the_position_stays(server: Server, file: Path) -> None:
    steps = [("open", str(file)), ("seek", 7), START, file_send(offset=50, count=9), ("tell", None)]
    response, outcome = ask(server, *steps)
    assert (response.body, outcome) == (DATA[50:59], [7])


@pytest.mark.parametrize("framing", ["chunks", "length"])
def test_files_and_bytes_in_turns(server: Server, tmp_path: Path, framing: str) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"1" * 70_000)
    two.write_bytes(b"2" * 300_000)
    expected = b"<" + one.read_bytes() + b"|" + two.read_bytes() + b"222" + b">"
    response, outcome = ask(
        server,
        START if framing == "chunks" else start(len(expected)),
        body(b"<", True),
        ("open", str(one)),
        file_send(more_body=True),
        body(b"|", True),
        ("open", str(two)),
        file_send("number", more_body=True),
        file_send(offset=0, count=3, more_body=True),
        file_send(offset=0, count=0, more_body=True),
        body(b">"),
    )
    assert response.body == expected
    assert outcome == []
    declared = response.header("content-length")
    assert declared == (None if framing == "chunks" else str(len(expected)))


def test_files_to_http_1_0_end_with_the_connection(server: Server, file: Path) -> None:
    steps = [("open", str(file)), START, file_send(more_body=True), body(b"end")]
    path, _ = write_script(server, *steps)
    with server.connect() as connection:
        connection.send(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        response = connection.read_response()
    assert response.body == DATA + b"end"
    assert response.header("transfer-encoding") is None


@pytest.mark.parametrize("given", ["object", "number"])
def test_file_may_be_closed_as_soon_as_it_has_been_sent(
    server: Server, tmp_path: Path, given: str
) -> None:
    large = tmp_path / "large"
    large.write_bytes(b"x" * 20 * MIB)
    steps = [("open", str(large)), START, file_send(given), ("close", None)]
    path, key = write_script(server, *steps)
    with server.connect() as connection:
        connection.send_request("GET", path)
        assert recorded(server, key) == []
        assert connection.read_response().body == b"x" * 20 * MIB


def test_head_of_a_file_has_its_length_and_no_body(server: Server, file: Path) -> None:
    steps = [("open", str(file)), START, file_send(offset=24)]
    response, outcome = ask(server, *steps, method="HEAD")
    assert (response.header("content-length"), outcome) == (str(len(DATA) - 24), [])


def test_nothing_may_follow_the_last_file(server: Server, file: Path) -> None:
    steps = [("open", str(file)), START, file_send(), ("try", file_send(offset=0))]
    response, outcome = ask(server, *steps, ("try", body(b"more")))
    assert (response.body, outcome) == (DATA, ["RuntimeError", "RuntimeError"])


def test_file_before_the_start_is_an_error(server: Server, file: Path) -> None:
    assert_refused(server, "RuntimeError", ("open", str(file)), file_send())


@pytest.mark.parametrize(
    ("rest", "error"),
    [
        ({"offset": -1}, "OverflowError"),
        ({"count": -1}, "OverflowError"),
        ({"offset": "1"}, "TypeError"),
        ({"count": 1.5}, "TypeError"),
        ({"file": "no file"}, "AttributeError"),
        ({"file": None}, "AttributeError"),
        ({"file": -1}, "OSError"),
        ({"file": 1_000_000}, "OSError"),
    ],
)
def test_bad_file_or_part_is_an_error_that_leaves_the_response_open(
    server: Server, file: Path, rest: dict[str, Any], error: str
) -> None:
    steps = [("open", str(file)), START, ("try", {**file_send(), **rest}), body(b"instead")]
    response, outcome = ask(server, *steps)
    assert (response.status, response.body) == (200, b"instead")
    assert outcome in ([error], ["ValueError"], ["TypeError"])


def test_closed_file_is_an_error(server: Server, file: Path) -> None:
    assert_refused(server, "ValueError", ("open", str(file)), ("close", None), START, file_send())


def test_descriptors_are_not_leaked(server: Server, tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(b"x" * 8 * MIB)
    name = str(large)

    def held() -> list[str]:
        return [path for path in get_json(server, "/descriptors") if path == name]

    opened = [("open", name), START]
    for _ in range(5):
        assert len(ask(server, START, path_send(large))[0].body) == 8 * MIB
        ask(server, *opened, file_send(count=9, more_body=True), file_send("number", count=9))
        ask(server, *opened, file_send(), method="HEAD")
        ask(server, *opened, ("try", file_send(offset=-1)), body())
        ask(server, *opened, file_send(count=5), ("try", file_send()))
        ask(server, *opened, file_send(count=5), ("try", path_send(large)))
    wait_until(lambda: not held(), "all descriptors to be closed")
    for leave in ("close", "reset"):
        path, key = write_script(server, START, path_send(large))
        with server.connect() as connection:
            connection.send_request("GET", path)
            assert connection.read_head().status == 200
            recorded(server, key)
            assert held() == [name]  # the test sees what it looks for
            getattr(connection, leave)()
            wait_until(lambda: not held(), f"the file to be closed after a {leave}")


# --- http.response.early_hint --------------------------------------------------------------------


def test_early_hints_come_at_once_and_before_the_response(server: Server) -> None:
    first, second = hint(b"</a.css>; rel=preload", b"</b.js>; rel=preload"), hint(b"</c>")
    gate = ("gate", None)
    path, key = write_script(server, first, second, gate, START, body(b"whole"))
    with server.connect() as connection:
        connection.send_request("GET", path)
        for links in (["</a.css>; rel=preload", "</b.js>; rel=preload"], ["</c>"]):
            interim = connection.read_response(interim=True)
            assert (interim.status, interim.reason) == (103, "Early Hints")
            assert interim.all("link") == links
        wait_until(lambda: "waiting" in events(server, key), "the app to wait at its gate")
        open_gate(server, key)
        response = connection.read_response(interim=True)
        assert (response.status, response.body) == (200, b"whole")
        assert response.all("link") == []
        assert_usable(connection)


@pytest.mark.parametrize("begun", [(), (body(b"begun", True),)], ids=["start", "body"])
def test_early_hint_after_the_start_is_an_error(
    server: Server, begun: tuple[dict[str, Any], ...]
) -> None:
    path, key = write_script(server, START, *begun, ("try", hint(b"</late>")), body(b"."))
    with server.connect() as connection:
        connection.send_request("GET", path)
        response = connection.read_response(interim=True)
        assert response.status == 200, "the hint was sent"
        assert response.body == (b"begun." if begun else b".")
    assert recorded(server, key) == ["RuntimeError"]


def test_early_hint_after_the_end_is_an_error(server: Server) -> None:
    response, outcome = ask(server, START, body(b"whole"), ("try", hint(b"</late>")))
    assert (response.body, outcome) == (b"whole", ["RuntimeError"])


@pytest.mark.parametrize(
    ("links", "error"),
    [
        (["</text>"], "TypeError"),
        ([7], "TypeError"),
        (7, "TypeError"),
        (b"</bytes>", "TypeError"),
        ([b"</a>\r\nx-split: yes"], "ValueError"),
        ([b"</a>\0"], "ValueError"),
        ([b"</good>", b"</bad>\n"], "ValueError"),
    ],
)
def test_bad_early_hint_is_refused_and_not_sent(server: Server, links: Any, error: str) -> None:
    message = {"type": HINT, "links": links}
    path, key = write_script(server, ("try", message), START, body(b"whole"))
    with server.connect() as connection:
        connection.send_request("GET", path)
        response = connection.read_response(interim=True)
        assert (response.status, response.body) == (200, b"whole")
        assert_usable(connection)
    assert recorded(server, key) == [error]


def test_http_1_0_never_sees_an_early_hint(server: Server) -> None:
    path, _ = write_script(server, ("try", hint(b"</a>")), START, body(b"whole"))
    with server.connect() as connection:
        connection.send(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        response = connection.read_response(interim=True)
        assert (response.status, response.body) == (200, b"whole")


def test_app_that_fails_after_an_early_hint_is_a_500(server: Server) -> None:
    path, _ = write_script(server, hint(b"</a>"), ("raise", "after the hint"))
    with server.connect() as connection:
        connection.send_request("GET", path)
        assert connection.read_response(interim=True).status == 103
        assert connection.read_response(interim=True).status == 500
        assert_usable(connection)


# --- http.response.trailers ----------------------------------------------------------------------


def test_trailers_follow_the_last_chunk(server: Server) -> None:
    steps = [WITH_TRAILERS, body(b"begun"), trailers((b"x-sum", b"1"), (b"x-sum", b"2"))]
    response, outcome = ask(server, *steps, headers=TE)
    assert (response.body, outcome) == (b"begun", [])
    assert response.header("transfer-encoding") == "chunked"
    assert response.trailers == [("x-sum", "1"), ("x-sum", "2")]


def test_trailers_on_the_wire(server: Server) -> None:
    path, _ = write_script(server, WITH_TRAILERS, body(b"begun"), trailers((b"x-a", b"1")))
    with server.connect() as connection:
        connection.send_request("GET", path, [*TE, ("Connection", "close")])
        connection.read_head()
        assert connection.read_until_close() == b"5\r\nbegun\r\n0\r\nx-a: 1\r\n\r\n"


def test_trailers_in_several_messages(server: Server) -> None:
    response, outcome = ask(
        server,
        WITH_TRAILERS,
        body(b"one ", True),
        body(b"two"),
        trailers((b"x-a", b"1"), more=True),
        trailers(more=True),
        trailers((b"x-b", b"2"), (b"x-a", b"3")),
        headers=TE,
    )
    assert (response.body, outcome) == (b"one two", [])
    assert response.trailers == [("x-a", "1"), ("x-b", "2"), ("x-a", "3")]


def test_trailers_may_be_none(server: Server) -> None:
    steps = [WITH_TRAILERS, body(b"whole"), {"type": TRAILERS}]
    response, outcome = ask(server, *steps, headers=TE)
    assert (response.body, response.trailers, outcome) == (b"whole", [], [])


def test_trailers_behind_an_empty_body(server: Server) -> None:
    steps = [WITH_TRAILERS, body(), trailers((b"x-a", b"1"))]
    response, _ = ask(server, *steps, headers=TE)
    assert (response.body, response.trailers) == (b"", [("x-a", "1")])


@pytest.mark.parametrize("extension", ["path", "file"])
def test_trailers_behind_a_file(server: Server, file: Path, extension: str) -> None:
    message = path_send(file) if extension == "path" else file_send()
    steps = [("open", str(file)), WITH_TRAILERS, message, trailers((b"x-a", b"1"))]
    response, outcome = ask(server, *steps, headers=TE)
    assert (response.body, response.trailers, outcome) == (DATA, [("x-a", "1")], [])


def test_body_is_sent_before_the_trailers_are_known(server: Server) -> None:
    steps = [WITH_TRAILERS, body(b"begun"), ("gate", None), trailers((b"x-a", b"1"))]
    path, key = write_script(server, *steps)
    with server.connect() as connection:
        connection.send_request("GET", path, TE)
        connection.read_head()
        assert connection.read_chunk() == b"begun"
        open_gate(server, key)
        assert connection.read_chunk() == b""
        assert connection.read_line() == "x-a: 1"
        assert connection.read_line() == ""
        assert_usable(connection)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_declared_length_leaves_no_place_for_trailers(server: Server, method: str) -> None:
    head = {**start(5), "trailers": True}
    steps = [head, body(b"whole"), trailers((b"x-a", b"1"))]
    response, outcome = ask(server, *steps, headers=TE, method=method)
    assert (response.header("content-length"), outcome) == ("5", [])
    assert response.body == (b"whole" if method == "GET" else b"")


def test_head_has_no_trailers(server: Server) -> None:
    steps = [WITH_TRAILERS, body(b"whole"), trailers((b"x-a", b"1"))]
    response, outcome = ask(server, *steps, headers=TE, method="HEAD")
    assert (response.status, outcome) == (200, [])


def test_framing_fields_are_no_trailers(server: Server) -> None:
    pairs = [(b"content-length", b"3"), (b"transfer-encoding", b"x"), (b"connection", b"close")]
    steps = [WITH_TRAILERS, body(b"whole"), trailers(*pairs, (b"x-a", b"1"))]
    response, _ = ask(server, *steps, headers=TE)
    assert response.trailers == [("x-a", "1")]


@pytest.mark.parametrize(
    "pair", [(b"x-a", b"1\r\nx-split: yes"), (b"x a", b"1"), (b"", b"1"), ("x-a", b"1"), (b"x",)]
)
def test_bad_trailers_are_refused_and_the_good_ones_sent(server: Server, pair: Any) -> None:
    bad = {"type": TRAILERS, "headers": [(b"x-lost", b"0"), pair]}
    steps = [WITH_TRAILERS, body(b"whole"), ("try", bad), trailers((b"x-a", b"1"))]
    response, outcome = ask(server, *steps, headers=TE)
    assert response.trailers == [("x-a", "1")]
    assert outcome in (["ValueError"], ["TypeError"])


def test_announced_trailers_that_never_come_cut_the_response(server: Server) -> None:
    log = LogFrom(server)
    assert assert_cut(server, WITH_TRAILERS, body(b"whole"), begun=b"whole", headers=TE) == []
    text = log.text()
    assert "GET /script" in text
    assert "without completing its response" in text


def test_trailers_that_never_end_cut_the_response(server: Server) -> None:
    log = LogFrom(server)
    steps = [WITH_TRAILERS, body(b"whole"), trailers((b"x-a", b"1"), more=True)]
    assert assert_cut(server, *steps, begun=b"whole", headers=TE) == []
    assert "without completing its response" in log.text()


@pytest.mark.parametrize("how", ["returned", "raised"])
def test_trailers_of_an_app_that_failed_are_not_sent_with_the_next_response(
    server: Server, how: str
) -> None:
    steps: list[Any] = [WITH_TRAILERS, body(b"whole"), trailers((b"x-secret", b"1"), more=True)]
    if how == "raised":
        steps.append(("raise", "in the middle of the trailers"))
    for _ in range(3):
        assert_cut(server, *steps, begun=b"whole", headers=TE)
    for _ in range(3):
        fine = [WITH_TRAILERS, body(b"whole"), trailers((b"x-a", b"1"))]
        assert ask(server, *fine, headers=TE)[0].trailers == [("x-a", "1")]


def test_trailers_that_were_not_announced_are_an_error(server: Server) -> None:
    one = ("try", trailers((b"x-a", b"1")))
    response, outcome = ask(server, START, body(b"begun", True), one, body(b"."), headers=TE)
    assert (response.body, response.trailers, outcome) == (b"begun.", [], ["RuntimeError"])
    response, outcome = ask(server, START, body(b"whole"), one, headers=TE)
    assert (response.body, response.trailers, outcome) == (b"whole", [], ["RuntimeError"])
    response, outcome = ask(server, one, START, body(b"whole"), headers=TE)
    assert (response.body, response.trailers, outcome) == (b"whole", [], ["RuntimeError"])


def test_trailers_of_the_last_request_announce_nothing_for_the_next(server: Server) -> None:
    fine = [WITH_TRAILERS, body(b"whole"), trailers((b"x-a", b"1"))]
    for _ in range(3):
        assert ask(server, *fine, headers=TE)[1] == []
        steps = [START, body(b"plain"), ("try", trailers((b"x-a", b"1")))]
        response, outcome = ask(server, *steps, headers=TE)
        assert (response.body, outcome) == (b"plain", ["RuntimeError"])
        assert response.header("content-length") == "5"


def test_trailers_before_the_end_of_the_body_are_an_error(server: Server) -> None:
    early = ("try", trailers((b"x-early", b"1")))
    steps = [WITH_TRAILERS, body(b"begun", True), early, body(b"."), trailers((b"x-a", b"1"))]
    response, outcome = ask(server, *steps, headers=TE)
    assert (response.body, response.trailers) == (b"begun.", [("x-a", "1")])
    assert outcome == ["RuntimeError"]


@pytest.mark.parametrize("extension", ["body", "path", "file"])
def test_no_body_may_follow_its_end_where_trailers_are_due(
    server: Server, file: Path, extension: str
) -> None:
    last = {"body": body(b"1"), "path": path_send(file), "file": file_send(offset=0)}[extension]
    steps = [("open", str(file)), WITH_TRAILERS, last, ("try", body(b"2"))]
    response, outcome = ask(server, *steps, trailers((b"x-a", b"1")), headers=TE)
    assert response.body == (b"1" if extension == "body" else DATA)
    assert (response.trailers, outcome) == ([("x-a", "1")], ["RuntimeError"])


def test_nothing_may_follow_the_trailers(server: Server) -> None:
    later = [("try", message) for message in (trailers((b"x-b", b"2")), body(b"more"), START)]
    steps = [WITH_TRAILERS, body(b"whole"), trailers((b"x-a", b"1")), *later]
    response, outcome = ask(server, *steps, headers=TE)
    assert (response.body, response.trailers) == (b"whole", [("x-a", "1")])
    assert outcome == ["RuntimeError"] * 3


def test_trailers_on_http_2(server: Server) -> None:
    two = [trailers((b"x-a", b"1"), (b"X-B", b"2"), more=True), trailers((b"x-a", b"3"))]
    path, key = write_script(server, WITH_TRAILERS, body(b"one ", True), body(b"two"), *two)
    with H2Client(server) as connection:
        for _ in range(2):
            stream, data = connection.read(path)
            assert (stream.status(), data) == (200, b"one two")
            expected = [("x-a", "1"), ("x-b", "2"), ("x-a", "3")]
            assert sorted(connection.trailers[stream.number]) == sorted(expected)
    assert recorded(server, key).count("RuntimeError") == 0


def test_trailers_on_http_2_behind_an_empty_body(server: Server) -> None:
    path, _ = write_script(server, WITH_TRAILERS, body(), trailers((b"x-a", b"1")))
    with H2Client(server) as connection:
        stream, data = connection.read(path)
        assert (stream.status(), data) == (200, b"")
        assert connection.trailers[stream.number] == [("x-a", "1")]


def test_announced_trailers_that_never_come_reset_the_stream_on_http_2(server: Server) -> None:
    log = LogFrom(server)
    path, key = write_script(server, WITH_TRAILERS, body(b"whole"))
    with H2Client(server) as connection:
        stream = connection.get(path)
        with pytest.raises(ConnectionResetError):
            stream.read_until_close()
    recorded(server, key)
    assert "without completing its response" in log.text()


def test_trailers_to_a_client_that_has_left_are_an_os_error(server: Server) -> None:
    log, gone = LogFrom(server), ("receive", "http.disconnect")
    steps = [WITH_TRAILERS, body(b"whole"), gone, ("try", trailers((b"x-a", b"1")))]
    path, key = write_script(server, *steps)
    with server.connect() as connection:
        connection.send_request("GET", path, TE)
        connection.read_head()
        connection.reset()
    (error,) = recorded(server, key)
    assert issubclass(getattr(builtins, error), OSError)
    assert "Traceback" not in log.text()
