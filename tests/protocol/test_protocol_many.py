"""Very many connections, and too few descriptors."""

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from conftest import Servers
from conversation import APPS, TARGETS, connect, cpu_seconds, each_face, trouble
from support import Server, start, wait_until

IDLE = 1500


@pytest.fixture
def descriptors() -> Iterator[None]:
    """Room for the clients' ends of all connections; the server inherits it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    want = 2 * IDLE + 500
    if hard != resource.RLIM_INFINITY and hard < want:
        pytest.skip(f"only {hard} descriptors are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, want), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@each_face
@pytest.mark.usefixtures("descriptors")
def test_idle_connections_in_thousands_hinder_nobody(servers: Servers, face: str) -> None:
    server = servers(face, "--backlog=4096")
    with ExitStack() as stack:
        idle = [stack.enter_context(connect(server)) for _ in range(IDLE)]
        for connection in idle[::2]:
            connection.send_request("GET")
        for connection in idle[::2]:
            assert connection.read_response().status == 200
        begin = time.monotonic()
        for _ in range(20):
            assert server.get("/").status == 200
        assert time.monotonic() - begin < 5
        # And none of them was closed: all can be used again.
        for connection in idle[:: IDLE // 20]:
            connection.send_request("GET")
            assert connection.read_response().status == 200
        used = cpu_seconds(server)
        time.sleep(1)  # a second in which nobody asks for anything
        assert cpu_seconds(server) - used < 0.2
    assert trouble(server) == []


@each_face
def test_out_of_descriptors_the_server_does_not_spin_and_recovers(face: str) -> None:
    limit = 64
    command = (
        "import resource, runpy, sys;"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({limit}, {limit}));"
        f"sys.argv = ['gohttp', 'serve', '{TARGETS[face]}', '--port', '0'];"
        "runpy.run_module('gohttp', run_name='__main__')"
    )
    server = start([sys.executable, "-c", command], cwd=APPS)
    try:
        line = server.wait_for_log(r"listening\s+http://127\.0\.0\.1:\d+")
        server.port = int(line.rpartition(":")[2])
        server.wait_for_log(r"^\s+ready ")
        exhaust(server, limit)
        server.signal()
        assert server.wait() == 0
    finally:
        server.process.kill()
        server.wait()
        server.stderr.close()
        server.stdout.close()


def test_soft_limit_of_descriptors_is_raised() -> None:
    command = (
        "import resource, runpy, sys;"
        "hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1];"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard));"
        f"sys.argv = ['gohttp', 'serve', '{TARGETS['wsgi']}', '--port', '0'];"
        "runpy.run_module('gohttp', run_name='__main__')"
    )
    server = start([sys.executable, "-c", command], cwd=APPS)
    try:
        server.wait_for_log(r"^\s+ready ")
        limits = Path(f"/proc/{server.pid}/limits").read_text()
        (line,) = (line for line in limits.splitlines() if line.startswith("Max open files"))
        soft, hard = line.split()[3:5]
        assert hard == "unlimited" or int(soft) == min(int(hard), 65_536)
        server.signal()
        assert server.wait() == 0
    finally:
        server.process.kill()
        server.wait()
        server.stderr.close()
        server.stdout.close()


def exhaust(server: Server, limit: int) -> None:
    with ExitStack() as stack:
        held = [stack.enter_context(connect(server)) for _ in range(limit + 20)]
        server.wait_for_log("cannot accept connections: .*open files")
        served = held[0]
        served.send_request("GET")
        assert served.read_response().status == 200
        used = cpu_seconds(server)
        time.sleep(1.5)  # long enough to see it spin
        assert cpu_seconds(server) - used < 0.4
    # The clients have gone: it accepts again, by itself.
    wait_until(lambda: server.get("/").status == 200, "the server to recover")
    complaints = [line for line in server.log() if "cannot accept connections" in line]
    assert len(complaints) == 1
