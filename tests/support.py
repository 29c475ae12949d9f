"""What all test folders share: a running server.  The client that sees every byte is in wire.py."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from wire import TIMEOUT, RawConnection, Response

__all__ = [
    "TIMEOUT",
    "RawConnection",
    "Response",
    "Server",
    "clean_environment",
    "free_port",
    "gohttp_serve",
    "run_gohttp",
    "start",
    "wait_until",
]

STOP_TIMEOUT = 15.0

_LISTENING = re.compile(r"^\s+listening\s+(?:http://(?P<host>.+):(?P<port>\d+)|unix:(?P<uds>.+))$")
_READY = re.compile(r"^\s+ready\s")


def free_port() -> int:
    """A port that was free a moment ago; prefer `gohttp_serve`, which cannot lose it again."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def wait_until(condition, what: str, timeout: float = TIMEOUT):
    """The first true value of `condition()`; fails naming `what` after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"waited {timeout} s in vain for {what}"
        time.sleep(0.01)


def rss(pid: int) -> int:
    """Resident memory of a process, in bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


class _Lines:
    """Reads a pipe in a thread, so that the server never blocks on it."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._lines: list[str] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        for line in self._pipe:
            self._lines.append(line.decode(errors="replace").rstrip("\n"))

    def get(self) -> list[str]:
        return list(self._lines)

    def close(self) -> None:
        self._thread.join(TIMEOUT)
        if not self._thread.is_alive():
            self._pipe.close()


@dataclass
class Server:
    """A `gohttp serve` in a process of its own."""

    process: subprocess.Popen[bytes]
    stderr: _Lines
    stdout: _Lines
    host: str = "127.0.0.1"
    port: int = 0
    uds: str | None = None

    @property
    def url(self) -> str:
        """`http://host:port`, without a slash at the end."""
        return f"http://{self.host}:{self.port}"

    @property
    def pid(self) -> int:
        return self.process.pid

    def log(self) -> list[str]:
        """The lines on stderr so far."""
        return self.stderr.get()

    def output(self) -> list[str]:
        """The lines on stdout so far: the access log, and what the app prints."""
        return self.stdout.get()

    def wait_for_log(self, pattern: str, timeout: float = TIMEOUT) -> str:
        """The first line on stderr that contains the regular expression."""
        return wait_until(
            lambda: next((line for line in self.log() if re.search(pattern, line)), None),
            f"{pattern!r} in the server's log",
            timeout,
        )

    def connect(self, timeout: float = TIMEOUT) -> RawConnection:
        """A new connection to the server; use it as a context manager."""
        return RawConnection(self.uds or (self.host.strip("[]"), self.port), timeout=timeout)

    def get(self, path: str = "/", headers: Sequence[tuple[str, str]] = ()) -> Response:
        """One GET on a connection of its own."""
        return self.request("GET", path, headers)

    def request(
        self,
        method: str,
        path: str = "/",
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> Response:
        """One request on a connection of its own; Host, Content-Length and close are added."""
        with self.connect() as connection:
            connection.send_request(method, path, [*headers, ("Connection", "close")], body)
            return connection.read_response(head=method == "HEAD")

    def signal(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def wait(self, timeout: float = STOP_TIMEOUT) -> int:
        """The exit code, once the server has ended."""
        return self.process.wait(timeout)


@contextmanager
def gohttp_serve(
    target: str,
    *options: str,
    cwd: str | Path | None = None,
    env: Mapping[str, str] | None = None,
    workers: int = 1,
    exit_code: int | None = 0,
    ready_timeout: float = 20.0,
) -> Iterator[Server]:
    """Run `python -m gohttp serve TARGET OPTIONS` and wait until it accepts and says so.

    It listens on a free port unless `options` say where.  At the end it gets SIGTERM and must
    exit with `exit_code` (None: any) in time, unless the test ended it itself.  `--log-level`
    must not be above info: the ready line would be missing.
    """
    command = [sys.executable, "-m", "gohttp", "serve", target, *options]
    if workers != 1:
        command += ["--workers", str(workers)]
    if not any(o.partition("=")[0] in ("--port", "-p", "--uds") for o in options):
        command += ["--port", "0"]
    server = start(command, cwd=cwd, env=env)
    failed = True
    try:
        _wait_ready(server, ready_timeout)
        yield server
        failed = False
    finally:
        code, in_time = _stop(server)
        # pytest shows this only when the test fails.
        for name, lines in (("stderr", server.log()), ("stdout", server.output())):
            text = "".join(f"    {line}\n" for line in lines)
            sys.stderr.write(f"--- server {name} (exit code {code})\n{text}")
    if not failed:
        assert in_time, f"the server did not stop within {STOP_TIMEOUT} s of SIGTERM"
        assert exit_code is None or code == exit_code, f"the server exited with {code}"


def start(
    command: Sequence[str],
    *,
    cwd: str | Path | None = None,
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
) -> Server:
    """Start `command`; nothing is waited for, and the caller must end it."""
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=clean_environment(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=pass_fds,
    )
    assert process.stderr is not None
    assert process.stdout is not None
    return Server(process, _Lines(process.stderr), _Lines(process.stdout))


def run_gohttp(
    *arguments: str,
    cwd: str | Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 20.0,
) -> subprocess.CompletedProcess[str]:
    """Run `python -m gohttp ARGUMENTS` to its end, for commands that are to fail."""
    return subprocess.run(
        [sys.executable, "-m", "gohttp", *arguments],
        cwd=cwd,
        env=clean_environment(env),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=timeout,
        check=False,
    )


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment without the developer's own GOHTTP_ variables, with `extra`."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GOHTTP_")}
    # A .pyc can be stale when a test rewrites a module within a second.
    environment |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1", "COLUMNS": "100"}
    return environment | dict(extra or {})


def _wait_ready(server: Server, timeout: float) -> None:
    def ready() -> bool:
        assert server.process.poll() is None, (
            f"the server ended before it was ready: {server.process.returncode}"
        )
        return any(_READY.match(line) for line in server.log())

    wait_until(ready, "the server to be ready", timeout)
    for line in server.log():
        match = _LISTENING.match(line)
        if match and match["uds"]:
            server.uds = match["uds"]
        elif match:
            server.host, server.port = match["host"], int(match["port"])
            break
    server.connect().close()


def _stop(server: Server) -> tuple[int, bool]:
    """The exit code, and whether it came in time."""
    in_time = True
    if server.process.poll() is None:
        server.process.terminate()
        try:
            server.process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            in_time = False
            server.process.kill()
            server.process.wait()
    server.stderr.close()
    server.stdout.close()
    return server.process.returncode, in_time
