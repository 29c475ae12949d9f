"""WebSockets that are open and silent: what the server's memory grows by for each."""

import resource
import socket
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from .measure import resident_bytes
from .prober import parse_head, receive

HOST = "127.0.0.1"
PATIENCE = 5.0
WARM = 200
SPARE_FILES = 1000

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
WORD = b"hello"
SENT = b"\x81" + bytes([0x80 | len(WORD)]) + bytes(4) + WORD  # text, masked with zeros
ECHOED = 0x81, WORD
PING = 0x89


@dataclass(frozen=True)
class IdleWebSockets:
    """So many WebSockets, open at once."""

    connections: int

    def shown(self) -> str:
        """For people."""
        return f"{self.connections:,} WebSockets, each one echo when opened and one when all are"


@dataclass(frozen=True)
class Held:
    """What became of them."""

    opened: int
    """Those that were opened and echoed."""
    echoed_again: int
    opening_seconds: float
    grown: int
    """Resident bytes, from before the first to after the last."""


class WebSocket:
    """A client's end.  ValueError or OSError when it cannot be opened."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((HOST, port), PATIENCE)
        self._unread = b""
        try:
            self._socket.sendall(HANDSHAKE)
            while b"\r\n\r\n" not in self._unread:
                self._unread += receive(self._socket)
            head, _, self._unread = self._unread.partition(b"\r\n\r\n")
            if parse_head(head)[0] != 101:
                raise ValueError("the handshake was refused")
        except BaseException:
            self.close()
            raise

    def echoes(self) -> bool:
        """Whether a message comes back."""
        try:
            self._socket.sendall(SENT)
            while (frame := self._read())[0] == PING:
                pass
        except OSError:
            return False
        return frame == ECHOED

    def close(self) -> None:
        """Close the connection, without a word."""
        self._socket.close()

    def _read(self) -> tuple[int, bytes]:
        """The first byte and the payload of a frame, which is short here."""
        head = self._take(2)
        return head[0], self._take(head[1])

    def _take(self, size: int) -> bytes:
        while len(self._unread) < size:
            self._unread += receive(self._socket)
        taken, self._unread = self._unread[:size], self._unread[size:]
        return taken


def allow_files(count: int) -> None:
    """Let this process and its children have so many files open, if the system lets them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, count)), hard))


def warm_up(port: int) -> None:
    """Some WebSockets that end before anything is measured."""
    with suppress(OSError, ValueError):
        for _ in range(WARM):
            made = WebSocket(port)
            made.echoes()
            made.close()


def hold(idle: IdleWebSockets, port: int, pid: int) -> Held:
    """Open them, see what the processes under `pid` grew by, and ask each again."""
    with ExitStack() as stack:
        before, start = resident_bytes(pid), time.monotonic()
        opened: list[WebSocket] = []
        with suppress(OSError, ValueError):
            for _ in range(idle.connections):
                made = WebSocket(port)
                stack.callback(made.close)
                if not made.echoes():
                    break
                opened.append(made)
        seconds = time.monotonic() - start
        grown = resident_bytes(pid) - before
        again = sum(made.echoes() for made in opened)
    return Held(len(opened), again, seconds, grown)
