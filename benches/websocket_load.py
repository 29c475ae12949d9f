"""The load of WebSockets: a small program of ours, since the usual generators know none."""

import re
import shutil
import subprocess
from dataclasses import dataclass, replace
from typing import Self
from urllib.parse import urlsplit

from .load import LoadFailure, Outcome
from .places import CACHE, PEERS

PROGRAM = CACHE / "ws-load"
SOURCE = PEERS / "ws-load.c"


@dataclass(frozen=True)
class Echoes:
    """So many WebSockets, each with one message on its way."""

    connections: int
    message_bytes: int
    seconds: int

    def warm_up(self) -> Self:
        return replace(self, seconds=1)

    def command(self, base: str) -> list[str]:
        port = urlsplit(base).port or 0
        numbers = (port, self.connections, self.message_bytes, self.seconds)
        return [str(PROGRAM), *map(str, numbers)]

    def parse(self, text: str) -> Outcome:
        found = re.search(r"(\d+) messages in ([\d.]+) s", text)
        if not found:
            raise LoadFailure("ws-load printed no figures")
        count, seconds = int(found[1]), float(found[2])
        return Outcome(count, count / seconds, {})

    def shown(self) -> str:
        return f"ws-load PORT {self.connections} {self.message_bytes} {self.seconds}"


def build() -> str:
    """Compile the program if it is older than its source; why that failed, if it did."""
    if PROGRAM.exists() and PROGRAM.stat().st_mtime >= SOURCE.stat().st_mtime:
        return ""
    compiler = shutil.which("cc")
    if not compiler:
        return "cc is missing: apt-get install gcc"
    CACHE.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [compiler, "-O2", "-Wall", "-o", str(PROGRAM), str(SOURCE)],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr.strip()
