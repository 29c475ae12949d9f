# ruff: noqa: T201
"""``python -m benches.capacity``: what two workers add, and what idle connections cost.

These two have no place in the matrix: the first needs both cores for the server, the second is
about memory.
"""

import socket
import statistics
import sys
from contextlib import ExitStack
from datetime import date

from . import idle, load, machine
from .load import Wrk
from .measure import choose_cores, resident_bytes
from .peers import Peers
from .places import RESULTS
from .report import as_markdown, say
from .rows import BASELINE, GOHTTP, GRANIAN_WSGI, HELLO, Row
from .server import HOST, Server, free_port

ROUNDS, SECONDS = 5, 3
IDLE = 5_000
REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"

IDLE_ROWS = (
    Row(BASELINE, "", "bare-hyper 127.0.0.1:{port} {app}", {HELLO: "hello"}),
    Row("gohttp-wsgi", "", GOHTTP, {HELLO: "wsgi_hello"}, ("gohttp",)),
    Row("gohttp-asgi", "", GOHTTP, {HELLO: "asgi_hello"}, ("gohttp",)),
    Row(
        "granian-wsgi",
        "",
        GRANIAN_WSGI,
        {HELLO: "wsgi_hello"},
        ("granian",),
    ),
)


def worker_row(workers: int) -> Row:
    """Flask on so many processes."""
    command = f"{GOHTTP} --workers {workers}"
    return Row(f"gohttp-flask-{workers}", "", command, {HELLO: "flask_busy"}, ("gohttp", "flask"))


def start(peers: Peers, row: Row, cores: set[int]) -> Server:
    """A row's server, not yet entered."""
    port = free_port()
    return Server(row.name, peers.command(row, HELLO, port), peers.environment(row), port, cores)


def workers(peers: Peers, cores: set[int]) -> list[list[str]]:
    """Requests a second of one and of two processes, rounds interleaved."""
    rates: dict[int, list[float]] = {1: [], 2: []}
    for number in range(1, ROUNDS + 1):
        for count, found in rates.items():
            with start(peers, worker_row(count), cores) as server:
                # A worker that is up before the other would take all connections.
                load.run(Wrk(16, SECONDS).warm_up(), server.base)
                done = load.run(Wrk(16, SECONDS), server.base)
            found.append(done.outcome.rate)
            say(f"workers {count}, round {number}: {done.outcome.rate:,.0f} req/s")
    medians = {count: statistics.median(found) for count, found in rates.items()}
    lines = [["workers", "req/s", "÷ one worker"]]
    for count, found in rates.items():
        spread = f"{medians[count]:,.0f} ({min(found):,.0f}\N{EN DASH}{max(found):,.0f})"
        lines.append([str(count), spread, f"{medians[count] / medians[1]:.2f}"])
    return lines


def ask(connection: socket.socket) -> bool:
    """Whether a request is answered."""
    try:
        connection.sendall(REQUEST)
        return connection.recv(4096).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def idle_connections(peers: Peers, row: Row, core: int) -> list[str]:
    """Connections that have been served once and wait, and are then asked again."""
    with start(peers, row, {core}) as server, ExitStack() as stack:
        load.run(Wrk(8, 1), server.base)  # what a warm server holds anyway
        before = resident_bytes(server.pid)
        opened = []
        for _ in range(IDLE):
            try:
                made = socket.create_connection((HOST, server.port), 5)
            except OSError:
                break
            stack.callback(made.close)
            made.settimeout(2)
            if not ask(made):
                break
            opened.append(made)
        each = (resident_bytes(server.pid) - before) / max(len(opened), 1)
        again = sum(map(ask, opened))
    say(f"idle {row.name}: {again} of {IDLE} served, {each / 1024:.1f} KiB each")
    return [row.name, f"{len(opened):,}", f"{again:,}", f"{each / 1024:.1f}"]


def main() -> int:
    """The exit status."""
    idle.allow_files(2 * IDLE + idle.SPARE_FILES)
    cores = choose_cores()
    peers = Peers(say)
    skipped = peers.prepare([*IDLE_ROWS, worker_row(1)])
    for name, reason in skipped.items():
        say(f"skipping {name}: {reason}")
    scaling = as_markdown(workers(peers, {cores.server, cores.load}))
    lines = [["row", "opened and served", "served again", "KiB each"]]
    lines += [
        idle_connections(peers, row, cores.server) for row in IDLE_ROWS if row.name not in skipped
    ]
    facts = "\n".join(
        f"- {name}: {value}"
        for name, value in machine.about(sys.argv[1:], ROUNDS, cores).items()
        if name != "method"
    )
    text = (
        "# What two workers add, and what idle connections cost\n\n"
        f"{facts}\n\n## Two workers on both cores\n\nA Flask page that takes a few milliseconds "
        f"of CPU; `wrk -t1 -c16 -d{SECONDS}s`, which shares the cores; {ROUNDS} interleaved "
        f"rounds, median (least to most).\n\n{scaling}\n\n"
        f"## {IDLE:,} idle connections\n\nEach is opened, served once, left open, and asked again "
        f"when all are open; memory is what the server's processes grew by.\n\n"
        f"{as_markdown(lines)}\n"
    )
    path = RESULTS / f"{date.today().isoformat()}-capacity.md"
    path.write_text(text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
