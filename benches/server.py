"""A peer's life: start on a core and a port, give the exact answer, stop."""

import http.client
import itertools
import os
import signal
import socket
import subprocess
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

from . import http2_load
from .measure import pinned
from .peers import last_line
from .places import APPS, CACHE
from .scenarios import Check

HOST = "127.0.0.1"
START_SECONDS, STOP_SECONDS = 20.0, 5.0
PORTS = itertools.cycle(range(18_000, 28_000))  # below those the kernel gives to clients


class Failure(Exception):
    """The server did not start, answered wrongly or fell over."""


def free_port() -> int:
    """A port nothing listens on, and not the one used just before."""
    for port in PORTS:
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            return port
    raise AssertionError("the cycle never ends")


class Server:
    """A context manager: inside it the server answers."""

    def __init__(
        self,
        name: str,
        command: list[str],
        env: dict[str, str],
        port: int,
        cores: int | set[int],
    ):
        self._command, self._env, self._cores = command, env, cores
        self.port = port
        logs = CACHE / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        self._log = logs / f"{name}.log"

    def __enter__(self) -> Self:
        with pinned(self._cores), self._log.open("w") as log:
            try:
                self._child = subprocess.Popen(
                    self._command,
                    cwd=APPS,
                    env=self._env,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                raise Failure(f"could not be started: {error.strerror}") from error
        try:
            self._await()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    @property
    def pid(self) -> int:
        """The process at the root of the server's tree."""
        return self._child.pid

    @property
    def base(self) -> str:
        """The address before the path."""
        return f"http://{HOST}:{self.port}"

    def check(self, check: Check) -> None:
        """Insist on an exact answer."""
        method = "GET" if check.posted is None else "POST"
        try:
            if check.http2:
                status, body = http2_load.get(self.base + check.path)
            else:
                status, body = self._ask(method, check)
        except (OSError, http.client.HTTPException) as error:
            raise Failure(f"{method} {check.path}: {error or type(error).__name__}") from error
        if status != 200 or body != check.expected:
            told = body[:40] if len(body) <= 4096 else f"{len(body)} bytes"
            raise Failure(f"{method} {check.path} was answered {status} {told!r}")

    def insist_alive(self) -> None:
        """Failure if the process has ended."""
        if self._child.poll() is not None:
            raise Failure(f"ended by itself ({self._last_words()})")

    def _ask(self, method: str, check: Check) -> tuple[int, bytes]:
        client = http.client.HTTPConnection(HOST, self.port, timeout=10)
        try:
            client.request(method, check.path, check.posted)
            response = client.getresponse()
            return response.status, response.read()
        finally:
            client.close()

    def _await(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._child.poll() is not None:
                raise Failure(f"did not start: {self._last_words()}")
            with suppress(OSError), socket.create_connection((HOST, self.port), 1):
                return
            time.sleep(0.02)
        raise Failure(f"was not listening after {START_SECONDS:.0f} s")

    def _last_words(self) -> str:
        return last_line(self._log.read_text(errors="replace")) or (
            f"exit status {self._child.returncode}"
        )

    def _stop(self) -> None:
        """Ask the server to end; then end whatever is left of its group."""
        if self._child.poll() is None:
            self._child.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(STOP_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()
