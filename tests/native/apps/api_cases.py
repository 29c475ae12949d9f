"""Native handlers that use what Request and ResponseWriter offer beside the bare exchange."""

import asyncio
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gohttp
from gohttp import Mux, Request, ResponseWriter

FOLDER = Path(os.environ["CASES_FOLDER"])
mux = Mux()
asynchronous = Mux()


def both(pattern: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Registers a handler under its pattern and, as a coroutine, under /async."""

    def register(handler: Callable[..., Any]) -> Callable[..., Any]:
        mux.route(pattern, handler)

        async def later(w: ResponseWriter, req: Request) -> None:
            await asyncio.sleep(0)
            handler(w, req)

        asynchronous.route(pattern, later)
        return handler

    return register


@both("/form")
def form(w: ResponseWriter, req: Request) -> None:
    given = req.form()
    files = {
        name: [[f.filename, f.content_type, f.size, f.file.read(5).decode("latin-1")] for f in all_]
        for name, all_ in given.files.items()
    }
    w.json({"pairs": given.pairs(), "files": files, "again": req.form() is given})


@both("/json")
def json(w: ResponseWriter, req: Request) -> None:
    w.json({"got": req.json()}, 201)


@both("/text")
def text(w: ResponseWriter, req: Request) -> None:
    w.text(req.text)


@both("/facts")
def facts(w: ResponseWriter, req: Request) -> None:
    req.context["x"] = 1
    w.json(
        {
            "query": req.query.pairs(),
            "all": req.query.get_all("a"),
            "first": req.query.get("a"),
            "cookies": req.cookies,
            "auth": req.basic_auth,
            "scheme": req.scheme,
            "pattern": req.pattern,
            "context": req.context,
        }
    )


@both("/pieces")
def pieces(w: ResponseWriter, req: Request) -> None:
    sizes = []
    while piece := req.read(50_000):
        sizes.append(len(piece))
    w.json([sum(sizes), max(sizes, default=0), len(req.read(10)), len(req.read())])


@mux.route("/piece-then-body")
def piece_then_body(w: ResponseWriter, req: Request) -> None:
    req.read(1)
    try:
        w.write(req.body)
    except RuntimeError as error:
        w.text(str(error))


@both("/body-then-pieces")
def body_then_pieces(w: ResponseWriter, req: Request) -> None:
    w.json([len(req.body), len(req.read(3)), len(req.read()), len(req.body)])


@both("/answers/{kind}")
def answers(w: ResponseWriter, req: Request) -> None:
    kind = req.path_value("kind")
    if kind == "html":
        w.html("<p>é</p>", 202)
    elif kind == "error":
        w.headers["ETag"] = '"x"'
        w.headers["Cache-Control"] = "max-age=60"
        w.error("not here", 404)
    elif kind == "own-type":
        w.headers["Content-Type"] = "application/problem+json"
        w.json({"a": "é"}, 409)
    elif kind == "redirect":
        w.redirect(req.query["to"], int(req.query.get("status", "302")))
    elif kind == "cookies":
        w.set_cookie("a", "1", max_age=60, http_only=True, secure=True, same_site="none")
        w.set_cookie("b", "2", expires=datetime(2030, 1, 2, tzinfo=UTC), path=None, same_site=None)
        w.text("set")
    elif kind == "bad-cookies":
        refused = []
        for name, value, more in (
            ("a;b", "1", {}),
            ("", "1", {}),
            ("a", "1;2", {}),
            ("a", "1\r\nSet-Cookie: b=2", {}),
            ("a", "1", {"path": "/;x"}),
            ("a", "1", {"domain": "a\r\nb"}),
            ("a", "1", {"same_site": "none"}),
            ("a", "1", {"same_site": "odd"}),
        ):
            try:
                w.set_cookie(name, value, **more)
            except ValueError:
                refused.append(True)
        w.json(refused)


@both("/events")
def events(w: ResponseWriter, _req: Request) -> None:
    stream = w.sse()
    stream.comment("hello")
    stream.send("one\ntwo\r\nthree", event="tick", id="1", retry=500)
    stream.send({"n": 2})
    for name in ("event", "id"):
        try:
            stream.send("x", **{name: "a\nb"})
        except ValueError:
            stream.send("refused")


@both("/hints")
def hints(w: ResponseWriter, _req: Request) -> None:
    w.early_hints(["</a.css>; rel=preload", "</b.js>; rel=preload"])
    w.text("done")


@mux.route("/hijack")
def hijack(w: ResponseWriter, _req: Request) -> None:
    with w.hijack() as connection:
        connection.sendall(b"HTTP/1.1 299 Mine\r\nConnection: close\r\n\r\n")
        connection.sendall(connection.recv(100).upper())


@both("/file")
def file(w: ResponseWriter, req: Request) -> None:
    w.headers["X-Mine"] = "kept"
    w.serve_file(req, FOLDER / req.query["name"])


@both("/file-or-else")
def file_or_else(w: ResponseWriter, req: Request) -> None:
    w.headers["X-Mine"] = "kept"
    try:
        w.serve_file(req, FOLDER)
    except OSError:
        w.write("no file\n")
        w.flush()
        w.write(f"X-Mine is {w.headers.get('x-mine')}\n")


@mux.route("/refused")
def refused(_w: ResponseWriter, _req: Request) -> None:
    raise gohttp.BadRequest("no such colour", 422)


def _around(handler: Callable[..., Any]) -> Callable[..., Any]:
    def around(w: ResponseWriter, req: Request) -> Any:
        w.headers.add("X-Around", "outer")
        return handler(w, req)

    return around


def _inside(handler: Callable[..., Any]) -> Callable[..., Any]:
    def inside(w: ResponseWriter, req: Request) -> Any:
        w.headers.add("X-Around", "inner")
        return handler(w, req)

    return inside


wrapped = Mux()
wrapped.use(_around, _inside)


@wrapped.route("/sync")
def wrapped_sync(w: ResponseWriter, _req: Request) -> None:
    w.text("sync")


@wrapped.route("/async")
async def wrapped_async(w: ResponseWriter, req: Request) -> None:
    await asyncio.sleep(0)
    w.text(f"async {len(req.body)}")


mux.mount("/async", asynchronous)
mux.mount("/wrapped", wrapped)
mux.files("/static", FOLDER)
