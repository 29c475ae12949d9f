"""Sockets that systemd hands over: `LISTEN_PID`, `LISTEN_FDS`, descriptors from 3 on."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import Server, clean_environment, start

APP = """
    import os

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [repr(sorted(name for name in os.environ if "LISTEN" in name)).encode()]
"""
# What systemd does: the sockets are 3 and up, and the variables name the process to be.
LAUNCHER = """
import fcntl, os, sys
numbers, command = sys.argv[1].split(","), sys.argv[2:]
copies = [fcntl.fcntl(int(number), fcntl.F_DUPFD, 100) for number in numbers]
for place, copy in enumerate(copies, 3):
    os.dup2(copy, place)
os.environ.update(
    LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(numbers)), LISTEN_FDNAMES="web"
)
os.execv(sys.executable, [sys.executable, "-m", "gohttp", *command])
"""


def command(sockets: list[socket.socket], *arguments: str) -> list[str]:
    numbers = ",".join(str(each.fileno()) for each in sockets)
    return [sys.executable, "-c", LAUNCHER, numbers, "serve", *arguments]


def refused(sockets: list[socket.socket], *arguments: str, cwd: Path, **env: str) -> str:
    done = subprocess.run(
        command(sockets, *arguments),
        cwd=cwd,
        env=clean_environment(env),
        pass_fds=[each.fileno() for each in sockets],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode in (1, 2)
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr.strip()


@contextmanager
def serving(sockets: list[socket.socket], *arguments: str, cwd: Path) -> Iterator[Server]:
    fds = [each.fileno() for each in sockets]
    server = start(command(sockets, *arguments), cwd=cwd, pass_fds=fds)
    try:
        server.wait_for_log(r"^\s+ready ")
        yield server
        server.signal()
        assert server.wait() == 0
    finally:
        server.process.kill()
        server.process.wait()
        server.stderr.close()
        server.stdout.close()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_handed_socket_is_served(workers: str, write_app) -> None:
    app = write_app(APP)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
        with serving([listener], app.target, "--workers", workers, cwd=app.cwd) as server:
            server.host, server.port = host, port
            assert server.get("/").text == "[]"  # the children do not see the variables
            log = "\n".join(server.log())
            assert f"listening  http://{host}:{port}" in log
            assert "sockets    1, from systemd (LISTEN_FDS)" in log


def test_all_handed_sockets_are_served_and_their_files_stay(write_app, tmp_path: Path) -> None:
    app = write_app(APP)
    path = tmp_path / "s.sock"
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.create_server(str(path), family=socket.AF_UNIX) as unix,
    ):
        with serving([tcp, unix], app.target, cwd=app.cwd) as server:
            server.host, server.port = tcp.getsockname()
            assert server.get("/").status == 200
            server.uds = str(path)
            assert server.get("/").status == 200
        assert path.is_socket()  # it is systemd's


def test_client_that_came_before_the_start_is_answered(write_app) -> None:
    app = write_app(APP)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        early = socket.create_connection(listener.getsockname())
        early.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        with early, serving([listener], app.target, cwd=app.cwd):
            assert early.recv(12) == b"HTTP/1.1 200"


@pytest.mark.parametrize(
    ("arguments", "env", "file", "source"),
    [
        (["--port", "80"], {}, "", "--port"),
        ([], {"GOHTTP_UDS": "s.sock"}, "", "GOHTTP_UDS"),
        ([], {}, 'host = "::1"', "host in "),
    ],
)
def test_address_beside_a_handed_socket_is_refused(
    arguments: list[str], env: dict[str, str], file: str, source: str, write_app
) -> None:
    app = write_app(APP)
    (app.cwd / "gohttp.toml").write_text(file)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        said = refused([listener], app.target, *arguments, cwd=app.cwd, **env)
    assert said.startswith(f"gohttp: {source}")
    assert "the socket is handed over by systemd (LISTEN_FDS)" in said


def test_descriptor_that_does_not_listen_is_refused(write_app) -> None:
    app = write_app(APP)
    with socket.socket() as idle:
        said = refused([idle], app.target, cwd=app.cwd)
    assert "descriptor 3, which is no listening stream socket" in said


def test_variables_for_another_process_are_ignored(
    write_app, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gohttp import activation

    monkeypatch.setenv("LISTEN_FDS", "1")
    monkeypatch.setenv("LISTEN_PID", "1")
    assert activation.take() == []
    assert os.environ["LISTEN_FDS"] == "1"
