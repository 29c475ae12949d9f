"""A site with a path `/KIND/CASE` for each kind of handler and each way to end, and a look at what
the process holds.

The cases: `ends` answers and returns, `raises` raises in mid-answer where the kind can, `floods`
answers until its client has gone, `reads` wants a body that does not come, `sleeps` answers nothing
until it is interrupted.
"""

import asyncio
import contextlib
import gc
import itertools
import json
import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import gohttp
from gohttp import Mux, Request, ResponseWriter

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

BLOCK = bytes(64 * 1024)
BIG = 32 * 1024 * 1024  # more than the kernel takes for a client that does not read
GIGABYTE = 16 * 1024
LONG = 20.0  # seconds
HEADERS = [("Content-Type", "text/plain")]

folder = Path(tempfile.mkdtemp(prefix="gohttp-leaks-"))
(folder / "ends").write_bytes(b"ends")
with (folder / "floods").open("wb") as sparse:
    sparse.truncate(BIG)


class Held:
    """Each request has one of these among its local names: as many are left as requests are."""

    here = 0
    ever = 0

    def __init__(self) -> None:
        Held.here += 1
        Held.ever += 1

    def __del__(self) -> None:
        Held.here -= 1


SENTINEL = object()  # given to the engine by every request, in whatever it keeps
_types: dict[str, type] = {}


def know(*objects: object) -> None:
    """Count the objects of these objects' types from now on: each has a reference to its type."""
    for one in objects:
        kind = type(one)
        if kind.__module__ not in ("builtins", "collections"):
            _types[kind.__qualname__] = kind


def look() -> dict[str, int]:
    """What the process holds, by name."""
    gc.collect()
    engine: ModuleType = sys.modules["gohttp._gohttp"]
    types = {kind.__name__: kind for kind in vars(engine).values() if isinstance(kind, type)}
    held = {f"objects of {name}": sys.getrefcount(kind) for name, kind in (types | _types).items()}
    held["requests"] = Held.here
    held["references of the sentinel"] = sys.getrefcount(SENTINEL)
    held["descriptors"] = len(os.listdir("/proc/self/fd"))
    held["threads"] = len(os.listdir("/proc/self/task"))
    held["tracked objects"] = len(gc.get_objects())
    held["blocks of memory"] = sys.getallocatedblocks()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    held["bytes resident"] = pages * os.sysconf("SC_PAGE_SIZE")
    return held


def case_of(path: str) -> str:
    return path.rpartition("/")[2]


awake = threading.Event()


def sleep() -> None:
    """Long, and in steps after which an exception can be raised."""
    for _ in range(int(LONG / 0.01)):
        if awake.wait(0.01):
            return


# --- native --------------------------------------------------------------------------------------


def native(w: ResponseWriter, req: Request) -> None:
    held, kept = Held(), req.context
    kept["sentinel"], kept["cycle"], kept["held"] = SENTINEL, (w, req), held
    w.headers["X-Held"] = "a header"
    match case_of(req.path):
        case "ends":
            w.json([req.query.get("x"), dict(req.cookies), len(req.headers), req.basic_auth])
        case "raises":
            w.write("never sent")
            raise LookupError("the handler's own")
        case "floods":
            for _ in range(GIGABYTE):
                w.write(BLOCK)
        case "reads":
            req.form()
        case "sleeps":
            sleep()


async def native_async(w: ResponseWriter, req: Request) -> None:
    held, kept = Held(), req.context
    kept["sentinel"], kept["cycle"], kept["held"] = SENTINEL, (w, req), held
    await asyncio.sleep(0)
    match case_of(req.path):
        case "ends":
            w.json([req.query.get("x"), dict(req.cookies), len(req.headers)])
        case "raises":
            w.write("never sent")
            raise LookupError("the handler's own")
        case "floods":
            for _ in range(GIGABYTE):
                w.write(BLOCK)
                await w.drain()
        case "reads":
            w.write(req.body)
        case "sleeps":
            await asyncio.sleep(LONG)


def sse(w: ResponseWriter, req: Request) -> None:
    held, kept = Held(), req.context
    kept["sentinel"], kept["held"] = SENTINEL, held
    events = w.sse()
    events.send({"first": 1}, event="begin", id="1")
    match case_of(req.path):
        case "raises":
            raise LookupError("the handler's own")
        case "floods":
            for number in itertools.count():
                events.send("x" * 10_000, id=str(number))
        case "sleeps":
            sleep()


def hijack(w: ResponseWriter, req: Request) -> None:
    held, kept = Held(), req.context
    kept["sentinel"], kept["held"] = SENTINEL, held
    case = case_of(req.path)
    if case == "sleeps":
        sleep()
    with w.hijack() as client:
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nends")
        match case:
            case "raises":
                raise LookupError("the handler's own")
            case "floods":
                while True:
                    client.sendall(BLOCK)


def serve_file(w: ResponseWriter, req: Request) -> None:
    held, kept = Held(), req.context
    kept["sentinel"], kept["held"] = SENTINEL, held
    case = case_of(req.path)
    if case == "sleeps":
        sleep()
    w.serve_file(req, folder / ("floods" if case == "floods" else "ends"))
    if case == "raises":
        raise LookupError("the handler's own")


# --- WSGI ----------------------------------------------------------------------------------------


def wsgi(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    held = Held()
    environ["sentinel"], environ["cycle"], environ["held"] = SENTINEL, environ, held
    know(environ["wsgi.input"], start_response)
    match case_of(environ["PATH_INFO"]):
        case "raises":
            raise LookupError("the app's own")
        case "floods":
            write = start_response("200 OK", HEADERS)
            for _ in range(GIGABYTE):
                write(BLOCK)
        case "reads":
            environ["wsgi.input"].read()
        case "sleeps":
            sleep()
    start_response("200 OK", HEADERS)
    return [b"ends"]


def wsgi_generator(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    held = Held()
    environ["sentinel"], environ["cycle"], environ["held"] = SENTINEL, environ, held
    start_response("200 OK", HEADERS)
    case = case_of(environ["PATH_INFO"])
    yield b"first"
    match case:
        case "raises":
            raise LookupError("the app's own")
        case "floods":
            for _ in range(GIGABYTE):
                yield BLOCK
        case "reads":
            yield environ["wsgi.input"].read()
        case "sleeps":
            sleep()
    yield b"ends"


def wsgi_file(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    held = Held()
    environ["sentinel"], environ["held"] = SENTINEL, held
    case = case_of(environ["PATH_INFO"])
    if case == "sleeps":
        sleep()
    start_response("200 OK", HEADERS)
    file = (folder / ("floods" if case == "floods" else "ends")).open("rb")
    wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](file)
    if case == "raises":
        file.close()
    return wrapped


# --- ASGI ----------------------------------------------------------------------------------------


async def lifespan(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def asgi(scope: Message, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    held = Held()
    scope["sentinel"], scope["cycle"], scope["held"] = SENTINEL, (scope, receive, send), held
    know(receive, send)
    match case_of(scope["path"]):
        case "raises":
            raise LookupError("the app's own")
        case "reads":
            while (await receive())["type"] == "http.request":
                pass
            raise ConnectionResetError
        case "floods":
            return await asgi_flood(receive, send)
        case "sleeps":
            await asyncio.sleep(LONG)
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"ends"})
    return None


async def asgi_flood(receive: Receive, send: Send) -> None:
    """Beside it a task waits for the disconnect, as frameworks have it."""
    await receive()
    await send({"type": "http.response.start", "status": 200})
    async with asyncio.TaskGroup() as group:
        watch = group.create_task(watch_for_disconnect(receive))
        while not watch.done():
            await send({"type": "http.response.body", "body": BLOCK, "more_body": True})


async def watch_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def asgi_stream(scope: Message, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    held = Held()
    scope["sentinel"], scope["cycle"], scope["held"] = SENTINEL, (scope, receive, send), held
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"first", "more_body": True})
    match case_of(scope["path"]):
        case "raises":
            raise LookupError("the app's own")
        case "floods":
            while True:
                await send({"type": "http.response.body", "body": BLOCK, "more_body": True})
        case "reads":
            while (await receive())["type"] == "http.request":
                pass
        case "sleeps":
            await asyncio.sleep(LONG)
    await send({"type": "http.response.body", "body": b"ends"})
    return None


async def websocket(scope: Message, receive: Receive, send: Send) -> None:
    if scope["type"] != "websocket":
        return await lifespan(receive, send)
    held = Held()
    scope["sentinel"], scope["cycle"], scope["held"] = SENTINEL, (scope, receive, send), held
    know(receive, send)
    case = case_of(scope["path"])
    await receive()
    if case == "sleeps":
        await receive()  # until it is told that nobody waits
        return None
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": "first"})
    match case:
        case "raises":
            raise LookupError("the app's own")
        case "floods":
            while True:
                await send({"type": "websocket.send", "bytes": BLOCK})
        case "stays":
            while (await receive())["type"] == "websocket.receive":
                pass
    await send({"type": "websocket.close"})
    return None


# --- all of them ---------------------------------------------------------------------------------


def watched(w: ResponseWriter, _req: Request) -> None:
    w.json(look())


def threads_only() -> Mux:
    """A new site of the kinds that need no event loop."""
    mux = Mux()
    mux.route("/native/", native)
    mux.route("/native-async/", native_async)
    mux.route("/sse/", sse)
    mux.route("/hijack/", hijack)
    mux.route("/serve-file/", serve_file)
    mux.mount("/wsgi", wsgi)
    mux.mount("/wsgi-generator", wsgi_generator)
    mux.mount("/wsgi-file", wsgi_file)
    mux.files("/files", folder)
    mux.route("/look", watched)
    return mux


def everything() -> Mux:
    """A new site of all kinds."""
    mux = threads_only()
    mux.mount("/asgi", asgi)
    mux.mount("/asgi-stream", asgi_stream)
    mux.mount("/websocket", websocket)
    return mux


if __name__ != "__main__":
    mux = everything()


# --- servers that come and go in one process -----------------------------------------------------

AT_ONCE = 4
PATIENCE = 10.0


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited in vain for {what}")
        time.sleep(0.002)


def serve_and_stop(kind: str) -> None:
    """One server, stopped while clients are being answered."""
    site = everything() if kind in ("asgi", "asgi-stream", "websocket") else threads_only()
    site.context = Held()  # type: ignore[attr-defined]
    # A handler that knows its site, as handlers that make links do.
    site.route("/site/", lambda w, _req: w.text(repr(site)))
    server = gohttp.Server(site, port=0, log_level="critical", graceful_timeout=0)
    server.start()
    port = int(server.url.rpartition(":")[2])
    clients = [socket.create_connection(("127.0.0.1", port), PATIENCE) for _ in range(AT_ONCE)]
    before, begun = Held.here, Held.ever
    for number, client in enumerate(clients):
        case = "sleeps" if number % 2 and kind != "files" else "floods"
        client.sendall(request(kind, case))
    if kind == "files":
        for client in clients:
            client.recv(1)
    else:
        wait_until(lambda: Held.ever == begun + AT_ONCE, "the handlers to begin")
    # Handlers that sleep are abandoned, and end a moment after that.
    timer = threading.Timer(0.2, awake.set)
    timer.start()
    with contextlib.suppress(TimeoutError):
        server.shutdown(0)
    timer.join()
    for client in clients:
        client.close()
    wait_until(lambda: bool(gc.collect() or True) and Held.here <= before, "the handlers to end")
    awake.clear()


def request(kind: str, case: str) -> bytes:
    lines = [f"GET /{kind}/{case} HTTP/1.1", "Host: test"]
    if kind == "websocket":
        lines += ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"]
        lines += ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
    return "\r\n".join([*lines, "", ""]).encode()


def settled() -> dict[str, int]:
    """A look after abandoned threads have ended."""
    deadline = time.monotonic() + PATIENCE
    while abandoned() and time.monotonic() < deadline:
        time.sleep(0.01)
    return look()


def abandoned() -> list[str]:
    """The names of all threads but this one and those of which a process keeps one."""
    tasks = Path("/proc/self/task")
    others = (tasks / task / "comm" for task in os.listdir(tasks) if int(task) != os.getpid())
    names = [name.read_text().strip() for name in others if name.exists()]
    return [name for name in names if name not in ("gohttp-log", "gohttp-wake")]


def main(kind: str, rounds: int) -> None:
    """What the process holds after some rounds, and after as many again, as JSON."""
    look()  # the first makes things that stay
    looks = []
    for _ in range(2):
        for _ in range(rounds):
            serve_and_stop(kind)
        looks.append(settled())
    sys.stdout.write(json.dumps(looks))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
