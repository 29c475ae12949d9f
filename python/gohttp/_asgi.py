"""The event loop under an ASGI app, with the engine on its thread or beside it."""

import asyncio
import inspect
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import Any, cast

from gohttp import GohttpError, _gohttp, early_stop, sockets
from gohttp._coroutines import Coroutines
from gohttp._selector import EngineSelector
from gohttp.abrupt_end import end_with_threads_running
from gohttp.interface import kind
from gohttp.lifespan import AsgiApp, Lifespan
from gohttp.logs import were
from gohttp.mux import Mux

logger = logging.getLogger("gohttp.server")

_TICK = 0.25  # seconds between two looks at who is too late


Ends = tuple[bool, bool]  # whether all requests ended in time, and whether they ended at all
_States = list[dict[str, Any] | None]


OnReady = Callable[[_gohttp.AsgiEngine], None]


def serve(app: object, settings: Any, listening: list[socket.socket], on_ready: OnReady) -> Ends:
    """Serve an ASGI app, or a `Mux` with ASGI apps in it, until it is told to stop.

    Returns how its requests ended. Raises `GohttpError` when an app refuses to start.
    """
    host = _host(settings)
    served = _served(app)
    try:
        with asyncio.Runner(loop_factory=host.new_loop) as runner:
            # One root task from start to end: anyio hangs its worker threads on it.
            try:
                ends = runner.run(_main(served, host, settings, listening, on_ready))
            except early_stop.EarlyStop:
                # It has ended the loop, not its tasks: apps that have started hear of it.
                runner.run(_end(served.started, settings.graceful_timeout))
                raise
            if not ends[1] and settings.handle_signals:
                # The runner would wait for what does not end.
                end_with_threads_running()
            return ends
    finally:
        host.forget()
        _wake_by(-1)


async def serve_on_running_loop(
    app: object, settings: Any, listening: list[socket.socket], on_ready: OnReady
) -> Ends:
    """The same on the caller's loop, whose other tasks are its own; the engine is beside it."""
    host = _Beside(asyncio.new_event_loop, guest=True)
    try:
        return await _main(_served(app), host, settings, listening, on_ready)
    finally:
        host.forget()


def _served(app: object) -> "_OneApp | _Site":
    return _Site(app) if isinstance(app, Mux) else _OneApp(cast(AsgiApp, app))


def _host(settings: Any) -> "_Host":
    if settings.loop in ("auto", "asyncio"):
        return _OnOneThread()
    if settings.loop == "uvloop":
        import uvloop

        return _Beside(uvloop.new_event_loop)
    return _Beside(_theirs(settings.loop, settings.app_dir))


def _theirs(loop: str, app_dir: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """The function that `--loop module:factory` names."""
    from gohttp.importer import ImporterError, load_factory

    make = load_factory(loop, "--loop", app_dir)

    def new_loop() -> asyncio.AbstractEventLoop:
        made = make()
        if not isinstance(made, asyncio.AbstractEventLoop):
            raise ImporterError(f"--loop {loop} gave {kind(made)}, which is not an event loop.")
        logger.info(
            "The event loop of --loop %s cannot host the engine, which runs on a second thread.",
            loop,
        )
        return made

    return new_loop


class _OnOneThread:
    """asyncio and the engine on this thread: the engine is asyncio's selector."""

    guest = False

    def __init__(self) -> None:
        self.engine = _gohttp.AsgiEngine()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped: asyncio.Event | None = None

    def new_loop(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.SelectorEventLoop(EngineSelector(self.engine, self._on_stopped))
        _wake_for_signals(loop)
        # For call_soon_threadsafe(): no byte through a socket pair, and none at all while the
        # loop is awake. The method is asyncio's own, and its types do not tell of it; a loop that
        # had none would go on as before.
        loop._write_to_self = self.engine.wake  # type: ignore[attr-defined]
        self._loop = loop
        return loop

    def _on_stopped(self) -> None:
        if self._stopped is not None:
            self._stopped.set()

    async def run(self) -> None:
        self._stopped = asyncio.Event()
        await self._stopped.wait()

    def close(self) -> None:
        """Nothing is to be done: the loop closes its selector."""

    def forget(self) -> None:
        """The loop is closed: it has the engine no more, which has it, and descriptors."""
        if self._loop is not None:
            del self._loop._write_to_self  # type: ignore[attr-defined]


def _wake_for_signals(loop: asyncio.AbstractEventLoop) -> None:
    """Have Python's own signal handlers run at once: the engine sleeps through signals."""
    pipe = getattr(loop, "_csock", None)  # what asyncio uses for its own handlers
    if pipe is not None:
        _wake_by(pipe.fileno())


def _wake_by(descriptor: int) -> None:
    if threading.current_thread() is threading.main_thread():
        # In a Rust program, threading of 3.11 and 3.12 may take another thread for the main one.
        with suppress(ValueError):
            signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)


class _Beside:
    """Another loop on this thread, the engine on a second; an eventfd rings once for a batch."""

    def __init__(
        self, new_loop: Callable[[], asyncio.AbstractEventLoop], *, guest: bool = False
    ) -> None:
        self.new_loop = new_loop
        self.guest = guest  # on a loop that is somebody else's
        self._stopped: asyncio.Event | None = None
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.engine = _gohttp.AsgiEngine(os.dup(self._bell))

    def _rung(self) -> None:
        os.eventfd_read(self._bell)
        self.engine.process()

    async def run(self) -> None:
        """Wait until the server has stopped."""
        if self._stopped is None:
            self._stopped = stopped = asyncio.Event()
            loop = asyncio.get_running_loop()

            def drive() -> None:
                self.engine.run()
                loop.call_soon_threadsafe(stopped.set)

            loop.add_reader(self._bell, self._rung)
            threading.Thread(target=drive, name="gohttp-engine", daemon=True).start()
        await self._stopped.wait()

    def close(self) -> None:
        """No request is left whom the engine could tell something."""
        asyncio.get_running_loop().remove_reader(self._bell)

    def forget(self) -> None:
        """The server has ended, or has never begun."""
        os.close(self._bell)


_Host = _OnOneThread | _Beside


def as_coroutine_function(app: AsgiApp) -> AsgiApp:
    """`app`, such that nothing of it runs before its task does: it has a context of its own."""
    call = getattr(type(app), "__call__", None)  # noqa: B004
    if inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(call):
        return app

    async def in_task(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)

    return in_task


class _OneApp:
    """An app that has the server for itself."""

    def __init__(self, app: AsgiApp) -> None:
        self.apps = [("The app", app)]
        self.coroutines = Coroutines(0)
        self.started: list[Lifespan] = []

    def start(
        self,
        engine: _gohttp.AsgiEngine,
        settings: Any,
        listening: list[socket.socket],
        states: _States,
    ) -> None:
        loop = asyncio.get_running_loop()
        descriptors = sockets.hand_over(listening)
        engine.start(self.apps[0][1], loop, settings, descriptors, states[0])


class _Site:
    """The apps of a `Mux`, and beside them what runs on threads."""

    def __init__(self, mux: Mux) -> None:
        self._routes = mux._routes
        mounted = self._routes.asgi_apps()
        # An app that is mounted twice lives once.
        self.apps = list(
            {id(app): (f"The app at {at or '/'}", app) for at, app in mounted}.values()
        )
        self._places = [
            next(i for i, (_, app) in enumerate(self.apps) if app is m) for _, m in mounted
        ]
        self.coroutines = Coroutines(0)
        self.started: list[Lifespan] = []

    def start(
        self,
        engine: _gohttp.AsgiEngine,
        settings: Any,
        listening: list[socket.socket],
        states: _States,
    ) -> None:
        self.coroutines = Coroutines(settings.request_timeout)
        self.coroutines.begin(asyncio.get_running_loop())
        run = self.coroutines.run
        of_mounts = [states[place] for place in self._places]
        descriptors = sockets.hand_over(listening)
        _gohttp.start_site(engine, self._routes, run, settings, descriptors, of_mounts)


async def _main(
    served: _OneApp | _Site,
    host: _Host,
    settings: Any,
    listening: list[socket.socket],
    on_ready: OnReady,
) -> Ends:
    lifespans = [Lifespan(app, settings.lifespan, name) for name, app in served.apps]
    started = served.started
    states: _States = []
    try:
        with early_stop.watching() if settings.handle_signals else nullcontext():
            for lifespan in lifespans:
                try:
                    states.append(await lifespan.startup())
                except GohttpError:
                    early_stop.check()  # then it is no refusal
                    raise
                early_stop.check()
                started.append(lifespan)
        served.start(host.engine, settings, listening, states)
    except BaseException:
        await _end(started, settings.graceful_timeout)
        raise
    failed: BaseException | None = None
    try:
        on_ready(host.engine)
    except BaseException as error:  # raised once the server has ended, which only we can see to
        failed = error
        host.engine.drain(0)
    cancelled: asyncio.CancelledError | None = None
    try:
        await host.run()
    except asyncio.CancelledError as error:
        if not host.guest:
            raise
        cancelled = error
        host.engine.drain()
        await host.run()
    host.engine.process()  # what came with the last turn
    in_time, clean = await _wait_for_tasks(host, served.coroutines)
    threads_ended = await _threads_ended(host.engine)
    await _end(started, host.engine.remaining())
    rest_ended = host.guest or await _end_the_rest(host.engine.remaining())
    host.close()
    _gohttp.flush_logging()
    if failed is not None:
        raise failed
    if cancelled is not None:
        raise cancelled
    ended = threads_ended and rest_ended
    return in_time and ended, clean and ended


async def _end_the_rest(timeout: float) -> bool:
    """Cancel the app's own tasks and wait for its executor's threads; whether all have ended."""
    loop = asyncio.get_running_loop()
    tasks = asyncio.all_tasks() - {cast("asyncio.Task[object]", asyncio.current_task())}
    for task in tasks:
        task.cancel()
    executor = loop.create_task(loop.shutdown_default_executor())
    _, running = await asyncio.wait({*tasks, executor}, timeout=timeout)
    if not running:
        return True
    logger.warning(
        "%s still running after graceful_timeout, and abandoned; threads of its executor: %s.",
        were(len(running - {executor}), "task of the app"),
        "some too" if executor in running else "none",
    )
    return False


async def _threads_ended(engine: _gohttp.AsgiEngine) -> bool:
    """Wait for handlers on threads, on a thread more: they may need the loop and its executor."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[bool] = loop.create_future()

    def wait() -> None:
        result = engine.finish_threads()
        loop.call_soon_threadsafe(ended.set_result, result)

    threading.Thread(target=wait, name="gohttp-stop", daemon=True).start()
    return await ended


async def _end(lifespans: list[Lifespan], timeout: float) -> None:
    """Tell apps, the last to start first, that the last request has ended."""
    deadline = time.monotonic() + timeout
    for lifespan in reversed(lifespans):
        await lifespan.shutdown(max(deadline - time.monotonic(), 1.0))


async def _wait_for_tasks(host: _Host, coroutines: Coroutines) -> Ends:
    """Background work goes on after its response; it gets as long as a stop may take."""
    # `remaining` is at least 1. Where connections took all the time, they were cut.
    cut = host.engine.remaining(1) <= 1
    timeout = host.engine.remaining()
    tasks = set(host.engine.tasks() or ()) | coroutines.tasks
    if not tasks:
        return True, True
    deadline = time.monotonic() + timeout
    running = tasks
    while running and (left := deadline - time.monotonic()) > 0:
        _, running = await asyncio.wait(running, timeout=min(left, _TICK))
        # The server has stopped: late requests would be waited for as if they had no time-out.
        host.engine.tick()
    if not running:
        return True, True
    coroutines.cancel()
    for task in running:
        task.cancel()
    logger.warning("%s still running after graceful_timeout.", were(len(running), "request"))
    _, running = await asyncio.wait(running, timeout=1)
    return not cut, not running
