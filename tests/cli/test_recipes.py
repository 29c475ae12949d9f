"""The recipes of docs/deploying.md do what they say."""

import os
import signal
import time
from pathlib import Path

import pytest
from support import gohttp_serve, wait_until

ROTATED = """
    import logging
    from logging.handlers import WatchedFileHandler

    lines = WatchedFileHandler("access.log")
    lines.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logging.getLogger("gohttp.access").addHandler(lines)

    def app(environ, start_response):
        start_response("200 OK", [])
        return [b"hello"]
"""
STUCK = """
    import faulthandler
    import os
    import signal
    import time
    from pathlib import Path

    faulthandler.register(signal.SIGUSR1, all_threads=True)

    def app(environ, start_response):
        if environ["PATH_INFO"] == "/stuck":
            waits_for_ever()
        start_response("200 OK", [])
        return [b"hello"]

    def waits_for_ever():
        Path("stuck.new").write_text(str(os.getpid()))
        os.rename("stuck.new", "stuck")
        while not Path("go").exists():
            time.sleep(0.01)
"""


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.parametrize("workers", [1, 2])
def test_access_log_that_logrotate_moves_away(workers: int, write_app) -> None:
    app = write_app(ROTATED)
    log, rotated = app.cwd / "access.log", app.cwd / "access.log.1"
    with gohttp_serve(app.target, "--access-log", cwd=app.cwd, workers=workers) as server:
        server.get("/one")
        wait_until(lambda: len(lines(log)) == 1, "the first line")
        log.rename(rotated)
        server.get("/two", [("Referer", "http://x/"), ("User-Agent", "curl")])
        (line,) = wait_until(lambda: lines(log), "a line in the new file")
        assert '"GET /two HTTP/1.1" 200 5 ' in line
        assert line.startswith(time.strftime("%Y-"))
        assert "curl" not in line
        assert len(lines(rotated)) == 1
        assert server.output() == []


@pytest.mark.parametrize("workers", [1, 2])
def test_stacks_of_a_stuck_worker_without_a_deadline(workers: int, write_app) -> None:
    app = write_app(STUCK)
    with (
        gohttp_serve(app.target, cwd=app.cwd, workers=workers) as server,
        server.connect() as client,
    ):
        client.send_request("GET", "/stuck")
        stuck = app.cwd / "stuck"
        wait_until(stuck.exists, "a worker to have the request")
        os.kill(int(stuck.read_text()), signal.SIGUSR1)
        server.wait_for_log("in waits_for_ever")
        (app.cwd / "go").touch()
        assert client.read_response().status == 200
