"""WebSockets of native handlers, sync and, under /async, of `async def` ones."""

import asyncio
import time
from typing import Any

import control
import gohttp
from gohttp import Mux, Request, ResponseWriter

mux = Mux()
asynchronous = Mux()


# --- echo: messages come back until the client closes --------------------------------------------


@mux.route("GET /echo")
def echo(w: ResponseWriter, req: Request) -> None:
    with w.websocket(req) as ws:
        for message in ws:
            ws.send(message)
    control.events[req.query_string].append("ended")


@asynchronous.route("GET /echo")
async def echo_async(w: ResponseWriter, req: Request) -> None:
    async with w.async_websocket(req) as ws:
        async for message in ws:
            await ws.send(message)
    control.events[req.query_string].append("ended")


# --- the handshake -------------------------------------------------------------------------------


def _agreed(w: ResponseWriter) -> None:
    w.headers["X-Mine"] = "kept"
    w.set_cookie("a", "1")


@mux.route("/agreed")
def agreed(w: ResponseWriter, req: Request) -> None:
    _agreed(w)
    ws = w.websocket(req, subprotocols=["v2", "v1"])
    ws.send(str(ws.subprotocol))
    ws.close(4000, "bye")


@asynchronous.route("/agreed")
async def agreed_async(w: ResponseWriter, req: Request) -> None:
    _agreed(w)
    ws = w.async_websocket(req, subprotocols=("v2", "v1"))
    await ws.send(str(ws.subprotocol))
    await ws.close(4000, "bye")


@mux.route("/caught")
def caught(w: ResponseWriter, req: Request) -> None:
    """The client has its answer, whatever the handler makes of the exception."""
    try:
        w.websocket(req)
    except gohttp.BadRequest as error:
        control.events[req.query_string].append([error.status, str(error)])


@mux.route("/no-socket")
def no_socket(w: ResponseWriter, _req: Request) -> None:
    w.text("plain")


@mux.route("/wrong-kind")
def wrong_kind(w: ResponseWriter, req: Request) -> None:
    try:
        w.async_websocket(req)
    except RuntimeError as error:
        w.text(str(error))


@asynchronous.route("/wrong-kind")
async def wrong_kind_async(w: ResponseWriter, req: Request) -> None:
    try:
        w.websocket(req)
    except RuntimeError as error:
        w.text(str(error))


@mux.route("/too-late")
def too_late(w: ResponseWriter, req: Request) -> None:
    w.write("begun")
    try:
        w.websocket(req)
    except RuntimeError as error:
        w.write(str(error))


# --- ends ----------------------------------------------------------------------------------------


def _note(req: Request, error: Exception) -> None:
    noted: list[Any] = [type(error).__name__]
    if isinstance(error, gohttp.WebSocketClosed):
        noted += [error.code, error.reason]
    control.events[req.query_string].append(noted)


@mux.route("/until-closed")
def until_closed(w: ResponseWriter, req: Request) -> None:
    ws = w.websocket(req)
    try:
        while True:
            ws.send(ws.receive())
    except ConnectionError as error:
        _note(req, error)
    try:
        ws.send("more")
    except ConnectionError as error:
        _note(req, error)
    ws.close()


@asynchronous.route("/until-closed")
async def until_closed_async(w: ResponseWriter, req: Request) -> None:
    ws = w.async_websocket(req)
    try:
        while True:
            await ws.send(await ws.receive())
    except ConnectionError as error:
        _note(req, error)
    try:
        await ws.send("more")
    except ConnectionError as error:
        _note(req, error)
    await ws.close()


@mux.route("/lets-pass")
def lets_pass(w: ResponseWriter, req: Request) -> None:
    ws = w.websocket(req)
    while True:
        ws.receive()


@asynchronous.route("/lets-pass")
async def lets_pass_async(w: ResponseWriter, req: Request) -> None:
    ws = w.async_websocket(req)
    while True:
        await ws.receive()


@mux.route("/raises/{how}")
def raises(w: ResponseWriter, req: Request) -> None:
    ws = w.websocket(req)
    if req.path_value("how") == "inside":
        with ws:
            raise LookupError("of the handler")
    raise LookupError("of the handler")


@asynchronous.route("/raises/{how}")
async def raises_async(w: ResponseWriter, req: Request) -> None:
    ws = w.async_websocket(req)
    if req.path_value("how") == "inside":
        async with ws:
            raise LookupError("of the handler")
    raise LookupError("of the handler")


@mux.route("/returns")
def returns(w: ResponseWriter, req: Request) -> None:
    w.websocket(req).send("that is all")


@asynchronous.route("/returns")
async def returns_async(w: ResponseWriter, req: Request) -> None:
    await w.async_websocket(req).send("that is all")


@mux.route("/misused")
def misused(w: ResponseWriter, req: Request) -> None:
    ws = w.websocket(req)
    outcomes = []
    for code in (999, 1004, 1006, 1015, 2000, 5000):
        try:
            ws.close(code)
        except ValueError:
            outcomes.append("ValueError")
    for wrong in (7, None, ["x"]):
        try:
            ws.send(wrong)  # type: ignore[arg-type]
        except TypeError:
            outcomes.append("TypeError")
    ws.send(" ".join(outcomes))
    ws.send(bytearray(b"bytes"))
    ws.send(memoryview(b"view"))
    ws.close(1001)
    ws.close(1000)
    try:
        ws.send("after")
    except RuntimeError as error:
        control.events[req.query_string].append([str(error), ws.closed])


# --- back-pressure, and threads that wait --------------------------------------------------------


@mux.route("/flood")
def flood(w: ResponseWriter, req: Request) -> None:
    ws = w.websocket(req)
    noted = control.events[req.query_string]
    noted.append(0)
    try:
        while True:
            ws.send(bytes(64 * 1024))
            noted[0] += 1
    except ConnectionError:
        noted.append("ended")


@asynchronous.route("/flood")
async def flood_async(w: ResponseWriter, req: Request) -> None:
    ws = w.async_websocket(req)
    noted = control.events[req.query_string]
    noted.append(0)
    try:
        while True:
            await ws.send(bytes(64 * 1024))
            noted[0] += 1
    except ConnectionError:
        noted.append("ended")


@asynchronous.route("/both-ways")
async def both_ways(w: ResponseWriter, req: Request) -> None:
    """One task sends while another receives."""
    async with w.async_websocket(req) as ws:

        async def ticks() -> None:
            for number in range(3):
                await ws.send(f"tick {number}")

        ticking = asyncio.create_task(ticks())
        control.events[req.query_string].append(await ws.receive())
        await ticking


@mux.route("/slow")
def slow(_w: ResponseWriter, _req: Request) -> None:
    while True:  # in steps of Python: it can be interrupted
        time.sleep(0.01)


@mux.route("/plain")
def plain(w: ResponseWriter, _req: Request) -> None:
    w.text("plain")


mux.mount("/async", asynchronous)
mux.mount("/control", control.mux)
