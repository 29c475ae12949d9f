"""One ASGI app for the tests of WebSockets; what is HTTP, asgi_cases answers."""

import ast
import asyncio
import json
from collections.abc import Callable
from typing import Any

import asgi_cases
from asgi_cases import App, Message, Receive, Scope, Send, at, key_of, plain, wait_for_gate

ACCEPT = {"type": "websocket.accept"}

_events = asgi_cases._events
_cases: dict[str, App] = {}
_scripts: dict[str, list[Any]] = {}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        path = scope["path"].removeprefix("/root")
        await _cases.get(path, show_scope)(scope, receive, send)
    else:
        await asgi_cases.app(scope, receive, send)


def chat(path: str) -> Callable[[App], App]:
    def register(case: App) -> App:
        assert path not in _cases
        _cases[path] = case
        return case

    return register


@at("/script")
async def take_script(scope: Scope, receive: Receive, send: Send) -> None:
    """Keeps the steps that `/script` of a WebSocket with this key takes."""
    text, more = b"", True
    while more:
        message = await receive()
        text, more = text + message["body"], message["more_body"]
    _scripts[key_of(scope)] = ast.literal_eval(text.decode())
    await asgi_cases.answer(send, True)


@chat("/script")
async def run_script(scope: Scope, receive: Receive, send: Send) -> None:
    """Takes the steps of the test, and records what each gives.

    A dict is sent; `("try", message)` too, and its error does not end the app; a word is one of
    the steps below.
    """
    key = key_of(scope)
    record = _events[key].append
    for step in _scripts[key]:
        match step:
            case "receive":
                record(plain(await receive()))
            case ("receive", seconds):
                try:
                    record(plain(await asyncio.wait_for(receive(), seconds)))
                except TimeoutError:
                    record("timed out")
            case "gate":
                record("at the gate")
                await wait_for_gate(key)
            case ("try", message):
                await _send(send, message, record)
            case ("wrap", message):
                if error := await _send(send, message, record):
                    raise LookupError("wrapped, as frameworks do") from error
            case str():
                record(step)
                await _fail(step)
            case _:
                if error := await _send(send, step, record):
                    raise error


async def _fail(how: str) -> None:
    if how == "raise":
        raise LookupError("the app's own error")
    if how == "raise OSError":
        raise FileNotFoundError("the app's own file")
    assert how == "cancel"
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)


async def _send(send: Send, message: Message, record: Any) -> Exception | None:
    try:
        await send(message)
    except Exception as error:
        record("OSError" if isinstance(error, OSError) else type(error).__name__)
        return error
    record("sent")
    return None


@chat("/echo")
async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Gives each message back, and records the disconnect."""
    await receive()
    await send(ACCEPT)
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})
    _events[key_of(scope)].append(plain(message))


@chat("/scope")
async def show_scope(scope: Scope, _receive: Receive, send: Send) -> None:
    await send(ACCEPT)
    text = json.dumps(asgi_cases._with_types(scope)[1])
    await send({"type": "websocket.send", "text": text})


@chat("/scope-changed")
async def scope_changed(scope: Scope, _receive: Receive, send: Send) -> None:
    seen = [scope.get("mine"), "mine" in scope["extensions"], scope["type"]]
    scope["mine"] = scope["extensions"]["mine"] = scope["type"] = "changed"
    await send(ACCEPT)
    await send({"type": "websocket.send", "text": json.dumps(seen)})


@chat("/state")
async def state(scope: Scope, _receive: Receive, send: Send) -> None:
    state = scope["state"]
    before = [state["number"], state.get("mine"), len(state["shared"])]
    state["number"] += 1
    state["mine"] = "this one's"
    state["shared"].append(1)
    await send(ACCEPT)
    await send({"type": "websocket.send", "text": json.dumps(before)})


@chat("/flood")
async def flood(scope: Scope, receive: Receive, send: Send) -> None:
    """Sends 64 KiB again and again, counts them, and records how that ends."""
    key = key_of(scope)
    progress = _events[key + "-progress"]
    progress.append(0)
    await receive()
    await send(ACCEPT)
    try:
        while True:
            await send({"type": "websocket.send", "bytes": bytes(65536)})
            progress[0] += 1
            await asyncio.sleep(0)
    except Exception as error:
        _events[key].append("OSError" if isinstance(error, OSError) else type(error).__name__)
        raise


@chat("/chatter")
async def chatter(_scope: Scope, receive: Receive, send: Send) -> None:
    """Sends small messages without a pause."""
    await receive()
    await send(ACCEPT)
    while True:
        for _ in range(10):
            await send({"type": "websocket.send", "text": "chatter"})
        await asyncio.sleep(0)


@chat("/large")
async def large(scope: Scope, receive: Receive, send: Send) -> None:
    """One message of so many bytes; then it listens."""
    await send(ACCEPT)
    await send({"type": "websocket.send", "bytes": bytes(int(key_of(scope)))})
    while (await receive())["type"] != "websocket.disconnect":
        pass


@chat("/hold")
async def hold(scope: Scope, receive: Receive, send: Send) -> None:
    """Takes nothing until the gate opens; then answers "end" with messages and bytes before it."""
    key = key_of(scope)
    await receive()
    await send(ACCEPT)
    _events[key].append("holding")
    await wait_for_gate(key)
    count = total = 0
    while (message := await receive()).get("text") != "end":
        if message["type"] != "websocket.receive":
            _events[key].append(plain(message))
            return
        count, total = count + 1, total + len(message["bytes"])
    await send({"type": "websocket.send", "text": json.dumps([count, total])})


_members: set[Send] = set()


@chat("/room")
async def room(_scope: Scope, receive: Receive, send: Send) -> None:
    """What one says, all hear."""
    await receive()
    await send(ACCEPT)
    _members.add(send)
    try:
        while (message := await receive())["type"] == "websocket.receive":
            for member in list(_members):
                await member({"type": "websocket.send", "text": message["text"]})
    finally:
        _members.discard(send)


@chat("/two-sides")
async def two_sides(scope: Scope, receive: Receive, send: Send) -> None:
    """One task listens, and one sends until it is cancelled."""
    key = key_of(scope)
    await receive()
    await send(ACCEPT)

    async def sender() -> None:
        try:
            number = 0
            while True:
                await send({"type": "websocket.send", "text": str(number)})
                number += 1
                await asyncio.sleep(0.001)
        except asyncio.CancelledError:
            _events[key].append("cancelled")
            raise
        except OSError:
            _events[key].append("OSError")
            raise

    async with asyncio.TaskGroup() as group:
        task = group.create_task(sender())
        message = await receive()
        task.cancel()
    _events[key].append(plain(message))


@chat("/full-and-cancelled")
async def full_and_cancelled(scope: Scope, receive: Receive, send: Send) -> None:
    """A task that waits in send() is cancelled; then the conversation goes on."""
    key = key_of(scope)
    await receive()
    await send(ACCEPT)
    sent = 0

    async def sender() -> None:
        nonlocal sent
        while sent < 1000:
            await send({"type": "websocket.send", "bytes": bytes(65536)})
            sent += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(sender())
    before = -1
    while sent != before:
        before = sent
        assert sent < 1000, "send() never waits"
        await asyncio.sleep(0.1)
    task.cancel()
    outcome = (await asyncio.gather(task, return_exceptions=True))[0]
    _events[key].append(type(outcome).__name__)
    await send({"type": "websocket.send", "text": "last"})
    await send({"type": "websocket.close"})


@chat("/listeners")
async def listeners(scope: Scope, receive: Receive, send: Send) -> None:
    """Two tasks wait for the end at once."""
    key = key_of(scope)
    await receive()
    await send(ACCEPT)

    async def listen() -> None:
        _events[key].append((await receive())["type"])

    async with asyncio.TaskGroup() as group:
        group.create_task(listen())
        group.create_task(listen())
        await asyncio.sleep(0)
        await send({"type": "websocket.send", "text": "both wait"})


@chat("/receive-cancelled")
async def receive_cancelled(_scope: Scope, receive: Receive, send: Send) -> None:
    """receive() is given up many times; no message is lost."""
    await receive()
    await send(ACCEPT)
    given_up = 0
    texts: list[str] = []
    while len(texts) < 20:
        try:
            message = await asyncio.wait_for(receive(), 0.001)
            texts.append(message["text"])
        except TimeoutError:
            given_up += 1
            if given_up == 5:
                await send({"type": "websocket.send", "text": "go"})
    await send({"type": "websocket.send", "text": " ".join(texts)})
