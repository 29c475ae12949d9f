"""A light client that asks for one path now and then, and keeps how long each answer took."""

import random
import socket
import threading
import time
from types import TracebackType
from typing import Self

INTERVAL = 0.008, 0.018  # at no fixed beat; with a wait of 10 ms, about forty a second
PATIENCE = 10.0


class Prober(threading.Thread):
    """Asks until it is told to stop.  A context manager; read `latencies` after it."""

    def __init__(self, port: int, path: str) -> None:
        super().__init__(name="prober", daemon=True)
        self._port = port
        self._request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
        self._ended = threading.Event()
        self.latencies: list[float] = []
        """Seconds; an answer that failed is not among them."""
        self.errors = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self.join(PATIENCE + 1)

    def run(self) -> None:
        """Ask, wait, ask again; a connection that ended is opened anew."""
        connection: socket.socket | None = None
        while not self._ended.wait(random.uniform(*INTERVAL)):
            try:
                connection = connection or self._connect()
                start = time.perf_counter()
                connection.sendall(self._request)
                reusable = read_answer(connection)
                self.latencies.append(time.perf_counter() - start)
            except (OSError, ValueError):
                self.errors += 1
                reusable = False
            if connection and not reusable:
                connection.close()
                connection = None
        if connection:
            connection.close()

    def _connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self._port), PATIENCE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection


def read_answer(connection: socket.socket) -> bool:
    """Read one 200 with a Content-Length; whether the connection may be used again."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += receive(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    status, headers = parse_head(head)
    if status != 200:
        raise ValueError(f"status {status}")
    length = int(headers["content-length"]) if "content-length" in headers else -1
    if length < 0:
        raise ValueError("no Content-Length")
    while len(body) < length:
        body += receive(connection)
    return headers.get("connection", "").lower() != "close"


def receive(connection: socket.socket) -> bytes:
    """Some bytes; none is an error."""
    data = connection.recv(65536)
    if not data:
        raise ConnectionResetError("closed in mid-answer")
    return data


def parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    r"""Status and headers of a response.

    >>> parse_head(b"HTTP/1.1 200 OK\r\nContent-Length: 4")
    (200, {'content-length': '4'})
    """
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return int(first.split()[1]), {name.lower(): value.strip() for name, _, value in pairs}
