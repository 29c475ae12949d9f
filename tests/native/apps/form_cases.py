"""Handlers that read forms, texts and JSON of clients who may mean no good."""

import asyncio
import encodings
import gc
import os
import time
from collections.abc import Callable
from typing import Any

import gohttp
from gohttp import Mux, Request, ResponseWriter

# What is only closed by the collector stays open here, and is seen.
gc.disable()

mux = Mux()
asynchronous = Mux()
mux.mount("/async", asynchronous)

Handler = Callable[[ResponseWriter, Request], None]


def both(pattern: str) -> Callable[[Handler], Handler]:
    """Registers a handler under its pattern and, as a coroutine, under /async."""

    def register(handler: Handler) -> Handler:
        async def later(w: ResponseWriter, req: Request) -> None:
            await asyncio.sleep(0)
            handler(w, req)

        mux.route(pattern, handler)
        asynchronous.route(pattern, later)
        return handler

    return register


@both("/form-twice")
def form_twice(w: ResponseWriter, req: Request) -> None:
    told = []
    for _ in range(2):
        try:
            told.append(repr(req.form().pairs()))
        except gohttp.BadRequest as error:
            told.append(f"{error.status} {error}")
    w.json(told)


@both("/form")
def form(w: ResponseWriter, req: Request) -> None:
    given = req.form()
    sizes = {name: [len(file.file.read()) for file in all_] for name, all_ in given.files.items()}
    w.json({"lengths": [[name, len(value)] for name, value in given.pairs()], "files": sizes})


@mux.route("/form-after-a-sign")
def form_after_a_sign(w: ResponseWriter, req: Request) -> None:
    w.headers["Content-Type"] = "application/json"
    w.write("\n")
    w.flush()
    w.json([[name, len(value)] for name, value in req.form().pairs()])


@mux.route("/save")
def save(w: ResponseWriter, req: Request) -> None:
    (file,) = req.form().files["f"]
    start = file.file.read(3)
    size = file.save_as(os.environ["FORM_COPY"])
    w.json([size, file.size, (start + file.file.read(3)).decode()])


@both("/text")
def text(w: ResponseWriter, req: Request) -> None:
    w.text(req.text)


@both("/json")
def json(w: ResponseWriter, req: Request) -> None:
    w.json(req.json())


@mux.route("/event")
def event(w: ResponseWriter, req: Request) -> None:
    w.sse().send(req.json())


@both("/field")
def field(w: ResponseWriter, req: Request) -> None:
    w.text(req.form()["name"])


@both("/file")
def file(w: ResponseWriter, req: Request) -> None:
    w.text(req.form().files["name"][0].filename)


@both("/parameter")
def parameter(w: ResponseWriter, req: Request) -> None:
    w.text(req.query["page"])


@mux.route("/absent")
def absent(w: ResponseWriter, req: Request) -> None:
    told: dict[str, Any] = {
        "get": [
            req.query.get("page"),
            req.query.get("page", default="1"),
            req.form().files.get("page"),
        ],
        "in": ["page" in req.query, "page" in req.form().files, "there" in req.query],
    }
    for kind in (KeyError, gohttp.BadRequest, gohttp.MissingValue):
        try:
            req.query["page"]
        except kind as error:
            told[kind.__name__] = [str(error), getattr(error, "name", None)]
    w.json(told)


@mux.route("/state")
def state(w: ResponseWriter, req: Request) -> None:
    known: dict[str, Any] = encodings._cache  # type: ignore[attr-defined]
    w.json(
        {
            "descriptors": len(os.listdir("/proc/self/fd")),
            "codecs": len(known),
            "cpu": time.process_time(),
        }
    )
