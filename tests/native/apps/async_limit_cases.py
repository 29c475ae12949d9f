"""`async def` handlers that wait, alone and beside an ASGI app."""

import os
from typing import Any

import control
from gohttp import Mux, Request, ResponseWriter
from gohttp._coroutines import Coroutines

mux = Mux()


async def waits(w: ResponseWriter, req: Request) -> None:
    control.events[req.query_string].append("began")
    await control.wait_async(req.query_string)
    w.text("waited")


def around(w: ResponseWriter, req: Request) -> Any:
    """A plain function that gives a coroutine, as middleware may be."""
    return waits(w, req)


def plain(w: ResponseWriter, _req: Request) -> None:
    w.text("plain")


def _full(self: Coroutines, coroutine: Any, w: ResponseWriter, req: Request) -> None:
    if req.path == "/no-loop":
        raise MemoryError("the loop takes no more")
    _run(self, coroutine, w, req)


_run, Coroutines.run = Coroutines.run, _full  # type: ignore[method-assign]


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    key = scope["query_string"].decode()
    control.events[key].append("began")
    await control.wait_async(key)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"waited"})


mux.route("/waits", waits)
mux.route("/around", around)
mux.route("/plain", plain)
mux.route("/no-loop", waits)
mux.mount("/control", control.mux)
if os.environ["CASES_KIND"] == "beside":
    mux.mount("/asgi", asgi)
