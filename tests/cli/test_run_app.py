"""Programs that call `run(app)` or `run("module:app")`: served as `gohttp serve` would."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from gohttp._run import _TARGET
from support import Server, _wait_ready, clean_environment, start, wait_until

APP = """
    import atexit, os, sys
    from gohttp import GohttpError, run

    def app(environ, start_response):
        start_response("200 OK", [("X-Pid", str(os.getpid()))])
        return [os.environ.get("GREETING", "hello").encode()]

    async def async_app(scope, receive, send):
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"async"})

    def make_app():
        return app

    if __name__ == "__main__":
"""


MUX = """
import gohttp
mux = gohttp.Mux()
mux.route("/", lambda w, req: w.write("native"))
run(mux, port=0)
"""


def write(folder: Path, body: str, name: str = "main.py") -> Path:
    path = folder / name
    path.write_text(textwrap.dedent(APP) + textwrap.indent(textwrap.dedent(body).strip(), "    "))
    return path


@contextmanager
def running(path: Path, exit_code: int = 0, **env: str) -> Iterator[Server]:
    server = start([sys.executable, str(path)], cwd=path.parent, env=env)
    try:
        _wait_ready(server, 20)
        yield server
        if server.process.poll() is None:
            server.signal(signal.SIGTERM)
        assert server.wait() == exit_code, server.log()
    finally:
        server.process.kill()
        server.process.wait()
        server.stderr.close()
        server.stdout.close()


def to_end(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(path)],
        cwd=path.parent,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


@pytest.mark.parametrize(
    ("call", "body", "shown"),
    [
        ('run("main:app", port=0)', b"hello", "app        main:app (wsgi)"),
        ('run("main:make_app()", port=0)', b"hello", "app        main:make_app() (wsgi)"),
        ('run("main.py:async_app", port=0)', b"async", "app        main.py:async_app (asgi)"),
        ("run(app, port=0)", b"hello", "app        __main__:app (wsgi)"),
        (MUX, b"native", "app        __main__:mux (native)"),
        ("run(app, 0)", b"hello", "app        __main__:app (wsgi)"),
        ("run(async_app, port=0)", b"async", "app        __main__:async_app (asgi)"),
        ("run(make_app, factory=True, port=0)", b"hello", "__main__:make_app (wsgi)"),
        ('run("main:app", host="127.0.0.1", port=0, workers=2)', b"hello", "workers    2"),
        ("run(app, port=0, workers=2)", b"hello", "workers    2"),
        ('run("main:async_app", port=0, workers=2)', b"async", "loop       asyncio"),
    ],
)
def test_serves_until_sigterm(tmp_path: Path, call: str, body: bytes, shown: str) -> None:
    with running(write(tmp_path, call)) as server:
        response = server.get("/")
        assert (response.status, response.body) == (200, body)
        assert shown in "\n".join(server.log())


def test_goes_on_in_the_program_once_it_has_stopped(tmp_path: Path) -> None:
    """Only the program itself: not its workers, whose exit handlers are those of the app."""
    path = write(
        tmp_path,
        """
        atexit.register(print, "exit", os.getpid(), flush=True)
        before = __import__("signal").getsignal(15)
        try:
            run("app:app", port=0, workers=2)
        finally:
            print("finally", os.getpid(), flush=True)
        assert __import__("signal").getsignal(15) == before
        print("after", os.getpid(), flush=True)
        """,
    )
    (tmp_path / "app.py").write_text(
        "import atexit, sys\n"
        "atexit.register(sys.stdout.write, 'the app\\n')\n"
        "from main import app\n"
    )
    with running(path) as server:
        pid = server.pid
        server.signal()
        assert server.wait() == 0
        lines = server.output
        wait_until(lambda: len(lines()) == 5, "both workers' and the program's lines")
        assert sorted(lines()[:2]) == ["the app", "the app"]
        assert lines()[2:] == [f"finally {pid}", f"after {pid}", f"exit {pid}"]


@pytest.mark.parametrize("workers", [1, 2])
def test_variables_and_files_count_and_keywords_win(tmp_path: Path, workers: int) -> None:
    path = write(tmp_path, f'run("main:app", port=0, threads=4, workers={workers})')
    (tmp_path / "gohttp.toml").write_text('env_file = "my.env"\nthreads = 3\nport = 1\n')
    (tmp_path / "my.env").write_text("GREETING=good morning\n")
    with running(path, GOHTTP_ACCESS_LOG="1") as server:
        assert server.get("/").body == b"good morning"
        assert any("threads    4" in line for line in server.log())
        wait_until(lambda: any('"GET / ' in line for line in server.output()), "the access log")


def test_reload_sees_what_the_program_has_imported(tmp_path: Path) -> None:
    path = write(tmp_path, 'run("views:app", port=0, reload=True)')
    path.write_text("import views\n" + path.read_text())
    views = tmp_path / "views.py"
    text = (
        "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'{}']\n"
    )
    views.write_text(text.format("one"))
    with running(path) as server:
        assert server.get("/").body == b"one"
        # The watcher may not be watching yet when the worker is ready.
        for _ in range(5):
            views.write_text(text.format("two"))
            with suppress(AssertionError):
                wait_until(lambda: server.get("/").body == b"two", "the new code", 2)
                break
        assert server.get("/").body == b"two"


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        ("run(app, reload=True)", "run() cannot reload an app object"),
        ("run(app, port=70000)", "run(port=…): 70000 is not a whole number from 0 to 65535"),
        ("run(app, thread=2)", "did you mean threads?"),
        ('run("main:nothing", port=0)', "main has no attribute 'nothing'"),
        ('run("nothing:app", port=0)', "There is no module 'nothing'"),
        ('run(app, interface="asgi", port=0)', "--interface asgi calls it with 3"),
        ("run(lambda: 0, port=0)", "takes no argument"),
        ('run("localhost:80")', "--host localhost --port 80"),
        ('run("localhost:8000", port=0)', "--host localhost --port 8000"),
        ('run(app, port=0, loop="x")', '"x" is not one of auto, asyncio, uvloop, or module:fac'),
        ("run(app, port=0, graceful_timeout=-1)", "graceful_timeout"),
    ],
)
def test_what_stops_it_is_one_sentence(tmp_path: Path, call: str, sentence: str) -> None:
    path = write(tmp_path, f"try:\n    {call}\nexcept GohttpError as error:\n    print(error)\n")
    done = to_end(path)
    assert done.returncode == 0, done.stderr
    assert sentence in done.stdout
    assert done.stdout.count("\n") == 1


@pytest.mark.parametrize("call", ["run(app, port=0)", "run(async_app, port=0)", "run(port=0)"])
def test_call_on_an_event_loop_is_told_what_to_write(tmp_path: Path, call: str) -> None:
    path = write(
        tmp_path,
        f"""
        import asyncio

        async def main():
            try:
                {call}
            except GohttpError as error:
                print(error)

        asyncio.run(main())
        """,
    )
    done = to_end(path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("there write: await gohttp.Server(app).serve().")
    assert done.stdout.count("\n") == 1


@pytest.mark.parametrize("call", ['"main:app", workers=2', "app, workers=2", '"m:a", reload=True'])
def test_threads_and_forks_do_not_mix(tmp_path: Path, call: str) -> None:
    path = write(
        tmp_path,
        f"""
        import threading
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        try:
            run({call}, port=0)
        except GohttpError as error:
            print(error)
        """,
    )
    assert "is not safe in a program with 2 threads" in to_end(path).stdout


def test_app_that_raises_shows_its_traceback(tmp_path: Path) -> None:
    path = write(tmp_path, 'run("broken:app", port=0)')
    (tmp_path / "broken.py").write_text("1 / 0\n")
    done = to_end(path)
    assert done.returncode == 1
    assert 'broken.py", line 1' in done.stderr
    assert "broken could not be imported: ZeroDivisionError" in done.stderr


def test_call_that_is_not_behind_main_is_told_so(tmp_path: Path) -> None:
    path = tmp_path / "main.py"
    path.write_text("from gohttp import run\nrun('main:app', port=0)\n")
    done = to_end(path)
    assert done.returncode == 1
    assert 'put the call behind: if __name__ == "__main__".' in done.stderr


def test_workers_by_name_do_not_load_the_engine_in_the_supervisor(tmp_path: Path) -> None:
    path = write(tmp_path, 'run("main:app", port=0, workers=2)')
    with running(path) as server:
        maps = Path(f"/proc/{server.pid}/maps").read_text()
        assert "_gohttp" not in maps
        assert int(server.get("/").header("x-pid")) != server.pid
        assert len(os.listdir(f"/proc/{server.pid}/task")) == 1


@pytest.mark.parametrize("text", ["main:app", "a.b:c.d", "main:make()", "src/x.py:app", "app2:x"])
def test_targets(text: str) -> None:
    assert _TARGET.fullmatch(text)


@pytest.mark.parametrize(
    "text", ["::1", "::", "fe80::1", "2001:db8::a", "127.0.0.1", "localhost", "h:80", "unix:/s"]
)
def test_hosts(text: str) -> None:
    assert not _TARGET.fullmatch(text)
