"""What all test folders share: a running server, and a client that sees every byte."""

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
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Self

TIMEOUT = 10.0  # seconds for any one thing a test waits for
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

    def connect(self, timeout: float = TIMEOUT) -> "RawConnection":
        """A new connection to the server; use it as a context manager."""
        return RawConnection(self.uds or (self.host.strip("[]"), self.port), timeout=timeout)

    def get(self, path: str = "/", headers: Sequence[tuple[str, str]] = ()) -> "Response":
        """One GET on a connection of its own."""
        return self.request("GET", path, headers)

    def request(
        self,
        method: str,
        path: str = "/",
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> "Response":
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
    command = [sys.executable, "-m", "gohttp", "serve", target, "--workers", str(workers), *options]
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
) -> Server:
    """Start `command`; nothing is waited for, and the caller must end it."""
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=clean_environment(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
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


@dataclass
class Response:
    """One HTTP/1.1 response as it came over the wire."""

    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    trailers: list[tuple[str, str]] = field(default_factory=list)
    version: str = "HTTP/1.1"

    def header(self, name: str) -> str | None:
        """The value of a header that may occur once; None when it is missing."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} occurs {len(values)} times"
        return values[0] if values else None

    def all(self, name: str) -> list[str]:
        """All values of a header, in order."""
        return [value for key, value in self.headers if key == name.lower()]

    @property
    def text(self) -> str:
        return self.body.decode()


class RawConnection:
    """A plain socket that sends what it is told and reads responses strictly.

    Anything that breaks RFC 9112 fails the test with an AssertionError.
    """

    def __init__(self, address: str | tuple[str, int], *, timeout: float = TIMEOUT) -> None:
        if isinstance(address, str):
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.socket.settimeout(timeout)
            try:
                self.socket.connect(address)
            except OSError:
                self.socket.close()
                raise
        else:
            self.socket = socket.create_connection(address, timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def send_request(
        self,
        method: str,
        path: str = "/",
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> None:
        """Send a whole request; Host and Content-Length are added when missing."""
        names = {name.lower() for name, _ in headers}
        lines = [f"{method} {path} HTTP/1.1"]
        if "host" not in names:
            lines.append("Host: test")
        lines += [f"{name}: {value}" for name, value in headers]
        if body and not names & {"content-length", "transfer-encoding"}:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)

    def finish_sending(self) -> None:
        """Close our half; the server still may answer."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Close with RST, as a client that crashed."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    def read_response(self, *, head: bool = False, interim: bool = False) -> Response:
        """The next response with its whole body.

        `head`: it answers a HEAD, so there is no body.  1xx responses are skipped, unless
        `interim` asks for the next response whatever it is.
        """
        while True:
            response = self.read_head()
            if response.status >= 200 or response.status == 101 or interim:
                break
        if not head:
            self._read_body(response)
        return response

    def read_head(self) -> Response:
        """Status line and headers only; the body stays unread."""
        status_line = self.read_line()
        match = re.fullmatch(r"(HTTP/1\.[01]) ([1-5]\d\d) ([\t\x20-\x7e\x80-\xff]*)", status_line)
        assert match, f"bad status line {status_line!r}"
        return Response(int(match[2]), match[3], self._read_fields(), version=match[1])

    def read_line(self) -> str:
        """One line without its CRLF; a bare CR or LF fails."""
        line = self._take_until(b"\r\n").decode("latin-1")
        assert "\r" not in line, f"bare CR in {line!r}"
        assert "\n" not in line, f"bare LF in {line!r}"
        return line

    def read_exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._receive()
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        return data

    def read_chunk(self) -> bytes:
        """One chunk of a chunked body; empty for the last, whose trailers stay unread."""
        line = self.read_line()
        assert re.fullmatch(r"[0-9a-fA-F]+(;.*)?", line), f"bad chunk size {line!r}"
        size = int(line.partition(";")[0], 16)
        data = self.read_exactly(size)
        if size:
            assert self.read_exactly(2) == b"\r\n", "a chunk does not end in CRLF"
        return data

    def read_until_close(self) -> bytes:
        """Everything until the server closes; a reset counts as an error."""
        while True:
            try:
                self._receive()
            except ConnectionError as error:
                if isinstance(error, ConnectionResetError):
                    raise
                data, self._buffer = self._buffer, b""
                return data

    def is_closed(self, timeout: float = TIMEOUT) -> bool:
        """Whether the server closes (or resets) the connection in time without more data."""
        self.socket.settimeout(timeout)
        try:
            return not self._buffer and self.socket.recv(1) == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False

    def _read_fields(self) -> list[tuple[str, str]]:
        fields = []
        while line := self.read_line():
            name, colon, value = line.partition(":")
            assert colon, f"bad header line {line!r}"
            assert re.fullmatch(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", name), f"bad name {name!r}"
            assert "\0" not in value, f"NUL in {line!r}"
            fields.append((name.lower(), value.strip(" \t")))
        return fields

    def _read_body(self, response: Response) -> None:
        lengths, codings = response.all("content-length"), response.all("transfer-encoding")
        if response.status < 200 or response.status in (204, 304):
            assert not codings, f"{response.status} with Transfer-Encoding"
            assert response.status == 304 or not lengths, f"{response.status} with Content-Length"
        elif codings:
            assert not lengths, "both Content-Length and Transfer-Encoding"
            assert codings == ["chunked"], f"Transfer-Encoding {codings}"
            while chunk := self.read_chunk():
                response.body += chunk
            response.trailers = self._read_fields()
        elif lengths:
            assert len(lengths) == 1, f"Content-Length {lengths}"
            assert re.fullmatch(r"\d+", lengths[0]), f"Content-Length {lengths}"
            response.body = self.read_exactly(int(lengths[0]))
        else:
            response.body = self.read_until_close()

    def _take_until(self, end: bytes) -> bytes:
        while end not in self._buffer:
            self._receive()
        data, _, self._buffer = self._buffer.partition(end)
        return data

    def _receive(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError(f"the server closed the connection; unread: {self._buffer!r}")
        self._buffer += data
