"""Handlers that say how long they may take, and that hear when their client leaves."""

import asyncio
import gc
import threading
import time
from pathlib import Path
from typing import Any

import control
import gohttp
from gohttp import Mux, Request, ResponseWriter

mux = Mux()
asynchronous = Mux()


def _seconds(req: Request) -> float | None:
    wanted = req.path_value("seconds")
    return None if wanted == "none" else float(wanted)


# --- deadlines -----------------------------------------------------------------------------------


@mux.route("/sleeps/{seconds}/{for}")
def sleeps(w: ResponseWriter, req: Request) -> None:
    """Sleeps in small steps, so that it can be interrupted."""
    noted = control.events[req.query_string]
    req.set_deadline(_seconds(req))
    end = time.monotonic() + float(req.path_value("for"))
    try:
        while time.monotonic() < end:
            time.sleep(0.01)
    except gohttp.RequestTimeout:
        noted.append("interrupted")
        raise
    noted.append("slept")
    w.text("slept")


@asynchronous.route("/sleeps/{seconds}/{for}")
async def sleeps_async(w: ResponseWriter, req: Request) -> None:
    noted = control.events[req.query_string]
    req.set_deadline(_seconds(req))
    try:
        await asyncio.sleep(float(req.path_value("for")))
    except asyncio.CancelledError:
        noted.append("interrupted")
        raise
    noted.append("slept")
    w.text("slept")


@mux.route("/streams/{seconds}")
def streams(w: ResponseWriter, req: Request) -> None:
    """The head is out before the deadline is set; each piece moves it."""
    w.write("begun ")
    w.flush()
    for number in range(6):
        req.set_deadline(_seconds(req))
        time.sleep(0.3)
        w.write(f"{number} ")
        w.flush()
    if req.query_string:
        try:
            while True:
                time.sleep(0.01)
        finally:
            control.events[req.query_string].append("ended")


@asynchronous.route("/streams/{seconds}")
async def streams_async(w: ResponseWriter, req: Request) -> None:
    w.write("begun ")
    w.flush()
    for number in range(6):
        req.set_deadline(_seconds(req))
        await asyncio.sleep(0.3)
        w.write(f"{number} ")
        w.flush()
    if req.query_string:
        try:
            await asyncio.sleep(60)
        finally:
            control.events[req.query_string].append("ended")


@mux.route("/wrong")
def wrong(w: ResponseWriter, req: Request) -> None:
    outcomes: list[str] = []

    def attempt(seconds: Any) -> None:
        try:
            req.set_deadline(seconds)
            outcomes.append("set")
        except (ValueError, RuntimeError, TypeError) as error:
            outcomes.append(type(error).__name__)

    for seconds in (-1, float("nan"), float("inf"), "1", 1e300, 3, None):
        attempt(seconds)
    other = threading.Thread(target=attempt, args=(1,))
    other.start()
    other.join()
    w.json(outcomes)


# --- hearing of a client that leaves -------------------------------------------------------------


def _listen(req: Request, left: threading.Event | None = None) -> None:
    noted = control.events[req.query_string]

    def told() -> None:
        # Python knows no names of threads that are not its own.
        thread = Path("/proc/thread-self/comm").read_text(encoding="ascii").strip()
        noted.append([thread, req.cancelled])
        if left is not None:
            left.set()

    req.on_cancel(told)


@mux.route("/hears")
def hears(w: ResponseWriter, req: Request) -> None:
    left = threading.Event()
    _listen(req, left)
    control.events[req.query_string].append("began")
    while not left.wait(0.01):
        pass
    control.events[req.query_string].append("woken")
    w.text("never read")


@asynchronous.route("/hears")
async def hears_async(w: ResponseWriter, req: Request) -> None:
    left = asyncio.Event()
    loop = asyncio.get_running_loop()
    _listen(req)
    req.on_cancel(lambda: loop.call_soon_threadsafe(left.set))
    control.events[req.query_string].append("began")
    await left.wait()
    control.events[req.query_string].append("woken")
    w.text("never read")


@mux.route("/late")
def late(w: ResponseWriter, req: Request) -> None:
    """Registers when the client has left already."""
    noted = control.events[req.query_string]
    noted.append("began")
    while not req.cancelled:
        time.sleep(0.01)
    _listen(req)
    while len(noted) < 2:
        time.sleep(0.01)
    w.text("never read")


@mux.route("/fine")
def fine(w: ResponseWriter, req: Request) -> None:
    """Its client stays to the end."""
    _listen(req)
    w.write("fine")


@asynchronous.route("/fine")
async def fine_async(w: ResponseWriter, req: Request) -> None:
    _listen(req)
    await asyncio.sleep(0)
    w.write("fine")


@mux.route("/kept-in-a-circle")
def kept_in_a_circle(w: ResponseWriter, req: Request) -> None:
    """The callback holds the request, which holds the callback."""
    req.context["w"], req.context["me"] = w, req
    req.on_cancel(lambda: print(w, req))  # noqa: T201
    req.set_deadline(5)
    w.trailers["X-A"] = "1"
    w.write("fine")


@asynchronous.route("/kept-in-a-circle")
async def kept_in_a_circle_async(w: ResponseWriter, req: Request) -> None:
    kept_in_a_circle(w, req)


@mux.route("/fine-declared")
def fine_declared(w: ResponseWriter, req: Request) -> None:
    """The client has all of it, and leaves, while the handler goes on."""
    _listen(req)
    w.headers["Content-Length"] = "4"
    w.write("fine")
    w.flush()
    control.wait(req.query_string)
    control.events[req.query_string].append(req.cancelled)


@mux.route("/raises")
def raises(w: ResponseWriter, req: Request) -> None:
    def fails() -> None:
        raise LookupError("in the callback")

    req.on_cancel(fails)
    _listen(req)
    control.events[req.query_string].append("began")
    while not req.cancelled:
        time.sleep(0.01)
    control.wait(req.query_string)


@mux.route("/websocket")
def websocket(w: ResponseWriter, req: Request) -> None:
    _listen(req)
    for _ in w.websocket(req):
        pass
    control.events[req.query_string].append("closed")


@mux.route("/referents")
def referents(w: ResponseWriter, req: Request) -> None:
    def told() -> None:
        raise AssertionError("the client stays")

    req.on_cancel(told)
    w.json([any(held is it for held in gc.get_referents(req)) for it in (told, req)])


@mux.route("/no-function")
def no_function(w: ResponseWriter, req: Request) -> None:
    try:
        req.on_cancel(7)
    except TypeError as error:
        w.text(str(error))


# --- facts ---------------------------------------------------------------------------------------


@mux.route("/tls")
def tls(w: ResponseWriter, req: Request) -> None:
    w.json([req.scheme, req.is_secure, req.tls])


mux.mount("/async", asynchronous)
mux.mount("/control", control.mux)
