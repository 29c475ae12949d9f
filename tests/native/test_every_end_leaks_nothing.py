"""Nothing of a request is left, whatever handled it and however it ended: objects, descriptors,
threads, memory. `test_faces_leak_nothing.py` does the same over many requests, by memory alone."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support import RawConnection, Response, Server, clean_environment, gohttp_serve, wait_until

APPS = Path(__file__).parent / "apps"
MIB = 1024 * 1024
COUNT = 40  # requests that are looked at; half of one thing for each is a leak
AT_ONCE = 20
ROUNDS = 5
LARGE = [("X-Large", "x" * 45_000)]  # kept, it would show in the memory
UPGRADE = [
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
]

ON_THREADS = ["native", "sse", "hijack", "serve-file", "wsgi", "wsgi-generator", "wsgi-file"]
ON_LOOPS = ["native-async", "asgi", "asgi-stream", "websocket"]
KINDS = [*ON_THREADS, *ON_LOOPS, "files"]
READERS = ["native", "native-async", "wsgi", "wsgi-generator", "asgi", "asgi-stream"]
STREAMERS = ["files", *KINDS[:-1]]

Held = dict[str, int]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    options = ("--threads", "32")
    with gohttp_serve("leak_cases:mux", *options, cwd=APPS) as server:
        yield server


@pytest.fixture(scope="module")
def hasty() -> Iterator[Server]:
    """A server whose time-outs fire soon."""
    options = ["--threads", "32", "--request-timeout", "0.3", "--write-timeout", "0.3"]
    options += ["--ws-ping-interval", "0.3", "--ws-ping-timeout", "0.3"]
    with gohttp_serve("leak_cases:mux", *options, cwd=APPS) as server:
        yield server


def look(server: Server) -> Held:
    response = server.get("/look")
    assert response.status == 200, response.text
    held: Held = json.loads(response.body)
    return held


def leaks(before: Held, after: Held, count: int) -> dict[str, int]:
    """What has grown as if one were left of each second request."""
    grown = {name: number - before.get(name, 0) for name, number in after.items()}
    resident = grown.pop("bytes resident")
    # Free lists of the interpreter fill up slowly; what is kept of a request is many blocks.
    room = {"blocks of memory": max(count, 200)}
    found = {name: n for name, n in grown.items() if n >= room.get(name, count // 2)}
    # The allocator keeps what it had at the most, by and large.
    return found | ({"bytes resident": resident} if resident > 2 * MIB else {})


def expect_none_left(server: Server, work: Callable[[int], None], count: int = COUNT) -> None:
    """A leak grows each time; what is made once, or still on its way, does not."""
    work(count)
    before = look(server)
    suspects: Held | None = None
    for _ in range(ROUNDS):
        work(count)
        after = look(server)
        found = leaks(before, after, count)
        suspects = found if suspects is None else {n: found[n] for n in suspects if n in found}
        if not suspects:
            return
        before = after
    pytest.fail(f"each {count} requests leave behind: {suspects}")


def request_to(connection: RawConnection, kind: str, case: str) -> None:
    headers = LARGE + (UPGRADE if kind == "websocket" else [("Connection", "close")])
    connection.send_request("GET", f"/{kind}/{case}", headers)


def read_to_the_close_frame(connection: RawConnection) -> None:
    """All frames are short."""
    opcode = None
    while opcode != 8:
        first, size = connection.read_exactly(2)
        connection.read_exactly(size)
        opcode = first & 15


def answer(server: Server, kind: str, case: str) -> Response | None:
    """What comes before the server closes; `None` for an answer that is cut."""
    with server.connect(30) as connection:
        request_to(connection, kind, case)
        try:
            response = connection.read_response()
            if response.status == 101:
                read_to_the_close_frame(connection)
        except ConnectionError:
            return None
        return response


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_left_of_a_request_that_is_answered(server: Server, kind: str) -> None:
    def work(count: int) -> None:
        for _ in range(count):
            response = answer(server, kind, "ends")
            assert response is not None
            assert response.status == (101 if kind == "websocket" else 200)

    expect_none_left(server, work)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_left_of_a_handler_that_raises(server: Server, kind: str) -> None:
    """For files: of one that is not there."""

    def work(count: int) -> None:
        for _ in range(count):
            response = answer(server, kind, "raises")
            if kind in ("native", "native-async", "wsgi", "wsgi-file", "asgi"):
                assert response is not None
                assert response.status == 500
            if kind == "files":
                assert response is not None
                assert response.status == 404

    expect_none_left(server, work)


@pytest.mark.parametrize("kind", STREAMERS)
def test_nothing_is_left_when_the_client_leaves_a_stream(server: Server, kind: str) -> None:
    def work(count: int) -> None:
        for _ in range(count):
            with server.connect() as connection:
                request_to(connection, kind, "floods")
                assert connection.read_head().status in (200, 101)
                connection.reset()

    expect_none_left(server, work)


@pytest.mark.parametrize("kind", READERS)
def test_nothing_is_left_when_the_client_leaves_in_mid_body(server: Server, kind: str) -> None:
    def work(count: int) -> None:
        for _ in range(count):
            with server.connect() as connection:
                headers = [*LARGE, ("Transfer-Encoding", "chunked")]
                headers += [("Content-Type", "application/x-www-form-urlencoded")]
                connection.send_request("POST", f"/{kind}/reads", headers, b"4\r\nbody\r\n")
                if kind in ("wsgi-generator", "asgi-stream"):
                    connection.read_head()
                connection.reset()

    expect_none_left(server, work)


def side_by_side(count: int, work: Callable[[], None]) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for done in [pool.submit(work) for _ in range(count)]:
            done.result()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "files"])
def test_nothing_is_left_of_a_handler_that_takes_too_long(hasty: Server, kind: str) -> None:
    def ask() -> None:
        response = answer(hasty, kind, "sleeps")
        begun = kind in ("sse", "wsgi-generator", "asgi-stream")
        assert response is None if begun else response is not None and response.status == 504

    expect_none_left(hasty, lambda count: side_by_side(count, ask), AT_ONCE)


@pytest.mark.parametrize("kind", ["files", "serve-file", "wsgi", "native-async", "asgi"])
def test_nothing_is_left_of_a_client_that_takes_nothing(hasty: Server, kind: str) -> None:
    def work(count: int) -> None:
        before = descriptors(hasty)
        clients = [hasty.connect() for _ in range(count)]
        for client in clients:
            request_to(client, kind, "floods")
            assert client.read_head().status == 200
        # A client that does not read does not see the end either.
        wait_until(lambda: descriptors(hasty) <= before, "the connections to be cut")
        for client in clients:
            client.close()

    expect_none_left(hasty, work, AT_ONCE)


def descriptors(server: Server) -> int:
    return len(os.listdir(f"/proc/{server.pid}/fd"))


def test_nothing_is_left_of_a_silent_websocket(hasty: Server) -> None:
    def ask() -> None:
        with hasty.connect(30) as connection:
            request_to(connection, "websocket", "stays")
            assert connection.read_head().status == 101
            read_to_the_close_frame(connection)

    expect_none_left(hasty, lambda count: side_by_side(count, ask), AT_ONCE)


def stopped(kind: str, rounds: int) -> tuple[Held, Held]:
    ended = subprocess.run(
        [sys.executable, "leak_cases.py", kind, str(rounds)],
        cwd=APPS,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    before, after = json.loads(ended.stdout)
    return before, after


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_left_of_a_server_that_stops_in_mid_request(kind: str) -> None:
    """Nor of the server itself: its loop, its descriptors, its `Mux`."""
    rounds = 2
    before, after = stopped(kind, rounds)
    loose = ("tracked objects", "blocks of memory", "bytes resident")
    grown = {name: number - before.get(name, 0) for name, number in after.items()}
    left = {name: n for name, n in grown.items() if name not in loose and n >= rounds}
    assert not left
