"""Start a server with a framework's app, and what the tests of all frameworks share.

See conftest.py for the switch that puts another server in gohttp's place.
"""

import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Literal, TypeVar

import niquests
import pytest
import support

HERE = Path(__file__).parent
APPS = HERE / "apps"
EXAMPLES = HERE.parent.parent / "examples"
REFERENCE = os.environ.get("GOHTTP_TEST_SERVER") == "reference"

Interface = Literal["wsgi", "asgi"]
T = TypeVar("T")


# --- servers ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Setup:
    """How a server is started: the parameter of the server fixtures."""

    interface: Interface
    workers: int
    loop: str | None = None

    def __str__(self) -> str:
        loop = f"-{self.loop}" if self.loop else ""
        return f"{self.interface}-{self.workers}{loop}"


def setups(interface: Interface, loops: Sequence[str] = ("asyncio", "uvloop")) -> list[object]:
    """One worker and two; for ASGI each of them on each event loop."""
    on = loops if interface == "asgi" else (None,)
    return [
        pytest.param(
            setup := Setup(interface, workers, loop),
            id=str(setup),
            marks=pytest.mark.skipif(
                loop == "uvloop" and importlib.util.find_spec("uvloop") is None,
                reason="uvloop is not installed",
            ),
        )
        for workers in (1, 2)
        for loop in on
    ]


@dataclass
class Server:
    """A server that runs, with the folder its app writes to."""

    started: support.Server
    port: int
    folder: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def log(self) -> str:
        """What the server and its app have written to stderr so far."""
        return "\n".join(self.started.log())

    def events(self) -> list[str]:
        """What the app, in whichever process, has recorded so far (see apps/events.py)."""
        file = self.folder / "events"
        return file.read_text().splitlines() if file.exists() else []

    def recorded(self, event: str) -> bool:
        """Wait until the app has recorded this."""
        return eventually(lambda: event in self.events())

    def connect(self) -> HTTPConnection:
        """A connection for what a comfortable client does not let one do."""
        return HTTPConnection("127.0.0.1", self.port, timeout=20)

    def terminate(self) -> None:
        """Ask it to stop."""
        self.started.signal()

    def wait(self) -> int:
        """Its exit status, once it has stopped."""
        return self.started.wait()


@contextmanager
def serve(
    target: str,
    setup: Setup,
    folder: Path,
    *,
    cwd: Path = APPS,
    env: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Serve the app as long as the block runs; the app is told ``folder`` as $FOLDER."""
    env = {"FOLDER": str(folder), **(env or {})}
    if REFERENCE:
        with reference_serve(target, setup, cwd=cwd, env=env) as started:
            yield Server(started, started.port, folder)
        return
    loop = ["--loop", setup.loop] if setup.loop else []
    with support.gohttp_serve(target, *loop, cwd=cwd, env=env, workers=setup.workers) as started:
        yield Server(started, started.port, folder)


@contextmanager
def reference_serve(
    target: str, setup: Setup, *, cwd: Path, env: Mapping[str, str]
) -> Iterator[support.Server]:
    """What ``support.gohttp_serve`` does, with gunicorn or uvicorn."""
    port = support.free_port()
    started = support.start(reference_command(target, setup, port), cwd=cwd, env=env)
    started.port = port
    try:
        up = eventually(lambda: started.process.poll() is not None or accepts(port), within=30)
        assert up, f"{target} did not come up"
        yield started
    finally:
        if started.process.poll() is None:
            started.process.terminate()
            try:
                started.process.wait(15)
            except subprocess.TimeoutExpired:
                started.process.kill()
                started.process.wait()
        started.stderr.close()
        started.stdout.close()
        sys.stderr.write("--- server stderr\n" + "\n".join(started.log()) + "\n")


def reference_command(target: str, setup: Setup, port: int) -> list[str]:
    workers = ["--workers", str(setup.workers)]
    if setup.interface == "asgi":
        loop = ["--loop", setup.loop or "auto"]
        arguments = ["uvicorn", target, "--port", str(port), *workers, *loop]
    else:
        threads = ["--worker-class", "gthread", "--threads", "32", "--no-control-socket"]
        arguments = ["gunicorn", target, "--bind", f"127.0.0.1:{port}", *workers, *threads]
    return [sys.executable, "-m", *arguments]


def run_to_end(target: str, setup: Setup, folder: Path) -> tuple[int, str]:
    """Serve an app that cannot start: the exit status and the log."""
    if REFERENCE:
        command = reference_command(target, setup, support.free_port())
    else:
        command = [sys.executable, "-m", "gohttp", "serve", target, "--port", "0"]
        command += ["--workers", str(setup.workers)]
        command += ["--loop", setup.loop] if setup.loop else []
    ended = subprocess.run(
        command,
        cwd=APPS,
        env=support.clean_environment({"FOLDER": str(folder)}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    return ended.returncode, ended.stderr


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


# --- clients ------------------------------------------------------------------------------------


def session_for(server: Server) -> niquests.Session:
    session = niquests.Session(base_url=server.url, timeout=20)
    session.trust_env = False
    return session


def eventually(condition: Callable[[], bool], within: float = 10) -> bool:
    """Whether the condition comes true before the deadline."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def in_parallel(count: int, task: Callable[[int], T]) -> list[T]:
    """Run the task ``count`` times at once; the results by number."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(task, range(count)))


def get(server: Server, path: str) -> tuple[int, bytes]:
    """One plain request on a connection of its own, cheap enough to do many at once."""
    connection = server.connect()
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def recorded_over_http(server: Server, event: str) -> bool:
    """Wait until the app says that this was recorded; each question may meet another worker."""
    return eventually(lambda: event in json.loads(get(server, "/recorded")[1]))


def pids_seen(server: Server, path: str, count: int) -> set[bytes]:
    """The process ids that the path answers with, until there are ``count`` of them."""
    seen: set[bytes] = set()

    def enough() -> bool:
        seen.update(body for _, body in in_parallel(16, lambda _: get(server, path)))
        return len(seen) >= count

    eventually(enough)
    return seen
