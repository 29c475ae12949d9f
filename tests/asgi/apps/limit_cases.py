"""An ASGI app that keeps a place, takes too long, or keeps its event loop.

The query names a file: what happens is noted there, a line each; `.open` behind it is the gate.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import asgi_cases
from asgi_cases import Receive, Scope, Send, answer, at, body, key_of

GATE_TIMEOUT = 20.0


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await chat(scope, receive, send)
    else:
        await asgi_cases.app(scope, receive, send)


async def chat(scope: Scope, receive: Receive, send: Send) -> None:
    """Sends back what comes; `end` ends it from this side, `raise` by an error. At `/never` it is
    never accepted."""
    if scope["path"] == "/never":
        return await noting(scope, sleeps_long())
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})
    note(scope, "begun")
    while (message := await receive())["type"] == "websocket.receive":
        if message["text"] == "end":
            return
        if message["text"] == "raise":
            raise ArithmeticError("asked for")
        await send({"type": "websocket.send", "text": message["text"]})


def note(scope: Scope, line: str) -> None:
    with Path(key_of(scope)).open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def is_open(scope: Scope) -> bool:
    return Path(key_of(scope) + ".open").exists()


async def gate(scope: Scope) -> None:
    async with asyncio.timeout(GATE_TIMEOUT):
        while not is_open(scope):
            await asyncio.sleep(0.01)


# --- a place -------------------------------------------------------------------------------------


@at("/hold")
async def hold(scope: Scope, _receive: Receive, send: Send) -> None:
    note(scope, "begun")
    await gate(scope)
    await answer(send, b"held")
    note(scope, "ended")


@at("/hold-and-raise")
async def hold_and_raise(scope: Scope, _receive: Receive, _send: Send) -> None:
    note(scope, "begun")
    await gate(scope)
    raise ArithmeticError("asked for")


@at("/hold-until-gone")
async def hold_until_gone(scope: Scope, receive: Receive, _send: Send) -> None:
    note(scope, "begun")
    while (await receive())["type"] != "http.disconnect":
        pass


@at("/hold-behind")
async def hold_behind(scope: Scope, _receive: Receive, send: Send) -> None:
    """Background work: the response is whole, the task goes on."""
    await answer(send, b"whole")
    await noting(scope, gate(scope))
    note(scope, "done")


# --- too long ------------------------------------------------------------------------------------


async def noting(scope: Scope, awaitable: object) -> None:
    """Awaits, and notes how that was ended, and a clean-up that waits too."""
    note(scope, "begun")
    try:
        await awaitable  # type: ignore[misc]
    except BaseException as error:
        note(scope, type(error).__name__)
        raise
    finally:
        await asyncio.sleep(0)
        note(scope, "cleaned")


async def sleeps_long() -> None:
    await asyncio.sleep(GATE_TIMEOUT)  # here: sleep


async def future_never_done() -> None:
    await asyncio.get_running_loop().create_future()  # here: future


async def event_never_set() -> None:
    await deeper(asyncio.Event())


async def deeper(event: asyncio.Event) -> None:
    await event.wait()  # here: nested


async def numbers() -> AsyncIterator[int]:
    yield 1
    await asyncio.sleep(GATE_TIMEOUT)
    yield 2


async def iterates() -> None:
    async for _ in numbers():  # here: iterator
        pass


async def gathers() -> None:
    await asyncio.gather(sleeps_long(), sleeps_long())  # here: gather


WAITS = {
    "sleep": sleeps_long,
    "future": future_never_done,
    "nested": event_never_set,
    "iterator": iterates,
    "gather": gathers,
    "http2": sleeps_long,
    "other": sleeps_long,
}


def late(name: str) -> None:
    @at(f"/late-{name}")
    async def case(scope: Scope, _receive: Receive, send: Send) -> None:
        await noting(scope, WAITS[name]())
        await answer(send, b"too late")


for one in WAITS:
    late(one)


@at("/late-stream")
async def late_stream(scope: Scope, _receive: Receive, send: Send) -> None:
    await send(asgi_cases.OK)
    await send(body(b"begun", more=True))
    await noting(scope, sleeps_long())


@at("/late-and-stubborn")
async def late_and_stubborn(scope: Scope, _receive: Receive, send: Send) -> None:
    """Swallows its cancellation, goes on, and answers nobody."""
    try:
        await noting(scope, sleeps_long())
    except asyncio.CancelledError:
        await gate(scope)
    try:
        await answer(send, b"too late")
    except OSError:
        note(scope, "OSError")
    note(scope, "done")


@at("/in-time")
async def in_time(scope: Scope, _receive: Receive, send: Send) -> None:
    await noting(scope, gate(scope))
    await answer(send, b"in time")


# --- keeping the loop ----------------------------------------------------------------------------


def sleep(scope: Scope) -> None:
    begun = time.monotonic()
    while not is_open(scope):
        assert time.monotonic() - begun < GATE_TIMEOUT
        time.sleep(0.05)  # here: sleeping


def compute(scope: Scope) -> None:
    """Lets nobody have the GIL but whom the interpreter makes it to."""
    begun = time.monotonic()
    while not is_open(scope):
        assert time.monotonic() - begun < GATE_TIMEOUT
        sum(number for number in range(1_000_000))  # here: computing


@at("/keep-sleeping")
async def keep_sleeping(scope: Scope, _receive: Receive, send: Send) -> None:
    note(scope, "begun")
    sleep(scope)
    await answer(send, b"kept")


@at("/keep-computing")
async def keep_computing(scope: Scope, _receive: Receive, send: Send) -> None:
    note(scope, "begun")
    compute(scope)
    await answer(send, b"kept")


@at("/keep-sleeping-later")
async def keep_sleeping_later(scope: Scope, _receive: Receive, send: Send) -> None:
    """After an await asyncio runs the task's next step, not the engine."""
    await asyncio.sleep(0)
    note(scope, "begun")
    sleep(scope)
    await answer(send, b"kept")


@at("/keep-in-callback")
async def keep_in_callback(scope: Scope, _receive: Receive, send: Send) -> None:
    done = asyncio.Event()

    def callback() -> None:
        note(scope, "begun")
        sleep(scope)
        done.set()

    asyncio.get_running_loop().call_later(0.01, callback)
    await done.wait()
    await answer(send, b"kept")


@at("/keep-for")
async def keep_for(scope: Scope, _receive: Receive, send: Send) -> None:
    """`?SECONDS,TIMES`, the loop free for a turn in between."""
    seconds, times = key_of(scope).split(",")
    for _ in range(int(times)):
        await asyncio.sleep(0)  # an eager task's second step is in the turn of its first
        time.sleep(float(seconds))
    await answer(send, os.getpid())
