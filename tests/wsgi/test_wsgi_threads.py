"""Blocking apps: nobody waits behind a slow handler, and --threads is kept."""

import hashlib
import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support import RawConnection, Response, Server, gohttp_serve, wait_until
from wsgi_helpers import APPS, get_json, in_background, serve_cases, worker_threads

THREADS = 4
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve_cases("--threads", str(THREADS)) as server:
        yield server


@pytest.fixture(scope="module")
def single() -> Iterator[Server]:
    with serve_cases("--threads", "1") as server:
        yield server


class Held:
    """Requests whose handlers block until `release`."""

    _numbers = itertools.count(1)

    def __init__(self, server: Server, folder: Path, count: int) -> None:
        self._server = server
        self._gate = folder / f"gate-{next(self._numbers)}"
        self._collect = in_background(self.request, count)

    def request(self) -> Response:
        return self._server.get(f"/hold?{self._gate}")

    def begun(self) -> int:
        """How many handlers have begun so far."""
        return len(list(self._gate.parent.glob(f"{self._gate.name}.inside-*")))

    def wait_begun(self, count: int) -> None:
        wait_until(lambda: self.begun() == count, f"{count} handlers to begin")

    def release(self) -> None:
        """Let them end, and see that every one was answered."""
        self._gate.touch()
        assert {response.body for response in self._collect()} == {b"released"}


Hold = Callable[[Server, int], Held]


@pytest.fixture
def hold(tmp_path: Path) -> Iterator[Hold]:
    """`hold(server, count)` begins so many blocking requests; the rest ends with the test."""
    made: list[Held] = []

    def begin(server: Server, count: int) -> Held:
        made.append(Held(server, tmp_path, count))
        return made[-1]

    yield begin
    for held in made:
        held.release()


def assert_still_unanswered(connection: RawConnection, seconds: float = 0.3) -> None:
    assert not connection._buffer
    connection.socket.settimeout(seconds)
    with pytest.raises(TimeoutError):
        connection.socket.recv(1)
    connection.socket.settimeout(10)


def test_threads_come_only_as_they_are_needed(hold: Hold) -> None:
    with serve_cases("--threads", str(THREADS)) as server:
        with server.connect() as connection:
            for _ in range(300):
                connection.send_request("GET", "/ok")
                assert connection.read_response().body == b"ok"
        assert worker_threads(server.pid) <= 2  # one may have come for a hiccup
        held = hold(server, THREADS - 1)
        held.wait_begun(THREADS - 1)
        assert server.get("/ok").body == b"ok"
        assert THREADS - 1 <= worker_threads(server.pid) <= THREADS
        held.release()


def test_blocked_handlers_do_not_stop_others(server: Server, hold: Hold) -> None:
    held = hold(server, THREADS - 1)
    held.wait_begun(THREADS - 1)
    for _ in range(50):
        assert server.get("/ok").body == b"ok"
    held.release()


def test_handler_that_blocks_for_the_first_time_is_left_behind(tmp_path: Path) -> None:
    """It runs on the thread that drives the I/O, which nobody could know would block."""
    with serve_cases("--threads", "2") as server, server.connect() as connection:
        connection.send_request("GET", f"/hold?{tmp_path / 'gate'}")
        wait_until(lambda: list(tmp_path.glob("gate.inside-*")), "the handler to begin")
        for _ in range(20):
            assert server.get("/ok").body == b"ok"
        (tmp_path / "gate").touch()
        assert connection.read_response().body == b"released"


def test_never_more_calls_at_once_than_threads(server: Server, hold: Hold) -> None:
    get_json(server, "/reset")
    held = hold(server, 3 * THREADS)
    held.wait_begun(THREADS)
    with server.connect() as connection:
        connection.send_request("GET", "/never-met")
        assert_still_unanswered(connection)
        assert held.begun() == THREADS
        held.release()
        connection.read_response()
    assert get_json(server, "/inside") == {"now": 0, "most": THREADS}
    assert worker_threads(server.pid) <= THREADS


def test_server_accepts_while_all_threads_are_blocked_and_answers_later(
    server: Server, hold: Hold
) -> None:
    held = hold(server, THREADS)
    held.wait_begun(THREADS)
    with ExitStack() as stack:
        connections = [stack.enter_context(server.connect()) for _ in range(50)]
        for connection in connections:
            connection.send_request("GET", "/ok")
            connection.send_request("GET", "/thread")
        with server.connect() as bad:  # what needs no handler is answered even now
            bad.send(b"NONSENSE\r\n\r\n")
            assert bad.read_response().status == 400
        held.release()
        for connection in connections:
            assert connection.read_response().body == b"ok"
            assert connection.read_response().status == 200


def test_one_thread_never_runs_two_calls_at_once(single: Server, hold: Hold) -> None:
    get_json(single, "/reset")
    held = hold(single, 5)
    held.wait_begun(1)
    with single.connect() as connection, single.connect() as bad:
        bad.send(b"NONSENSE\r\n\r\n")
        assert bad.read_response().status == 400
        connection.send_request("GET", "/ok")
        assert_still_unanswered(connection)
        assert held.begun() == 1
        held.release()
        assert connection.read_response().body == b"ok"
    assert get_json(single, "/inside") == {"now": 0, "most": 1}
    assert worker_threads(single.pid) == 1


def test_one_thread_runs_all_calls_on_the_same_thread(single: Server, hold: Hold) -> None:
    before = get_json(single, "/thread")
    held = hold(single, 2)
    held.wait_begun(1)
    held.release()
    assert get_json(single, "/thread") == before


def test_one_thread_streams_to_a_slow_client_only_by_itself(single: Server) -> None:
    """The handler that waits for its client has the only thread; the server stays alive."""
    with single.connect() as slow:
        slow.send_request("GET", "/large-list")
        for _ in range(10):
            assert single.get("/ok").body == b"ok"  # a list needs no thread to be sent
        assert slow.read_head().header("content-length") == str(24 * MIB)
        total = len(slow._buffer)
        while total < 24 * MIB:
            total += len(slow.socket.recv(MIB))
        assert total == 24 * MIB


def test_sleeping_handlers_run_in_parallel(server: Server) -> None:
    for _ in range(2):  # the kind of request unknown, then known as slow
        began = time.monotonic()
        in_background(lambda: server.get("/sleep?0.4"), THREADS)()
        assert time.monotonic() - began < 0.4 * (THREADS - 1)


def test_fast_route_answers_quickly_while_slow_ones_run(server: Server) -> None:
    done: list[bool] = []

    def slow() -> None:
        with server.connect() as connection:
            while not done:
                connection.send_request("GET", "/sleep?0.02")
                assert connection.read_response().body == b"slept"

    collect = in_background(slow, THREADS - 1)
    times = []
    with server.connect() as connection:
        for _ in range(400):
            began = time.perf_counter()
            connection.send_request("GET", "/ok")
            assert connection.read_response().body == b"ok"
            times.append(time.perf_counter() - began)
    done.append(True)
    collect()
    assert statistics.median(times) < 0.01
    assert statistics.quantiles(times, n=100)[97] < 0.1


def test_slow_uploads_do_not_stop_others(server: Server) -> None:
    """Forms of known length cost no thread until they are there."""
    body = b"x" * 100_000
    with ExitStack() as stack:
        uploads = [stack.enter_context(server.connect()) for _ in range(3 * THREADS)]
        for upload in uploads:
            headers = [("Content-Length", str(len(body)))]
            upload.send_request("POST", "/input-count", headers, body[:1000])
        for _ in range(20):
            assert server.get("/ok").body == b"ok"
        for upload in uploads:
            upload.send(body[1000:])
        for upload in uploads:
            assert upload.read_response().body == b'[100000, 1, ""]'


@pytest.mark.parametrize("begin", [1_000, 100_000, 400_000])
def test_upload_that_begins_quickly_and_stalls_does_not_stop_others(
    server: Server, begin: int
) -> None:
    """What has come decides whether the handler is called before all is there."""
    body = bytes(range(256)) * 4 * 900
    with ExitStack() as stack:
        uploads = [stack.enter_context(server.connect()) for _ in range(3 * THREADS)]
        for upload in uploads:
            headers = [("Content-Length", str(len(body)))]
            upload.send_request("POST", "/input-digest", headers, body[:begin])
        for _ in range(20):
            assert server.get("/ok").body == b"ok"
        for upload in uploads:
            upload.send(body[begin:])
        for upload in uploads:
            assert upload.read_response().body == hashlib.sha256(body).hexdigest().encode()


@pytest.mark.parametrize("begin", [1_000, 100_000, 400_000])
def test_the_only_thread_does_not_wait_for_a_form(single: Server, begin: int) -> None:
    body = bytes(range(256)) * 4 * 900
    with single.connect() as upload:
        headers = [("Content-Length", str(len(body)))]
        upload.send_request("POST", "/input-digest", headers, body[:begin])
        for _ in range(20):
            assert single.get("/ok").body == b"ok"
        upload.send(body[begin:])
        assert upload.read_response().body == hashlib.sha256(body).hexdigest().encode()


def test_handlers_that_wait_for_their_upload_do_not_stop_others(server: Server) -> None:
    with ExitStack() as stack:
        uploads = [stack.enter_context(server.connect()) for _ in range(THREADS - 1)]
        for upload in uploads:
            upload.send_request("POST", "/input-echo-lines", [("Transfer-Encoding", "chunked")])
            upload.send(b"4\r\none\n\r\n")
            assert upload.read_head().status == 200
            assert upload.read_chunk() == b"> one\n"
        for _ in range(50):
            assert server.get("/ok").body == b"ok"
        for upload in uploads:
            upload.send(b"4\r\ntwo\n\r\n0\r\n\r\n")
            assert upload.read_chunk() == b"> two\n"
            assert upload.read_chunk() == b""


def test_handler_with_the_only_thread_gets_its_upload(single: Server) -> None:
    with single.connect() as upload:
        upload.send_request("POST", "/input?read()", [("Transfer-Encoding", "chunked")])
        for byte in b"abc":
            upload.send(b"1\r\n%c\r\n" % byte)
        upload.send(b"0\r\n\r\n")
        assert upload.read_response().body == b'["abc"]'


def test_slow_readers_do_not_stop_others(server: Server) -> None:
    with ExitStack() as stack:
        readers = [stack.enter_context(server.connect()) for _ in range(3 * THREADS)]
        for reader in readers[: THREADS - 1]:
            reader.send_request("GET", "/flood?slow-readers")
            assert reader.read_head().status == 200
        for reader in readers[THREADS - 1 :]:
            reader.send_request("GET", "/large-list")
        for _ in range(50):
            assert server.get("/ok").body == b"ok"
    wait_until(
        lambda: get_json(server, "/events?slow-readers").count("close") == THREADS - 1,
        "the readers' generators to be closed",
    )


def test_server_recovers_after_every_thread_was_blocked(server: Server, hold: Hold) -> None:
    for _ in range(3):
        held = hold(server, 2 * THREADS)
        held.wait_begun(THREADS)
        held.release()
        answers: list[Any] = in_background(lambda: server.get("/ok").body, 2 * THREADS)()
        assert answers == [b"ok"] * (2 * THREADS)


def test_keep_alive_and_pipelining_work_while_threads_come_and_go(server: Server) -> None:
    def talk() -> int:
        with server.connect() as connection:
            for number in range(60):
                connection.send_request("GET", f"/environ?{number}")
                connection.send_request("GET", "/sleep?0.001" if number % 3 else "/ok")
                assert f'"QUERY_STRING": "{number}"' in connection.read_response().text
                assert connection.read_response().status == 200
        return 60

    assert in_background(talk, 8)() == [60] * 8


def test_stop_waits_for_handlers_in_flight(hold: Hold) -> None:
    with serve_cases("--threads", "2") as server:
        held = hold(server, 2)
        held.wait_begun(2)
        server.signal()
        server.wait_for_log("stopping")
        held.release()
        assert server.wait() == 0


def test_stop_gives_up_on_handlers_after_graceful_timeout(tmp_path: Path) -> None:
    with gohttp_serve(
        "wsgi_cases:app", "--graceful-timeout", "0.5", "--threads", "2", cwd=APPS, exit_code=1
    ) as server:
        with server.connect() as connection:
            connection.send_request("GET", f"/hold?{tmp_path / 'gate'}")
            wait_until(lambda: list(tmp_path.glob("gate.inside-*")), "the handler to begin")
            server.signal()
            assert server.wait(5) == 1
            assert connection.is_closed()
        server.wait_for_log("abandoned")


def test_requests_of_clients_that_have_gone_are_not_run(hold: Hold) -> None:
    with serve_cases("--threads", "1") as server:
        held = hold(server, 1)
        held.wait_begun(1)
        for _ in range(20):
            with server.connect() as gone:
                gone.send_request("GET", "/sleep?0.5")
                gone.reset()
        began = time.monotonic()
        held.release()
        assert server.get("/ok").status == 200
        assert time.monotonic() - began < 5
