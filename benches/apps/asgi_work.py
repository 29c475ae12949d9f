"""ASGI routes that do something: /sleep, /echo and /big."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

HELLO = b"Hello, world.\n"
BIG = b"x" * (100 * 1024)
SLEEP_SECONDS = 0.01


async def read(receive: Receive) -> bytes:
    chunks = []
    more = True
    while more:
        message = await receive()
        chunks.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(chunks)


async def app(scope: Message, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])  # how an app says that it knows no lifespan
    kind, body = b"text/plain", HELLO
    if scope["path"] == "/echo":
        kind, body = b"application/octet-stream", await read(receive)
    elif scope["path"] == "/sleep":
        await asyncio.sleep(SLEEP_SECONDS)
    elif scope["path"] == "/big":
        kind, body = b"application/octet-stream", BIG
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
