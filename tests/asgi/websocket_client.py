"""The tests' end of apps/websocket_cases.py; the client itself is in websocket_wire.py."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from asgi_helpers import APPS, new_key
from support import RawConnection, Server, gohttp_serve
from websocket_wire import (
    BINARY,
    CLOSE,
    CONTINUATION,
    KEY,
    PING,
    PONG,
    TEXT,
    Frame,
    H2Connection,
    H2Stream,
    WebSocket,
    close_frame,
    frame,
    handshake,
    mask,
    read_switch,
    websocket,
)

__all__ = [
    "BINARY",
    "CLOSE",
    "CONTINUATION",
    "KEY",
    "PING",
    "PONG",
    "TEXT",
    "Frame",
    "H2Connection",
    "H2Stream",
    "WebSocket",
    "assert_usable",
    "close_frame",
    "frame",
    "handshake",
    "key_of",
    "mask",
    "read_switch",
    "serve_websockets",
    "websocket",
    "write_script",
]


def write_script(server: Server, *steps: Any) -> str:
    """Teaches the app the steps; the path that takes them, which has events and a gate."""
    key = new_key()
    assert server.request("POST", f"/script?{key}", body=repr(list(steps)).encode()).status == 200
    return f"/script?{key}"


def key_of(path: str) -> str:
    return path.partition("?")[2]


@contextmanager
def serve_websockets(*options: str, exit_code: int | None = 0) -> Iterator[Server]:
    """A server with the app of apps/websocket_cases.py."""
    target = "websocket_cases:app"
    with gohttp_serve(target, *options, cwd=APPS, exit_code=exit_code) as server:
        yield server


def assert_usable(connection: RawConnection) -> None:
    connection.send_request("GET", "/ok")
    assert connection.read_response().body == b"ok"
