"""Limits of an ASGI app: requests at once, time for a request, handlers that keep the loop."""

import json
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import Any

import pytest
from asgi_helpers import APPS, LOOPS, LogFrom
from support import RawConnection, Response, Server, gohttp_serve, wait_until
from websocket_client import H2Connection, H2Stream, handshake, websocket

SECONDS = 0.5  # --request-timeout
LATE = 0.5  # the precision that is promised
SLACK = 0.4  # for a busy machine
AT_ONCE = 0.25
TICK = 0.25  # how often the log may be told of refusals
SLOW = 0.2  # --slow-callback
PLACES = 3  # --limit-concurrency
REFUSALS = "requests are refused with 503"
KEPT = "the event loop has been kept"
WAITS = ("sleep", "future", "nested", "iterator", "gather")
SOURCE = (APPS / "limit_cases.py").read_text(encoding="utf-8").splitlines()


class Marks:
    """What the handler with this query has noted, and its gate."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    def lines(self) -> list[str]:
        return self.path.read_text("utf-8").splitlines() if self.path.exists() else []

    def wait(self, line: str) -> list[str]:
        wait_until(lambda: line in self.lines(), f"{line!r} among the marks")
        return self.lines()

    def open(self) -> None:
        Path(f"{self.path}.open").touch()


class NewMarks:
    """Makes marks; all gates are open at the end, so that no server waits for them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._all: list[Marks] = []

    def __call__(self) -> Marks:
        self._all.append(Marks(self._folder / f"marks-{len(self._all)}"))
        return self._all[-1]

    def open_all(self) -> None:
        for marks in self._all:
            marks.open()


@pytest.fixture
def new_marks(tmp_path: Path) -> Iterator[NewMarks]:
    new = NewMarks(tmp_path)
    yield new
    new.open_all()


@contextmanager
def serve(*options: str) -> Iterator[Server]:
    with gohttp_serve("limit_cases:app", *options, cwd=APPS) as server:
        yield server


@contextmanager
def asked(
    server: Server, path: str, marks: Marks, *, begun: bool = True, method: str = "GET"
) -> Iterator[RawConnection]:
    """A connection whose request has begun to run."""
    with server.connect() as connection:
        connection.send_request(method, f"{path}?{marks}")
        if begun:
            marks.wait("begun")
        yield connection


def line_of(what: str) -> str:
    """How a traceback names the line with this comment."""
    (number,) = (at for at, line in enumerate(SOURCE, 1) if line.endswith(f"# here: {what}"))
    return f'limit_cases.py", line {number}, in '


def stack_after(log: Sequence[str], text: str) -> list[str]:
    """The indented lines behind the first line with this text."""
    at = next(number for number, line in enumerate(log) if text in line)
    stack = []
    for line in log[at + 1 :]:
        if not line.startswith("  "):
            break
        stack.append(line)
    return stack


def count(log: LogFrom, text: str) -> int:
    return log.text().count(text)


def assert_ok(server: Server) -> None:
    assert server.get("/ok").body == b"ok"


def h2_get(connection: H2Connection, path: str) -> H2Stream:
    number = connection.h2.get_next_available_stream_id()
    pseudo = [(":method", "GET"), (":path", path), (":scheme", "http"), (":authority", "test")]
    stream = connection.streams[number] = H2Stream(connection, number)
    connection.h2.send_headers(number, pseudo, end_stream=True)
    connection.flush()
    return stream


# --- --limit-concurrency -------------------------------------------------------------------------


@pytest.fixture(scope="module", params=LOOPS)
def limited(request: pytest.FixtureRequest) -> Iterator[Server]:
    options = ("--limit-concurrency", str(PLACES), "--health-path", "/health")
    with serve(*options, "--loop", request.param) as server:
        yield server


def assert_full(server: Server) -> None:
    response = server.get("/ok")
    assert (response.status, response.header("retry-after")) == (503, "1")
    assert response.body == b"503 Service Unavailable\n"


def wait_for_room(server: Server) -> None:
    wait_until(lambda: server.get("/ok").status == 200, "a place to be free")


@contextmanager
def all_places_taken(server: Server, new_marks: NewMarks, but: int = 0) -> Iterator[list[Marks]]:
    wait_for_room(server)
    with ExitStack() as stack:
        marks = [new_marks() for _ in range(PLACES - but)]
        connections = [stack.enter_context(asked(server, "/hold", one)) for one in marks]
        yield marks
        for one, connection in zip(marks, connections, strict=True):
            one.open()
            assert connection.read_response().body == b"held"


def test_requests_beyond_the_limit_get_503_and_those_within_are_served(
    limited: Server, new_marks: NewMarks
) -> None:
    with all_places_taken(limited, new_marks, but=1):
        assert_ok(limited)
        marks = new_marks()
        with asked(limited, "/hold", marks) as last:
            assert_full(limited)
            marks.open()
            assert last.read_response().body == b"held"
            wait_for_room(limited)


def test_refused_connection_remains_usable(limited: Server, new_marks: NewMarks) -> None:
    with limited.connect() as connection:
        with all_places_taken(limited, new_marks):
            for method in ("GET", "HEAD", "POST"):
                connection.send_request(method, "/ok", body=b"body" * (method == "POST"))
                assert connection.read_response(head=method == "HEAD").status == 503
        wait_for_room(limited)
        connection.send_request("GET", "/ok")
        assert connection.read_response().body == b"ok"


def test_refused_request_does_not_reach_the_app(limited: Server, new_marks: NewMarks) -> None:
    refused = new_marks()
    with all_places_taken(limited, new_marks):
        assert limited.get(f"/hold?{refused}").status == 503
    wait_for_room(limited)
    assert refused.lines() == []


def test_health_is_answered_beyond_the_limit(limited: Server, new_marks: NewMarks) -> None:
    with all_places_taken(limited, new_marks):
        assert_full(limited)
        assert limited.get("/health").status == 200


def test_limit_holds_on_http_2(limited: Server, new_marks: NewMarks) -> None:
    marks = [new_marks() for _ in range(PLACES)]
    with H2Connection(limited) as connection:
        wait_for_room(limited)
        held = [h2_get(connection, f"/hold?{one}") for one in marks]
        for one in marks:
            one.wait("begun")
        refused = h2_get(connection, "/ok")
        assert refused.status() == 503
        assert ("retry-after", "1") in refused.headers
        assert refused.read_until_close() == b"503 Service Unavailable\n"
        for one, stream in zip(marks, held, strict=True):
            one.open()
            assert (stream.status(), stream.read_until_close()) == (200, b"held")


@pytest.mark.parametrize("end", ["client", "app", "error", "reset"])
def test_websocket_takes_a_place_until_it_ends(
    limited: Server, new_marks: NewMarks, end: str
) -> None:
    with all_places_taken(limited, new_marks, but=1):
        with websocket(limited, f"/?{new_marks()}") as chat:
            chat.text("hello")
            assert chat.read() == "hello"
            assert_full(limited)
            if end == "client":
                chat.close()
            elif end == "reset":
                chat.wire.reset()
            else:
                chat.text("end" if end == "app" else "raise")
                chat.read_close()
        wait_for_room(limited)


def test_websocket_beyond_the_limit_gets_503(limited: Server, new_marks: NewMarks) -> None:
    with all_places_taken(limited, new_marks), limited.connect() as connection:
        handshake(connection, f"/?{new_marks()}")
        response = connection.read_response()
        assert (response.status, response.header("retry-after")) == (503, "1")
    with all_places_taken(limited, new_marks), H2Connection(limited) as connection_2:
        assert connection_2.open(f"/?{new_marks()}").status() == 503
    wait_for_room(limited)
    with websocket(limited, f"/?{new_marks()}") as chat:
        chat.text("hello")
        assert chat.read() == "hello"


@pytest.mark.parametrize("end", ["raised", "client left"])
def test_there_is_room_again_however_a_request_ends(
    limited: Server, new_marks: NewMarks, end: str
) -> None:
    with all_places_taken(limited, new_marks, but=1):
        for _ in range(PLACES + 1):
            marks = new_marks()
            path = "/hold-and-raise" if end == "raised" else "/hold-until-gone"
            with asked(limited, path, marks) as connection:
                assert_full(limited)
                if end == "raised":
                    marks.open()
                    assert connection.read_response().status == 500
            wait_for_room(limited)


def test_background_work_keeps_its_place(limited: Server, new_marks: NewMarks) -> None:
    marks = new_marks()
    with all_places_taken(limited, new_marks, but=1):
        with asked(limited, "/hold-behind", marks) as connection:
            assert connection.read_response().body == b"whole"
        assert_full(limited)
        marks.open()
        assert marks.wait("done") == ["begun", "cleaned", "done"]
        wait_for_room(limited)


def test_refusals_are_one_log_line_and_not_one_each(limited: Server, new_marks: NewMarks) -> None:
    with all_places_taken(limited, new_marks), limited.connect() as connection:
        log, begun = LogFrom(limited), time.monotonic()

        def hundred_are_refused() -> int:
            connection.send(b"GET /ok HTTP/1.1\r\nHost: test\r\n\r\n" * 100)
            for _ in range(100):
                assert connection.read_response().status == 503
            return count(log, REFUSALS)

        # The log may have been told of an earlier test's a moment ago.
        lines = wait_until(hundred_are_refused, "the log line", 4 * TICK)
        ticks = ceil((time.monotonic() - begun) / TICK)
    assert lines <= 1 + ticks < 50
    assert f"limit_concurrency ({PLACES})" in log.text()


def test_without_a_limit_nobody_is_refused(new_marks: NewMarks) -> None:
    with serve() as server, ExitStack() as stack:
        marks = [new_marks() for _ in range(30)]
        held = [stack.enter_context(asked(server, "/hold", one)) for one in marks]
        assert_ok(server)
        for one, connection in zip(marks, held, strict=True):
            one.open()
            assert connection.read_response().body == b"held"
        assert REFUSALS not in "\n".join(server.log())


# --- --request-timeout ---------------------------------------------------------------------------


@pytest.fixture(scope="module", params=LOOPS)
def timed(request: pytest.FixtureRequest) -> Iterator[Server]:
    with serve("--request-timeout", str(SECONDS), "--loop", request.param) as server:
        yield server


def assert_in_time(begun: float) -> None:
    assert SECONDS - 0.05 <= time.monotonic() - begun <= SECONDS + LATE + SLACK


def outlive_a_deadline(server: Server, new_marks: NewMarks) -> None:
    """Until a request that begins now was too late, and its task has been cancelled."""
    marks = new_marks()
    assert server.get(f"/late-other?{marks}").status == 504
    marks.wait("cleaned")


@dataclass
class Late:
    """What became of the requests of `late`."""

    log: str = ""
    marks: dict[str, Marks] = field(default_factory=dict)
    lines: dict[str, list[str]] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    closed: dict[str, bool] = field(default_factory=dict)
    heard: object = None

    def stack(self, name: str) -> str:
        message = f"GET /{name} took longer than request_timeout ({SECONDS} s)"
        assert self.log.count(message) == 1
        return "\n".join(stack_after(self.log.splitlines(), message))


@pytest.fixture(scope="module")
def late(timed: Server, tmp_path_factory: pytest.TempPathFactory) -> Late:
    """All that time out, and what must not, at once; and then another deadline passes."""
    late, new_marks, log = Late(), NewMarks(tmp_path_factory.mktemp("late")), LogFrom(timed)
    waits = [f"late-{name}" for name in WAITS]
    names = [*waits, "late-stream", "late-and-stubborn", "in-time", "hold-behind"]
    late.marks = {name: new_marks() for name in [*names, "http2", "http2-stream"]}
    begun = time.monotonic()

    def note(name: str) -> None:
        late.seconds[name] = time.monotonic() - begun

    with ExitStack() as stack:
        stack.callback(new_marks.open_all)
        chat = stack.enter_context(websocket(timed, f"/?{new_marks()}"))
        at = {n: stack.enter_context(asked(timed, f"/{n}", late.marks[n])) for n in names}
        two = stack.enter_context(H2Connection(timed))
        streams = {
            "http2": h2_get(two, f"/late-http2?{late.marks['http2']}"),
            "http2-stream": h2_get(two, f"/late-stream?{late.marks['http2-stream']}"),
        }
        late.marks["in-time"].open()
        for name in ("in-time", "hold-behind"):
            late.statuses[name] = at[name].read_response().status
        for name in (*waits, "late-and-stubborn"):
            late.statuses[name] = at[name].read_response().status
            note(name)
            late.closed[name] = at[name].is_closed()
        late.statuses["late-stream"] = at["late-stream"].read_head().status
        assert at["late-stream"].read_chunk() == b"begun"
        with pytest.raises(ConnectionError):
            at["late-stream"].read_chunk()
        note("late-stream")
        for name, stream in streams.items():
            late.statuses[name] = stream.status()
        with pytest.raises(ConnectionResetError):
            streams["http2-stream"].read_until_close()
        note("http2")
        late.statuses["http2, later"] = h2_get(two, "/ok").status()
        outlive_a_deadline(timed, new_marks)
        chat.text("still here")
        late.heard = chat.read()
        for marks in late.marks.values():
            marks.open()
            marks.wait("cleaned")
        late.marks["late-and-stubborn"].wait("done")
        # Its task has ended, one way or the other, when the loop has turned.
        assert_ok(timed)
        late.log = log.text()
        late.lines = {name: marks.lines() for name, marks in late.marks.items()}
    return late


CANCELLED = ["begun", "CancelledError", "cleaned"]


@pytest.mark.parametrize("wait", WAITS)
def test_late_request_gets_504_in_time_and_its_connection_is_closed(late: Late, wait: str) -> None:
    assert late.statuses[f"late-{wait}"] == 504
    assert SECONDS - 0.05 <= late.seconds[f"late-{wait}"] <= SECONDS + LATE + SLACK
    assert late.closed[f"late-{wait}"]


@pytest.mark.parametrize("wait", WAITS)
def test_late_task_is_cancelled_and_cleans_up(late: Late, wait: str) -> None:
    assert late.lines[f"late-{wait}"] == CANCELLED


@pytest.mark.parametrize("wait", WAITS)
def test_log_names_the_late_request_and_the_line_where_it_awaited(late: Late, wait: str) -> None:
    assert line_of(wait) in late.stack(f"late-{wait}")


def test_stack_of_a_late_task_runs_from_the_app_to_where_it_waits(late: Late) -> None:
    names = re.findall(r'limit_cases\.py", line \d+, in (\w+)', late.stack("late-nested"))
    assert names == ["app", "case", "noting", "event_never_set", "deeper"]


def test_cancellation_is_no_error_of_the_app(late: Late) -> None:
    assert "Exception" not in late.log
    assert "Traceback" not in late.log
    assert "the application returned" not in late.log


def test_late_stream_is_cut_and_its_task_cancelled(late: Late) -> None:
    assert late.statuses["late-stream"] == 200
    assert SECONDS - 0.05 <= late.seconds["late-stream"] <= SECONDS + LATE + SLACK
    assert late.lines["late-stream"] == CANCELLED
    assert line_of("sleep") in late.log


def test_late_request_on_http_2_gets_504_and_others_of_its_connection_go_on(late: Late) -> None:
    statuses = [late.statuses[name] for name in ("http2", "http2-stream", "http2, later")]
    assert statuses == [504, 200, 200]
    assert SECONDS - 0.05 <= late.seconds["http2"] <= SECONDS + LATE + SLACK
    assert late.lines["http2"] == late.lines["http2-stream"] == CANCELLED


def test_task_that_ended_in_time_is_not_touched(late: Late) -> None:
    assert late.statuses["in-time"] == 200
    assert late.lines["in-time"] == ["begun", "cleaned"]
    assert "GET /in-time" not in late.log


def test_background_work_behind_a_response_in_time_is_not_cancelled(late: Late) -> None:
    """The deadline runs to the end of the response (docs/behaviour.md)."""
    assert late.statuses["hold-behind"] == 200
    assert late.lines["hold-behind"] == ["begun", "cleaned", "done"]
    assert "GET /hold-behind" not in late.log


def test_task_that_swallows_its_cancellation_is_told_once(late: Late) -> None:
    assert late.statuses["late-and-stubborn"] == 504
    assert late.lines["late-and-stubborn"] == [*CANCELLED, "OSError", "done"]
    assert late.log.count("GET /late-and-stubborn took longer") == 1


def test_websocket_has_no_deadline(late: Late) -> None:
    assert late.heard == "still here"


def test_other_requests_are_unaffected_by_late_ones(timed: Server, new_marks: NewMarks) -> None:
    """One keeps its connection, one begins before the deadline of another and ends after it."""
    late, in_time = [new_marks() for _ in range(5)], new_marks()
    with ExitStack() as stack:
        ahead = [stack.enter_context(asked(timed, "/late-sleep", marks)) for marks in late]
        kept = stack.enter_context(timed.connect())

        def answered() -> bool:
            kept.send_request("GET", "/ok")
            assert kept.read_response().body == b"ok"
            return "cleaned" in late[0].lines()

        begun = time.monotonic()
        while time.monotonic() < begun + SECONDS / 2:
            assert not answered()
        other = stack.enter_context(asked(timed, "/in-time", in_time))
        wait_until(answered, "the late ones to be cancelled")
        in_time.open()
        response = other.read_response()
        # On a busy machine it may have been late itself; then nothing was shown.
        if time.monotonic() < begun + SECONDS * 1.5:
            assert response.body == b"in time"
            assert in_time.wait("cleaned") == ["begun", "cleaned"]
        assert [connection.read_response().status for connection in ahead] == [504] * 5
        assert answered()


def test_without_a_timeout_no_task_is_cancelled(new_marks: NewMarks) -> None:
    marks = new_marks()
    with (
        serve("--request-timeout", "0") as server,
        asked(server, "/in-time", marks) as connection,
        serve("--request-timeout", str(SECONDS)) as other,
    ):
        outlive_a_deadline(other, new_marks)
        marks.open()
        assert connection.read_response().body == b"in time"
        assert marks.lines() == ["begun", "cleaned"]


# --- a handler that keeps the loop; on asyncio's only the engine goes on meanwhile ---------------

KEEPERS = {
    "/keep-sleeping": "sleeping",
    "/keep-computing": "computing",
    "/keep-sleeping-later": "sleeping",
    "/keep-in-callback": "sleeping",
}
each_keeper = pytest.mark.parametrize("path", KEEPERS)


@pytest.fixture(scope="module")
def watched() -> Iterator[Server]:
    with serve("--slow-callback", str(SLOW), "--health-path", "/health") as server:
        yield server


@pytest.fixture(scope="module")
def watched_and_timed() -> Iterator[Server]:
    with serve("--slow-callback", "0", "--request-timeout", str(SECONDS)) as server:
        yield server


def quick(get: Any) -> Response:
    begun = time.monotonic()
    response: Response = get()
    assert time.monotonic() - begun < AT_ONCE
    return response


@each_keeper
def test_log_says_once_where_the_loop_is_kept(
    watched: Server, new_marks: NewMarks, path: str
) -> None:
    """The blockage lasts several times --slow-callback, and is reported while it lasts."""
    log, marks = LogFrom(watched), new_marks()
    before = len(watched.log())
    with asked(watched, path, marks) as connection:
        begun = time.monotonic()
        wait_until(lambda: any(KEPT in line for line in watched.log()[before:]), "the report")
        assert time.monotonic() - begun < SLOW + SLACK
        wait_until(lambda: time.monotonic() - begun > 3 * SLOW, "the loop to be kept for longer")
        marks.open()
        assert connection.read_response().body == b"kept"
    text = log.text()
    assert text.count(KEPT) == 1
    kept = re.search(rf"{KEPT} for (\d+\.\d) s", text)
    assert kept
    assert SLOW <= float(kept[1]) < 3 * SLOW
    stack = stack_after(text.splitlines(), KEPT)
    assert line_of(KEEPERS[path]) in "\n".join(stack)
    assert 'limit_cases.py", line ' in stack[0], "what leads to the app is left out"


def test_line_of_the_log_is_the_one_that_keeps_the_loop(watched: Server) -> None:
    log = LogFrom(watched)
    watched.get(f"/keep-for?{SLOW * 2},1")
    stack = "\n".join(stack_after(log.text().splitlines(), KEPT))
    (number,) = (at for at, line in enumerate(SOURCE, 1) if "time.sleep(float(seconds))" in line)
    assert f'limit_cases.py", line {number}, in keep_for' in stack
    assert "_selector.py" not in stack
    assert "asyncio" not in stack


def test_handlers_that_keep_the_loop_for_less_are_not_logged(watched: Server) -> None:
    """Together they take longer than --slow-callback, but the loop turns in between."""
    log = LogFrom(watched)
    watched.get(f"/keep-for?{SLOW / 4},6")
    assert KEPT not in log.text()


def test_each_of_several_blockages_is_logged(watched: Server) -> None:
    log = LogFrom(watched)
    watched.get(f"/keep-for?{SLOW * 2},3")
    assert count(log, KEPT) == 3


@each_keeper
def test_health_and_new_connections_are_served_while_the_loop_is_kept(
    watched: Server, new_marks: NewMarks, path: str
) -> None:
    marks = new_marks()
    with watched.connect() as kept, asked(watched, path, marks) as connection:
        for _ in range(5):
            assert quick(lambda: watched.get("/health")).status == 200
            kept.send_request("GET", "/health")
            assert quick(kept.read_response).status == 200
        # What is no request is refused by the server, without the app.
        with watched.connect() as wrong:
            wrong.send(b"GET / HTTP/1.1\r\n\r\n")
            assert quick(wrong.read_response).status == 400
        with ExitStack() as stack:
            waiting = [stack.enter_context(watched.connect()) for _ in range(20)]
            for one in waiting:
                one.send_request("GET", "/ok")
            assert watched.get("/health").status == 200
            marks.open()
            assert connection.read_response().body == b"kept"
            assert [one.read_response().body for one in waiting] == [b"ok"] * 20


def test_health_is_served_when_the_loop_is_kept_after_a_quiet_time(
    watched: Server, new_marks: NewMarks
) -> None:
    """The monitor sleeps while nothing happens, and must be woken."""
    monitor = next(
        task
        for task in Path(f"/proc/{watched.pid}/task").iterdir()
        if (task / "comm").read_text().strip() == "gohttp-monitor"
    )
    seen: list[str] = []
    marks = new_marks()

    def asleep() -> bool:
        status = (monitor / "status").read_text()
        seen.append(re.findall(r"^voluntary_ctxt_switches:\s*(\d+)", status, re.M)[0])
        return len(seen) > 20 and len(set(seen[-20:])) == 1

    wait_until(asleep, "the monitor to sleep")
    with asked(watched, "/keep-sleeping", marks) as connection:
        assert quick(lambda: watched.get("/health")).status == 200
        marks.open()
        assert connection.read_response().body == b"kept"


@pytest.mark.parametrize("path", ["/keep-sleeping", "/keep-computing"])
def test_504_comes_in_time_though_the_loop_is_kept(
    watched_and_timed: Server, new_marks: NewMarks, path: str
) -> None:
    server, keeping, waiting, never = watched_and_timed, new_marks(), new_marks(), new_marks()
    begun = time.monotonic()
    with (
        asked(server, "/late-sleep", waiting) as before,
        asked(server, path, keeping) as keeper,
        asked(server, "/late-sleep", never, begun=False) as after,
    ):
        for connection in (before, keeper, after):
            assert connection.read_response().status == 504
            assert_in_time(begun)
        assert waiting.lines() == ["begun"]
        assert never.lines() == []
        keeping.open()
        assert waiting.wait("cleaned") == ["begun", "CancelledError", "cleaned"]
        wait_until(lambda: server.get("/ok").body == b"ok", "the loop to be free")


def test_request_whose_504_is_out_before_the_loop_is_free_is_not_run(
    watched_and_timed: Server, new_marks: NewMarks
) -> None:
    server, keeping, never = watched_and_timed, new_marks(), new_marks()
    with (
        asked(server, "/keep-sleeping", keeping),
        asked(server, "/in-time", never, begun=False) as late,
    ):
        assert late.read_response().status == 504
        keeping.open()
        outlive_a_deadline(server, new_marks)
    assert never.lines() == []


@pytest.mark.parametrize("protocol", ["1.1", "2"])
def test_handshake_that_is_not_answered_in_time_gets_504_and_its_task_is_cancelled(
    timed: Server, new_marks: NewMarks, protocol: str
) -> None:
    log, marks = LogFrom(timed), new_marks()
    if protocol == "2":
        with H2Connection(timed) as connection:
            assert connection.open(f"/never?{marks}").status() == 504
    else:
        with timed.connect() as client:
            handshake(client, f"/never?{marks}")
            assert client.read_response().status == 504
    assert marks.wait("cleaned") == ["begun", "CancelledError", "cleaned"]
    assert "in sleeps_long" in log.text()


def test_stop_just_after_a_504_cancels_the_task_as_ever(new_marks: NewMarks) -> None:
    """No client is left then, and who was late would be waited for till the end of time."""
    marks = new_marks()
    with serve("--request-timeout", "0.5") as server:
        with asked(server, "/late-sleep", marks) as connection:
            assert connection.read_response().status == 504
        server.process.terminate()
        assert server.wait(5) == 0
        server.wait_for_log("took longer than request_timeout")
    assert marks.lines() == ["begun", "CancelledError", "cleaned"]


def test_0_turns_the_log_off_and_the_rest_stays(new_marks: NewMarks) -> None:
    with serve("--slow-callback", "0", "--health-path", "/health") as server:
        marks = new_marks()
        with asked(server, "/keep-sleeping", marks) as connection:
            assert quick(lambda: server.get("/health")).status == 200
            marks.open()
            assert connection.read_response().body == b"kept"
        # Longer than the default, too.
        pid = json.loads(server.get("/keep-for?1.2,1").body)
        assert pid == server.pid
        assert KEPT not in LogFrom(server).text()
        assert not any(KEPT in line for line in server.log())
