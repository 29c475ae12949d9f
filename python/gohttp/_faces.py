"""From a config and listening sockets to the face that serves the app."""

import faulthandler
import signal
import socket
from collections.abc import Callable, Iterator
from ipaddress import ip_network

from gohttp import _gohttp, logs, worker
from gohttp.abrupt_end import end_with_threads_running
from gohttp.config import Config
from gohttp.interface import Interface


class Settings:
    """What the engine reads of a config, and whether this process has a supervisor."""

    def __init__(self, config: Config) -> None:
        self._config = config
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
    sockets: list[socket.socket],
    on_ready: Callable[[], None],
) -> int:
    """Serve `app` until SIGTERM or SIGINT; blocks. `sockets` are used up.

    The exit code is 1 when requests outlasted `graceful_timeout`.

    Raises `GohttpError` when the app refuses to start.
    """
    _gohttp.install_logging(logs.engine_level(config.log_level, access_log=config.access_log))
    settings = Settings(config)
    descriptors = [sock.detach() for sock in sockets]
    if interface == "native":
        from gohttp import mux

        app = mux.chosen(app)
        if app._routes.asgi_apps():
            interface = "asgi"
    if interface == "asgi":
        from gohttp import _asgi

        in_time, clean = _asgi.serve(app, settings, descriptors, on_ready)
        if clean and not in_time:
            return 1
    elif interface == "native":
        from gohttp import _native_api

        clean = _native_api.serve(app, settings, descriptors, on_ready)
    else:
        clean = _gohttp.serve_wsgi(app, settings, descriptors, lambda _server: on_ready())
    if not clean:
        end_with_threads_running()
    return 0
