"""Handlers whose responses have trailers, sync and, under /async, as coroutines."""

import asyncio
import hashlib
from collections.abc import Callable
from typing import Any

from gohttp import Mux, Request, ResponseWriter

mux = Mux()
asynchronous = Mux()


def both(pattern: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def register(handler: Callable[..., Any]) -> Callable[..., Any]:
        mux.route(pattern, handler)

        async def later(w: ResponseWriter, req: Request) -> None:
            await asyncio.sleep(0)
            handler(w, req)

        asynchronous.route(pattern, later)
        return handler

    return register


@both("/declared")
def declared(w: ResponseWriter, _req: Request) -> None:
    """As Go has it: the names before the body, the values behind it."""
    w.headers["Trailer"] = "X-Digest, x-count"
    digest = hashlib.sha256()
    for piece in (b"one ", b"two ", b"three"):
        w.write(piece)
        w.flush()
        digest.update(piece)
    w.trailers["X-Digest"] = digest.hexdigest()
    w.trailers["X-Count"] = "3"


@both("/small")
def small(w: ResponseWriter, _req: Request) -> None:
    """Set in time: declared by themselves."""
    w.write("small")
    w.trailers["X-A"] = "1"
    w.trailers.add("X-A", "é")


@both("/undeclared")
def undeclared(w: ResponseWriter, _req: Request) -> None:
    w.write("first")
    w.flush()
    w.trailers["X-Late"] = "yes"


@both("/promised")
def promised(w: ResponseWriter, _req: Request) -> None:
    """What is declared need not come; here that is known when the head is sent."""
    w.headers["Trailer"] = "X-Never"
    w.write("body")


@both("/promised-late")
def promised_late(w: ResponseWriter, _req: Request) -> None:
    w.headers["Trailer"] = "X-Never"
    w.write("first")
    w.flush()


@both("/length")
def length(w: ResponseWriter, _req: Request) -> None:
    w.headers["Content-Length"] = "4"
    w.trailers["X-A"] = "1"
    w.write("body")


@both("/none")
def none(w: ResponseWriter, _req: Request) -> None:
    w.set_status(204)
    w.trailers["X-A"] = "1"


@both("/raises")
def raises(w: ResponseWriter, _req: Request) -> None:
    w.write("part")
    w.flush()
    w.trailers["X-A"] = "1"
    raise LookupError("after a part")


@both("/refused")
def refused(w: ResponseWriter, _req: Request) -> None:
    outcomes: dict[str, str] = {}
    for name, value in (
        ("Content-Length", "4"),
        ("transfer-encoding", "chunked"),
        ("Host", "a"),
        ("Set-Cookie", "a=b"),
        ("If-Match", "*"),
        ("Cache-Control", "no-store"),
        ("Authorization", "Basic x"),
        ("Content-Type", "text/html"),
        ("Trailer", "x"),
        ("Connection", "close"),
        ("a b", "1"),
        ("", "1"),
        ("X-Split", "1\r\nX-B: 2"),
        ("X-Wide", "€"),
    ):
        for change in (w.trailers.__setitem__, w.trailers.add):
            try:
                change(name, value)
            except ValueError as error:
                outcomes[name] = str(error)
    w.headers["Trailer"] = "X-Fine"
    w.json({"outcomes": outcomes, "left": w.trailers.items()})


@both("/declares-wrongly")
def declares_wrongly(w: ResponseWriter, _req: Request) -> None:
    w.headers["Trailer"] = "X-A, Content-Length"
    w.write("x")


mux.mount("/async", asynchronous)
