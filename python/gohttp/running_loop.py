"""Whether an event loop runs in the calling thread, which what blocks would keep from turning."""

import sys

from gohttp import GohttpError


def is_here() -> bool:
    """Whether one runs here. Does not import asyncio: who runs a loop has done so."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def refuse(what: str, instead: str) -> None:
    """Raise `GohttpError` where one runs."""
    if is_here():
        raise GohttpError(
            f"{what} blocks, and an event loop runs in this thread already; there write: {instead}."
        )
