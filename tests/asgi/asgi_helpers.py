"""What the tests of the ASGI face share: the server with its app, and the app's remote control."""

import importlib.util
import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support import Server, gohttp_serve, wait_until

APPS = Path(__file__).parent / "apps"
LOOPS = [
    "asyncio",
    pytest.param(
        "uvloop",
        marks=pytest.mark.skipif(
            importlib.util.find_spec("uvloop") is None, reason="uvloop is not installed"
        ),
    ),
]
_numbers = itertools.count(1)


@contextmanager
def serve_cases(*options: str) -> Iterator[Server]:
    """A server with the app of apps/asgi_cases.py."""
    with gohttp_serve("asgi_cases:app", *options, cwd=APPS) as server:
        yield server


def new_key() -> str:
    """A name for events and gates that no other test uses."""
    return f"key-{next(_numbers)}"


def get_json(server: Server, path: str) -> Any:
    """The JSON that a path of the app gives."""
    response = server.get(path)
    assert response.status == 200, response
    return json.loads(response.body)


def events(server: Server, key: str) -> list[Any]:
    """What the app has recorded under this key."""
    recorded: list[Any] = get_json(server, f"/events?{key}")
    return recorded


def wait_for_events(server: Server, key: str, expected: list[Any]) -> None:
    """Until the app has recorded exactly this."""
    wait_until(lambda: len(events(server, key)) >= len(expected), f"{expected} under {key}")
    assert events(server, key) == expected


def open_gate(server: Server, key: str) -> None:
    get_json(server, f"/open?{key}")


class LogFrom:
    """The server's log from here on."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._start = len(server.log())

    def text(self) -> str:
        """What has been logged since, complete up to now."""
        method = f"MARK-{next(_numbers)}"
        with self._server.connect() as connection:
            # Without a Host: the server logs why it refuses a request, and its method.
            connection.send(f"{method} / HTTP/1.1\r\n\r\n".encode())
            assert connection.read_response().status == 400
        mark = f"({method})"
        wait_until(lambda: any(mark in line for line in self._server.log()), "the mark in the log")
        lines = itertools.takewhile(
            lambda line: mark not in line, self._server.log()[self._start :]
        )
        return "\n".join(lines)
