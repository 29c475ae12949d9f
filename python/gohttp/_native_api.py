"""The article's API: `route`, `shutdown` and, in `_run`, `run`; handlers are `handler(w, req)`."""

import socket
from collections.abc import Callable
from typing import Any

from gohttp import _gohttp, sockets
from gohttp.mux import Mux, default

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
    listening: list[socket.socket],
    on_ready: Callable[[_gohttp.SyncServer], None],
) -> tuple[bool, bool]:
    """Serve routes that lead to no ASGI app; see `gohttp._faces.serve`."""
    from gohttp._coroutines import CoroutineThread

    coroutines = CoroutineThread(settings.request_timeout, settings.slow_callback)
    in_time = ended = False
    try:
        descriptors = sockets.hand_over(listening)
        clean = _gohttp.serve_site(mux._routes, coroutines.run, settings, descriptors, on_ready)
    finally:
        in_time, ended = coroutines.stop()
    return in_time, clean and ended


def set_done(future: Any) -> None:
    """What a future of a handler waited for has come."""
    if not future.done():
        future.set_result(None)
