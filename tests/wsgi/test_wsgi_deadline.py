"""`--request-timeout`: the client hears of it at once, the handler is interrupted, none is left."""

import json
import os
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from support import Response, Server, gohttp_serve, wait_until
from wsgi_helpers import APPS, in_background, worker_threads

SECONDS = 0.5
LATE = 0.5  # the precision that is promised
LARGE = 24 * 1024 * 1024
SLACK = 0.4  # for a busy machine
SOURCE = (APPS / "deadline_cases.py").read_text(encoding="utf-8").splitlines()


@contextmanager
def serve(*options: str, app: str = "deadline_cases:app", workers: int = 1, **kwargs) -> Iterator:
    timeout = ("--request-timeout", str(SECONDS))
    with gohttp_serve(app, *timeout, *options, cwd=APPS, workers=workers, **kwargs) as server:
        yield server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve("--threads", "8") as server:
        yield server


@pytest.fixture(scope="module")
def native() -> Iterator[Server]:
    with serve("--threads", "8", app="deadline_native") as server:
        yield server


@pytest.fixture
def marks(tmp_path: Path) -> "Marks":
    return Marks(tmp_path / "marks")


class Marks:
    """What a handler has written to its file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    def lines(self) -> list[str]:
        return self.path.read_text("utf-8").splitlines() if self.path.exists() else []

    def wait(self, line: str) -> list[str]:
        wait_until(lambda: line in self.lines(), f"{line!r} among the marks")
        return self.lines()


def line_of(comment: str) -> int:
    """The number of the app's only line with this comment."""
    (number,) = (n for n, line in enumerate(SOURCE, 1) if line.endswith(f"# {comment}"))
    return number


def assert_in_time(began: float) -> None:
    took = time.monotonic() - began
    assert SECONDS - 0.01 <= took <= SECONDS + LATE + SLACK, f"it took {took:.2f} s"


def assert_is_504(response: Response) -> None:
    assert response.status == 504
    assert response.header("connection") == "close"
    assert response.header("content-type").startswith("text/plain")
    assert response.body == b"504 Gateway Timeout\n"


def log_since(server: Server, start: int) -> str:
    return "\n".join(server.log()[start:])


# --- the client ----------------------------------------------------------------------------------


def test_client_gets_504_in_time_and_the_connection_is_closed(server: Server, marks: Marks) -> None:
    with server.connect() as connection:
        began = time.monotonic()
        connection.send_request("GET", f"/loop?{marks}")
        response = connection.read_response()
        assert_in_time(began)
        assert_is_504(response)
        assert connection.is_closed()
    marks.wait("finally")


def test_client_gets_504_while_the_handler_is_in_c_code(marks: Marks) -> None:
    """Nothing in Python can have answered."""
    with serve("--threads", "2", "--graceful-timeout", "0", exit_code=None) as server:
        began = time.monotonic()
        assert_is_504(server.get(f"/blocked?{marks}"))
        assert_in_time(began)


def test_stream_that_has_begun_is_cut(server: Server, marks: Marks) -> None:
    with server.connect() as connection:
        began = time.monotonic()
        connection.send_request("GET", f"/stream?{marks}")
        head = connection.read_head()
        assert (head.status, head.header("transfer-encoding")) == (200, "chunked")
        assert connection.read_chunk() == b"one"
        assert connection.is_closed()  # without the last chunk
        assert_in_time(began)
    marks.wait("finally")


def test_stream_that_goes_on_is_cut(server: Server, marks: Marks) -> None:
    with server.connect() as connection:
        began = time.monotonic()
        connection.send_request("GET", f"/ticker?{marks}")
        assert connection.read_head().status == 200
        rest = connection.read_until_close()
        assert_in_time(began)
        assert rest.startswith(b"4\r\ntick\r\n")
        assert not rest.endswith(b"0\r\n\r\n")
    marks.wait("finally")


def test_request_that_waits_for_a_thread_too_long_gets_504(marks: Marks) -> None:
    """What runs into the time-out in the queue is not run."""
    with serve("--threads", "1") as server, server.connect() as first, server.connect() as second:
        first.send_request("GET", f"/loop?{marks}")
        marks.wait("begun")
        second.send_request("GET", f"/loop?{marks}")
        assert_is_504(first.read_response())
        assert_is_504(second.read_response())
        wait_until(lambda: server.get("/ok").status == 200, "the thread to be free")
        wait_until(lambda: marks.lines().count("finally") >= 1, "the handler to end")


def test_time_for_an_upload_counts(server: Server, marks: Marks) -> None:
    with server.connect() as connection:
        began = time.monotonic()
        connection.send_request("POST", f"/upload?{marks}", [("Transfer-Encoding", "chunked")])
        connection.send(b"3\r\nabc\r\n")
        assert_is_504(connection.read_response())
        assert_in_time(began)
    # The read raises it; what the handler does about it is not interrupted once more.
    assert marks.wait("finally") == ["RequestTimeout", "finally"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/flood", ["cleaned up"]), ("/flood-by-write", ["RequestTimeout", "cleaned up"])],
)
def test_handler_whose_client_is_cut_off_may_clean_up(
    server: Server, tmp_path: Path, path: str, expected: list[str]
) -> None:
    """No exception comes while it does, though it is over its time."""
    all_marks = [Marks(tmp_path / str(number)) for number in range(4)]
    with ExitStack() as stack:
        for marks in all_marks:
            connection = stack.enter_context(server.connect())
            connection.send_request("GET", f"{path}?{marks}")
            assert connection.read_head().status == 200
        for marks in all_marks:
            assert marks.wait("cleaned up") == expected


def test_head_gets_504_without_a_body(server: Server, marks: Marks) -> None:
    with server.connect() as connection:
        connection.send_request("HEAD", f"/loop?{marks}")
        response = connection.read_response(head=True)
        assert response.status == 504
        assert connection.read_until_close() == b""


@pytest.mark.parametrize("path", ["/large", "/large-file"])
def test_client_may_take_its_time_with_a_complete_response(server: Server, path: str) -> None:
    """It is the handler that has a deadline; clients have write_timeout."""
    with server.connect() as connection:
        connection.send_request("GET", path)
        assert connection.read_head().header("content-length") == str(LARGE)
        time.sleep(SECONDS + LATE + 0.25)
        rest = LARGE - len(connection._buffer)
        while rest and (data := connection.socket.recv(min(rest, 1024 * 1024))):
            rest -= len(data)
        assert rest == 0


def test_http_1_0_gets_504(server: Server, marks: Marks) -> None:
    with server.connect() as connection:
        connection.send(f"GET /loop?{marks} HTTP/1.0\r\n\r\n".encode())
        assert connection.read_response().status == 504
        assert connection.is_closed()


def test_all_that_time_out_together_get_504(tmp_path: Path) -> None:
    """None is merely closed because its handler was interrupted first."""
    with serve("--threads", "40") as server, ExitStack() as stack:
        statuses: Counter[int] = Counter()
        for turn in range(2):
            connections = [stack.enter_context(server.connect()) for _ in range(40)]
            for number, connection in enumerate(connections):
                connection.send_request("GET", f"/loop?{tmp_path / f'{turn}-{number}'}")
            for connection in connections:
                closed = connection.is_closed() if not connection._buffer else False
                statuses[0 if closed else 504] += 1
        assert statuses == {504: 80}


def test_http_2_gets_504(server: Server, marks: Marks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(APPS.parents[1] / "protocol")
    from h2client import H2Client

    with H2Client(server) as client:
        began = time.monotonic()
        number = client.start("GET", f"/loop?{marks}")
        quick = client.request("GET", "/ok")
        assert (quick.status, quick.body) == (200, b"ok")
        (stream,) = client.wait(number)
        assert_in_time(began)
        assert (stream.status, stream.reset) == (504, None)
        marks.wait("finally")
        assert client.request("GET", "/ok").status == 200  # only the stream has ended


def test_http_2_handler_whose_stream_is_cut_may_clean_up(
    server: Server, marks: Marks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(APPS.parents[1] / "protocol")
    from h2client import H2Client

    with H2Client(server) as client:
        client.acknowledge = False  # its window closes
        assert client.wait_for_head(client.start("GET", f"/flood-by-write?{marks}")).status == 200
        assert marks.wait("cleaned up") == ["RequestTimeout", "cleaned up"]


def test_http_2_stream_that_has_begun_is_reset(
    server: Server, marks: Marks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(APPS.parents[1] / "protocol")
    from h2client import H2Client

    with H2Client(server) as client:
        number = client.start("GET", f"/stream?{marks}")
        client.socket.settimeout(2)
        (stream,) = client.wait(number)
        assert (stream.status, stream.body) == (200, b"one")
        assert stream.reset is not None
        marks.wait("finally")
        assert client.request("GET", "/ok").status == 200


# --- the handler ---------------------------------------------------------------------------------


def test_handler_gets_an_exception_that_is_no_exception(server: Server, marks: Marks) -> None:
    assert server.get(f"/loop?{marks}").status == 504
    lines = marks.wait("finally")
    assert lines[0] == "begun"
    assert re.fullmatch(r"BaseException: .*request_timeout", lines[1])
    assert lines[2:] == ["finally"]


def test_log_says_what_ran_where(server: Server, marks: Marks) -> None:
    start = len(server.log())
    assert server.get(f"/loop?{marks}").status == 504
    marks.wait("finally")
    wait_until(lambda: "was ended by its time-out" in log_since(server, start), "its end")
    log = log_since(server, start)
    assert re.search(r"GET /loop has run for 0\.5 s \(request_timeout\) on gohttp-\d+", log)
    match = re.search(r'File ".*/deadline_cases\.py", line (\d+), in loop\b', log)
    assert match, log
    assert "loop_for(8)" in SOURCE[int(match[1]) - 1]
    assert "answered with 504" in log
    assert "Traceback" not in log  # it is no error of the app's own


def test_handler_may_not_answer_any_more(server: Server, marks: Marks) -> None:
    start = len(server.log())
    with server.connect() as connection:
        connection.send_request("GET", f"/after-504?{marks}")
        assert_is_504(connection.read_response())
        assert connection.is_closed()
    marks.wait("answered")
    assert server.get("/ok").body == b"ok"
    assert "Traceback" not in log_since(server, start)


def test_interrupted_threads_are_used_again(server: Server, tmp_path: Path) -> None:
    def one(number: int) -> int:
        return server.get(f"/loop?{tmp_path / str(number)}").status

    for turn in range(2):
        calls = [lambda n=turn * 10 + n: one(n) for n in range(8)]
        waits = [in_background(call) for call in calls]
        assert [wait() for wait in waits] == [[504]] * 8
    wait_until(
        lambda: sum("finally" in file.read_text() for file in tmp_path.iterdir()) == 16,
        "all handlers to end",
    )
    assert worker_threads(server.pid) <= 8 + 1
    for _ in range(20):
        assert server.get("/ok").body == b"ok"


def test_no_request_gets_the_exception_of_another(server: Server) -> None:
    """Handlers that end right around their deadline, and quick ones behind them."""
    start = len(server.log())
    before, steps = SECONDS - 0.05, 16

    def end_around(number: int) -> list[int]:
        statuses = []
        for step in range(4):
            seconds = before + 0.35 * ((number + 4 * step) % steps) / steps
            with server.connect() as connection:
                connection.send_request("GET", f"/around?{seconds:.4f}")
                response = connection.read_response()
                statuses.append(response.status)
                if response.status == 504:
                    assert connection.is_closed()
                    continue
                assert response.body == b"done"
                for _ in range(10):
                    connection.send_request("GET", "/ok")
                    assert connection.read_response().body == b"ok"
        return statuses

    done: list[bool] = []

    def quick() -> Counter[int]:
        statuses: Counter[int] = Counter()
        with server.connect() as connection:
            while not done:
                connection.send_request("GET", "/ok")
                response = connection.read_response()
                statuses[response.status] += 1
                assert response.body == b"ok"
        return statuses

    quick_ones = in_background(quick)
    waits = [in_background(lambda n=number: end_around(n)) for number in range(6)]
    statuses = Counter(status for wait in waits for status in wait()[0])
    done.append(True)
    assert quick_ones()[0].keys() == {200}
    assert statuses.keys() == {200, 504}, statuses
    assert "Traceback" not in log_since(server, start)


def test_native_handlers_are_interrupted(native: Server, marks: Marks) -> None:
    with native.connect() as connection:
        began = time.monotonic()
        connection.send_request("GET", f"/loop?{marks}")
        assert_is_504(connection.read_response())
        assert_in_time(began)
        assert connection.is_closed()
    marks.wait("finally")
    assert marks.lines() == ["RequestTimeout", "finally"]
    assert native.wait_for_log(r"GET /loop has run for 0\.5 s")
    assert native.wait_for_log(r'deadline_native\.py", line \d+, in loop')
    assert native.get("/ok").body == b"ok"
    assert not any("Traceback" in line for line in native.log())


def test_native_handler_whose_client_is_cut_off_may_clean_up(native: Server, marks: Marks) -> None:
    with native.connect() as connection:
        connection.send_request("GET", f"/flood?{marks}")
        assert connection.read_head().status == 200
        assert marks.wait("cleaned up") == ["RequestTimeout", "cleaned up"]


def test_native_stream_is_cut(native: Server, marks: Marks) -> None:
    with native.connect() as connection:
        connection.send_request("GET", f"/stream?{marks}")
        assert connection.read_head().status == 200
        assert connection.read_chunk() == b"one"
        assert connection.is_closed()
    marks.wait("finally")


def test_native_async_handler_gets_504(native: Server) -> None:
    with native.connect() as connection:
        began = time.monotonic()
        connection.send_request("GET", "/async")
        assert_is_504(connection.read_response())
        assert_in_time(began)


# --- handlers that do not end --------------------------------------------------------------------


@contextmanager
def both_threads_lost(folder: Path, workers: int = 1) -> Iterator[tuple[Server, list[int]]]:
    """A server whose two (first) threads are with handlers that ignore the exception."""
    gate = folder / "gate"
    with serve("--threads", "2", workers=workers, exit_code=None) as server:
        with server.connect() as one, server.connect() as other:
            one.send_request("GET", f"/swallow?{gate}")
            wait_until(folder.joinpath("gate.begun").exists, "the one to begin")
            other.send_request("GET", f"/blocked?{folder / 'blocked'}")
            wait_until(folder.joinpath("blocked").exists, "the other to begin")
            statuses = [one.read_response().status, other.read_response().status]
        yield server, statuses
        gate.touch()


def test_handlers_that_do_not_end_are_named_and_their_threads_replaced(tmp_path: Path) -> None:
    with both_threads_lost(tmp_path) as (server, statuses):
        assert statuses == [504, 504]
        began = time.monotonic()
        line = server.wait_for_log("went on in spite of the exception")
        assert 3.5 < time.monotonic() - began < 7
        match = re.search(r"GET /swallow went on .*/deadline_cases\.py:(\d+); (.*)", line)
        assert match, line
        assert "its thread is given up" in match[2]
        first = next(n for n, text in enumerate(SOURCE, 1) if text.startswith("def loop_for"))
        last = next(n for n, text in enumerate(SOURCE, 1) if text.startswith('@at("/blocked")'))
        assert first < int(match[1]) < last

        line = server.wait_for_log("is blocked in C code called from")
        assert "GET /blocked" in line
        assert f"deadline_cases.py:{line_of('the blocking line')}," in line

        # Two requests still run at once.
        answers = in_background(lambda: server.get("/hold").body, 2)()
        assert b"met" in answers
        assert server.get("/ok").body == b"ok"

        (tmp_path / "gate").touch()
        server.wait_for_log("GET /swallow has ended after all")
        for _ in range(5):
            assert server.get("/ok").body == b"ok"

        began = time.monotonic()
        server.signal()
        server.wait(5)  # it does not wait for the one that is lost
        assert time.monotonic() - began < 4


def test_one_thread_stands_in_for_a_stream_that_is_given_up(tmp_path: Path) -> None:
    """It waited for its client already: it is not missed twice."""
    gate = tmp_path / "gate"
    with serve("--threads", "2") as server, server.connect() as connection:
        connection.send_request("GET", f"/swallow-in-a-stream?{gate}")
        assert connection.read_head().status == 200
        line = server.wait_for_log("went on in spite of the exception")
        assert "its thread is given up" in line
        for _ in range(4):
            server.get("/how-many")  # well known to be slow from now on
        answers = in_background(lambda: int(server.get("/how-many").body), 6)()
        assert max(answers) == 2
        gate.touch()
        server.wait_for_log("GET /swallow-in-a-stream has ended after all")
        answers = in_background(lambda: int(server.get("/how-many").body), 6)()
        assert max(answers) == 2


def test_worker_with_a_lost_thread_is_replaced(tmp_path: Path) -> None:
    with serve("--threads", "2", "--graceful-timeout", "3", workers=2) as server:
        blocked = in_background(lambda: server.get(f"/blocked?{tmp_path / 'mark'}"))
        wait_until((tmp_path / "mark").exists, "the handler to begin")
        before = _children(server.pid)
        assert len(before) == 2
        assert blocked()[0].status == 504
        failed: list[Exception] = []
        served: list[int] = []
        ended = []

        def ask() -> None:
            while not ended:
                try:
                    pid, _ = json.loads(server.get("/who").body)
                except (OSError, AssertionError) as error:
                    failed.append(error)
                else:
                    served.append(pid)

        asking = in_background(ask)
        server.wait_for_log("is blocked in C code called from.*this worker ends after")
        wait_until(lambda: len(_children(server.pid) - before) == 1, "a new worker", 12)
        wait_until(lambda: served and served[-1] not in before, "an answer of the new worker")
        ended.append(True)
        asking()
        assert not failed
        assert len(_children(server.pid) & before) == 1


def _children(pid: int) -> set[int]:
    return {int(c) for c in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def test_thread_that_keeps_the_gil_is_reported() -> None:
    with serve("--threads", "2") as server:
        with server.connect() as connection:
            began = time.monotonic()
            connection.send_request("GET", "/keeps-gil")
            assert_is_504(connection.read_response())  # though no Python can run
            assert_in_time(began)
        server.wait_for_log(r"GET /keeps-gil is over request_timeout.*keeps the GIL", 5)
        # faulthandler's way to write it
        server.wait_for_log(
            rf'File ".*/deadline_cases\.py", line {line_of("the hogging line")} in keeps_gil', 5
        )
        assert time.monotonic() - began < 6  # while it was being kept
        wait_until(lambda: server.get("/ok").status == 200, "the GIL to be let go")
        reports = [line for line in server.log() if "keeps the GIL" in line]
        assert len(reports) == 1


def test_worker_that_keeps_the_gil_is_replaced() -> None:
    with serve("--threads", "2", workers=2) as server:
        before = _children(server.pid)
        response = server.get("/keeps-gil")
        assert response.status == 504
        server.wait_for_log("this worker process is ended; the supervisor starts another")
        wait_until(lambda: len(_children(server.pid) - before) == 1, "a new worker", 12)
        wait_until(lambda: len(_children(server.pid)) == 2, "two workers")
        assert server.get("/ok").status == 200


# --- without -------------------------------------------------------------------------------------


def test_no_request_timeout_is_no_time_out() -> None:
    with gohttp_serve("deadline_cases:app", cwd=APPS) as server:
        assert server.get("/around?1.2").body == b"done"
        assert "gohttp-deadline" not in _thread_names(server.pid)


def _thread_names(pid: int) -> list[str]:
    tasks = Path(f"/proc/{pid}/task")
    return [(tasks / task / "comm").read_text().strip() for task in os.listdir(tasks)]
