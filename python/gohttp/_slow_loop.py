"""`slow_callback` for a loop that the engine does not turn: what keeps it is told to the log."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable

from gohttp import _stacks

_LONGEST_LOOK = 0.25  # seconds between two looks
_SHORTEST_LOOK = 0.005

logger = logging.getLogger("gohttp.error")


class SlowLoop:
    """Asks a loop for a sign of life, from a thread of its own, while it has something to do."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        ident: int,
        after: float,
        is_busy: Callable[[], bool],
    ) -> None:
        """`ident`: of the loop's thread; `after`: so many seconds without a sign are told."""
        self._loop = loop
        self._ident = ident
        self._after = after
        self._is_busy = is_busy
        self._ended = threading.Event()
        self._asked: float | None = None  # since when it has owed a sign

    def start(self) -> None:
        """Begin; raises `RuntimeError` when the system gives no thread."""
        threading.Thread(target=self._watch, name="gohttp-slow", daemon=True).start()

    def end(self) -> None:
        """The loop is about to end."""
        self._ended.set()

    def _watch(self) -> None:
        every = min(max(self._after / 4, _SHORTEST_LOOK), _LONGEST_LOOK)
        told: float | None = None
        while not self._ended.wait(every):
            asked = self._asked
            if asked is None:
                if self._is_busy():
                    self._ask()
            elif asked != told and time.monotonic() - asked >= self._after:
                told = asked
                self._tell(asked)

    def _ask(self) -> None:
        self._asked = time.monotonic()
        try:
            self._loop.call_soon_threadsafe(self._answer)
        except RuntimeError:  # it has just been closed
            self._ended.set()

    def _answer(self) -> None:
        self._asked = None

    def _tell(self, asked: float) -> None:
        stack = _stacks.of_thread(self._ident)
        if self._asked == asked:  # else it has come back meanwhile
            logger.warning(
                "the event loop has been kept for %.1f s: nothing else runs on it. It is here:\n%s",
                time.monotonic() - asked,
                stack,
            )
