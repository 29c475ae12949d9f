"""What was measured, and the few statistics drawn from it.  All of it goes to JSON and back."""

import json
import math
import statistics
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .rows import BASELINE

RARE = {"memory_kib", "notes"}


@dataclass(frozen=True)
class Sample:
    """One timed run of one row under one load."""

    round: int
    rate: float
    cpu_us: float
    """CPU time of the server's processes for each request, in microseconds."""
    requests: int
    errors: dict[str, int]
    server_busy: float
    """Share of its core the server used: 1 when it was the limit."""
    load_busy: float
    others_busy: float
    """Share of the two cores taken by somebody else: noise."""
    kept_alive: int | None = None
    probe_ms: list[float] = field(default_factory=list)
    memory_kib: float | None = None
    """What each connection takes, where that is the question; a request is then a connection."""


@dataclass(frozen=True)
class Spread:
    """A median, with the least and the most."""

    median: float
    low: float
    high: float


def spread(values: Iterable[float]) -> Spread:
    """Of at least one value.

    >>> spread([3, 1, 2])
    Spread(median=2, low=1, high=3)
    """
    kept = list(values)
    return Spread(statistics.median(kept), min(kept), max(kept))


def percentile(values: list[float], share: float) -> float:
    """The nearest rank.

    >>> percentile(list(range(1, 101)), 0.99)
    99
    """
    return sorted(values)[max(0, math.ceil(len(values) * share) - 1)]


@dataclass
class RowResult:
    """A row in one scenario."""

    name: str
    group: str
    ours: bool
    version: str
    command: str
    note: str
    skipped: str = ""
    failures: dict[str, str] = field(default_factory=dict)
    """By variant, or by round when the server itself failed."""
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    """By variant."""

    def spread(self, variant: str, value: Callable[[Sample], float]) -> Spread:
        """Over the rounds."""
        return spread(value(sample) for sample in self.samples[variant])

    def errors(self, variant: str) -> dict[str, int]:
        """All rounds together."""
        total: dict[str, int] = {}
        for sample in self.samples.get(variant, ()):
            for kind, count in sample.errors.items():
                total[kind] = total.get(kind, 0) + count
        return total

    def probed(self, variant: str) -> list[float]:
        """Milliseconds, all rounds together."""
        return [ms for sample in self.samples.get(variant, ()) for ms in sample.probe_ms]


@dataclass
class VariantInfo:
    """A load, for the reader."""

    name: str
    title: str
    command: str


@dataclass
class ScenarioResult:
    """A scenario: one table for each variant."""

    name: str
    title: str
    about: dict[str, str]
    """Machine, date, commit and so on."""
    variants: list[VariantInfo]
    rows: list[RowResult]
    notes: list[str] = field(default_factory=list)
    """What was left out, and why."""

    def ratio(self, row: RowResult, variant: str, value: Callable[[Sample], float]) -> float | None:
        """To bare hyper of the same round, the median of the rounds."""
        base = next((r for r in self.rows if r.name == BASELINE), None)
        by_round = {s.round: value(s) for s in base.samples.get(variant, ())} if base else {}
        pairs = [
            value(sample) / by_round[sample.round]
            for sample in row.samples.get(variant, ())
            if by_round.get(sample.round)
        ]
        return statistics.median(pairs) if pairs else None

    def about_memory(self, variant: str) -> bool:
        """Whether memory is what was measured."""
        return any(
            s.memory_kib is not None for row in self.rows for s in row.samples.get(variant, ())
        )

    def shown(self, variant: str) -> list[RowResult]:
        """The rows that have figures, in the order of the matrix."""
        return [row for row in self.rows if row.samples.get(variant)]


def memory(sample: Sample) -> float:
    """KiB for each connection, of a sample that is about memory."""
    return sample.memory_kib or 0.0


def save(path: Path, results: Iterable[ScenarioResult]) -> None:
    """Put results into a file, in place of what it holds for the same scenarios."""
    kept = {result.name: result for result in load(path)} if path.exists() else {}
    kept.update({result.name: result for result in results})
    entries = [asdict(result, dict_factory=told) for result in kept.values()]
    text = json.dumps(entries, indent=1, ensure_ascii=False)
    path.write_text(text + "\n")


def told(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The fields of an entry, without those that few have and this one has not."""
    return {name: value for name, value in pairs if name not in RARE or value not in (None, [])}


def load(path: Path) -> list[ScenarioResult]:
    """What `save` wrote."""
    return [read_scenario(entry) for entry in json.loads(path.read_text())]


def read_scenario(entry: dict[str, Any]) -> ScenarioResult:
    """One scenario out of JSON."""
    rows = [
        RowResult(
            **{
                **row,
                "samples": {
                    variant: [Sample(**sample) for sample in samples]
                    for variant, samples in row["samples"].items()
                },
            }
        )
        for row in entry["rows"]
    ]
    variants = [VariantInfo(**variant) for variant in entry["variants"]]
    return ScenarioResult(**{**entry, "rows": rows, "variants": variants})
