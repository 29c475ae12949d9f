"""Uses all that `w` and `req` have, where and when it should not be used."""

import json
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

from gohttp import Request, ResponseWriter, route

FILE = __file__
PATIENCE = 20

# What each method is called with; what is an attribute is read.
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "w.write": ("late",),
    "w.set_status": (404,),
    "w.json": ({},),
    "w.text": ("late",),
    "w.html": ("late",),
    "w.error": ("late",),
    "w.redirect": ("/late",),
    "w.set_cookie": ("late", "1"),
    "w.early_hints": (["</late>"],),
    "req.path_value": ("which",),
    "req.on_cancel": (print,),
    "req.set_deadline": (PATIENCE,),
    "req.read": (10,),
}

_kept: dict[str, tuple[ResponseWriter, Request]] = {}


def outcome(call: Callable[[], object]) -> str:
    try:
        return f"gives {type(call()).__name__}"
    except Exception as error:
        return f"raises {type(error).__name__}"


def use_all(w: ResponseWriter, req: Request) -> dict[str, str]:
    """What each public method and attribute of both does, by name."""
    found = {}
    for short, one in (("w", w), ("req", req)):
        for name in dir(type(one)):
            if name.startswith("_"):
                continue
            full = f"{short}.{name}"
            if name == "serve_file":
                arguments: tuple[Any, ...] = (req, FILE)
            elif name in ("websocket", "async_websocket"):
                arguments = (req,)
            else:
                arguments = ARGUMENTS.get(full, ())

            def use(one: Any = one, name: str = name, arguments: Any = arguments) -> object:
                value = getattr(one, name)
                return value(*arguments) if callable(getattr(type(one), name)) else value

            found[full] = outcome(use)
    return found


def in_this_thread(use: Callable[[], dict[str, str]]) -> dict[str, str]:
    return use()


def in_another_thread(use: Callable[[], dict[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    thread = threading.Thread(target=lambda: found.update(use()))
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    return found


def in_a_fork(use: Callable[[], dict[str, str]]) -> dict[str, str]:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(PATIENCE)
            os.write(writing, json.dumps(use()).encode())
            os._exit(0)
        finally:
            os._exit(1)
    os.close(writing)
    with open(reading, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    return {"exit code": str(os.waitstatus_to_exitcode(status)), **json.loads(said or "{}")}


PLACES = {"here": in_this_thread, "thread": in_another_thread, "fork": in_a_fork}


@route("/keep/{which}")
def keep(w: ResponseWriter, req: Request) -> None:
    _kept[req.path_value("which")] = (w, req)
    w.write("kept")


@route("/keep-async/{which}")
async def keep_async(w: ResponseWriter, req: Request) -> None:
    _kept[req.path_value("which")] = (w, req)
    w.write("kept")


@route("/use/{which}")
def use_kept(w: ResponseWriter, req: Request) -> None:
    late = _kept.pop(req.path_value("which"))
    w.json(PLACES[req.query["in"]](lambda: use_all(*late)))


@route("/fork")
def fork(w: ResponseWriter, req: Request) -> None:
    """The child uses what is still the parent's to answer."""
    w.write(json.dumps(in_a_fork(lambda: use_all(w, req))))
