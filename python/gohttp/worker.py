"""One process that serves: import the app, hand it and the sockets to the engine."""

import importlib.util
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from gohttp import GohttpError, early_stop, logs
from gohttp.config import Config, ConfigError
from gohttp.importer import App, load_app
from gohttp.interface import Interface

logger = logging.getLogger("gohttp")

_state = {"supervised": False}


def load_target(target: str, config: Config) -> App:
    """Import TARGET, as `config` says; raises `ImporterError`."""
    return load_app(
        target, app_dir=config.app_dir, factory=config.factory, interface=config.interface
    )


def load_and_serve(
    load: Callable[[], App],
    config: Config,
    sockets: list[socket.socket],
    on_ready: Callable[[App], None],
) -> int:
    """Serve the app that `load` imports until the server is told to stop; the exit code.

    `on_ready` is called once, with the app, when requests are accepted.
    Raises `GohttpError` when the app cannot be imported or the server cannot start.
    """
    try:
        app = load()
    finally:  # also when the app has made another error of it
        early_stop.check()
    logs.after_app_import()
    return serve_in_process(app.app, app.interface, config, sockets, lambda _: on_ready(app))


def serve_in_process(
    app: object,
    interface: Interface,
    config: Config,
    sockets: list[socket.socket],
    on_ready: Callable[[Any], None] = lambda server: None,
) -> int:
    """Serve `app` in this process until it is told to stop; the exit code.

    `on_ready` is called, with what stops the server, when requests are accepted.  The engine
    handles SIGTERM and SIGINT.  Raises `GohttpError` when it cannot start.
    """
    check_loop(config)
    try:
        from gohttp._faces import serve
        from gohttp._native_api import Stoppable, running
    except ImportError as error:
        raise GohttpError(
            f"The engine of gohttp cannot be loaded ({error}); run 'make build' in the folder of "
            "gohttp, or install it from there again: pip install ."
        ) from None
    with _python_handlers_set_aside():
        early_stop.check()

        def ready(server: Stoppable) -> None:
            running.append(server)
            on_ready(server)

        try:
            return serve(app, interface, config, sockets, ready)
        finally:
            running.clear()


@contextmanager
def _python_handlers_set_aside() -> Iterator[None]:
    """The engine's signal handling calls the handler it finds, and Python's raises."""
    main = threading.current_thread() is threading.main_thread()
    numbers = (signal.SIGINT, signal.SIGTERM) if main else ()
    before = {number: signal.signal(number, signal.SIG_DFL) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def check_loop(config: Config) -> None:
    """Raises `ConfigError` when the event loop asked for is not installed."""
    if config.loop == "uvloop" and importlib.util.find_spec("uvloop") is None:
        raise ConfigError(
            "--loop uvloop needs a package that is not installed; run: pip install uvloop."
        )


def mark_supervised() -> None:
    """Say that this process is a child of a supervisor."""
    _state["supervised"] = True


def supervised() -> bool:
    """Whether a supervisor started this process.

    It then gets SIGTERM from the supervisor and perhaps a second one from systemd, which
    signals the whole group: the engine must take both for one.  The supervisor itself kills a
    worker that does not stop in time.
    """
    return _state["supervised"]
