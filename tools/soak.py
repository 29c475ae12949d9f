"""Asks each kind of handler a great many requests and looks at what the server holds meanwhile.

`make soak` asks 1,000,000 of each kind; `make soak SOAK="--requests 100000 wsgi asgi"` less. Ends
with 1 when memory, objects, descriptors or threads have gone on growing. wrk must be installed.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

ROOT = Path(__file__).parents[1]
APPS = ROOT / "tests" / "native" / "apps"
KINDS = ["native", "native-async", "sse", "serve-file", "wsgi", "wsgi-generator", "wsgi-file"]
KINDS += ["asgi", "asgi-stream", "files"]
C = "c"
MIB = 1024 * 1024
CONNECTIONS = 32
PARTS = 10
# What may come after the first third: caches have been filled by then.
LOOSE_BYTES = 4 * MIB
LOOSE_THINGS = 64
SHOWN = ("bytes resident", "blocks of memory", "tracked objects", "descriptors", "threads")


@dataclass
class Watched:
    """A running server, and how its insides are seen."""

    pid: int
    url: str
    path: str
    has_look: bool

    def look(self) -> dict[str, int]:
        if self.has_look:
            with urlopen(f"{self.url}/look", timeout=60) as response:
                held: dict[str, int] = json.load(response)
            return held
        proc = Path(f"/proc/{self.pid}")
        resident = re.search(r"VmRSS:\s+(\d+) kB", (proc / "status").read_text(encoding="ascii"))
        return {
            "bytes resident": int(resident[1]) * 1024 if resident else 0,
            "descriptors": len(list((proc / "fd").iterdir())),
            "threads": len(list((proc / "task").iterdir())),
        }

    def ask(self, count: int) -> int:
        """At least `count` requests; returns how many. Responses that are no good end the run."""
        asked, seconds = 0, 1
        while asked < count:
            began = time.monotonic()
            command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", self.url + self.path]
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            if "Non-2xx" in said:
                raise SystemExit(f"{self.path}: {said}")
            found = re.search(r"(\d+) requests in", said)
            asked += int(found[1]) if found else 0
            rate = max(asked, 1) / max(time.monotonic() - began, 0.1) / (1 if seconds == 1 else 2)
            seconds = max(1, min(60, int((count - asked) / rate)))
        return asked


@contextmanager
def serving(kind: str) -> Iterator[Watched]:
    """A server for this kind alone, ended after the block."""
    if kind == C:
        command = [str(ROOT / "build" / "c" / "full"), "127.0.0.1:0"]
    else:
        command = [sys.executable, "-m", "gohttp", "serve", "leak_cases:mux", "--port", "0"]
    log = subprocess.DEVNULL if kind == C else subprocess.PIPE
    out = subprocess.PIPE if kind == C else subprocess.DEVNULL
    with subprocess.Popen(command, cwd=APPS, stdout=out, stderr=log, text=True) as process:
        try:
            pipe = process.stdout if kind == C else process.stderr
            assert pipe is not None
            found = (re.search(r"(?:^port |listening\s+http://.*:)(\d+)", line) for line in pipe)
            port = next(match[1] for match in found if match)
            threading.Thread(target=pipe.read, daemon=True).start()  # never full
            url = f"http://127.0.0.1:{port}"
            yield Watched(process.pid, url, "/hello" if kind == C else f"/{kind}/ends", kind != C)
        finally:
            process.terminate()


def growth(looks: list[dict[str, int]]) -> list[str]:
    """What has grown from the first third to the end, in words."""
    early, late = looks[len(looks) // 3], looks[-3:]
    found = []
    for name in SHOWN:
        # The least of the last ones: some requests of wrk's are still being given up.
        grown = min(held.get(name, 0) for held in late) - early.get(name, 0)
        if grown > (LOOSE_BYTES if name == "bytes resident" else LOOSE_THINGS):
            found.append(f"{name} grew by {grown:,}")
    return found


def soak(kind: str, requests: int) -> tuple[list[str], list[str]]:
    """The lines of the table, and what has grown."""
    with serving(kind) as server:
        server.look()
        looks, asked, lines = [], 0, []
        for part in range(1, PARTS + 1):
            if asked >= requests * part // PARTS:
                continue  # wrk counts in seconds, and can be ahead
            asked += server.ask(requests * part // PARTS - asked)
            looks.append(held := server.look())
            cells = [held.get(name, 0) for name in SHOWN]
            lines.append(
                f"{kind:15}{asked:>11,}{cells[0] / MIB:>9.1f}"
                + "".join(f"{cell:>9,}" if cell else f"{'':>9}" for cell in cells[1:])
            )
            sys.stderr.write(f"\r{kind}: {asked:,} of {requests:,}   ")
            sys.stderr.flush()
    sys.stderr.write("\n")
    return lines, growth(looks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000_000, help="of each kind")
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"some of {' '.join(KINDS)} {C}")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not installed: apt-get install wrk")
    if unknown := set(options.kinds) - {*KINDS, C}:
        raise SystemExit(f"there is no kind {unknown.pop()!r}: say some of {' '.join(KINDS)} {C}")
    table, grown = [], []
    for kind in options.kinds or [*KINDS, C]:
        lines, found = soak(kind, options.requests)
        table += lines
        grown += [f"{kind}: {what}" for what in found]
    head = f"{'kind':15}{'requests':>11}{'RSS MiB':>9}{'blocks':>9}{'objects':>9}{'fds':>9}"
    sys.stdout.write("\n".join([f"{head}{'threads':>9}", *table, *grown, ""]))
    sys.stdout.write("not flat\n" if grown else "flat\n")
    sys.exit(bool(grown))


if __name__ == "__main__":
    main()
