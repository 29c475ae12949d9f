"""The command, wrongly used: one sentence on stderr, an exit code, no traceback of ours."""

from collections.abc import Callable
from pathlib import Path

import gohttp
import pytest
from support import gohttp_serve, run_gohttp

WSGI = "def app(environ, start_response):\n    return []\n"


def sentence(*arguments: str, code: int, cwd: Path, **env: str) -> str:
    done = run_gohttp(*arguments, cwd=cwd, env=env)
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("gohttp: ")
    return done.stderr.removeprefix("gohttp: ").strip()


def test_version() -> None:
    done = run_gohttp("--version")
    assert (done.returncode, done.stdout) == (0, f"gohttp {gohttp.__version__}\n")


def test_help_shows_every_option_with_variable_and_default() -> None:
    from gohttp.config import settings

    done = run_gohttp("serve", "--help")
    assert done.returncode == 0
    shown = " ".join(done.stdout.split())
    for setting in settings():
        assert setting.flag in shown
        assert f"[{setting.env}" in shown
    assert "[GOHTTP_PORT; 8000]" in shown


def test_mux_of_a_module_is_served_and_told_of(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        "from gohttp import Mux\n\nmux = Mux()\nmux.route('/', lambda w, req: w.text('shop'))\n"
    )
    (tmp_path / "empty.py").write_text("")
    with gohttp_serve("shop", cwd=tmp_path) as server:
        assert server.get("/").body == b"shop"
    help_ = " ".join(run_gohttp("serve", "--help").stdout.split())
    assert "its Mux named `mux`" in help_
    assert "no Mux `mux`" in sentence("serve", "empty", code=2, cwd=tmp_path)


def test_no_command_shows_the_help() -> None:
    done = run_gohttp()
    assert done.returncode == 2
    assert "serve" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["serve"], "Missing argument 'TARGET'"),
        (["serve", "app.py", "--prt", "1"], "--prt"),
        (["serve", "app.py", "--port"], "--port"),
        (["serve", "app.py", "more"], "more"),
        (["sreve"], "sreve"),
        (["app:app", "--port", "80"], "to serve this app: gohttp serve app:app --port 80"),
        (["app.py"], "to serve this app: gohttp serve app.py"),
        (["serve", "app.py", "--port", "x"], '--port: "x" is not a whole number'),
        (["serve", "missing:app"], "There is no module 'missing'"),
        (["serve", "app:missing"], "app has no attribute 'missing'"),
        (["serve", "app:app", "--workers", "2", "--env-file", "no"], "there is no file no"),
        (["serve", "app:missing", "--workers", "3"], "app has no attribute 'missing'"),
    ],
)
def test_wrong_use(arguments: list[str], said: str, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(WSGI)
    if arguments[-1].isdigit() or "app:missing" in arguments:
        arguments = [*arguments, "--port=0"] if "--prt" not in arguments else arguments
    assert said in sentence(*arguments, code=2, cwd=tmp_path)


def test_wrong_variable(tmp_path: Path) -> None:
    said = sentence("serve", "app:app", code=2, cwd=tmp_path, GOHTTP_PORT="x")
    assert said.startswith('GOHTTP_PORT: "x" is not')


def test_wrong_file(tmp_path: Path) -> None:
    (tmp_path / "gohttp.toml").write_text("prot = 1")
    assert sentence("serve", "app:app", code=2, cwd=tmp_path).endswith("did you mean port?")


def test_unusable_address(tmp_path: Path) -> None:
    said = sentence("serve", "app:app", "--uds", "no/s.sock", code=1, cwd=tmp_path)
    assert "there is no directory no" in said


@pytest.mark.parametrize("workers", ["1", "3"])
def test_broken_app_shows_its_traceback_once(
    workers: str, write_app: Callable[..., object]
) -> None:
    app = write_app("def f():\n    return 1 / 0\nf()\n", name="broken")
    done = run_gohttp("serve", app.target, "--port", "0", "--workers", workers, cwd=app.cwd)
    assert done.returncode == 3
    assert done.stderr.count("ZeroDivisionError: division by zero") == 1
    lines = done.stderr.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert "broken.py" in lines[1]
    assert lines[-1].startswith("gohttp: broken could not be imported")
    assert "gohttp/" not in done.stderr
