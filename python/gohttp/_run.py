"""`gohttp.run`: the server started by a program, for native routes or for an app."""

import atexit
import logging
import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, overload

from gohttp import GohttpError, running_loop
from gohttp.interface import is_mux

if TYPE_CHECKING:
    from gohttp.mux import Mux

_TARGET = re.compile(r"[^:]*[^:\d][^:]*:[^\W\d]\w*(\.\w+)*(\(\))?")
_ABSENT: Any = object()

_state = {"worker": False}


@overload
def run(host: str = "127.0.0.1", port: int = 5000, **settings: Any) -> None: ...
@overload
def run(app: "Mux | Callable[..., Any] | str", /, port: int = 8000, **settings: Any) -> None: ...
def run(app: Any = _ABSENT, /, port: Any = _ABSENT, **settings: Any) -> None:
    """Serve until SIGTERM, SIGINT or, for routes, `shutdown()`; blocks.

    `run(host, port)` serves the routes that `route` has registered, on 127.0.0.1:5000.

    `run(app)` serves an app, a `Mux`, WSGI or ASGI callable or its name `"module:attr"`, exactly as
    `gohttp serve` would: on 127.0.0.1:8000, with variables `GOHTTP_…` and `gohttp.toml` read.

    `settings` are those of `gohttp serve`, by name: `threads=8`, `log_level="warning"`, …
    Routes take none that need the command: `workers`, `reload`, `app_dir`, ….

    Raises `GohttpError` when it cannot start: the address is taken, a setting is bad, an event loop
    runs in this thread (there `await Server(app).serve()` is what serves); and
    `SystemExit` when an app's server does not end well, with the exit code of the command.
    """
    if port is not _ABSENT:
        settings["port"] = port
    if app is not _ABSENT and (
        callable(app)
        or is_mux(app)
        or (isinstance(app, str) and _TARGET.fullmatch(app) is not None)
    ):
        _run_app(app, settings)
        return
    if app is not _ABSENT:
        if "host" in settings:
            raise TypeError("run() got multiple values for argument 'host'")
        settings["host"] = app
    _run_routes(settings)


def _run_routes(settings: dict[str, Any]) -> None:
    from gohttp import config, logs, sockets, worker

    _refuse_while_importing()
    running_loop.refuse("run()", "await gohttp.Server(app).serve()")
    settings = {"host": "127.0.0.1", "port": 5000, **settings}
    given = config.of_program(settings, "run")
    logs.configure(given.log_level, access_log=given.access_log)
    with sockets.listening(given) as listening:
        addresses = sockets.addresses(listening)
        worker.serve_in_process(
            None,
            "native",
            given,
            listening,
            lambda _: print(f" * Running on {addresses[0]}/", flush=True),  # noqa: T201
        )


def _run_app(app: object, settings: dict[str, Any]) -> None:
    from gohttp import config, early_stop, importer, serving, worker

    _refuse_while_importing()
    running_loop.refuse("run()", "await gohttp.Server(app).serve()")
    given = config.load(config.keywords(settings))
    by_name = isinstance(app, str)
    if given.workers > 1 or given.reload:
        _refuse_fork(given, by_name=by_name)
    target = app if isinstance(app, str) else _name(app)

    def load() -> importer.App:
        if by_name:
            return worker.load_target(target, given)
        return importer.identify(app, target, factory=given.factory, interface=given.interface)

    def in_child() -> None:
        _state["worker"] = True
        atexit._clear()  # what the program registered is not ours
        if given.reload:
            _forget_modules(given.reload_dir or (given.app_dir,))

    main_thread = threading.current_thread() is threading.main_thread()
    code = 0
    with _workers_end_here(), _handlers_kept(main_thread):
        try:
            code = serving.serve(target, load, given, in_child=in_child, watch_signals=main_thread)
        except early_stop.EarlyStop:  # while the app was imported
            pass
        except GohttpError as error:
            if error.details:
                error.add_note(error.details.rstrip())
            raise
        finally:
            early_stop.forget()
    if code:
        raise SystemExit(code)


def _refuse_while_importing() -> None:
    from gohttp import importer

    if importer.importing():
        raise GohttpError(
            "The module calls run() while gohttp serve imports it; "
            'put the call behind: if __name__ == "__main__".',
            exit_code=3,
        )


def _refuse_fork(config: Any, *, by_name: bool) -> None:
    """Workers are forked from this program: refuse what that would break."""
    what = "reload=True" if config.reload else f"workers={config.workers}"
    if config.reload and not by_name:
        raise GohttpError(
            "run() cannot reload an app object, which is imported already; give its name: "
            'run("module:app", reload=True).',
            exit_code=2,
        )
    if threading.current_thread() is not threading.main_thread():
        raise GohttpError(
            f"run() with {what} must be called in the main thread, which gets the signals.",
            exit_code=2,
        )
    threads = _threads()
    if threads > 1:
        raise GohttpError(
            f"run() with {what} forks, which is not safe in a program with {threads} threads; call "
            "it before they are started, or use the command: gohttp serve module:app.",
            exit_code=2,
        )


def _threads() -> int:
    """How many threads this process has, those of libraries too."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return threading.active_count()


def _name(app: object) -> str:
    """An app object's name for people."""
    named = getattr(app, "__qualname__", None)
    if isinstance(named, str):
        return f"{getattr(app, '__module__', None) or '?'}:{named}"
    found = next(_variables(app), None)
    return found or f"{type(app).__module__}.{type(app).__qualname__} object"


def _variables(value: object) -> Iterator[str]:
    """Where a value is to be had by `import`, the program itself first: `module:name`."""
    for module in dict.fromkeys(("__main__", *sys.modules)):
        variables = getattr(sys.modules.get(module), "__dict__", {})
        for name, held in list(variables.items()):
            if held is value and not name.startswith("_"):
                yield f"{module}:{name}"


def _forget_modules(folders: tuple[str, ...]) -> None:
    """Have what is watched imported again: this process was forked with the program's modules."""
    from watchfiles import Change, PythonFilter

    roots = [Path(folder).resolve() for folder in folders]
    own = Path(__file__).resolve().parent
    watched = PythonFilter()
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name == "__main__" or not isinstance(file, str):
            continue
        path = Path(file).resolve()
        ours = path.is_relative_to(own) or "site-packages" in path.parts
        inside = any(path.is_relative_to(root) for root in roots)
        if inside and not ours and watched(Change.modified, str(path)):
            del sys.modules[name]


@contextmanager
def _handlers_kept(main_thread: bool) -> Iterator[None]:
    """The program has its own signal handlers back when the server has ended."""
    numbers = (signal.SIGINT, signal.SIGTERM) if main_thread else ()
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)


@contextmanager
def _workers_end_here() -> Iterator[None]:
    """A forked worker must not go on in the program, not even in its `finally` and `with`."""
    program = os.getpid()
    try:
        yield
    except SystemExit as end:
        if os.getpid() == program:
            raise
        _end_process(end.code if isinstance(end.code, int) else 1)
    except BaseException:
        if os.getpid() == program:
            raise
        traceback.print_exc()
        _end_process(1)


def _end_process(code: int) -> NoReturn:
    """What the interpreter does at its end, as `multiprocessing` does it in its children."""
    with suppress(BaseException):
        # Joins threads; it has no public name, and types do not tell of it.
        threading._shutdown()  # type: ignore[attr-defined]
    if _state["worker"]:  # and not the watcher of files, which has the program's
        with suppress(BaseException):
            atexit._run_exitfuncs()
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    os._exit(code)
