"""A body that two threads of a handler ask for at once: one waits for the other."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from remote import APPS
from support import Server, gohttp_serve

PIECES = 20


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with gohttp_serve("body_thread_cases:mux", cwd=APPS) as server:
        yield server


def ask(server: Server, path: str, pieces: list[bytes], content_type: str = "text/plain") -> Any:
    """Send a body whose pieces come one by one, the first when the handler has asked for it."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n"
        f"Content-Type: {content_type}\r\nExpect: 100-continue\r\n\r\n"
    )
    with server.connect() as connection:
        connection.send(head.encode())
        assert connection.read_response(interim=True).status == 100
        for piece in pieces:
            server.get("/ok")  # the other thread asks meanwhile
            connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        connection.send(b"0\r\n\r\n")
        return json.loads(connection.read_response().body)


def test_both_threads_get_the_whole_body(server: Server) -> None:
    pieces = [b"x" * 100] * PIECES
    assert ask(server, "/whole", pieces) == [100 * PIECES] * 2


def test_both_threads_get_the_same_form(server: Server) -> None:
    parts = [
        f'--B\r\nContent-Disposition: form-data; name="f{n}"\r\n\r\nvalue\r\n'.encode()
        for n in range(PIECES)
    ]
    found = ask(server, "/form", [*parts, b"--B--\r\n"], "multipart/form-data; boundary=B")
    names = sorted(f"f{n}" for n in range(PIECES))
    assert found == {"same": True, "names": [names, names]}


def test_each_byte_is_read_once_by_one_of_both_threads(server: Server) -> None:
    pieces = [bytes([n]) * 3000 for n in range(PIECES)]
    read = ask(server, "/pieces", pieces)
    assert sorted(read[0] + read[1]) == sorted(b"".join(pieces))
