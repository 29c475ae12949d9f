"""The scenarios, as data: which load, on which app, on which rows."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

from .http2_load import H2load
from .idle import IdleWebSockets
from .load import Ab, Load, Wrk
from .rows import ASGI, ENDPOINTS, HELLO, HTTP2, MIXED, MUX, SERVICES, SOCKET, WORK, Row
from .websocket_load import Echoes

HELLO_BODY = b"Hello, world.\n"
BIG_BODY = b"x" * (100 * 1024)
KILO, MEGA = 1024, 1024 * 1024

# Services that an app may ask; `services.py` starts them.
POSTGRES, REDIS, HTTP = "PostgreSQL", "Redis", "HTTP"
ASKED = (
    ("pg", "one SELECT by asyncpg", POSTGRES),
    ("redis", "one GET by redis.asyncio", REDIS),
    ("httpx", "one GET by httpx", HTTP),
)
IDLE = 5_000
ITEM = "/api/v1/resource0/4711"


@dataclass(frozen=True)
class Check:
    """An answer that has to be exact before anything is timed."""

    path: str
    expected: bytes
    posted: bytes | None = None
    http2: bool = False
    """Asked for over HTTP/2 alone."""
    service: str = ""
    """What the app asks for it."""


@dataclass(frozen=True)
class Variant:
    """One load of a scenario."""

    name: str
    title: str
    load: Load | IdleWebSockets
    probe: str = ""
    """A path to ask for meanwhile, to see how long a bystander waits."""
    service: str = ""
    """What the app asks meanwhile."""


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
    notes: tuple[str, ...] = ()
    """What a reader must know of how it was run here."""

    @property
    def services(self) -> tuple[str, ...]:
        """What its app asks."""
        return tuple(dict.fromkeys(variant.service for variant in self.variants if variant.service))

    def shortened(self) -> Self:
        """The same with its main load only."""
        main = self.variants[:1]
        asked = {"", *(variant.service for variant in main)}
        checks = tuple(check for check in self.checks if check.service in asked)
        return replace(self, variants=main, checks=checks)

    def without(self, absent: dict[str, str]) -> Self:
        """The same without what needs one of these services; the reasons become notes."""
        left_out = [variant for variant in self.variants if variant.service in absent]
        return replace(
            self,
            variants=tuple(v for v in self.variants if v not in left_out),
            checks=tuple(check for check in self.checks if check.service not in absent),
            notes=self.notes + tuple(f"left out: {v.name}: {absent[v.service]}" for v in left_out),
        )


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
            lambda row: row.group == ASGI and WORK in row.apps,
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
        Scenario(
            "idle-websockets",
            "What an open WebSocket takes while nothing happens",
            SOCKET,
            (Variant("idle", f"{IDLE:,} at once", IdleWebSockets(IDLE)),),
            greeting,
            has(SOCKET),
            optional=True,
        ),
        Scenario(
            "http2",
            "Hello, world over HTTP/2",
            HTTP2,
            (Variant("m16", "16 connections of 16 streams", H2load(16, 16, seconds)),),
            (Check("/", HELLO_BODY, http2=True),),
            has(HTTP2),
            optional=True,
        ),
        Scenario(
            "mux",
            "Native handlers: the same route, alone and among 1,000",
            MUX,
            (Variant("c64", "64 kept-alive connections", Wrk(64, seconds, ITEM)),),
            (Check(ITEM, HELLO_BODY),),
            has(MUX),
            optional=True,
        ),
        Scenario(
            "endpoints",
            "FastAPI endpoints written with def, in anyio's 40 threads",
            ENDPOINTS,
            (
                Variant("0ms", "no work, 64 connections", Wrk(64, seconds)),
                Variant("5ms", "5 ms of waiting, 64 connections", Wrk(64, seconds, "/work")),
            ),
            (Check("/", HELLO_BODY), Check("/work", HELLO_BODY)),
            has(ENDPOINTS),
            optional=True,
        ),
        Scenario(
            "services",
            "An ASGI app that asks another service for each request",
            SERVICES,
            tuple(
                Variant(name, f"{title}, 32 connections", Wrk(32, seconds, f"/{name}"), "", service)
                for name, title, service in ASKED
            ),
            tuple(Check(f"/{name}", HELLO_BODY, service=service) for name, _, service in ASKED),
            has(SERVICES),
            optional=True,
        ),
    )
    if quick:
        every = tuple(s.shortened() for s in every)
    return {scenario.name: scenario for scenario in every}
