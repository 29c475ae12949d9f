"""One WSGI app with a path for each case that the tests need."""

import hashlib
import io
import itertools
import json
import os
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from wsgiref.validate import validator

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], None]]
App = Callable[[Environ, StartResponse], Iterable[bytes]]

TEXT = [("Content-Type", "text/plain")]
GATE_TIMEOUT = 20.0

_cases: dict[str, App] = {}
_events: dict[str, list[Any]] = defaultdict(list)
_gates: dict[str, threading.Event] = defaultdict(threading.Event)
_kept: dict[str, Any] = {}


def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    return _cases.get(environ["PATH_INFO"], _cases["/environ"])(environ, start_response)


def at(path: str) -> Callable[[App], App]:
    def register(case: App) -> App:
        assert path not in _cases
        _cases[path] = case
        return case

    return register


def key_of(environ: Environ) -> str:
    """What stands behind the `?`: the name of this request's events and of its gate."""
    return str(environ["QUERY_STRING"])


def as_json(start_response: StartResponse, value: object) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(value).encode()]


def wait_for_gate(key: str) -> None:
    assert _gates[key].wait(GATE_TIMEOUT), f"gate {key} stayed shut"


class Body:
    """An iterable that records its `close`."""

    def __init__(self, key: str, pieces: Iterable[bytes], length: int | None = None) -> None:
        self._key = key
        self._pieces = iter(pieces)
        self._length = length

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def close(self) -> None:
        _events[self._key].append("close")


class OnePiece(Body):
    """The same, with a length of 1."""

    def __len__(self) -> int:
        return 1


# --- the tests' remote control -------------------------------------------------------------------


@at("/ok")
def ok(_environ: Environ, start_response: StartResponse) -> list[bytes]:
    start_response("200 OK", TEXT)
    return [b"ok"]


@at("/open")
def open_gate(environ: Environ, start_response: StartResponse) -> list[bytes]:
    _gates[key_of(environ)].set()
    return as_json(start_response, True)


@at("/events")
def events(environ: Environ, start_response: StartResponse) -> list[bytes]:
    return as_json(start_response, _events[key_of(environ)])


# --- environ -------------------------------------------------------------------------------------


@at("/environ")
def show_environ(environ: Environ, start_response: StartResponse) -> list[bytes]:
    plain = {k: v for k, v in environ.items() if isinstance(v, str | int | tuple)}
    types = {k: type(v).__name__ for k, v in environ.items()}
    return as_json(
        start_response,
        {"environ": plain, "types": types, "class": type(environ).__name__, "pid": os.getpid()},
    )


@validator
def _validated(environ: Environ, start_response: StartResponse) -> list[bytes]:
    read = environ["wsgi.input"]
    first, line = read.read(3), read.readline()
    rest = read.readlines() + list(read)
    start_response("200 OK", TEXT)
    return [b"valid", b" ", first + line + b"".join(rest)]


@at("/validated")
def validated(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    return _validated(environ, start_response)


@at("/mutated")
def mutated(environ: Environ, start_response: StartResponse) -> list[bytes]:
    seen = environ.get("left.behind")
    environ["left.behind"] = environ["SERVER_NAME"] = environ["wsgi.version"] = "spoilt"
    return as_json(start_response, [seen, environ["PATH_INFO"]])


# --- start_response ------------------------------------------------------------------------------


def _error() -> Any:
    try:
        raise LookupError("the app's own error")
    except LookupError:
        return sys.exc_info()


@at("/exc-info-before")
def exc_info_before(_environ: Environ, start_response: StartResponse) -> list[bytes]:
    start_response("200 OK", [*TEXT, ("X-First", "1")])
    start_response("503 Sorry", [*TEXT, ("X-Second", "2")], _error())
    return [b"sorry"]


@at("/exc-info-first")
def exc_info_first(_environ: Environ, start_response: StartResponse) -> list[bytes]:
    start_response("503 Sorry", TEXT, _error())
    return [b"sorry"]


@at("/exc-info-by-name")
def exc_info_by_name(_environ: Environ, start_response: Any) -> list[bytes]:
    start_response("200 OK", TEXT)
    start_response("503 Sorry", TEXT, exc_info=_error())
    return [b"sorry"]


@at("/exc-info-after")
def exc_info_after(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", TEXT)
    yield b"begun"
    try:
        start_response("503 Sorry", TEXT, _error())
    except LookupError as error:
        _events[key_of(environ)].append(repr(error))
        raise
    yield b"never sent"


@at("/exc-info-none")
def exc_info_none(_environ: Environ, start_response: StartResponse) -> list[bytes]:
    start_response("200 OK", TEXT, None)
    return [b"ok"]


@at("/twice")
def twice(environ: Environ, start_response: StartResponse) -> list[bytes]:
    start_response("200 OK", TEXT)
    try:
        start_response("201 Created", TEXT)
    except AssertionError:
        _events[key_of(environ)].append("AssertionError")
        raise
    return [b"never sent"]


@at("/start-in-generator")
def start_in_generator(_environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    start_response("201 Created", [*TEXT, ("X-Late", "yes")])
    yield b"late"


@at("/start-after-empty-pieces")
def start_after_empty_pieces(_environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    yield b""
    yield b""
    start_response("201 Created", TEXT)
    yield b"late"


@at("/start-never")
def start_never(_environ: Environ, _start_response: StartResponse) -> list[bytes]:
    return [b"body"]


@at("/start-never-empty")
def start_never_empty(_environ: Environ, _start_response: StartResponse) -> list[bytes]:
    return []


@at("/start-never-generator")
def start_never_generator(_environ: Environ, _start_response: StartResponse) -> Iterator[bytes]:
    yield b"body"


@at("/changed-after-empty-piece")
def changed_after_empty_piece(_environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", [*TEXT, ("X-First", "1")])
    yield b""
    start_response("404 Not Found", TEXT, _error())
    yield b"changed"


@at("/headers-held")
def headers_held(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    key = key_of(environ)
    start_response("200 OK", TEXT)
    yield b""
    _events[key].append("waiting")
    wait_for_gate(key)
    yield b"body"


@at("/headers-changed-later")
def headers_changed_later(_environ: Environ, start_response: StartResponse) -> list[bytes]:
    headers = [*TEXT, ("X-Name", "first")]
    start_response("200 OK", headers)
    return [b"ok"]


BAD_STARTS: dict[str, tuple[Any, Any]] = {
    "status-crlf": ("200 OK\r\nX-Split: yes", TEXT),
    "status-text": ("fine", TEXT),
    "status-short": ("20 OK", TEXT),
    "status-1xx": ("101 Switching Protocols", TEXT),
    "status-bytes": (b"200 OK", TEXT),
    "status-int": (200, TEXT),
    "status-wide": ("200 \u20ac", TEXT),
    "value-crlf": ("200 OK", [("X-A", "a\r\nX-Split: yes")]),
    "value-lf": ("200 OK", [("X-A", "a\nX-Split: yes")]),
    "value-nul": ("200 OK", [("X-A", "a\0b")]),
    "value-bytes": ("200 OK", [("X-A", b"a")]),
    "value-int": ("200 OK", [("X-A", 1)]),
    "value-wide": ("200 OK", [("X-A", "\u20ac")]),
    "name-crlf": ("200 OK", [("X-A\r\nX-Split", "a")]),
    "name-space": ("200 OK", [("X A", "a")]),
    "name-colon": ("200 OK", [("X-A:", "a")]),
    "name-empty": ("200 OK", [("", "a")]),
    "name-bytes": ("200 OK", [(b"X-A", "a")]),
    "length-text": ("200 OK", [("Content-Length", "many")]),
    "length-negative": ("200 OK", [("Content-Length", "-1")]),
    "length-two": ("200 OK", [("Content-Length", "2"), ("Content-Length", "3")]),
    "pair-short": ("200 OK", [("X-A",)]),
    "pair-text": ("200 OK", ["X-A"]),
    "headers-none": ("200 OK", None),
}


@at("/bad-start")
def bad_start(environ: Environ, start_response: StartResponse) -> list[bytes]:
    status, headers = BAD_STARTS[key_of(environ)]
    start_response(status, headers)
    return [b"never sent"]


@at("/latin-1")
def latin_1(_environ: Environ, start_response: StartResponse) -> list[bytes]:
    start_response("200 Sch\xf6n", [*TEXT, ("X-Name", "caf\xe9"), ("X-Empty", "")])
    return [b"ok"]


@at("/repeated")
def repeated(_environ: Environ, start_response: StartResponse) -> list[bytes]:
    start_response("200 OK", [*TEXT, ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
    return [b"ok"]


@at("/hop-by-hop")
def hop_by_hop(_environ: Environ, start_response: StartResponse) -> list[bytes]:
    framing = [("Transfer-Encoding", "chunked"), ("Keep-Alive", "timeout=9"), ("Upgrade", "x")]
    start_response("200 OK", [*TEXT, *framing])
    return [b"plain"]


@at("/connection-close")
def connection_close(_environ: Environ, start_response: StartResponse) -> list[bytes]:
    start_response("200 OK", [*TEXT, ("Connection", "close")])
    return [b"bye"]


# --- write() -------------------------------------------------------------------------------------


@at("/write-only")
def write_only(_environ: Environ, start_response: StartResponse) -> list[bytes]:
    write = start_response("200 OK", TEXT)
    write(b"one ")
    write(b"")
    write(b"two")
    return []


@at("/write-then-list")
def write_then_list(_environ: Environ, start_response: StartResponse) -> list[bytes]:
    start_response("200 OK", TEXT)(b"one ")
    return [b"two ", b"three"]


@at("/write-then-generator")
def write_then_generator(_environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", TEXT)(b"one ")
    yield b"two "
    yield b"three"


@at("/write-gated")
def write_gated(environ: Environ, start_response: StartResponse) -> list[bytes]:
    write = start_response("200 OK", TEXT)
    write(b"first")
    wait_for_gate(key_of(environ))
    write(b"second")
    return []


@at("/write-text")
def write_text(environ: Environ, start_response: StartResponse) -> list[bytes]:
    write: Any = start_response("200 OK", TEXT)
    try:
        write("text")
    except TypeError:
        _events[key_of(environ)].append("TypeError")
        raise
    return []


@at("/write-length")
def write_length(_environ: Environ, start_response: StartResponse) -> list[bytes]:
    write = start_response("200 OK", [*TEXT, ("Content-Length", "6")])
    write(b"abc")
    write(b"def")
    return []


@at("/write-kept")
def write_kept(environ: Environ, start_response: StartResponse) -> list[bytes]:
    _kept[key_of(environ)] = (start_response, start_response("200 OK", TEXT))
    return [b"kept"]


@at("/write-after-end")
def write_after_end(environ: Environ, start_response: StartResponse) -> list[bytes]:
    kept_start, kept_write = _kept.pop(key_of(environ))
    outcomes = []
    for call in (lambda: kept_write(b"late"), lambda: kept_start("200 OK", TEXT)):
        try:
            call()
            outcomes.append("nothing")
        except AssertionError as error:
            outcomes.append(type(error).__name__)
    return as_json(start_response, outcomes)


# --- bodies --------------------------------------------------------------------------------------


class Pieces:
    """An iterable by `__getitem__` alone, as old apps have it."""

    def __getitem__(self, index: int) -> bytes:
        return (b"old ", b"style")[index]


SHAPES: dict[str, Callable[[], Any]] = {
    "list": lambda: [b"a", b"", b"bc"],
    "tuple": lambda: (b"a", b"bc"),
    "generator": lambda: (piece for piece in (b"a", b"", b"bc")),
    "iterator": lambda: iter([b"a", b"bc"]),
    "one-piece": lambda: OnePiece("shapes", [b"abc"]),
    "empty-list": list,
    "empty-generator": lambda: iter(()),
    "old-style": Pieces,
    "bytes": lambda: b"abc",
    "text-list": lambda: ["text"],
    "text-generator": lambda: iter(["text"]),
    "bytearray": lambda: [bytearray(b"abc")],
    "none-piece": lambda: [b"a", None],
    "text-later": lambda: iter([b"begun", "text"]),
    "none": lambda: None,
    "number": lambda: 42,
}


@at("/shape")
def shape(environ: Environ, start_response: StartResponse) -> Any:
    start_response("200 OK", TEXT)
    return SHAPES[key_of(environ)]()


@at("/length")
def length(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """`?declared=N&body=TEXT&kind=list|generator`"""
    query = parse_qs(environ["QUERY_STRING"], keep_blank_values=True)
    body = query["body"][0].encode()
    start_response("200 OK", [*TEXT, ("Content-Length", query["declared"][0])])
    if query["kind"] == ["list"]:
        return [body]
    return (bytes([byte]) for byte in body)


@at("/status")
def status(environ: Environ, start_response: StartResponse) -> list[bytes]:
    start_response(f"{key_of(environ)} Whatever", [("X-Kept", "yes")])
    return [b"a body that may not be sent"]


@at("/declared")
def declared(_environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", [*TEXT, ("Content-Length", "10")])
    yield b"0123456789"


@at("/streamed")
def streamed(_environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", TEXT)
    yield b"one "
    yield b"two"


@at("/stream-gated")
def stream_gated(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", TEXT)
    yield b"first"
    wait_for_gate(key_of(environ))
    yield b"second"


@at("/flood")
def flood(environ: Environ, start_response: StartResponse) -> Body:
    """A gigabyte, recording how much of it has been asked for."""
    key = key_of(environ)
    progress = _events[key + "-progress"]
    progress.append(0)

    def pieces() -> Iterator[bytes]:
        for number in range(16 * 1024):
            progress[0] = number
            yield bytes(64 * 1024)

    start_response("200 OK", TEXT)
    return Body(key, pieces())


@at("/trickle")
def trickle(environ: Environ, start_response: StartResponse) -> Body:
    """A small piece every few milliseconds, for a minute."""

    def pieces() -> Iterator[bytes]:
        for _ in range(12_000):
            time.sleep(0.005)
            yield b"drop"

    start_response("200 OK", TEXT)
    return Body(key_of(environ), pieces())


@at("/large-list")
def large_list(_environ: Environ, start_response: StartResponse) -> list[bytes]:
    start_response("200 OK", TEXT)
    return [bytes(1024 * 1024)] * 24


# --- close() -------------------------------------------------------------------------------------


def _raising() -> Iterator[bytes]:
    yield b"begun"
    raise LookupError("in the middle")


def _raising_at_once() -> Iterator[bytes]:
    raise LookupError("at once")
    yield b""


class NotIterable(Body):
    """`__iter__` itself raises."""

    def __iter__(self) -> Iterator[bytes]:
        raise LookupError("no iterator")


class CloseRaises(Body):
    """`close` raises, after it has been recorded."""

    def close(self) -> None:
        super().close()
        raise LookupError("in close")


CLOSED: dict[str, Callable[[str], Body]] = {
    "normal": lambda key: Body(key, [b"a", b"b"]),
    "empty": lambda key: Body(key, []),
    "one-piece": lambda key: OnePiece(key, [b"ab"]),
    "raises": lambda key: Body(key, _raising()),
    "raises-at-once": lambda key: Body(key, _raising_at_once()),
    "not-iterable": lambda key: NotIterable(key, []),
    "text": lambda key: Body(key, iter(["text"])),  # type: ignore[list-item]
    "close-raises": lambda key: CloseRaises(key, [b"a", b"b"]),
}


@at("/closed")
def closed(environ: Environ, start_response: StartResponse) -> Body:
    start_response("200 OK", TEXT)
    kind = key_of(environ).partition("-on-")[0]
    return CLOSED[kind](key_of(environ))


@at("/closed-short")
def closed_short(environ: Environ, start_response: StartResponse) -> Body:
    start_response("200 OK", [*TEXT, ("Content-Length", "100")])
    return Body(key_of(environ), [b"short"])


@at("/closed-unstarted")
def closed_unstarted(environ: Environ, _start_response: StartResponse) -> Body:
    return Body(key_of(environ), [b"body"])


@at("/closed-no-content")
def closed_no_content(environ: Environ, start_response: StartResponse) -> Body:
    start_response("204 No Content", [])
    return Body(key_of(environ), [b"body"])


@at("/generator-finally")
def generator_finally(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", TEXT)
    try:
        while True:
            yield bytes(64 * 1024)
    finally:
        _events[key_of(environ)].append("finally")


# --- errors --------------------------------------------------------------------------------------


@at("/raise")
def raise_(environ: Environ, _start_response: StartResponse) -> list[bytes]:
    raise {
        "": LookupError("the app's own error"),
        "exit": SystemExit(7),
        "interrupt": KeyboardInterrupt(),
        "generator-exit": GeneratorExit(),
        "stop-iteration": StopIteration(),
    }[key_of(environ)]


@at("/raise-after-start")
def raise_after_start(_environ: Environ, start_response: StartResponse) -> list[bytes]:
    start_response("200 OK", [*TEXT, ("X-Never", "sent")])
    raise LookupError("after start_response")


@at("/raise-in-body")
def raise_in_body(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", TEXT)
    yield b"begun"
    raise {"": LookupError("in the body"), "exit": SystemExit(7)}[key_of(environ)]


@at("/errors")
def errors(environ: Environ, start_response: StartResponse) -> list[bytes]:
    stream = environ["wsgi.errors"]
    stream.write("written to errors: gr\xfc\xdfe\n")
    stream.writelines(["first line\n", "second line\n"])
    stream.flush()
    start_response("200 OK", TEXT)
    return [b"ok"]


# --- wsgi.input ----------------------------------------------------------------------------------


@at("/input")
def read_input(environ: Environ, start_response: StartResponse) -> list[bytes]:
    """`?read(3),readline,…`: what each of these calls returns."""
    stream = environ["wsgi.input"]
    results: list[Any] = []
    for step in key_of(environ).split(","):
        name, _, argument = step.rstrip(")").partition("(")
        if name == "iter":
            result: Any = list(stream)
        else:
            arguments = [] if not argument else [None if argument == "None" else int(argument)]
            result = getattr(stream, name)(*arguments)
        lines = [line.decode("latin-1") for line in result] if isinstance(result, list) else None
        results.append(result.decode("latin-1") if lines is None else lines)
    return as_json(start_response, results)


@at("/input-count")
def input_count(environ: Environ, start_response: StartResponse) -> list[bytes]:
    total, chunks, stream = 0, 0, environ["wsgi.input"]
    while data := stream.read(100_000):
        total, chunks = total + len(data), chunks + 1
    after = (stream.read() + stream.read(5) + stream.readline()).decode()
    return as_json(start_response, [total, chunks, after])


@at("/input-digest")
def input_digest(environ: Environ, start_response: StartResponse) -> list[bytes]:
    body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    start_response("200 OK", TEXT)
    return [hashlib.sha256(body).hexdigest().encode()]


@at("/input-error")
def input_error(environ: Environ, start_response: StartResponse) -> list[bytes]:
    """Records how reading ends; answers when it can."""
    record = _events[key_of(environ)]
    try:
        record.append(len(environ["wsgi.input"].read()))
    except OSError as error:
        record.append(type(error).__name__)
        raise
    return as_json(start_response, True)


@at("/write-then-read")
def write_then_read(environ: Environ, start_response: StartResponse) -> list[bytes]:
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(b"first ")
    try:
        environ["wsgi.input"].read()
    except OSError as error:
        _events[key_of(environ)].append(type(error).__name__)
    return [b"last"]


@at("/satisfied-then-read")
def satisfied_then_read(environ: Environ, start_response: StartResponse) -> list[bytes]:
    write = start_response("200 OK", [("Content-Length", "4")])
    write(b"done")
    try:
        environ["wsgi.input"].read()
    except OSError as error:
        text = f"{type(error).__name__}: {str(error).split(':')[0]}"
        _events[key_of(environ)].append(text)
    return []


@at("/input-echo-lines")
def input_echo_lines(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    """Sends each line as it comes: both directions at once."""
    start_response("200 OK", TEXT)
    for line in environ["wsgi.input"]:
        yield b"> " + line


# --- wsgi.file_wrapper ---------------------------------------------------------------------------


class RecordingFile(io.BytesIO):
    """A file in memory that records its `close` and the sizes asked for."""

    def __init__(self, key: str, content: bytes) -> None:
        super().__init__(content)
        self._key = key

    def read(self, size: int | None = -1) -> bytes:
        _events[self._key + "-sizes"].append(size)
        return super().read(size)

    def close(self) -> None:
        if not self.closed:
            _events[self._key].append("close")
        super().close()


@at("/file")
def file(environ: Environ, start_response: StartResponse) -> Any:
    start_response("200 OK", TEXT)
    content = b"0123456789" * 1000
    return environ["wsgi.file_wrapper"](RecordingFile(key_of(environ), content), 4096)


@at("/file-as-iterator")
def file_as_iterator(environ: Environ, start_response: StartResponse) -> list[bytes]:
    wrapper = environ["wsgi.file_wrapper"](RecordingFile(key_of(environ), b"abcdef"), 4)
    pieces = [next(wrapper).decode(), next(wrapper).decode(), next(wrapper, "end")]
    own = iter(wrapper) is wrapper
    wrapper.close()
    return as_json(start_response, [own, *pieces])


class ReadOnlyFile:
    """Something with `read` alone."""

    def __init__(self, content: bytes) -> None:
        self._file = io.BytesIO(content)

    def read(self, size: int) -> bytes:
        return self._file.read(size)


@at("/file-without-close")
def file_without_close(environ: Environ, start_response: StartResponse) -> Any:
    start_response("200 OK", TEXT)
    return environ["wsgi.file_wrapper"](ReadOnlyFile(b"no close"))


@at("/file-wrapped-again")
def file_wrapped_again(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    """A middleware that looks at each block."""
    start_response("200 OK", TEXT)
    for block in environ["wsgi.file_wrapper"](io.BytesIO(b"abc"), 1):
        yield block.upper()


# --- calls at once -------------------------------------------------------------------------------

_lock = threading.Lock()
_marks = itertools.count(1)
_inside = {"now": 0, "most": 0}


@at("/hold")
def hold(environ: Environ, start_response: StartResponse) -> list[bytes]:
    """`?FILE` blocks until there is this file, and leaves a mark beside it as it begins.

    By files, so that the test needs no thread of the server for its remote control.
    """
    gate = Path(key_of(environ))
    with _lock:
        _inside["now"] += 1
        _inside["most"] = max(_inside.values())
    try:
        gate.with_name(f"{gate.name}.inside-{next(_marks)}").touch()
        deadline = time.monotonic() + GATE_TIMEOUT
        while not gate.exists():
            assert time.monotonic() < deadline, f"there never was {gate}"
            time.sleep(0.005)
    finally:
        with _lock:
            _inside["now"] -= 1
    start_response("200 OK", TEXT)
    return [b"released"]


@at("/inside")
def inside(_environ: Environ, start_response: StartResponse) -> list[bytes]:
    return as_json(start_response, _inside)


@at("/reset")
def reset(_environ: Environ, start_response: StartResponse) -> list[bytes]:
    _inside["most"] = 0
    return as_json(start_response, True)


@at("/sleep")
def sleep(environ: Environ, start_response: StartResponse) -> list[bytes]:
    time.sleep(float(key_of(environ)))
    start_response("200 OK", TEXT)
    return [b"slept"]


@at("/thread")
def thread(_environ: Environ, start_response: StartResponse) -> list[bytes]:
    return as_json(start_response, threading.get_ident())
