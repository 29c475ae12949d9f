"""The types that gohttp says: strict checkers find nothing in what is right, and what is wrong."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import gohttp
import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PACKAGE = Path(gohttp.__file__).parents[1]
# The article's program has no types: letter by letter, it is as it was.
ARTICLE = ROOT / "examples" / "hello.py"
RIGHT = [
    HERE / "whole_api.py",
    *(path for path in sorted((ROOT / "examples").glob("*.py")) if path != ARTICLE),
]
WRONG = HERE / "wrong_use.py"

mypy_there = pytest.mark.skipif(
    importlib.util.find_spec("mypy") is None, reason="mypy is not installed"
)
pyright_there = pytest.mark.skipif(
    importlib.util.find_spec("basedpyright") is None, reason="basedpyright is not installed"
)


def mypy(*files: Path) -> subprocess.CompletedProcess[str]:
    options = ["--config-file", str(ROOT / "pyproject.toml"), "--strict", "--no-pretty"]
    return subprocess.run(
        [sys.executable, "-m", "mypy", *options, "--cache-dir", os.devnull, *map(str, files)],
        capture_output=True,
        text=True,
        env={**os.environ, "MYPYPATH": str(PACKAGE)},
        cwd=ROOT,
        timeout=300,
        check=False,
    )


def pyright(directory: Path, *files: Path) -> tuple[int, list[tuple[str, int, str]]]:
    """How many files were checked; file, line and message of each error.

    basedpyright is pyright as a wheel, with rules of its own that `standard` switches off.
    """
    settings = {"typeCheckingMode": "standard", "include": list(map(str, files))}
    (directory / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    options = ["--outputjson", "--project", str(directory), "--pythonpath", sys.executable]
    done = subprocess.run(
        [sys.executable, "-m", "basedpyright", *options],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PACKAGE)},
        cwd=ROOT,
        timeout=300,
        check=False,
    )
    told = json.loads(done.stdout)
    errors = [
        (one["file"], one["range"]["start"]["line"] + 1, one["message"])
        for one in told["generalDiagnostics"]
        if one["severity"] == "error"
    ]
    return told["summary"]["filesAnalyzed"], errors


def wrong_lines() -> set[int]:
    lines = WRONG.read_text(encoding="utf-8").splitlines()
    return {number for number, line in enumerate(lines, 1) if line.endswith("# wrong")}


@mypy_there
@pytest.mark.timeout(300)
def test_mypy_finds_nothing_in_what_is_right() -> None:
    done = mypy(*RIGHT)
    assert done.returncode == 0, done.stdout + done.stderr


@mypy_there
@pytest.mark.timeout(300)
def test_mypy_finds_all_that_is_wrong() -> None:
    done = mypy(WRONG)
    found = re.findall(r"wrong_use\.py:(\d+): error", done.stdout)
    assert set(map(int, found)) == wrong_lines(), done.stdout + done.stderr


@pyright_there
@pytest.mark.timeout(300)
def test_pyright_finds_nothing_in_what_is_right(tmp_path: Path) -> None:
    assert pyright(tmp_path, *RIGHT, ARTICLE) == (len(RIGHT) + 1, [])


@pyright_there
@pytest.mark.timeout(300)
def test_pyright_finds_all_that_is_wrong(tmp_path: Path) -> None:
    _, found = pyright(tmp_path, WRONG)
    assert {line for _, line, _ in found} == wrong_lines(), found
