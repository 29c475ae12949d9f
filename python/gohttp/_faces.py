"""From a config and listening sockets to the face that serves the app."""

import faulthandler
import signal
import socket
from collections.abc import Callable, Iterator
from ipaddress import ip_network

from gohttp import _gohttp, _native_api, logs, mux, sockets, worker
from gohttp._native_api import Stoppable
from gohttp.abrupt_end import end_with_threads_running
from gohttp.config import Config
from gohttp.interface import Interface


class Settings:
    """What the engine reads of a config, and whether this process has a supervisor."""

    def __init__(self, config: Config, *, handle_signals: bool = True) -> None:
        self._config = config
        self.handle_signals = handle_signals
        self.supervised = worker.supervised()
        self.ws_per_message_deflate = config.ws_compression == "deflate"
        self.trusted_networks = list(_networks(config.trusted_proxies))
        # Whatever the GIL is doing, this signal gets the stacks of all threads on stderr.
        self.stack_signal = 0
        if config.request_timeout and hasattr(signal, "SIGRTMIN"):
            self.stack_signal = signal.SIGRTMIN + 7
            faulthandler.register(self.stack_signal, all_threads=True)

    def __getattr__(self, name: str) -> object:
        return getattr(self._config, name)


def _networks(addresses: tuple[str, ...]) -> Iterator[str]:
    """Networks as the engine reads them; `*` is every address there is."""
    for address in addresses:
        for one in ("0.0.0.0/0", "::/0") if address == "*" else (address,):
            yield str(ip_network(one, strict=False))


def serve(
    app: object,
    interface: Interface,
    config: Config,
    listening: list[socket.socket],
    on_ready: Callable[[Stoppable], None],
    *,
    handle_signals: bool = True,
) -> int:
    """Serve `app` until SIGTERM, SIGINT or `drain()`; blocks. The sockets are used up once it has
    started, and the caller's to close if it does not.

    The exit code is 1 when requests outlasted `graceful_timeout`.

    Raises `GohttpError` when the app refuses to start.
    """
    _gohttp.install_logging(logs.engine_level(config.log_level, access_log=config.access_log))
    in_time, clean = serve_within(
        app, interface, config, listening, on_ready, handle_signals=handle_signals
    )
    if not clean and handle_signals:
        end_with_threads_running()
    return 0 if clean and in_time else 1


def serve_within(
    app: object,
    interface: Interface,
    config: Config,
    listening: list[socket.socket],
    on_ready: Callable[[Stoppable], None],
    *,
    handle_signals: bool = False,
) -> tuple[bool, bool]:
    """The same in a process whose log and end are somebody else's.

    Returns whether all requests ended in time, and whether they ended at all.
    """
    settings = Settings(config, handle_signals=handle_signals)
    if interface != "native":
        return _run(app, interface, settings, listening, on_ready)
    routes = mux.chosen(app)  # which may have none yet
    with routes._frozen():
        return _run(routes, interface, settings, listening, on_ready)


def _run(
    app: object,
    interface: Interface,
    settings: Settings,
    listening: list[socket.socket],
    on_ready: Callable[[Stoppable], None],
) -> tuple[bool, bool]:
    """Whether all requests ended in time, and whether they ended at all."""
    if interface == "asgi" or (isinstance(app, mux.Mux) and app.has_asgi_apps()):
        from gohttp import _asgi

        return _asgi.serve(app, settings, listening, on_ready)
    if isinstance(app, mux.Mux):
        return _native_api.serve(app, settings, listening, on_ready)
    return True, _gohttp.serve_wsgi(app, settings, sockets.hand_over(listening), on_ready)
