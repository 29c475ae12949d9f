"""Two mounted apps: the first starts, the second's start-up lasts, as $CASE says.

What happens is noted in $FOLDER/events.
"""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

import gohttp
from asgi_cases import Message, Receive, Scope, Send

CASE = os.environ["CASE"]
EVENTS = Path(os.environ["FOLDER"]) / "events"
LONG = 60.0


def note(line: str) -> None:
    with EVENTS.open("a", encoding="utf-8") as file:
        file.write(line + "\n")


async def sleep() -> None:
    note("second: sleeps")
    await asyncio.sleep(LONG)


async def block() -> None:
    note("second: sleeps")
    time.sleep(LONG)


async def sleep_whatever_comes() -> None:
    for _ in range(9):
        note("second: sleeps")
        try:
            await asyncio.sleep(LONG)
        except BaseException:
            note("second: caught")


async def block_whatever_comes() -> None:
    for _ in range(9):
        note("second: sleeps")
        try:
            time.sleep(LONG)
        except BaseException:
            note("second: caught")


STARTS: dict[str, Callable[[], object]] = {
    "sleep": sleep,
    "block": block,
    "sleep whatever comes": sleep_whatever_comes,
    "block whatever comes": block_whatever_comes,
}


async def first(scope: Scope, receive: Receive, send: Send) -> None:
    assert scope["type"] == "lifespan"
    message: Message = await receive()
    note(f"first: {message['type']}")
    await send({"type": "lifespan.startup.complete"})
    message = await receive()
    note(f"first: {message['type']}")
    await asyncio.sleep(0.01)
    note("first: stopped")
    await send({"type": "lifespan.shutdown.complete"})


async def second(scope: Scope, receive: Receive, send: Send) -> None:
    assert scope["type"] == "lifespan"
    await receive()
    await STARTS[CASE]()  # type: ignore[misc]
    await send({"type": "lifespan.startup.complete"})


both = gohttp.Mux()
both.mount("/first", first)
both.mount("/second", second)
