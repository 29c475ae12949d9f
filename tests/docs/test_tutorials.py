"""The tutorials do what they say: their files are written, their commands run, in their order.

A block of Python that begins with `# name.py` is that file; `# name.py (continued)` adds to it. In
a `console` block, `$ gohttp serve` starts a server in place of the one before, other commands are
run, and what follows is their output, where a line of `...` stands for any lines.
"""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from support import Server, clean_environment, gohttp_serve

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^```(python|console)\n(.*?)^```$", re.M | re.S)
FILE = re.compile(r"# (\w+\.py)( \(continued\))?\n")
SERVE = "$ gohttp serve "


def commands(block: str) -> Iterator[tuple[str, str]]:
    """Each command, and what it is to print."""
    for part in re.split(r"^(?=\$ )", block, flags=re.M)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def expected(output: str) -> re.Pattern[str]:
    lines = []
    for line in output.splitlines():
        if line == "...":
            lines.append(r"(?:.*\n)*?")
        else:
            lines.append(re.escape(line).replace(re.escape("..."), ".*") + "\n")
    return re.compile("".join(lines))


class Reader:
    """Someone who does in `folder` what a page tells."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.stack = stack
        self.server: Server | None = None

    def write(self, block: str) -> None:
        if not (named := FILE.match(block)):
            compile(block, "a block without a file", "exec")
            return
        name, continued = named.groups()
        path = self.folder / name
        before = path.read_text() if continued else ""
        path.write_text(before + block)

    def run(self, command: str, output: str) -> None:
        if command.startswith(SERVE):
            self.stack.close()
            target = command.removeprefix(SERVE)
            self.server = self.stack.enter_context(gohttp_serve(target, cwd=self.folder))
            return
        arguments = shlex.split(command.removeprefix("$ "))
        if self.server:
            here = f"127.0.0.1:{self.server.port}"
            arguments = [a.replace("127.0.0.1:8000", here) for a in arguments]
        if arguments[0] == "python":
            arguments[0] = sys.executable
        if arguments[0] == "curl":
            arguments.insert(1, "--silent")
        ended = subprocess.run(
            arguments,
            cwd=self.folder,
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        # What ends without a line break is followed by one on the page.
        printed = ended.stdout.replace("\r\n", "\n")
        printed += "" if printed.endswith("\n") or not printed else "\n"
        assert expected(output).fullmatch(printed), f"{command}\n{printed}{ended.stderr}"


@pytest.mark.skipif(not shutil.which("curl"), reason="the tutorials need curl")
@pytest.mark.parametrize("page", sorted(DOCS.glob("tutorial-*.md")), ids=lambda page: page.stem)
def test_tutorial_does_what_it_says(page: Path, tmp_path: Path) -> None:
    with ExitStack() as stack:
        reader = Reader(tmp_path, stack)
        for language, block in BLOCK.findall(page.read_text(encoding="utf-8")):
            if language == "python":
                reader.write(block)
            else:
                for command, output in commands(block):
                    reader.run(command, output)
