"""An ASGI app that sends what a test has written down for it, files too."""

import ast
import io
import os
from collections.abc import MutableMapping
from typing import Any

import asgi_cases
from asgi_cases import Message, Receive, Scope, Send, answer, at, key_of, wait_for_gate

app = asgi_cases.app

_scripts: dict[str, list[Any]] = {}


@at("/script")
async def script(scope: Scope, receive: Receive, send: Send) -> None:
    """POST: learn the steps, a Python literal.  Else: take them, noting how each ends."""
    if scope["method"] == "POST":
        _scripts[key_of(scope)] = ast.literal_eval((await receive())["body"].decode())
        await answer(send, True)
        return
    key = key_of(scope)
    opened: list[io.FileIO] = []
    try:
        for step in _scripts[key]:
            await take_step(step, key, opened, receive, send)
    finally:
        for file in opened:
            file.close()
        asgi_cases._events[key].append("ended")


async def take_step(
    step: Any, key: str, opened: list[io.FileIO], receive: Receive, send: Send
) -> None:
    """A message; or `(what, argument)`: open seek tell close receive gate raise try."""
    recorded = asgi_cases._events[key]
    match step:
        case {}:
            await send_recorded(with_file(step, opened), recorded, send)
        case ("open", path):
            opened.append(io.FileIO(path))
        case ("seek", position):
            opened[-1].seek(position)
        case ("tell", _):
            recorded.append(opened[-1].tell())
        case ("close", _):
            opened[-1].close()
        case ("receive", kind):
            while (await receive())["type"] != kind:
                pass
        case ("gate", _):
            recorded.append("waiting")
            await wait_for_gate(key)
        case ("raise", text):
            raise ArithmeticError(text)
        case ("try", message):
            try:
                await send_recorded(with_file(message, opened), recorded, send)
            except Exception:
                pass
            else:
                recorded.append("taken")


async def send_recorded(message: Message, recorded: list[Any], send: Send) -> None:
    try:
        await send(message)
    except Exception as error:
        recorded.append(type(error).__name__)
        raise


def with_file(message: Message, opened: list[io.FileIO]) -> Message:
    """The message, with the last opened file where it says "object" or "number"."""
    if message.get("file") == "object":
        return {**message, "file": opened[-1]}
    if message.get("file") == "number":
        return {**message, "file": opened[-1].fileno()}
    return message


@at("/extensions")
async def extensions(scope: Scope, _receive: Receive, send: Send) -> None:
    await answer(send, scope["extensions"])


@at("/extensions-changed")
async def extensions_changed(scope: Scope, _receive: Receive, send: Send) -> None:
    """What there was, before a middleware changed it."""
    before = {name: dict(value) for name, value in scope["extensions"].items()}
    for value in scope["extensions"].values():
        if isinstance(value, MutableMapping):
            value["changed"] = True
    scope["extensions"]["mine"] = {}
    await answer(send, before)


@at("/descriptors")
async def descriptors(_scope: Scope, _receive: Receive, send: Send) -> None:
    """The regular files that this process has open."""
    links = []
    for number in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{number}"))
        except FileNotFoundError:
            continue  # the directory's own
    await answer(send, [link for link in links if link.startswith("/")])
