"""Handlers that take longer than they may.  `?FILE` is a file that they leave marks in."""

import ctypes
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import gohttp

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], None]]
App = Callable[[Environ, StartResponse], Iterable[bytes]]

TEXT = [("Content-Type", "text/plain")]

_cases: dict[str, App] = {}


def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    return _cases[environ["PATH_INFO"]](environ, start_response)


def at(path: str) -> Callable[[App], App]:
    def register(case: App) -> App:
        _cases[path] = case
        return case

    return register


def mark(environ: Environ, text: str) -> None:
    with Path(environ["QUERY_STRING"]).open("a", encoding="utf-8") as file:
        file.write(f"{text}\n")


def loop_for(seconds: float) -> None:
    """Take time in Python code, which can be interrupted at once."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.002)


@at("/ok")
def ok(_environ: Environ, start_response: StartResponse) -> list[bytes]:
    start_response("200 OK", TEXT)
    return [b"ok"]


@at("/who")
def who(_environ: Environ, start_response: StartResponse) -> list[bytes]:
    start_response("200 OK", TEXT)
    return [json.dumps([os.getpid(), threading.get_ident()]).encode()]


@at("/loop")
def loop(environ: Environ, start_response: StartResponse) -> list[bytes]:
    """Ends 5 s after its time-out, or because of it."""
    try:
        mark(environ, "begun")
        loop_for(8)
        mark(environ, "went on")
    except Exception:
        mark(environ, "except Exception")
    except gohttp.RequestTimeout as error:
        mark(environ, f"{type(error).__mro__[1].__name__}: {error}")
        raise
    finally:
        mark(environ, "finally")
    start_response("200 OK", TEXT)
    return [b"too late"]


@at("/after-504")
def after_504(environ: Environ, start_response: StartResponse) -> list[bytes]:
    """Answers though it was told not to."""
    try:
        loop_for(8)
    except gohttp.RequestTimeout:
        start_response("200 OK", TEXT)
        mark(environ, "answered")
    return [b"too late"]


@at("/stream")
def stream(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", TEXT)
    try:
        yield b"one"
        loop_for(8)
        yield b"two"
    finally:
        mark(environ, "finally")


@at("/ticker")
def ticker(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    """A stream that always has something to send."""
    start_response("200 OK", TEXT)
    try:
        while True:
            yield b"tick"
            loop_for(0.05)
    finally:
        mark(environ, "finally")


@at("/around")
def around(environ: Environ, start_response: StartResponse) -> list[bytes]:
    """Takes `?SECONDS` and then answers."""
    loop_for(float(environ["QUERY_STRING"]))
    start_response("200 OK", TEXT)
    return [b"done"]


@at("/upload")
def upload(environ: Environ, start_response: StartResponse) -> list[bytes]:
    """Waits for a body that does not come."""
    try:
        environ["wsgi.input"].read()
    except BaseException as error:
        mark(environ, type(error).__name__)
        raise
    finally:
        loop_for(1)
        mark(environ, "finally")
    start_response("200 OK", TEXT)
    return [b"read"]


@at("/flood")
def flood(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    """Sends more than its client takes, and takes its time to clean up."""
    start_response("200 OK", TEXT)
    try:
        while True:
            yield b"x" * (1024 * 1024)
    finally:
        loop_for(1)
        mark(environ, "cleaned up")


@at("/flood-by-write")
def flood_by_write(environ: Environ, start_response: StartResponse) -> list[bytes]:
    write = start_response("200 OK", TEXT)
    try:
        while True:
            write(b"x" * (1024 * 1024))
    except BaseException as error:
        mark(environ, type(error).__name__)
        loop_for(1)
        mark(environ, "cleaned up")
        raise


@at("/large")
def large(_environ: Environ, start_response: StartResponse) -> list[bytes]:
    start_response("200 OK", TEXT)
    return [b"x" * (24 * 1024 * 1024)]


@at("/large-file")
def large_file(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - the server closes it
    file.truncate(24 * 1024 * 1024)
    start_response("200 OK", TEXT)
    wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](file)
    return wrapped


@at("/swallow")
def swallow(environ: Environ, _start_response: StartResponse) -> list[bytes]:
    gate = Path(environ["QUERY_STRING"])
    mark(environ.copy() | {"QUERY_STRING": f"{gate}.begun"}, "begun")
    while not gate.exists():
        try:
            loop_for(0.05)
        except BaseException:
            continue
    return []


@at("/swallow-in-a-stream")
def swallow_in_a_stream(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", TEXT)
    yield b"begun"
    swallow(environ, start_response)


@at("/how-many")
def how_many(_environ: Environ, start_response: StartResponse) -> list[bytes]:
    """Tells how many of its kind run at once."""
    with _lock:
        _counted.append(1)
        number = len(_counted)
    time.sleep(0.05)
    with _lock:
        _counted.pop()
    start_response("200 OK", TEXT)
    return [str(number).encode()]


@at("/blocked")
def blocked(environ: Environ, _start_response: StartResponse) -> list[bytes]:
    mark(environ, "begun")
    time.sleep(30)  # the blocking line
    return []


@at("/keeps-gil")
def keeps_gil(_environ: Environ, start_response: StartResponse) -> list[bytes]:
    # PyDLL calls without letting the GIL go.
    ctypes.PyDLL(None).sleep(6)  # the hogging line
    start_response("200 OK", TEXT)
    return [b"let go"]


@at("/hold")
def hold(environ: Environ, start_response: StartResponse) -> list[bytes]:
    """Answers as soon as two of its kind run at once."""
    with _lock:
        _inside.append(1)
        if len(_inside) >= 2:
            _both.set()
    met = _both.wait(0.4)
    start_response("200 OK", TEXT)
    return [b"met" if met else b"alone"]


_lock = threading.Lock()
_inside: list[int] = []
_counted: list[int] = []
_both = threading.Event()
