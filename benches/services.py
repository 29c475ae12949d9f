"""The services an app asks: started on the load's core for one scenario, then thrown away."""

import importlib.util
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from .daemon import Daemon, Identity, once
from .measure import pinned
from .peers import GOHTTP
from .places import APPS
from .scenarios import HELLO_BODY, HTTP, POSTGRES, REDIS
from .server import HOST, free_port

DEBIAN_POSTGRES = Path("/usr/lib/postgresql")
OWNER = "bench"
TABLE = (
    "CREATE TABLE greetings (id integer PRIMARY KEY, text text NOT NULL);\n"
    "INSERT INTO greetings SELECT n, 'Hello, world.' || chr(10) FROM generate_series(1, 1000) n;\n"
)

Started = tuple[Daemon, str, str]
"""A service, and the variable and the address that tell the app where it is."""


def absent(names: Iterable[str]) -> dict[str, str]:
    """Those of `names` that are not installed here, with a sentence for the reader."""
    found = {
        POSTGRES: initdb() is not None,
        REDIS: shutil.which("redis-server") is not None,
        HTTP: importlib.util.find_spec(GOHTTP) is not None,
    }
    sentences = {
        POSTGRES: "PostgreSQL is not installed: apt-get install postgresql",
        REDIS: "Redis is not installed: apt-get install redis-server",
        HTTP: "gohttp, which would be asked, is not installed in this environment: make build",
    }
    return {name: sentences[name] for name in names if not found[name]}


def initdb() -> Path | None:
    """PostgreSQL's own; Debian keeps it off the path, one for each version."""
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve()  # its neighbours are where it really lies
    versions = DEBIAN_POSTGRES.glob("*/bin/initdb")
    return max(versions, key=lambda path: float(path.parts[-3]), default=None)


def versions(names: Iterable[str]) -> list[str]:
    """What the services call themselves, for the reader."""
    program = initdb()
    asked = {POSTGRES: str(program.with_name("postgres")) if program else "", REDIS: "redis-server"}
    told = {
        name: subprocess.run([asked[name], "--version"], capture_output=True, text=True, check=True)
        for name in names
        if name in asked
    }
    found = {name: re.search(r"\d+\.[\d.]+", done.stdout) for name, done in told.items()}
    return [f"{name} {number[0]}" if number else name for name, number in found.items()]


class Services:
    """A context manager: inside it the services answer.  ServiceFailure if one does not start."""

    def __init__(self, names: Iterable[str], core: int) -> None:
        self._names, self._core = tuple(names), core
        self._stack = ExitStack()
        self.environment: dict[str, str] = {}
        """Where they are, for the app."""
        self.pids: list[int] = []
        """The roots of their trees."""

    def __enter__(self) -> Self:
        makers: dict[str, Callable[[Path], Started]] = {
            POSTGRES: postgres,
            REDIS: redis,
            HTTP: http,
        }
        with ExitStack() as stack, pinned(self._core):
            for name in self._names:
                made = tempfile.TemporaryDirectory(prefix="gohttp-bench-")
                daemon, variable, address = makers[name](Path(stack.enter_context(made)))
                child = daemon.start()
                stack.callback(daemon.end, child)
                daemon.wait(child)
                self.pids.append(child.pid)
                self.environment[variable] = address
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()


def postgres(folder: Path) -> Started:
    """A cluster of its own that nobody else can reach: it listens on a Unix socket in `folder`."""
    program = initdb()
    assert program is not None, "absent() has been asked"
    tools, data, who = program.parent, str(folder / "data"), Identity.unprivileged()
    who.give(folder)
    access = ["-U", OWNER, "-A", "trust", "--no-sync", "--encoding=UTF8", "--locale=C"]
    once([str(program), "-D", data, *access], folder, who)
    server = str(tools / "postgres")
    once([server, "--single", "-D", data, "postgres"], folder, who, TABLE)
    options = {"listen_addresses": "", "unix_socket_directories": folder, "fsync": "off"}
    words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    ask = [str(tools / "pg_isready"), "-q", "-h", str(folder)]
    daemon = Daemon(
        [server, "-D", data, *words],
        folder,
        lambda: subprocess.run(ask, check=False).returncode == 0,
        who,
        signal.SIGINT,  # with SIGTERM it would wait for its clients
    )
    return daemon, "BENCH_POSTGRES", f"postgresql://{OWNER}@/postgres?host={folder}"


def redis(folder: Path) -> Started:
    """A Redis that keeps nothing."""
    port = free_port()
    words = ["--port", str(port), "--bind", HOST, "--dir", str(folder), "--save", ""]
    daemon = Daemon(["redis-server", *words], folder, lambda: put_greeting(port))
    return daemon, "BENCH_REDIS", f"redis://{HOST}:{port}"


def put_greeting(port: int) -> bool:
    """Give Redis what it will be asked for; whether it took it."""
    head = f"*3\r\n$3\r\nSET\r\n$8\r\ngreeting\r\n${len(HELLO_BODY)}\r\n".encode()
    with suppress(OSError), socket.create_connection((HOST, port), 1) as client:
        client.sendall(head + HELLO_BODY + b"\r\n")
        return client.recv(64) == b"+OK\r\n"
    return False


def http(folder: Path) -> Started:
    """The gohttp of this interpreter, with a native handler: it is never the limit."""
    port = free_port()
    command = [sys.executable, str(APPS / "native_hello.py"), str(port)]
    return Daemon(command, folder, lambda: listens(port)), "BENCH_HTTP", f"http://{HOST}:{port}/"


def listens(port: int) -> bool:
    """Whether somebody accepts connections."""
    with suppress(OSError), socket.create_connection((HOST, port), 1):
        return True
    return False
