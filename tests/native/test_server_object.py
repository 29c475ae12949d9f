"""`gohttp.Server` and `gohttp.testing.serve`: servers inside this very process."""

import asyncio
import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.request import urlopen

import gohttp
import gohttp.testing
import pytest
from gohttp import GohttpError, Mux, Request, ResponseWriter, Server

HELLO = b"Hello, world.\n"


def wsgi(_environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [HELLO]


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        raise NotImplementedError  # how an app says that it knows no lifespan
    if scope["path"] == "/slow":
        await asyncio.sleep(0.3)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": HELLO})


def native() -> Mux:
    mux = Mux()

    @mux.route("/")
    def index(w: ResponseWriter, _req: Request) -> None:
        w.write(HELLO)

    return mux


def mixed() -> Mux:
    mux = native()
    mux.mount("/asgi", asgi)
    mux.mount("/wsgi", wsgi)
    return mux


KINDS: dict[str, Callable[[], Any]] = {
    "wsgi": lambda: wsgi,
    "asgi": lambda: asgi,
    "native": native,
    "mixed": mixed,
}
each_kind = pytest.mark.parametrize("kind", KINDS)


def get(url: str) -> bytes:
    with urlopen(url, timeout=10) as response:
        body: bytes = response.read()
    return body


@each_kind
def test_app_is_served_while_the_block_runs(kind: str) -> None:
    with gohttp.testing.serve(KINDS[kind]()) as url:
        assert get(f"{url}/") == HELLO
    with pytest.raises(OSError, match="refused"):
        get(f"{url}/")


def test_servers_are_up_and_down_in_milliseconds() -> None:
    times = []
    for _ in range(10):
        began = time.perf_counter()
        with gohttp.testing.serve(wsgi) as url:
            get(f"{url}/")
        times.append(time.perf_counter() - began)
    assert sorted(times)[5] < 0.2


@each_kind
def test_several_servers_at_once(kind: str) -> None:
    with gohttp.testing.serve(KINDS[kind]()) as one, gohttp.testing.serve(wsgi) as other:
        assert one != other
        assert (get(f"{one}/"), get(f"{other}/")) == (HELLO, HELLO)


def test_thread_of_one_server_is_none_of_anothers() -> None:
    """However they are numbered."""
    kept: list[Request] = []
    held, ended = threading.Event(), threading.Event()
    one, other = Mux(), Mux()

    @one.route("/hold")
    def hold(w: ResponseWriter, req: Request) -> None:
        kept.append(req)
        held.set()
        ended.wait(20)
        w.text("held")

    @other.route("/use")
    def use(w: ResponseWriter, _req: Request) -> None:
        try:
            kept[0].set_deadline(5)
        except RuntimeError as error:
            w.text(str(error))

    with gohttp.testing.serve(one) as first, gohttp.testing.serve(other) as second:
        holding = threading.Thread(target=get, args=(f"{first}/hold",))
        holding.start()
        assert held.wait(20)
        said = get(f"{second}/use")
        ended.set()
        holding.join()
    assert said.startswith(b"set_deadline() is for the handler's own thread")


@each_kind
def test_signals_stay_the_programs(kind: str) -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with gohttp.testing.serve(KINDS[kind]()) as url:
        get(f"{url}/")
        assert {number: signal.getsignal(number) for number in before} == before
    assert {number: signal.getsignal(number) for number in before} == before


def test_error_in_the_block_is_passed_on_and_the_server_stopped() -> None:
    urls = []

    def fail() -> None:
        with gohttp.testing.serve(wsgi) as url:
            urls.append(url)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with pytest.raises(OSError, match="refused"):
        get(f"{urls[0]}/")


def test_app_that_refuses_to_start_is_an_error_where_it_is_started() -> None:
    async def refuses(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    with pytest.raises(GohttpError, match="refused to start"), gohttp.testing.serve(refuses):
        pass


def test_what_is_no_app_and_what_is_no_setting() -> None:
    with pytest.raises(TypeError, match="what is to be served is an int"):
        Server(7)
    with pytest.raises(GohttpError, match="cannot take workers"):
        Server(wsgi, workers=2)
    with pytest.raises(GohttpError, match=r"gohttp\.run\(mux, workers=2\)\.$"):
        Server(native(), workers=2)
    with pytest.raises(
        GohttpError, match=r"host=…\): \"\" is not an address .* 0\.0\.0\.0 for all"
    ):
        Server(wsgi, host="")
    with pytest.raises(TypeError, match=r"takes \(w, req\) as a handler does"):
        Server(lambda w, req: None)
    with pytest.raises(GohttpError, match=r"^Server\(\): 'nosuch' is not a setting"):
        Server(wsgi, nosuch=1)
    with pytest.raises(GohttpError, match=r"^Server\(threads=…\): -1 is not"):
        Server(wsgi, threads=-1)
    with pytest.raises(RuntimeError, match="does not run"):
        _ = Server(wsgi).url


def test_what_blocks_is_refused_where_an_event_loop_runs() -> None:
    async def blocks(method: str) -> None:
        getattr(Server(wsgi, port=0), method)()

    for method in ("run", "serve_forever"):
        with pytest.raises(GohttpError, match=r"await server\.serve\(\)"):
            asyncio.run(blocks(method))


def test_port_that_is_taken_is_an_error_where_it_is_started() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = Server(wsgi, port=taken.getsockname()[1])
        with pytest.raises(GohttpError, match="is taken"):
            server.start()


@pytest.mark.parametrize("kind", ["wsgi", "native", "asgi"])
def test_request_in_flight_is_answered_at_the_end(kind: str) -> None:
    began = threading.Event()

    def slow(_environ: Any, start_response: Any) -> list[bytes]:
        began.set()
        time.sleep(0.3)
        return wsgi(_environ, start_response)

    async def slow_asgi(scope: Any, receive: Any, send: Any) -> None:
        began.set()
        await asgi({**scope, "path": "/slow"}, receive, send)

    mux = Mux()
    mux.route("/", lambda w, req: w.write(slow({}, lambda *_: None)[0]))
    app = {"wsgi": slow, "native": mux, "asgi": slow_asgi}[kind]
    answers: list[bytes] = []
    server = Server(app, port=0, lifespan="off")
    with server:
        asking = threading.Thread(target=lambda: answers.append(get(f"{server.url}/")))
        asking.start()
        assert began.wait(10)
    asking.join(10)
    assert answers == [HELLO]


def test_shutdown_with_a_time_out_of_its_own() -> None:
    began, end = threading.Event(), threading.Event()

    def stuck(_environ: Any, start_response: Any) -> list[bytes]:
        began.set()
        end.wait(20)
        return wsgi(_environ, start_response)

    server = Server(stuck, port=0, graceful_timeout=20)
    server.start()

    def ask() -> None:
        with pytest.raises(OSError, match=r"without response|reset"):
            get(f"{server.url}/")

    asking = threading.Thread(target=ask)
    asking.start()
    assert began.wait(10)
    with pytest.raises(TimeoutError, match="still run"):
        server.shutdown(0.2)
    asking.join(10)
    assert not asking.is_alive(), "its client was let go"
    end.set()
    assert server._thread is not None
    server._thread.join(10)
    assert not server._thread.is_alive()


@pytest.mark.parametrize("timeout", [-1, float("nan"), float("inf"), 1e19])
def test_what_is_no_time_is_refused_and_the_server_goes_on(timeout: float) -> None:
    with Server(native(), port=0) as server:
        with pytest.raises(ValueError, match=r"timeout: .* is not a number of seconds"):
            server.shutdown(timeout)
        assert get(f"{server.url}/") == HELLO


def test_handler_may_shut_its_server_down() -> None:
    mux = Mux()

    @mux.route("/")
    def index(w: ResponseWriter, _req: Request) -> None:
        server.shutdown()
        w.write("last")

    server = Server(mux, port=0)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    deadline = time.monotonic() + 10
    while not server._running and time.monotonic() < deadline:
        time.sleep(0.001)
    assert get(f"{server.url}/") == b"last"
    serving.join(10)
    assert not serving.is_alive()


@each_kind
def test_server_on_a_running_loop(kind: str) -> None:
    async def main() -> None:
        server = Server(KINDS[kind](), port=0)
        serving = asyncio.create_task(server.serve())
        while not server._running:
            await asyncio.sleep(0.001)
        assert await asyncio.to_thread(get, f"{server.url}/") == HELLO
        server.shutdown()
        await serving

    asyncio.run(asyncio.wait_for(main(), 20))


@each_kind
def test_cancelled_server_on_a_running_loop_stops_gracefully(kind: str) -> None:
    async def main() -> None:
        server = Server(KINDS[kind](), port=0)
        serving = asyncio.create_task(server.serve())
        while not server._running:
            await asyncio.sleep(0.001)
        url = server.url
        assert await asyncio.to_thread(get, f"{url}/") == HELLO
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        with pytest.raises(OSError, match="refused"):
            await asyncio.to_thread(get, f"{url}/")

    asyncio.run(asyncio.wait_for(main(), 20))


def test_app_shares_the_running_loop() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(asyncio.get_running_loop())
        await asgi(scope, receive, send)

    async def main() -> None:
        server = Server(app, port=0, lifespan="off")
        serving = asyncio.create_task(server.serve())
        while not server._running:
            await asyncio.sleep(0.001)
        await asyncio.to_thread(get, f"{server.url}/")
        assert seen == [asyncio.get_running_loop()]
        server.shutdown()
        await serving

    asyncio.run(asyncio.wait_for(main(), 20))
