"""The messages of the ASGI WebSocket specification, for tests to send and expect."""

from typing import Any

ACCEPT: dict[str, Any] = {"type": "websocket.accept"}
CLOSE: dict[str, Any] = {"type": "websocket.close"}
CONNECT: dict[str, Any] = {"type": "websocket.connect"}
HELLO: dict[str, Any] = {"type": "websocket.send", "text": "hello"}
DENY: dict[str, Any] = {
    "type": "websocket.http.response.start",
    "status": 418,
    "headers": [(b"x-a", b"1"), (b"x-a", b"2")],
}


def denial(data: bytes, more: bool = False) -> dict[str, Any]:
    return {"type": "websocket.http.response.body", "body": data, "more_body": more}


def disconnect(code: int, reason: str = "") -> dict[str, Any]:
    return {"type": "websocket.disconnect", "code": code, "reason": reason}
