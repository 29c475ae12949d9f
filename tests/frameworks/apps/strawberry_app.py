"""Strawberry's ASGI app: queries and mutations by HTTP, subscriptions by WebSocket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import strawberry
from asgi_common import Secret, loop_name
from events import collected_events, record
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route
from strawberry.asgi import GraphQL
from strawberry.file_uploads import Upload
from strawberry.types import Info

listeners: set[asyncio.Queue[str]] = set()


@strawberry.type
class Note:
    number: int
    text: str


@strawberry.type
class Query:
    @strawberry.field
    async def loop(self) -> str:
        return loop_name()

    @strawberry.field
    async def notes(self, texts: list[str]) -> list[Note]:
        return [Note(number=number, text=text) for number, text in enumerate(texts)]

    @strawberry.field
    async def fails(self) -> str:
        raise ValueError("this field fails")


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def say(self, text: str) -> int:
        for queue in listeners:
            queue.put_nowait(text)
        return len(listeners)

    @strawberry.mutation
    async def upload(self, file: Upload) -> int:
        return len(await file.read())  # type: ignore[attr-defined]


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def count(self, upto: int) -> AsyncIterator[int]:
        for number in range(upto):
            yield number

    @strawberry.subscription
    async def said(self, name: str, info: Info) -> AsyncIterator[str]:
        queue: asyncio.Queue[str] = asyncio.Queue()
        listeners.add(queue)
        try:
            token = (info.context.get("connection_params") or {}).get("token")
            yield f"ready {token}"
            while True:
                yield await queue.get()
        finally:
            listeners.discard(queue)
            record(f"left {name}")

    @strawberry.subscription
    async def fails(self) -> AsyncIterator[int]:
        yield 1
        raise ValueError("this subscription fails")


async def fails(request: Request) -> JSONResponse:
    raise Secret("endpoint")


async def recorded(request: Request) -> JSONResponse:
    return JSONResponse(collected_events())


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    record("started")
    yield
    record("stopped")


graphql = GraphQL(strawberry.Schema(Query, Mutation, Subscription), multipart_uploads_enabled=True)
app = Starlette(
    routes=[Route("/fails", fails), Route("/recorded", recorded), Mount("/graphql", graphql)],
    lifespan=lifespan,
)
