"""The load generators, wrk and ab: their command lines and what they print."""

import re
import resource
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, replace
from typing import Protocol, Self

from .places import PEERS, without_paths

INSTALL = {
    "wrk": "apt-get install wrk",
    "ab": "apt-get install apache2-utils",
    "h2load": "apt-get install nghttp2-client",
}
AB_CHATTER = "Benchmarking 127.0.0.1 (be patient)..."


class LoadFailure(Exception):
    """The generator could not do its work."""


@dataclass(frozen=True)
class Outcome:
    """What a generator counted."""

    requests: int
    rate: float
    """Requests a second."""
    errors: dict[str, int]
    kept_alive: int | None = None


@dataclass(frozen=True)
class Loaded:
    """An outcome, with the CPU time the generator itself took."""

    outcome: Outcome
    cpu_ns: int


class Load(Protocol):
    """A way to load a server."""

    def warm_up(self) -> Self:
        """The same, shorter, with nothing measured."""

    def command(self, base: str) -> list[str]:
        """The words to run against a base address."""

    def parse(self, text: str) -> Outcome:
        """Read what it printed."""

    def shown(self) -> str:
        """The command line, for people."""


@dataclass(frozen=True)
class Wrk:
    """wrk, one thread: as many requests as `connections` kept-alive connections allow."""

    connections: int
    seconds: int
    path: str = "/"
    post_bytes: int = 0
    script: str = ""
    """A file among the peers that makes the requests."""

    def warm_up(self) -> Self:
        return replace(self, seconds=1)

    def command(self, base: str) -> list[str]:
        words = ["wrk", "-t1", f"-c{self.connections}", f"-d{self.seconds}s", "--timeout", "10s"]
        if self.post_bytes:
            words += ["-s", str(PEERS / "post.lua")]
        if self.script:
            words += ["-s", str(PEERS / self.script)]
        words.append(base + self.path)
        return [*words, "--", str(self.post_bytes)] if self.post_bytes else words

    def parse(self, text: str) -> Outcome:
        return parse_wrk(text)

    def shown(self) -> str:
        return without_paths(" ".join(self.command("http://127.0.0.1:PORT")))


@dataclass(frozen=True)
class Ab:
    """ab, the article's generator: a fixed number of requests."""

    requests: int
    concurrency: int
    keep_alive: bool
    path: str = "/"

    def warm_up(self) -> Self:
        return replace(self, requests=min(self.requests, 1000))

    def command(self, base: str) -> list[str]:
        words = [
            "ab",
            "-q",
            "-r",
            "-s",
            "10",
            "-n",
            str(self.requests),
            "-c",
            str(self.concurrency),
        ]
        return [*words, *(["-k"] if self.keep_alive else []), base + self.path]

    def parse(self, text: str) -> Outcome:
        return parse_ab(text)

    def shown(self) -> str:
        return " ".join(self.command("http://127.0.0.1:PORT"))


def missing(names: set[str]) -> list[str]:
    """A line for each generator that isn't installed."""
    absent = sorted(name for name in names if not shutil.which(name))
    return [f"{name} is missing: {INSTALL.get(name, 'install it')}" for name in absent]


def run(load: Load, base: str, timeout: float = 300) -> Loaded:
    """Run a generator to its end; it inherits the core of this thread."""
    with tempfile.TemporaryFile("w+") as out:
        child = subprocess.Popen(
            load.command(base), stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
        )
        before = children_ns()
        try:
            child.wait(timeout)
        except subprocess.TimeoutExpired as error:
            child.kill()
            child.wait()
            raise LoadFailure(f"{load.shown()} did not end in {timeout:.0f} s") from error
        out.seek(0)
        text = out.read()
    if child.returncode:
        lines = text.replace(AB_CHATTER, "").strip().splitlines()[-2:] or [
            f"exit status {child.returncode}"
        ]
        raise LoadFailure(f"{load.command(base)[0]}: {'; '.join(lines)}")
    return Loaded(load.parse(text), children_ns() - before)


def children_ns() -> int:
    """CPU time of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return int((used.ru_utime + used.ru_stime) * 1e9)


def number(pattern: str, text: str) -> float | None:
    """The first number a pattern captures, if it is there."""
    found = re.search(pattern, text, re.MULTILINE)
    return float(found[1]) if found else None


def needed(pattern: str, text: str) -> float:
    """The same, when it must be there."""
    return float(needed_text(pattern, text))


def needed_text(pattern: str, text: str) -> str:
    """What a pattern captures first, which must be there."""
    found = re.search(pattern, text, re.MULTILINE)
    if not found:
        raise LoadFailure(f"the generator's output has nothing like {pattern!r}")
    return found[1]


def parse_wrk(text: str) -> Outcome:
    """Read the report of wrk."""
    errors = {}
    sockets = re.search(r"Socket errors: (.*)", text)
    for part in sockets[1].split(",") if sockets else ():
        kind, count = part.split()
        errors[kind] = int(count)
    errors["non-2xx"] = int(number(r"Non-2xx or 3xx responses: (\d+)", text) or 0)
    requests = int(needed(r"^\s*(\d+) requests in ", text))
    rate = needed(r"^Requests/sec:\s+([\d.]+)", text)
    return Outcome(requests, rate, {kind: count for kind, count in errors.items() if count})


def parse_ab(text: str) -> Outcome:
    """Read the report of ab."""
    errors = {
        "failed": int(number(r"^Failed requests:\s+(\d+)", text) or 0),
        "non-2xx": int(number(r"^Non-2xx responses:\s+(\d+)", text) or 0),
    }
    kept = number(r"^Keep-Alive requests:\s+(\d+)", text)
    return Outcome(
        int(needed(r"^Complete requests:\s+(\d+)", text)),
        needed(r"^Requests per second:\s+([\d.]+)", text),
        {kind: count for kind, count in errors.items() if count},
        None if kept is None else int(kept),
    )
