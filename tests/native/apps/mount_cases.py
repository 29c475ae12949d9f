"""One small app in four kinds, WSGI, ASGI and native ones of both sorts, side by side in a Mux.

`$FOLDER` is where events are noted (a line each in `events`) and where gates are: a gate is open
once there is a file with its name. That needs no thread and no loop of the server.
"""

import asyncio
import hashlib
import json
import os
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

from gohttp import Mux, Request, ResponseWriter

GATE_TIMEOUT = 20.0
BLOCK = bytes(64 * 1024)
FOLDER = Path(os.environ.get("FOLDER", "."))

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


def note(event: str) -> None:
    with (FOLDER / "events").open("a", encoding="utf-8") as file:
        file.write(event + "\n")


def is_open(gate: str) -> bool:
    return (FOLDER / gate).exists()


def wait_for(gate: str) -> None:
    """Blocks, the loop too if it is called there."""
    deadline = time.monotonic() + GATE_TIMEOUT
    while not is_open(gate):
        assert time.monotonic() < deadline, f"nobody opened {gate}"
        time.sleep(0.005)


async def wait_gently_for(gate: str) -> None:
    deadline = time.monotonic() + GATE_TIMEOUT
    while not is_open(gate):
        assert time.monotonic() < deadline, f"nobody opened {gate}"
        await asyncio.sleep(0.005)


class Presence:
    """Who has been in sync handlers, and how many at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = 0
        self.most = 0
        self.threads: set[int] = set()

    def __enter__(self) -> None:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
            self.threads.add(threading.get_ident())

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._now -= 1


presence = Presence()


def digest(body: bytes) -> bytes:
    return json.dumps([len(body), hashlib.sha256(body).hexdigest()]).encode()


class Work:
    """What both sorts do without waiting; a method is a case, the last segment of a path."""

    def __init__(self, kind: str, query: str) -> None:
        self.kind = kind
        self.query = query

    def note(self, what: str) -> None:
        note(f"{self.kind} {what} {self.query}".strip())

    def at_once(self, case: str) -> bytes | None:
        """The whole body, if the case needs no waiting."""
        match case:
            case "pid":
                return str(os.getpid()).encode()
            case "thread":
                return threading.current_thread().name.encode()
            case "presence":
                return json.dumps([presence.most, len(presence.threads)]).encode()
            case "hog":
                # Also where it keeps the loop.
                self.note("hogs")
                wait_for(self.query)
                return b"hogged"
            case "fail":
                raise LookupError(f"{self.kind} failed {self.query}")
        return None


class Blocking(Work):
    """The cases of what blocks."""

    def __init__(self, kind: str, query: str, read: Callable[[], bytes]) -> None:
        super().__init__(kind, query)
        self.read = read

    def run(self, case: str) -> Iterator[bytes]:
        if (whole := self.at_once(case)) is not None:
            yield whole
        elif (method := getattr(self, case, None)) is not None:
            yield from method()
        else:
            yield f"{self.kind} {case}".encode()

    def echo(self) -> Iterator[bytes]:
        yield digest(self.read())

    def wait(self) -> Iterator[bytes]:
        self.note("begun")
        wait_for(self.query)
        self.note("ended")
        yield b"done"

    def stream(self) -> Iterator[bytes]:
        yield b"first"
        wait_for(self.query)
        yield b"second"

    def fail_late(self) -> Iterator[bytes]:
        yield b"begun"
        raise LookupError(f"{self.kind} failed late {self.query}")

    def flood(self) -> Iterator[bytes]:
        self.note("floods")
        try:
            while True:
                yield BLOCK
        finally:
            self.note("left")

    def upload(self) -> Iterator[bytes]:
        self.note("reads")
        try:
            yield digest(self.read())
        except OSError:
            self.note("left")
            raise

    def present(self) -> Iterator[bytes]:
        with presence:
            time.sleep(float(self.query))
        yield b"was here"

    def sleep(self) -> Iterator[bytes]:
        self.note("sleeps")
        try:
            for _ in range(2000):
                time.sleep(0.01)
        except BaseException as error:
            self.note(f"woken by {type(error).__name__}")
            raise
        yield b"slept"

    def spin(self) -> Iterator[bytes]:
        """Keeps the GIL as much as Python lets it."""
        self.note("spins")
        while not is_open(self.query):
            sum(range(10_000))
        yield b"spun"


class Awaiting(Work):
    """The cases of what awaits."""

    def __init__(self, kind: str, query: str, read: Callable[[], Awaitable[bytes]]) -> None:
        super().__init__(kind, query)
        self.read = read

    async def run(self, case: str) -> AsyncIterator[bytes]:
        if (whole := self.at_once(case)) is not None:
            yield whole
        elif (method := getattr(self, case, None)) is not None:
            async for part in method():
                yield part
        else:
            yield f"{self.kind} {case}".encode()

    async def echo(self) -> AsyncIterator[bytes]:
        yield digest(await self.read())

    async def wait(self) -> AsyncIterator[bytes]:
        self.note("begun")
        await wait_gently_for(self.query)
        self.note("ended")
        yield b"done"

    async def stream(self) -> AsyncIterator[bytes]:
        yield b"first"
        await wait_gently_for(self.query)
        yield b"second"

    async def fail_late(self) -> AsyncIterator[bytes]:
        yield b"begun"
        await asyncio.sleep(0)
        raise LookupError(f"{self.kind} failed late {self.query}")

    async def flood(self) -> AsyncIterator[bytes]:
        self.note("floods")
        while True:
            yield BLOCK

    async def upload(self) -> AsyncIterator[bytes]:
        self.note("reads")
        yield digest(await self.read())

    async def loop(self) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        yield f"{id(loop)} {type(loop).__module__}".encode()

    async def sleep(self) -> AsyncIterator[bytes]:
        self.note("sleeps")
        try:
            await asyncio.sleep(20)
        except BaseException as error:
            self.note(f"woken by {type(error).__name__}")
            raise
        yield b"slept"

    async def executor(self) -> AsyncIterator[bytes]:
        """Threads that nobody can interrupt take all of the loop's executor."""
        for _ in range(64):
            asyncio.get_running_loop().run_in_executor(None, wait_for, self.query)
        yield b"filled"


class Wsgi:
    """The app as a WSGI application."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        case = environ["PATH_INFO"].rpartition("/")[2]
        if case == "who":
            shown: dict[str, Any] = {k: v for k, v in environ.items() if isinstance(v, str)}
            shown["app"] = self.name
            shown["leaks"] = [key for key in environ if "leak" in key]
            # None of this may be seen again.
            environ["leak"] = environ["HTTP_X_LEAK"] = self.name
            environ["SCRIPT_NAME"] = environ["PATH_INFO"] = "/changed"
            environ["wsgi.url_scheme"] = "changed"
            del environ["REQUEST_METHOD"]
            start_response("200 OK", [("Content-Type", "application/json")])
            return [json.dumps(shown).encode()]
        start_response("200 OK", [("Content-Type", "text/plain")])
        return Blocking(self.name, environ["QUERY_STRING"], environ["wsgi.input"].read).run(case)


class Asgi:
    """The app as an ASGI application."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.live(scope, receive, send)
        elif scope["type"] == "websocket":
            await self.chat(scope, receive, send)
        else:
            await self.answer(scope, receive, send)

    async def live(self, scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        note(f"start {self.name}")
        scope["state"]["name"] = self.name
        await send({"type": "lifespan.startup.complete"})
        await receive()
        note(f"stop {self.name}")
        await send({"type": "lifespan.shutdown.complete"})

    def shown(self, scope: Message) -> bytes:
        return json.dumps(
            {
                "app": self.name,
                "type": scope["type"],
                "path": scope["path"],
                "raw_path": scope["raw_path"].decode("latin-1"),
                "root_path": scope["root_path"],
                "query": scope["query_string"].decode("latin-1"),
                "method": scope.get("method"),
                "scheme": scope["scheme"],
                "headers": [
                    [k.decode("latin-1"), v.decode("latin-1")] for k, v in scope["headers"]
                ],
                "state": scope.get("state"),
                "leaks": [key for key in scope if "leak" in key],
            }
        ).encode()

    async def chat(self, scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": self.shown(scope).decode()})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": f"{self.name}: {message['text']}"})
        note(f"{self.name} closed with {message['code']}")

    async def answer(self, scope: Message, receive: Receive, send: Send) -> None:
        case, query = scope["path"].rpartition("/")[2], scope["query_string"].decode()
        headers = [(b"content-type", b"text/plain")]

        async def read() -> bytes:
            body = b""
            while (message := await receive())["type"] == "http.request":
                body += bytes(message.get("body", b""))
                if not message.get("more_body"):
                    return body
            raise ConnectionResetError("the client has gone")

        async def begin() -> None:
            await send({"type": "http.response.start", "status": 200, "headers": headers})

        if case == "who":
            shown = self.shown(scope)
            # None of this may be seen again.
            scope["leak"] = self.name
            scope["headers"].append((b"x-leak", self.name.encode()))
            scope["path"] = scope["root_path"] = "/changed"
            scope["state"]["leak"] = self.name
            await begin()
            await send({"type": "http.response.body", "body": shown})
            return
        begun = False
        try:
            async for part in Awaiting(self.name, query, read).run(case):
                if not begun:
                    await begin()
                    begun = True
                await send({"type": "http.response.body", "body": part, "more_body": True})
        except OSError:
            note(f"{self.name} left {query}")
            raise
        await send({"type": "http.response.body"})


def native(kind: str) -> Callable[[ResponseWriter, Request], None]:
    """The app as a native handler; `{case}` says what it is to do."""

    def handler(w: ResponseWriter, req: Request) -> None:
        w.headers["Content-Type"] = "text/plain"
        case = req.path_value("case")
        if case == "who":
            w.write(shown_of(kind, req))
            return
        try:
            for part in Blocking(kind, req.query_string, lambda: req.body).run(case):
                w.write(part)
                if case not in ("echo", "upload", "flood"):
                    w.flush()
        except ConnectionResetError:
            note(f"{kind} left {req.query_string}")
            raise

    return handler


def async_native(kind: str) -> Callable[[ResponseWriter, Request], Awaitable[None]]:
    """The same, `async def`."""

    async def handler(w: ResponseWriter, req: Request) -> None:
        w.headers["Content-Type"] = "text/plain"
        case = req.path_value("case")
        if case == "who":
            w.write(shown_of(kind, req))
            return

        async def read() -> bytes:
            return req.body

        try:
            async for part in Awaiting(kind, req.query_string, read).run(case):
                w.write(part)
                w.flush()
                await w.drain()
        except ConnectionResetError:
            note(f"{kind} left {req.query_string}")
            raise

    return handler


def shown_of(kind: str, req: Request) -> str:
    shown = {
        "app": kind,
        "pattern": req.pattern,
        "path": req.path,
        "url": req.url,
        "method": req.method,
        "query": req.query_string,
        "headers": req.headers.items(),
    }
    return json.dumps(shown)


def natives(mux: Mux, prefix: str = "") -> None:
    mux.route("/sync/{case}", native(f"{prefix}sync"))
    mux.route("/async/{case}", async_native(f"{prefix}async"))


# --- the sites -----------------------------------------------------------------------------------

mux = Mux()
mux.mount("/wsgi", Wsgi("wsgi"))
mux.mount("/asgi", Asgi("asgi"))
natives(mux)
mux.route("/asgi/routes/{case}", native("route in a mount"))
deeper = Mux()
deeper.mount("/wsgi/", Wsgi("deep-wsgi"))
deeper.mount("/asgi/", Asgi("deep-asgi"))
natives(deeper, "deep-")
deep = Mux()
deep.mount("/er", deeper)
mux.mount("/deep", deep)
mux.mount("/wsgi/in/side", Wsgi("inside-wsgi"))
mux.mount("/asgi/in/side", Asgi("inside-asgi"))
mux.mount("/grün/wsgi", Wsgi("green-wsgi"))
mux.mount("/grün/asgi", Asgi("green-asgi"))
mux.mount("/en%20coded/wsgi", Wsgi("encoded-wsgi"))
mux.mount("/en%20coded/asgi", Asgi("encoded-asgi"))
mux.mount("example.org/hosted", Asgi("hosted-asgi"))
folder = Mux()
folder.route("/tree/", native("tree"))
mux.route("/tree/", native("tree"))
mux.mount("/folder", folder)

threads_only = Mux()
threads_only.mount("/wsgi", Wsgi("wsgi"))
natives(threads_only)


@mux.route("/control/mount")
def mount_now(w: ResponseWriter, _req: Request) -> None:
    """Mounts that come too late."""
    said = []
    for where in (mux, deeper, Mux()):
        for number, app in enumerate((Wsgi("late"), Asgi("late"), Mux())):
            try:
                where.mount(f"/late/{number}", app)
                said.append("mounted")
            except RuntimeError as error:
                said.append(str(error))
    w.write(json.dumps(said))
