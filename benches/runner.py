"""The rounds: every row once, then every row again."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from . import idle, load
from .daemon import ServiceFailure
from .idle import IdleWebSockets
from .load import Load
from .measure import Cores, Meter, Used, pinned
from .peers import Peers
from .prober import Prober
from .results import RowResult, Sample, ScenarioResult, VariantInfo
from .rows import Row
from .scenarios import Scenario, Variant
from .server import Failure, Server, free_port
from .services import Services, versions

START_AND_STOP = 2.0  # seconds, until a row's own are known


@dataclass(frozen=True)
class Step:
    """A row that has just been through a scenario once."""

    number: int
    steps: int
    scenario: str
    round: int
    row: str
    sample: Sample | None
    failure: str
    seconds_left: float


class Runner:
    """Runs scenarios over rows; tells `watch` after each step."""

    def __init__(
        self, peers: Peers, cores: Cores, rounds: int, seconds: int, watch: Callable[[Step], None]
    ) -> None:
        self._peers, self._cores, self._watch = peers, cores, watch
        self._rounds, self._seconds = rounds, seconds
        self._services = Services((), cores.load)  # those of the scenario that runs
        self._took: dict[tuple[str, str], float] = {}
        self._todo: list[tuple[str, str]] = []
        self._done = 0

    def run(
        self,
        wanted: list[tuple[Scenario, list[Row]]],
        skipped: dict[str, str],
        about: dict[str, str],
        finished: Callable[[ScenarioResult], None],
    ) -> None:
        """All scenarios, one after the other; `finished` has each as soon as it ends."""
        self._todo = [
            (scenario.name, row.name)
            for scenario, rows in wanted
            for _ in range(self._rounds)
            for row in rows
            if row.name not in skipped
        ]
        for scenario, rows in wanted:
            finished(self._scenario(scenario, rows, skipped, about))

    def _scenario(
        self, scenario: Scenario, rows: list[Row], skipped: dict[str, str], about: dict[str, str]
    ) -> ScenarioResult:
        results = {
            row.name: RowResult(
                row.name,
                row.group,
                row.ours,
                "" if row.name in skipped else self._peers.version(row),
                row.shown(scenario.workload),
                row.note,
                skipped.get(row.name, ""),
            )
            for row in rows
        }
        try:
            with Services(scenario.services, self._cores.load) as self._services:
                for number in range(1, self._rounds + 1):
                    for row in rows:
                        result = results[row.name]
                        if not result.skipped:
                            self._step(scenario, row, result, number)
        except ServiceFailure as error:
            self._todo = [step for step in self._todo if step[0] != scenario.name]
            for result in results.values():
                result.skipped = result.skipped or str(error)
        notes = [*scenario.notes]
        if asked := versions(scenario.services):
            notes.append(f"asked, on the load's core: {', '.join(asked)}")
        variants = [VariantInfo(v.name, v.title, v.load.shown()) for v in scenario.variants]
        return ScenarioResult(
            scenario.name,
            scenario.title,
            about,
            variants,
            list(results.values()),
            notes,
        )

    def _step(self, scenario: Scenario, row: Row, result: RowResult, number: int) -> None:
        start = time.monotonic()
        failure = ""
        try:
            self._measure(scenario, row, result, number)
        except Failure as error:
            failure = str(error)
            result.failures[f"round {number}"] = failure
        failure = failure or next(iter(result.failures.values()), "")
        if not result.samples:
            result.skipped = failure.removeprefix("round 1: ")
            again = (scenario.name, row.name)
            self._todo = [
                step for at, step in enumerate(self._todo) if at <= self._done or step != again
            ]
        self._took[scenario.name, row.name] = time.monotonic() - start
        self._done += 1
        latest = result.samples.get(scenario.variants[0].name, [])
        self._watch(
            Step(
                self._done,
                len(self._todo),
                scenario.name,
                number,
                row.name,
                latest[-1] if latest and latest[-1].round == number else None,
                failure,
                self._seconds_left(scenario),
            )
        )

    def _seconds_left(self, current: Scenario) -> float:
        guess = START_AND_STOP + 1 + self._seconds * len(current.variants)
        return sum(self._took.get(step, guess) for step in self._todo[self._done :])

    def _measure(self, scenario: Scenario, row: Row, result: RowResult, number: int) -> None:
        port = free_port()
        command = self._peers.command(row, scenario.workload, port)
        environment = self._peers.environment(row) | self._services.environment
        for variant in scenario.variants:
            if isinstance(variant.load, IdleWebSockets):
                idle.allow_files(variant.load.connections + idle.SPARE_FILES)
        with Server(row.name, command, environment, port, self._cores.server) as server:
            for check in scenario.checks:
                server.check(check)
            with pinned(self._cores.load):
                for at, variant in enumerate(scenario.variants):
                    if variant.name not in result.failures:
                        self._load(server, variant, result, number, cold=at == 0)
            server.insist_alive()

    def _load(
        self, server: Server, variant: Variant, result: RowResult, number: int, cold: bool
    ) -> None:
        """One variant.  One that fails is not tried again; the others go on."""
        try:
            if isinstance(variant.load, IdleWebSockets):
                idle.warm_up(server.port)
                sample = self._held(server, variant.load, number)
            else:
                if cold:
                    load.run(variant.load.warm_up(), server.base)
                sample = self._sample(server, variant, variant.load, number)
        except load.LoadFailure as error:
            result.failures[variant.name] = f"round {number}: {error}"
        else:
            result.samples.setdefault(variant.name, []).append(sample)

    def _sample(self, server: Server, variant: Variant, loading: Load, number: int) -> Sample:
        with ExitStack() as stack:
            prober = None
            if variant.probe:
                prober = stack.enter_context(Prober(server.port, variant.probe))
            meter = Meter(server.pid, self._services.pids, self._cores)
            loaded = load.run(loading, server.base)
            used = meter.stop()
        outcome = loaded.outcome
        errors = dict(outcome.errors)
        probed = prober.latencies if prober else []
        if prober and prober.errors:
            errors["probe"] = prober.errors
        answered = outcome.requests + len(probed)
        if not outcome.requests:
            raise load.LoadFailure("no request was answered")
        beside = loaded.cpu_ns + used.services
        return Sample(
            round=number,
            rate=outcome.rate,
            cpu_us=round(used.server / answered / 1000, 3),
            requests=outcome.requests,
            errors=errors,
            server_busy=round(used.server / used.wall, 3),
            load_busy=round(beside / used.wall, 3),
            others_busy=others(used, beside),
            kept_alive=outcome.kept_alive,
            probe_ms=[round(seconds * 1000, 3) for seconds in probed],
        )

    def _held(self, server: Server, wanted: IdleWebSockets, number: int) -> Sample:
        meter = Meter(server.pid, (), self._cores)
        own = time.thread_time_ns()
        held = idle.hold(wanted, server.port, server.pid)
        own = time.thread_time_ns() - own
        used = meter.stop()
        if not held.opened:
            raise load.LoadFailure("no WebSocket was opened")
        lost = {
            "not opened": wanted.connections - held.opened,
            "not alive": held.opened - held.echoed_again,
        }
        return Sample(
            round=number,
            rate=round(held.opened / held.opening_seconds, 2),
            cpu_us=round(used.server / held.opened / 1000, 3),
            requests=held.opened,
            errors={kind: count for kind, count in lost.items() if count},
            server_busy=round(used.server / used.wall, 3),
            load_busy=round(own / used.wall, 3),
            others_busy=others(used, own),
            memory_kib=round(held.grown / held.opened / 1024, 3),
        )


def others(used: Used, beside: int) -> float:
    """The share of the two cores taken by neither the server nor what is `beside` it."""
    return round(max(0, used.busy - used.server - beside) / (2 * used.wall), 3)
