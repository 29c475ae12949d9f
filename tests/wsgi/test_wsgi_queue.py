"""`--queue`, `--queue-timeout`, `--health-path`, and which requests get a thread."""

import itertools
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from support import RawConnection, Response, Server, gohttp_serve, wait_until
from wsgi_helpers import APPS, in_background, nothing_to_read, worker_threads

KIB = 1024
LATE = 0.5  # the precision of time-outs
SLACK = 0.5  # for a busy machine


@contextmanager
def serve(*options: str) -> Iterator[Server]:
    with gohttp_serve("queue_cases:app", *options, cwd=APPS) as server:
        yield server


class Gate:
    """Handlers that are held until it opens."""

    _numbers = itertools.count(1)

    def __init__(self, folder: Path, path: str = "/hold") -> None:
        self._file = folder / f"gate-{next(self._numbers)}"
        self.target = f"{path}?{self._file}"

    def begun(self) -> int:
        begun = self._file.with_name(f"{self._file.name}.begun")
        return begun.stat().st_size if begun.exists() else 0

    def wait_begun(self, count: int) -> None:
        wait_until(lambda: self.begun() >= count, f"{count} handlers to begin")

    def open(self) -> None:
        self._file.touch()


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    gate = Gate(tmp_path)
    yield gate
    gate.open()


@pytest.fixture
def connect() -> Iterator[Callable[[Server], RawConnection]]:
    with ExitStack() as stack:
        yield lambda server: stack.enter_context(server.connect())


Connect = Callable[[Server], RawConnection]


def wait_until_somebody_else_drives(server: Server) -> None:
    """A bad request is answered, though the thread that drove is held."""
    with server.connect() as bad:
        bad.send(b"NONSENSE\r\n\r\n")
        assert bad.read_response().status == 400


def hold(server: Server, gate: Gate, count: int, connect: Connect) -> list[RawConnection]:
    """So many requests that are being held."""
    held = []
    for number in range(count):
        held.append(connect(server))
        held[-1].send_request("GET", gate.target)
        gate.wait_begun(number + 1)
        wait_until_somebody_else_drives(server)
    return held


def assert_refused(response: Response) -> None:
    assert response.status == 503
    assert response.header("retry-after") == "1"
    assert response.header("connection") is None
    assert response.body == b"503 Service Unavailable\n"


def assert_held_go_on(gate: Gate, held: list[RawConnection]) -> None:
    gate.open()
    for connection in held:
        assert connection.read_response().body == b"released"
    for connection in held:
        wait_until_served(connection)


def wait_until_served(connection: RawConnection) -> None:
    """The client has its answer a moment before the thread is free for the next."""

    def served() -> bool:
        connection.send_request("GET", "/ok")
        response = connection.read_response()
        assert response.status in {200, 503}
        return response.body == b"ok"

    wait_until(served, "a thread to be free")


# --- the queue -----------------------------------------------------------------------------------


def test_more_than_the_queue_holds_get_503(gate: Gate, connect: Connect) -> None:
    with serve("--threads", "1", "--queue", "3") as server:
        held = hold(server, gate, 1, connect)
        queued = [connect(server) for _ in range(3)]
        for connection in queued:
            connection.send_request("GET", "/ok")
            wait_until_somebody_else_drives(server)  # so that it has been queued
        refused = [connect(server) for _ in range(3)]
        for connection in refused:
            for _ in range(2):  # the connection is kept
                connection.send_request("GET", "/ok")
                assert_refused(connection.read_response())
        line = server.wait_for_log(r"refused with 503")
        assert " warning " in line
        wait_until(lambda: _refused(server) == 6, "the log to count six")
        assert all(nothing_to_read(connection) for connection in queued)
        assert_held_go_on(gate, held)
        for connection in queued:
            assert connection.read_response().body == b"ok"
        for connection in refused:
            connection.send_request("GET", "/ok")
            assert connection.read_response().body == b"ok"


def _refused(server: Server) -> int:
    """How many refusals the log has counted."""
    counts = (re.search(r"(\d+) requests? w\w+ refused with 503", line) for line in server.log())
    return sum(int(match[1]) for match in counts if match)


def test_queue_of_two_threads(gate: Gate, connect: Connect) -> None:
    """One more than --threads may run: nobody knows yet that this kind is slow."""
    with serve("--threads", "2", "--queue", "2") as server:
        held = hold(server, gate, 2, connect)
        others = [connect(server) for _ in range(6)]
        for connection in others:
            connection.send_request("GET", gate.target)
            wait_until_somebody_else_drives(server)
        wait_until(lambda: gate.begun() + _refused(server) >= 6, "all to be counted")
        assert 2 <= gate.begun() <= 3
        refused = [connection for connection in others if not nothing_to_read(connection)]
        assert 3 <= len(refused) <= 4  # 8, less two in the queue, less two or three that run
        for connection in refused:
            assert_refused(connection.read_response())
            others.remove(connection)
        gate.open()
        for connection in held + others:
            assert connection.read_response().body == b"released"


def test_refused_request_with_a_body_keeps_the_connection(gate: Gate, connect: Connect) -> None:
    with serve("--threads", "1", "--queue", "0") as server:
        held = hold(server, gate, 1, connect)
        connection = connect(server)
        connection.send_request("POST", "/count", body=b"GET /stolen HTTP/1.1\r\n\r\n" * 100)
        assert_refused(connection.read_response())
        chunks = b"5\r\nhello\r\n0\r\n\r\n"
        connection.send_request("POST", "/count", [("Transfer-Encoding", "chunked")])
        connection.send(chunks)
        assert_refused(connection.read_response())
        assert_held_go_on(gate, held)
        connection.send_request("POST", "/count", body=b"12345")
        assert connection.read_response().body == b"5"


def test_refused_head_has_no_body(gate: Gate, connect: Connect) -> None:
    with serve("--threads", "1", "--queue", "0") as server:
        held = hold(server, gate, 1, connect)
        connection = connect(server)
        for _ in range(2):
            connection.send_request("HEAD", "/ok")
            response = connection.read_response(head=True)
            assert (response.status, response.header("retry-after")) == (503, "1")
        assert_held_go_on(gate, held)


def test_queue_of_nothing_serves_who_comes_one_by_one() -> None:
    with serve("--threads", "1", "--queue", "0") as server, server.connect() as connection:
        for _ in range(50):
            connection.send_request("GET", "/ok")
            assert connection.read_response().body == b"ok"
        assert not _refused(server)


def test_queue_timeout_sheds_who_waits_too_long(gate: Gate, connect: Connect) -> None:
    with serve("--threads", "1", "--queue-timeout", "0.5") as server:
        held = hold(server, gate, 1, connect)
        waiting = [connect(server) for _ in range(3)]
        began = time.monotonic()
        for connection in waiting:
            connection.send_request("GET", "/ok")
        for connection in waiting:
            assert_refused(connection.read_response())
            assert 0.49 <= time.monotonic() - began <= 0.5 + LATE + SLACK
        wait_until(lambda: _refused(server) == 3, "the log to count three")
        assert_held_go_on(gate, held)  # who has a thread is not shed
        for connection in waiting:
            connection.send_request("GET", "/ok")
            assert connection.read_response().body == b"ok"


def test_queue_timeout_of_slow_kinds(tmp_path: Path, connect: Connect) -> None:
    with serve("--threads", "2", "--queue-timeout", "0.5") as server:
        gate = Gate(tmp_path, "/poll")
        learn_that_it_is_slow(server, tmp_path)
        connections = [connect(server) for _ in range(6)]
        for connection in connections:
            connection.send_request("GET", gate.target)
        gate.wait_begun(2)
        answered = wait_until(
            lambda: len(ready := [c for c in connections if not nothing_to_read(c)]) >= 3 and ready,
            "those that wait to be refused",
        )
        for connection in answered:
            assert_refused(connection.read_response())
        gate.open()
        for connection in connections:
            if connection not in answered:
                assert connection.read_response().status in {200, 503}


def test_queue_timeout_of_0_is_none(gate: Gate, connect: Connect) -> None:
    with serve("--threads", "1", "--queue-timeout", "0") as server:
        held = hold(server, gate, 1, connect)
        waiting = connect(server)
        waiting.socket.settimeout(1.2)
        waiting.send_request("GET", "/ok")
        with pytest.raises(TimeoutError):
            waiting.socket.recv(1)
        assert_held_go_on(gate, held)
        assert waiting.read_response().body == b"ok"


# --- the health path -----------------------------------------------------------------------------


def test_health_is_told_while_all_threads_are_busy(gate: Gate, connect: Connect) -> None:
    with serve("--threads", "1", "--queue", "0", "--health-path", "/healthz") as server:
        held = hold(server, gate, 1, connect)
        with server.connect() as connection:
            for target in ("/healthz", "/healthz?full=1", "/healthz"):
                connection.send_request("GET", target)
                response = connection.read_response()
                assert (response.status, response.body) == (200, b"ok\n")
                assert response.header("cache-control") == "no-store"
            connection.send_request("HEAD", "/healthz")
            response = connection.read_response(head=True)
            assert (response.status, response.header("content-length")) == (200, "3")
            connection.send_request("GET", "/healthz/")
            assert_refused(connection.read_response())
        assert_held_go_on(gate, held)


def test_health_is_503_while_it_stops(gate: Gate, connect: Connect) -> None:
    with serve("--threads", "1", "--health-path", "/healthz") as server:
        (held,) = hold(server, gate, 1, connect)
        with server.connect() as connection:
            connection.send_request("GET", "/healthz")
            assert connection.read_response().status == 200
            server.signal()
            server.wait_for_log("stopping")
            connection.send_request("GET", "/healthz")
            response = connection.read_response()
            assert (response.status, response.body) == (503, b"stopping\n")
            assert response.header("connection") == "close"
        gate.open()
        assert held.read_response().body == b"released"
        assert server.wait() == 0


def test_health_path_is_the_apps_if_not_asked_for() -> None:
    with gohttp_serve("wsgi_cases:app", cwd=APPS) as server:
        environ = json.loads(server.get("/healthz").body)["environ"]
        assert environ["PATH_INFO"] == "/healthz"


# --- threads -------------------------------------------------------------------------------------


def test_threads_grow_with_what_runs_at_once_only(gate: Gate, connect: Connect) -> None:
    with serve("--threads", "8") as server:
        with server.connect() as connection:
            for _ in range(100):
                connection.send_request("GET", "/ok")
                assert connection.read_response().body == b"ok"
        before = worker_threads(server.pid)
        assert before <= 2  # one may have come for a hiccup
        for _ in range(5):  # one by one, though slow
            assert server.get("/sleep?0.03").body == b"slept"
        assert worker_threads(server.pid) <= 3
        held = hold(server, gate, 5, connect)
        assert 5 <= worker_threads(server.pid) <= 6
        assert server.get("/ok").body == b"ok"
        assert_held_go_on(gate, held)
        in_background(lambda: server.get("/sleep?0.05"), 30)()
        assert worker_threads(server.pid) <= 8 + 1
        assert json.loads(server.get("/seen").body)[0] <= 8 + 1


def test_one_thread_alone_runs_the_app(connect: Connect) -> None:
    """Streams, slow readers and slow writers: never two at once, never another thread."""
    with serve("--threads", "1") as server:
        events = connect(server)
        events.send_request("GET", "/events?8")
        assert events.read_head().status == 200
        slow_reader = connect(server)
        slow_reader.send_request("GET", "/flood?128")
        uploader = connect(server)
        uploader.send_request("POST", "/count", [("Transfer-Encoding", "chunked")])
        uploader.send(b"3\r\nabc\r\n")
        others = [connect(server) for _ in range(6)]
        for number, connection in enumerate(others):
            connection.send_request("GET", "/sleep?0.01" if number % 2 else "/ok")
        while events.read_chunk():
            pass
        # Now the flood has the thread, until its client reads.
        assert slow_reader.read_head().status == 200
        assert sum(len(piece) for piece in iter(slow_reader.read_chunk, b"")) == 128 * 64 * KIB
        uploader.send(b"3\r\ndef\r\n0\r\n\r\n")
        assert uploader.read_response().body == b"6"
        for connection in others:
            assert connection.read_response().status == 200
        assert json.loads(server.get("/seen").body) == [1, 1]
        assert worker_threads(server.pid) == 1


def test_streams_do_not_keep_short_requests_waiting(connect: Connect) -> None:
    with serve("--threads", "2") as server:
        streams = [connect(server) for _ in range(5)]
        for stream in streams:
            stream.send_request("GET", "/events?20")
        for stream in streams:  # all of them get on, though there are two threads
            assert stream.read_head().status == 200
            for number in range(3):
                assert stream.read_chunk() == f"data: {number}\n\n".encode()
        for _ in range(10):
            began = time.monotonic()
            assert server.get("/ok").body == b"ok"
            assert time.monotonic() - began < 1
        for stream in streams:
            for number in range(3, 20):
                assert stream.read_chunk() == f"data: {number}\n\n".encode()
            assert stream.read_chunk() == b""


def test_threads_are_counted_right_after_streams(gate: Gate, connect: Connect) -> None:
    """Streams that have ended, or been left, neither keep a thread nor give one."""
    with serve("--threads", "2") as server:
        learn_that_it_is_slow(server, gate._file.parent)
        assert server.get("/ok").body == b"ok"  # and that this is quick
        for _ in range(2):
            streams = [connect(server) for _ in range(4)]
            for number, stream in enumerate(streams):
                stream.send_request("GET", f"/events?{10 if number % 2 else 1000}")
            for stream in streams:
                assert stream.read_head().status == 200
            for number, stream in enumerate(streams):
                if number % 2:
                    assert len(list(iter(stream.read_chunk, b""))) == 10
                else:
                    stream.reset()
        polls = Gate(gate._file.parent, "/poll")
        connections = [connect(server) for _ in range(2)]
        for connection in connections:
            connection.send_request("GET", polls.target)
        polls.wait_begun(2)
        for _ in range(5):
            assert server.get("/ok").body == b"ok"
        polls.open()
        for connection in connections:
            assert connection.read_response().body == b"released"


def learn_that_it_is_slow(server: Server, folder: Path) -> None:
    """Run some long polls that end soon."""
    opened = Gate(folder, "/poll")
    opened.open()
    for _ in range(12):
        assert server.get(opened.target).body == b"released"


@pytest.mark.parametrize(
    "polls",
    [
        2,
        pytest.param(
            40,
        ),
    ],
)
def test_long_polls_do_not_keep_quick_requests_waiting(
    tmp_path: Path, connect: Connect, polls: int
) -> None:
    with serve("--threads", "2") as server:
        assert server.get("/ok").body == b"ok"
        learn_that_it_is_slow(server, tmp_path)
        gate = Gate(tmp_path, "/poll")
        connections = [connect(server) for _ in range(polls)]
        for connection in connections:
            connection.send_request("GET", gate.target)
        gate.wait_begun(2)
        wait_until_somebody_else_drives(server)
        try:
            for _ in range(10):
                with server.connect() as quick:
                    quick.socket.settimeout(1)
                    quick.send_request("GET", "/ok")
                    assert quick.read_response().body == b"ok"
        finally:
            gate.open()
        for connection in connections:
            assert connection.read_response().body == b"released"
