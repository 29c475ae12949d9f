"""A stop while the app is imported, by one process: it ends, whatever the app catches."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from support import clean_environment, run_gohttp

BOTH = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
APP = "def app(environ, start_response):\n    return []\n"


@BOTH
def test_signal_while_the_app_is_imported(write_app: Callable[..., object], number: int) -> None:
    app = write_app(
        f"import os, signal, time\nos.kill(os.getpid(), {int(number)})\ntime.sleep(10)\n"
    )
    done = run_gohttp("serve", app.target, "--port", "0", cwd=app.cwd)
    assert (done.returncode, done.stderr) == (0, "")


@BOTH
def test_signal_that_the_app_swallows_ends_it_after_the_import(
    write_app: Callable[..., object], number: int
) -> None:
    app = write_app(
        f"import os\ntry:\n    os.kill(os.getpid(), {int(number)})\nexcept:\n"
        f"    print('caught')\n{APP}"
    )
    done = run_gohttp("serve", app.target, "--port", "0", cwd=app.cwd)
    assert (done.returncode, done.stdout, done.stderr) == (0, "caught\n", "")


def test_signal_that_the_app_makes_another_error_of(write_app: Callable[..., object]) -> None:
    app = write_app(
        "import os\ntry:\n    os.kill(os.getpid(), 15)\n"
        "except BaseException:\n    raise ValueError('no database')\n"
    )
    done = run_gohttp("serve", app.target, "--port", "0", cwd=app.cwd)
    assert (done.returncode, done.stderr) == (0, "")


def test_server_that_the_module_runs_itself_does_not_hide_the_stop(
    write_app: Callable[..., object],
) -> None:
    pytest.importorskip("flask")
    app = write_app(
        "import os, threading, time\nfrom flask import Flask\napp = Flask(__name__)\n"
        "def stop():\n    time.sleep(1)\n    os.kill(os.getpid(), 15)\n"
        "threading.Thread(target=stop).start()\napp.run(port=0)\nprint('after run')\n"
    )
    done = run_gohttp("serve", app.target, "--port", "0", cwd=app.cwd)
    assert done.returncode == 0
    assert "after run" in done.stdout
    assert "ready" not in done.stderr


def test_second_signal_ends_an_import_that_never_ends(write_app: Callable[..., object]) -> None:
    app = write_app(
        "import time\nword = 'trying'\nwhile True:\n    try:\n        print(word, flush=True)\n"
        "        time.sleep(10)\n    except:\n        word = 'again'\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "gohttp", "serve", app.target, "--port", "0"],
        cwd=app.cwd,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "trying\n"
        process.terminate()
        assert process.stdout.readline() == "again\n"
        time.sleep(0.1)
        assert process.poll() is None
        process.terminate()
        assert process.wait(10) == 128 + signal.SIGTERM
