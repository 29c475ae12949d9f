"""Native `async def` handlers: tasks of an event loop, the apps' or one of their own."""

import asyncio
import inspect
import logging
import threading
from collections.abc import Awaitable

from gohttp import _stacks
from gohttp._gohttp import Request, ResponseWriter
from gohttp._slow_loop import SlowLoop
from gohttp._timeout import RequestTimeout
from gohttp.logs import were

_LAST_MOMENT = 1.0  # seconds
_AFTER_THE_ANSWER = 0.5  # seconds by which a connection may answer 504 late

logger = logging.getLogger("gohttp.server")


class _Running:
    """A handler that has not ended."""

    def __init__(
        self, host: "Coroutines", task: "asyncio.Task[None]", w: ResponseWriter, req: Request
    ) -> None:
        self.task, self.w, self.req = task, w, req
        self._host = host
        self._timer: asyncio.TimerHandle | None = None

    def arm(self, loop: asyncio.AbstractEventLoop) -> None:
        """Set the timer by what the handler may still take."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        left = self._host.time_left(self.req)
        if left is not None and not self.task.done():
            self._timer = loop.call_later(left + _AFTER_THE_ANSWER, self._host.end_late, self)

    def describe(self) -> str:
        """Method and path as sent, for the log: what is decoded could be more than one line."""
        path = self.req.url.partition("?")[0]
        return f"{self.req.method} {path}".encode("ascii", "backslashreplace").decode()

    def limit(self, usual: float) -> str:
        """What it has gone beyond, for the log."""
        if self.req._time_left(-1.0) == -1.0:
            return f"request_timeout ({usual:g} s)"
        return "it may (set_deadline)"

    def end(self, task: "asyncio.Task[None]") -> None:
        self._host.tasks.discard(task)
        _all.pop(self.req, None)
        if self._timer is not None:
            self._timer.cancel()


_all: dict[Request, _Running] = {}
"""What runs in this process, by its request."""


def deadline_changed(req: Request) -> None:
    """The handler of `req` has said how long it may take; from any thread."""
    running = _all.get(req)
    if running is not None:
        loop = running.task.get_loop()
        loop.call_soon_threadsafe(running.arm, loop)


class Coroutines:
    """Handlers of one loop, each a task with its response."""

    def __init__(self, request_timeout: float) -> None:
        self.tasks: set[asyncio.Task[None]] = set()
        self._timeout = request_timeout
        self._loop: asyncio.AbstractEventLoop | None = None
        self._late: set[asyncio.Task[None]] = set()
        self._stopping = False

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Say which loop it is."""
        self._loop = loop

    def run(self, coroutine: Awaitable[object], w: ResponseWriter, req: Request) -> None:
        """Run a handler's coroutine to its end, then end its response. From any thread."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._start, coroutine, w, req)

    def cancel(self) -> None:
        """The server has stopped: whoever still runs has lost his client."""
        self._stopping = True
        for task in self.tasks:
            task.cancel()

    def _start(self, coroutine: Awaitable[object], w: ResponseWriter, req: Request) -> None:
        assert self._loop is not None
        task = self._loop.create_task(self._handle(coroutine, w, req))
        self.tasks.add(task)
        running = _Running(self, task, w, req)
        _all[req] = running
        task.add_done_callback(running.end)
        running.arm(self._loop)

    def time_left(self, req: Request) -> float | None:
        """Seconds that a handler may still take; None for as long as it likes."""
        return req._time_left(self._timeout or None)

    def end_late(self, running: "_Running") -> None:
        """Cancel a handler whose time is up."""
        if running.w._taken_over():
            return
        left = running.req._time_left(0.0)
        if self._loop is not None and (left is None or left > 0):
            running.arm(self._loop)  # it has just got more
            return
        logging.getLogger("gohttp.error").warning(
            "%s took longer than %s; its task is cancelled. It waited here:\n%s",
            running.describe(),
            running.limit(self._timeout),
            _stacks.of_task(running.task),
        )
        self._late.add(running.task)
        running.task.cancel()

    async def _handle(self, coroutine: Awaitable[object], w: ResponseWriter, req: Request) -> None:
        error: BaseException | None = None
        try:
            w._returned(await coroutine)
        except asyncio.CancelledError as cancelled:
            task = asyncio.current_task()
            if task in self._late:
                self._late.discard(task)
                error = RequestTimeout("the handler did not end in time")
            elif not self._stopping:  # else nobody is there to be told
                error = cancelled
        except BaseException as raised:  # SystemExit too: it is the handler's, not the loop's
            error = raised
        w._end(req, error)


class CoroutineThread:
    """A loop on a thread of its own, started by the first `async def` handler."""

    def __init__(self, request_timeout: float, slow_callback: float) -> None:
        """`slow_callback`: after how many seconds a handler that keeps the loop is logged, or 0."""
        self._coroutines = Coroutines(request_timeout)
        self._slow_callback = slow_callback
        self._slow: SlowLoop | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()

    def run(self, coroutine: Awaitable[object], w: ResponseWriter, req: Request) -> None:
        """As `Coroutines.run`."""
        with self._lock:
            if self._loop is None:
                try:
                    self._loop = self._start()
                except BaseException:
                    if inspect.iscoroutine(coroutine):
                        coroutine.close()
                    raise
        self._coroutines.run(coroutine, w, req)

    def _start(self) -> asyncio.AbstractEventLoop:
        """A loop that turns; raises `RuntimeError` when the system gives no thread."""
        loop = asyncio.new_event_loop()
        self._coroutines.begin(loop)
        thread = threading.Thread(target=_turn, args=(loop,), name="gohttp-async", daemon=True)
        try:
            thread.start()
        except BaseException:
            loop.close()
            raise
        if self._slow_callback and thread.ident is not None:
            tasks = self._coroutines.tasks
            self._slow = SlowLoop(loop, thread.ident, self._slow_callback, lambda: bool(tasks))
            try:
                self._slow.start()
            except RuntimeError as error:
                logger.warning("What keeps the event loop will not be logged: %s.", error)
        return loop

    def stop(self) -> tuple[bool, bool]:
        """End the loop; whether its handlers had ended, and whether all that they left has."""
        if self._loop is None:
            return True, True
        if self._slow is not None:
            self._slow.end()
        ending = asyncio.run_coroutine_threadsafe(self._end(), self._loop)
        try:
            in_time = ending.result(2 * _LAST_MOMENT)
        except TimeoutError:
            logger.warning("Async handlers, or threads that they started, still run: abandoned.")
            return False, False
        self._loop.call_soon_threadsafe(self._loop.stop)
        return in_time, True

    async def _end(self) -> bool:
        tasks = set(self._coroutines.tasks)
        self._coroutines.cancel()
        in_time = True
        if tasks:
            # As handlers on threads, which hear of their clients' going, they have a moment for it.
            _, running = await asyncio.wait(tasks, timeout=_LAST_MOMENT)
            if running:
                logger.warning("%s still running at the stop.", were(len(running), "async handler"))
                await asyncio.wait(running)
                in_time = False
        await asyncio.get_running_loop().shutdown_default_executor()
        return in_time


def _turn(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    loop.close()
