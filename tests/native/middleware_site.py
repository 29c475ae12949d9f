"""A server with `middleware_cases`, for the tests of ready-made middleware."""

import itertools
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support import Response, Server, gohttp_serve

APPS = Path(__file__).parent / "apps"
HANDLERS = ["sync", "async", "wsgi", "asgi", "inner"]
TARGETS = ["mux", "threads_only"]  # with an event loop, and where the baton drives
TEXT = b"All work and no play makes Jack a dull boy. "

_numbers = itertools.count(1)


class Site:
    """A server with `middleware_cases`, and its folder."""

    def __init__(self, server: Server, folder: Path, kinds: list[str]) -> None:
        self.server = server
        self.folder = folder
        self.kinds = kinds

    def gate(self) -> str:
        return f"gate-{next(_numbers)}"

    def open(self, gate: str) -> None:
        (self.folder / gate).touch()


@contextmanager
def serve(folder: Path, target: str, *options: str) -> Iterator[Site]:
    kinds = [kind for kind in HANDLERS if kind != "asgi" or target == "mux"]
    (folder / "text.txt").write_bytes(TEXT * 100)
    (folder / "large.txt").write_bytes(TEXT * 20_000)
    for file in folder.iterdir():
        os.utime(file, (1e9, 1e9))  # so that its entity tag is strong
    env = {"FOLDER": str(folder)}
    target = f"middleware_cases:{target}"
    with gohttp_serve(target, *options, "--access-log", cwd=APPS, env=env) as server:
        yield Site(server, folder, kinds)


def told(response: Response) -> dict[str, str]:
    """The request's fields, as the handler was told them."""
    assert response.status == 200, response
    return dict(json.loads(response.body)["fields"])


def varies_on(response: Response) -> set[str]:
    return {name.strip().lower() for v in response.all("vary") for name in v.split(",")}
