"""The client's connection as WebSocket packages for WSGI look for it in environ."""

import socket
import threading
from collections.abc import Callable
from typing import Any


class UpgradeSocket:
    """A socket that is taken over from the server when it is first used.

    Until then the request can be answered as any other.  `take` returns the descriptor of a
    connected socket.
    """

    def __init__(self, take: Callable[[], int]) -> None:
        self._take = take
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return "<UpgradeSocket, not taken>" if self._socket is None else repr(self._socket)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        with self._lock:
            if self._socket is None:
                self._socket = socket.socket(fileno=self._take())
        return getattr(self._socket, name)
