"""The clients for the tests of ASGI frameworks: httpx for HTTP, websockets for WebSocket."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Response
from websockets.sync.client import ClientConnection, connect

from .serving import Server, Setup, setups

TIMEOUT = 10.0


def on_both_loops() -> list[Any]:
    """The setups with one worker; these tests need one where clients meet in a room."""
    parameters: list[Any] = setups("asgi")
    return [parameter for parameter in parameters if parameter.values[0].workers == 1]


def loop_of(request: pytest.FixtureRequest) -> Setup:
    setup: Setup = request.param
    return setup


@contextmanager
def http_client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=TIMEOUT, trust_env=False) as client:
        yield client


@contextmanager
def websocket(server: Server, path: str, **options: Any) -> Iterator[ClientConnection]:
    """A WebSocket, closed at the end as a browser does it."""
    url = f"ws://127.0.0.1:{server.port}{path}"
    with connect(
        url, open_timeout=TIMEOUT, close_timeout=TIMEOUT, proxy=None, max_size=None, **options
    ) as connection:
        yield connection


def hear(connection: ClientConnection) -> str | bytes:
    return connection.recv(timeout=TIMEOUT)


def close_of(connection: ClientConnection) -> tuple[int, str]:
    """The code and the reason that the server closes with; nothing may come before."""
    with pytest.raises(ConnectionClosed) as closed:
        connection.recv(timeout=TIMEOUT)
    received = closed.value.rcvd
    assert received is not None, "the server has cut the connection"
    return received.code, received.reason


def cut(connection: ClientConnection) -> None:
    """End the connection as a client does that crashes: without a close frame."""
    connection.socket.shutdown(socket.SHUT_RDWR)


def denial(server: Server, path: str, **options: Any) -> Response:
    """The HTTP response that a handshake is refused with."""
    with pytest.raises(InvalidStatus) as refused, websocket(server, path, **options):
        pass
    return refused.value.response


def open_gate(server: Server, token: str) -> None:
    (server.folder / f"gate-{token}").touch()
