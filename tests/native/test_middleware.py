"""Ready-made middleware: each sort over raw sockets, for handlers and apps of all kinds."""

import importlib
import itertools
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from gohttp import Mux, middleware
from support import Response, Server, gohttp_serve, wait_until

HERE = Path(__file__).parent
APPS = HERE / "apps"
HANDLERS = ["sync", "async", "wsgi", "asgi", "inner"]
TEXT = b"All work and no play makes Jack a dull boy. "

_numbers = itertools.count(1)


class Site:
    """A server with `middleware_cases`, and its folder."""

    def __init__(self, server: Server, folder: Path, kinds: list[str]) -> None:
        self.server = server
        self.folder = folder
        self.kinds = kinds

    def gate(self) -> str:
        return f"gate-{next(_numbers)}"

    def open(self, gate: str) -> None:
        (self.folder / gate).touch()


@contextmanager
def serve(folder: Path, target: str, *options: str) -> Iterator[Site]:
    kinds = [kind for kind in HANDLERS if kind != "asgi" or target == "mux"]
    (folder / "text.txt").write_bytes(TEXT * 100)
    (folder / "large.txt").write_bytes(TEXT * 20_000)
    env = {"FOLDER": str(folder)}
    target = f"middleware_cases:{target}"
    with gohttp_serve(target, *options, "--access-log", cwd=APPS, env=env) as server:
        yield Site(server, folder, kinds)


@pytest.fixture(scope="module", params=["mux", "threads_only"])
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """With an event loop, and where the baton drives."""
    with serve(tmp_path_factory.mktemp("site"), request.param) as site:
        yield site


@pytest.fixture(params=HANDLERS)
def kind(request: pytest.FixtureRequest, site: Site) -> str:
    kind: str = request.param
    if kind not in site.kinds:
        pytest.skip("no event loop, no ASGI")
    return kind


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


def told(response: Response) -> dict[str, str]:
    """The request's fields, as the handler was told them."""
    assert response.status == 200, response
    return dict(json.loads(response.body)["fields"])


# --- which requests it sees ----------------------------------------------------------------------


def test_all_that_a_mux_leads_to_is_behind_its_middleware(site: Site) -> None:
    paths = [f"/named/{kind}/x" for kind in site.kinds]
    paths += ["/named/files/text.txt", "/named/files/none", "/named/none"]
    for path in paths:
        assert site.server.get(path).header("x-request-id"), path
    refused = site.server.request("POST", "/named/get-only")
    assert (refused.status, refused.header("allow")) == (405, "GET, HEAD")
    assert refused.header("x-request-id")
    moved = site.server.get("/named//sync/x")
    assert moved.status in (301, 307, 308)
    assert moved.header("x-request-id")


def test_what_lies_beside_a_mux_is_not_behind_its_middleware(site: Site) -> None:
    for kind in site.kinds:
        assert site.server.get(f"/plain/{kind}/x").header("x-request-id") is None
    assert site.server.get("/nowhere").header("x-request-id") is None


def test_misuse_is_told_when_middleware_is_put_in() -> None:
    def around(handler: Any) -> Any:
        return handler

    mux = Mux()
    with pytest.raises(ValueError, match="must be named before the functions"):
        mux.use(around, middleware.request_id())
    mux.use(middleware.request_id(), around)
    with pytest.raises(ValueError, match="must be named before the functions"):
        mux.use(middleware.request_id())
    with pytest.raises(TypeError, match=r"made by gohttp\.middleware, not 7"):
        mux.use(7)  # type: ignore[arg-type]
    late = Mux()
    late.route("/", lambda w, req: None)
    late.use(middleware.request_id())
    with pytest.raises(RuntimeError, match="before the routes"):
        late.use(around)
    with pytest.raises(ValueError, match="from 0 up, not -1"):
        middleware.body_limit(-1)


def test_middleware_cannot_come_while_a_server_runs() -> None:
    from gohttp.testing import serve as serve_in_thread

    mux = Mux()
    mux.route("/", lambda w, req: w.text("here"))
    with serve_in_thread(mux), pytest.raises(RuntimeError, match="the server is running"):
        mux.use(middleware.request_id())
    mux.use(middleware.request_id())


# --- request ids ---------------------------------------------------------------------------------


def test_request_has_a_name_for_handler_client_and_logs(site: Site, kind: str) -> None:
    response = site.server.get(f"/named/{kind}/x")
    name = response.header("x-request-id")
    assert name
    assert re.fullmatch("[0-9a-f]{32}", name)
    assert told(response)["x-request-id"] == name
    line = re.compile(rf'"GET /named/{kind}/x HTTP/1.1" 200 \d+ [\d.]+ms {name}$')
    wait_until(lambda: any(line.search(line_) for line_ in site.server.output()), f"{name} there")
    assert site.server.get(f"/named/{kind}/x").header("x-request-id") != name


def test_name_stands_beside_a_logged_exception(site: Site, kind: str) -> None:
    response = site.server.get(f"/named/{kind}/raise")
    assert response.status == 500
    name = response.header("x-request-id")
    site.server.wait_for_log(rf"Exception in GET /named/{kind}/raise \({name}\)")


def test_clients_name_is_kept_if_it_is_sane(site: Site, kind: str) -> None:
    def name_for(*sent: str, where: str = "named") -> str | None:
        fields = [("X-Request-ID", name) for name in sent]
        response = site.server.get(f"/{where}/{kind}/x", fields)
        name = response.header("x-request-id")
        assert told(response)["x-request-id"] == name
        return name

    assert name_for("from-the.proxy:1") == "from-the.proxy:1"
    for sent in [("a b",), ('a"b',), ("x" * 129,), ("",), ("a", "b")]:
        assert re.fullmatch("[0-9a-f]{32}", name_for(*sent) or ""), sent
    assert re.fullmatch("[0-9a-f]{32}", name_for("a", where="renamed") or "")


def test_requests_have_names_on_http_2(site: Site, http_2: Any) -> None:
    with http_2(site.server) as client:
        for kind in [*site.kinds, "files"]:
            stream = client.request("GET", f"/named/{kind}/x")
            assert stream.status in (200, 404)
            assert re.fullmatch("[0-9a-f]{32}", stream.headers["x-request-id"])


# --- body limit ----------------------------------------------------------------------------------


def test_declared_length_beyond_the_limit_is_refused_at_once(site: Site, kind: str) -> None:
    with site.server.connect() as connection:
        connection.send_request("POST", f"/limited/{kind}/length", [("Content-Length", "1001")])
        response = connection.read_response()
    assert response.status == 413
    assert response.header("x-request-id")


def test_expecting_client_is_not_told_to_go_on(site: Site, kind: str) -> None:
    with site.server.connect() as connection:
        fields = [("Content-Length", "1001"), ("Expect", "100-continue")]
        connection.send_request("POST", f"/limited/{kind}/length", fields)
        assert connection.read_response(interim=True).status == 413


def test_body_up_to_the_limit_is_taken(site: Site, kind: str) -> None:
    path = f"/limited/{kind}/length"
    assert site.server.request("POST", path, body=bytes(1000)).text == "1000"
    chunked = [("Transfer-Encoding", "chunked")]
    body = b"1f4\r\n" + bytes(500) + b"\r\n1f4\r\n" + bytes(500) + b"\r\n0\r\n\r\n"
    assert site.server.request("POST", path, chunked, body).text == "1000"


def test_chunked_body_is_counted(site: Site, kind: str) -> None:
    with site.server.connect() as connection:
        fields = [("Transfer-Encoding", "chunked")]
        connection.send_request("POST", f"/limited/{kind}/length", fields)
        connection.send(b"3e8\r\n" + bytes(1000) + b"\r\n")
        connection.send(b"1\r\nx\r\n")
        response = connection.read_response()
        assert response.status == 413
        assert response.header("x-request-id"), "the server's own answer is named, too"
        assert connection.is_closed()
    assert site.server.request("POST", f"/plain/{kind}/length", body=bytes(1001)).text == "1001"


def test_body_is_counted_on_http_2(site: Site, kind: str, http_2: Any) -> None:
    for length, status in [(1000, 200), (1001, 413)]:
        with http_2(site.server) as client:
            stream = client.request("POST", f"/limited/{kind}/length", body=bytes(length))
            assert stream.status == status
            assert stream.headers["x-request-id"]
