"""What the server offers beyond PEP 3333's must: early hints, files, proxies, taking over."""

import gzip
import io
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], None]]
App = Callable[[Environ, StartResponse], Iterable[bytes]]

TEXT = [("Content-Type", "text/plain")]

_cases: dict[str, App] = {}
_closed: list[str] = []
_files: list[Any] = []


def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    return _cases[environ["PATH_INFO"]](environ, start_response)


def at(path: str) -> Callable[[App], App]:
    def register(case: App) -> App:
        _cases[path] = case
        return case

    return register


def query(environ: Environ) -> dict[str, str]:
    return dict(parse_qsl(environ["QUERY_STRING"]))


def as_json(start_response: StartResponse, value: object) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(value).encode()]


@at("/ok")
def ok(_environ: Environ, start_response: StartResponse) -> list[bytes]:
    start_response("200 OK", TEXT)
    return [b"ok"]


@at("/environ")
def show_environ(environ: Environ, start_response: StartResponse) -> list[bytes]:
    plain = {k: v for k, v in environ.items() if isinstance(v, str)}
    return as_json(start_response, plain | {"keys": sorted(environ)})


# --- early hints ---------------------------------------------------------------------------------


@at("/hints")
def hints(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    """Two before `start_response`, one behind it, one too late, then waits for `?FILE`."""
    send = environ["wsgi.early_hints"]
    send([("Link", "</a.css>; rel=preload; as=style"), ("Link", "</b.js>; rel=preload")])
    send([("Link", "</c.css>; rel=preload")])
    gate = Path(environ["QUERY_STRING"])
    while not gate.exists():
        time.sleep(0.005)
    start_response("200 OK", TEXT)
    send((("Link", "</d.css>"),))
    yield b"body"
    send([("Link", "</late.css>")])
    yield b" more"


@at("/hints-bad")
def hints_bad(environ: Environ, start_response: StartResponse) -> list[bytes]:
    send = environ["wsgi.early_hints"]
    outcomes = []
    for headers in (
        [("Link", "a\r\nX-Injected: 1")],
        [("Li nk", "a")],
        [("", "a")],
        [("Link", "\u20ac")],
        [("Link", "a\0b")],
        [("Link", b"a")],
        [("Link",)],
        ["Link"],
        [("Good", "1"), ("B\nad", "2")],
        5,
    ):
        try:
            send(headers)
        except Exception as error:
            outcomes.append(type(error).__name__)
        else:
            outcomes.append("sent")
    return as_json(start_response, outcomes)


@at("/hints-then-raise")
def hints_then_raise(environ: Environ, _start_response: StartResponse) -> list[bytes]:
    environ["wsgi.early_hints"]([("Link", "</a.css>")])
    raise RuntimeError("after hints")


@at("/hints-then-file")
def hints_then_file(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    environ["wsgi.early_hints"]([("Link", "</a.css>")])
    return file(environ, start_response)


# --- files ---------------------------------------------------------------------------------------


class CountingFile(io.BytesIO):
    """Says when it is closed."""

    def close(self) -> None:
        _closed.append("close")
        super().close()


class WithDescriptor:
    """Reads other bytes than those behind its descriptor."""

    def __init__(self, path: str) -> None:
        self._file = Path(path).open("rb")  # noqa: SIM115

    def fileno(self) -> int:
        return self._file.fileno()

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size).swapcase()

    def close(self) -> None:
        _closed.append("close")
        self._file.close()


OPEN: dict[str, Callable[[str], Any]] = {
    "plain": lambda path: Path(path).open("rb"),  # noqa: SIM115 - the server closes it
    "update": lambda path: Path(path).open("r+b"),  # noqa: SIM115
    "raw": lambda path: Path(path).open("rb", buffering=0),  # noqa: SIM115
    "gzip": gzip.open,
    "bytesio": lambda path: CountingFile(Path(path).read_bytes()),
    "descriptor": WithDescriptor,
    "pipe": lambda path: os.popen(f"cat {path}")._stream.buffer,  # type: ignore[attr-defined]
}


@at("/file")
def file(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """`?path=&kind=&seek=&read=&length=&status=&write=`."""
    asked = query(environ)
    opened = OPEN[asked.get("kind", "plain")](asked["path"])
    if "seek" in asked:
        opened.seek(int(asked["seek"]))
    if "read" in asked:  # a buffered reader has then read ahead
        opened.read(int(asked["read"]))
    headers = list(TEXT)
    if "length" in asked:
        headers.append(("Content-Length", asked["length"]))
    write = start_response(asked.get("status", "200 OK"), headers)
    if "write" in asked:
        write(asked["write"].encode())
    _files.append(opened)
    wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](opened, 4096)
    return wrapped


@at("/file-state")
def file_state(_environ: Environ, start_response: StartResponse) -> list[bytes]:
    """Whether each file is closed, and the counted calls of `close`."""
    closed = [file.closed for file in _files if hasattr(file, "closed")]
    return as_json(start_response, [closed, len(_closed)])


@at("/file-forget")
def file_forget(_environ: Environ, start_response: StartResponse) -> list[bytes]:
    _files.clear()
    _closed.clear()
    return as_json(start_response, True)


# --- taking the connection over ------------------------------------------------------------------

SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"


@at("/echo")
def echo(environ: Environ, start_response: StartResponse) -> list[bytes]:
    """Echoes lines until one is `bye`, then ends as `?` says: `stop`, `raise` or an empty body."""
    sock = environ["gunicorn.socket"]
    sock.sendall(SWITCH)
    sock.settimeout(10)
    with sock.makefile("rb") as lines:
        for line in lines:
            if line == b"bye\n":
                break
            sock.sendall(b"> " + line)
    sock.close()
    if environ["QUERY_STRING"] == "stop":
        raise StopIteration
    if environ["QUERY_STRING"] == "raise":
        raise RuntimeError("after taking over")
    if environ["QUERY_STRING"] == "answer":
        start_response("200 OK", TEXT)
    return []


@at("/late-echo")
def late_echo(environ: Environ, start_response: StartResponse) -> list[bytes]:
    """A kind of request that is known to be slow once it has run."""
    time.sleep(0.05)
    return echo(environ, start_response)


@at("/push")
def push(environ: Environ, _start_response: StartResponse) -> list[bytes]:
    """Sends 4 MiB, or as many times 64 KiB as `?` says, then ends the connection."""
    sock = environ["gunicorn.socket"]
    sock.sendall(SWITCH)
    for number in range(int(environ["QUERY_STRING"] or 64)):
        sock.sendall(bytes([number % 256]) * 65536)
    sock.close()
    return []


@at("/taken-and-failed")
def taken_and_failed(environ: Environ, start_response: StartResponse) -> list[bytes]:
    """Has an error page for its own errors, as frameworks do, and no response for it to be."""
    environ["gunicorn.socket"].sendall(SWITCH)
    try:
        raise LookupError("its own error")
    except LookupError:
        start_response("500 Internal Server Error", TEXT, sys.exc_info())
    return [b"an error page"]


@at("/too-late")
def too_late(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    """Wants the connection when the response has begun."""
    start_response("200 OK", TEXT)
    yield b"one "
    try:
        environ["gunicorn.socket"].sendall(SWITCH)
    except OSError as error:
        yield type(error).__name__.encode()


@at("/not-taken")
def not_taken(environ: Environ, start_response: StartResponse) -> list[bytes]:
    sock = environ.get("gunicorn.socket")
    start_response("200 OK", TEXT)
    return [f"{sock!r} {hasattr(sock, '__iter__')}".encode()]


@at("/stop-iteration")
def stop_iteration(_environ: Environ, _start_response: StartResponse) -> list[bytes]:
    raise StopIteration
