"""Handlers that take their connection over."""

import asyncio
import socket
import time
from typing import Any

import control
from gohttp import Mux, Request, ResponseWriter

mux = Mux()
asynchronous = Mux()
HEAD = b"HTTP/1.1 299 Mine\r\nConnection: close\r\n\r\n"


@mux.route("/upper")
def upper(w: ResponseWriter, _req: Request) -> None:
    with w.hijack() as connection:
        connection.sendall(HEAD)
        while data := connection.recv(100):
            connection.sendall(data.upper())


@asynchronous.route("/upper")
async def upper_async(w: ResponseWriter, _req: Request) -> None:
    reader, writer = await asyncio.open_connection(sock=w.hijack())
    writer.write(HEAD)
    while data := await reader.read(100):
        writer.write(data.upper())
        await writer.drain()
    writer.close()
    await writer.wait_closed()


def attempt(w: ResponseWriter) -> str:
    try:
        w.hijack().close()
    except OSError as error:
        return f"{type(error).__name__} {error}"
    return "taken over"


@mux.route("/too-late")
def too_late(w: ResponseWriter, _req: Request) -> None:
    w.write("begun ")
    w.flush()
    w.write(attempt(w))


@mux.route("/attempt")
def plain_attempt(w: ResponseWriter, _req: Request) -> None:
    w.text(attempt(w))


@mux.route("/write-after")
def write_after(w: ResponseWriter, req: Request) -> None:
    connection = w.hijack()
    outcomes: list[Any] = []
    for call in (lambda: w.write("x"), w.flush, lambda: w.json(1), w.hijack):
        try:
            call()
            outcomes.append(None)
        except (RuntimeError, OSError) as error:
            outcomes.append(type(error).__name__)
    control.events[req.query_string].append(outcomes)
    with connection:
        connection.sendall(HEAD + b"mine")


class NoSocket:
    """What `socket.socket` is for a moment."""

    def __init__(self, *_: object, **__: object) -> None:
        raise MemoryError("there is no socket")


@mux.route("/no-socket")
def no_socket(w: ResponseWriter, req: Request) -> None:
    kept = socket.socket
    socket.socket = NoSocket  # type: ignore
    try:
        w.hijack()
    except MemoryError:
        control.events[req.query_string].append("no socket")
    finally:
        socket.socket = kept  # type: ignore


@mux.route("/slow")
def slow(_w: ResponseWriter, _req: Request) -> None:
    while True:
        time.sleep(0.01)


@mux.route("/holds")
def holds(w: ResponseWriter, req: Request) -> None:
    with w.hijack() as connection:
        connection.sendall(HEAD)
        control.events[req.query_string].append("held")
        connection.recv(1)


mux.mount("/async", asynchronous)
mux.mount("/control", control.mux)
