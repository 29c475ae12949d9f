"""What the kernel says a server used, and on which core things run."""

import os
import resource
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
CPUCLOCK_SCHED = 2


@dataclass(frozen=True)
class Cores:
    """One core for the server, one for the load."""

    server: int
    load: int


def choose_cores() -> Cores:
    """The first core for the server; for the load the next that isn't its hyper-thread."""
    allowed = sorted(os.sched_getaffinity(0))
    server = allowed[0]
    topology = Path(f"/sys/devices/system/cpu/cpu{server}/topology/thread_siblings_list")
    siblings = parse_cpu_list(topology.read_text()) if topology.exists() else {server}
    apart = [core for core in allowed if core not in siblings]
    return Cores(server, (apart or allowed[1:] or allowed)[0])


def parse_cpu_list(text: str) -> set[int]:
    """The kernel's lists.

    >>> sorted(parse_cpu_list("0-2,8"))
    [0, 1, 2, 8]
    """
    found: set[int] = set()
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


@contextmanager
def pinned(cores: int | set[int]) -> Iterator[None]:
    """Keep this thread, and whatever it starts meanwhile, on one core, or on a few."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cores} if isinstance(cores, int) else cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@dataclass(frozen=True)
class Process:
    """The fields of /proc/PID/stat used here."""

    pid: int
    parent: int
    session: int
    reaped_ns: int
    """CPU time of children that ended and were waited for."""


def parse_stat(text: str) -> Process:
    """A line of /proc/PID/stat.

    >>> parse_stat("7 (a (b) c) S 3 7 7 0 -1 0 0 0 0 0 5 6 1 2 20 0 1").session
    7
    """
    pid = int(text.partition(" ")[0])
    fields = text.rpartition(") ")[2].split()  # the name may hold spaces and brackets
    reaped = (int(fields[13]) + int(fields[14])) * TICK_NS
    return Process(pid, int(fields[1]), int(fields[3]), reaped)


def processes() -> list[Process]:
    """All that run now."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with suppress(OSError):  # gone meanwhile
                found.append(parse_stat(Path("/proc", entry, "stat").read_text()))
    return found


def tree(root: int) -> list[Process]:
    """The process `root`, its session and its descendants."""
    everyone = processes()
    members = {p.pid for p in everyone if root in (p.pid, p.session)}
    grown = True
    while grown:
        more = {p.pid for p in everyone if p.parent in members} - members
        members |= more
        grown = bool(more)
    return [p for p in everyone if p.pid in members]


def process_ns(pid: int) -> int:
    """CPU time of one process so far, in nanoseconds.

    This is the clock of clock_getcpuclockid(3).  It counts threads that have ended, which the sum
    over /proc/PID/task does not, and is exact, which the ticks of /proc/PID/stat are not.
    """
    return time.clock_gettime_ns((~pid << 3) | CPUCLOCK_SCHED)


def snapshot(root: int) -> dict[int, int]:
    """CPU time of each process of a tree, by pid."""
    used = {}
    for process in tree(root):
        with suppress(OSError):
            used[process.pid] = process_ns(process.pid) + process.reaped_ns
    return used


def used_between(before: dict[int, int], after: dict[int, int]) -> int:
    """CPU time a tree took from one snapshot to the next.

    >>> used_between({1: 10, 2: 5}, {1: 15, 3: 4})
    9
    """
    return sum(max(0, ns - before.get(pid, 0)) for pid, ns in after.items())


def busy_ns(cores: Cores) -> int:
    """Time the two cores have not been idle since boot, whoever used them."""
    wanted = {f"cpu{cores.server}", f"cpu{cores.load}"}
    total = 0
    for line in Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name in wanted:
            ticks = [int(field) for field in fields[:8]]
            total += (sum(ticks) - ticks[3] - ticks[4]) * TICK_NS
    return total


def resident_bytes(root: int) -> int:
    """Resident memory of a tree."""
    page = resource.getpagesize()
    total = 0
    for process in tree(root):
        with suppress(OSError):
            total += int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * page
    return total


@dataclass(frozen=True)
class Used:
    """Nanoseconds of a stretch of time."""

    server: int
    services: int
    """What the server's app asks."""
    busy: int
    """Both cores, whoever it was."""
    wall: int


class Meter:
    """Measures a stretch of time: the shares of the server and its services, and everybody's."""

    def __init__(self, server: int, services: Iterable[int], cores: Cores) -> None:
        self._server, self._services, self._cores = server, tuple(services), cores
        self._busy = busy_ns(cores)
        self._start = time.monotonic_ns()
        self._services_before = self._asked()
        self._before = snapshot(server)

    def stop(self) -> Used:
        """What was used since."""
        server = used_between(self._before, snapshot(self._server))
        wall = time.monotonic_ns() - self._start
        services = used_between(self._services_before, self._asked())
        return Used(server, services, busy_ns(self._cores) - self._busy, wall)

    def _asked(self) -> dict[int, int]:
        return {pid: ns for root in self._services for pid, ns in snapshot(root).items()}
