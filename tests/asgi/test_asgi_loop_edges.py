"""Where an event loop easily slips: events between two looks, stops, contexts, signals, the GIL."""

import importlib.util
import itertools
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from asgi_helpers import APPS, LOOPS, LogFrom, get_json
from support import Server, gohttp_serve, start, wait_until
from websocket_client import H2Connection, WebSocket, handshake, read_switch

GRACE = 1.0  # --graceful-timeout
SLACK = 1.0  # for a busy machine
SLOW = 0.2  # --slow-callback
AT_ONCE = 0.5
KEPT = "the event loop has been kept"
UNKNOWN = "Where is not known"
SOURCE = (APPS / "loop_edge_cases.py").read_text(encoding="utf-8").splitlines()

STREAMS = ("/stream", "/stream-to-nobody", "/stream-until-gone")

each_loop = pytest.mark.parametrize("loop", LOOPS)


@contextmanager
def serve(*options: str, app: str = "app", exit_code: int | None = 0) -> Iterator[Server]:
    target = f"loop_edge_cases:{app}"
    with gohttp_serve(target, *options, cwd=APPS, exit_code=exit_code) as server:
        yield server


@pytest.fixture(scope="module", params=LOOPS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Its app is no coroutine function."""
    with serve("--loop", request.param, "--slow-callback", "0", app="plain") as server:
        yield server


@pytest.fixture(scope="module", params=LOOPS)
def watched(request: pytest.FixtureRequest) -> Iterator[Server]:
    with serve("--loop", request.param, "--slow-callback", str(SLOW)) as server:
        yield server


def lines(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines() if path.exists() else []


def wait_until_asleep(server: Server) -> None:
    """Until the main thread, which runs the loop, has been asleep for a while."""
    seen: list[list[str]] = []

    def asleep() -> bool:
        status = Path(f"/proc/{server.pid}/status").read_text()
        seen.append(re.findall(r"^(?:State|voluntary_ctxt_switches):\s*(\w+)", status, re.M))
        return seen[-5:] == [["S", seen[-1][1]]] * 5

    wait_until(asleep, "the loop to sleep")


def test_nothing_is_lost_that_comes_right_after_the_loop_has_looked() -> None:
    """The monitor drives by then, and sees the event in the loop's stead.  uvloop has none."""
    with serve("--slow-callback", "0") as server:
        after = get_json(server, "/event-behind-the-look")
    assert all(seconds is not None and seconds < 1 for seconds in after), after


# --- a stop --------------------------------------------------------------------------------------


@dataclass
class Stop:
    seconds: float
    code: int
    log: str


# What is still running at SIGTERM: seconds that the stop may take, its exit code.
LEFT = {
    "/leave?a%20task": (GRACE, 1),
    "/leave?a%20thread": (GRACE, 1),
    "/leave?a%20task%20and%20a%20thread": (GRACE, 1),
    "/leave?all%20threads": (GRACE, 1),
    # A second for it to end once it is cancelled, and one at least for the lifespan and the rest.
    "/stay": (GRACE + 2, 1),
    "/leave?nothing%20for%20long": (0.3, 0),
}


@pytest.fixture(scope="module")
def stops() -> dict[tuple[str, str], Stop]:
    """How servers stop that have all been told to at once, by their loop and what they do."""
    stops: dict[tuple[str, str], Stop] = {}
    loops = ["asyncio", "uvloop"] if importlib.util.find_spec("uvloop") else ["asyncio"]
    with ExitStack() as stack:

        def start_one(what: tuple[str, str]) -> Server:
            options = ("--loop", what[0], "--graceful-timeout", str(GRACE))
            server = stack.enter_context(serve(*options, exit_code=None))
            assert server.get(what[1]).body == b"left"
            return server

        with ThreadPoolExecutor(4) as threads:
            cases = list(itertools.product(loops, LEFT))
            servers = dict(zip(cases, threads.map(start_one, cases), strict=True))
        begun = time.monotonic()
        for server in servers.values():
            server.signal()

        def all_have_ended() -> bool:
            for what, server in servers.items():
                code = server.process.poll()
                if code is not None and what not in stops:
                    stops[what] = Stop(time.monotonic() - begun, code, "")
            return len(stops) == len(servers) or time.monotonic() - begun > GRACE + 2 + SLACK

        wait_until(all_have_ended, "the servers to end")
        for what, server in servers.items():
            if what not in stops:
                server.process.kill()
                stops[what] = Stop(float("inf"), server.wait(), "")
            server.stderr.close()
            stops[what].log = "\n".join(server.log())
    return stops


@each_loop
@pytest.mark.parametrize("path", LEFT)
def test_stop_takes_no_longer_than_graceful_timeout(
    stops: dict[tuple[str, str], Stop], loop: str, path: str
) -> None:
    seconds, code = LEFT[path]
    stop = stops[loop, path]
    assert seconds - 0.05 <= stop.seconds <= seconds + SLACK
    assert stop.code == code
    assert ("still running after graceful_timeout" in stop.log) == (code == 1)
    assert "Traceback" not in stop.log


@dataclass
class Cut:
    """How streams end that a stop cuts: the error of each, and the exit code of the server."""

    errors: dict[str, str]
    code: int


@pytest.fixture(scope="module", params=LOOPS)
def cut(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Cut:
    notes = {path: tmp_path_factory.mktemp("cut") / "notes" for path in STREAMS}
    options = ("--loop", request.param, "--graceful-timeout", "0.5")
    with serve(*options, exit_code=None) as server, ExitStack() as stack:
        for path, note in notes.items():
            connection = stack.enter_context(server.connect())
            connection.send_request("GET", f"{path}?{note}")
            assert connection.read_head().status == 200
        server.signal()
        code = server.wait()
    return Cut({path: "\n".join(lines(note)) for path, note in notes.items()}, code)


@pytest.mark.parametrize("path", STREAMS)
def test_stream_that_a_stop_cuts_gets_an_error_from_send(cut: Cut, path: str) -> None:
    assert cut.errors[path].split()[:3] == ["ConnectionResetError", "ConnectionError", "OSError"]


def test_streams_that_end_when_a_stop_cuts_them_do_not_change_the_exit_code(cut: Cut) -> None:
    assert cut.code == 0


# --- apps that are no coroutine function ---------------------------------------------------------


def test_plain_function_runs_in_the_task_and_the_context_of_its_request(server: Server) -> None:
    with server.connect() as connection:
        for _ in range(3):
            connection.send_request("GET", "/seen")
            assert json.loads(connection.read_response().body) == ["unset", "Task", True]


@pytest.mark.parametrize(
    ("path", "body"), [("/future", b"by a future"), ("/object", b"by an object")]
)
def test_app_may_return_any_awaitable(server: Server, path: str, body: bytes) -> None:
    log = LogFrom(server)
    for _ in range(2):
        assert server.get(path).body == body
    assert log.text() == ""


@pytest.mark.parametrize(
    ("path", "error"),
    [("/failing-future", "ArithmeticError: asked for"), ("/nothing", "TypeError: ")],
)
def test_error_of_what_an_app_returns_is_a_500(server: Server, path: str, error: str) -> None:
    log = LogFrom(server)
    assert server.get(path).status == 500
    assert log.text().count(error) == 1


# --- signals -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/on-usr1", "/on-usr1-by-the-loop"])
def test_handler_of_a_signal_runs_at_once_on_an_idle_server(
    server: Server, tmp_path: Path, path: str
) -> None:
    notes = tmp_path / "notes"
    assert get_json(server, f"{path}?{notes}") is True
    for count in (1, 2, 3):
        wait_until_asleep(server)
        os.kill(server.pid, signal.SIGUSR1)
        expected = [f"signal {signal.SIGUSR1.value}"] * count
        wait_until(lambda want=expected: lines(notes) == want, f"signal {count}", AT_ONCE)


@each_loop
def test_handler_that_an_app_sets_in_its_start_up_is_called_beside_the_stop(
    loop: str, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    target, env = "loop_edge_cases:listening", {"NOTES": str(notes)}
    with gohttp_serve(target, "--loop", loop, cwd=APPS, env=env) as server:
        assert server.get("/ok").body == b"ok"
        server.signal()
        assert server.wait() == 0
    assert lines(notes) == ["heard"]


# --- what keeps the loop -------------------------------------------------------------------------


def line_of(what: str) -> str:
    """How a traceback names the line with this comment."""
    (number,) = (at for at, line in enumerate(SOURCE, 1) if line.endswith(f"# here: {what}"))
    return f'loop_edge_cases.py", line {number}, in '


def report_of(server: Server, path: str) -> str:
    """What the log says of a request that keeps the loop: one report."""
    log, before = LogFrom(server), len(server.log())
    assert server.get(path).body == b"kept"
    # It may follow when the loop is free again.
    wait_until(lambda: any(KEPT in line for line in server.log()[before:]), "the report", SLACK)
    text = log.text()
    assert text.count(KEPT) == 1, text
    return text


def seconds_in(report: str) -> float:
    (seconds,) = re.findall(rf"{KEPT} for (\d+\.\d) s", report)
    return float(seconds)


def test_log_says_where_a_handler_keeps_the_loop(watched: Server) -> None:
    report = report_of(watched, "/keep?1")
    assert line_of("sleeping") in report
    assert UNKNOWN not in report
    assert SLOW <= seconds_in(report) < 1


def test_log_says_where_compiled_code_keeps_the_loop_and_the_gil(watched: Server) -> None:
    """Python has no say meanwhile; its stack is still that of the call when it has."""
    report = report_of(watched, "/keep-with-gil?0.5")
    assert line_of("with the GIL") in report
    assert 0.25 <= seconds_in(report) < 0.5 + SLACK


def test_log_says_that_it_does_not_know_where_the_loop_is_kept(watched: Server) -> None:
    """Of the app there is only compiled code on the stack."""
    report = report_of(watched, "/keep-with-gil-in-callback?0.5")
    assert UNKNOWN in report
    assert "_run_module_as_main" not in report
    assert 0.25 <= seconds_in(report) < 0.5 + SLACK


def test_gil_is_not_blamed_for_what_is_over_before_it_can_be_looked_at(watched: Server) -> None:
    log = LogFrom(watched)
    for _ in range(3):
        assert watched.get(f"/keep?{SLOW + 0.001}").body == b"kept"
    assert "(GIL) was kept" not in log.text()


# --- a stop before the start ---------------------------------------------------------------------


@contextmanager
def starting(loop: str, case: str, folder: Path) -> Iterator[Server]:
    """A server of which one app has started, and another's start-up does not end."""
    command = [sys.executable, "-m", "gohttp", "serve", "startup_stop_cases:both"]
    env = {"CASE": case, "FOLDER": str(folder)}
    server = start([*command, "--port", "0", "--loop", loop], cwd=APPS, env=env)
    try:
        wait_until(lambda: "second: sleeps" in lines(folder / "events"), "the start-up")
        # Python does not see a signal that comes right before `time.sleep` sleeps.
        wait_until_asleep(server)
        yield server
    finally:
        if server.process.poll() is None:
            server.process.kill()
        server.wait()
        server.stderr.close()
        server.stdout.close()
        sys.stderr.write("".join(f"    {line}\n" for line in server.log()))


@dataclass
class NoStart:
    """What became of a server that got a signal in its start-up."""

    seconds: float
    code: int
    log: str
    of_first: list[str]


def signal_in_start_up(loop: str, case: str, number: int, folder: Path) -> NoStart:
    with starting(loop, case, folder) as server:
        begun = time.monotonic()
        server.signal(number)
        code = server.wait()
        seconds = time.monotonic() - begun
    of_first = [line for line in lines(folder / "events") if line.startswith("first")]
    return NoStart(seconds, code, "\n".join(server.log()), of_first)


@pytest.fixture(scope="module", params=LOOPS)
def stopped_loop(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module", params=["sleep", "block"])
def stopped(
    request: pytest.FixtureRequest, stopped_loop: str, tmp_path_factory: pytest.TempPathFactory
) -> NoStart:
    folder = tmp_path_factory.mktemp("stopped")
    return signal_in_start_up(stopped_loop, request.param, signal.SIGTERM, folder)


def test_signal_in_the_start_up_ends_it_soon_as_it_ends_an_import(stopped: NoStart) -> None:
    assert stopped.code == 0
    assert not re.search(r"^ +ready ", stopped.log, re.M)
    assert stopped.seconds < SLACK


def test_signal_in_the_start_up_is_no_error(stopped: NoStart) -> None:
    assert stopped.log == ""


def test_apps_that_have_started_are_shut_down_when_a_signal_ends_the_start_up(
    stopped: NoStart,
) -> None:
    events = ["lifespan.startup", "lifespan.shutdown", "stopped"]
    assert stopped.of_first == [f"first: {event}" for event in events]


@each_loop
def test_sigint_in_the_start_up_does_the_same(loop: str, tmp_path: Path) -> None:
    stopped = signal_in_start_up(loop, "sleep", signal.SIGINT, tmp_path)
    assert (stopped.code, stopped.log) == (0, "")
    assert stopped.seconds < SLACK


@each_loop
@pytest.mark.parametrize("case", ["sleep whatever comes", "block whatever comes"])
def test_second_signal_ends_a_start_up_that_catches_everything(
    loop: str, case: str, tmp_path: Path
) -> None:
    with starting(loop, case, tmp_path) as server:
        server.signal()
        wait_until(lambda: lines(tmp_path / "events").count("second: sleeps") > 1, "the catch")
        wait_until_asleep(server)
        server.signal()
        begun = time.monotonic()
        assert server.wait() == 128 + signal.SIGTERM
        assert time.monotonic() - begun < SLACK


# --- subprotocols --------------------------------------------------------------------------------


# What was chosen, and the WebSocket.
Connect = Callable[[Server, str], AbstractContextManager[tuple[str | None, WebSocket]]]


@contextmanager
def over_http_1(server: Server, offered: str) -> Iterator[tuple[str | None, WebSocket]]:
    with server.connect() as connection:
        handshake(connection, "/subprotocol?mine", [("Sec-WebSocket-Protocol", offered)])
        response = read_switch(connection)
        yield response.header("sec-websocket-protocol"), WebSocket(connection)


@contextmanager
def over_http_2(server: Server, offered: str) -> Iterator[tuple[str | None, WebSocket]]:
    with H2Connection(server) as connection:
        fields = [("sec-websocket-protocol", offered)]
        stream = connection.open("/subprotocol?mine", fields)
        assert stream.status() == 200
        yield dict(stream.headers).get("sec-websocket-protocol"), WebSocket(stream)


@pytest.mark.parametrize("connect", [over_http_1, over_http_2])
@pytest.mark.parametrize(
    ("offered", "chosen"), [("other, mine", "mine"), ("other, mine2", None), ("Mine", None)]
)
def test_subprotocol_that_was_not_offered_is_not_chosen(
    server: Server, connect: Connect, offered: str, chosen: str | None
) -> None:
    """A client must fail a connection with one (RFC 6455 section 4.1)."""
    log = LogFrom(server)
    with connect(server, offered) as (got, chat):
        assert got == chosen
        chat.text("hello")
        assert chat.read() == "hello"
    warning = 'without the subprotocol "mine"'
    assert log.text().count(warning) == (0 if chosen else 1)
