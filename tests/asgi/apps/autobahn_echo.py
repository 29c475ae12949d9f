"""Echoes every message of a WebSocket: what the Autobahn test suite speaks with."""

from typing import Any


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "websocket":
        raise ValueError("WebSockets only")
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send(
            {
                "type": "websocket.send",
                "text": message.get("text"),
                "bytes": message.get("bytes"),
            }
        )
