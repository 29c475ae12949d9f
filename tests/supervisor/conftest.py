"""What the tests of processes share."""

import os
import textwrap
from pathlib import Path

import pytest


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
