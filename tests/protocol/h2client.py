"""An HTTP/2 client with prior knowledge over a plain socket, on the h2 package."""

import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings
from support import TIMEOUT, Server

GOAWAY = 7


@dataclass
class Stream:
    """What has come on one stream so far."""

    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    ended: bool = False
    reset: int | None = None

    @property
    def status(self) -> int:
        return int(self.headers[":status"])

    @property
    def over(self) -> bool:
        return self.ended or self.reset is not None


class H2Client:
    """One connection.  `validate=False` also sends what the package knows to be wrong."""

    def __init__(self, server: Server, *, validate: bool = True) -> None:
        self.socket = socket.create_connection((server.host, server.port), TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        config = h2.config.H2Configuration(
            client_side=True,
            header_encoding="utf-8",
            validate_outbound_headers=validate,
            normalize_outbound_headers=validate,
        )
        self.h2 = h2.connection.H2Connection(config)
        self.streams: dict[int, Stream] = {}
        self.goaways: list[int] = []  # the error codes of GOAWAY frames
        self._received = b""
        self.closed = False
        self.acknowledge = True  # give the server new flow-control window for what it sends
        self.h2.initiate_connection()
        self.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def flush(self) -> None:
        self.socket.sendall(self.h2.data_to_send())

    def start(
        self,
        method: str,
        path: str,
        headers: Sequence[tuple[str, str]] = (),
        *,
        authority: str | None = "test",
        end: bool = True,
    ) -> int:
        """Send a request's head; the stream's number."""
        number = self.h2.get_next_available_stream_id()
        pseudo = [(":method", method), (":path", path), (":scheme", "http")]
        if authority is not None:
            pseudo.append((":authority", authority))
        self.streams[number] = Stream()
        self.h2.send_headers(number, [*pseudo, *headers], end_stream=end)
        self.flush()
        return number

    def send(self, number: int, data: bytes, *, end: bool = True) -> None:
        """Send a body as fast as the server's windows let it."""
        while data and not self.streams[number].over:
            room = min(self.h2.local_flow_control_window(number), self.h2.max_outbound_frame_size)
            if room <= 0:
                self.receive()
                continue
            self.h2.send_data(number, data[:room])
            data = data[room:]
            self.flush()
        if end and not self.streams[number].over:
            self.h2.end_stream(number)
            self.flush()

    def receive(self) -> bool:
        """Handle what comes next; whether the connection goes on."""
        data = self.socket.recv(65536)
        if not data:
            self.closed = True
            return False
        self._received += data
        while (frame := self._next_frame()) is not None:
            for event in self.h2.receive_data(frame):
                self._handle(event)
        self.flush()
        return True

    def _next_frame(self) -> bytes | None:
        """The next whole frame.  The package takes GOAWAY for the end, so it does not get it."""
        while len(self._received) >= 9:
            size = 9 + int.from_bytes(self._received[:3])
            if len(self._received) < size:
                return None
            frame, self._received = self._received[:size], self._received[size:]
            if frame[3] != GOAWAY:
                return frame
            self.goaways.append(int.from_bytes(frame[13:17]))
        return None

    def wait(self, *numbers: int) -> list[Stream]:
        """The streams, once they have ended."""
        while not all(self.streams[number].over for number in numbers):
            assert self.receive(), f"the connection ended: {self.streams}"
        return [self.streams[number] for number in numbers]

    def wait_for_head(self, number: int) -> Stream:
        while not self.streams[number].headers and not self.streams[number].over:
            assert self.receive(), "the connection ended"
        return self.streams[number]

    def wait_closed(self) -> None:
        while self.receive():
            pass

    def request(
        self,
        method: str,
        path: str,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        authority: str | None = "test",
    ) -> Stream:
        number = self.start(method, path, headers, authority=authority, end=not body)
        if body:
            self.send(number, body)
        return self.wait(number)[0]

    def reset(self, number: int) -> None:
        self.h2.reset_stream(number, h2.errors.ErrorCodes.CANCEL)
        self.flush()

    def _handle(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.ResponseReceived():
                stream = self.streams[event.stream_id]
                for name, value in event.headers:
                    assert name not in stream.headers, f"{name} twice"
                    stream.headers[name] = value
            case h2.events.DataReceived():
                self.streams[event.stream_id].body += event.data
                if self.acknowledge:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case h2.events.StreamEnded():
                self.streams[event.stream_id].ended = True
            case h2.events.StreamReset():
                self.streams[event.stream_id].reset = event.error_code
