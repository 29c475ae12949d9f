"""The article's API: `route`, `shutdown` and, in `_run`, `run`; handlers are `handler(w, req)`."""

import inspect
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

from gohttp import _gohttp
from gohttp._gohttp import Request, ResponseWriter

Handler = (
    Callable[[ResponseWriter, Request], None] | Callable[[ResponseWriter, Request], Awaitable[None]]
)
H = TypeVar("H", bound=Callable[..., Any])

logger = logging.getLogger("gohttp.server")

_routes = _gohttp.Routes()
_running: list[_gohttp.SyncServer] = []


@overload
def route(pattern: str, fn: None = None) -> Callable[[H], H]: ...
@overload
def route(pattern: str, fn: H) -> H: ...
def route(pattern: str, fn: H | None = None) -> H | Callable[[H], H]:
    """Register a handler for a pattern; a decorator when `fn` is left out.

    A pattern is `[HOST]/PATH`. One that ends in `/` takes everything below it, so `'/'` takes
    whatever nothing more specific takes; the longest pattern wins. The handler is called as
    `fn(w, req)` with a `ResponseWriter` and a `Request`; it may be `async def`.

    Raises `ValueError` for a pattern that is malformed or taken, `TypeError` when `fn` cannot be
    called.
    """

    def register(handler: H) -> H:
        if not callable(handler):
            raise TypeError(f"a handler must be callable, not {type(handler).__name__}")
        _routes.handle(pattern, handler, _is_async(handler))
        return handler

    return register if fn is None else register(fn)


def shutdown() -> None:
    """Stop `run()` gracefully: requests in flight are answered. From any thread or handler.

    Does nothing when no server is running.
    """
    for server in list(_running):
        server.drain()


def has_routes() -> bool:
    """Whether any route has been registered."""
    return bool(_routes)


def serve(
    _app: object, settings: Any, descriptors: list[int], on_ready: Callable[[], None]
) -> bool:
    """Serve the registered routes; see `gohttp._faces.serve`."""

    def ready(server: _gohttp.SyncServer) -> None:
        _running.append(server)
        on_ready()

    coroutines = _CoroutineThread()
    try:
        return _gohttp.serve_native(_routes, coroutines.run, settings, descriptors, ready)
    finally:
        _running.clear()
        coroutines.stop()


def _is_async(handler: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(
        getattr(handler, "__call__", None)  # noqa: B004
    )


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
        asyncio.run_coroutine_threadsafe(_handle(coroutine, w, req), self._loop)

    def stop(self) -> None:
        """Stop the loop; its handlers have ended with their connections."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)


async def _handle(coroutine: Awaitable[None], w: ResponseWriter, req: Request) -> None:
    error: BaseException | None = None
    try:
        await coroutine
    except BaseException as raised:  # SystemExit too: it is the handler's, not the loop's
        error = raised
    w._end(repr(req), error)
