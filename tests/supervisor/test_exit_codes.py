"""What the command exits with after a stop, and which processes the log names."""

import os
import re
import signal
import sys

import pytest
from support import gohttp_serve, start, wait_until

WSGI = """
    import pathlib
    import time

    def app(environ, start_response):
        if environ["PATH_INFO"] == "/slow":
            pathlib.Path("inside").touch()
            time.sleep(8)
        start_response("200 OK", [])
        return [b"done"]
"""
ASGI = """
    import asyncio
    import pathlib

    async def app(scope, receive, send):
        assert scope["type"] == "http"
        if scope["path"] == "/slow":
            pathlib.Path("inside").touch()
            await asyncio.sleep(8)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})
"""


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("source", [WSGI, ASGI], ids=["wsgi", "asgi"])
def test_cut_handlers_are_exit_code_1(source: str, workers: int, write_app) -> None:
    app = write_app(source)
    options = ("--graceful-timeout", "0.3")
    with (
        gohttp_serve(app.target, *options, cwd=app.cwd, workers=workers, exit_code=1) as server,
        server.connect() as client,
    ):
        client.send_request("GET", "/slow")
        wait_until((app.cwd / "inside").exists, "the request to be in the handler")
        server.signal()
        assert server.wait() == 1


@pytest.mark.parametrize("workers", [1, 2])
def test_stop_that_cuts_nothing_is_exit_code_0(workers: int, write_app) -> None:
    app = write_app(WSGI)
    with gohttp_serve(app.target, cwd=app.cwd, workers=workers) as server:
        assert server.get("/").text == "done"
        server.signal()
        assert server.wait() == 0


def test_worker_that_cut_in_a_restart_is_not_counted_at_the_stop(write_app) -> None:
    app = write_app(WSGI)
    options = ("--graceful-timeout", "0.3")
    with (
        gohttp_serve(app.target, *options, cwd=app.cwd, workers=2) as server,
        server.connect() as client,
    ):
        client.send_request("GET", "/slow")
        wait_until((app.cwd / "inside").exists, "the request to be in the handler")
        server.signal(signal.SIGHUP)
        line = server.wait_for_log("restarting 2 workers in turn")
        old = [int(pid) for pid in line.rpartition(": ")[2].split(", ")]
        server.wait_for_log("all workers are restarted")
        wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in old), "their end")


def test_restart_names_the_workers_before_and_after(write_app) -> None:
    app = write_app(WSGI)
    with gohttp_serve(app.target, cwd=app.cwd, workers=2) as server:
        server.signal(signal.SIGHUP)
        old = re.findall(r"\d+", server.wait_for_log("restarting 2").rpartition(": ")[2])
        new = re.findall(r"\d+", server.wait_for_log("all workers are").rpartition(": ")[2])
        assert len(set(old)) == len(set(new)) == 2
        assert not set(old) & set(new)
        for pid in new:
            os.kill(int(pid), 0)


def test_stop_while_the_workers_import_the_app_is_exit_code_0(write_app) -> None:
    app = write_app("import pathlib, time\npathlib.Path('begun').touch()\ntime.sleep(20)\n")
    command = [sys.executable, "-m", "gohttp", "serve", app.target, "-w", "2", "--port", "0"]
    server = start(command, cwd=app.cwd)
    try:
        wait_until((app.cwd / "begun").exists, "the import to begin")
        server.signal()
        assert server.wait() == 0
    finally:
        server.process.kill()
        server.wait()
        server.stderr.close()
        server.stdout.close()
