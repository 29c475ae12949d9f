"""Runs programs of the C library under valgrind, asks them a few hundred requests, and fails if
memory was misused or lost.  `make valgrind` builds what it needs."""

import argparse
import http.client
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[1]
READY_TIMEOUT = 60.0  # seconds; valgrind starts slowly
STOP_TIMEOUT = 60.0
MISUSE = 99  # the exit code for what valgrind has found
# What each program is asked, as method, path and body.
PROGRAMS: dict[str, list[tuple[str, str, bytes | None]]] = {
    "hello": [("GET", "/", None), ("GET", "/missing", None), ("POST", "/", b"x" * 5000)],
    "stream": [
        ("GET", "/?name=you", None),
        ("PUT", "/upload", b"x" * 300_000),
        ("GET", "/later", None),
    ],
    "full": [
        ("GET", "/describe/a%20b?q=1", None),
        ("GET", "/headers", None),
        ("POST", "/echo", b"x" * 100_000),
        ("GET", "/fields", None),
        ("GET", "/refusals", None),
        ("GET", "/together", None),
        ("GET", "/keep", None),
        ("GET", "/declared", None),
        ("GET", "/nowhere", None),
    ],
}


# Asked when nobody else asks: it makes up handles, and one that another request has just then is no
# forgery but that request's.
ALONE = [("GET", "/keep", None), ("GET", "/stale", None)]


def ask(port: int, method: str, path: str, body: bytes | None) -> None:
    """One request; what is answered is the tests' affair."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        client.request(method, path, body)
        client.getresponse().read()
    except http.client.HTTPException:
        pass  # a response that is cut, as asked
    finally:
        client.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def wait_ready(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        try:
            ask(port, "GET", "/", None)
        except ConnectionRefusedError:
            time.sleep(0.1)
        else:
            return
    process.kill()
    raise SystemExit("the program did not listen under valgrind")


def check(program: str, rounds: int) -> list[str]:
    """What valgrind has found, in lines; none if that is nothing."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report"
        command = [
            *("valgrind", "--quiet", "--leak-check=full", "--show-leak-kinds=definite,indirect"),
            *("--errors-for-leak-kinds=definite,indirect", f"--error-exitcode={MISUSE}"),
            *("--fair-sched=yes", f"--log-file={report}"),
            *(str(ROOT / "build" / "c" / program), f"127.0.0.1:{port}"),
        ]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
            wait_ready(port, run)
            with ThreadPoolExecutor(8) as pool:
                asking = [pool.submit(ask, port, *asked) for asked in PROGRAMS[program] * rounds]
            if program == "full":
                with ThreadPoolExecutor(1) as alone:
                    asking += [alone.submit(ask, port, *asked) for asked in ALONE]
            unanswered = [error for asked in asking if (error := asked.exception())]
            run.send_signal(signal.SIGTERM)
            code = run.wait(STOP_TIMEOUT)
        found = report.read_text(encoding="utf-8").splitlines()
    # Valgrind's own remarks on the machine are no findings.
    found = [line for line in found if not re.search(r"warning: |Warning: set address range", line)]
    # First: what a program that crashed had in its hands looks like lost memory.
    if unanswered:
        found.insert(
            0, f"{len(unanswered)} requests were not answered; the first: {unanswered[0]!r}"
        )
    if code not in (0, MISUSE):
        found.insert(0, f"it ended with {code}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("programs", nargs="*", default=list(PROGRAMS))
    options = parser.parse_args()
    if shutil.which("valgrind") is None:
        raise SystemExit("valgrind is not installed: apt-get install valgrind")
    failed = False
    for program in options.programs:
        found = check(program, options.rounds)
        sys.stdout.write(f"{program}: {'misuse found' if found else 'clean'}\n")
        sys.stdout.writelines(f"  {line}\n" for line in found)
        failed |= bool(found)
    sys.exit(failed)


if __name__ == "__main__":
    main()
