"""The echo app as ASGI.  See the paths in `app`; whatever else is asked for is echoed."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any

from common import pieces, say, seen, take_seen

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

holds: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    assert scope["type"] == "http"
    query = scope["query_string"].decode("latin-1")
    match scope["path"].split("/"):
        case ["", "_seen"]:
            await answer(send, json.dumps(take_seen()).encode())
        case ["", "_unread"]:
            await answer(send, b"unread")
        case ["", "_release"]:
            holds[query].set()
            await answer(send, b"released")
        case ["", "_hold"]:
            say(f"holding {query}")
            await asyncio.wait_for(holds[query].wait(), 30)
            await answer(send, b"held")
        case ["", "_stream", size]:
            await start(send)
            await stream(send, int(size))
            await send({"type": "http.response.body"})
        case ["", "_stream_hold", size]:
            await start(send)
            await stream(send, int(size))
            say(f"holding {query}")
            await asyncio.wait_for(holds[query].wait(), 30)
            await send({"type": "http.response.body", "body": b"end"})
        case ["", "_status" | "_with_body" | "_streamed" as how, status]:
            await with_status(send, how, int(status))
        case ["", "_until_gone"]:
            say(f"waiting {query}")
            while (await receive())["type"] != "http.disconnect":
                pass
            say(f"gone {query}")
        case ["", "_count"]:
            await answer(send, str(await count(receive)).encode())
        case _:
            await echo(scope, receive, send)


async def with_status(send: Send, how: str, status: int) -> None:
    await start(send, status, 4 if how == "_with_body" else None)
    for _ in range(3 if how == "_streamed" else 0):
        await send({"type": "http.response.body", "body": b"body", "more_body": True})
    await send({"type": "http.response.body", "body": b"body" if how == "_with_body" else b""})


async def start(send: Send, status: int = 200, length: int | None = None) -> None:
    headers = [(b"x-app", b"asgi")]
    if length is not None:
        headers.append((b"content-length", str(length).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def answer(send: Send, body: bytes) -> None:
    await start(send, length=len(body))
    await send({"type": "http.response.body", "body": body})


async def stream(send: Send, size: int) -> None:
    for piece in pieces(size):
        await send({"type": "http.response.body", "body": piece, "more_body": True})


async def count(receive: Receive) -> int:
    total, more = 0, True
    while more:
        message = await receive()
        total += len(message.get("body", b""))
        more = message.get("more_body", False)
    return total


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            say("body failed: http.disconnect")
            return
        body += message.get("body", b"")
        more = message.get("more_body", False)
    saw = {
        "face": "asgi",
        "method": scope["method"],
        "path": scope["raw_path"].decode("latin-1"),
        "query": scope["query_string"].decode("latin-1"),
        "version": f"HTTP/{scope['http_version']}",
        "headers": [(n.decode("latin-1"), v.decode("latin-1")) for n, v in scope["headers"]],
        "body": body.decode("latin-1"),
    }
    seen.append(f"{saw['method']} {saw['path']}")
    await answer(send, json.dumps(saw).encode())
