"""A site whose clients and handlers are unlucky or worse."""

import asyncio
import os
import threading
from pathlib import Path
from typing import Any

from gohttp import Mux, Request, ResponseWriter

mux = Mux()
asleep = threading.Event()


@mux.route("/stream")
async def stream(w: ResponseWriter, req: Request) -> None:
    for _ in range(int(req.query["pieces"])):
        w.write(b"x" * 65536)
        await w.drain()


@mux.route("/returns")
def returns(_w: ResponseWriter, _req: Request) -> Any:
    return {"a": 1}


@mux.route("/async-returns")
async def async_returns(_w: ResponseWriter, _req: Request) -> Any:
    return {"a": 1}


@mux.route("/returns-what-it-wrote")
def returns_what_it_wrote(w: ResponseWriter, _req: Request) -> Any:
    return w.write("five\n")


@mux.route("/no-hijack")
def no_hijack(w: ResponseWriter, _req: Request) -> None:
    try:
        w.hijack()
    except OSError:
        w.error("no", 501)


@mux.route("/tree/")
def tree(w: ResponseWriter, _req: Request) -> None:
    w.text("tree")


def environ(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    both = f"{environ['SCRIPT_NAME']}|{environ['PATH_INFO']}"
    return [both.encode("latin-1")]


async def scope(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        return
    body = f"{scope['root_path']}|{scope['path']}".encode()
    if scope["path"].endswith("/thread"):
        await asyncio.to_thread(lambda: None)
    if scope["path"].endswith("/stuck"):
        await asyncio.to_thread(threading.Event().wait, 60)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


mux.mount("/asgi", scope)
mux.mount("/wsgi", environ)
mux.mount("/an%20app/é", environ)
mux.mount("/a%20scope", scope)
if "FILES" in os.environ:
    mux.files("/files", Path(os.environ["FILES"]))
