"""The article's API: `route`, `shutdown` and, in `_run`, `run`; handlers are `handler(w, req)`."""

import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from gohttp import _gohttp
from gohttp._gohttp import Request, ResponseWriter
from gohttp.mux import Mux, default

logger = logging.getLogger("gohttp.server")

_LAST_MOMENT = 1.0  # seconds

Stoppable = _gohttp.SyncServer | _gohttp.AsgiEngine
"""A running server, as its face gives it: it has `drain(timeout)`."""

running: list[Stoppable] = []
"""What `shutdown()` stops."""

route = default.route


def shutdown() -> None:
    """Stop `run()` gracefully: requests in flight are answered. From any thread or handler.

    Does nothing when no server is running.
    """
    for server in list(running):
        server.drain()


def has_routes() -> bool:
    """Whether any route has been registered."""
    return bool(default)


def serve(
    mux: Mux,
    settings: Any,
    descriptors: list[int],
    on_ready: Callable[[_gohttp.SyncServer], None],
) -> bool:
    """Serve routes that lead to no ASGI app; see `gohttp._faces.serve`."""
    coroutines = _CoroutineThread()
    try:
        clean = _gohttp.serve_site(mux._routes, coroutines.run, settings, descriptors, on_ready)
    finally:
        ended = coroutines.stop()
    return clean and ended


class _CoroutineThread:
    """An event loop on a thread of its own, started by the first `async def` handler."""

    def __init__(self) -> None:
        self._loop: Any = None
        self._lock = threading.Lock()

    def run(self, coroutine: Any, w: ResponseWriter, req: Request) -> None:
        """Run a handler's coroutine to its end, then end its response."""
        import asyncio

        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(
                    target=self._loop.run_forever, name="gohttp-async", daemon=True
                ).start()
        asyncio.run_coroutine_threadsafe(handle(coroutine, w, req), self._loop)

    def stop(self) -> bool:
        """Stop the loop, whose handlers have ended with their connections.

        Returns whether the threads that they have started in its executor have ended too.
        """
        if self._loop is None:
            return True
        import asyncio

        ending = asyncio.run_coroutine_threadsafe(
            self._loop.shutdown_default_executor(), self._loop
        )
        try:
            ending.result(_LAST_MOMENT)
        except TimeoutError:
            logger.warning("Threads of asyncio.to_thread() still run and are abandoned.")
            return False
        self._loop.call_soon_threadsafe(self._loop.stop)
        return True


def set_done(future: Any) -> None:
    """What a future of a handler waited for has come."""
    if not future.done():
        future.set_result(None)


async def handle(coroutine: Awaitable[object], w: ResponseWriter, req: Request) -> None:
    """Run an `async def` handler, then end its response."""
    error: BaseException | None = None
    try:
        w._returned(await coroutine)
    except BaseException as raised:  # SystemExit too: it is the handler's, not the loop's
        error = raised
    w._end(req, repr(req), error)
