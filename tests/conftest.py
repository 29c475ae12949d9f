"""Fixtures for all test folders; the helpers themselves are in support.py."""

import itertools
import os
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class WrittenApp:
    """A module on disk: run the server in `cwd` with `target`."""

    cwd: Path
    target: str
    path: Path


@pytest.fixture
def write_app(tmp_path: Path) -> Callable[..., WrittenApp]:
    """`write_app(source, attribute="app", name=None)` writes a module into `tmp_path`."""
    numbers = itertools.count(1)

    def write(source: str, attribute: str = "app", name: str | None = None) -> WrittenApp:
        name = name or f"app_{next(numbers)}"
        path = tmp_path / f"{name}.py"
        path.write_text(textwrap.dedent(source), encoding="utf-8")
        return WrittenApp(tmp_path, f"{name}:{attribute}" if attribute else name, path)

    return write


@pytest.fixture
def scarce(tmp_path: Path) -> dict[str, str]:
    """The environment of a server whose system gives no process while a file `full` is there."""
    code = """
        import errno
        import os
        import pathlib

        fork = os.fork

        def refuse():
            if pathlib.Path("full").exists():
                raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
            return fork()

        os.fork = refuse
    """
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(textwrap.dedent(code))
    return {"PYTHONPATH": f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
