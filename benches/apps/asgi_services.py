"""ASGI routes that ask another service, over a connection that is kept: /pg, /redis and /httpx.

Where the services are is in the environment; one that is not there has no route.
"""

import os
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import httpx
import redis.asyncio

CONNECTIONS = 32
QUERY = "SELECT text FROM greetings WHERE id = $1"

Route = Callable[[], Awaitable[bytes]]

routes: dict[str, Route] = {}


async def postgres(address: str) -> Route:
    pool = await asyncpg.create_pool(address, min_size=CONNECTIONS, max_size=CONNECTIONS)

    async def ask() -> bytes:
        found: str = await pool.fetchval(QUERY, 1)
        return found.encode()

    return ask


async def key_value(address: str) -> Route:
    client = redis.asyncio.from_url(address)

    async def ask() -> bytes:
        found: bytes = await client.get("greeting")
        return found

    return ask


async def http(address: str) -> Route:
    limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
    client = httpx.AsyncClient(limits=limits)

    async def ask() -> bytes:
        return (await client.get(address)).content

    return ask


SERVICES = (
    ("/pg", "BENCH_POSTGRES", postgres),
    ("/redis", "BENCH_REDIS", key_value),
    ("/httpx", "BENCH_HTTP", http),
)


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await receive()
        for path, variable, connect in SERVICES:
            if address := os.environ.get(variable):
                routes[path] = await connect(address)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    body = await routes[scope["path"]]()
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
