"""The scenarios, as data: which load, on which app, on which rows."""

from collections.abc import Callable
from dataclasses import dataclass

from .load import Ab, Load, Wrk
from .rows import ASGI, HELLO, MIXED, SOCKET, WORK, Row
from .websocket_load import Echoes

HELLO_BODY = b"Hello, world.\n"
BIG_BODY = b"x" * (100 * 1024)
KILO, MEGA = 1024, 1024 * 1024


@dataclass(frozen=True)
class Check:
    """An answer that has to be exact before anything is timed."""

    path: str
    expected: bytes
    posted: bytes | None = None


@dataclass(frozen=True)
class Variant:
    """One load of a scenario."""

    name: str
    title: str
    load: Load
    probe: str = ""
    """A path to ask for meanwhile, to see how long a bystander waits."""


@dataclass(frozen=True)
class Scenario:
    """What a row is put through between the start and the stop of its server."""

    name: str
    title: str
    workload: str
    variants: tuple[Variant, ...]
    """The first one is the main table and the picture."""
    checks: tuple[Check, ...]
    takes: Callable[[Row], bool]
    optional: bool = False


def has(workload: str) -> Callable[[Row], bool]:
    """Rows that have an app for a workload."""
    return lambda row: workload in row.apps


def scenarios(seconds: int, quick: bool) -> dict[str, Scenario]:
    """All of them, by name; `quick` keeps only each one's main load."""
    greeting = (Check("/", HELLO_BODY),)
    kept = tuple(
        Variant(f"c{count}", f"{count} kept-alive connection{'s' * (count > 1)}", load)
        for count in (64, 8, 1)
        for load in [Wrk(count, seconds)]
    )
    number = 2000 if quick else 10_000
    article = (
        Variant("ab", "a connection for each request", Ab(number, 10, keep_alive=False)),
        Variant("ab-k", "connections kept alive (-k)", Ab(number, 10, keep_alive=True)),
    )
    every: tuple[Scenario, ...] = (
        Scenario(
            "keepalive",
            "Hello, world over kept-alive connections",
            HELLO,
            kept,
            greeting,
            has(HELLO),
        ),
        Scenario(
            "article", "The article's test: ab, 10 at once", HELLO, article, greeting, has(HELLO)
        ),
        Scenario(
            "sleep",
            "A WSGI handler that sleeps 10 ms, 32 threads, 64 connections",
            WORK,
            (Variant("sleep", "at most 3,200 requests/s", Wrk(64, seconds, "/sleep"), "/fast"),),
            (Check("/sleep", HELLO_BODY), Check("/fast", HELLO_BODY)),
            lambda row: row.threaded,
        ),
        Scenario(
            "mixed",
            "Nine quick requests for one that sleeps 50 ms; WSGI, 16 threads",
            MIXED,
            (
                Variant(
                    "mixed",
                    "64 connections",
                    Wrk(64, seconds, "/fast", script="mixed.lua"),
                    "/fast",
                ),
            ),
            (Check("/nap", HELLO_BODY), Check("/fast", HELLO_BODY)),
            has(MIXED),
            optional=True,
        ),
        Scenario(
            "post",
            "A body posted and echoed",
            WORK,
            (
                Variant("10k", "10 KB, 64 connections", Wrk(64, seconds, "/echo", 10 * KILO)),
                Variant("1m", "1 MB, 8 connections", Wrk(8, seconds, "/echo", MEGA)),
            ),
            tuple(Check("/echo", body, body) for body in (b"0123456789" * KILO, b"y" * MEGA)),
            has(WORK),
            optional=True,
        ),
        Scenario(
            "big",
            "A response of 100 KB",
            WORK,
            (Variant("100k", "64 connections", Wrk(64, seconds, "/big")),),
            (Check("/big", BIG_BODY),),
            has(WORK),
            optional=True,
        ),
        Scenario(
            "timers",
            "An ASGI handler that sleeps 10 ms on the loop",
            WORK,
            (Variant("c512", "512 connections", Wrk(512, seconds, "/sleep")),),
            (Check("/sleep", HELLO_BODY),),
            lambda row: row.group == ASGI,
            optional=True,
        ),
        Scenario(
            "websocket",
            "A message echoed over WebSockets",
            SOCKET,
            tuple(
                Variant(name, f"{size} bytes, 32 connections", Echoes(32, size, seconds))
                for name, size in (("64b", 64), ("4k", 4 * KILO))
            ),
            greeting,
            has(SOCKET),
            optional=True,
        ),
    )
    if quick:
        every = tuple(
            Scenario(s.name, s.title, s.workload, s.variants[:1], s.checks, s.takes, s.optional)
            for s in every
        )
    return {scenario.name: scenario for scenario in every}
