"""A client over a plain socket, strict about HTTP/1.1."""

import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

TIMEOUT = 10.0  # seconds for any one thing a test waits for


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
