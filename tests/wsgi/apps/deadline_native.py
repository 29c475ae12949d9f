"""Native handlers that take longer than they may.  `?FILE` is a file they leave marks in."""

import asyncio
import time
from pathlib import Path

import gohttp
from gohttp import route


def mark(req, text: str) -> None:
    with Path(req.query_string).open("a", encoding="utf-8") as file:
        file.write(f"{text}\n")


def loop_for(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.002)


@route("/ok")
def ok(w, _req) -> None:
    w.write("ok")


@route("/loop")
def loop(w, req) -> None:
    try:
        loop_for(8)
    except Exception:
        mark(req, "except Exception")
    except gohttp.RequestTimeout:
        mark(req, "RequestTimeout")
        raise
    finally:
        mark(req, "finally")
    w.write("too late")


@route("/stream")
def stream(w, req) -> None:
    try:
        w.write("one")
        w.flush()
        loop_for(8)
        w.write("two")
    finally:
        mark(req, "finally")


@route("/flood")
def flood(w, req) -> None:
    """Writes more than its client takes, and takes its time to clean up."""
    try:
        while True:
            w.write("x" * (1024 * 1024))
    except BaseException as error:
        mark(req, type(error).__name__)
        loop_for(1)
        mark(req, "cleaned up")
        raise


@route("/async")
async def on_the_loop(w, _req) -> None:
    await asyncio.sleep(3)
    w.write("too late")
