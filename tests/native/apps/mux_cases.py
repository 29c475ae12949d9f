"""One set of patterns in several Muxes: in both orders, with both kinds of handlers."""

import asyncio
import json
import threading
from collections.abc import Callable, MutableMapping
from typing import Any

import gohttp
from gohttp import Mux, Request, ResponseWriter

Handler = Callable[[ResponseWriter, Request], Any]

PATTERNS = [
    "/{$}",
    "GET /items/{id}",
    "GET /items/latest",
    "POST /items/{id}",
    "DELETE /items/{id}",
    "/items/{id}/parts/{part}",
    "/items/{id}/parts/first",
    "GET /files/{rest...}",
    "GET /files/known/",
    "GET /files/known/{name}",
    "GET /files/known/file.txt",
    "/folder/{$}",
    "/tree/",
    "GET /tree/leaf",
    "/both",
    "/both/",
    "GET /only-get",
    "GET /own-head",
    "HEAD /own-head",
    "PUT /form/",
    "BREW /pot",
    "/a%2Fb",
    "/c%20d",
    "/grüße/{name}",
    "/%25",
    "example.org/",
    "GET example.org/items/{id}",
    "Example.NET/exact",
    "[::1]/six",
]


def told(w: ResponseWriter, req: Request, pattern: str) -> None:
    """Say what led here; also in a header, for HEAD."""
    shown = {
        "pattern": req.pattern,
        "registered": pattern,
        "values": req.path_values,
        "one by one": {name: req.path_value(name) for name in req.path_values},
        "path": req.path,
        "url": req.url,
        "method": req.method,
        "body": len(req.body),
    }
    w.headers["Content-Type"] = "application/json"
    w.headers["X-Pattern"] = pattern.encode().decode("latin-1")
    w.write(json.dumps(shown))


def telling(pattern: str, *, is_async: bool) -> Handler:
    def handler(w: ResponseWriter, req: Request) -> None:
        told(w, req, pattern)

    async def async_handler(w: ResponseWriter, req: Request) -> None:
        await asyncio.sleep(0)
        told(w, req, pattern)

    return async_handler if is_async else handler


def controls(mux: Mux) -> None:
    """What the tests do to a Mux while it is served."""

    @mux.route("/control/values/{a}/{b...}")
    def values(w: ResponseWriter, req: Request) -> None:
        outcomes: dict[str, Any] = {"known": [req.path_value("a"), req.path_value("b")]}
        for name in ("c", "", "A"):
            try:
                req.path_value(name)
            except KeyError as error:
                outcomes[name] = error.args
        changed = req.path_values
        changed["a"] = "changed"
        outcomes["after a change"] = req.path_values
        outcomes["order"] = list(req.path_values)
        w.write(json.dumps(outcomes))

    @mux.route("POST /control/add")
    def add(w: ResponseWriter, req: Request) -> None:
        pattern = req.body.decode()
        try:
            mux.route(pattern, telling(pattern, is_async=req.query_string == "async"))
        except ValueError as error:
            w.set_status(409)
            w.write(str(error))

    @mux.route("POST /control/add-many")
    def add_many(w: ResponseWriter, req: Request) -> None:
        """From several threads at once."""
        prefix = req.body.decode()

        def some(first: int) -> None:
            for number in range(first, first + 50):
                mux.route(f"{prefix}/{number}/{{x}}", telling(prefix, is_async=False))

        threads = [threading.Thread(target=some, args=(first,)) for first in range(0, 200, 50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def made(patterns: list[str], *, is_async: bool) -> Mux:
    mux = Mux()
    for pattern in patterns:
        mux.route(pattern, telling(pattern, is_async=is_async))
    controls(mux)
    return mux


async def mounted(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Any],
    send: Callable[[MutableMapping[str, Any]], Any],
) -> None:
    """An ASGI app without a lifespan: with it native handlers run beside an event loop."""
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": f"mounted {scope['path']}".encode()})


in_order = made(PATTERNS, is_async=False)
reverse = made(PATTERNS[::-1], is_async=True)
beside_a_loop = made(PATTERNS, is_async=False)
beside_a_loop.mount("/mounted", mounted)
async_beside_a_loop = made(PATTERNS[::-1], is_async=True)
async_beside_a_loop.mount("/mounted", mounted)


# --- Muxes in Muxes ------------------------------------------------------------------------------

INNERMOST = ["/{$}", "GET /leaf", "/folder/", "/two/{x}/{rest...}"]
nested, middle, innermost = Mux(), Mux(), Mux()
middle.mount("/inner", innermost)
nested.mount("/outer", middle)
for _pattern in INNERMOST:
    # After the mount: a Mux may be filled at any time.
    innermost.route(_pattern, telling(_pattern, is_async=False))
middle.route("/own", telling("/own", is_async=False))
middle.route("GET /inner/special", telling("GET /inner/special", is_async=False))
nested.route("/outer/inner/very/special", telling("/outer/inner/very/special", is_async=False))
controls(innermost)
nested.mount("/empty", Mux())
of_host = Mux()
of_host.route("/{$}", telling("/{$}", is_async=False))
of_host.route("GET /x/", telling("GET /x/", is_async=False))
nested.mount("example.org/hosted", of_host)
strange = Mux()
strange.route("/tree/", telling("/tree/", is_async=False))
nested.mount("/stränge%20pl%61ce", strange)


# --- what a server is asked to serve -------------------------------------------------------------

empty = Mux()

gohttp.route("/of-the-module", telling("/of-the-module", is_async=False))

beside_the_default = Mux()
beside_the_default.route("/of-the-mux", telling("/of-the-mux", is_async=False))


def make() -> Mux:
    """A factory."""
    mux = Mux()
    mux.route("/made", telling("/made", is_async=False))
    return mux


class Holder:
    mux = beside_the_default


catch_all = Mux()
catch_all.mount("/", mounted)
catch_all.route("GET /native", telling("GET /native", is_async=False))
