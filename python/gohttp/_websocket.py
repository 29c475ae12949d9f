"""WebSockets of native handlers: how they end, and the one of `async def` handlers."""

import asyncio
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    from gohttp._gohttp import WebSocket


class WebSocketClosed(ConnectionError):
    """The client has closed its WebSocket, or has gone: there will be no more messages.

    `code` is the client's (RFC 6455 section 7.4), 1005 if it gave none, 1006 if it went without a
    word; `reason` is empty if none was given. A handler may let it pass: that is no error.
    """

    _gohttp_client = True

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"the WebSocket is closed ({code}{': ' if reason else ''}{reason})")
        self.code = code
        self.reason = reason


class AsyncWebSocket:
    """A WebSocket (RFC 6455) of an `async def` handler, from `w.async_websocket(req)`.

    Iterating, `async for`, gives the client's messages until it closes; at the end of an `async
    with` block, and of the handler, the WebSocket is closed. One task may send while another
    receives. The server answers pings, and sends its own (`ws_ping_interval`).
    """

    def __init__(self, socket: "WebSocket") -> None:
        self._socket = socket

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that was agreed on (RFC 6455 section 1.9); `None` if none was."""
        return self._socket.subprotocol

    @property
    def closed(self) -> bool:
        """Whether it has been closed, from whichever side."""
        return self._socket.closed

    async def receive(self) -> str | bytes:
        """The client's next message, `str` or `bytes`.

        Raises `WebSocketClosed` when there will be no more.
        """
        message = self._socket._take(None)
        while message is None:
            news = asyncio.get_running_loop().create_future()
            message = self._socket._take(news)
            if message is None:
                await news
        return message

    async def send(self, message: "str | ReadableBuffer") -> None:
        """Send a message: text if it is a `str`, else anything bytes-like.

        Waits while the client takes nothing. Raises `WebSocketClosed` when the client has closed
        or gone, `RuntimeError` after `close()`, `TypeError` for anything else than text or bytes.
        """
        self._socket._give(message)
        room = self._socket._has_room(None)
        while not room:
            news = asyncio.get_running_loop().create_future()
            room = self._socket._has_room(news)
            if not room:
                await news

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close with a code and a reason of up to 123 bytes; nothing if it is closed already.

        Raises `ValueError` for a code that no endpoint may send (RFC 6455 section 7.4: 1000 to 1014
        without 1004 and 1006, and 3000 to 4999).
        """
        self._socket.close(code, reason)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str | bytes:
        try:
            return await self.receive()
        except WebSocketClosed:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._socket.__exit__(kind, error, traceback)
