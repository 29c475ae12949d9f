"""Programs that call `run()`: the article's, settings, `shutdown()`, and what stops it."""

import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import Server, clean_environment, free_port, gohttp_serve, start, wait_until

EXAMPLE = Path(__file__).parents[2] / "examples" / "hello.py"
ARTICLE = """\
from gohttp import route, run

@route('/')
def index(w, req):
    w.write("Hello, world.\\n")

if __name__ == '__main__':
    run(host='127.0.0.1', port=5000)
"""


@contextmanager
def running(path: Path, *arguments: str) -> Iterator[Server]:
    """A program that calls `run()`, from its ` * Running on` line to its end."""
    server = start([sys.executable, str(path), *arguments], cwd=path.parent)
    try:
        line = wait_until(
            lambda: (
                next((x for x in server.output() if x.startswith(" * Running on ")), None)
                or (server.process.poll() is not None and "ended")
            ),
            "the program to run",
        )
        assert line != "ended", server.log()
        server.port = int(line.rpartition(":")[2].strip("/"))
        yield server
    finally:
        if server.process.poll() is None:
            server.process.terminate()
        try:
            server.wait()
        except subprocess.TimeoutExpired:
            server.process.kill()
            server.process.wait()
        server.stderr.close()
        server.stdout.close()


def program(folder: Path, text: str) -> Path:
    path = folder / "program.py"
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return path


def run_to_end(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(path)],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )


def port_is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


# --- the article ---------------------------------------------------------------------------------


def test_example_is_the_program_of_the_article() -> None:
    assert EXAMPLE.read_text(encoding="utf-8") == ARTICLE


@pytest.mark.skipif(not port_is_free(5000), reason="port 5000, which the article uses, is taken")
def test_program_of_the_article_says_where_it_runs_and_serves() -> None:
    with running(EXAMPLE) as server:
        assert server.output() == [" * Running on http://127.0.0.1:5000/"]
        for path in ("/", "/any/other?path"):
            response = server.get(path)
            assert (response.status, response.body) == (200, b"Hello, world.\n")
            assert response.header("content-type") == "text/plain; charset=utf-8"
        server.signal(signal.SIGINT)
        assert server.wait() == 0
        assert "Traceback" not in "\n".join(server.log())


def test_program_of_the_article_on_any_port(tmp_path: Path) -> None:
    path = program(tmp_path, ARTICLE.replace("5000", "0"))
    with running(path) as server:
        assert server.get("/").body == b"Hello, world.\n"
        server.signal()
        assert server.wait() == 0


def test_command_serves_the_article_s_module() -> None:
    with gohttp_serve("hello", cwd=EXAMPLE.parent) as server:
        assert server.get("/").body == b"Hello, world.\n"


# --- run() and shutdown() ------------------------------------------------------------------------

RETURNING = """
    import sys, threading
    from gohttp import route, run, shutdown

    gate = threading.Event()

    @route("/ok")
    def ok(w, req):
        w.write("ok")

    @route("/stop")
    def stop(w, req):
        shutdown()
        shutdown()
        w.write("stopping")

    @route("/stop-from-thread")
    def stop_from_thread(w, req):
        threading.Thread(target=lambda: (gate.wait(10), shutdown())).start()
        w.write("later")

    @route("/gate")
    def open_gate(w, req):
        gate.set()
        w.write("open")

    shutdown()
    run(port=0)
    print("returned", flush=True)
"""


@pytest.mark.parametrize("paths", [["/stop"], ["/stop-from-thread", "/gate"]])
def test_shutdown_lets_run_return(tmp_path: Path, paths: list[str]) -> None:
    """Also: shutdown() before run() does nothing, and twice is as good as once."""
    with running(program(tmp_path, RETURNING)) as server:
        for path in paths:
            assert server.get(path).status == 200
        assert server.wait() == 0
        wait_until(lambda: server.output()[-1] == "returned", "run() to return")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_lets_run_return(tmp_path: Path, number: signal.Signals) -> None:
    with running(program(tmp_path, RETURNING)) as server:
        assert server.get("/ok").body == b"ok"
        server.signal(number)
        assert server.wait() == 0
        wait_until(lambda: server.output()[-1] == "returned", "run() to return")


def test_run_can_be_called_again(tmp_path: Path) -> None:
    path = program(tmp_path, RETURNING + "    run(port=0)\n    print('again', flush=True)\n")
    with running(path) as server:
        server.get("/stop")
        lines = wait_until(
            lambda: [x for x in server.output() if "Running" in x][1:], "the second run"
        )
        server.port = int(lines[0].rpartition(":")[2].strip("/"))
        assert server.get("/ok").body == b"ok"
        server.get("/stop")
        assert server.wait() == 0
        wait_until(lambda: server.output()[-1] == "again", "run() to return again")


def test_run_in_a_thread_is_ended_by_shutdown(tmp_path: Path) -> None:
    path = program(
        tmp_path,
        """
        import threading
        from gohttp import route, run, shutdown

        @route("/stop")
        def stop(w, req):
            shutdown()
            w.write("stopping")

        thread = threading.Thread(target=run, kwargs={"port": 0})
        thread.start()
        thread.join()
        print("joined", flush=True)
        """,
    )
    with running(path) as server:
        assert server.get("/stop").body == b"stopping"
        assert server.wait() == 0
        wait_until(lambda: server.output()[-1] == "joined", "the thread to end")


def test_settings_are_keywords(tmp_path: Path) -> None:
    path = program(
        tmp_path,
        """
        from gohttp import route, run

        @route("/")
        def index(w, req):
            w.write(req.body)

        run(port=0, threads=2, max_body_size=10, access_log=True, log_level="warning")
        """,
    )
    with running(path) as server:
        assert server.request("POST", "/", body=b"0123456789").body == b"0123456789"
        assert server.request("POST", "/", body=b"0123456789x").status == 413
        wait_until(lambda: any('"POST / HTTP/1.1" 200' in x for x in server.output()), "the line")
        server.signal()
        assert server.wait() == 0
        assert server.log() == []  # nothing as bad as a warning


def test_run_on_a_unix_socket(tmp_path: Path) -> None:
    path = program(
        tmp_path,
        f"""
        from gohttp import route, run
        route("/", lambda w, req: w.write("ok"))
        run(uds={str(tmp_path / "s")!r})
        """,
    )
    server = start([sys.executable, str(path)])
    try:
        line = wait_until(server.output, "the program to run")[0]
        assert str(tmp_path / "s") in line
        server.uds = str(tmp_path / "s")
        assert server.get("/").body == b"ok"
    finally:
        server.signal()
        assert server.wait() == 0
        server.stderr.close()
        server.stdout.close()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("run(port=70000)", ["port"]),
        ("run(port=0, thread=2)", ["thread", "did you mean threads?"]),
        ("run(port=0, log_level='loud')", ["log_level", "loud"]),
        ("run(host='nowhere.invalid', port=0)", ["nowhere.invalid"]),
        (
            "run(host=None, port=0)",
            ["run(host=…): None is not an address", "write 0.0.0.0 for all"],
        ),
        ("run(host='', port=0)", ['run(host=…): "" is not an address', "write 0.0.0.0 for all"]),
        ("run(port=0, workers=4)", ["cannot take workers=…", "gohttp.run(mux, workers=4)"]),
        ("run(port=0, reload=True)", ["cannot take reload=…", 'run("module:mux", reload=True)']),
    ],
)
def test_bad_setting_is_one_sentence(tmp_path: Path, call: str, words: list[str]) -> None:
    path = program(
        tmp_path,
        f"""
        from gohttp import GohttpError, route, run
        route("/", lambda w, req: None)
        try:
            {call}
        except GohttpError as error:
            print(error)
        """,
    )
    done = run_to_end(path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    for word in words:
        assert word in done.stdout


def test_port_taken_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        path = program(
            tmp_path,
            f"""
            from gohttp import GohttpError, route, run
            route("/", lambda w, req: None)
            try:
                run(port={port})
            except GohttpError as error:
                print(error)
            """,
        )
        done = run_to_end(path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    assert str(port) in done.stdout
    assert "Running on" not in done.stdout


def test_pattern_errors_name_the_pattern(tmp_path: Path) -> None:
    path = program(
        tmp_path,
        """
        from gohttp import route
        route("/a", print)
        for pattern in ("/a", "nowhere", "/{id"):
            try:
                route(pattern, print)
            except ValueError as error:
                print(pattern in str(error))
        assert route("/b", print) is print
        """,
    )
    done = run_to_end(path)
    assert (done.returncode, done.stdout) == (0, "True\nTrue\nTrue\n"), done.stderr


def test_path_without_a_pattern_is_404(tmp_path: Path) -> None:
    path = program(
        tmp_path,
        """
        from gohttp import route, run
        route("/only/", lambda w, req: w.write("only"))
        run(port=0)
        """,
    )
    with running(path) as server, server.connect() as connection:
        for target, status in (("/", 404), ("/only/x", 200), ("/other", 404)):
            connection.send_request("GET", target)
            assert connection.read_response().status == status


def test_method_that_no_pattern_takes_is_405_with_those_that_are_taken(tmp_path: Path) -> None:
    path = program(
        tmp_path,
        """
        from gohttp import route, run
        route("GET /posts/{id}", lambda w, req: w.write("got"))
        route("DELETE /posts/{id}", lambda w, req: w.write("deleted"))
        run(port=0)
        """,
    )
    with running(path) as server, server.connect() as connection:
        for method, target, status, allow in (
            ("GET", "/posts/1", 200, None),
            ("DELETE", "/posts/a%2Fb", 200, None),
            ("POST", "/posts/1", 405, "DELETE, GET, HEAD"),
            ("POST", "/posts/1/2", 404, None),
        ):
            connection.send_request(method, target)
            response = connection.read_response()
            assert (response.status, response.header("allow")) == (status, allow), target


def test_free_port_is_what_run_takes(tmp_path: Path) -> None:
    port = free_port()
    path = program(tmp_path, ARTICLE.replace("5000", str(port)))
    with running(path) as server:
        assert server.port == port


def test_run_without_routes_answers_404(tmp_path: Path) -> None:
    with running(program(tmp_path, "import gohttp\ngohttp.run(port=0)\n")) as server:
        assert server.get("/").status == 404
        assert "Traceback" not in server.log()
