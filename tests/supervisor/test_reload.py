"""`--reload`: new code is served after a change, and broken code only waits for the next."""

import os
import signal
import sys
from pathlib import Path

import pytest
from support import Server, gohttp_serve, run_gohttp, start, wait_until

APP = """
    MARK = "one"

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [MARK.encode()]
"""


@pytest.fixture
def app(write_app):
    pytest.importorskip("watchfiles")
    return write_app(APP)


def change_until(path: Path, text: str, server: Server, pattern: str) -> None:
    """Write `text` until the watcher, which may still be starting, has seen it."""
    for attempt in range(20):
        path.write_text(f"{text}\n# {attempt}\n")
        try:
            server.wait_for_log(pattern, timeout=1.0)
        except AssertionError:
            continue
        return
    pytest.fail(f"no {pattern!r} after many changes")


def test_worker_for_whom_the_system_has_no_process_is_started_later(app, scarce) -> None:
    with gohttp_serve(app.target, "--reload", cwd=app.cwd, env=scarce) as server:
        full = app.cwd / "full"
        full.touch()
        change_until(app.path, app.path.read_text().replace("one", "two"), server, "no process")
        full.unlink()
        server.wait_for_log("ready again")
        assert server.get("/").text == "two"


def test_change_is_served_on_the_same_port(app) -> None:
    with gohttp_serve(app.target, "--reload", cwd=app.cwd) as server:
        assert server.get("/").text == "one"
        source = app.path.read_text().replace('"one"', '"two"')
        change_until(app.path, source, server, "changed; restarting")
        wait_until(lambda: server.get("/").text == "two", "the new code")


def test_broken_code_waits_for_the_next_change(app) -> None:
    good = app.path.read_text()
    with gohttp_serve(app.target, "--reload", cwd=app.cwd) as server:
        change_until(app.path, "1 / 0", server, "waiting for a .py file to change")
        assert any("ZeroDivisionError: division by zero" in line for line in server.log())
        change_until(app.path, good, server, "ready again")
        assert server.get("/").text == "one"


def test_broken_code_at_the_start(app) -> None:
    good = app.path.read_text()
    app.path.write_text("import nothing_of_that_name\n")
    server = start(
        [sys.executable, "-m", "gohttp", "serve", app.target, "--reload", "--port", "0"],
        cwd=app.cwd,
    )
    try:
        server.wait_for_log("waiting for a .py file to change")
        change_until(app.path, good, server, r"^\s+ready ")
        server.signal()
        assert server.wait() == 0
    finally:
        server.process.kill()
        server.wait()
        server.stderr.close()
        server.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop(app, number: int) -> None:
    with gohttp_serve(app.target, "--reload", cwd=app.cwd) as server:
        server.signal(number)
        assert server.wait() == 0


def test_missing_directory(app) -> None:
    done = run_gohttp("serve", app.target, "--reload", "--reload-dir", "no", cwd=app.cwd)
    assert done.returncode == 2
    assert done.stderr.startswith("gohttp: --reload-dir no is not a directory")


def test_without_watchfiles(app) -> None:
    (app.cwd / "sitecustomize.py").write_text("import sys\nsys.modules['watchfiles'] = None\n")
    path = f"{app.cwd}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    done = run_gohttp("serve", app.target, "--reload", cwd=app.cwd, env={"PYTHONPATH": path})
    assert done.returncode == 2
    assert done.stderr.endswith("not installed; run: pip install watchfiles.\n")
