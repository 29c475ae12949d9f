"""A site whose clients and handlers are unlucky or worse: the others are served all the same."""

import asyncio
import encodings
import gc
import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request as UrlRequest
from urllib.request import urlopen

import gohttp.testing
import h2.config
import h2.connection
import h2.settings
import pytest
from gohttp import Mux, Request, ResponseWriter, Server
from support import Server as Process
from support import gohttp_serve, wait_until

APPS = Path(__file__).parent / "apps"
SLOW_CLIENTS = 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    (folder / "big").write_bytes(bytes(1024 * 1024))
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Process]:
    with gohttp_serve("pressure_cases:mux", cwd=APPS, env={"FILES": str(folder)}) as server:
        yield server


def test_clients_that_take_nothing_do_not_stop_async_handlers(server: Process) -> None:
    with ExitStack() as stack:
        for _ in range(SLOW_CLIENTS):
            slow = stack.enter_context(server.connect())
            slow.send_request("GET", "/stream?pieces=1000")
            assert slow.read_head().status == 200
        began = time.monotonic()
        assert len(server.get("/stream?pieces=100").body) == 100 * 65536
        assert server.get("/asgi/thread").status == 200
        assert time.monotonic() - began < 5


def test_stop_ends_although_the_executor_is_full() -> None:
    with (
        gohttp_serve(
            "pressure_cases:mux", "--graceful-timeout", "1", cwd=APPS, exit_code=None
        ) as server,
        ExitStack() as stack,
    ):
        for _ in range(40):
            stuck = stack.enter_context(server.connect())
            stuck.send_request("GET", "/asgi/stuck")
        assert server.get("/tree/").body == b"tree"
        server.signal()
        assert server.wait(15) == 1


def test_files_of_streams_that_are_gone_are_closed(server: Process) -> None:
    def open_files() -> int:
        return len(os.listdir(f"/proc/{server.pid}/fd"))

    before = open_files()
    with server.connect() as connection:
        client = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        client.local_settings[h2.settings.SettingCodes.INITIAL_WINDOW_SIZE] = 0
        client.initiate_connection()
        for number in range(50):
            pseudo = [(":method", "GET"), (":path", "/files/big"), (":scheme", "http")]
            client.send_headers(1 + 2 * number, [*pseudo, (":authority", "x")], end_stream=True)
        connection.send(client.data_to_send())
        wait_until(lambda: open_files() >= before + 50, "the files to be open")
    wait_until(lambda: open_files() <= before + 2, "the files to be closed")


@pytest.mark.parametrize("path", ["/returns", "/async-returns"])
def test_handler_that_returns_its_answer_is_told_how_to_give_it(server: Process, path: str) -> None:
    assert server.get(path).status == 500
    server.wait_for_log("the handler returned dict, and wrote nothing: what is to be sent")


def test_what_a_handler_returns_after_it_wrote_is_ignored(server: Process) -> None:
    assert server.get("/returns-what-it-wrote").body == b"five\n"


def test_refused_hijack_leaves_the_response_to_the_handler(server: Process) -> None:
    with server.connect() as connection:
        connection.send(b"GET /no-hijack HTTP/1.0\r\nHost: x\r\n\r\n")
        assert connection.read_head().status == 501


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("/an%20app/%C3%A9/x%20y", "/an app/é|/x y"),
        ("/a%20scope/x%20y", "/a scope|/a scope/x y"),
    ],
)
def test_prefix_with_escapes_is_taken_off_decoded(server: Process, path: str, seen: str) -> None:
    assert server.get(path).body.decode() == seen


@pytest.mark.parametrize("sent", ["/proxy/tree", "/tree"], ids=["left", "taken away"])
def test_redirect_leads_back_through_the_proxy(sent: str) -> None:
    with gohttp_serve("pressure_cases:mux", "--root-path", "/proxy", cwd=APPS) as server:
        response = server.get(f"{sent}?a=b")
        assert (response.status, response.header("location")) == (301, "/proxy/tree/?a=b")


# --- in this process ------------------------------------------------------------------------------


def get(url: str, headers: dict[str, str] | None = None, data: bytes | None = None) -> bytes:
    with urlopen(UrlRequest(url, data, headers or {}), timeout=10) as response:
        body: bytes = response.read()
    return body


def test_mux_that_is_served_again_has_the_new_lifespans_state() -> None:
    lives: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            lives.append(len(lives) + 1)
            scope["state"]["life"] = lives[-1]
            for event in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{event}.complete"})
            return
        body = f"{scope['state']['life']}{scope['root_path']}".encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    mux = Mux()
    mux.mount("/app", app)
    with gohttp.testing.serve(mux) as url:
        assert get(f"{url}/app/") == b"1/app"
    mux.mount("/late", app)
    with gohttp.testing.serve(mux, root_path="/proxy") as url:
        assert get(f"{url}/app/") == b"2/proxy/app"
        assert get(f"{url}/late/") == b"2/proxy/late"


def test_charsets_that_clients_invent_are_not_remembered() -> None:
    mux = Mux()

    @mux.route("/")
    def index(w: ResponseWriter, req: Request) -> None:
        w.text(req.text)

    known: dict[str, Any] = encodings._cache  # type: ignore[attr-defined]
    with gohttp.testing.serve(mux) as url:
        before = len(known)
        for number in range(20):
            kind = f"text/plain; charset=invented{number}"
            with pytest.raises(HTTPError, match="415") as refusal:
                get(url, {"Content-Type": kind}, b"x")
            refusal.value.close()
        assert len(known) == before


def test_context_that_holds_its_request_is_collected() -> None:
    mux = Mux()

    @mux.route("/")
    def index(w: ResponseWriter, req: Request) -> None:
        req.context["myself"] = req
        w.text("ok")

    gc.collect()
    others = {id(o) for o in gc.get_objects() if type(o) is Request}
    with gohttp.testing.serve(mux) as url:
        for _ in range(10):
            get(url)

        def collected() -> bool:
            gc.collect()
            return {id(o) for o in gc.get_objects() if type(o) is Request} <= others

        # The client may have its answer before the handler's thread lets the last request go.
        wait_until(collected, "all requests to be collected")


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_files_of_a_form_are_closed_with_the_request(kind: str) -> None:
    mux = Mux()
    files: list[Any] = []

    def take(w: ResponseWriter, req: Request) -> None:
        files.append(req.form().files["f"][0].file)
        w.text("taken")

    async def take_later(w: ResponseWriter, req: Request) -> None:
        take(w, req)

    mux.route("/", take if kind == "sync" else take_later)
    part = b'--B\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
    body = part + b"x" * 100_000 + b"\r\n--B--\r\n"
    with gohttp.testing.serve(mux) as url:
        assert get(url, {"Content-Type": "multipart/form-data; boundary=B"}, body) == b"taken"
        wait_until(lambda: files[0].closed, "the file to be closed")


def test_route_without_a_pattern_is_refused() -> None:
    with pytest.raises(TypeError, match="needs a pattern"):

        @Mux().route  # type: ignore[arg-type]
        def index(w: ResponseWriter, req: Request) -> None: ...


def test_server_runs_once() -> None:
    mux = Mux()
    mux.route("/", lambda w, req: w.text("ok"))
    server = Server(mux, port=0)
    with server:
        assert get(server.url) == b"ok"
        with pytest.raises(RuntimeError, match="runs once"):
            server.start()
    with pytest.raises(RuntimeError, match="does not run"):
        _ = server.url
    with pytest.raises(RuntimeError, match="runs once"):
        server.serve_forever()


def test_shutdown_that_comes_before_the_start_is_kept() -> None:
    mux = Mux()
    mux.route("/", lambda w, req: w.text("ok"))
    server = Server(mux, port=0)
    server.shutdown()
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    serving.join(10)
    assert not serving.is_alive()


def test_async_handler_may_shut_its_server_down() -> None:
    mux = Mux()

    @mux.route("/")
    async def index(w: ResponseWriter, _req: Request) -> None:
        await asyncio.sleep(0)
        server.shutdown()
        w.text("last")

    server = Server(mux, port=0)
    server.start()
    assert get(server.url) == b"last"
    assert server._thread is not None
    server._thread.join(10)
    assert not server._thread.is_alive()


def test_server_on_a_loop_leaves_signals_and_cancellation_alone() -> None:
    import signal

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return

    async def main() -> None:
        called = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, called.set)
        server = Server(app, port=0)
        serving = asyncio.create_task(server.serve())
        while not server._running:
            await asyncio.sleep(0.001)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(called.wait(), 10)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await serving

    asyncio.run(asyncio.wait_for(main(), 20))
