"""Programs in Rust that host Python: built by cargo, started, and asked over raw sockets."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support import STOP_TIMEOUT, TIMEOUT, Server, clean_environment, start, wait_until

ROOT = Path(__file__).parents[2]
APPS = Path(__file__).parent / "apps"
PROJECT = ROOT / "examples" / "rust"
# A folder of its own: the library's file has one name, whatever its features.
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "hosts"
BUILD_TIMEOUT = 900.0  # seconds: the first time axum and all below it are built
HOSTS = ("axum_host", "beside_python")


def what_is_missing() -> str | None:
    """That without which no such program can be built here."""
    if shutil.which("cargo") is None:
        return "cargo"
    known = sysconfig.get_config_vars("LIBDIR", "LDLIBRARY")
    library = Path(*(str(part) for part in known))
    if library.suffix != ".so" and ".so." not in library.name:
        return "a Python that is a shared library (./configure --enable-shared)"
    return None if library.exists() else f"{library}, of the development files of Python"


def build() -> None:
    """Build the programs, if that has not been done."""
    environment = clean_environment(
        {"PYO3_PYTHON": sys.executable, "CARGO_TARGET_DIR": str(TARGET)}
    )
    environment.pop("PYO3_BUILD_EXTENSION_MODULE", None)
    made = subprocess.run(
        ["cargo", "build", "--locked", "--quiet"],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=BUILD_TIMEOUT,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr


def launch(host: str, *arguments: str, cwd: Path = APPS, env: Mapping[str, str] = {}) -> Server:
    """Start a program; it finds the packages of the environment that the tests run in."""
    libraries = str(sysconfig.get_config_var("LIBDIR"))
    ours = {"VIRTUAL_ENV": sys.prefix, "LD_LIBRARY_PATH": libraries}
    return start([str(TARGET / "debug" / host), *arguments], cwd=cwd, env={**ours, **env})


@contextmanager
def hosting(host: str, *mounts: str, cwd: Path = APPS, exit_code: int = 0) -> Iterator[Server]:
    """A program that hosts `PREFIX=TARGET` apps on a free port; at SIGTERM it must end."""
    server = launch(host, "127.0.0.1:0", *mounts, cwd=cwd)
    try:
        server.port = int(wait_for_output(server, r"serving at http://.*:(\d+)"))
        yield server
        server.signal(signal.SIGTERM)
        assert server.wait(STOP_TIMEOUT) == exit_code, server.log()
    finally:
        end(server)


def end(server: Server) -> None:
    if server.process.poll() is None:
        server.process.kill()
        server.process.wait()
    server.stderr.close()
    server.stdout.close()


def wait_for_output(server: Server, pattern: str, timeout: float = TIMEOUT) -> str:
    """The first group, or else all, of the first match on stdout."""

    def found() -> str | None:
        matches = [re.search(pattern, line) for line in server.output()]
        match = next(filter(None, matches), None)
        if match is None:
            assert server.process.poll() is None, f"it has ended: {server.log()}"
            return None
        return match[1] if match.re.groups else match[0]

    return wait_until(found, f"{pattern!r} on stdout", timeout)


def refusal(host: str, *arguments: str, **how: Any) -> str:
    """What a program that does not start says on stderr."""
    server = launch(host, *arguments, **how)
    try:
        assert server.wait(TIMEOUT) == 1
    finally:
        end(server)
    return "\n".join(server.log())


def seen(server: Server, name: str, prefix: str = "/py") -> int:
    """A count that the app under `prefix` keeps."""
    return int(json.loads(server.get(f"{prefix}/seen").body)[name])
