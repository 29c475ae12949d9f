"""Handlers that keep threads busy, and know how many of them run at once."""

import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], None]]
App = Callable[[Environ, StartResponse], Iterable[bytes]]

TEXT = [("Content-Type", "text/plain")]
EVENTS = [("Content-Type", "text/event-stream")]
GATE_TIMEOUT = 20.0

_cases: dict[str, App] = {}
_lock = threading.Lock()
_inside = {"now": 0, "most": 0}
_idents: set[int] = set()


class Inside:
    """A stretch of the app's code."""

    def __enter__(self) -> None:
        with _lock:
            _inside["now"] += 1
            _inside["most"] = max(_inside.values())
            _idents.add(threading.get_ident())

    def __exit__(self, *_: object) -> None:
        with _lock:
            _inside["now"] -= 1


def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    with Inside():
        return _cases[environ["PATH_INFO"]](environ, start_response)


def at(path: str) -> Callable[[App], App]:
    def register(case: App) -> App:
        _cases[path] = case
        return case

    return register


@at("/ok")
def ok(_environ: Environ, start_response: StartResponse) -> list[bytes]:
    start_response("200 OK", TEXT)
    return [b"ok"]


@at("/seen")
def seen(_environ: Environ, start_response: StartResponse) -> list[bytes]:
    """The most calls at once so far, and the threads that made any."""
    start_response("200 OK", TEXT)
    with _lock:
        return [json.dumps([_inside["most"], len(_idents)]).encode()]


@at("/hold")
def hold(environ: Environ, start_response: StartResponse) -> list[bytes]:
    """`?FILE` blocks until there is this file; FILE.begun gets a byte as it begins."""
    gate = Path(environ["QUERY_STRING"])
    descriptor = os.open(f"{gate}.begun", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.write(descriptor, b".")
    os.close(descriptor)
    deadline = time.monotonic() + GATE_TIMEOUT
    while not gate.exists():
        assert time.monotonic() < deadline, f"there never was {gate}"
        time.sleep(0.005)
    start_response("200 OK", TEXT)
    return [b"released"]


@at("/poll")
def poll(environ: Environ, start_response: StartResponse) -> list[bytes]:
    """A long poll: takes some time in any case."""
    time.sleep(0.005)
    return hold(environ, start_response)


@at("/sleep")
def sleep(environ: Environ, start_response: StartResponse) -> list[bytes]:
    time.sleep(float(environ["QUERY_STRING"]))
    start_response("200 OK", TEXT)
    return [b"slept"]


class Pieces:
    """A stream whose every call is counted."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces

    def __iter__(self) -> "Pieces":
        return self

    def __next__(self) -> bytes:
        with Inside():
            return next(self._pieces)

    def close(self) -> None:
        with Inside():
            pass


@at("/events")
def events(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Server-sent events, one each 0.1 s, as many as `?COUNT`."""

    def generate() -> Iterator[bytes]:
        for number in range(int(environ["QUERY_STRING"])):
            yield f"data: {number}\n\n".encode()
            time.sleep(0.1)

    start_response("200 OK", EVENTS)
    return Pieces(generate())


@at("/flood")
def flood(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """`?COUNT` pieces of 64 KiB."""
    start_response("200 OK", TEXT)
    return Pieces(b"x" * 65536 for _ in range(int(environ["QUERY_STRING"])))


@at("/count")
def count(environ: Environ, start_response: StartResponse) -> list[bytes]:
    """Reads a body of any size."""
    total = 0
    while data := environ["wsgi.input"].read(65536):
        total += len(data)
    start_response("200 OK", TEXT)
    return [str(total).encode()]
