"""What the apps of the ASGI frameworks need alike."""

import asyncio
import os

from events import FOLDER

# Tests look for it in what the client gets.
SECRET = "hunter2"


class Secret(RuntimeError):
    def __init__(self, where: str) -> None:
        super().__init__(f"the {where} fails; the password is {SECRET}")


def pid() -> str:
    return str(os.getpid())


def loop_name() -> str:
    """The module of the event loop: uvloop or asyncio.…"""
    return type(asyncio.get_running_loop()).__module__


async def gate(token: str) -> None:
    """Wait until the test opens the gate; not for ever."""
    for _ in range(1000):
        if (FOLDER / f"gate-{token}").exists():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError(f"gate {token} stayed shut")
