"""Programs in C: built by make, started, and asked over raw sockets."""

import fcntl
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support import STOP_TIMEOUT, TIMEOUT, Server, free_port, start, wait_until

ROOT = Path(__file__).parents[2]
PROGRAMS = (
    *("article", "full", "after_the_end-asan", "hello", "hello-static", "leaks"),
    *("full-asan", "stream"),
)
BUILD_TIMEOUT = 900.0  # seconds; the library is built with all optimisation


def build() -> None:
    """Build the library and all programs, if that has not been done."""
    targets = [f"build/c/{name}" for name in PROGRAMS]
    with one_at_a_time():
        made = subprocess.run(
            ["make", "--no-print-directory", *targets],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=BUILD_TIMEOUT,
            check=False,
        )
    assert made.returncode == 0, made.stdout + made.stderr


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Tests that run side by side would build into the same place."""
    with (ROOT / "Makefile").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def tools_missing() -> str | None:
    """The name of a tool without which nothing here can be built."""
    return next((tool for tool in ("cc", "make", "cargo") if shutil.which(tool) is None), None)


def path_of(program: str) -> Path:
    return ROOT / "build" / "c" / program


@contextmanager
def running(
    program: str, *arguments: str, stop: bool = True, exit_code: int = 0
) -> Iterator[Server]:
    """Run a program that listens on the address that is its first argument; a free port of
    127.0.0.1 is taken if there is none.  It must end with `exit_code` at SIGTERM, or, without
    `stop`, by itself."""
    if not arguments:
        arguments = (f"127.0.0.1:{free_port()}",)
    server = start([str(path_of(program)), *arguments])
    address = arguments[0]
    if address.startswith("unix:"):
        server.uds = address.removeprefix("unix:")
    elif not address.endswith(":0"):
        server.port = int(address.rpartition(":")[2])
    try:
        if address.endswith(":0"):
            server.port = int(wait_for_output(server, r"port (\d+)"))
        wait_until(lambda: accepts(server), "the program to listen")
        yield server
        if stop:
            server.signal(signal.SIGTERM)
        assert server.wait(STOP_TIMEOUT) == exit_code, server.log()
    finally:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()
        server.stderr.close()
        server.stdout.close()


def accepts(server: Server) -> bool:
    assert server.process.poll() is None, f"it has ended: {server.log()}"
    try:
        server.connect().close()
    except (ConnectionRefusedError, FileNotFoundError):
        return False
    return True


def wait_for_output(server: Server, pattern: str, timeout: float = TIMEOUT) -> str:
    """The first group of the first line on stdout that matches."""

    def found() -> str | None:
        matches = (re.search(pattern, line) for line in server.output())
        return next((match[1] if match.re.groups else match[0] for match in matches if match), None)

    return wait_until(found, f"{pattern!r} on stdout", timeout)


def threads(server: Server) -> int:
    """How many threads the program has."""
    return len(os.listdir(f"/proc/{server.pid}/task"))
