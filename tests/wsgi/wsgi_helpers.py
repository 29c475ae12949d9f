"""What the tests of the WSGI face share: the server with its app, and the app's remote control."""

import itertools
import json
import re
import select
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support import TIMEOUT, RawConnection, Server, gohttp_serve, wait_until

APPS = Path(__file__).parent / "apps"
_numbers = itertools.count(1)


@contextmanager
def serve_cases(*options: str, workers: int = 1) -> Iterator[Server]:
    """A server with the app of apps/wsgi_cases.py."""
    with gohttp_serve("wsgi_cases:app", *options, cwd=APPS, workers=workers) as server:
        yield server


def new_key(prefix: str = "key") -> str:
    """A name for events and gates that no other test uses."""
    return f"{prefix}-on-{next(_numbers)}"


def get_json(server: Server, path: str) -> Any:
    """The JSON that a path of the app gives."""
    response = server.get(path)
    assert response.status == 200, response
    return json.loads(response.body)


def events(server: Server, key: str) -> list[Any]:
    """What the app has recorded under this key."""
    recorded: list[Any] = get_json(server, f"/events?{key}")
    return recorded


def wait_for_event(server: Server, key: str, event: str) -> None:
    wait_until(lambda: event in events(server, key), f"{event!r} under {key}")


def open_gate(server: Server, key: str) -> None:
    get_json(server, f"/open?{key}")


def worker_threads(pid: int) -> int:
    """How many threads of the server can run the app."""
    names = [path.read_text().strip() for path in Path(f"/proc/{pid}/task").glob("*/comm")]
    return 1 + sum(re.fullmatch(r"gohttp-[0-9]+", name) is not None for name in names)


def nothing_to_read(connection: RawConnection) -> bool:
    """Whether not one byte has come."""
    return not connection._buffer and not select.select([connection.socket], [], [], 0)[0]


class LogFrom:
    """The server's log from here on."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._start = len(server.log())

    def text(self) -> str:
        """What has been logged since, complete up to now."""
        mark = f"x_mark_{next(_numbers)}"
        self._server.get("/ok", [(mark, "1")])  # the server logs such names
        wait_until(lambda: any(mark in line for line in self._server.log()), "the mark in the log")
        lines = itertools.takewhile(
            lambda line: mark not in line, self._server.log()[self._start :]
        )
        return "\n".join(lines)


def in_background(function: Callable[[], Any], count: int = 1) -> Callable[[], list[Any]]:
    """Run a function in threads; the returned function waits for their results, in any order."""
    results: list[Any] = []
    threads = [
        threading.Thread(target=lambda: results.append(function()), daemon=True)
        for _ in range(count)
    ]
    for thread in threads:
        thread.start()

    def collect() -> list[Any]:
        for thread in threads:
            thread.join(TIMEOUT)
        assert len(results) == count, f"{count - len(results)} of {count} did not end well"
        return results

    return collect
