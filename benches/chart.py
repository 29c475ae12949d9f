"""A picture of a scenario: horizontal bars of CPU time for each request, as SVG made by hand."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from html import escape

from .results import RowResult, Sample, ScenarioResult, memory

WIDTH = 860
MARGIN = 28
LABEL = 180  # where the bars begin, from the margin
VALUES = 190  # room right of the longest bar
BAR, STEP = 16, 25
HEAD, GROUP_HEAD, GROUP_GAP, FOOT = 84, 30, 16, 30
CUT = 4.0  # a bar more than so many times its group's median is broken off

FONT = "-apple-system, 'Segoe UI', 'Helvetica Neue', 'DejaVu Sans', Arial, sans-serif"
PAPER, INK, SOFT, RULE = "#ffffff", "#1f2933", "#6b7785", "#e4e8ec"
OURS, OURS_INK, THEIRS, BASE = "#d9480f", "#a63406", "#b8c2cc", "#6f7f8f"


@dataclass(frozen=True)
class Bars:
    """What the bars of a picture show."""

    what: str
    each: str
    unit: str
    value: Callable[[Sample], float]
    aside: Callable[[Sample], float]
    """A figure beside it, with its unit."""
    aside_unit: str


TIME = Bars("CPU time", "for each request", "µs", lambda s: s.cpu_us, lambda s: s.rate, "req/s")
MEMORY = Bars("Memory", "for each connection", "KiB", memory, lambda s: s.requests, "open")


def bars(result: ScenarioResult) -> Bars:
    """What the picture of a scenario shows."""
    return MEMORY if result.about_memory(result.variants[0].name) else TIME


def text(x: float, y: float, words: str, **look: object) -> str:
    """A line of text."""
    attributes = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in look.items())
    return f'<text x="{x:g}" y="{y:g}"{attributes}>{escape(words)}</text>'


def bar(y: float, length: float, colour: str) -> str:
    """A bar, rounded at its far end only."""
    r = min(3.0, length)
    x = MARGIN + LABEL
    return (
        f'<path d="M{x} {y:g}h{length - r:.1f}a{r:g} {r:g} 0 0 1 {r:g} {r:g}'
        f'v{BAR - 2 * r:g}a{r:g} {r:g} 0 0 1 -{r:g} {r:g}h-{length - r:.1f}z" fill="{colour}"/>'
    )


def break_mark(length: float, y: float) -> str:
    """A slanted gap near the end of a bar that is longer than shown."""
    x = MARGIN + LABEL + length - 26
    return f'<path d="M{x:.1f} {y + BAR + 2:g}l7 -{BAR + 4}h6l-7 {BAR + 4}z" fill="{PAPER}"/>'


def whisker(y: float, low: float, high: float) -> list[str]:
    """The range of the rounds, over the end of a bar."""
    x = MARGIN + LABEL
    middle = y + BAR / 2
    return [
        f'<path d="M{x + low:.1f} {middle:g}H{x + high:.1f}M{x + low:.1f} {middle - 3:g}v6'
        f'M{x + high:.1f} {middle - 3:g}v6" stroke="{INK}" stroke-opacity=".55" fill="none"/>'
    ]


def groups(rows: list[RowResult], variant: str, kind: Bars) -> dict[str, list[RowResult]]:
    """The rows by group, the cheapest first."""
    found: dict[str, list[RowResult]] = {}
    for row in rows:
        found.setdefault(row.group, []).append(row)
    for members in found.values():
        members.sort(key=lambda row: row.spread(variant, kind.value).median)
    return found


def longest(rows: list[RowResult], variant: str, kind: Bars) -> float:
    """The cost that fills a group's width: the dearest, unless it dwarfs the others."""
    costs = [row.spread(variant, kind.value) for row in rows]
    limit = CUT * statistics.median(cost.median for cost in costs)
    return max(cost.high for cost in costs if cost.median <= limit)


def line(row: RowResult, variant: str, kind: Bars, y: float, most: float) -> list[str]:
    """One row: name, bar, figures."""
    scale = (WIDTH - 2 * MARGIN - LABEL - VALUES) / most
    cost = row.spread(variant, kind.value)
    aside = row.spread(variant, kind.aside)
    colour = OURS if row.ours else BASE if row.group.startswith("Engine") else THEIRS
    base = y + BAR - 4
    ink, weight = (OURS_INK, 600) if row.ours else (INK, 400)
    parts = [
        text(MARGIN + LABEL - 10, base, row.name, text_anchor="end", fill=ink, font_weight=weight),
        bar(y, max(1.0, min(cost.median, most) * scale), colour),
    ]
    if cost.median > most:
        parts.append(break_mark(most * scale, y))
    elif cost.high > cost.low:
        parts += whisker(y, cost.low * scale, cost.high * scale)
    value = f"{cost.median:.1f}" if cost.median < 100 else f"{cost.median:,.0f}"
    flag = "  ⚠ errors" if row.errors(variant) else ""
    x = MARGIN + LABEL + min(cost.high, most) * scale + 8
    parts.append(
        f'<text x="{x:.1f}" y="{base:g}" fill="{ink}">'
        f'<tspan font-weight="600">{value} {kind.unit}</tspan>'
        f'<tspan dx="8" fill="{SOFT}" font-size="11">'
        f"{aside.median:,.0f} {kind.aside_unit}{flag}</tspan></text>"
    )
    return parts


def draw(result: ScenarioResult) -> str:
    """The main variant of a scenario.

    Every group has its own scale, since Flask alone costs ten times what a server does.
    """
    variant, kind = result.variants[0], bars(result)
    found = groups(result.shown(variant.name), variant.name, kind)
    parts = [
        text(MARGIN, 36, result.title, font_size=18, font_weight=600),
        text(
            MARGIN,
            58,
            f"{kind.what} of the server {kind.each}: shorter is better. "
            f"{variant.title[0].upper()}{variant.title[1:]}.",
            fill=SOFT,
        ),
    ]
    y = float(HEAD)
    for group, rows in found.items():
        most = longest(rows, variant.name, kind)
        parts.append(f'<path d="M{MARGIN} {y:g}H{WIDTH - MARGIN}" stroke="{RULE}"/>')
        parts.append(text(MARGIN, y + 18, group, font_weight=600, fill=SOFT, font_size=12))
        y += GROUP_HEAD
        for row in rows:
            parts += line(row, variant.name, kind, y, most)
            y += STEP
        y += GROUP_GAP
    about = result.about
    feet = [f"{about['machine']}, {about['python']}, {about['date']}, commit {about['commit']}"]
    if len(found) > 1:
        feet.insert(0, "Each group has its own scale; a broken bar is longer than shown.")
    for foot in feet:
        parts.append(text(MARGIN, y + 6, foot, fill=SOFT, font_size=11))
        y += 16
    height = y - 16 + FOOT
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:g}"'
        f' viewBox="0 0 {WIDTH} {height:g}" font-family="{FONT}" font-size="13" fill="{INK}"'
        f' role="img"><title>{escape(result.title)}</title>\n'
        f'<rect width="100%" height="100%" rx="10" fill="{PAPER}" stroke="{RULE}"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )
