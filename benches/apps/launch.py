"""Start a server that has no command line of its own: ``launch.py SERVER MODULE PORT``.

Each is given what its documentation advises for speed; the flags are shown in rows.py.
"""

import importlib
import sys
from collections.abc import Callable
from typing import Any

HOST = "127.0.0.1"


def bjoern(app: Any, port: int) -> None:
    importlib.import_module("bjoern").run(app, HOST, port)


def fastpysgi(app: Any, port: int) -> None:
    library = importlib.import_module("fastpysgi")
    library.server.tcp_nodelay = 1
    library.run(app, host=HOST, port=port)


def werkzeug(app: Any, port: int) -> None:
    from werkzeug.serving import WSGIRequestHandler, run_simple

    class Quiet(WSGIRequestHandler):
        def log(self, type: str, message: str, *args: Any) -> None:
            """Keep the access log off: the other rows have none either."""

    run_simple(HOST, port, app, threaded=True, request_handler=Quiet)


SERVERS: dict[str, Callable[[Any, int], None]] = {
    "bjoern": bjoern,
    "fastpysgi": fastpysgi,
    "werkzeug": werkzeug,
}

if __name__ == "__main__":
    name, module, number = sys.argv[1:]
    SERVERS[name](importlib.import_module(module).app, int(number))
