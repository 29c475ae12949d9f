"""Async handlers alone: streams without an end, and one that keeps the loop."""

import asyncio
import time
from typing import Any

import control
from gohttp import Mux, Request, ResponseWriter

mux = Mux()
mux.mount("/control", control.mux)


@mux.route("/sse")
async def sse(w: ResponseWriter, req: Request) -> None:
    """Waits for what does not come."""
    noted = control.events[req.query_string]
    events = w.sse()
    events.send("begun")
    noted.append("begun")
    try:
        await asyncio.sleep(60)
    finally:
        await asyncio.sleep(0.3)  # as one that closes what it has open


@mux.route("/deaf")
async def deaf(w: ResponseWriter, req: Request) -> None:
    """Goes on whatever it is told."""
    control.events[req.query_string].append("begun")
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            continue


@mux.route("/keeps")
async def keeps(w: ResponseWriter, req: Request) -> None:
    time.sleep(0.9)  # which is wrong, and what the log is to tell
    w.write("kept")


async def _until_stopping(w: ResponseWriter, req: Request) -> None:
    events = w.sse()
    while not req.stopping:
        events.send("tick")
        await asyncio.sleep(0.05)
    events.send("bye")


@mux.route("/ticks/async")
async def ticks_async(w: ResponseWriter, req: Request) -> None:
    await _until_stopping(w, req)


@mux.route("/ticks/sync")
def ticks(w: ResponseWriter, req: Request) -> None:
    events = w.sse()
    while not req.stopping:
        events.send("tick")
        time.sleep(0.05)
    events.send("bye")


@mux.route("/late/{any...}")
async def late(w: ResponseWriter, req: Request) -> None:
    req.set_deadline(0.2)
    await asyncio.sleep(60)


@mux.route("/usual/{any...}")
async def usual(w: ResponseWriter, req: Request) -> None:
    await asyncio.sleep(60)


async def app(scope: Any, receive: Any, send: Any) -> None:
    raise NotImplementedError


beside = Mux()
beside.mount("/asgi", app)
beside.route("/ticks/async", ticks_async)
beside.route("/ticks/sync", ticks)
