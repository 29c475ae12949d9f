"""Several ASGI apps in one server, whose lifespans differ."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from gohttp import Mux, Request, ResponseWriter
from mount_cases import Message, Receive, Send, note

Start = Callable[[Message, Send], Awaitable[None]]


class App:
    """An app that notes its start and its stop."""

    def __init__(self, name: str, *, start: Start | None = None, slow_stop: bool = False) -> None:
        self.name = name
        self._start = start
        self._slow_stop = slow_stop

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            body = json.dumps([self.name, scope["root_path"], scope["state"]]).encode()
            scope["state"]["of a request"] = True
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": body})
            return
        assert (await receive())["type"] == "lifespan.startup"
        note(f"start {self.name}")
        scope["state"]["name"] = self.name
        scope["state"]["shared"] = []
        if self._start is not None:
            await self._start(scope, send)
        await send({"type": "lifespan.startup.complete"})
        assert (await receive())["type"] == "lifespan.shutdown"
        note(f"stop {self.name}")
        if self._slow_stop:
            await asyncio.sleep(20)
        await send({"type": "lifespan.shutdown.complete"})


async def refuse(_scope: Message, send: Send) -> None:
    await send({"type": "lifespan.startup.failed", "message": "the database is away"})
    await asyncio.sleep(20)


async def fail(_scope: Message, _send: Send) -> None:
    raise LookupError("no lifespan here")


async def without(scope: Message, _receive: Receive, send: Send) -> None:
    assert scope["type"] == "http", "no lifespan"
    body = json.dumps(["without", scope["root_path"], scope.get("state")]).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


def native(w: ResponseWriter, _req: Request) -> None:
    w.write("native")


def of(*mounts: tuple[str, Any]) -> Mux:
    mux = Mux()
    mux.route("/native", native)
    for prefix, app in mounts:
        mux.mount(prefix, app)
    return mux


several = of(("/one", App("one")), ("/without", without), ("/two", App("two")))
inner = of(("/three", App("three")))
several.mount("/in", inner)
several.mount("/four", App("four"))

app_of_two = App("app")
twice = of(("/a", app_of_two), ("/b", app_of_two), ("/c", App("other")))
twice.mount("/in", of(("/d", app_of_two)))

refusing = of(("/one", App("one")), ("/two", App("two", start=refuse)), ("/three", App("three")))
failing = of(("/one", App("one", start=fail)), ("/two", App("two")))
slow_to_stop = of(("/one", App("one")), ("/two", App("two", slow_stop=True)))
