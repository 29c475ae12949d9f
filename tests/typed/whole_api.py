"""All that gohttp offers to programs, with the types that it says: checked, not run."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import IO, Any, assert_type

import gohttp
import gohttp.testing
from gohttp import (
    AsyncWebSocket,
    BadRequest,
    EventStream,
    Form,
    FormFile,
    GohttpError,
    Headers,
    MissingValue,
    Mux,
    Request,
    RequestTimeout,
    ResponseWriter,
    Server,
    Values,
    WebSocket,
    WebSocketClosed,
    route,
    run,
    shutdown,
)

mux = Mux()
Handler = Callable[[ResponseWriter, Request], None]


# --- routes --------------------------------------------------------------------------------------


@route("/")
def index(w: ResponseWriter, _req: Request) -> None:
    w.write("index")


again: Handler = route("/again", index)


@mux.route("GET /items/{id}")
async def item(w: ResponseWriter, req: Request) -> None:
    w.json({"id": req.path_value("id")})
    await w.drain()


class Counter:
    """A handler with a state."""

    def __call__(self, w: ResponseWriter, _req: Request) -> int:
        return w.write("called")


def logged(handler: Handler) -> Handler:
    def around(w: ResponseWriter, req: Request) -> None:
        handler(w, req)

    return around


@route("/logged")
@logged
def decorated(w: ResponseWriter, _req: Request) -> None:
    w.write("decorated")


def with_more(w: ResponseWriter, _req: Request, text: str = "more") -> None:
    w.write(text)


mux.route("/counter", Counter())
mux.route("/lambda", lambda w, req: w.text(req.path))
mux.route("/partial", partial(with_more, text="less"))
mux.route("/default", with_more)
kept: Callable[[ResponseWriter, Request], Coroutine[Any, Any, None]] = mux.route("/kept", item)
also_kept: Callable[[ResponseWriter, Request], None] = index


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    start_response("200 OK", [])
    return [environ["PATH_INFO"].encode()]


def middleware(handler: Callable[..., Any]) -> Callable[..., Any]:
    def around(w: ResponseWriter, req: Request) -> Any:
        req.context["began"] = 1
        return handler(w, req)

    return around


def build() -> Mux:
    site = Mux()
    site.use(middleware)
    site.mount("/asgi", asgi)
    site.mount("/wsgi", wsgi, interface="wsgi")
    site.mount("/mux", mux)
    site.files("/static", Path("public"), dot_files=False)
    assert_type(bool(site), bool)
    return site


# --- requests ------------------------------------------------------------------------------------


def reads(w: ResponseWriter, req: Request) -> None:
    assert_type(req.method, str)
    assert_type(req.url, str)
    assert_type(req.path, str)
    assert_type(req.query_string, str)
    assert_type(req.pattern, str)
    assert_type(req.host, str)
    assert_type(req.scheme, str)
    assert_type(req.is_secure, bool)
    assert_type(req.tls, None)
    assert_type(req.proto, str)
    assert_type(req.remote_addr, str)
    assert_type(req.path_values, dict[str, str])
    assert_type(req.query, Values)
    assert_type(req.query["x"], str)
    assert_type(req.query.get("x"), str | None)
    assert_type(req.query.get("x", "1"), str)
    assert_type(req.query.get("x", 1), str | int)
    assert_type(req.query.get_all("x"), list[str])
    assert_type(req.query.pairs(), list[tuple[str, str]])
    assert_type(req.cookies, dict[str, str])
    assert_type(req.cookies.get("session"), str | None)
    assert_type(req.basic_auth, tuple[str, str] | None)
    assert_type(req.headers, Headers)
    assert_type(req.headers["host"], str)
    assert_type(req.headers.get("host"), str | None)
    assert_type(req.headers.get_all("accept"), list[str])
    assert_type(req.headers.items(), list[tuple[str, str]])
    assert_type([name for name in req.headers], list[str])
    assert_type("host" in req.headers, bool)
    assert_type(req.body, bytes)
    assert_type(req.read(10), bytes)
    assert_type(req.read(), bytes)
    assert_type(req.text, str)
    assert_type(req.context, dict[Any, Any])
    assert_type(req.cancelled, bool)
    assert_type(req.stopping, bool)
    loaded: dict[str, int] = req.json()
    req.on_cancel(lambda: print("left"))  # noqa: T201
    req.set_deadline(2.5)
    req.set_deadline(None)
    if len(loaded) > 3:
        raise BadRequest("too many", 422)
    w.text(req.text)


def reads_forms(w: ResponseWriter, req: Request) -> None:
    form = req.form()
    assert_type(form, Form)
    assert_type(form["name"], str)
    assert_type(form.files["f"], list[FormFile])
    for files in form.files.values():
        for file in files:
            assert_type((file.name, file.filename, file.content_type), tuple[str, str, str])
            assert_type(file.file, IO[bytes])
            assert_type(file.file.read(), bytes)
            assert_type(file.save_as("copy"), int)
            assert_type(file.size, int)
    try:
        w.text(form["name"])
    except MissingValue as missing:
        assert_type((missing.name, missing.status), tuple[str, int])


# --- responses -----------------------------------------------------------------------------------


def answers(w: ResponseWriter, req: Request) -> None:
    w.set_status(201)
    w.headers["X-A"] = "1"
    w.headers.add("X-A", "2")
    del w.headers["X-A"]
    w.headers.update({"X-B": "1"}, X_C="2")
    w.headers.update([("X-B", "1")])
    w.headers.update(req.headers)
    assert_type(w.headers.setdefault("X-B", "2"), str)
    assert_type(w.headers.popitem(), tuple[str, str])
    assert_type(dict(w.headers), dict[str, str])
    w.headers.pop("X-B", None)
    w.headers.clear()
    w.trailers["X-Sum"] = "3"
    assert_type(w.write("text"), int)
    assert_type(w.write(b"bytes"), int)
    assert_type(w.write(memoryview(b"view")), int)
    w.json({"a": [1, None]}, 201)
    w.json([1], status=201)
    w.text("text", 201)
    w.html("<p>", status=201)
    w.error("none", 404)
    w.redirect("/", 303)
    w.set_cookie("a", "1", max_age=60, expires=datetime.now(UTC), same_site="lax")
    w.set_cookie("b", "2", max_age=timedelta(days=1), path=None, secure=True, partitioned=True)
    w.serve_file(req, Path("a.txt"))
    w.serve_file(req, "a.txt")
    w.early_hints(["</a.css>; rel=preload"])
    w.flush()
    assert_type(w.hijack(), socket.socket)
    events = w.sse()
    assert_type(events, EventStream)
    events.send({"n": 1}, event="tick", id="1", retry=500)
    events.comment()


def chat(w: ResponseWriter, req: Request) -> None:
    with w.websocket(req, subprotocols=["chat"]) as ws:
        assert_type(ws, WebSocket)
        assert_type(ws.subprotocol, str | None)
        assert_type(ws.closed, bool)
        for message in ws:
            assert_type(message, str | bytes)
            ws.send(message)
        try:
            assert_type(ws.receive(), str | bytes)
        except WebSocketClosed as closed:
            assert_type((closed.code, closed.reason), tuple[int, str])
        ws.close(1000, "bye")


async def async_chat(w: ResponseWriter, req: Request) -> None:
    async with w.async_websocket(req, subprotocols=("chat",)) as ws:
        assert_type(ws, AsyncWebSocket)
        assert_type(ws.subprotocol, str | None)
        async for message in ws:
            assert_type(message, str | bytes)
            await ws.send(message)
        assert_type(await ws.receive(), str | bytes)
        await ws.close(code=1000)
    waits: Awaitable[None] = w.drain()
    await waits


# --- servers -------------------------------------------------------------------------------------


def serves() -> None:
    server = Server(build(), host="127.0.0.1", port=0, threads=4)
    with server as running:
        assert_type(running, Server)
        assert_type(server.url, str)
    server.run()
    server.start()
    server.serve_forever()
    server.shutdown(5)
    with gohttp.testing.serve(asgi, threads=2) as url:
        assert_type(url, str)
    run()
    run("127.0.0.1", 5000, threads=4)
    run(host="127.0.0.1", port=5000)
    run("module:app", port=8000, workers=2)
    run(wsgi, port=8000)
    run(asgi)
    run(mux)
    run(mux, port=8000, threads=4)
    shutdown()
    assert_type(gohttp.__version__, str)


async def serves_on_a_loop() -> None:
    serving = asyncio.create_task(Server(asgi).serve())
    try:
        await serving
    except (GohttpError, RequestTimeout) as error:
        raise SystemExit(1) from error
