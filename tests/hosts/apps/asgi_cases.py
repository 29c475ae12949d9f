"""An ASGI app that shows what it is told and does what its path says."""

import asyncio
import json
import sys
from typing import Any

PIECE = b"x" * 65536
PIECES = 1024

seen = {"sent": 0, "closed": 0, "held": 0}
released = asyncio.Event()


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        await (lifespan if scope["type"] == "lifespan" else websocket)(scope, receive, send)
        return
    path = scope["path"].removeprefix(scope["root_path"])
    case = CASES.get(path) or (shown if path.endswith("/scope") else nothing)
    await case(scope, receive, send)


async def start(send: Any, status: int = 200) -> None:
    headers = [(b"content-type", b"text/plain"), (b"x-from", b"asgi")]
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def answer(send: Any, data: bytes, status: int = 200) -> None:
    await start(send, status)
    await send({"type": "http.response.body", "body": data})


async def shown(scope: dict[str, Any], receive: Any, send: Any) -> None:
    told = {k: v for k, v in scope.items() if isinstance(v, str | list | tuple | dict)}
    await answer(send, json.dumps(told, default=repr).encode())


async def nothing(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await answer(send, b"nothing here", 404)


async def echo(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await answer(send, await whole(receive))


async def pieces(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await start(send)
    more = True
    while more:
        message = await receive()
        more = message.get("more_body", False)
        data = message.get("body", b"").upper()
        await send({"type": "http.response.body", "body": data, "more_body": more})


async def endless(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await start(send)
    try:
        for _ in range(PIECES):
            await send({"type": "http.response.body", "body": PIECE, "more_body": True})
            seen["sent"] += 1
    except OSError:
        seen["closed"] += 1


async def wait(scope: dict[str, Any], receive: Any, send: Any) -> None:
    seen["held"] += 1
    while (await receive())["type"] != "http.disconnect":
        pass
    seen["closed"] += 1


async def counts(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await answer(send, json.dumps(seen).encode())


async def hold(scope: dict[str, Any], receive: Any, send: Any) -> None:
    seen["held"] += 1
    await asyncio.wait_for(released.wait(), 30)
    seen["held"] -= 1
    await answer(send, str(len(await whole(receive))).encode())


async def release(scope: dict[str, Any], receive: Any, send: Any) -> None:
    released.set()
    await answer(send, b"released")


async def raises(scope: dict[str, Any], receive: Any, send: Any) -> None:
    raise LookupError("as asked")


CASES = {
    "/echo": echo,
    "/pieces": pieces,
    "/endless": endless,
    "/wait": wait,
    "/seen": counts,
    "/hold": hold,
    "/release": release,
    "/raise": raises,
}


async def whole(receive: Any) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message["body"]
        if not message["more_body"]:
            return body


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def lifespan(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await receive()
    scope["state"]["begun"] = "yes"
    say("app started")
    await send({"type": "lifespan.startup.complete"})
    await receive()
    say("app ended")
    await send({"type": "lifespan.shutdown.complete"})


async def websocket(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await receive()
    if scope["path"].endswith("/refuse"):
        await send({"type": "websocket.close"})
        return
    await send({"type": "websocket.accept", "subprotocol": (scope["subprotocols"] or [None])[0]})
    await send({"type": "websocket.send", "text": f"{scope['root_path']} {scope['path']}"})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            seen["closed"] += 1
            return
        await send({"type": "websocket.send", "text": (message["text"] or "").upper()})


async def refuses(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """An app that does not start."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})
