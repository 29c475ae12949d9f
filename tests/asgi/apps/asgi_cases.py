"""One ASGI app with a path for each case that the tests need."""

import asyncio
import contextvars
import json
import os
import socket
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import anyio

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

GATE_TIMEOUT = 20.0
OK = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}

_cases: dict[str, App] = {}
_events: dict[str, list[Any]] = defaultdict(list)
_gates: dict[str, asyncio.Event] = defaultdict(asyncio.Event)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await lifespan(scope, receive, send)
    else:
        path = scope["path"].removeprefix("/root")
        await _cases.get(path, _cases["/scope"])(scope, receive, send)


async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    assert (await receive())["type"] == "lifespan.startup"
    scope["state"].update(number=1, shared=[])
    await send({"type": "lifespan.startup.complete"})
    assert (await receive())["type"] == "lifespan.shutdown"
    await send({"type": "lifespan.shutdown.complete"})


def at(path: str) -> Callable[[App], App]:
    def register(case: App) -> App:
        assert path not in _cases
        _cases[path] = case
        return case

    return register


def key_of(scope: Scope) -> str:
    """What stands behind the `?`: the name of this request's events and of its gate."""
    return str(scope["query_string"].decode())


def body(data: bytes, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


async def answer(send: Send, value: object) -> None:
    await send(OK)
    await send(body(value if isinstance(value, bytes) else json.dumps(value).encode()))


async def wait_for_gate(key: str) -> None:
    await asyncio.wait_for(_gates[key].wait(), GATE_TIMEOUT)


def plain(message: Message) -> Any:
    """A message as JSON has it."""
    return {k: v.decode("latin-1") if isinstance(v, bytes) else v for k, v in message.items()}


# --- the tests' remote control -------------------------------------------------------------------


@at("/ok")
async def ok(_scope: Scope, _receive: Receive, send: Send) -> None:
    await answer(send, b"ok")


@at("/open")
async def open_gate(scope: Scope, _receive: Receive, send: Send) -> None:
    _gates[key_of(scope)].set()
    await answer(send, True)


@at("/events")
async def events(scope: Scope, _receive: Receive, send: Send) -> None:
    await answer(send, _events[key_of(scope)])


# --- scope ---------------------------------------------------------------------------------------


def _with_types(value: Any) -> Any:
    """`[type name, value]`, all the way down."""
    name = type(value).__name__
    if isinstance(value, bytes):
        return [name, value.decode("latin-1")]
    if isinstance(value, dict):
        return [name, {key: _with_types(item) for key, item in value.items()}]
    if isinstance(value, list | tuple):
        return [name, [_with_types(item) for item in value]]
    return [name, value]


@at("/scope")
async def show_scope(scope: Scope, _receive: Receive, send: Send) -> None:
    await answer(send, _with_types(scope)[1])


@at("/scope-changed")
async def scope_changed(scope: Scope, _receive: Receive, send: Send) -> None:
    seen = [scope.get("mine"), scope["asgi"].get("mine"), scope["method"]]
    scope["mine"] = scope["method"] = "changed"
    await answer(send, seen)


@at("/state")
async def state(scope: Scope, _receive: Receive, send: Send) -> None:
    state = scope["state"]
    before = [state["number"], state.get("mine"), len(state["shared"])]
    state["number"] += 1
    state["mine"] = "this request's"
    state["shared"].append(1)
    await answer(send, before)


# --- receive() -----------------------------------------------------------------------------------


@at("/receive-all")
async def receive_all(_scope: Scope, receive: Receive, send: Send) -> None:
    """`[total, largest, messages, keys]` of the whole body."""
    sizes, more, keys = [], True, set()
    while more:
        message = await receive()
        assert message["type"] == "http.request", message
        more = message["more_body"]
        sizes.append(len(message["body"]))
        keys |= message.keys()
    await answer(send, [sum(sizes), max(sizes), len(sizes), sorted(keys)])


@at("/receive-echo")
async def receive_echo(_scope: Scope, receive: Receive, send: Send) -> None:
    """Sends each piece back as it comes."""
    await send(OK)
    more = True
    while more:
        message = await receive()
        more = message["more_body"]
        await send(body(message["body"], more))


@at("/receive-after-end")
async def receive_after_end(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(send, b"answer")
    for _ in range(3):
        message = await receive()
        _events[key_of(scope)].append(message["type"])
        if message["type"] == "http.disconnect":
            break
    _events[key_of(scope)].append("end")


@at("/receive-pending-at-end")
async def receive_pending_at_end(scope: Scope, receive: Receive, send: Send) -> None:
    """Somebody waits for the disconnect while another part of the app ends the response."""
    await receive()
    listening = asyncio.create_task(receive())  # type: ignore[arg-type]
    await asyncio.sleep(0)
    await answer(send, b"answer")
    message = await asyncio.wait_for(listening, 5)
    _events[key_of(scope)].append(message["type"])


@at("/receive-disconnect")
async def receive_disconnect(scope: Scope, receive: Receive, send: Send) -> None:
    """Streams nothing and waits for the client to go."""
    key = key_of(scope)
    await send(OK)
    await send(body(b"begun", more=True))
    while (await receive())["type"] != "http.disconnect":
        pass
    _events[key] += ["http.disconnect", (await receive())["type"]]


@at("/receive-disconnect-unstarted")
async def receive_disconnect_unstarted(scope: Scope, receive: Receive, _send: Send) -> None:
    await receive()
    _events[key_of(scope)] += ["waiting", (await receive())["type"]]


@at("/receive-by-two")
async def receive_by_two(scope: Scope, receive: Receive, _send: Send) -> None:
    """Two parts of an app, a middleware and its app, both listen for the disconnect."""
    key = key_of(scope)
    await receive()

    async def listen() -> None:
        _events[key].append((await receive())["type"])

    async with asyncio.TaskGroup() as group:
        group.create_task(listen())
        group.create_task(listen())
        await asyncio.sleep(0)
        _events[key].append("waiting")


@at("/receive-in-task")
async def receive_in_task(_scope: Scope, receive: Receive, send: Send) -> None:
    task = asyncio.create_task(receive())  # type: ignore[arg-type]
    await answer(send, plain(await task))


@at("/receive-cancelled")
async def receive_cancelled(_scope: Scope, receive: Receive, send: Send) -> None:
    """A cancelled receive() raises CancelledError inside, and takes nothing away."""
    inside = []

    async def listen() -> None:
        try:
            await receive()
        except asyncio.CancelledError:
            inside.append("cancelled")
            raise

    first = await receive()
    task = asyncio.create_task(listen())
    while not inside:
        await asyncio.sleep(0)
        task.cancel()
    ended = (await asyncio.gather(task, return_exceptions=True))[0]
    await answer(send, [plain(first)["body"], inside, type(ended).__name__])


@at("/receive-timed-out")
async def receive_timed_out(scope: Scope, receive: Receive, send: Send) -> None:
    """`wait_for` gives up on a body that has not come; a later receive() gets it."""
    outcomes: list[Any] = []
    for _ in range(3):
        try:
            await asyncio.wait_for(receive(), 0.02)
        except TimeoutError:
            outcomes.append("timed out")
    _events[key_of(scope)].append("ready")
    more = True
    while more:
        message = await receive()
        more = message["more_body"]
        outcomes.append(message["body"].decode())
    await answer(send, outcomes)


@at("/receive-error")
async def receive_error(scope: Scope, receive: Receive, send: Send) -> None:
    """Records how the body ends."""
    while (message := await receive())["type"] == "http.request" and message["more_body"]:
        pass
    _events[key_of(scope)].append(message["type"])
    await answer(send, b"late")


# --- send() --------------------------------------------------------------------------------------


def _start(**rest: Any) -> Message:
    return {"type": "http.response.start", "status": 200, **rest}


class NotADict:
    """Something that only looks a little like a message."""


BAD_SENDS: dict[str, list[Any]] = {
    "body first": [body(b"x")],
    "unknown type": [{"type": "http.response.nonsense"}],
    "websocket type": [{"type": "websocket.accept"}],
    "type is a number": [{"type": 7}],
    "no type": [{"status": 200}],
    "not a dict": [NotADict()],
    "none": [None],
    "no status": [{"type": "http.response.start"}],
    "status is text": [_start(status="200")],
    "status is 99": [_start(status=99)],
    "status is 101": [_start(status=101)],
    "status is 1000": [_start(status=1000)],
    "status is huge": [_start(status=2**40)],
    "header name is text": [_start(headers=[("x-a", b"1")])],
    "header value is text": [_start(headers=[(b"x-a", "1")])],
    "header value has CRLF": [_start(headers=[(b"x-a", b"1\r\nx-split: yes")])],
    "header value has NUL": [_start(headers=[(b"x-a", b"1\0")])],
    "header name has CRLF": [_start(headers=[(b"x-a\r\nx-split", b"1")])],
    "header name is empty": [_start(headers=[(b"", b"1")])],
    "header name has a space": [_start(headers=[(b"x a", b"1")])],
    "header pair is short": [_start(headers=[(b"x-a",)])],
    "header pair is long": [_start(headers=[(b"x-a", b"1", b"2")])],
    "header pair is a number": [_start(headers=[7])],
    "headers are a number": [_start(headers=7)],
    "content-length is text": [_start(headers=[(b"content-length", b"many")])],
    "second start": [_start(), _start()],
    "body is text": [_start(), {"type": "http.response.body", "body": "text"}],
    "body is a number": [_start(), {"type": "http.response.body", "body": 7}],
}


@at("/bad-send")
async def bad_send(scope: Scope, _receive: Receive, send: Send) -> None:
    name, _, key = key_of(scope).replace("%20", " ").partition("&")
    for number, message in enumerate(BAD_SENDS[name], 1):
        try:
            await send(message)
        except Exception as error:
            _events[key] += [number == len(BAD_SENDS[name]), type(error).__name__]
            raise


@at("/bad-send-caught")
async def bad_send_caught(_scope: Scope, _receive: Receive, send: Send) -> None:
    """A refused message leaves the response as it was."""
    caught = 0
    for messages in BAD_SENDS.values():
        if len(messages) == 1:
            try:
                await send(messages[0])
            except Exception:
                caught += 1
    await answer(send, caught)


@at("/body-after-end")
async def body_after_end(scope: Scope, _receive: Receive, send: Send) -> None:
    await answer(send, b"whole")
    for message in (body(b"more"), OK):
        try:
            await send(message)
        except RuntimeError:
            _events[key_of(scope)].append("RuntimeError")


@at("/second-start-after-body")
async def second_start_after_body(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send(OK)
    await send(body(b"begun", more=True))
    await send(OK)


class BytesOnly(bytes):
    """A subclass of bytes."""


GOOD_SENDS: dict[str, list[Message]] = {
    "headers as lists": [_start(headers=[[b"x-a", b"1"]]), body(b"ok")],
    "headers as an iterator": [_start(headers=iter([(b"x-a", b"1")])), body(b"ok")],
    "headers as a tuple": [_start(headers=((b"x-a", b"1"),)), body(b"ok")],
    "upper-case name": [_start(headers=[(b"X-A", b"1")]), body(b"ok")],
    "bytes in a subclass": [_start(headers=[(BytesOnly(b"x-a"), b"1")]), body(BytesOnly(b"ok"))],
    "body as bytearray": [_start(headers=[(b"x-a", b"1")]), body(bytearray(b"ok"))],
    "body as memoryview": [_start(headers=[(b"x-a", b"1")]), body(memoryview(b"ok"))],
    "body in parts": [_start(headers=[(b"x-a", b"1")]), body(b"o", True), body(b"k")],
    "empty parts": [
        _start(headers=[(b"x-a", b"1")]),
        body(b"", True),
        body(b"ok", True),
        body(b""),
    ],
    "end without body": [
        _start(headers=[(b"x-a", b"1")]),
        body(b"ok", True),
        {"type": "http.response.body"},
    ],
    "more keys": [_start(headers=[(b"x-a", b"1")], trailers=False, other=1), body(b"ok")],
}


@at("/good-send")
async def good_send(scope: Scope, _receive: Receive, send: Send) -> None:
    name = key_of(scope).replace("%20", " ")
    for message in GOOD_SENDS[name]:
        await send(message)


@at("/no-headers")
async def no_headers(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body"})


@at("/own-framing")
async def own_framing(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send(_start(headers=[(b"transfer-encoding", b"chunked"), (b"connection", b"x")]))
    await send(body(b"one", True))
    await send(body(b"two"))


@at("/length")
async def length(scope: Scope, _receive: Receive, send: Send) -> None:
    """`?DECLARED,BODY,PARTS`"""
    declared, data, parts = key_of(scope).split(",")
    await send(_start(headers=[(b"content-length", declared.encode())]))
    if parts == "parts":
        for byte in data.encode():
            await send(body(bytes([byte]), True))
        data = ""
    await send(body(data.encode()))


@at("/status")
async def status(scope: Scope, _receive: Receive, send: Send) -> None:
    await send(_start(status=int(key_of(scope)), headers=[(b"x-kept", b"yes")]))
    await send(body(b"a body ", True))
    await send(body(b"that may not be sent"))


@at("/stream-gated")
async def stream_gated(scope: Scope, _receive: Receive, send: Send) -> None:
    await send(OK)
    await send(body(b"first", True))
    await wait_for_gate(key_of(scope))
    await send(body(b"second"))


@at("/flood")
async def flood(scope: Scope, _receive: Receive, send: Send) -> None:
    """A gigabyte, recording how much of it has been taken, and how it ended."""
    key = key_of(scope)
    progress = _events[key + "-progress"]
    progress.append(0)
    await send(OK)
    try:
        for number in range(16 * 1024):
            progress[0] = number
            await send(body(bytes(64 * 1024), True))
    except BaseException as error:
        _events[key] += [isinstance(error, OSError), type(error).__name__]
        raise


@at("/ignores-disconnect")
async def ignores_disconnect(scope: Scope, _receive: Receive, send: Send) -> None:
    """Goes on sending whatever happens, a hundred times more after the first error."""
    await send(OK)
    failures = 0
    while failures < 100:
        try:
            await send(body(bytes(64 * 1024), True))
        except OSError:
            failures += 1
    _events[key_of(scope)].append(failures)


# --- how the app ends ----------------------------------------------------------------------------


@at("/returns")
async def returns(_scope: Scope, _receive: Receive, _send: Send) -> None:
    pass


@at("/returns-after-start")
async def returns_after_start(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send(OK)


@at("/returns-in-body")
async def returns_in_body(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send(OK)
    await send(body(b"begun", True))


@at("/raises")
async def raises(scope: Scope, _receive: Receive, _send: Send) -> None:
    if key_of(scope) == "later":
        await asyncio.sleep(0.001)
    raise LookupError("the app's own error")


@at("/raises-after-start")
async def raises_after_start(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({**OK, "headers": [(b"x-never", b"sent")]})
    raise LookupError("after the start")


@at("/raises-in-body")
async def raises_in_body(scope: Scope, _receive: Receive, send: Send) -> None:
    await send(OK)
    await send(body(b"begun", True))
    if key_of(scope) == "later":
        await asyncio.sleep(0.001)
    raise LookupError("in the body")


@at("/raises-after-end")
async def raises_after_end(_scope: Scope, _receive: Receive, send: Send) -> None:
    await answer(send, b"whole")
    raise LookupError("after the end")


@at("/raises-os-error")
async def raises_os_error(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise FileNotFoundError("the app's own file")


@at("/cancels-itself")
async def cancels_itself(scope: Scope, _receive: Receive, _send: Send) -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(10)


# --- the event loop ------------------------------------------------------------------------------


@at("/gate")
async def gate(scope: Scope, _receive: Receive, send: Send) -> None:
    _events[key_of(scope)].append("inside")
    await wait_for_gate(key_of(scope))
    await answer(send, b"released")


@at("/loop")
async def loop(_scope: Scope, _receive: Receive, send: Send) -> None:
    running, task = asyncio.get_running_loop(), asyncio.current_task()
    await answer(
        send,
        {
            "loop": type(running).__module__.partition(".")[0],
            "asyncio": isinstance(running, asyncio.AbstractEventLoop),
            "task": type(task) is asyncio.Task,
            "known": task in asyncio.all_tasks(),
            "main": threading.current_thread() is threading.main_thread(),
        },
    )


@at("/call-later")
async def call_later(_scope: Scope, _receive: Receive, send: Send) -> None:
    """How late a 50 ms timer is, in seconds, five times over."""
    lateness = []
    running = asyncio.get_running_loop()
    for _ in range(5):
        fired: asyncio.Future[float] = running.create_future()
        began = time.perf_counter()
        running.call_later(0.05, lambda f=fired: f.set_result(time.perf_counter()))  # type: ignore[misc]
        lateness.append(await fired - began - 0.05)
    await answer(send, lateness)


@at("/call-soon")
async def call_soon(_scope: Scope, _receive: Receive, send: Send) -> None:
    order: list[int] = []
    running = asyncio.get_running_loop()
    for number in range(5):
        running.call_soon(order.append, number)
    await asyncio.sleep(0)
    await answer(send, order)


@at("/threadsafe")
async def threadsafe(_scope: Scope, _receive: Receive, send: Send) -> None:
    """How long a wake-up from another thread takes, at worst, while the loop sleeps."""
    running = asyncio.get_running_loop()
    worst = 0.0
    for _ in range(20):
        woken: asyncio.Future[float] = running.create_future()

        def wake(woken: asyncio.Future[float] = woken) -> None:
            time.sleep(0.002)
            running.call_soon_threadsafe(woken.set_result, time.perf_counter())

        threading.Thread(target=wake).start()
        called = await woken
        worst = max(worst, time.perf_counter() - called)
    await answer(send, worst)


@at("/executor")
async def executor(_scope: Scope, _receive: Receive, send: Send) -> None:
    def elsewhere() -> int:
        time.sleep(0.01)
        return threading.get_ident()

    running = asyncio.get_running_loop()
    idents = [await running.run_in_executor(None, elsewhere), await asyncio.to_thread(elsewhere)]
    await answer(send, [ident != threading.get_ident() for ident in idents])


@at("/subprocess")
async def subprocess(_scope: Scope, _receive: Receive, send: Send) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "import sys; print(sys.stdin.read().upper(), end=''); sys.exit(3)",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await asyncio.wait_for(process.communicate(b"to a child"), GATE_TIMEOUT)
    await answer(send, [output.decode(), process.returncode])


@at("/own-client")
async def own_client(scope: Scope, _receive: Receive, send: Send) -> None:
    """Asks this very server, as any other, with asyncio's own streams."""
    host, port = scope["server"]
    answers = []
    for _ in range(3):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"GET /ok HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        answers.append((await reader.read()).endswith(b"\r\n\r\nok"))
        writer.close()
        await writer.wait_closed()
    await answer(send, answers)


@at("/own-server")
async def own_server(_scope: Scope, _receive: Receive, send: Send) -> None:
    async def upper(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readline()).upper())
        writer.close()

    server = await asyncio.start_server(upper, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"line\n")
        line = await reader.read()
        writer.close()
        await writer.wait_closed()
    await answer(send, line)


@at("/large-transfer")
async def large_transfer(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Megabytes through a pair of sockets of the app's own: many events in a row."""
    left, right = socket.socketpair()
    reader, left_writer = await asyncio.open_connection(sock=left)
    right_reader, writer = await asyncio.open_connection(sock=right)

    async def fill() -> None:
        for _ in range(200):
            writer.write(bytes(50_000))
            await writer.drain()
        writer.close()

    task = asyncio.create_task(fill())
    total = 0
    while data := await reader.read(70_000):
        total += len(data)
    await task
    left_writer.close()
    await answer(send, total + len(await right_reader.read()))


@at("/add-reader")
async def add_reader(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Readers and writers come and go on descriptors of the app's own."""
    running = asyncio.get_running_loop()
    received = []
    for number in range(5):
        read, write = os.pipe()
        ready: asyncio.Future[bytes] = running.create_future()
        running.add_reader(read, lambda r=read, f=ready: f.set_result(os.read(r, 10)))  # type: ignore[misc]
        running.call_later(0.005, os.write, write, b"%d" % number)
        received.append((await ready).decode())
        running.remove_reader(read)
        os.close(read)
        os.close(write)
    await answer(send, received)


_variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


@at("/context")
async def context(scope: Scope, _receive: Receive, send: Send) -> None:
    seen = [_variable.get()]
    _variable.set(key_of(scope))
    for _ in range(3):
        await asyncio.sleep(0.001)
        seen.append(_variable.get())
    await answer(send, seen)


@at("/task-group")
async def task_group(_scope: Scope, _receive: Receive, send: Send) -> None:
    async def double(number: int) -> int:
        await asyncio.sleep(0.001)
        return 2 * number

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(double(number)) for number in range(5)]
    await answer(send, [task.result() for task in tasks])


@at("/task-group-fails")
async def task_group_fails(_scope: Scope, _receive: Receive, send: Send) -> None:
    async def fail() -> None:
        raise LookupError("in a task")

    outcome = []
    try:
        async with asyncio.TaskGroup() as group:
            sleeper = group.create_task(asyncio.sleep(10))
            group.create_task(fail())
    except* LookupError as errors:
        outcome = [len(errors.exceptions), sleeper.cancelled()]
    await answer(send, outcome)


@at("/timeout")
async def timeout(_scope: Scope, receive: Receive, send: Send) -> None:
    """`asyncio.timeout` around a sleep, and around a receive() that waits."""
    await receive()
    outcomes = []
    for wait in (lambda: asyncio.sleep(10), receive):
        try:
            async with asyncio.timeout(0.02):
                await wait()
        except TimeoutError:
            outcomes.append("timed out")
    await answer(send, outcomes)


@at("/timeout-at-once")
async def timeout_at_once(_scope: Scope, _receive: Receive, send: Send) -> None:
    """`asyncio.timeout` as the first thing of a request: a task must be there already."""
    async with asyncio.timeout(5):
        await answer(send, asyncio.current_task() is not None)


@at("/anyio")
async def with_anyio(_scope: Scope, receive: Receive, send: Send) -> None:
    outcome: list[Any] = []
    await receive()
    with anyio.move_on_after(0.02) as cancelled:
        await receive()
    outcome.append(cancelled.cancelled_caught)

    async def listen(scope: anyio.CancelScope) -> None:
        await receive()
        scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(listen, group.cancel_scope)
        await anyio.sleep(0.001)
        group.cancel_scope.cancel()
    outcome.append(group.cancel_scope.cancel_called)
    outcome.append(await anyio.to_thread.run_sync(lambda: "in a thread"))
    await answer(send, outcome)


@at("/background")
async def background(scope: Scope, _receive: Receive, send: Send) -> None:
    """Goes on after its response, until its gate opens."""
    await answer(send, b"answered")
    _events[key_of(scope)].append("in background")
    await wait_for_gate(key_of(scope))
    _events[key_of(scope)].append("done")


@at("/large")
async def large(scope: Scope, _receive: Receive, send: Send) -> None:
    """One body of so many bytes, in one message."""
    await send(OK)
    await send(body(bytes(int(key_of(scope)))))


@at("/read-on")
async def read_on(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers at once, then reads the body that is still coming."""
    await answer(send, "early")
    while (message := await receive())["type"] == "http.request":
        pass
    _events[key_of(scope)].append(message["type"])


@at("/wrapped-disconnect")
async def wrapped_disconnect(scope: Scope, receive: Receive, send: Send) -> None:
    """Streams until the client has gone, and raises an error of its own then."""
    await send(OK)
    try:
        while True:
            await send(body(b"x" * 65536, more=True))
            await asyncio.sleep(0)
    except OSError as error:
        _events[key_of(scope)].append("gone")
        raise LookupError("wrapped, as frameworks do") from error
