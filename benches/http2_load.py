"""HTTP/2 without TLS, by prior knowledge: h2load loads, nghttp looks at one answer."""

import re
import subprocess
from dataclasses import dataclass, replace
from typing import Self

from .load import Outcome, needed, needed_text

LOADER, CLIENT = "h2load", "nghttp"  # one package has both


@dataclass(frozen=True)
class H2load:
    """h2load, one thread: so many connections, each with so many requests on their way."""

    connections: int
    streams: int
    seconds: int
    path: str = "/"

    def warm_up(self) -> Self:
        return replace(self, seconds=1)

    def command(self, base: str) -> list[str]:
        counts = [f"-c{self.connections}", f"-m{self.streams}", f"-D{self.seconds}"]
        return [LOADER, "-t1", *counts, base + self.path]

    def parse(self, text: str) -> Outcome:
        return parse_h2load(text)

    def shown(self) -> str:
        return " ".join(self.command("http://127.0.0.1:PORT"))


def parse_h2load(text: str) -> Outcome:
    """Read the report of h2load; only answers of 2xx are counted as answered."""
    codes = counts(r"(\d+) (\dxx)", needed_text(r"^status codes: (.*2xx.*)$", text))
    errors = counts(r"(\d+) (failed|timeout)", needed_text(r"^requests: (.*)$", text))
    answered = codes.pop("2xx")
    errors["non-2xx"] = sum(codes.values())
    rate = needed(r"^finished in .*, ([\d.]+) req/s", text)
    return Outcome(answered, rate, {kind: count for kind, count in errors.items() if count})


def counts(pattern: str, line: str) -> dict[str, int]:
    """Pairs of a count and its name, by name.

    >>> counts(r"(\\d+) (\\w+)", "3 failed, 2 errored")
    {'failed': 3, 'errored': 2}
    """
    return {name: int(count) for count, name in re.findall(pattern, line)}


def get(url: str) -> tuple[int, bytes]:
    """Status and body of one answer, over HTTP/2 only.

    Raises `OSError` with the client's words when there is none.
    """
    done = subprocess.run(
        [CLIENT, "--stat", "--timeout=10s", url], capture_output=True, check=False
    )
    if done.stderr.strip():
        raise OSError(done.stderr.decode(errors="replace").strip().splitlines()[0])
    return parse_nghttp(done.stdout)


def parse_nghttp(output: bytes) -> tuple[int, bytes]:
    r"""Status and body, from what `nghttp --stat` prints of one request.

    >>> parse_nghttp(b"body***** Statistics *****\nid code size path\n13 +1ms 200 4 /\n")
    (200, b'body')
    """
    body, _, statistics = output.rpartition(b"***** Statistics *****\n")
    return int(statistics.split()[-3]), body
