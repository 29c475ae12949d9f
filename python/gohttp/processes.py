"""Forking, signalling and reaping child processes, for the supervisor and the reloader.

The process that forks must have no threads; it waits in `Signals` and reads what its children
say through a pipe each.
"""

import logging
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import NoReturn, Self

from gohttp import GohttpError, logs, worker

Say = Callable[[str], None]
Body = Callable[[Say], int]

logger = logging.getLogger("gohttp")

_PR_SET_PDEATHSIG = 1
_HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


class Signals:
    """Turns the signals a parent handles into a queue that can be waited for."""

    def __enter__(self) -> Self:
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._old_wakeup = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        # The handlers do nothing: the number of the signal is written to the pipe.
        self._old = {number: signal.signal(number, _nothing) for number in _HANDLED}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        frames: TracebackType | None,
    ) -> None:
        if signal.getsignal(signal.SIGCHLD) is _nothing:  # not in a forked child
            signal.set_wakeup_fd(self._old_wakeup)
            for number, handler in self._old.items():
                signal.signal(number, handler)
        os.close(self._reader)
        os.close(self._writer)

    def wait(self, children: Iterable["Child"], deadline: float | None) -> list[int]:
        """Sleep until a signal, a message of a child or `deadline`; the signals that came."""
        poll = select.poll()
        poll.register(self._reader, select.POLLIN)
        for child in children:
            if child.channel >= 0:
                poll.register(child.channel, select.POLLIN)
        poll.poll(None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000 + 1)
        try:
            return list(os.read(self._reader, 4096))
        except BlockingIOError:
            return []


@dataclass(eq=False)
class Child:
    """A forked process, as its parent knows it."""

    pid: int
    channel: int
    generation: int = 0
    ready: bool = False
    stopping: bool = False
    kill_at: float | None = None
    started: float = field(default_factory=time.monotonic)

    def messages(self) -> list[str]:
        """What the child said since the last call."""
        if self.channel < 0:
            return []
        try:
            data = os.read(self.channel, 65536)
        except BlockingIOError:
            return []
        if not data:
            self.forget()
        return data.decode().splitlines()

    def terminate(self, patience: float) -> None:
        """Ask the child to stop; `kill_overdue` ends it after `patience` seconds."""
        if not self.stopping:
            self.stopping = True
            self.kill_at = time.monotonic() + patience
            os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End the child at once."""
        self.stopping, self.kill_at = True, None
        os.kill(self.pid, signal.SIGKILL)

    def forget(self) -> None:
        """Close the parent's end of the channel."""
        if self.channel >= 0:
            os.close(self.channel)
            self.channel = -1


def fork(body: Body) -> Child:
    """Run `body` in a child process; it gets a function that sends a line to the parent, and
    returns the exit code.

    In the child this never returns: it ends in `SystemExit`, so that the app's exit handlers
    run.  The child dies with its parent, and leaves SIGINT to it: Ctrl-C reaches both.

    Raises `OSError` when the system gives no process or no pipe.
    """
    parent = os.getpid()
    reader, writer = os.pipe2(os.O_CLOEXEC)
    # No signal may come between the fork and the child's own handlers: the parent's would
    # write to the parent's pipe.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)
    try:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # nobody may read them any more
                stream.flush()
        pid = os.fork()
    except BaseException:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(reader)
        os.close(writer)
        raise
    if pid == 0:
        os.close(reader)
        _become_child(parent, before)
        _run(body, writer)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    os.close(writer)
    os.set_blocking(reader, False)
    return Child(pid, reader)


def log_refused(error: OSError, pause: float) -> None:
    """Say that `fork` got no process, and in how many seconds it will be tried again."""
    logger.error(
        "the system gives no process for a worker (%s); trying again in %.1f s",
        error.strerror or error,
        pause,
    )


def _become_child(parent: int, mask: Iterable[int]) -> None:
    signal.set_wakeup_fd(-1)
    for number in _HANDLED:
        signal.signal(number, signal.SIG_DFL)
    _die_with_parent(parent)
    worker.mark_supervised()
    signal.pthread_sigmask(signal.SIG_SETMASK, {*mask, signal.SIGINT})


def _die_with_parent(parent: int) -> None:
    if sys.platform == "linux":
        try:
            import ctypes

            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
        except (ImportError, OSError, AttributeError):  # a Python without ctypes
            pass
    if os.getppid() != parent:  # it died before we asked to be told
        raise SystemExit(1)


def _run(body: Body, writer: int) -> NoReturn:
    try:
        code = body(lambda line: _say(writer, line))
    except GohttpError as error:
        logs.report(error)
        raise SystemExit(error.exit_code) from None
    raise SystemExit(code)


def _say(writer: int, line: str) -> None:
    os.write(writer, f"{line}\n".encode())


def reap() -> Iterator[tuple[int, int]]:
    """The (pid, exit status) of every process that has ended.

    Takes orphans too: as process 1 of a container they are ours to bury.
    """
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, status


def exit_code(status: int) -> int:
    """The exit code of a process that ended by itself, else 128 + the signal's number."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def describe(status: int) -> str:
    """How a process ended, for people: `exit code 3` or `killed by SIGSEGV`."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def _nothing(number: int, frame: object) -> None:
    """A signal handler in Python's sense, so that the wake-up pipe gets the signal."""
