"""Several workers over real sockets: replaced, restarted in turn, stopped together."""

import os
import signal
import socket
import sys
from pathlib import Path

import pytest
from support import Server, gohttp_serve, run_gohttp, start, wait_until

APP = """
    import os
    import pathlib
    import time

    MARK = "one"

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        if environ["PATH_INFO"] == "/slow":
            pathlib.Path("begun").touch()
            time.sleep(1)
        return [f"{os.getpid()} {MARK}".encode()]
"""


def children(pid: int) -> set[int]:
    return {int(c) for c in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def begun(directory: Path) -> None:
    """Returns when a worker has the slow request; it has a second to answer."""
    wait_until((directory / "begun").exists, "a worker to have the request")


def answer(server: Server) -> tuple[int, str]:
    pid, mark = server.get("/").text.split()
    return int(pid), mark


@pytest.fixture
def app(write_app):
    return write_app(APP)


def test_workers_serve_and_the_supervisor_does_not(app) -> None:
    with gohttp_serve(app.target, cwd=app.cwd, workers=3) as server:
        workers = children(server.pid)
        assert len(workers) == 3
        assert {answer(server)[0] for _ in range(20)} <= workers
        threads = os.listdir(f"/proc/{server.pid}/task")
        assert len(threads) == 1


def blocked_signals(pid: int) -> str:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(line for line in status.splitlines() if line.startswith("SigBlk"))


def test_worker_for_whom_the_system_has_no_process_is_started_later(app, scarce) -> None:
    with gohttp_serve(app.target, cwd=app.cwd, workers=2, env=scarce) as server:
        before, blocked = children(server.pid), blocked_signals(server.pid)
        opened = len(os.listdir(f"/proc/{server.pid}/fd"))
        full = app.cwd / "full"
        full.touch()
        os.kill(min(before), signal.SIGKILL)
        server.wait_for_log(r"gives no process for a worker \(Resource temp.*again in 0\.\d s$")
        server.wait_for_log(r"gives no process for a worker .*again in [^0]")
        assert {answer(server)[0] for _ in range(5)} == {max(before)}
        assert blocked_signals(server.pid) == blocked
        assert len(os.listdir(f"/proc/{server.pid}/fd")) < opened, "one channel less"
        full.unlink()
        wait_until(lambda: len(children(server.pid)) == 2, "the second worker")


def test_server_that_gets_no_process_at_first_starts_later(app, scarce) -> None:
    full = app.cwd / "full"
    full.touch()
    command = [sys.executable, "-m", "gohttp", "serve", app.target, "--port=0", "--workers=2"]
    server = start(command, cwd=app.cwd, env=scarce)
    try:
        server.wait_for_log("gives no process for a worker")
        full.unlink()
        server.wait_for_log(r"^\s+ready\s")
        server.signal()
        assert server.wait() == 0
    finally:
        server.process.kill()
        server.process.wait()
        server.stderr.close()
        server.stdout.close()


def test_dead_worker_is_replaced(app) -> None:
    with gohttp_serve(app.target, cwd=app.cwd, workers=2) as server:
        before = children(server.pid)
        victim = min(before)
        os.kill(victim, signal.SIGKILL)
        server.wait_for_log(rf"worker {victim} died.*SIGKILL")
        after = wait_until(
            lambda: (now := children(server.pid)) and len(now) == 2 and victim not in now and now,
            "a new worker",
        )
        assert before - {victim} < after
        assert answer(server)[0] in after


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_ends_all(app, number: int) -> None:
    with gohttp_serve(app.target, cwd=app.cwd, workers=3) as server:
        workers = children(server.pid)
        server.signal(number)
        assert server.wait() == 0
        assert not any(map(alive, workers))


def test_stop_waits_for_a_request_in_flight(app) -> None:
    with gohttp_serve(app.target, cwd=app.cwd, workers=2) as server, server.connect() as client:
        client.send_request("GET", "/slow")
        begun(app.cwd)
        server.signal()
        assert client.read_response().status == 200
        assert server.wait() == 0


def test_control_c_reaches_the_whole_group_and_is_still_graceful(app) -> None:
    with gohttp_serve(app.target, cwd=app.cwd, workers=2) as server, server.connect() as client:
        client.send_request("GET", "/slow")
        begun(app.cwd)
        for pid in (server.pid, *children(server.pid)):
            os.kill(pid, signal.SIGINT)
        assert client.read_response().status == 200
        assert server.wait() == 0


def test_term_for_the_whole_group_is_still_graceful(app) -> None:
    """As systemd does it: every process of the service gets SIGTERM."""
    with gohttp_serve(app.target, cwd=app.cwd, workers=2) as server, server.connect() as client:
        client.send_request("GET", "/slow")
        begun(app.cwd)
        for pid in (*children(server.pid), server.pid):
            os.kill(pid, signal.SIGTERM)
        assert client.read_response().status == 200
        assert server.wait() == 0


@pytest.mark.parametrize("more", [["--workers=2"], ["--reload"], []], ids=["many", "reload", "one"])
def test_clients_that_come_while_it_stops_are_refused_at_once(app, more: list[str]) -> None:
    """And do not wait in a backlog for nobody until the last request has ended."""
    if "--reload" in more:
        pytest.importorskip("watchfiles")
    with gohttp_serve(app.target, *more, cwd=app.cwd) as server, server.connect() as client:
        client.send_request("GET", "/slow")
        begun(app.cwd)
        server.signal()

        def refused() -> bool:
            try:
                socket.create_connection(("127.0.0.1", server.port), timeout=5).close()
            except ConnectionRefusedError:
                return True
            return False

        wait_until(refused, "clients to be refused", timeout=0.6)
        assert client.read_response().status == 200
        assert server.wait() == 0


def test_second_signal_stops_at_once(app) -> None:
    with gohttp_serve(app.target, cwd=app.cwd, workers=2, exit_code=None) as server:
        workers = children(server.pid)
        with server.connect() as client:
            client.send_request("GET", "/slow")
            begun(app.cwd)
            server.signal()
            server.wait_for_log("stopping 2 workers")
            server.signal()
            assert server.wait() == 128 + signal.SIGTERM
        assert not any(map(alive, workers))


def test_workers_end_when_the_supervisor_is_killed(app) -> None:
    with gohttp_serve(app.target, cwd=app.cwd, workers=2, exit_code=None) as server:
        workers = children(server.pid)
        server.process.kill()
        server.wait()
        wait_until(lambda: not any(map(alive, workers)), "the workers to end")


def test_hangup_restarts_with_new_code(app) -> None:
    with gohttp_serve(app.target, cwd=app.cwd, workers=2) as server:
        before = children(server.pid)
        app.path.write_text(app.path.read_text().replace('"one"', '"two!"'))
        server.signal(signal.SIGHUP)
        server.wait_for_log("all workers are restarted")
        wait_until(lambda: not children(server.pid) & before, "the old workers to end")
        assert {answer(server)[1] for _ in range(10)} == {"two!"}
        assert len(children(server.pid)) == 2


def test_hangup_with_broken_code_keeps_the_old_workers(app) -> None:
    with gohttp_serve(app.target, cwd=app.cwd, workers=2) as server:
        before = children(server.pid)
        app.path.write_text("1 / 0\n")
        server.signal(signal.SIGHUP)
        server.wait_for_log("restart given up")
        assert children(server.pid) == before
        assert answer(server)[1] == "one"


def test_unix_socket_is_removed_by_the_supervisor_alone(app, tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with gohttp_serve(app.target, "--uds", str(path), cwd=app.cwd, workers=2) as server:
        os.kill(min(children(server.pid)), signal.SIGTERM)
        server.wait_for_log("died")
        assert path.is_socket()
        assert server.get("/").status == 200
    assert not path.exists()


def test_worker_that_dies_before_it_is_ready_stops_everything(write_app) -> None:
    app = write_app("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    done = run_gohttp("serve", app.target, "--port", "0", "-w", "2", cwd=app.cwd)
    assert done.returncode == 128 + signal.SIGKILL
    assert "the first worker did not start (killed by SIGKILL)" in done.stderr
