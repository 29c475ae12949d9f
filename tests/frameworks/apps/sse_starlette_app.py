"""Server-sent events with sse-starlette."""

import asyncio
import json
from collections.abc import AsyncIterator

from asgi_common import Secret, gate, loop_name
from events import collected_events, record
from sse_starlette import EventSourceResponse, JSONServerSentEvent, ServerSentEvent
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

listeners: set[asyncio.Queue[str]] = set()


async def loop(request: Request) -> PlainTextResponse:
    return PlainTextResponse(loop_name())


async def recorded(request: Request) -> JSONResponse:
    return JSONResponse(collected_events())


async def counted(request: Request) -> EventSourceResponse:
    """Goes on after the event that the client has seen last."""
    first = int(request.headers.get("Last-Event-ID", -1)) + 1

    async def each() -> AsyncIterator[ServerSentEvent]:
        for number in range(first, int(request.query_params["to"])):
            yield JSONServerSentEvent({"number": number}, event="tick", id=str(number))
        yield ServerSentEvent("Grüße\n東京", event="end", retry=500)

    return EventSourceResponse(each())


async def gated(request: Request) -> EventSourceResponse:
    async def each() -> AsyncIterator[dict[str, str]]:
        yield {"data": "first"}
        await gate(request.path_params["token"])
        yield {"data": "second"}

    return EventSourceResponse(each())


async def feed(request: Request) -> EventSourceResponse:
    """What is published, for as long as the client listens."""
    name = request.path_params["name"]
    queue: asyncio.Queue[str] = asyncio.Queue()

    async def each() -> AsyncIterator[dict[str, str]]:
        listeners.add(queue)
        try:
            yield {"event": "ready", "data": name}
            while True:
                yield {"data": await queue.get()}
        finally:
            listeners.discard(queue)
            record(f"left {name}")

    return EventSourceResponse(each(), ping=1)


async def publish(request: Request) -> Response:
    text = json.dumps(await request.json())
    for queue in listeners:
        queue.put_nowait(text)
    return JSONResponse({"listeners": len(listeners)})


async def fails(request: Request) -> EventSourceResponse:
    async def each() -> AsyncIterator[dict[str, str]]:
        yield {"data": "begun"}
        raise Secret("stream")

    return EventSourceResponse(each())


app = Starlette(
    routes=[
        Route("/loop", loop),
        Route("/recorded", recorded),
        Route("/counted", counted),
        Route("/gated/{token}", gated),
        Route("/feed/{name}", feed),
        Route("/publish", publish, methods=["POST"]),
        Route("/fails", fails),
    ]
)
