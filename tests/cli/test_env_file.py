"""`--env-file`: what it fills in, and files that it refuses."""

from pathlib import Path

import pytest
from gohttp.config import ConfigError, command_line, load


@pytest.fixture(autouse=True)
def _in_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refusal(content: bytes | str) -> str:
    data = content if isinstance(content, bytes) else content.encode()
    Path("my.env").write_bytes(data)
    environ: dict[str, str] = {}
    with pytest.raises(ConfigError) as caught:
        load(command_line({"env_file": "my.env"}), environ)
    assert environ == {}
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_the_environment_wins_over_the_file() -> None:
    Path("my.env").write_text("A=file\nB=file\nC=${B}/x\nexport D='d d' # why\n# E=1\n\n")
    environ = {"A": "before"}
    load(command_line({"env_file": "my.env"}), environ)
    assert environ == {"A": "before", "B": "file", "C": "file/x", "D": "d d"}


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ('A=1\n\n\nB="open\nC=3\n', 4),
        ("A=1\n  =2\n", 2),
        ("\n   'x y' z\n", 2),
        ("A=1\nB=\0\n", 2),
    ],
)
def test_line_that_cannot_be_parsed_is_named_and_refused(content: str, line: int) -> None:
    assert refusal(content).startswith(f"--env-file: line {line} of my.env is not NAME=VALUE; ")


def test_file_that_is_not_text() -> None:
    assert refusal(b"A=\xff\n") == "--env-file: my.env is not UTF-8; save it as that."


def test_directory() -> None:
    Path("folder").mkdir()
    with pytest.raises(ConfigError, match=r"^--env-file: folder is a directory; give a file"):
        load(command_line({"env_file": "folder"}), {})
