"""The tests' end of apps/control.py."""

import itertools
import json
from pathlib import Path
from typing import Any

from support import Server, wait_until

APPS = Path(__file__).parent / "apps"

_numbers = itertools.count(1)


def new_key() -> str:
    return f"key-{next(_numbers)}"


def open_gate(server: Server, key: str) -> None:
    assert server.get(f"/control/open?{key}").status == 200


def events(server: Server, key: str) -> list[Any]:
    """What the handler has noted."""
    noted: list[Any] = json.loads(server.get(f"/control/events?{key}").body)
    return noted


def wait_for(server: Server, key: str, *noted: Any) -> None:
    """Wait until the handler has noted exactly this."""
    wait_until(lambda: events(server, key) == list(noted), f"{noted} of {key}")


def log_since(server: Server, start: int, pattern: str) -> str:
    """The log from line `start` on, once it holds `pattern`."""
    wait_until(lambda: any(pattern in line for line in server.log()[start:]), f"{pattern!r} logged")
    return "\n".join(server.log()[start:])
