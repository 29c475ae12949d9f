"""Stacks for the log: of a thread, and of a task that waits."""

import asyncio
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any


def of_thread(ident: int) -> str:
    """What a thread that runs an event loop is doing now, as a traceback has it.

    What leads to the loop itself is left out: it is the same each time.
    """
    frame = sys._current_frames().get(ident)
    if frame is None:
        return "  (it has ended)"
    stack = traceback.extract_stack(frame)
    loop = max((at for at, frame in enumerate(stack) if _is_loop(frame)), default=-1)
    if loop + 1 == len(stack):
        return "  Where is not known: of the app only compiled code is on the stack."
    own = traceback.StackSummary.from_list(stack[loop + 1 :])
    return "".join(own.format()).rstrip()


def _is_loop(frame: traceback.FrameSummary) -> bool:
    """Whether a frame is the engine's or asyncio's last one before the app's."""
    return (frame.name, Path(frame.filename).name) in {
        ("select", "_selector.py"),
        ("_run", "events.py"),
        ("run", "runners.py"),
        ("_rung", "_asgi.py"),
    }


def of_task(task: "asyncio.Task[Any]") -> str:
    """Where a task waits: its coroutine, what that awaits, and so on."""
    frames = [(frame, frame.f_lineno) for frame in _awaiting(task.get_coro())]
    return "".join(traceback.StackSummary.extract(iter(frames)).format()).rstrip() or "  (unknown)"


def _awaiting(awaitable: Any) -> Iterator[FrameType]:
    """The frames of a coroutine and of those it awaits, outermost first."""
    while awaitable is not None:
        for kind in ("cr", "gi", "ag"):
            frame = getattr(awaitable, f"{kind}_frame", None)
            if frame is not None:
                yield frame
                awaitable = getattr(awaitable, f"{kind}_await" if kind != "gi" else "gi_yieldfrom")
                break
        else:
            return
