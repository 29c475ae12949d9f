"""Routes for each case that the tests need."""

import asyncio
import contextlib
import json
import logging
import threading
import time
from collections import defaultdict
from typing import Any

import gohttp
from gohttp import Request, ResponseWriter, route

GATE_TIMEOUT = 20.0

_events: dict[str, list[Any]] = defaultdict(list)
_gates: dict[str, threading.Event] = defaultdict(threading.Event)
_kept: dict[str, tuple[ResponseWriter, Request]] = {}


def as_json(w: ResponseWriter, value: object) -> None:
    w.headers["Content-Type"] = "application/json"
    w.write(json.dumps(value))


def outcome_of(call: Any) -> Any:
    """What a call returns, or the name of the exception that it raises."""
    try:
        return call()
    except Exception as error:
        return type(error).__name__


# --- the tests' remote control -------------------------------------------------------------------


@route("/ok")
def ok(w: ResponseWriter, _req: Request) -> None:
    w.write("ok")


@route("/open")
def open_gate(w: ResponseWriter, req: Request) -> None:
    _gates[req.query_string].set()
    as_json(w, True)


@route("/events")
def events(w: ResponseWriter, req: Request) -> None:
    as_json(w, _events[req.query_string])


# --- patterns ------------------------------------------------------------------------------------


def _naming(pattern: str) -> Any:
    def handler(w: ResponseWriter, req: Request) -> None:
        w.headers["X-Pattern"] = pattern
        w.write(f"{req.method} {req.url}")

    return handler


for _pattern in ("/", "/tree/", "/tree/branch/", "/tree/leaf", "/exact", "/gr\xfc\xdfe"):
    route(_pattern, _naming(_pattern))
for _pattern in ("example.org/", "example.org/tree/", "Example.Net/exact"):
    route(_pattern, _naming(_pattern))


@route("/decorated/")
def decorated(w: ResponseWriter, _req: Request) -> None:
    w.write("decorated")


assert callable(decorated)  # a decorator gives the function back


@route("/bad-patterns")
def bad_patterns(w: ResponseWriter, _req: Request) -> None:
    patterns = ["", "nowhere", "GET  x", "/{id", "/{a}/{a}", "/a b", "/\n"]
    patterns += ["/exact", "/", "example.org/", "/{top}/leaf"]  # taken, and in conflict
    outcomes = {p: outcome_of(lambda p=p: route(p, ok)) for p in patterns}
    outcomes["no function"] = outcome_of(lambda: route("/never", 7))  # type: ignore[call-overload]
    outcomes["no text"] = outcome_of(lambda: route(7, ok))  # type: ignore[call-overload]
    as_json(w, outcomes)


@route("/route-later")
def route_later(w: ResponseWriter, _req: Request) -> None:
    """A pattern may come while the server runs."""
    route("/came-later", _naming("/came-later"))
    w.write("registered")


class CallableObject:
    """A handler need not be a function."""

    def __call__(self, w: ResponseWriter, _req: Request) -> None:
        w.write("an object")

    def method(self, w: ResponseWriter, _req: Request) -> None:
        w.write("a method")


class AsyncCallableObject:
    """Nor need an `async` one."""

    async def __call__(self, w: ResponseWriter, _req: Request) -> None:
        await asyncio.sleep(0)
        w.write("an async object")


route("/object", CallableObject())
route("/method", CallableObject().method)
route("/async-object", AsyncCallableObject())


# --- the request ---------------------------------------------------------------------------------


@route("/request/")
def show_request(w: ResponseWriter, req: Request) -> None:
    names = ("method", "host", "url", "path", "query_string", "proto", "remote_addr", "cancelled")
    shown: dict[str, Any] = {name: getattr(req, name) for name in names}
    shown["body"] = req.body.decode("latin-1")
    shown["body is bytes"] = type(req.body) is bytes
    shown["headers"] = list(req.headers.items())
    shown["repr"] = repr(req)
    as_json(w, shown)


@route("/request-headers")
def request_headers(w: ResponseWriter, req: Request) -> None:
    headers = req.headers
    as_json(
        w,
        {
            "item": headers["x-name"],
            "other case": headers["X-NAME"],
            "missing": outcome_of(lambda: headers["x-missing"]),
            "get": headers.get("X-Name"),
            "get missing": headers.get("x-missing"),
            "get default": headers.get("x-missing", "default"),
            "get_all": headers.get_all("X-Name"),
            "in": ["x-NAME" in headers, "x-missing" in headers],
            "set": outcome_of(lambda: headers.__setitem__("x-name", "new")),
            "delete": outcome_of(lambda: headers.__delitem__("x-name")),
            "add": outcome_of(lambda: headers.add("x-name", "new")),
            "len": len(headers) == len(list(headers)) == len(headers.items()),
            "same": req.headers["x-name"],
        },
    )


@route("/body-length")
def body_length(w: ResponseWriter, req: Request) -> None:
    as_json(w, [len(req.body), len(req.body), req.body is req.body])


@route("/body-error")
def body_error(w: ResponseWriter, req: Request) -> None:
    outcome = outcome_of(lambda: len(req.body))
    _events[req.query_string].append(outcome)
    as_json(w, outcome)


@route("/frozen")
def frozen(w: ResponseWriter, req: Request) -> None:
    as_json(
        w,
        [
            outcome_of(lambda: setattr(req, "method", "POST")),
            outcome_of(lambda: setattr(req, "mine", 1)),
            outcome_of(lambda: setattr(w, "headers", {})),
            outcome_of(Request),
            outcome_of(ResponseWriter),
        ],
    )


# --- writing -------------------------------------------------------------------------------------


@route("/write-kinds")
def write_kinds(w: ResponseWriter, _req: Request) -> None:
    returned = [
        w.write("t\xe9xt "),
        w.write(b"bytes "),
        w.write(bytearray(b"bytearray ")),
        w.write(memoryview(b"memoryview ")),
        w.write(memoryview(b"e-v-e-r-y").cast("B")[::2]),
        w.write(""),
        w.write(b""),
    ]
    w.write(f" {returned}")


@route("/write-wrong")
def write_wrong(w: ResponseWriter, _req: Request) -> None:
    values: list[Any] = [None, 7, 1.5, ["a"], object(), {"a": 1}]
    as_json(w, [outcome_of(lambda v=v: w.write(v)) for v in values])


@route("/write-dict")
def write_dict(w: ResponseWriter, _req: Request) -> None:
    try:
        w.write({"a": 1})  # type: ignore[arg-type]
    except TypeError as error:
        w.text(str(error))


@route("/write-surrogate")
def write_surrogate(w: ResponseWriter, _req: Request) -> None:
    as_json(w, outcome_of(lambda: w.write("\ud800")))


@route("/status")
def status(w: ResponseWriter, req: Request) -> None:
    w.set_status(int(req.query_string))
    w.write("body")


@route("/status-only")
def status_only(w: ResponseWriter, req: Request) -> None:
    w.set_status(int(req.query_string))


@route("/status-twice")
def status_twice(w: ResponseWriter, _req: Request) -> None:
    w.set_status(404)
    w.set_status(201)


@route("/status-late")
def status_late(w: ResponseWriter, _req: Request) -> None:
    w.write("body")
    w.set_status(404)


@route("/late/{rest...}")
def late(w: ResponseWriter, req: Request) -> None:
    """What is set when the head has been sent; `req.query_string` says when."""
    w.headers["X-Soon"] = "1"
    w.write("body")
    if req.query_string == "in-time":
        w.headers["X-Buffered"] = "1"
        return
    w.flush()
    w.headers["X-Late"] = "1"
    w.headers.add("X-Later", "2")
    w.set_status(404)
    w.set_status(405)
    w.write("more")


@route("/late-async/{rest...}")
async def late_async(w: ResponseWriter, req: Request) -> None:
    late(w, req)


@route("/stream-to-the-end")
def stream_to_the_end(w: ResponseWriter, _req: Request) -> None:
    while True:
        w.write(b"x" * 1000)
        w.flush()
        time.sleep(0.01)


@route("/status-wrong")
def status_wrong(w: ResponseWriter, _req: Request) -> None:
    values: list[Any] = [0, 99, 101, 199, 1000, -1, 10**30, "200", None]
    as_json(w, [outcome_of(lambda v=v: w.set_status(v)) for v in values])


@route("/nothing")
def nothing(_w: ResponseWriter, _req: Request) -> None:
    pass


@route("/headers")
def headers(w: ResponseWriter, _req: Request) -> None:
    w.headers["X-One"] = "first"
    w.headers["x-one"] = "second"
    w.headers.add("Set-Cookie", "a=1")
    w.headers.add("set-cookie", "b=2")
    w.headers["X-Gone"] = "never sent"
    del w.headers["x-GONE"]
    w.headers["Content-Type"] = "text/x-own"
    w.headers["X-Latin"] = "caf\xe9"
    setitem = w.headers.__setitem__
    seen = {
        "item": w.headers["X-ONE"],
        "all": w.headers.get_all("SET-COOKIE"),
        "gone": "x-gone" in w.headers,
        "delete missing": outcome_of(lambda: w.headers.__delitem__("x-missing")),
        "missing": outcome_of(lambda: w.headers["x-missing"]),
        "number": outcome_of(lambda: setitem("x-a", 7)),
        "bytes": outcome_of(lambda: setitem("x-a", b"7")),
        "length": len(w.headers),
    }
    w.write(json.dumps(seen))


@route("/headers-replaced")
def headers_replaced(w: ResponseWriter, _req: Request) -> None:
    w.headers.add("Set-Cookie", "a=1")
    w.headers.add("X-Between", "1")
    w.headers.add("Set-Cookie", "b=2")
    w.headers["Set-Cookie"] = "c=3"
    w.write("ok")


@route("/headers-between")
def headers_between(w: ResponseWriter, _req: Request) -> None:
    w.write("body")
    w.headers["X-Between"] = "sent"
    w.write(b"." * 16 * 1024)
    w.headers["X-Late"] = "never sent"


@route("/headers-late")
def headers_late(w: ResponseWriter, _req: Request) -> None:
    w.write("body")
    w.flush()
    w.headers["X-Late"] = "never sent"


BAD_HEADERS = {
    "value-crlf": ("X-A", "a\r\nX-Split: yes"),
    "value-lf": ("X-A", "a\nX-Split: yes"),
    "value-nul": ("X-A", "a\0b"),
    "value-wide": ("X-A", "\u20ac"),
    "name-crlf": ("X-A\r\nX-Split", "a"),
    "name-space": ("X A", "a"),
    "name-empty": ("", "a"),
    "name-wide": ("X-\xdf", "a"),
    "length-text": ("Content-Length", "many"),
}


@route("/bad-header")
def bad_header(w: ResponseWriter, req: Request) -> None:
    name, value = BAD_HEADERS[req.query_string]
    w.headers[name] = value
    w.write("never sent")


@route("/own-framing")
def own_framing(w: ResponseWriter, _req: Request) -> None:
    w.headers["Transfer-Encoding"] = "chunked"
    w.headers["Keep-Alive"] = "timeout=9"
    w.write("plain")


@route("/length")
def length(w: ResponseWriter, req: Request) -> None:
    """`?DECLARED,BODY`"""
    declared, _, body = req.query_string.partition(",")
    w.headers["Content-Length"] = declared
    w.write(body)


@route("/sized")
def sized(w: ResponseWriter, req: Request) -> None:
    """`?COUNTxSIZE`: so many writes of so many bytes."""
    count, _, size = req.query_string.partition("x")
    for _ in range(int(count)):
        assert w.write(b"x" * int(size)) == int(size)


@route("/flush-gated")
def flush_gated(w: ResponseWriter, req: Request) -> None:
    w.write("first")
    w.flush()
    assert _gates[req.query_string].wait(GATE_TIMEOUT)
    w.write("second")


@route("/flush-first")
def flush_first(w: ResponseWriter, req: Request) -> None:
    w.set_status(201)
    w.headers["X-Early"] = "yes"
    w.flush()
    assert _gates[req.query_string].wait(GATE_TIMEOUT)
    w.write("body")


@route("/flood")
def flood(w: ResponseWriter, req: Request) -> None:
    """A gigabyte, recording how much has been taken, and how it ended."""
    progress = _events[req.query_string + "-progress"]
    progress.append(0)
    try:
        for number in range(16 * 1024):
            progress[0] = number
            w.write(bytes(64 * 1024))
    except BaseException as error:
        _events[req.query_string].append(type(error).__name__)
        raise


@route("/keep")
def keep(w: ResponseWriter, req: Request) -> None:
    _kept[req.query_string] = (w, req)
    w.headers["X-Kept"] = "yes"
    w.write("kept")


@route("/use-kept")
def use_kept(w: ResponseWriter, req: Request) -> None:
    late, old = _kept.pop(req.query_string)

    def elsewhere() -> None:
        outcomes.extend(
            [
                outcome_of(lambda: late.write("late")),
                outcome_of(lambda: late.write(b"x" * 100_000)),
                outcome_of(late.flush),
                outcome_of(lambda: late.set_status(404)),
                outcome_of(lambda: late.headers.__setitem__("X-Late", "1")),
                old.path,
                old.body.decode(),
                old.headers["host"],
            ]
        )

    outcomes: list[Any] = []
    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    as_json(w, outcomes)


@route("/write-from-threads")
def write_from_threads(w: ResponseWriter, _req: Request) -> None:
    threads = [
        threading.Thread(target=lambda: [w.write(b"x" * 1000) for _ in range(100)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@route("/write-while-ending")
def write_while_ending(w: ResponseWriter, req: Request) -> None:
    """A thread goes on writing as the handler ends."""
    begun = threading.Event()

    def elsewhere() -> None:
        try:
            for _ in range(1_000_000):
                w.write("x")
                begun.set()
        except RuntimeError:
            _events[req.query_string].append("RuntimeError")

    threading.Thread(target=elsewhere).start()
    begun.wait(GATE_TIMEOUT)


# --- errors --------------------------------------------------------------------------------------


def _raise(kind: str) -> None:
    raise {
        "": LookupError("the handler's own error"),
        "exit": SystemExit(7),
        "interrupt": KeyboardInterrupt(),
        "cancelled": asyncio.CancelledError(),
    }[kind]


@route("/raise")
def raises(w: ResponseWriter, req: Request) -> None:
    w.headers["X-Never"] = "sent"
    w.set_status(201)
    w.write("never sent")
    _raise(req.query_string)


@route("/raise-after-flush")
def raises_after_flush(w: ResponseWriter, _req: Request) -> None:
    w.write("begun")
    w.flush()
    raise LookupError("after flush")


# --- async def -----------------------------------------------------------------------------------


@route("/async")
async def async_handler(w: ResponseWriter, req: Request) -> None:
    await asyncio.sleep(0.001)
    w.set_status(201)
    w.headers["X-Async"] = "yes"
    w.write(f"async {req.method} {req.body.decode()}")


@route("/async-gate")
async def async_gate(w: ResponseWriter, req: Request) -> None:
    _events[req.query_string].append("inside")
    deadline = time.monotonic() + GATE_TIMEOUT
    while not _gates[req.query_string].is_set():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)
    w.write("released")


@route("/async-stream")
async def async_stream(w: ResponseWriter, req: Request) -> None:
    w.write("first")
    w.flush()
    while not _gates[req.query_string].is_set():
        await asyncio.sleep(0.005)
    w.write("second")


@route("/async-raise")
async def async_raise(_w: ResponseWriter, req: Request) -> None:
    await asyncio.sleep(0)
    _raise(req.query_string)


@route("/async-raise-after-flush")
async def async_raise_after_flush(w: ResponseWriter, _req: Request) -> None:
    w.write("begun")
    w.flush()
    await asyncio.sleep(0.001)
    raise LookupError("after flush")


@route("/async-parts")
async def async_parts(w: ResponseWriter, _req: Request) -> None:
    """The loop is a whole one: a task, a thread, a time-out."""
    task = asyncio.create_task(asyncio.sleep(0, "task"))
    thread = await asyncio.to_thread(lambda: "thread")
    outcome = ""
    try:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(10)
    except TimeoutError:
        outcome = "timeout"
    w.write(f"{await task} {thread} {outcome}")


@route("/async-keep")
async def async_keep(w: ResponseWriter, req: Request) -> None:
    await asyncio.sleep(0)
    _kept[req.query_string] = (w, req)
    w.write("kept")


@route("/sleep")
def sleep(w: ResponseWriter, req: Request) -> None:
    time.sleep(float(req.query_string))
    w.write("slept")


# --- the end -------------------------------------------------------------------------------------


@route("/shutdown")
def shutdown(w: ResponseWriter, _req: Request) -> None:
    gohttp.shutdown()
    w.write("stopping")


class _SlowHandler(logging.Handler):
    """Lets others run while it logs, as one that writes to a network does."""

    def emit(self, record: logging.LogRecord) -> None:
        if "raise-while-writing" in record.getMessage():
            time.sleep(0.05)


logging.getLogger("gohttp.error").addHandler(_SlowHandler())


@route("/raise-while-writing")
def raise_while_writing(w: ResponseWriter, _req: Request) -> None:
    """A thread goes on writing as the handler raises."""
    begun = threading.Event()

    def elsewhere() -> None:
        with contextlib.suppress(RuntimeError, OSError):
            while True:
                w.write(b"x")
                begun.set()

    threading.Thread(target=elsewhere, daemon=True).start()
    begun.wait(GATE_TIMEOUT)
    raise RuntimeError("raised while another thread writes")
