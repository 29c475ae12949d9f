"""The engine as asyncio's selector: hyper-fast sockets and the app's own, on one thread."""

import os
import selectors
from collections.abc import Callable
from typing import Protocol


class Engine(Protocol):
    """What the selector needs of `_gohttp.AsgiEngine`."""

    def watch(self, epoll: int) -> None: ...
    def unwatch(self) -> None: ...
    def quiet(self) -> None: ...
    def drive(self, timeout: float | None) -> int: ...


class EngineSelector(selectors.EpollSelector):
    """An epoll selector that waits inside the engine.

    The app's own sockets are registered here, as ever; the engine watches this epoll descriptor
    beside its connections, starts requests as they come, and returns when asyncio has something
    to do. `on_stopped` is called once when the server has stopped.
    """

    def __init__(self, engine: Engine, on_stopped: Callable[[], None]) -> None:
        super().__init__()
        self._engine = engine
        self._on_stopped = on_stopped
        engine.watch(os.dup(self.fileno()))

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """As in `selectors`; also runs the engine for that time."""
        what = self._engine.drive(timeout)
        if not what:
            return []
        if what & 2:
            self._on_stopped()
        if what & 1:
            events = super().select(0)
            if not events:
                # Watched by edges: only when it was seen empty may the engine wait for the next.
                self._engine.quiet()
            return events
        return []

    def close(self) -> None:
        """Close the selector; the engine forgets it."""
        self._engine.unwatch()
        super().close()
