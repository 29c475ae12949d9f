"""The command, rightly used: it serves, says so, and ends cleanly."""

import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from support import gohttp_serve, run_gohttp

WSGI = """
    import os

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [environ.get("HTTP_X", os.environ.get("GREETING", "hello")).encode()]
"""
ASGI = """
    async def app(scope, receive, send):
        if scope["type"] != "http":
            raise RuntimeError("only http")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello"})
"""


@pytest.fixture(params=[WSGI, ASGI], ids=["wsgi", "asgi"])
def app(request: pytest.FixtureRequest, write_app: Callable[..., object]) -> object:
    return write_app(request.param)


def test_serves_and_says_where(app) -> None:
    with gohttp_serve(app.target, cwd=app.cwd) as server:
        assert server.get("/").body == b"hello"
        log = "\n".join(server.log())
        assert f"listening  {server.url}" in log
        assert f"pid        {server.pid}" in log
        assert app.target in log


def test_unix_socket(app, tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with gohttp_serve(app.target, "--uds", str(path), cwd=app.cwd) as server:
        assert server.get("/").body == b"hello"
        done = run_gohttp("serve", app.target, "--uds", str(path), cwd=app.cwd)
        assert done.returncode == 1
        assert "in use" in done.stderr
    assert not path.exists()


def test_stale_unix_socket_is_replaced(app, tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with gohttp_serve(app.target, "--uds", str(path), cwd=app.cwd) as server:
        assert server.get("/").body == b"hello"


def test_port_taken(app) -> None:
    with gohttp_serve(app.target, cwd=app.cwd) as server:
        done = run_gohttp("serve", app.target, "--port", str(server.port), cwd=app.cwd)
        assert done.returncode == 1
        assert done.stderr.startswith(f"gohttp: Port {server.port} on 127.0.0.1 is taken")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_one_signal_ends_it_cleanly(app, number: int) -> None:
    with gohttp_serve(app.target, cwd=app.cwd) as server:
        server.signal(number)
        assert server.wait() == 0


def test_settings_from_file_and_env_file(write_app) -> None:
    app = write_app(WSGI)
    (app.cwd / "gohttp.toml").write_text('env_file = "my.env"\nthreads = 3\n')
    (app.cwd / "my.env").write_text("GREETING=good morning\n")
    with gohttp_serve(app.target, cwd=app.cwd) as server:
        assert server.get("/").body == b"good morning"
        assert any("threads    3" in line for line in server.log())
