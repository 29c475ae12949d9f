"""A service's process: started as somebody, waited for, and ended."""

import os
import pwd
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from .peers import last_line

START_SECONDS, STOP_SECONDS = 20.0, 10.0
UNPRIVILEGED = "postgres", "nobody"


class ServiceFailure(Exception):
    """A service that is installed did not start."""


@dataclass(frozen=True)
class Identity:
    """Whom a process runs as; without numbers, as this one does."""

    user: int | None = None
    group: int | None = None
    groups: tuple[int, ...] | None = None

    @classmethod
    def unprivileged(cls) -> Self:
        """Somebody who is not root."""
        if os.geteuid():
            return cls()
        for name in UNPRIVILEGED:
            with suppress(KeyError):
                found = pwd.getpwnam(name)
                return cls(found.pw_uid, found.pw_gid, ())
        raise ServiceFailure(f"there is no user {' nor '.join(UNPRIVILEGED)} to run as")

    def give(self, folder: Path) -> None:
        """Make a folder this identity's own."""
        if self.user is not None and self.group is not None:
            os.chown(folder, self.user, self.group)


def once(command: list[str], folder: Path, who: Identity, typed: str = "") -> None:
    """Run a command in a folder to its end; ServiceFailure with its last word."""
    done = subprocess.run(
        command,
        cwd=folder,
        input=typed,
        capture_output=True,
        text=True,
        check=False,
        user=who.user,
        group=who.group,
        extra_groups=who.groups,
    )
    if done.returncode:
        raise ServiceFailure(f"{Path(command[0]).name}: {last_line(done.stderr + done.stdout)}")


@dataclass
class Daemon:
    """A command that goes on."""

    command: list[str]
    folder: Path
    """Where it runs and leaves its log."""
    ready: Callable[[], bool]
    """Whether it does its work; asked until it does."""
    who: Identity = Identity()
    ending: signal.Signals = signal.SIGTERM

    def start(self) -> subprocess.Popen[bytes]:
        """The process, which has still to become ready; `end` is for the caller to call."""
        with (self.folder / "log").open("wb") as log:
            return subprocess.Popen(
                self.command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=self.who.user,
                group=self.who.group,
                extra_groups=self.who.groups,
            )

    def wait(self, child: subprocess.Popen[bytes]) -> None:
        """Wait until it is ready; ServiceFailure with the last word of its log if it never is."""
        deadline = time.monotonic() + START_SECONDS
        while not self.ready():
            if child.poll() is not None or time.monotonic() > deadline:
                told = last_line((self.folder / "log").read_text(errors="replace"))
                name = Path(self.command[0]).name
                raise ServiceFailure(f"{name} did not start: {told or 'it gave no reason'}")
            time.sleep(0.05)

    def end(self, child: subprocess.Popen[bytes]) -> None:
        """Ask it to end; then end it."""
        child.send_signal(self.ending)
        with suppress(subprocess.TimeoutExpired):
            child.wait(STOP_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
