"""What is said when TARGET leads to no app, or the app ends before it serves."""

from pathlib import Path

import pytest
from support import run_gohttp

WSGI = "def application(environ, start_response):\n    return []\n"
OBJECT = (
    "class Api:\n    def __call__(self, environ, start_response):\n        return []\n"
    "api = Api()\n_hidden = Api()\n"
)


def said(target: str, *options: str, cwd: Path, code: int = 2) -> str:
    done = run_gohttp("serve", target, "--port", "0", *options, cwd=cwd)
    assert done.returncode == code, done.stderr
    assert "gohttp/" not in done.stderr
    return done.stderr


def test_wrong_attribute_suggests_the_usual_name(tmp_path: Path) -> None:
    (tmp_path / "mod.py").write_text(f"import math\nmap_ = 1\n{WSGI}")
    for wanted in ("app", "server"):
        assert said(f"mod:{wanted}", cwd=tmp_path) == (
            f"gohttp: mod has no attribute {wanted!r}; did you mean mod:application?\n"
        )


def test_wrong_attribute_suggests_an_object_that_looks_like_an_app(tmp_path: Path) -> None:
    (tmp_path / "mod.py").write_text(OBJECT)
    assert said("mod:app", cwd=tmp_path).endswith("; did you mean mod:api?\n")
    assert said("mod", cwd=tmp_path).endswith("nor routes; did you mean mod:api?\n")


def test_flask_module_suggests_its_app(tmp_path: Path) -> None:
    pytest.importorskip("flask")
    (tmp_path / "mod.py").write_text(
        "from flask import Flask, current_app, g, request, session\nsite = Flask(__name__)\n"
    )
    assert said("mod", cwd=tmp_path).endswith("did you mean mod:site?\n")


@pytest.mark.parametrize("init", [True, False])
@pytest.mark.parametrize("target", ["mysite", "mysite:app"])
def test_package_names_its_wsgi_module(target: str, init: bool, tmp_path: Path) -> None:
    (tmp_path / "mysite").mkdir()
    (tmp_path / "mysite" / "wsgi.py").write_text(WSGI)
    if init:
        (tmp_path / "mysite" / "__init__.py").write_text("")
    assert said(target, cwd=tmp_path).endswith("; did you mean mysite.wsgi?\n")
    (tmp_path / "mysite" / "asgi.py").write_text(WSGI)
    assert said(target, cwd=tmp_path).endswith("did you mean mysite.wsgi or mysite.asgi?\n")


@pytest.mark.parametrize("name", ["gohttp", "logging", "sys"])
def test_module_that_is_loaded_already_is_named(name: str, tmp_path: Path) -> None:
    # Not with `python -m`, which would put the folder before Python's own.
    (tmp_path / "apps").mkdir()
    (tmp_path / "apps" / f"{name}.py").write_text(WSGI)
    done = run_gohttp("serve", f"{name}:application", "--app-dir", "apps", cwd=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"gohttp: The module {name} is ")
    assert f"which was loaded before {tmp_path / 'apps' / name}.py could be" in done.stderr
    assert done.stderr.endswith(f"; rename the file, or write apps/{name}.py as TARGET.\n")


def test_installed_module_that_was_imported_is_named(tmp_path: Path) -> None:
    stderr = said("colorsys:app", cwd=tmp_path)
    assert stderr.startswith("gohttp: colorsys, imported from ")
    assert "colorsys.py, has no attribute 'app'" in stderr


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("1 / 0\n", "could not be imported: ZeroDivisionError"),
        ("def f(:\n", "could not be imported: SyntaxError"),
        ("import nothing_of_that_name\n", "could not be imported: ModuleNotFoundError"),
        ("raise SystemExit(4)\n", "ended the program (exit code 4) while it was imported"),
        ("from gohttp import run\nrun()\n", "The module calls run() while gohttp serve imports"),
    ],
)
def test_failure_of_the_apps_own_is_exit_code_3(
    source: str, sentence: str, workers: str, tmp_path: Path
) -> None:
    (tmp_path / "mod.py").write_text(source)
    stderr = said("mod:app", "--workers", workers, cwd=tmp_path, code=3)
    assert sentence in stderr.splitlines()[-1]


def test_factory_that_raises_is_exit_code_3_and_a_wrong_one_2(tmp_path: Path) -> None:
    (tmp_path / "mod.py").write_text("def make():\n    raise OSError('no db')\nnumber = 3\n")
    assert "could not be called: OSError" in said("mod:make()", cwd=tmp_path, code=3)
    assert "cannot be called" in said("mod:number()", cwd=tmp_path, code=2)


@pytest.mark.parametrize("text", ["DATABASE_URL is not set", "two\nlines"])
def test_text_of_sys_exit_is_shown_as_what_the_program_said(text: str, tmp_path: Path) -> None:
    (tmp_path / "mod.py").write_text(f"import sys\nsys.exit({text!r})\n")
    assert said("mod:app", cwd=tmp_path, code=3) == (
        f"{text}\ngohttp: mod ended the program while it was imported; what it said is above.\n"
    )
