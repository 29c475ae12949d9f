"""A WebSocket client over HTTP/1.1 and HTTP/2 that sends any frame, and reads frames strictly."""

import base64
import hashlib
import json
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, Self

import h2.config
import h2.connection
import h2.events
import h2.settings
from support import TIMEOUT, RawConnection, Response, Server

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
MASK = b"\x37\xfa\x21\x3d"

Headers = Sequence[tuple[str, str]]


class Wire(Protocol):
    """What carries the frames."""

    def send(self, data: bytes, /) -> None: ...
    def read_exactly(self, count: int, /) -> bytes: ...
    def read_until_close(self) -> bytes: ...
    def reset(self) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class Frame:
    opcode: int
    payload: bytes
    fin: bool = True
    rsv1: bool = False


def mask(data: bytes, key: bytes = MASK) -> bytes:
    size = len(data)
    keys = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(data) ^ int.from_bytes(keys)).to_bytes(size)


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, masked: bool = True
) -> bytes:
    """A frame of a client; `rsv`: its reserved bits, 4 is the first."""
    size, masking = len(payload), 0x80 if masked else 0
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    if size < 126:
        head += bytes([masking | size])
    elif size < 65536:
        head += bytes([masking | 126]) + size.to_bytes(2)
    else:
        head += bytes([masking | 127]) + size.to_bytes(8)
    return head + (MASK + mask(payload) if masked else payload)


def close_frame(code: int | None = None, reason: bytes = b"") -> bytes:
    return frame(CLOSE, b"" if code is None else code.to_bytes(2) + reason)


class WebSocket:
    """The client's end, after the handshake.  `deflate`: whether compression was agreed on."""

    def __init__(self, wire: Wire, *, deflate: bool = False) -> None:
        self.wire = wire
        self._deflate = deflate

    def send(self, *frames: bytes) -> None:
        """Send frames, or pieces of some, as one piece."""
        self.wire.send(b"".join(frames))

    def text(self, text: str) -> None:
        self.send(frame(TEXT, text.encode()))

    def binary(self, data: bytes) -> None:
        self.send(frame(BINARY, data))

    def read_frame(self) -> Frame:
        """The next frame; what a server must not send (RFC 6455 section 5) fails."""
        first, second = self.wire.read_exactly(2)
        opcode, fin, rsv1 = first & 15, bool(first & 0x80), bool(first & 0x40)
        size = second & 0x7F
        assert not second & 0x80, "a server's frame is masked"
        assert not first & 0x30, "a reserved bit is set"
        assert opcode in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG), opcode
        assert not rsv1 or (self._deflate and opcode in (TEXT, BINARY)), "a reserved bit is set"
        assert opcode < 8 or (fin and size < 126), "a control frame is fragmented or too long"
        if size == 126:
            size = int.from_bytes(self.wire.read_exactly(2))
            assert size > 125, "a length is longer than need be"
        elif size == 127:
            size = int.from_bytes(self.wire.read_exactly(8))
            assert size > 65535, "a length is longer than need be"
        return Frame(opcode, self.wire.read_exactly(size), fin, rsv1)

    def read(self) -> str | bytes:
        """The next message, which must come uncompressed, and next."""
        data, opcode = b"", None
        while True:
            part = self.read_frame()
            assert part.opcode in ((TEXT, BINARY) if opcode is None else (CONTINUATION,)), part
            assert not part.rsv1, "a message is compressed"
            opcode = part.opcode if opcode is None else opcode
            data += part.payload
            if part.fin:
                return data.decode() if opcode == TEXT else data

    def read_json(self) -> Any:
        text = self.read()
        assert isinstance(text, str)
        return json.loads(text)

    def read_close(self) -> tuple[int | None, str]:
        """Code and reason of the close frame, which must come next."""
        got = self.read_frame()
        assert got.opcode == CLOSE, got
        if not got.payload:
            return None, ""
        assert len(got.payload) >= 2
        return int.from_bytes(got.payload[:2]), got.payload[2:].decode()

    def read_end(self) -> tuple[int | None, str]:
        """The server's close frame, and the end of the connection right behind it."""
        closed = self.read_close()
        assert self.wire.read_until_close() == b""
        return closed

    def close(self, code: int | None = 1000, reason: str = "") -> tuple[int | None, str]:
        """Close from this side, and read all of the server's answer."""
        self.send(close_frame(code, reason.encode()))
        return self.read_end()

    def answer_close(self) -> tuple[int | None, str]:
        """Wait for the server to close, answer it, and see the connection end."""
        closed = self.read_close()
        self.send(close_frame(closed[0]))
        assert self.wire.read_until_close() == b""
        return closed

    def assert_open(self) -> None:
        """A ping is answered, and nothing came before."""
        self.send(frame(PING, b"open?"))
        assert self.read_frame() == Frame(PONG, b"open?")


def handshake(
    connection: RawConnection,
    path: str,
    headers: Headers = (),
    *,
    behind: bytes = b"",
    without: Sequence[str] = (),
    method: str = "GET",
) -> None:
    """Send a request for a WebSocket; `behind`: bytes sent with it in one piece."""
    fields = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", KEY),
        ("Sec-WebSocket-Version", "13"),
    ]
    ours = {name.lower() for name, _ in headers} | {name.lower() for name in without}
    fields = [(name, value) for name, value in fields if name.lower() not in ours]
    lines = [f"{method} {path} HTTP/1.1", "Host: test"]
    lines += [f"{name}: {value}" for name, value in [*fields, *headers]]
    connection.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + behind)


def read_switch(connection: RawConnection) -> Response:
    """The answer of a server that accepts."""
    response = connection.read_head()
    assert response.status == 101, response
    assert (response.header("upgrade") or "").lower() == "websocket"
    assert (response.header("connection") or "").lower() == "upgrade"
    digest = hashlib.sha1((KEY + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
    assert response.header("sec-websocket-accept") == base64.b64encode(digest).decode()
    assert response.header("content-length") is None
    assert response.header("transfer-encoding") is None
    return response


@contextmanager
def websocket(
    server: Server, path: str, headers: Headers = (), *, receive_buffer: int = 0
) -> Iterator[WebSocket]:
    """An accepted WebSocket.  `receive_buffer`: bytes that our kernel keeps for us at most."""
    with server.connect() as connection:
        if receive_buffer:
            connection.socket.close()
            connection.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            connection.socket.settimeout(TIMEOUT)
            connection.socket.connect((server.host, server.port))
        handshake(connection, path, headers)
        response = read_switch(connection)
        yield WebSocket(connection, deflate=bool(response.header("sec-websocket-extensions")))


class H2Connection:
    """HTTP/2 with prior knowledge, whose server lets us CONNECT (RFC 8441 section 3)."""

    def __init__(self, server: Server) -> None:
        self.socket = socket.create_connection((server.host, server.port), TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        config = h2.config.H2Configuration(client_side=True, header_encoding="utf-8")
        self.h2 = h2.connection.H2Connection(config)
        self.streams: dict[int, H2Stream] = {}
        self.acknowledge = True  # give the server new flow-control window for what it sends
        self._settings = False
        self._received = b""
        self.h2.initiate_connection()
        self.flush()
        while not self._settings:
            self.receive()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    @property
    def may_connect(self) -> bool:
        return self.h2.remote_settings.enable_connect_protocol == 1

    def flush(self) -> None:
        self.socket.sendall(self.h2.data_to_send())

    def open(
        self,
        path: str,
        headers: Headers = (),
        *,
        protocol: str = "websocket",
        version: str | None = "13",
    ) -> "H2Stream":
        """Ask for a WebSocket."""
        number = self.h2.get_next_available_stream_id()
        fields = [
            (":method", "CONNECT"),
            (":protocol", protocol),
            (":scheme", "http"),
            (":path", path),
            (":authority", "test"),
        ]
        if version is not None:
            fields.append(("sec-websocket-version", version))
        stream = self.streams[number] = H2Stream(self, number)
        self.h2.send_headers(number, [*fields, *headers])
        self.flush()
        return stream

    def websocket(self, path: str, headers: Headers = ()) -> WebSocket:
        """An accepted WebSocket."""
        stream = self.open(path, headers)
        assert stream.status() == 200, stream.headers
        return WebSocket(stream, deflate="sec-websocket-extensions" in dict(stream.headers))

    def receive(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("the server closed the connection")
        self._received += data
        while (one := self._next_frame()) is not None:
            for event in self.h2.receive_data(one):
                self._handle(event)
        self.flush()

    def _next_frame(self) -> bytes | None:
        """The next whole frame.  The package takes GOAWAY for the end, so it does not get it."""
        while len(self._received) >= 9:
            size = 9 + int.from_bytes(self._received[:3])
            if len(self._received) < size:
                return None
            one, self._received = self._received[:size], self._received[size:]
            if one[3] != 7:
                return one
        return None

    def _handle(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RemoteSettingsChanged():
                self._settings = True
            case h2.events.ResponseReceived():
                headers = [(str(name), str(value)) for name, value in event.headers]
                self.streams[event.stream_id].headers = headers
            case h2.events.DataReceived():
                self.streams[event.stream_id].buffer += event.data
                if self.acknowledge:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case h2.events.StreamEnded():
                self.streams[event.stream_id].ended = True
            case h2.events.StreamReset():
                self.streams[event.stream_id].error = int(event.error_code)


class H2Stream:
    """One stream as a wire."""

    def __init__(self, connection: H2Connection, number: int) -> None:
        self.connection = connection
        self.number = number
        self.headers: list[tuple[str, str]] = []
        self.buffer = b""
        self.ended = False
        self.error: int | None = None

    def status(self) -> int:
        """The status, once the head is there."""
        while not self.headers:
            assert self.error is None, f"reset with {self.error}"
            self.connection.receive()
        return int(dict(self.headers)[":status"])

    def send(self, data: bytes) -> None:
        """Send as fast as the server's windows let us."""
        h2 = self.connection.h2
        while data:
            room = min(h2.local_flow_control_window(self.number), h2.max_outbound_frame_size)
            if room <= 0:
                self.connection.receive()
                continue
            h2.send_data(self.number, data[:room])
            data = data[room:]
            self.connection.flush()

    def read_exactly(self, count: int) -> bytes:
        while len(self.buffer) < count:
            if self.ended or self.error is not None:
                raise ConnectionError(f"the stream ended ({self.error}); unread: {self.buffer!r}")
            self.connection.receive()
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def read_until_close(self) -> bytes:
        while not self.ended:
            if self.error is not None:
                raise ConnectionResetError(f"reset with {self.error}")
            self.connection.receive()
        data, self.buffer = self.buffer, b""
        return data

    def reset(self) -> None:
        """CANCEL."""
        self.connection.h2.reset_stream(self.number, 8)
        self.connection.flush()

    def close(self) -> None:
        """END_STREAM."""
        self.connection.h2.end_stream(self.number)
        self.connection.flush()
