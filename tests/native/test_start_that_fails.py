"""A server that cannot start gives back what it took, and leaves nothing that runs."""

import asyncio
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import gohttp.testing
import pytest
from gohttp import GohttpError, Mux, Request, ResponseWriter, Server
from gohttp.config import of_program
from gohttp.sockets import listening
from support import free_port

HELLO = b"Hello, world.\n"


async def refuses(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        raise NotImplementedError
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": HELLO})


def wsgi(_environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [HELLO]


def native() -> Mux:
    mux = Mux()

    @mux.route("/")
    def index(w: ResponseWriter, _req: Request) -> None:
        w.write(HELLO)

    return mux


def with_refusing_app() -> Mux:
    mux = native()
    mux.mount("/asgi", refuses)
    return mux


def get(url: str) -> bytes:
    with urlopen(url, timeout=10) as response:
        body: bytes = response.read()
    return body


def run_in_thread(server: Server) -> None:
    server.start()


def run_on_a_loop(server: Server) -> None:
    asyncio.run(server.serve())


@pytest.mark.parametrize("start", [run_in_thread, run_on_a_loop])
@pytest.mark.parametrize("make", [lambda: refuses, with_refusing_app], ids=["asgi", "mixed"])
def test_port_is_free_again(start: Callable[[Server], None], make: Callable[[], Any]) -> None:
    port = free_port()
    with pytest.raises(GohttpError, match="refused to start"):
        start(Server(make(), port=port))
    with gohttp.testing.serve(wsgi, port=port) as url:
        assert get(f"{url}/") == HELLO


@pytest.mark.parametrize("start", [run_in_thread, run_on_a_loop])
def test_mux_takes_mounts_again(start: Callable[[Server], None]) -> None:
    mux = with_refusing_app()
    with pytest.raises(GohttpError, match="refused to start"):
        start(Server(mux, port=0))
    mux.mount("/wsgi", wsgi)


@pytest.mark.parametrize("interface", ["wsgi", "asgi", "native"])
def test_server_whose_start_cannot_be_told_has_ended(interface: str) -> None:
    from gohttp._faces import serve_within

    class Full(Exception):
        pass

    met: list[socket.socket] = []
    address: list[Any] = []

    def on_ready(_server: object) -> None:
        met.append(socket.create_connection(address[0], timeout=10))
        raise Full

    app: Any = {"wsgi": wsgi, "asgi": asgi, "native": native()}[interface]
    settings: Any = of_program({"port": 0, "lifespan": "off"}, "Server")
    before = set(threading.enumerate())
    with listening(settings) as sockets:
        address.append(sockets[0].getsockname())
        with pytest.raises(Full):
            serve_within(app, interface, settings, sockets, on_ready)  # type: ignore[arg-type]
    with met[0], suppress(ConnectionResetError):
        assert met[0].recv(1) == b"", "who had connected is let go"
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(address[0], timeout=10)
    # A thread of the engine that has called Python is a dummy, before 3.13 for ever.
    ours = {thread for thread in threading.enumerate() if not thread.name.startswith("Dummy")}
    assert ours <= before


def test_second_server_on_a_mux_keeps_it_frozen_when_the_first_has_ended() -> None:
    mux, inner = native(), native()
    mux.mount("/inner", inner)
    with gohttp.testing.serve(mux) as url:
        with gohttp.testing.serve(mux), gohttp.testing.serve(inner):
            pass
        for table in (mux, inner):
            with pytest.raises(RuntimeError, match="the server is running"):
                table.mount("/wsgi", wsgi)
        assert get(f"{url}/inner/") == HELLO
    for table in (mux, inner):
        table.mount("/wsgi", wsgi)


def test_server_that_is_made_but_not_started_leaves_the_mux_open() -> None:
    mux = native()
    mux.mount("/asgi", asgi)
    assert mux.has_asgi_apps()
    Server(mux)
    mux.mount("/wsgi", wsgi)


def test_first_async_handler_without_a_thread_is_an_error_and_the_next_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mux = Mux()

    @mux.route("/")
    async def index(w: ResponseWriter, _req: Request) -> None:
        w.write(HELLO)

    start = threading.Thread.start
    refused: list[str] = []

    def refuse_once(thread: threading.Thread) -> None:
        if thread.name == "gohttp-async" and not refused:
            refused.append(thread.name)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse_once)
    with gohttp.testing.serve(mux) as url:
        with pytest.raises(HTTPError, match="500") as refusal:
            get(f"{url}/")
        refusal.value.close()
        assert get(f"{url}/") == HELLO
    assert refused
