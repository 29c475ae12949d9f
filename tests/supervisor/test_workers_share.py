"""Workers with one socket: a request does not wait for a busy one while another is free."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from support import gohttp_serve, wait_until

APP = """
    import os
    import pathlib
    import time

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        if environ["PATH_INFO"] == "/held":
            gate = pathlib.Path(environ["QUERY_STRING"])
            (gate / f"held-{time.monotonic_ns()}-{os.getpid()}").touch()
            while not (gate / "open").exists():
                time.sleep(0.01)
        return [str(os.getpid()).encode()]
"""


def held(gate: Path) -> list[str]:
    return [path.name for path in gate.glob("held-*")]


def test_requests_go_to_the_worker_that_is_free(write_app: Any, tmp_path: Path) -> None:
    app = write_app(APP)
    with (
        gohttp_serve(app.target, "--threads", "1", cwd=app.cwd, workers=2) as server,
        server.connect() as busy,
    ):
        busy.send_request("GET", f"/held?{tmp_path}")
        wait_until(lambda: held(tmp_path), "the busy worker")
        answers = {server.get("/").text for _ in range(10)}
        (tmp_path / "open").touch()
        assert len(answers) == 1
        assert busy.read_response().text not in answers


def test_all_threads_of_all_workers_are_used(write_app: Any, tmp_path: Path) -> None:
    app = write_app(APP)
    with (
        gohttp_serve(app.target, "--threads", "3", cwd=app.cwd, workers=2) as server,
        ExitStack() as stack,
    ):
        for _ in range(6):
            stack.enter_context(server.connect()).send_request("GET", f"/held?{tmp_path}")
        wait_until(lambda: len(held(tmp_path)) == 6, "six at once")
        (tmp_path / "open").touch()
