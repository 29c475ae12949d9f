"""SIGTERM and SIGINT before the engine handles them: while the app is imported and started."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_state = {"asked": 0}


class EarlyStop(KeyboardInterrupt):
    """A stop was asked for; an app that catches it is ended after its import."""


def watch() -> None:
    """Have both signals raise `EarlyStop` in this process, and be remembered."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)


@contextmanager
def watching() -> Iterator[None]:
    """The same for a while, in the main thread; then signals do what they do by default."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    watch()
    # Kept after a stop, while tasks are cancelled for it: a second signal is to be heard.
    yield
    check()
    for number in (signal.SIGTERM, signal.SIGINT):
        if signal.getsignal(number) is _stop:  # and no handler of the app's
            signal.signal(number, signal.SIG_DFL)


def check() -> None:
    """Raise `EarlyStop` if a stop was asked for, whatever the app made of it."""
    if _state["asked"]:
        raise EarlyStop


def forget() -> None:
    """What was asked for has been done: a server that starts later begins anew."""
    _state["asked"] = 0


def _stop(number: int, frame: object) -> None:
    if _state["asked"]:  # the app may swallow any number of exceptions
        os._exit(128 + number)
    _state["asked"] = number
    raise EarlyStop
