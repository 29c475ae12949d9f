"""`Server`: a server that a program starts and stops."""

import threading
from collections.abc import Callable
from contextlib import nullcontext
from types import TracebackType
from typing import Any, Self

from gohttp import config, running_loop, sockets, worker
from gohttp._faces import Settings, serve
from gohttp._gohttp import in_handler
from gohttp._native_api import Stoppable
from gohttp.interface import Interface, UnknownInterface, detect_interface
from gohttp.mux import Mux, default


class Server:
    """Serves one app: a `Mux`, a WSGI or an ASGI app, or what `gohttp.route` has registered.

    `settings` are those of `gohttp serve`, by name; `port=0` is any free port, which `url` tells
    once the server runs. A `Server` runs once: make another for the next time.

    Raises `GohttpError` for a bad setting, `TypeError` for what is no app.
    """

    def __init__(
        self,
        app: object = default,
        *,
        host: str = "127.0.0.1",
        port: int = 8000,
        interface: Interface | None = None,
        **settings: Any,
    ) -> None:
        try:
            self._interface = interface or detect_interface(app)
        except UnknownInterface as error:
            raise TypeError(f"what is to be served {error}") from None
        self._app = app
        given = {"host": host, "port": port, **settings}
        self._config = config.of_program(given, "Server")
        self._addresses: list[str] = []
        self._running: Stoppable | None = None
        self._thread: threading.Thread | None = None
        self._began = threading.Event()
        self._error: BaseException | None = None
        self._used = False
        self._stop: list[float | None] = []

    @property
    def url(self) -> str:
        """Where it is, without a slash at the end: `'http://127.0.0.1:8000'`.

        Raises `RuntimeError` while it does not run.
        """
        if not self._addresses:
            raise RuntimeError("the server does not run yet")
        return self._addresses[0]

    def run(self) -> None:
        """Serve until SIGTERM, SIGINT or `shutdown()`, in the main thread; blocks.

        Raises `GohttpError` when it cannot start, or where an event loop runs:
        `serve` is for that.
        """
        running_loop.refuse("Server.run()", "await server.serve()")
        self._begin()
        self._serve(
            lambda listening: worker.serve_in_process(
                self._app, self._interface, self._config, listening, self._ready
            )
        )

    def serve_forever(self) -> None:
        """Serve until `shutdown()`, in any thread; signals are the program's. As `run` else."""
        running_loop.refuse("Server.serve_forever()", "await server.serve()")
        self._begin()
        self._serve_quietly()

    def _serve_quietly(self) -> None:
        self._serve(
            lambda listening: serve(
                self._app,
                self._interface,
                self._config,
                listening,
                self._ready,
                handle_signals=False,
            )
        )

    async def serve(self) -> None:
        """Serve on the running event loop until `shutdown()` or cancellation; an ASGI app's tasks
        run on this loop.

        WSGI apps and native handlers run on threads, as ever. Signals are the program's, as in
        `loop.add_signal_handler(signal.SIGTERM, server.shutdown)`. Raises `GohttpError` when it
        cannot start, `RuntimeError` the second time.
        """
        import asyncio

        from gohttp import _asgi

        self._begin()
        if not self._on_a_loop():
            serving = asyncio.ensure_future(asyncio.to_thread(self._serve_quietly))
            try:
                await asyncio.shield(serving)
            except asyncio.CancelledError:
                self._drain(None)
                await serving
                raise
            return
        with sockets.listening(self._config) as listening:
            self._addresses = sockets.addresses(listening)
            settings = Settings(self._config, handle_signals=False)
            frozen = self._app._frozen() if isinstance(self._app, Mux) else nullcontext()
            try:
                with frozen:
                    await _asgi.serve_on_running_loop(self._app, settings, listening, self._ready)
            finally:
                self._addresses = []

    def start(self) -> None:
        """Serve in a thread; returns when requests are accepted.

        Raises `GohttpError` when it cannot start, `RuntimeError` the second time.
        """
        self._begin()
        self._thread = threading.Thread(target=self._in_thread, name="gohttp-server", daemon=True)
        self._thread.start()
        self._began.wait()
        if self._error is not None:
            raise self._error

    def shutdown(self, timeout: float | None = None) -> None:
        """Stop: requests in flight are answered, for at most `timeout` seconds, by default
        `graceful_timeout`. From any thread or handler. Waits if `start` has been used, but not in a
        handler or on an event loop, which the stop itself waits for.

        Raises `TimeoutError` if handlers still run then, `ValueError` for what is no time.
        """
        if timeout is not None:
            timeout = _seconds(timeout)
        self._drain(timeout)
        thread = self._thread
        if thread is None or thread is threading.current_thread() or _in_a_handler():
            return
        patience = self._config.graceful_timeout if timeout is None else timeout
        thread.join(patience + 2)  # a moment more than what is in flight has
        if thread.is_alive():
            raise TimeoutError(
                f"handlers of {self.url} still run {patience:g} s after the stop began"
            )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        frames: TracebackType | None,
    ) -> None:
        self.shutdown()

    def _on_a_loop(self) -> bool:
        return self._interface == "asgi" or (
            isinstance(self._app, Mux) and self._app.has_asgi_apps()
        )

    def _begin(self) -> None:
        if self._used:
            raise RuntimeError("a Server runs once: make another for the next time")
        self._used = True

    def _serve(self, serve: Callable[[list[Any]], int]) -> None:
        with sockets.listening(self._config) as listening:
            self._addresses = sockets.addresses(listening)
            try:
                serve(listening)
            finally:
                self._addresses = []

    def _in_thread(self) -> None:
        try:
            self._serve_quietly()
        except BaseException as error:
            self._error = error
        finally:
            self._began.set()

    def _ready(self, server: Stoppable) -> None:
        self._running = server
        for timeout in self._stop:  # asked for before it was there
            server.drain(timeout)
        self._began.set()

    def _drain(self, timeout: float | None) -> None:
        self._stop.append(timeout)
        if self._running is not None:
            self._running.drain(timeout)


def _seconds(timeout: float) -> float:
    try:
        seconds: float = config.check("graceful_timeout", timeout)
    except ValueError as error:
        raise ValueError(f"timeout: {error}") from None
    return seconds


def _in_a_handler() -> bool:
    return in_handler() or running_loop.is_here()
