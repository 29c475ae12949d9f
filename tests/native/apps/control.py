"""The tests' remote control of handlers: gates that they wait at, and what they have noted."""

import asyncio
import threading
from collections import defaultdict
from typing import Any

from gohttp import Mux, Request, ResponseWriter

GATE_TIMEOUT = 20.0

events: dict[str, list[Any]] = defaultdict(list)
_gates: dict[str, threading.Event] = defaultdict(threading.Event)

mux = Mux()


@mux.route("/open")
def _open(w: ResponseWriter, req: Request) -> None:
    _gates[req.query_string].set()
    w.json(True)


@mux.route("/events")
def _events(w: ResponseWriter, req: Request) -> None:
    w.json(events[req.query_string])


def wait(key: str) -> bool:
    """Wait until the test opens the gate; whether it did in time."""
    return _gates[key].wait(GATE_TIMEOUT)


async def wait_async(key: str) -> bool:
    """The same without keeping the loop."""
    return await asyncio.to_thread(wait, key)
