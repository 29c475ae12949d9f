"""An app whose lifespan does what $CASE says, and that records what happens in $FOLDER/events."""

import asyncio
import os
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

CASE = os.environ["CASE"]
FOLDER = Path(os.environ["FOLDER"])


def record(event: str) -> None:
    with (FOLDER / "events").open("a") as file:
        file.write(event + "\n")


async def app(scope: Message, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await lifespan(scope, receive, send)
    else:
        await http(scope, receive, send)


async def lifespan(scope: Message, receive: Receive, send: Send) -> None:
    if CASE == "raises":
        raise NotImplementedError("knows no lifespan")
    if CASE == "returns":
        return
    message = await receive()
    record(message["type"])
    if CASE == "raises-later":
        raise LookupError("the database is away")
    if CASE == "failed":
        await send({"type": "lifespan.startup.failed", "message": "the database is away"})
        return
    if CASE == "failed-silently":
        await send({"type": "lifespan.startup.failed"})
        return
    await asyncio.sleep(0.01)
    scope["state"]["greeting"] = "from the start"
    await send({"type": "lifespan.startup.complete"})
    record("started")
    if CASE == "ends-early":
        return
    message = await receive()
    record(message["type"])
    if CASE == "shutdown-raises":
        raise LookupError("in shutdown")
    if CASE == "shutdown-failed":
        await send({"type": "lifespan.shutdown.failed", "message": "could not say goodbye"})
        return
    if CASE == "shutdown-hangs":
        await asyncio.sleep(60)
    await asyncio.sleep(0.01)
    record("stopped")
    await send({"type": "lifespan.shutdown.complete"})


async def http(scope: Message, receive: Receive, send: Send) -> None:
    path = scope["path"]
    if path == "/slow":
        record("slow began")
        while not (FOLDER / "go").exists():
            await asyncio.sleep(0.005)
        record("slow ends")
    greeting = scope.get("state", {}).get("greeting", "none") if "state" in scope else "no state"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": greeting.encode()})
    if path == "/background":
        record("background began")
        while not (FOLDER / "go").exists():
            await asyncio.sleep(0.005)
        record("background ends")
