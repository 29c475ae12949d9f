"""Start a server with a framework's app, and what the tests of all frameworks share.

See conftest.py for the switch that puts another server in gohttp's place.
"""

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Literal, TypeVar

import niquests
import pytest

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

    port: int
    process: subprocess.Popen[bytes]
    log_file: Path
    folder: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def events(self) -> list[str]:
        """What the app, in whichever process, has recorded so far (see apps/events.py)."""
        file = self.folder / "events"
        return file.read_text().splitlines() if file.exists() else []

    def recorded(self, event: str) -> bool:
        """Wait until the app has recorded this."""
        return eventually(lambda: event in self.events())

    def connect(self, timeout: float = 20) -> HTTPConnection:
        """A connection for what a comfortable client does not let one do."""
        return HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def stop(self) -> int:
        """Ask it to stop; its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


def command(target: str, setup: Setup, port: int) -> list[str]:
    workers = ["--workers", str(setup.workers)]
    loop = ["--loop", setup.loop] if setup.loop else []
    where = ["--host", "127.0.0.1", "--port", str(port)]
    if not REFERENCE:
        arguments = ["gohttp", "serve", target, *where, *workers, *loop]
    elif setup.interface == "asgi":
        arguments = ["uvicorn", target, *where, *workers, *loop]
    else:
        threads = ["--worker-class", "gthread", "--threads", "32", "--no-control-socket"]
        arguments = ["gunicorn", target, "--bind", f"127.0.0.1:{port}", *workers, *threads]
    return [sys.executable, "-m", *arguments]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


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
    port = free_port()
    log_file = folder / "log"
    environ = {**os.environ, "FOLDER": str(folder), "PYTHONUNBUFFERED": "1", **(env or {})}
    with ExitStack() as stack:
        log = stack.enter_context(log_file.open("wb"))
        process = stack.enter_context(
            subprocess.Popen(
                command(target, setup, port),
                cwd=cwd,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        )
        stack.callback(end, process)
        server = Server(port, process, log_file, folder)
        up = eventually(lambda: process.poll() is not None or accepts(port), within=30)
        if not up or process.poll() is not None:
            pytest.fail(f"{target} did not come up; the server's log:\n{server.log()}")
        yield server


def end(process: subprocess.Popen[bytes]) -> None:
    """Stop the server and, should it not do as it is asked, all its workers."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(5)
        pytest.fail("the server did not stop within 15 seconds of SIGTERM")


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


def pids_seen(server: Server, path: str, count: int) -> set[bytes]:
    """The process ids that the path answers with, until there are ``count`` of them."""
    seen: set[bytes] = set()

    def enough() -> bool:
        seen.update(body for _, body in in_parallel(16, lambda _: get(server, path)))
        return len(seen) >= count

    eventually(enough)
    return seen
