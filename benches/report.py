# ruff: noqa: T201
"""What people read: progress, tables in the terminal, Markdown and pictures in files."""

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from . import chart, results
from .places import without_paths
from .results import RowResult, Sample, ScenarioResult, Spread, percentile
from .rows import ROWS, Row
from .runner import Step
from .scenarios import Scenario

TO = "\N{EN DASH}"
NOISY = 0.05  # of two cores

Table = list[list[str]]  # the first row is the head
Column = tuple[str, Callable[[RowResult], str]]


def say(text: str) -> None:
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)


def step(done: Step) -> None:
    """A line for each row and round."""
    told = done.failure
    if done.sample:
        sample = done.sample
        told = (
            f"{sample.rate:>9,.0f} req/s {sample.cpu_us:>8.1f} µs/req"
            if sample.memory_kib is None
            else f"{sample.requests:>9,} open {sample.memory_kib:>10.1f} KiB each"
        )
        told += f"   {error_text(sample.errors)}" * bool(sample.errors)
        told += f"   {done.failure}" * bool(done.failure)
    left = (
        f"{done.seconds_left / 60:.0f} min left"
        if done.seconds_left > 90
        else (f"{done.seconds_left:.0f} s left")
    )
    width = max(len(row.name) for row in ROWS)
    count = f"[{done.number:>{len(str(done.steps))}}/{done.steps}]"
    say(f"{count} {done.scenario} {done.round}  {done.row:<{width}}  {told}  ({left})")


def listing(rows: Sequence[Row], scenarios: Iterable[Scenario]) -> None:
    """Everything there is to choose from."""
    width = max(len(row.name) for row in rows)
    print("Rows:")
    for row in rows:
        workload = next(iter(row.apps))
        note = f"  # {row.note}" if row.note else ""
        print(f"  {row.name:<{width}}  {row.shown(workload)}{note}")
    print("\nScenarios:")
    for scenario in scenarios:
        asked = "  (only when asked for)" if scenario.optional else ""
        print(f"  {scenario.name:<{width}}  {scenario.title}{asked}")
        for variant in scenario.variants:
            print(f"  {'':<{width}}    {without_paths(variant.load.shown())}  # {variant.title}")


def publish(result: ScenarioResult, folder: Path) -> None:
    """Print a scenario's tables, and write them with the picture and the raw figures."""
    print(f"\n{result.title}\n")
    for variant in result.variants:
        print(f"{variant.title}: {variant.command}\n")
        print(as_text(table(result, variant.name)), end="\n\n")
    for line in remarks(result):
        print(line)
    written = write(result, folder)
    print(f"\nwritten: {', '.join(str(path.name) for path in written)} in {show(folder)}")


def show(path: Path) -> str:
    """A path as seen from here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def write(result: ScenarioResult, folder: Path) -> list[Path]:
    """The files of one scenario."""
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / f"{result.about['date']}-{result.name}.md"
    picture = folder / f"{result.name}.svg"
    raw = folder / "latest.json"
    picture.write_text(chart.draw(result))
    page.write_text(markdown(result, picture.name))
    results.save(raw, [result])
    return [page, picture, raw]


# --- tables -----------------------------------------------------------------------------------


def figure(value: float) -> str:
    """Three digits or more, never less than one decimal below a hundred.

    >>> figure(7.412), figure(412.3), figure(68410.7)
    ('7.4', '412', '68,411')
    """
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def spread_text(value: Spread) -> str:
    """A median with its range, which is left out when there was one round only."""
    if value.low == value.high:
        return figure(value.median)
    return f"{figure(value.median)} ({figure(value.low)}{TO}{figure(value.high)})"


def error_text(errors: dict[str, int]) -> str:
    """A row with errors is flagged."""
    return "⚠ " + ", ".join(f"{count} {kind}" for kind, count in errors.items()) if errors else ""


def ratio_text(value: float | None) -> str:
    """A ratio, if there is a baseline."""
    return "" if value is None else f"{value:.2f}"


def rate(sample: Sample) -> float:
    """Requests a second."""
    return sample.rate


def cpu(sample: Sample) -> float:
    """CPU time for each request."""
    return sample.cpu_us


def kept(row: RowResult, variant: str) -> str:
    """The share of the requests that found their connection still open; ab alone counts it."""
    samples = row.samples[variant]
    total = sum(sample.requests for sample in samples)
    return f"{sum(sample.kept_alive or 0 for sample in samples) / total:.0%}"


def table(result: ScenarioResult, variant: str) -> Table:
    """One variant, all rows, head first."""
    shown = result.shown(variant)
    columns = (
        memory_columns(variant) if result.about_memory(variant) else load_columns(result, variant)
    )
    columns.append(("errors", lambda row: error_text(row.errors(variant)) or "0"))
    return [[name for name, _ in columns], *([cell(row) for _, cell in columns] for row in shown)]


def memory_columns(variant: str) -> list[Column]:
    """What open connections took."""
    return [
        ("row", lambda row: row.name),
        ("KiB each", lambda row: spread_text(row.spread(variant, results.memory))),
        ("open at once", lambda row: f"{row.spread(variant, lambda s: s.requests).median:,.0f}"),
        ("CPU µs each", lambda row: spread_text(row.spread(variant, cpu))),
    ]


def load_columns(result: ScenarioResult, variant: str) -> list[Column]:
    """What a load saw of the server, and what that took."""
    shown = result.shown(variant)
    columns: list[Column] = [
        ("row", lambda row: row.name),
        ("req/s", lambda row: spread_text(row.spread(variant, rate))),
        ("CPU µs/req", lambda row: spread_text(row.spread(variant, cpu))),
    ]
    if any(result.ratio(row, variant, cpu) is not None for row in shown):
        columns += [
            ("req/s ÷ hyper", lambda row: ratio_text(result.ratio(row, variant, rate))),
            ("CPU ÷ hyper", lambda row: ratio_text(result.ratio(row, variant, cpu))),
        ]
    if any(row.probed(variant) for row in shown):
        columns += [
            ("bystander p50 ms", lambda row: probed_text(row, variant, 0.5)),
            ("p99 ms", lambda row: probed_text(row, variant, 0.99)),
            ("most ms", lambda row: probed_text(row, variant, 1)),
            ("asked", lambda row: str(len(row.probed(variant)))),
        ]
    if any(sample.kept_alive is not None for row in shown for sample in row.samples[variant]):
        columns.append(("kept alive", lambda row: kept(row, variant)))
    columns += [
        ("server busy", lambda row: f"{row.spread(variant, lambda s: s.server_busy).median:.0%}"),
        ("load busy", lambda row: f"{row.spread(variant, lambda s: s.load_busy).median:.0%}"),
    ]
    return columns


def probed_text(row: RowResult, variant: str, share: float) -> str:
    """A percentile of the prober's latencies."""
    latencies = row.probed(variant)
    return f"{percentile(latencies, share):.1f}" if latencies else TO


def widths(rows: Table) -> list[int]:
    """Of each column."""
    return [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]


def padded(row: list[str], wide: list[int]) -> list[str]:
    """Names to the left, figures to the right."""
    first, *rest = zip(row, wide, strict=True)
    return [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)]


def as_text(rows: Table) -> str:
    """For the terminal."""
    wide = widths(rows)
    head, *body = ("  ".join(padded(row, wide)).rstrip() for row in rows)
    return "\n".join([head, "─" * (sum(wide) + 2 * len(wide) - 2), *body])


def as_markdown(rows: Table, figures: bool = True) -> str:
    """For a file; `figures` go to the right."""
    wide = [max(width, 3) for width in widths(rows)]
    rule = ["-" * wide[0], *(("-" * (w - 1) + ":") if figures else "-" * w for w in wide[1:])]
    lines = [padded(row, wide) for row in rows]
    if not figures:
        lines = [[cell.ljust(w) for cell, w in zip(row, wide, strict=True)] for row in rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [lines[0], rule, *lines[1:]])


# --- pages ------------------------------------------------------------------------------------


def remarks(result: ScenarioResult) -> list[str]:
    """What a reader must know before believing a figure."""
    absent: dict[str, list[str]] = {}
    for row in result.rows:
        if row.skipped:
            absent.setdefault(row.skipped, []).append(row.name)
    lines = [f"skipped: {', '.join(names)}: {reason}" for reason, names in absent.items()]
    lines += [
        f"failed: {row.name}, {what}: {reason}"
        for row in result.rows
        if not row.skipped
        for what, reason in row.failures.items()
    ]
    lines += result.notes
    noise = [
        (sample.others_busy, row.name, sample.round)
        for row in result.rows
        for samples in row.samples.values()
        for sample in samples
        if sample.others_busy > NOISY
    ]
    if noise:
        share, name, number = max(noise)
        runs = f"{len(noise)} run{'s' * (len(noise) > 1)}"
        lines.append(
            f"noise: in {runs} other programs took more than {NOISY:.0%} of the two cores,"
            f" at most {share:.0%} ({name}, round {number}): measure on a quiet machine"
        )
    return lines


def markdown(result: ScenarioResult, picture: str) -> str:
    """The page of one scenario."""
    bars = chart.bars(result)
    parts = [f"# {result.title}", f"![{bars.what} {bars.each}]({picture})"]
    parts.append("\n".join(f"- {name}: {value}" for name, value in result.about.items()))
    for variant in result.variants:
        parts.append(f"## {variant.title[0].upper()}{variant.title[1:]}\n\n`{variant.command}`")
        parts.append(as_markdown(table(result, variant.name)))
    notes = remarks(result)
    if notes:
        parts.append("## Mind\n\n" + "\n".join(f"- {line}" for line in notes))
    setups = [["row", "versions", "how it was run"]]
    for row in result.rows:
        if not row.skipped:
            note = f"; {row.note}" if row.note else ""
            setups.append([row.name, row.version, f"`{row.command}`{note}"])
    parts.append("## How each row was run\n\n" + as_markdown(setups, figures=False))
    parts.append("The columns are explained in [benches/README.md](../README.md).")
    return "\n\n".join(parts) + "\n"
