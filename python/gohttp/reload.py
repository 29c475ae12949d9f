"""`--reload`: one worker, restarted whenever a .py file changes; the socket stays open.

Three processes: this one has no threads and forks the other two, the watcher (watchfiles has
threads) and the worker.
"""

import importlib.util
import logging
import math
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from gohttp import GohttpError, processes
from gohttp.config import Config, ConfigError
from gohttp.processes import Body, Child, Say, Signals

logger = logging.getLogger("gohttp")

_PATIENCE = 3.0  # seconds a worker has to finish its requests before the new code starts
_PAUSE = 1.0  # seconds before another process is asked for when there was none


def check(config: Config) -> tuple[str, ...]:
    """The directories to watch; raises `ConfigError` when that is not possible."""
    if importlib.util.find_spec("watchfiles") is None:
        raise ConfigError(
            "--reload needs a package that is not installed; run: pip install watchfiles."
        )
    folders = config.reload_dir or (config.app_dir,)
    for folder in folders:
        if not Path(folder).is_dir():
            raise ConfigError(f"--reload-dir {folder} is not a directory; give one to watch.")
    return folders


class Reloader:
    """Runs the worker and the watcher until SIGTERM or SIGINT."""

    def __init__(
        self,
        folders: tuple[str, ...],
        body: Body,
        on_ready: Callable[[str], None],
        on_stop: Callable[[], None],
    ) -> None:
        """`body` runs in the worker and says its interface when ready.

        `on_ready` is called with that interface the first time, `on_stop` before the worker is told
        to stop for good.
        """
        self._folders = folders
        self._body = body
        self._on_ready: Callable[[str], None] | None = on_ready
        self._on_stop = on_stop
        self._worker: Child | None = None
        self._watcher: Child | None = None
        self._retry_at = math.inf  # when to start a worker for whom there was no process
        self._stopping = False
        self._exit_code = 0

    def run(self) -> int:
        """Reload until told to stop; the exit code."""
        with Signals() as signals:
            try:
                self._watcher = processes.fork(lambda say: _watch(self._folders, say))
            except OSError as error:
                raise GohttpError(
                    "The system gives no process to watch for changes "
                    f"({error.strerror or error}); end others, or start without --reload."
                ) from None
            self._start_worker()
            while children := [c for c in (self._watcher, self._worker) if c is not None]:
                for number in signals.wait(children, self._kill_overdue(children)):
                    self._handle(number)
                if self._retry_at <= time.monotonic() and not self._stopping:
                    self._start_worker()
                self._listen()
                for pid, status in processes.reap():
                    self._bury(pid, status)
        return self._exit_code

    def _start_worker(self) -> None:
        self._retry_at = math.inf
        try:
            self._worker = processes.fork(self._body)
        except OSError as error:
            self._retry_at = time.monotonic() + _PAUSE
            processes.log_refused(error, _PAUSE)

    def _listen(self) -> None:
        if self._worker is not None:
            for interface in self._worker.messages():
                self._worker.ready = True
                if self._on_ready is not None:
                    self._on_ready(interface)
                    self._on_ready = None
                else:
                    logger.info("ready again, worker %d", self._worker.pid)
        changed = self._watcher.messages() if self._watcher is not None else []
        if changed and not self._stopping:
            logger.info("%s changed; restarting", ", ".join(changed[:3]))
            if self._worker is None:
                self._start_worker()
            else:
                self._worker.terminate(_PATIENCE)

    def _bury(self, pid: int, status: int) -> None:
        how = processes.describe(status)
        if self._worker is not None and pid == self._worker.pid:
            restart = self._worker.stopping
            self._worker.forget()
            self._worker = None
            if self._stopping:
                return
            if restart:
                self._start_worker()
            elif processes.exit_code(status) == 0:  # the app asked for the end
                self._stop(0)
            else:
                logger.error("the worker ended (%s); waiting for a .py file to change", how)
        elif self._watcher is not None and pid == self._watcher.pid:
            self._watcher.forget()
            self._watcher = None
            if not self._stopping:
                logger.error("the watcher of .py files ended (%s); stopping", how)
                self._stop(1)

    def _handle(self, number: int) -> None:
        if number not in (signal.SIGTERM, signal.SIGINT):
            return
        if not self._stopping:
            self._stop(0)
            return
        self._exit_code = 128 + number
        for child in (self._watcher, self._worker):
            if child is not None:
                child.kill()

    def _stop(self, code: int) -> None:
        self._stopping, self._exit_code = True, code
        self._on_stop()
        for child in (self._watcher, self._worker):
            if child is not None:
                child.terminate(_PATIENCE)

    def _kill_overdue(self, children: list[Child]) -> float | None:
        """Kill what did not stop in time; when to look again."""
        for child in children:
            if child.kill_at is not None and child.kill_at <= time.monotonic():
                logger.warning("process %d did not stop in time; killing it", child.pid)
                child.kill()
        moments = [c.kill_at for c in children if c.kill_at is not None]
        if not self._stopping and self._retry_at < math.inf:
            moments.append(self._retry_at)
        return min(moments, default=None)


def _watch(folders: tuple[str, ...], say: Say) -> int:
    """The watcher's whole life: say the name of each .py file that changed."""
    from watchfiles import PythonFilter, watch

    for changes in watch(*folders, watch_filter=PythonFilter(), step=50, debounce=400):
        say("\n".join(sorted({os.path.relpath(path) for _, path in changes})))
    return 0
