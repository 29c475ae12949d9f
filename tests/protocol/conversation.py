"""Helpers of the protocol tests: a connection read to its end, and servers of the echo apps."""

import json
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import TIMEOUT, RawConnection, Response, Server, gohttp_serve

APPS = Path(__file__).parent / "apps"
FACES = ("wsgi", "asgi", "native")
TARGETS = {"wsgi": "echo_wsgi:app", "asgi": "echo_asgi:app", "native": "echo_native"}

# What must never stand in a server's log, whatever clients do.
_TROUBLE = re.compile(r"Traceback|panicked|PanicException|^\s*\d{4}-\S+ \S+ (error|critical)\b")

each_face = pytest.mark.parametrize("face", FACES)


class Conversation(RawConnection):
    """A connection whose responses are read until the server has closed it."""

    def at_end(self) -> bool:
        """Waits for more; whether the server has closed properly instead.  A reset raises."""
        if self._buffer:
            return False
        data = self.socket.recv(65536)
        self._buffer += data
        return not data

    def read_available(self) -> bytes:
        """What has come and was not looked at; see `at_end`."""
        data, self._buffer = self._buffer, b""
        return data

    def rest(self) -> list[Response]:
        """All responses up to the end of the connection."""
        responses = []
        while not self.at_end():
            responses.append(self.read_response())
        return responses


def connect(server: Server, timeout: float = TIMEOUT, receive_buffer: int = 0) -> Conversation:
    """A connection; `receive_buffer` bytes at most are kept for us by our kernel."""
    if not receive_buffer:
        return Conversation(server.uds or (server.host.strip("[]"), server.port), timeout=timeout)
    connection = Conversation.__new__(Conversation)
    connection._buffer = b""
    connection.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.socket.settimeout(timeout)
    connection.socket.connect((server.host, server.port))
    return connection


def converse(
    server: Server, data: bytes, *, half_close: bool = False, timeout: float = TIMEOUT
) -> list[Response]:
    """Send `data` on a new connection; the responses until the server closes it."""
    with connect(server, timeout) as connection:
        connection.send(data)
        if half_close:
            connection.finish_sending()
        return connection.rest()


@contextmanager
def serve_echo(face: str, *options: str, exit_code: int | None = 0) -> Iterator[Server]:
    """The echo app of this face."""
    with gohttp_serve(TARGETS[face], *options, cwd=APPS, exit_code=exit_code) as server:
        yield server


def seen(server: Server) -> list[str]:
    """`METHOD PATH` of what the app has echoed since the last question."""
    return json.loads(server.get("/_seen").body)


def trouble(server: Server) -> list[str]:
    """Lines of the log that no client may cause."""
    return [line for line in server.log() if _TROUBLE.search(line)]


def resident(server: Server) -> int:
    """Bytes of memory that the server uses."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    match = re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
    assert match
    return int(match[1]) * 1024


def cpu_seconds(server: Server) -> float:
    """CPU time that the server has used."""
    fields = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def refused(responses: list[Response], status: int = 400) -> None:
    """Asserts that there is one response, a refusal that says that the connection closes."""
    assert [response.status for response in responses] == [status]
    assert responses[0].header("connection") == "close"
    assert responses[0].header("x-app") is None
