"""ASGI apps at the edges of the event loop: lost events, stops, contexts, signals, the GIL.

A query that names a file is where the case notes what happens, a line each.
"""

import asyncio
import contextvars
import ctypes
import os
import selectors
import signal
import socket
import time
from collections.abc import Awaitable, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import asgi_cases
from asgi_cases import Receive, Scope, Send, answer, at, body, key_of

LONG = 60.0  # seconds that nobody waits for
# Keeps the GIL, as compiled code does that is not written for threads.
usleep_with_gil = ctypes.PyDLL(None).usleep

app = asgi_cases.app


def note(scope: Scope, line: str) -> None:
    with Path(key_of(scope)).open("a", encoding="utf-8") as file:
        file.write(line + "\n")


# --- the app's own sockets -----------------------------------------------------------------------


@at("/event-behind-the-look")
async def event_behind_the_look(_scope: Scope, _receive: Receive, send: Send) -> None:
    """The seconds until the loop sees what came right after it had found nothing; else null."""
    await answer(send, [await _event_behind_the_look() for _ in range(3)])


async def _event_behind_the_look() -> float | None:
    loop = asyncio.get_running_loop()
    heard: asyncio.Future[float] = loop.create_future()
    near, far = socket.socketpair()
    other, trigger = socket.socketpair()
    written = [0.0]
    original = selectors.EpollSelector.select

    def select(self: selectors.EpollSelector, timeout: float | None = None) -> list[Any]:
        events = original(self, timeout)
        if not events:
            selectors.EpollSelector.select = original  # type: ignore[method-assign]
            written[0] = time.monotonic()
            far.send(b"x")
            time.sleep(0.1)  # longer than the monitor lets the loop be
        return events

    def hear() -> None:
        loop.remove_reader(near)
        heard.set_result(time.monotonic() - written[0])

    with near, far, other, trigger:
        loop.add_reader(near, hear)
        loop.add_reader(other, lambda: loop.remove_reader(other))
        selectors.EpollSelector.select = select  # type: ignore[assignment, method-assign]
        # An event, after which the loop looks until it finds none.
        trigger.send(b"x")
        try:
            return await asyncio.wait_for(heard, 2)
        except TimeoutError:
            loop.remove_reader(near)
            return None
        finally:
            selectors.EpollSelector.select = original  # type: ignore[method-assign]


# --- what a stop finds still running -------------------------------------------------------------

_kept: set[asyncio.Task[None]] = set()


async def stubborn() -> None:
    """Swallows its cancellation, again and again."""
    while True:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(LONG)


async def in_threads(count: int, seconds: float) -> None:
    """Keeps threads of the loop's executor, or as many as it has."""
    await asyncio.gather(*(asyncio.to_thread(time.sleep, seconds) for _ in range(count)))


async def cleaning_up() -> None:
    """Takes its time once it is cancelled."""
    try:
        await asyncio.sleep(LONG)
    finally:
        await asyncio.sleep(0.3)


LEFT = {
    "a task": lambda: [stubborn()],
    "a thread": lambda: [in_threads(1, LONG)],
    "a task and a thread": lambda: [stubborn(), in_threads(1, LONG)],
    "all threads": lambda: [in_threads(100, LONG)],
    "nothing for long": lambda: [cleaning_up(), in_threads(1, 0.3)],
}


@at("/leave")
async def leave(scope: Scope, _receive: Receive, send: Send) -> None:
    """Leaves running, behind the request, what the query says."""
    for coroutine in LEFT[key_of(scope).replace("%20", " ")]():
        _kept.add(asyncio.create_task(coroutine))
    for _ in range(3):
        await asyncio.sleep(0)  # until they have begun
    await answer(send, b"left")


@at("/stay")
async def stay(_scope: Scope, _receive: Receive, send: Send) -> None:
    """The request's own task does not end."""
    await answer(send, b"left")
    await stubborn()


@at("/stream")
async def stream(scope: Scope, _receive: Receive, send: Send) -> None:
    """Sends now and then, until it cannot; notes why."""
    await send(asgi_cases.OK)
    with noting_the_end(scope):
        while True:
            await send(body(b"piece", more=True))
            await asyncio.sleep(0.05)


@at("/stream-to-nobody")
async def stream_to_nobody(scope: Scope, _receive: Receive, send: Send) -> None:
    """Sends more than its client takes, and so waits in `send`; notes why it ends."""
    await send(asgi_cases.OK)
    with noting_the_end(scope):
        while True:
            await send(body(b"piece" * 200_000, more=True))


@at("/stream-until-gone")
async def stream_until_gone(scope: Scope, receive: Receive, send: Send) -> None:
    """Waits for the client to go, and then sends; notes why it ends."""
    await send(asgi_cases.OK)
    await send(body(b"piece", more=True))
    with noting_the_end(scope):
        while (await receive())["type"] != "http.disconnect":
            pass
        await send(body(b"piece", more=True))


@contextmanager
def noting_the_end(scope: Scope) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        note(scope, " ".join(kind.__name__ for kind in type(error).__mro__))
        raise


# --- apps that are no coroutine function ---------------------------------------------------------

_variable = contextvars.ContextVar("_variable", default="unset")


def plain(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
    """What runs before there is a coroutine, and other awaitables than coroutines."""
    match scope["path"]:
        case "/seen":
            seen = _variable.get()
            _variable.set("set by an earlier request")
            return _answer_seen(send, seen, asyncio.current_task())
        case "/future":
            return asyncio.ensure_future(answer(send, b"by a future"))
        case "/failing-future":
            return asyncio.ensure_future(_fail())
        case "/object":
            return _Object(send)
        case "/nothing":
            return None  # type: ignore[return-value]
        case _:
            return asgi_cases.app(scope, receive, send)


async def _answer_seen(send: Send, seen: str, outside: asyncio.Task[Any] | None) -> None:
    await answer(send, [seen, type(outside).__name__, outside is asyncio.current_task()])


async def _fail() -> None:
    raise ArithmeticError("asked for")


class _Object:
    """An awaitable of one's own, as Starlette's endpoints are."""

    def __init__(self, send: Send) -> None:
        self._send = send

    def __await__(self) -> Generator[Any, None, None]:
        yield from answer(self._send, b"by an object").__await__()


# --- signals -------------------------------------------------------------------------------------


@at("/on-usr1")
async def on_usr1(scope: Scope, _receive: Receive, send: Send) -> None:
    signal.signal(signal.SIGUSR1, lambda number, _frame: note(scope, f"signal {number}"))
    await answer(send, True)


@at("/on-usr1-by-the-loop")
async def on_usr1_by_the_loop(scope: Scope, _receive: Receive, send: Send) -> None:
    asyncio.get_running_loop().add_signal_handler(
        signal.SIGUSR1, lambda: note(scope, f"signal {signal.SIGUSR1.value}")
    )
    await answer(send, True)


async def listening(scope: Scope, receive: Receive, send: Send) -> None:
    """Takes SIGTERM for itself, too, in its start-up; notes it in the file $NOTES."""
    if scope["type"] == "lifespan":
        await receive()
        notes = Path(os.environ["NOTES"])
        signal.signal(signal.SIGTERM, lambda *_: notes.write_text("heard", encoding="utf-8"))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
    else:
        await asgi_cases.app(scope, receive, send)


# --- keeping the loop ----------------------------------------------------------------------------


@at("/keep")
async def keep(scope: Scope, _receive: Receive, send: Send) -> None:
    time.sleep(float(key_of(scope)))  # here: sleeping
    await answer(send, b"kept")


@at("/keep-with-gil")
async def keep_with_gil(scope: Scope, _receive: Receive, send: Send) -> None:
    usleep_with_gil(int(float(key_of(scope)) * 1e6))  # here: with the GIL
    await answer(send, b"kept")


@at("/keep-with-gil-in-callback")
async def keep_with_gil_in_callback(scope: Scope, _receive: Receive, send: Send) -> None:
    """Of the app only compiled code is on the stack."""
    asyncio.get_running_loop().call_soon(usleep_with_gil, int(float(key_of(scope)) * 1e6))
    await answer(send, b"kept")


# --- WebSockets ----------------------------------------------------------------------------------


@at("/subprotocol")
async def subprotocol(scope: Scope, receive: Receive, send: Send) -> None:
    """Accepts with the subprotocol of the query, and echoes."""
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept", "subprotocol": key_of(scope)})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})
