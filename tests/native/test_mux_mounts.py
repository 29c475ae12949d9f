"""WSGI and ASGI apps, native handlers and other Muxes in one server."""

import asyncio
import contextlib
import hashlib
import importlib
import importlib.util
import itertools
import json
import os
import random
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from gohttp import Mux
from support import (
    RawConnection,
    Response,
    Server,
    clean_environment,
    free_port,
    gohttp_serve,
    run_gohttp,
    wait_until,
)

HERE = Path(__file__).parent
APPS = HERE / "apps"
HEALTH = ("--health-path", "/health")
MIB = 1024 * 1024
KINDS = ["wsgi", "asgi", "sync", "async"]
SYNC = ["wsgi", "sync"]
PROMPT = 0.5  # seconds in which nine of ten answers come that wait for nobody, on a busy machine

_numbers = itertools.count(1)


class Site:
    """A server with `mount_cases`, and its folder of events and gates."""

    def __init__(self, server: Server, folder: Path, kinds: Sequence[str]) -> None:
        self.server = server
        self.folder = folder
        self.kinds = kinds
        self._gates: list[str] = []

    def events(self) -> list[str]:
        file = self.folder / "events"
        return file.read_text("utf-8").splitlines() if file.exists() else []

    def wait_for(self, event: str) -> None:
        wait_until(lambda: event in self.events(), f"{event!r} among the events")

    def gate(self) -> str:
        """A gate that is closed until the end of the test."""
        self._gates.append(f"gate-{next(_numbers)}")
        return self._gates[-1]

    def open(self, gate: str) -> None:
        (self.folder / gate).touch()

    def open_all(self) -> None:
        for gate in self._gates:
            self.open(gate)

    def get(self, path: str) -> bytes:
        response = self.server.get(path)
        assert response.status == 200, response
        return response.body

    def json(self, path: str) -> Any:
        return json.loads(self.get(path))


@contextmanager
def serve(
    folder: Path,
    *options: str,
    target: str = "mount_cases:mux",
    kinds: Sequence[str] = KINDS,
    workers: int = 1,
    exit_code: int | None = 0,
) -> Iterator[Site]:
    env = {"FOLDER": str(folder)}
    with gohttp_serve(
        target, *options, *HEALTH, cwd=APPS, env=env, workers=workers, exit_code=exit_code
    ) as server:
        site = Site(server, folder, kinds)
        try:
            yield site
        finally:
            site.open_all()


UVLOOP = pytest.param(
    "uvloop",
    marks=pytest.mark.skipif(
        importlib.util.find_spec("uvloop") is None, reason="uvloop is not installed"
    ),
)


LOOPS = ["asyncio", UVLOOP]
THREADS = "threads only"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test on each server that has what it needs: only loops have ASGI apps."""
    names = metafunc.fixturenames
    if "shared" not in names:
        return
    if "kind" in names:
        pairs = itertools.product([*LOOPS, THREADS], KINDS)
        cases = [
            _with(server, kind) for server, kind in pairs if (server, kind) != (THREADS, "asgi")
        ]
        metafunc.parametrize(("shared", "kind"), cases, indirect=["shared"], scope="module")
    else:
        servers = LOOPS if "mixed" in names else [*LOOPS, THREADS]
        metafunc.parametrize("shared", servers, indirect=True, scope="module")


def _with(server: Any, kind: str) -> Any:
    values, marks = getattr(server, "values", (server,)), getattr(server, "marks", ())
    return pytest.param(*values, kind, marks=marks)


@pytest.fixture(scope="module")
def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """All kinds on each event loop; and those that need none, where the baton drives."""
    folder = tmp_path_factory.mktemp("site")
    if request.param == THREADS:
        kinds = [kind for kind in KINDS if kind != "asgi"]
        with serve(folder, target="mount_cases:threads_only", kinds=kinds) as site:
            yield site
    else:
        with serve(folder, "--loop", request.param) as site:
            yield site


@pytest.fixture
def site(shared: Site) -> Iterator[Site]:
    yield shared
    shared.open_all()


@pytest.fixture
def mixed(site: Site) -> Site:
    """A site that has an event loop."""
    return site


@pytest.fixture
def http_2(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The class of clients."""
    monkeypatch.syspath_prepend(HERE.parent / "protocol")
    return importlib.import_module("h2client").H2Client


@pytest.fixture
def websockets(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The client's module."""
    monkeypatch.syspath_prepend(HERE.parent / "asgi")
    return importlib.import_module("websocket_client")


def ask(connection: RawConnection, path: str, **options: Any) -> Response:
    connection.send_request(options.pop("method", "GET"), path, **options)
    return connection.read_response()


def digest(body: bytes) -> list[Any]:
    return [len(body), hashlib.sha256(body).hexdigest()]


# --- where an app is -----------------------------------------------------------------------------

WSGI_PLACES = [
    # path, app, SCRIPT_NAME, PATH_INFO
    ("/wsgi/who", "wsgi", "/wsgi", "/who"),
    ("/wsgi//x/../who", "wsgi", "/wsgi", "//x/../who"),
    ("/wsgi/a%20b/%2Fx/who", "wsgi", "/wsgi", "/a b//x/who"),
    ("/%77sgi/who", "wsgi", "/wsgi", "/who"),
    ("/wsgi/wsgi/who", "wsgi", "/wsgi", "/wsgi/who"),
    ("/wsgi/in/who", "wsgi", "/wsgi", "/in/who"),
    ("/wsgi/in/side/who", "inside-wsgi", "/wsgi/in/side", "/who"),
    ("/deep/er/wsgi/who", "deep-wsgi", "/deep/er/wsgi", "/who"),
    ("/de%65p/er/%77sgi/x/who", "deep-wsgi", "/deep/er/wsgi", "/x/who"),
    ("/gr%C3%BCn/wsgi/who", "green-wsgi", "/gr\u00c3\u00bcn/wsgi", "/who"),
    ("/en%20coded/wsgi/who", "encoded-wsgi", "/en coded/wsgi", "/who"),
]
ASGI_PLACES = [
    # path, app, root_path, path as ASGI has it
    ("/asgi/who", "asgi", "/asgi", "/asgi/who"),
    ("/asgi//x/../who", "asgi", "/asgi", "/asgi//x/../who"),
    ("/asgi/a%20b/%2Fx/who", "asgi", "/asgi", "/asgi/a b//x/who"),
    ("/%61sgi/who", "asgi", "/asgi", "/asgi/who"),
    ("/asgi/asgi/who", "asgi", "/asgi", "/asgi/asgi/who"),
    ("/asgi/in/side/who", "inside-asgi", "/asgi/in/side", "/asgi/in/side/who"),
    ("/deep/er/asgi/who", "deep-asgi", "/deep/er/asgi", "/deep/er/asgi/who"),
    ("/gr%C3%BCn/asgi/who", "green-asgi", "/grün/asgi", "/grün/asgi/who"),
    ("/en%20coded/asgi/who", "encoded-asgi", "/en coded/asgi", "/en coded/asgi/who"),
]


@pytest.mark.parametrize("place", WSGI_PLACES, ids=lambda place: place[0])
def test_wsgi_app_is_told_its_prefix(mixed: Site, place: tuple[str, str, str, str]) -> None:
    path, app, script_name, path_info = place
    told = mixed.json(path + "?q=%20")
    assert (told["app"], told["SCRIPT_NAME"], told["PATH_INFO"]) == (app, script_name, path_info)
    assert (told["QUERY_STRING"], told["REQUEST_URI"]) == ("q=%20", path + "?q=%20")


@pytest.mark.parametrize("place", ASGI_PLACES, ids=lambda place: place[0])
def test_asgi_app_is_told_its_prefix(mixed: Site, place: tuple[str, str, str, str]) -> None:
    path, app, root_path, asgi_path = place
    told = mixed.json(path + "?q=%20")
    assert (told["app"], told["root_path"], told["path"]) == (app, root_path, asgi_path)
    assert (told["query"], told["raw_path"]) == ("q=%20", path)


def test_app_is_found_at_its_prefix_itself(mixed: Site) -> None:
    """Without a slash at its end, too: nobody is redirected."""
    for path in ("/wsgi", "/wsgi/", "/deep/er/wsgi", "/deep/er/wsgi/"):
        assert mixed.get(path).endswith(b"wsgi ")
    for path, body in [("/asgi", b"asgi asgi"), ("/asgi/", b"asgi "), ("/asgi?x", b"asgi asgi")]:
        assert mixed.get(path) == body
    assert mixed.server.get("/wsgix/who").status == 404
    assert mixed.server.get("/deep/er/wsgix").status == 404


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS", "BREW"])
def test_app_has_all_methods(mixed: Site, method: str) -> None:
    for path in ("/wsgi/who", "/asgi/who", "/deep/er/wsgi/who", "/deep/er/asgi/who"):
        told = json.loads(mixed.server.request(method, path).body)
        assert told.get("method", told.get("REQUEST_METHOD")) == method
    for path in ("/wsgi/who", "/asgi/who"):
        response = mixed.server.request("HEAD", path)
        assert (response.status, response.body) == (200, b"")


def test_route_in_a_mount_and_mount_of_a_host_are_more_specific(mixed: Site) -> None:
    assert mixed.json("/asgi/routes/who")["app"] == "route in a mount"
    assert mixed.json("/asgi/routes/x/who")["app"] == "asgi"
    hosted = mixed.server.get("/hosted/who", [("Host", "example.org:80")])
    told = json.loads(hosted.body)
    assert (told["app"], told["root_path"], told["path"]) == (
        "hosted-asgi",
        "/hosted",
        "/hosted/who",
    )
    assert mixed.server.get("/hosted/who").status == 404


# --- behind a proxy ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def behind_a_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    options = ("--root-path", "/root/path", "--access-log")
    with serve(tmp_path_factory.mktemp("proxy"), *options) as site:
        yield site


@pytest.fixture(params=["", "/root/path"], ids=["the proxy strips", "the proxy does not"])
def left(request: pytest.FixtureRequest) -> str:
    """What the proxy has left of the server's own prefix."""
    left: str = request.param
    return left


@pytest.mark.parametrize("place", WSGI_PLACES, ids=lambda place: place[0])
def test_wsgi_app_is_told_the_proxys_prefix_too(
    behind_a_proxy: Site, left: str, place: tuple[str, str, str, str]
) -> None:
    path, app, script_name, path_info = place
    told = behind_a_proxy.json(left + path)
    whole = "/root/path" + script_name
    assert (told["app"], told["SCRIPT_NAME"], told["PATH_INFO"]) == (app, whole, path_info)


@pytest.mark.parametrize("place", ASGI_PLACES, ids=lambda place: place[0])
def test_asgi_app_is_told_the_proxys_prefix_too(
    behind_a_proxy: Site, left: str, place: tuple[str, str, str, str]
) -> None:
    path, app, root_path, asgi_path = place
    told = behind_a_proxy.json(left + path)
    whole = ("/root/path" + root_path, "/root/path" + asgi_path)
    assert (told["app"], told["root_path"], told["path"]) == (app, *whole)
    assert told["raw_path"] == left + path


def test_patterns_do_not_have_the_proxys_prefix(behind_a_proxy: Site, left: str) -> None:
    for path, pattern in [
        ("/sync/who", "/sync/{case}"),
        ("/deep/er/async/who", "/async/{case}"),
    ]:
        assert behind_a_proxy.json(left + path)["pattern"] == pattern
    assert behind_a_proxy.server.get(left + "/nowhere").status == 404


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("/tree?x=1", "/root/path/tree/?x=1"),
        ("/deep//er/sync/who", "/root/path/deep/er/sync/who"),
        ("/deep/er/sync/./who", "/root/path/deep/er/sync/who"),
        ("/folder/tree", "/root/path/folder/tree/"),
    ],
)
def test_redirect_leads_behind_the_proxy_again(
    behind_a_proxy: Site, left: str, target: str, location: str
) -> None:
    response = behind_a_proxy.server.get(left + target)
    assert (response.status, response.header("location")) == (301, location)


def test_access_log_has_requests_of_all_kinds(behind_a_proxy: Site, left: str) -> None:
    mark = f"mark-{next(_numbers)}"
    expected = {f"/{kind}/ok": 200 for kind in KINDS}
    expected |= {"/nowhere": 404, "/tree": 301, "/deep/er/wsgi/fail": 500, "/asgi/fail": 500}
    for path, status in expected.items():
        assert behind_a_proxy.server.get(f"{left}{path}?{mark}").status == status
    for path, status in expected.items():
        line = f'"GET {left}{path}?{mark} HTTP/1.1" {status} '
        wait_until(
            lambda line=line: any(line in told for told in behind_a_proxy.server.output()), line
        )


@pytest.fixture(scope="module")
def behind_letters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serve(tmp_path_factory.mktemp("letters"), "--root-path", "/süß") as site:
        yield site


@pytest.mark.parametrize("left", ["", "/s%C3%BC%C3%9F"], ids=["stripped", "not stripped"])
def test_prefix_of_a_proxy_may_have_any_letters(behind_letters: Site, left: str) -> None:
    told = behind_letters.json(left + "/wsgi/who")
    script_name = "/süß/wsgi".encode().decode("latin-1")
    assert (told["SCRIPT_NAME"], told["PATH_INFO"]) == (script_name, "/who")
    told = behind_letters.json(left + "/asgi/who")
    assert (told["root_path"], told["path"]) == ("/süß/asgi", "/süß/asgi/who")
    assert behind_letters.json(left + "/sync/who")["pattern"] == "/sync/{case}"


def test_redirect_encodes_the_prefix_of_a_proxy(behind_letters: Site) -> None:
    response = behind_letters.server.get("/tree")
    assert (response.status, response.header("location")) == (301, "/s%C3%BC%C3%9F/tree/")


# --- one connection, many apps -------------------------------------------------------------------

WHO = [
    ("/wsgi/who", "wsgi"),
    ("/asgi/who", "asgi"),
    ("/sync/who", "sync"),
    ("/async/who", "async"),
    ("/deep/er/wsgi/who", "deep-wsgi"),
    ("/deep/er/asgi/who", "deep-asgi"),
    ("/deep/er/sync/who", "deep-sync"),
    ("/wsgi/in/side/who", "inside-wsgi"),
    ("/asgi/in/side/who", "inside-asgi"),
]


def assert_told_right(
    told: Any, path: str, app: str, query: str, fields: Sequence[tuple[str, str]]
) -> None:
    """Everything in it belongs to this request, and to this app."""
    assert told["app"] == app
    own = {name.lower(): value for name, value in fields}
    if "PATH_INFO" in told:
        prefix = path.removesuffix("/who")
        assert (told["SCRIPT_NAME"], told["PATH_INFO"]) == (prefix, "/who")
        assert (told["QUERY_STRING"], told["REQUEST_METHOD"]) == (query, "GET")
        assert told["wsgi.url_scheme"] == "http"
        seen = {
            name.removeprefix("HTTP_").replace("_", "-").lower(): value
            for name, value in told.items()
            if name.startswith("HTTP_X_")
        }
    else:
        assert (told["path"], told["query"], told["method"]) == (path, query, "GET")
        headers = [(name, value) for name, value in told["headers"]]
        seen = {name.lower(): value for name, value in headers if name.lower().startswith("x-")}
        if "root_path" in told:
            assert told["root_path"] == path.removesuffix("/who")
            assert told["state"] == {"name": app}
    assert seen == own
    assert not told.get("leaks")


def turns(site: Site, count: int, seed: int) -> list[tuple[str, str, str, list[tuple[str, str]]]]:
    """Requests in an order that is different but the same each time."""
    chance = random.Random(seed)
    who = WHO if "asgi" in site.kinds else [one for one in WHO if one[1] in site.kinds]
    made = []
    fields: list[tuple[str, str]] = []
    for number in range(count):
        if chance.random() < 0.5:  # else the same fields as before, which is what is kept
            fields = [(f"X-{chance.choice('abc')}", f"{chance.randrange(3)}")]
        path, app = chance.choice(who)
        made.append((path, app, f"n={number}" if chance.random() < 0.5 else "", fields))
    return made


def test_apps_of_one_connection_do_not_see_each_other(site: Site) -> None:
    with site.server.connect() as connection:
        for path, app, query, fields in turns(site, 300, seed=1):
            response = ask(connection, f"{path}?{query}", headers=fields)
            assert_told_right(json.loads(response.body), path, app, query, fields)


def test_pipelined_requests_of_all_apps_are_answered_in_order(site: Site) -> None:
    made = turns(site, 60, seed=2)
    with site.server.connect() as connection:
        sent = b""
        for path, _, query, fields in made:
            lines = [f"GET {path}?{query} HTTP/1.1", "Host: test"]
            lines += [f"{name}: {value}" for name, value in fields]
            sent += "\r\n".join(lines).encode() + b"\r\n\r\n"
        connection.send(sent)
        for path, app, query, fields in made:
            told = json.loads(connection.read_response().body)
            assert_told_right(told, path, app, query, fields)


def test_streams_of_one_connection_do_not_see_each_other(site: Site, http_2: Any) -> None:
    with http_2(site.server) as client:
        for first in range(4):
            made = turns(site, 40, seed=3 + first)
            numbers = [
                client.start("GET", f"{path}?{query}", [(n.lower(), v) for n, v in fields])
                for path, _, query, fields in made
            ]
            for stream, (path, app, query, fields) in zip(client.wait(*numbers), made, strict=True):
                assert stream.status == 200
                assert_told_right(json.loads(stream.body), path, app, query, fields)


def test_connections_at_once_do_not_see_each_other(site: Site) -> None:
    failures: list[BaseException] = []

    def talk(seed: int) -> None:
        try:
            with site.server.connect() as connection:
                for path, app, query, fields in turns(site, 60, seed):
                    response = ask(connection, f"{path}?{query}", headers=fields)
                    assert_told_right(json.loads(response.body), path, app, query, fields)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=talk, args=(10 + seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[0]


# --- bodies --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 3, 100_000, MIB, 3 * MIB + 7])
def test_upload_of_any_size(site: Site, kind: str, size: int) -> None:
    body = random.Random(size).randbytes(size)
    with site.server.connect() as connection:
        for _ in range(2):
            response = ask(connection, f"/{kind}/echo", method="POST", body=body)
            assert json.loads(response.body) == digest(body)
        half = size // 2
        chunks = b"".join(
            b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:half], body[half:]) if part
        )
        chunked = [("Transfer-Encoding", "chunked")]
        response = ask(
            connection,
            f"/{kind}/echo",
            method="POST",
            headers=chunked,
            body=chunks + b"0\r\n\r\n",
        )
        assert json.loads(response.body) == digest(body)


def test_uploads_to_all_at_once_on_one_http_2_connection(site: Site, http_2: Any) -> None:
    body = random.Random(7).randbytes(MIB + 1)
    with http_2(site.server) as client:
        numbers = [client.start("POST", f"/{kind}/echo", end=False) for kind in site.kinds]
        quarter = len(body) // 4 + 1
        for start in range(0, len(body), quarter):
            for number in numbers:
                part = body[start : start + quarter]
                client.send(number, part, end=start + quarter >= len(body))
        for stream in client.wait(*numbers):
            assert json.loads(stream.body) == digest(body)


def test_body_is_continued_with_if_the_app_wants_it(site: Site, kind: str) -> None:
    headers = [("Expect", "100-continue"), ("Content-Length", "5")]
    with site.server.connect() as connection:
        connection.send_request("POST", f"/{kind}/echo", headers)
        assert connection.read_response(interim=True).status == 100
        connection.send(b"large")
        assert json.loads(connection.read_response().body) == digest(b"large")


def test_body_that_was_not_read_is_nobody_elses(site: Site) -> None:
    with site.server.connect() as connection:
        for turn, kind in enumerate(itertools.islice(itertools.cycle(site.kinds), 12)):
            body = b"GET /nowhere HTTP/1.1\r\nHost: evil\r\n\r\n" * (1 + 200 * (turn % 2))
            response = ask(connection, f"/{kind}/ok", method="POST", body=body)
            assert response.body == f"{kind} ok".encode()


def test_streams_of_all_kinds_at_once(site: Site) -> None:
    gate = site.gate()
    with ExitStack() as stack:
        connections = [stack.enter_context(site.server.connect()) for _ in range(3 * 4)]
        for connection, kind in zip(connections, itertools.cycle(site.kinds), strict=False):
            connection.send_request("GET", f"/{kind}/stream?{gate}")
        for connection in connections:
            assert connection.read_head().status == 200
            assert connection.read_chunk() == b"first"
        site.open(gate)
        for connection in connections:
            assert connection.read_chunk() == b"second"
            assert connection.read_chunk() == b""


# --- WebSockets ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "app", "root_path"),
    [("/asgi/chat", "asgi", "/asgi"), ("/deep/er/asgi/chat", "deep-asgi", "/deep/er/asgi")],
)
def test_websocket_of_a_mounted_app(
    mixed: Site, websockets: Any, path: str, app: str, root_path: str
) -> None:
    with websockets.websocket(mixed.server, path + "?q=1") as chat:
        told = chat.read_json()
        assert (told["type"], told["scheme"], told["app"]) == ("websocket", "ws", app)
        assert (told["path"], told["root_path"], told["query"]) == (path, root_path, "q=1")
        assert told["state"] == {"name": app}
        chat.text("hello")
        assert chat.read() == f"{app}: hello"
        assert chat.close(1000) == (1000, "")
    mixed.wait_for(f"{app} closed with 1000")
    with websockets.H2Connection(mixed.server) as connection:
        chat = connection.websocket(path)
        assert chat.read_json()["root_path"] == root_path
        chat.text("hello")
        assert chat.read() == f"{app}: hello"


def test_handshake_with_what_is_no_websocket_is_a_usual_request(
    site: Site, websockets: Any
) -> None:
    for path in ("/wsgi/ok", "/sync/ok", "/async/ok"):
        with site.server.connect() as connection:
            websockets.handshake(connection, path)
            response = connection.read_response()
            assert (response.status, response.header("upgrade")) == (200, None)
            assert ask(connection, "/sync/ok").body == b"sync ok"
    for path, status in [("/nowhere", 404)]:
        with site.server.connect() as connection:
            websockets.handshake(connection, path)
            assert connection.read_response().status == status


def test_websocket_of_http_2_is_refused_by_what_has_none(mixed: Site, websockets: Any) -> None:
    """There any 2xx would say that it is open (RFC 8441 section 5)."""
    for path in ("/wsgi/ok", "/sync/ok", "/async/ok", "/nowhere", "/tree/ok"):
        with websockets.H2Connection(mixed.server) as connection:
            assert connection.open(path).status() >= 400, path


def test_websockets_go_on_while_sync_handlers_block(mixed: Site, websockets: Any) -> None:
    gate = mixed.gate()
    with mixed.server.connect() as waiting:
        waiting.send_request("GET", f"/sync/wait?{gate}")
        mixed.wait_for(f"sync begun {gate}")
        with websockets.websocket(mixed.server, "/asgi/chat") as chat:
            chat.read()
            for number in range(20):
                chat.text(str(number))
                assert chat.read() == f"asgi: {number}"
        mixed.open(gate)
        assert waiting.read_response().body == b"done"


# --- threads beside a loop -----------------------------------------------------------------------


def latencies(site: Site, path: str, count: int) -> list[float]:
    """How long requests take, sorted."""
    taken = []
    with site.server.connect() as connection:
        for _ in range(count):
            began = time.monotonic()
            assert ask(connection, path).status == 200
            taken.append(time.monotonic() - began)
    return sorted(taken)


def test_asgi_goes_on_while_all_threads_block(mixed: Site) -> None:
    gate = mixed.gate()
    with ExitStack() as stack:
        waiting = [stack.enter_context(mixed.server.connect()) for _ in range(20)]
        for connection, kind in zip(waiting, itertools.cycle(SYNC), strict=False):
            connection.send_request("GET", f"/{kind}/wait?{gate}")
        wait_until(
            lambda: sum(event.endswith(f"begun {gate}") for event in mixed.events()) >= 16,
            "all threads to be in handlers",
        )
        taken = latencies(mixed, "/asgi/echo", 100)
        assert taken[50] < 0.05
        assert taken[90] < PROMPT
        assert mixed.server.get("/health").body == b"ok\n"
        mixed.open(gate)
        for connection in waiting:
            assert connection.read_response().body == b"done"


def test_asgi_goes_on_while_threads_compute(mixed: Site) -> None:
    """They take the GIL in turns with the loop."""
    gate = mixed.gate()
    with ExitStack() as stack:
        spinning = [stack.enter_context(mixed.server.connect()) for _ in range(2)]
        for connection, kind in zip(spinning, SYNC, strict=True):
            connection.send_request("GET", f"/{kind}/spin?{gate}")
            mixed.wait_for(f"{kind} spins {gate}")
        taken = latencies(mixed, "/asgi/echo", 20)
        assert taken[10] < 0.1
        mixed.open(gate)
        for connection in spinning:
            assert connection.read_response().body == b"spun"


@pytest.mark.parametrize("hog", ["asgi", "async"])
def test_sync_goes_on_while_the_loop_is_kept(mixed: Site, hog: str) -> None:
    gate = mixed.gate()
    with mixed.server.connect() as hogging, mixed.server.connect() as behind:
        hogging.send_request("GET", f"/{hog}/hog?{gate}")
        mixed.wait_for(f"{hog} hogs {gate}")
        behind.send_request("GET", "/asgi/ok")
        for kind in SYNC:
            taken = latencies(mixed, f"/{kind}/echo", 20)
            assert taken[18] < PROMPT
            assert mixed.get(f"/{kind}/ok") == f"{kind} ok".encode()
        body = b"x" * (2 * MIB)
        with mixed.server.connect() as connection:
            response = ask(connection, "/wsgi/echo", method="POST", body=body)
            assert json.loads(response.body) == digest(body)
        assert mixed.server.get("/health").body == b"ok\n"
        assert mixed.server.get("/nowhere").status == 404
        mixed.open(gate)
        assert hogging.read_response().body == b"hogged"
        assert behind.read_response().body == b"asgi ok"


def test_async_native_handlers_run_on_the_loop_of_the_apps(mixed: Site) -> None:
    loop = mixed.get("/asgi/loop")
    assert mixed.get("/async/loop") == mixed.get("/deep/er/async/loop") == loop
    assert mixed.get("/async/thread") == mixed.get("/asgi/thread") == b"MainThread"
    for kind in SYNC:
        assert mixed.get(f"/{kind}/thread") != b"MainThread"


def test_one_thread_is_one_thread_beside_a_loop_too(tmp_path: Path) -> None:
    with serve(tmp_path, "--threads", "1") as site:
        answered = []
        done = threading.Event()

        def bother() -> None:
            with site.server.connect() as connection:
                while not done.is_set():
                    answered.append(ask(connection, "/asgi/ok").body)

        bothering = threading.Thread(target=bother)
        bothering.start()
        with ExitStack() as stack:
            connections = [stack.enter_context(site.server.connect()) for _ in range(20)]
            for _ in range(2):
                for connection, kind in zip(connections, itertools.cycle(SYNC), strict=False):
                    connection.send_request("GET", f"/{kind}/present?0.01")
                for connection in connections:
                    assert connection.read_response().body == b"was here"
        done.set()
        bothering.join()
        assert len(answered) > 20
        assert set(answered) == {b"asgi ok"}
        assert site.json("/asgi/presence") == [1, 1]
        # A stream does not make room for a second thread either.
        gate = site.gate()
        with site.server.connect() as streaming, site.server.connect() as waiting:
            streaming.send_request("GET", f"/wsgi/stream?{gate}")
            assert streaming.read_head().status == 200
            assert streaming.read_chunk() == b"first"
            waiting.send_request("GET", "/sync/present?0")
            assert site.get("/asgi/ok") == b"asgi ok"
            site.open(gate)
            assert streaming.read_chunk() == b"second"
            assert waiting.read_response().body == b"was here"


def test_queue_is_that_of_the_threads(tmp_path: Path) -> None:
    options = ("--threads", "1", "--queue", "1", "--queue-timeout", "0")
    with serve(tmp_path, *options) as site, ExitStack() as stack:
        gate = site.gate()
        running, queued = (stack.enter_context(site.server.connect()) for _ in range(2))
        running.send_request("GET", f"/wsgi/wait?{gate}")
        site.wait_for(f"wsgi begun {gate}")
        queued.send_request("POST", f"/sync/wait?{gate}")

        def refused() -> Response | None:
            with contextlib.suppress(TimeoutError), site.server.connect(timeout=0.5) as connection:
                response = ask(connection, f"/wsgi/wait?{gate}")
                return response if response.status == 503 else None
            return None

        response = wait_until(refused, "the queue to be full")
        assert response.header("retry-after") == "1"
        with site.server.connect() as connection:
            for path in ("/sync/ok", "/wsgi/ok", "/async/ok"):
                assert ask(connection, path).status == 503
            for _ in range(20):
                assert ask(connection, "/asgi/ok").body == b"asgi ok"
            assert ask(connection, "/nowhere").status == 404
        site.open(gate)
        assert running.read_response().body == b"done"
        assert queued.read_response().body == b"done"
        for kind in KINDS:
            assert site.get(f"/{kind}/ok") == f"{kind} ok".encode()


def test_limit_of_concurrency_is_that_of_the_loop(tmp_path: Path) -> None:
    with serve(tmp_path, "--limit-concurrency", "1") as site, site.server.connect() as connection:
        gate = site.gate()
        connection.send_request("GET", f"/asgi/wait?{gate}")
        site.wait_for(f"asgi begun {gate}")
        for path in ("/asgi/ok", "/deep/er/asgi/ok", "/async/ok"):
            assert site.server.get(path).status == 503
        for path in ("/wsgi/ok", "/sync/ok"):
            assert site.server.get(path).status == 200
        site.open(gate)
        assert connection.read_response().body == b"done"
        assert site.get("/asgi/ok") == b"asgi ok"


# --- time-outs -----------------------------------------------------------------------------------


@pytest.mark.parametrize("loop", ["asyncio", UVLOOP])
def test_request_timeout_is_for_all_kinds(tmp_path: Path, loop: str) -> None:
    with serve(tmp_path, "--request-timeout", "0.5", "--loop", loop) as site:
        with ExitStack() as stack:
            connections = {kind: stack.enter_context(site.server.connect()) for kind in KINDS}
            began = time.monotonic()
            for kind, connection in connections.items():
                connection.send_request("GET", f"/{kind}/sleep")
            statuses = {kind: c.read_response().status for kind, c in connections.items()}
            # A task may be cancelled a moment before its connection answers for it: 503.
            assert statuses.pop("asgi") in (503, 504)
            assert set(statuses.values()) == {504}
            assert 0.4 < time.monotonic() - began < 2.5
        site.wait_for("wsgi woken by RequestTimeout")
        site.wait_for("sync woken by RequestTimeout")
        site.wait_for("asgi woken by CancelledError")
        for kind in SYNC:
            site.server.wait_for_log(rf"GET /{kind}/sleep has run for 0\.5 s")
        site.server.wait_for_log(r"GET /asgi/sleep took longer than request_timeout")
        gate = site.gate()
        with ExitStack() as stack:
            connections = {kind: stack.enter_context(site.server.connect()) for kind in KINDS}
            for kind, connection in connections.items():
                connection.send_request("GET", f"/{kind}/stream?{gate}")
            for connection in connections.values():
                assert connection.read_head().status == 200
                assert connection.read_chunk() == b"first"
                assert connection.is_closed()
        for kind in KINDS:
            assert site.get(f"/{kind}/ok") == f"{kind} ok".encode()


def test_async_native_handler_does_not_outlive_its_timeout(tmp_path: Path) -> None:
    with serve(tmp_path, "--request-timeout", "0.3") as site:
        assert site.server.get("/async/sleep").status == 504
        wait_until(
            lambda: any("async woken by" in event for event in site.events()),
            "the handler to be told",
            timeout=2,
        )


# --- errors --------------------------------------------------------------------------------------


def test_exception_is_a_logged_500(site: Site, kind: str) -> None:
    mark = f"mark-{next(_numbers)}"
    with site.server.connect() as connection:
        response = ask(connection, f"/{kind}/fail?{mark}")
        assert response.status == 500
        assert mark.encode() not in response.body
        site.server.wait_for_log(rf"LookupError: {kind} failed {mark}")
        assert any("Traceback" in line for line in site.server.log())
        with site.server.connect() as another:
            assert ask(another, f"/{kind}/ok").status == 200


def test_exception_in_a_response_cuts_it_and_is_logged(site: Site, kind: str) -> None:
    mark = f"mark-{next(_numbers)}"
    with site.server.connect() as connection:
        connection.send_request("GET", f"/{kind}/fail_late?{mark}")
        assert connection.read_head().status == 200
        assert connection.read_chunk() == b"begun"
        with pytest.raises(ConnectionError):
            connection.read_chunk()
    site.server.wait_for_log(rf"LookupError: {kind} failed late {mark}")
    assert site.get(f"/{kind}/ok") == f"{kind} ok".encode()


def test_client_that_leaves_a_response_is_told_of(site: Site, kind: str) -> None:
    mark = f"mark-{next(_numbers)}"
    with site.server.connect() as connection:
        connection.send_request("GET", f"/{kind}/flood?{mark}")
        connection.read_head()
        connection.read_chunk()
        connection.reset()
    site.wait_for(f"{kind} left {mark}")
    for other in site.kinds:
        assert site.get(f"/{other}/ok") == f"{other} ok".encode()


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_client_that_leaves_in_its_upload_is_told_of(site: Site, kind: str, framing: str) -> None:
    mark = f"mark-{next(_numbers)}"
    headers = {
        "length": ("Content-Length", str(4 * MIB)),
        "chunked": ("Transfer-Encoding", "chunked"),
    }
    with site.server.connect() as connection:
        connection.send_request("POST", f"/{kind}/upload?{mark}", [headers[framing]])
        connection.send(b"100\r\n" + b"x" * 100)
        # An async native handler is called with its whole body, or not at all.
        if kind != "async":
            site.wait_for(f"{kind} reads {mark}")
        connection.reset()
    if kind != "async":
        site.wait_for(f"{kind} left {mark}")
    for other in site.kinds:
        assert site.get(f"/{other}/ok") == f"{other} ok".encode()


def test_client_that_leaves_before_the_answer_harms_nobody(site: Site) -> None:
    gate = site.gate()
    for kind in site.kinds:
        with site.server.connect() as connection:
            connection.send_request("GET", f"/{kind}/wait?{gate}")
            site.wait_for(f"{kind} begun {gate}")
            connection.reset()
    site.open(gate)
    for kind in site.kinds:
        wait_until(
            lambda kind=kind: (
                {f"{kind} ended {gate}", f"{kind} left {gate}"} & {*site.events()} or kind == "asgi"
            ),
            "the handler to end",
        )
        assert site.get(f"/{kind}/ok") == f"{kind} ok".encode()


def test_stream_that_is_reset_harms_nobody(site: Site, http_2: Any) -> None:
    mark = f"mark-{next(_numbers)}"
    with http_2(site.server) as client:
        for kind in site.kinds:
            number = client.start("GET", f"/{kind}/flood?{mark}")
            client.wait_for_head(number)
            client.reset(number)
            site.wait_for(f"{kind} left {mark}")
        for kind in site.kinds:
            assert client.request("GET", f"/{kind}/ok").body == f"{kind} ok".encode()


# --- the end -------------------------------------------------------------------------------------


@pytest.mark.parametrize("loop", ["asyncio", UVLOOP])
def test_graceful_stop_waits_for_requests_of_all_kinds(
    tmp_path: Path, websockets: Any, loop: str
) -> None:
    with serve(tmp_path, "--loop", loop) as site, ExitStack() as stack:
        gate = site.gate()
        waiting = {kind: stack.enter_context(site.server.connect()) for kind in KINDS}
        streaming = {kind: stack.enter_context(site.server.connect()) for kind in KINDS}
        for kind in KINDS:
            waiting[kind].send_request("GET", f"/{kind}/wait?{gate}")
            streaming[kind].send_request("GET", f"/{kind}/stream?{gate}")
            assert streaming[kind].read_head().status == 200
            assert streaming[kind].read_chunk() == b"first"
            site.wait_for(f"{kind} begun {gate}")
        chat = stack.enter_context(websockets.websocket(site.server, "/asgi/chat"))
        chat.read()
        site.server.signal()
        assert chat.read_close()[0] == 1001
        chat.send(websockets.close_frame(1001))
        site.server.wait_for_log("stopping")
        site.open(gate)
        for kind in KINDS:
            assert waiting[kind].read_response().body == b"done"
            assert streaming[kind].read_chunk() == b"second"
            assert streaming[kind].read_chunk() == b""
        stack.close()
        assert site.server.wait() == 0
        events = site.events()
        ended = max(events.index(f"{kind} ended {gate}") for kind in KINDS)
        stops = [at for at, event in enumerate(events) if event.startswith("stop ")]
        assert len(stops) == len([event for event in events if event.startswith("start ")]) > 3
        assert ended < min(stops)


@pytest.mark.parametrize(
    ("kind", "loop"),
    [
        *((kind, "asyncio") for kind in KINDS),
        pytest.param("async", *UVLOOP.values, marks=UVLOOP.marks),
    ],
)
def test_handler_that_outlasts_a_stop_is_cut(tmp_path: Path, kind: str, loop: str) -> None:
    options = ("--graceful-timeout", "0.5", "--loop", loop)
    with serve(tmp_path, *options, exit_code=1) as site, site.server.connect() as connection:
        gate = site.gate()
        # What awaits could end when it is cancelled, if it were not blocked.
        case = "wait" if kind in SYNC else "sleep"
        connection.send_request("GET", f"/{kind}/{case}?{gate}")
        site.wait_for(f"{kind} {'begun' if case == 'wait' else 'sleeps'} {gate}")
        began = time.monotonic()
        site.server.signal()
        assert site.server.wait() == 1
        assert 0.4 < time.monotonic() - began < 4
        with pytest.raises(ConnectionError):
            connection.read_response()
        # The apps are told all the same.
        assert "stop asgi" in site.events()
        assert "answered with 500" not in "\n".join(site.server.log())


def test_stop_ends_though_threads_of_the_loop_do_not(tmp_path: Path) -> None:
    options = ("--graceful-timeout", "0.5")
    with serve(tmp_path, *options, exit_code=None) as site:
        gate = site.gate()
        assert site.get(f"/asgi/executor?{gate}") == b"filled"
        began = time.monotonic()
        site.server.signal()
        with contextlib.suppress(subprocess.TimeoutExpired):
            site.server.wait(5)
        taken = time.monotonic() - began
        site.open(gate)
        assert taken < 4
        assert "stop asgi" in site.events()


def test_second_signal_ends_at_once(tmp_path: Path) -> None:
    with serve(tmp_path, exit_code=None) as site, site.server.connect() as connection:
        gate = site.gate()
        connection.send_request("GET", f"/sync/wait?{gate}")
        site.wait_for(f"sync begun {gate}")
        site.server.signal()
        site.server.wait_for_log("stopping")
        site.server.signal()
        assert site.server.wait(3) == 128 + 15


def test_workers_have_all_kinds_each(tmp_path: Path) -> None:
    with serve(tmp_path, workers=2) as site:
        pids: dict[str, set[bytes]] = {kind: set() for kind in KINDS}

        def all_seen() -> bool:
            for kind in KINDS:
                pids[kind].add(site.get(f"/{kind}/pid"))
            return all(len(seen) == 2 for seen in pids.values())

        wait_until(all_seen, "both workers to answer for each kind")
        assert len(set.union(*pids.values())) == 2
        assert site.events().count("start asgi") == 2
    events = (tmp_path / "events").read_text("utf-8").splitlines()
    assert events.count("stop asgi") == events.count("stop deep-asgi") == 2


# --- lifespans -----------------------------------------------------------------------------------


@contextmanager
def lifespans(folder: Path, mux: str, *options: str, exit_code: int | None = 0) -> Iterator[Site]:
    target = f"lifespan_mounts:{mux}"
    with serve(folder, *options, target=target, exit_code=exit_code) as site:
        yield site


def states(site: Site, *prefixes: str) -> list[Any]:
    return [site.json(prefix + "/x") for prefix in prefixes]


@pytest.mark.parametrize("loop", ["asyncio", UVLOOP])
def test_apps_start_in_order_stop_in_reverse_and_keep_their_states(
    tmp_path: Path, loop: str
) -> None:
    with lifespans(tmp_path, "several", "--loop", loop) as site:
        started = ["start one", "start two", "start three", "start four"]
        assert site.events() == started
        for _ in range(2):  # what a request puts into its state stays there
            assert states(site, "/one", "/two", "/in/three", "/four", "/without") == [
                ["one", "/one", {"name": "one", "shared": []}],
                ["two", "/two", {"name": "two", "shared": []}],
                ["three", "/in/three", {"name": "three", "shared": []}],
                ["four", "/four", {"name": "four", "shared": []}],
                ["without", "/without", None],
            ]
        assert site.get("/native") == b"native"
        site.server.signal()
        assert site.server.wait() == 0
        assert site.events() == [*started, "stop four", "stop three", "stop two", "stop one"]


def test_app_that_is_mounted_twice_lives_once(tmp_path: Path) -> None:
    with lifespans(tmp_path, "twice") as site:
        assert site.events() == ["start app", "start other"]
        own: dict[str, Any] = {"name": "app", "shared": []}
        other: dict[str, Any] = {"name": "other", "shared": []}
        assert states(site, "/a", "/b", "/c", "/in/d") == [
            ["app", "/a", own],
            ["app", "/b", own],
            ["other", "/c", other],
            ["app", "/in/d", own],
        ]
        with site.server.connect() as connection:
            for _ in range(3):
                for prefix in ("/a", "/b", "/in/d"):
                    assert json.loads(ask(connection, prefix).body)[1] == prefix
    events = (tmp_path / "events").read_text("utf-8").splitlines()
    assert events == ["start app", "start other", "stop other", "stop app"]


def test_app_that_refuses_to_start_stops_the_whole(tmp_path: Path) -> None:
    done = run_gohttp(
        "serve",
        "lifespan_mounts:refusing",
        "--port",
        "0",
        cwd=APPS,
        env={"FOLDER": str(tmp_path)},
    )
    assert done.returncode == 3
    *details, sentence = done.stderr.splitlines()
    assert "refused to start" in sentence
    assert details == ["the database is away"]
    events = (tmp_path / "events").read_text("utf-8").splitlines()
    assert events == ["start one", "start two", "stop one"]


def test_sentence_names_the_app_that_refuses(tmp_path: Path) -> None:
    env = {"FOLDER": str(tmp_path)}
    done = run_gohttp("serve", "lifespan_mounts:refusing", "--port", "0", cwd=APPS, env=env)
    assert "/two" in done.stderr.splitlines()[-1]


def test_app_that_raises_at_its_start_is_served_without_a_lifespan(tmp_path: Path) -> None:
    with lifespans(tmp_path, "failing") as site:
        assert site.events() == ["start one", "start two"]
        assert states(site, "/two") == [["two", "/two", {"name": "two", "shared": []}]]
        assert site.get("/native") == b"native"
    events = (tmp_path / "events").read_text("utf-8").splitlines()
    assert events == ["start one", "start two", "stop two"]


def test_lifespan_on_is_for_every_app(tmp_path: Path) -> None:
    done = run_gohttp(
        "serve",
        "lifespan_mounts:several",
        "--port",
        "0",
        "--lifespan",
        "on",
        cwd=APPS,
        env={"FOLDER": str(tmp_path)},
    )
    assert done.returncode == 3
    assert "--lifespan on" in done.stderr.splitlines()[-1]
    events = (tmp_path / "events").read_text("utf-8").splitlines()
    assert events == ["start one", "stop one"]


def test_lifespan_off_is_for_every_app(tmp_path: Path) -> None:
    with lifespans(tmp_path, "several", "--lifespan", "off") as site:
        assert site.json("/without/x") == ["without", "/without", None]
        assert site.get("/native") == b"native"
    assert not (tmp_path / "events").exists()


def test_apps_shutdown_takes_no_longer_than_a_stop_may(tmp_path: Path) -> None:
    options = ("--graceful-timeout", "1")
    with lifespans(tmp_path, "slow_to_stop", *options, exit_code=None) as site:
        began = time.monotonic()
        site.server.signal()
        site.server.wait(10)
        assert time.monotonic() - began < 4
        site.server.wait_for_log("shutdown took longer than")
        # The others' turn comes all the same.
        assert site.events()[-2:] == ["stop two", "stop one"]


# --- what may be mounted, and when ---------------------------------------------------------------


def test_mounting_while_a_server_runs_is_refused(mixed: Site) -> None:
    said = mixed.json("/control/mount")
    # The site itself and a Mux in it; the third Mux is not served.
    assert all("running" in one and "/late" in one for one in said[:6]), said
    assert said[6:] == ["mounted", "mounted", "mounted"]
    assert mixed.server.get("/late/0").status == 404


@pytest.mark.parametrize(
    "app",
    [
        None,
        7,
        "module:app",
        b"app",
        object(),
        json,
        [],
        lambda: None,
        lambda one: None,
        lambda one, two, three, four: None,
        lambda *anything: None,
        asyncio.sleep,
        int,
        Mux,
    ],
    ids=lambda app: getattr(app, "__name__", repr(app))[:20],
)
def test_what_is_no_app_is_refused_in_one_sentence(app: Any) -> None:
    mux = Mux()
    with pytest.raises(TypeError) as raised:
        mux.mount("/here", app)
    said = str(raised.value)
    assert re.fullmatch(r"what is mounted at '/here' [^\n]+", said), said
    assert not mux
    mux.mount("/here", Mux())  # the place is free


def wsgi_app(environ: Any, start_response: Any) -> Any:
    """An app for places only."""


async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
    """An app for places only."""


@pytest.mark.parametrize(
    ("app", "interface", "word"),
    [
        (wsgi_app, "native", "Mux"),
        (7, "wsgi", "app"),
        (None, "asgi", "app"),
        (wsgi_app, "asgi", "3"),
        (asgi_app, "wsgi", "async"),
    ],
)
def test_interface_that_the_app_cannot_speak_is_a_type_error(
    app: Any, interface: Any, word: str
) -> None:
    with pytest.raises(TypeError, match=word):
        Mux().mount("/here", app, interface=interface)


@pytest.mark.parametrize("interface", ["wsg", "ASGI", "cgi"])
def test_interface_that_does_not_exist_is_refused(interface: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=interface):
        Mux().mount("/here", wsgi_app, interface=interface)


def test_interface_says_what_cannot_be_seen(tmp_path: Path) -> None:
    path = tmp_path / "hidden.py"
    path.write_text(
        """\
from gohttp import Mux
from mount_cases import Asgi, Wsgi

asgi, wsgi = Asgi("asgi"), Wsgi("wsgi")
mux = Mux()
mux.mount("/asgi", lambda *anything: asgi(*anything), interface="asgi")
mux.mount("/wsgi", lambda *anything: wsgi(*anything), interface="wsgi")
""",
        encoding="utf-8",
    )
    env = {
        "FOLDER": str(tmp_path),
        "PYTHONPATH": os.pathsep.join([str(APPS), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }
    with gohttp_serve("hidden:mux", cwd=tmp_path, env=env) as server:
        assert server.get("/asgi/ok").body == b"asgi ok"
        assert server.get("/wsgi/ok").body == b"wsgi ok"


# --- programs ------------------------------------------------------------------------------------

PROGRAM = """\
import sys
import gohttp
from mount_cases import mux, note

mux.route("/stop", lambda w, req: (gohttp.shutdown(), w.write("stopping")))
for turn, root_path in enumerate(("/first", "/second")):
    gohttp.run(mux, port=PORT, root_path=root_path, log_level="warning")
    note(f"returned {turn}")
"""


def test_run_serves_a_mux_with_apps_again(tmp_path: Path) -> None:
    """With the settings and the lifespans of that run."""
    port = free_port()
    path = tmp_path / "program.py"
    path.write_text(PROGRAM.replace("PORT", str(port)), encoding="utf-8")
    python_path = [str(APPS), *filter(None, [os.environ.get("PYTHONPATH")])]
    process = subprocess.Popen(
        [sys.executable, str(path)],
        env=clean_environment(
            {"FOLDER": str(tmp_path), "PYTHONPATH": os.pathsep.join(python_path)}
        ),
        stderr=subprocess.PIPE,
    )
    events = tmp_path / "events"
    try:
        for turn, root_path in enumerate(("/first", "/second")):

            def told(what: str) -> Any:
                assert process.poll() is None
                with contextlib.suppress(OSError), RawConnection(("127.0.0.1", port)) as client:
                    return json.loads(ask(client, f"/{what}/who").body)

            wsgi = wait_until(lambda: told("wsgi"), "the program to serve")
            assert wsgi["SCRIPT_NAME"] == f"{root_path}/wsgi"
            asgi = told("asgi")
            assert (asgi["root_path"], asgi["state"]) == (f"{root_path}/asgi", {"name": "asgi"})
            with RawConnection(("127.0.0.1", port)) as client:
                assert ask(client, "/stop").body == b"stopping"
            wait_until(lambda turn=turn: f"returned {turn}" in events.read_text("utf-8"), "the end")
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        said = process.stderr.read().decode()
        process.stderr.close()
    assert said == ""
    lines = events.read_text("utf-8").splitlines()
    assert lines.count("start asgi") == lines.count("stop asgi") == 2
