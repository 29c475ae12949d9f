"""The Autobahn test suite against a server of ours: every case must pass strictly.

The suite (PyPI autobahntestsuite) is written for Python 2.7. It is taken from, in this order:
the `wstest` that WSTEST names, a virtual environment in build/autobahn made with the Python 2.7
that PYTHON27 names or that is on PATH (`virtualenv` needed), or the Docker image
crossbario/autobahn-testsuite. Cases may be chosen: `tools/autobahn.py '1.*' '12.1.*'`.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "build" / "autobahn"
GOOD = {"OK", "INFORMATIONAL"}
IMAGE = "crossbario/autobahn-testsuite"


def main() -> int:
    """Run the suite; the exit code."""
    cases = sys.argv[1:] or ["*"]
    WORK.mkdir(parents=True, exist_ok=True)
    wstest = find_wstest()
    if wstest is None:
        sys.exit(
            "The Autobahn suite needs Python 2.7 with virtualenv (set PYTHON27), its command "
            "wstest (set WSTEST), or docker."
        )
    port = free_port()
    apps = str(ROOT / "tests" / "asgi" / "apps")
    command = [sys.executable, "-m", "gohttp", "serve", "autobahn_echo:app", "--app-dir", apps]
    server = subprocess.Popen([*command, "--port", str(port), "--log-level", "error"])
    try:
        wait_for(port, server)
        shutil.rmtree(WORK / "reports", ignore_errors=True)
        (WORK / "spec.json").write_text(
            json.dumps(
                {
                    "outdir": "reports",
                    "servers": [{"agent": "gohttp", "url": f"ws://127.0.0.1:{port}"}],
                    "cases": cases,
                    "exclude-cases": [],
                    "exclude-agent-cases": {},
                }
            ),
            encoding="utf-8",
        )
        say("Running; the cases with many compressed messages take minutes.")
        with (WORK / "log").open("w", encoding="utf-8") as log:
            subprocess.run(
                [*wstest, "-m", "fuzzingclient", "-s", "spec.json"],
                cwd=WORK,
                stdout=log,
                stderr=log,
                check=True,
            )
    finally:
        server.terminate()
        server.wait(20)
    return report()


def say(line: str) -> None:
    """A line for who waits."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def find_wstest() -> list[str] | None:
    """The command of the suite, installed if need be."""
    if named := os.environ.get("WSTEST"):
        return [named]
    own = WORK / "venv" / "bin" / "wstest"
    if own.exists():
        return [str(own)]
    python = os.environ.get("PYTHON27") or shutil.which("python2.7")
    if python:
        say("Installing the suite in build/autobahn/venv.")
        venv = subprocess.run(
            [python, "-m", "virtualenv", "--quiet", str(WORK / "venv")], check=False
        )
        pip = WORK / "venv" / "bin" / "pip"
        if venv.returncode == 0:
            subprocess.run([str(pip), "install", "--quiet", "autobahntestsuite"], check=True)
            return [str(own)]
    if shutil.which("docker"):
        place = ["-v", f"{WORK}:{WORK}", "-w", str(WORK)]
        return ["docker", "run", "--rm", "--network", "host", *place, IMAGE, "wstest"]
    return None


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, server: "subprocess.Popen[bytes]") -> None:
    """Wait until the server accepts."""
    for _ in range(200):
        if server.poll() is not None:
            sys.exit("The server has ended; its message is above.")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit("The server does not accept.")


def report() -> int:
    """Print how the cases ended; 1 if any did not pass strictly."""
    index = WORK / "reports" / "index.json"
    results = json.loads(index.read_text(encoding="utf-8"))["gohttp"]
    bad = 0
    for case, result in sorted(results.items(), key=lambda item: key_of(item[0])):
        ends = (result["behavior"], result["behaviorClose"])
        if not GOOD.issuperset(ends):
            bad += 1
            say(f"  {case:8} {ends[0]:14} close: {ends[1]}")
    counts = Counter(result["behavior"] for result in results.values())
    say(", ".join(f"{number} {name}" for name, number in counts.most_common()))
    say(f"reports: {index.parent / 'index.html'}")
    return 1 if bad else 0


def key_of(case: str) -> list[int]:
    """Cases in the order of their numbers."""
    return [int(part) for part in case.split(".")]


if __name__ == "__main__":
    sys.exit(main())
