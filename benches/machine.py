"""What the figures belong to: machine, versions, commit."""

import os
import platform
import re
import shlex
import subprocess
from datetime import date
from pathlib import Path

from .measure import Cores
from .places import ROOT


def cpu_model() -> str:
    """As the kernel names it."""
    text = Path("/proc/cpuinfo").read_text()
    found = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1] if found else platform.machine()


def git(*words: str) -> str:
    """What git says, or nothing."""
    try:
        done = subprocess.run(
            ["git", *words], cwd=ROOT, capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def commit() -> str:
    """The commit measured, marked if the sources differ from it."""
    changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!benches/results")
    return (git("rev-parse", "--short", "HEAD") or "unknown") + (" + changes" if changed else "")


def about(arguments: list[str], rounds: int, cores: Cores) -> dict[str, str]:
    """The lines above a table."""
    system = re.match(r"[\d.]*\d", platform.release())
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return {
        "date": date.today().isoformat(),
        "commit": commit(),
        "command": shlex.join(["python", "-m", "benches", *arguments]),
        "machine": f"{cpu_model()}, {os.cpu_count()} cores,"
        f" {platform.system()} {system[0] if system else platform.release()}",
        "python": python,
        "method": f"server on core {cores.server}, load on core {cores.load};"
        f" {rounds} interleaved round{'s' * (rounds > 1)}, median (least to most)",
    }
