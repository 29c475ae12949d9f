"""`python -m benches.selftest`: the parsers, the accounting and the statistics, in two seconds."""

import doctest
import io
import os
import socket
import sys
import tempfile
import threading
import time
import unittest
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from . import chart, http2_load, idle, load, measure, prober, report, results, rows, scenarios
from .peers import last_line, requirements
from .results import RowResult, Sample, ScenarioResult, VariantInfo

WRK = """\
Running 3s test @ http://127.0.0.1:18000/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   532.31us  112.20us   6.21ms   91.32%
    Req/Sec   119.72k     2.88k  124.88k    70.00%
  357203 requests in 3.00s, 45.30MB read
  Socket errors: connect 0, read 7, write 0, timeout 2
  Non-2xx or 3xx responses: 41
Requests/sec: 119047.66
Transfer/sec:     15.10MB
"""

AB = """\
Concurrency Level:      10
Time taken for tests:   0.146 seconds
Complete requests:      10000
Failed requests:        3
   (Connect: 0, Receive: 0, Length: 3, Exceptions: 0)
Non-2xx responses:      2
Keep-Alive requests:    9900
Total transferred:      1310000 bytes
Requests per second:    68410.46 [#/sec] (mean)
Time per request:       0.146 [ms] (mean)
"""

H2LOAD = """\
starting benchmark...
Application protocol: h2c
finished in 3.00s, 26804.80 req/s, 1.02MB/s
requests: 80417 total, 80673 started, 80417 done, 80414 succeeded, 3 failed, 3 errored, 1 timeout
status codes: 80400 2xx, 0 3xx, 10 4xx, 4 5xx
traffic: 10.23MB (10723664) total, 2.05MB (2145248) headers (space savings 90.12%), 3.58MB data
"""

PINGED = b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x89\x04ping\x81\x05hello\x88\x00"


def sample(number: int, rate: float, cpu: float) -> Sample:
    """A sample with nothing odd about it."""
    return Sample(number, rate, cpu, 1000, {}, 1.0, 0.5, 0.0)


def result() -> ScenarioResult:
    """Two rows, two rounds."""
    rows_made = []
    for name, ours, costs in (("bare-hyper", False, (6.0, 8.0)), ("gohttp-wsgi", True, (9.0, 8.0))):
        row = RowResult(name, "Engine", ours, "1.0", "run it", "")
        row.samples["c64"] = [sample(at + 1, 1000.0, cost) for at, cost in enumerate(costs)]
        rows_made.append(row)
    rows_made.append(RowResult("absent", "Engine", False, "", "", "", skipped="not here"))
    about = dict.fromkeys(("date", "commit", "command", "machine", "python", "method"), "some")
    return ScenarioResult("keepalive", "Hello", about, [VariantInfo("c64", "64", "wrk")], rows_made)


def refused(kind: type[Exception], call: Callable[..., object], *words: object) -> bool:
    """Whether a call raises."""
    try:
        call(*words)
    except kind:
        return True
    return False


class Parsers(unittest.TestCase):
    """What the generators print."""

    def test_wrk(self) -> None:
        """Requests, rate and each kind of error."""
        outcome = load.parse_wrk(WRK)
        assert (outcome.requests, outcome.rate) == (357203, 119047.66)
        assert outcome.errors == {"read": 7, "timeout": 2, "non-2xx": 41}

    def test_wrk_without_errors(self) -> None:
        """wrk leaves those lines out."""
        clean = "".join(line for line in WRK.splitlines(True) if "rrors" not in line)
        assert load.parse_wrk(clean.replace("Non-2xx", "")).errors == {}

    def test_ab(self) -> None:
        """The same of ab, with the connections kept."""
        outcome = load.parse_ab(AB)
        assert (outcome.requests, outcome.rate) == (10000, 68410.46)
        assert (outcome.errors, outcome.kept_alive) == ({"failed": 3, "non-2xx": 2}, 9900)

    def test_h2load(self) -> None:
        """Only answers of 2xx count."""
        outcome = http2_load.parse_h2load(H2LOAD)
        assert (outcome.requests, outcome.rate) == (80400, 26804.8)
        assert outcome.errors == {"failed": 3, "timeout": 1, "non-2xx": 14}

    def test_nonsense_is_refused(self) -> None:
        """Rather than counted as nothing."""
        for parse in (load.parse_wrk, load.parse_ab, http2_load.parse_h2load):
            assert refused(load.LoadFailure, parse, "unable to connect")

    def test_last_line(self) -> None:
        """The line that tells the reason."""
        log = "Traceback\n  File x\nModuleNotFoundError: No module named 'a'\n[end of output]\n"
        assert last_line(log) == "ModuleNotFoundError: No module named 'a'"


class OpenSockets(unittest.TestCase):
    """What a client of idle WebSockets makes of a server."""

    def test_a_ping_is_no_echo(self) -> None:
        """It is passed over; a close is no echo either."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            made: list[idle.WebSocket] = []
            port = listener.getsockname()[1]
            client = threading.Thread(target=lambda: made.append(idle.WebSocket(port)))
            client.start()
            with listener.accept()[0] as server:
                server.sendall(PINGED)
                client.join()
                assert made[0].echoes()
                assert not made[0].echoes()
        made[0].close()

    def test_a_refusal_is_no_websocket(self) -> None:
        """Whatever else the answer says."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            found: list[bool] = []
            port = listener.getsockname()[1]
            client = threading.Thread(
                target=lambda: found.append(refused(ValueError, idle.WebSocket, port))
            )
            client.start()
            with listener.accept()[0] as server:
                server.sendall(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")
                client.join()
        assert found == [True]


class Accounting(unittest.TestCase):
    """CPU time from the kernel."""

    def test_threads_that_ended_count(self) -> None:
        """A server with a thread for each request must not look free."""
        pid = os.getpid()
        before = measure.process_ns(pid)
        spinner = threading.Thread(target=spin, args=(0.2,))
        spinner.start()
        spinner.join()
        assert measure.process_ns(pid) - before > 30000000

    def test_children_are_in_the_tree(self) -> None:
        """Workers are found from the process that was started."""
        child = os.fork()
        if not child:
            time.sleep(5)
            os._exit(0)
        try:
            assert child in measure.snapshot(os.getpid())
        finally:
            os.kill(child, 9)
            os.waitpid(child, 0)

    def test_pinned_ends(self) -> None:
        """The cores from before come back."""
        before = os.sched_getaffinity(0)
        with measure.pinned(min(before)):
            assert os.sched_getaffinity(0) == {min(before)}
        assert os.sched_getaffinity(0) == before


def spin(seconds: float) -> None:
    """Burn CPU."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


class Tables(unittest.TestCase):
    """Data in, pages out."""

    def test_ratio_is_by_round(self) -> None:
        """9 ÷ 6 and 8 ÷ 8, the median of both."""
        made = result()
        assert made.ratio(made.rows[1], "c64", report.cpu) == 1.25

    def test_pages(self) -> None:
        """Every writer says the same; JSON comes back whole."""
        made = result()
        assert "8.5 (8.0\N{EN DASH}9.0)" in report.as_text(report.table(made, "c64"))
        assert "skipped: absent: not here" in report.markdown(made, "x.svg")
        assert "8.5 µs" in chart.draw(made)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "latest.json")
            results.save(path, [made])
            assert results.load(path) == [made]

    def test_pages_about_memory(self) -> None:
        """The bars and the columns are of KiB, and come back whole."""
        made = result()
        row = made.rows[1]
        row.samples["c64"] = [replace(row.samples["c64"][0], memory_kib=9.8)]
        del made.rows[0]
        assert report.table(made, "c64")[1][:3] == ["gohttp-wsgi", "9.8", "1,000"]
        assert "9.8 KiB" in chart.draw(made)
        assert "![Memory for each connection]" in report.markdown(made, "x.svg")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "latest.json")
            results.save(path, [made])
            assert results.load(path) == [made]

    def test_what_is_not_installed_is_left_out(self) -> None:
        """With a sentence; the rest stays."""
        whole = scenarios.scenarios(3, False)["services"]
        less = whole.without({scenarios.POSTGRES: "not here"})
        assert [variant.name for variant in less.variants] == ["redis", "httpx"]
        assert [check.path for check in less.checks] == ["/redis", "/httpx"]
        assert (less.notes, less.services) == (
            ("left out: pg: not here",),
            (scenarios.REDIS, scenarios.HTTP),
        )
        quick = scenarios.scenarios(3, True)["services"]
        assert ([check.path for check in quick.checks], quick.services) == (
            ["/pg"],
            ("PostgreSQL",),
        )
        made = result()
        made.notes = list(less.notes)
        assert "- left out: pg: not here" in report.markdown(made, "x.svg")

    def test_rows_are_sound(self) -> None:
        """Names are unique, apps exist, needs are listed."""
        names = [row.name for row in rows.ROWS]
        assert len(names) == len(set(names))
        for row in rows.ROWS:
            assert set(row.needs) - {"gohttp", "libgohttp"} <= requirements().keys(), row.name
            for workload in row.apps:
                assert row.words(workload, 1)
        for scenario in scenarios.scenarios(3, False).values():
            taken = [row for row in rows.ROWS if scenario.takes(row)]
            assert taken, scenario.name
            assert all(scenario.workload in row.apps for row in taken), scenario.name
        assert set(scenarios.scenarios(3, True)) == set(scenarios.scenarios(3, False))
        assert refused(ValueError, rows.chosen, ["nobody"])


def main() -> int:
    """The exit status."""
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules[__name__])
    modules: tuple[ModuleType, ...] = (http2_load, load, measure, prober, report, results)
    for module in modules:
        if doctest.DocTestFinder(exclude_empty=True).find(module):
            suite.addTests(doctest.DocTestSuite(module))
    return (
        not unittest.TextTestRunner(stream=io.TextIOWrapper(sys.stderr.buffer))
        .run(suite)
        .wasSuccessful()
    )


if __name__ == "__main__":
    sys.exit(main())
