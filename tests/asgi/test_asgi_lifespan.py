"""ASGI lifespan: start-up before the first request, shutdown after the last."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from asgi_helpers import APPS, LOOPS
from support import Server, clean_environment, gohttp_serve, wait_until

TARGET = "asgi_lifespan_cases:app"

pytestmark = pytest.mark.parametrize("loop", LOOPS)


def serve(
    case: str, loop: str, folder: Path, *options: str, exit_code: int = 0
) -> AbstractContextManager[Server]:
    env = {"CASE": case, "FOLDER": str(folder)}
    options = ("--loop", loop, *options)
    return gohttp_serve(TARGET, *options, cwd=APPS, env=env, exit_code=exit_code)


def run_to_end(case: str, loop: str, folder: Path, *options: str) -> tuple[int, str]:
    """Exit code and log of a server that is not to start."""
    command = [sys.executable, "-m", "gohttp", "serve", TARGET, "--port", "0", "--loop", loop]
    ended = subprocess.run(
        [*command, *options],
        cwd=APPS,
        env=clean_environment({"CASE": case, "FOLDER": str(folder)}),
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )
    return ended.returncode, ended.stderr


def events(folder: Path) -> list[str]:
    path = folder / "events"
    return path.read_text().splitlines() if path.exists() else []


@contextmanager
def waiting_request(server: Server, folder: Path, path: str, began: str) -> Iterator[None]:
    """A request that is inside the app as the block runs."""
    with server.connect() as connection:
        connection.send_request("GET", path)
        wait_until(lambda: began in events(folder), began)
        yield
        assert connection.read_response().body == b"from the start"


def test_startup_is_complete_before_the_first_request_and_shutdown_follows(
    loop: str, tmp_path: Path
) -> None:
    with serve("normal", loop, tmp_path) as server:
        assert events(tmp_path) == ["lifespan.startup", "started"]
        assert server.get("/").body == b"from the start"
    assert events(tmp_path) == ["lifespan.startup", "started", "lifespan.shutdown", "stopped"]


def test_shutdown_follows_the_last_request(loop: str, tmp_path: Path) -> None:
    with serve("normal", loop, tmp_path) as server:
        with waiting_request(server, tmp_path, "/slow", "slow began"):
            server.signal()
            server.wait_for_log("stopping")
            (tmp_path / "go").touch()
        assert server.wait() == 0
    assert events(tmp_path)[2:] == ["slow began", "slow ends", "lifespan.shutdown", "stopped"]


def test_shutdown_follows_background_work(loop: str, tmp_path: Path) -> None:
    with serve("normal", loop, tmp_path) as server:
        with waiting_request(server, tmp_path, "/background", "background began"):
            server.signal()
            server.wait_for_log("stopping")
        assert "lifespan.shutdown" not in events(tmp_path)
        (tmp_path / "go").touch()
        assert server.wait() == 0
    expected = ["background began", "background ends", "lifespan.shutdown", "stopped"]
    assert events(tmp_path)[2:] == expected


def test_background_work_gets_no_longer_than_graceful_timeout(loop: str, tmp_path: Path) -> None:
    options = ("--graceful-timeout", "0.5")
    with serve("normal", loop, tmp_path, *options) as server:
        with waiting_request(server, tmp_path, "/background", "background began"):
            pass
        server.signal()
        assert server.wait(5) == 0  # cancelled, it ended
        server.wait_for_log("graceful_timeout")
    assert events(tmp_path)[2:] == ["background began", "lifespan.shutdown", "stopped"]


@pytest.mark.parametrize(
    ("case", "message"), [("failed", "the database is away"), ("failed-silently", "refused")]
)
def test_failed_startup_ends_the_server_with_its_message(
    loop: str, tmp_path: Path, case: str, message: str
) -> None:
    code, log = run_to_end(case, loop, tmp_path)
    assert code != 0
    assert message in log
    assert "Traceback" not in log
    assert "ready" not in log
    assert events(tmp_path) == ["lifespan.startup"]


@pytest.mark.parametrize("case", ["raises", "returns"])
def test_app_without_lifespan_is_served(loop: str, tmp_path: Path, case: str) -> None:
    with serve(case, loop, tmp_path) as server:
        assert server.get("/").body == b"no state"
        assert "Traceback" not in "\n".join(server.log())


def test_app_that_raises_in_startup_is_served_too(loop: str, tmp_path: Path) -> None:
    """The specification: an exception means that the app takes no part in lifespan."""
    with serve("raises-later", loop, tmp_path) as server:
        assert server.get("/").status == 200


@pytest.mark.parametrize("case", ["raises", "returns"])
def test_lifespan_on_demands_it(loop: str, tmp_path: Path, case: str) -> None:
    code, log = run_to_end(case, loop, tmp_path, "--lifespan", "on")
    assert code != 0
    assert "--lifespan on" in log
    assert ("knows no lifespan" in log) == (case == "raises")


def test_lifespan_on_serves_an_app_that_has_it(loop: str, tmp_path: Path) -> None:
    with serve("normal", loop, tmp_path, "--lifespan", "on") as server:
        assert server.get("/").body == b"from the start"


def test_lifespan_off_leaves_the_app_alone(loop: str, tmp_path: Path) -> None:
    with serve("normal", loop, tmp_path, "--lifespan", "off") as server:
        assert server.get("/").body == b"no state"
    assert events(tmp_path) == []


def test_app_whose_lifespan_ends_early_is_served(loop: str, tmp_path: Path) -> None:
    with serve("ends-early", loop, tmp_path) as server:
        assert server.get("/").body == b"from the start"


@pytest.mark.parametrize(
    ("case", "message"),
    [("shutdown-failed", "could not say goodbye"), ("shutdown-raises", "LookupError: in shutdown")],
)
def test_failed_shutdown_is_logged(loop: str, tmp_path: Path, case: str, message: str) -> None:
    with serve(case, loop, tmp_path) as server:
        server.signal()
        server.wait()
        server.wait_for_log(message)


def test_shutdown_gets_no_longer_than_graceful_timeout(loop: str, tmp_path: Path) -> None:
    with serve("shutdown-hangs", loop, tmp_path, "--graceful-timeout", "0.3") as server:
        server.signal()
        server.wait(5)
        server.wait_for_log("cut off")
