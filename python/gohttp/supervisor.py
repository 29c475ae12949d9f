"""Several workers: start them, replace the dead, restart them in turn, stop them all.

The supervisor imports no app and starts no thread; the sockets are open before it forks.
"""

import logging
import math
import os
import signal
import time
from collections.abc import Callable

from gohttp import processes
from gohttp.logs import count
from gohttp.processes import Body, Child, Signals

logger = logging.getLogger("gohttp")

_KILL_AFTER = 5.0  # seconds beyond the graceful time-out, which a worker keeps by itself
_STABLE_AFTER = 5.0  # a worker that lived this long was no failed start
_LONGEST_PAUSE = 30.0


class Supervisor:
    """Keeps `count` workers running until SIGTERM or SIGINT; SIGHUP restarts them in turn."""

    def __init__(
        self,
        count: int,
        body: Body,
        graceful_timeout: float,
        on_ready: Callable[[str], None],
        on_stop: Callable[[], None],
    ) -> None:
        """`body` runs in each worker and says its interface when ready.

        `on_ready` is called once, with that interface, when all workers are; `on_stop` before they
        are told to stop.
        """
        self._count = count
        self._body = body
        self._patience = graceful_timeout + _KILL_AFTER
        self._on_ready: Callable[[str], None] | None = on_ready
        self._on_stop = on_stop
        self._workers: dict[int, Child] = {}
        self._generation = 0
        self._proven = -1  # the newest generation of which a worker became ready
        self._failures = 0
        self._next_start = -math.inf
        self._stopping = False
        self._exit_code = 0

    def run(self) -> int:
        """Supervise until told to stop; the exit code."""
        with Signals() as signals:
            while True:
                self._kill_overdue()
                if self._stopping and not self._workers:
                    return self._exit_code
                self._start_missing()
                for number in signals.wait(self._workers.values(), self._deadline()):
                    self._handle(number)
                for worker in list(self._workers.values()):
                    self._listen_to(worker)
                for pid, status in processes.reap():
                    worker_or_orphan = self._workers.pop(pid, None)
                    if worker_or_orphan is not None:
                        self._bury(worker_or_orphan, status)

    def _live(self) -> list[Child]:
        return [worker for worker in self._workers.values() if not worker.stopping]

    def _old(self) -> list[Child]:
        return [worker for worker in self._live() if worker.generation != self._generation]

    def _pids(self) -> str:
        return ", ".join(str(worker.pid) for worker in self._live())

    def _start_missing(self) -> None:
        """Start what is missing; the first worker of a generation goes ahead of the others.

        So an app that cannot be imported tells so once, and a restart with broken code leaves
        the old workers alone.
        """
        while not self._stopping and time.monotonic() >= self._next_start:
            live, old = self._live(), self._old()
            starting = any(not worker.ready for worker in live)
            if starting and (old or self._proven < self._generation):
                return
            if len(live) >= self._count + (1 if old else 0):
                return
            try:
                child = processes.fork(self._body)
            except OSError as error:
                processes.log_refused(error, self._pause())
                return
            child.generation = self._generation
            self._workers[child.pid] = child
            logger.debug("worker %d started", child.pid)

    def _listen_to(self, worker: Child) -> None:
        for interface in worker.messages():
            worker.ready = True
            self._proven = max(self._proven, worker.generation)
            live, old = self._live(), self._old()
            if old and len(live) > self._count and not worker.stopping:
                old[0].terminate(self._patience)
                if len(old) == 1:
                    logger.info("all workers are restarted: %s", self._pids())
            if self._on_ready and sum(each.ready for each in live) >= self._count:
                self._on_ready(interface)
                self._on_ready = None

    def _bury(self, worker: Child, status: int) -> None:
        self._listen_to(worker)  # it may have become ready and died between two looks
        worker.forget()
        if worker.stopping:
            # It has cut requests, or crashed; killing it is noted elsewhere.
            well = processes.exit_code(status) in (0, 128 + signal.SIGTERM)
            if self._stopping and worker.ready and self._exit_code == 0 and not well:
                self._exit_code = 1
            return
        how = processes.describe(status)
        if not worker.ready and self._proven < 0:
            # A worker that ended by itself has said why.
            level = logging.DEBUG if os.WIFEXITED(status) else logging.ERROR
            logger.log(level, "the first worker did not start (%s); stopping", how)
            self._stop(processes.exit_code(status) or 1)
        elif not worker.ready and self._proven < worker.generation:
            logger.error("restart given up: the new worker did not start (%s)", how)
            self._generation = self._proven
        elif worker.ready and time.monotonic() - worker.started >= _STABLE_AFTER:
            self._failures = 0
            logger.warning("worker %d died (%s); starting another", worker.pid, how)
        else:
            logger.warning(
                "worker %d died young (%s); starting another in %.1f s",
                worker.pid,
                how,
                self._pause(),
            )

    def _pause(self) -> float:
        """Start nothing for a while, for longer with each failure; how many seconds."""
        self._failures += 1
        pause: float = min(0.1 * 2 ** min(self._failures, 20), _LONGEST_PAUSE)
        self._next_start = time.monotonic() + pause
        return pause

    def _handle(self, number: int) -> None:
        if number in (signal.SIGTERM, signal.SIGINT):
            if not self._stopping:
                stopping = count(len(self._workers), "worker")
                logger.info("stopping %s; once more to stop at once", stopping)
                self._stop(0)
            else:
                self._exit_code = 128 + number
                for worker in self._workers.values():
                    worker.kill()
        elif number == signal.SIGHUP and not self._stopping:
            restarting = count(self._count, "worker")
            logger.info("restarting %s in turn: %s", restarting, self._pids())
            self._generation += 1

    def _stop(self, code: int) -> None:
        self._stopping, self._exit_code = True, code
        self._on_stop()
        for worker in self._workers.values():
            worker.terminate(self._patience)

    def _kill_overdue(self) -> None:
        for worker in self._workers.values():
            if worker.kill_at is not None and worker.kill_at <= time.monotonic():
                logger.warning("worker %d did not stop in time; killing it", worker.pid)
                worker.kill()
                if self._stopping and self._exit_code == 0:
                    self._exit_code = 1

    def _deadline(self) -> float | None:
        """When to look again although nothing happened."""
        moments = [w.kill_at for w in self._workers.values() if w.kill_at is not None]
        if not self._stopping and self._next_start > time.monotonic():
            moments.append(self._next_start)
        return min(moments, default=None)
