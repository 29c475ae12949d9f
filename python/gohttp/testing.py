"""Servers for tests, as Go's `httptest`: real sockets, on a free port, in milliseconds.

with gohttp.testing.serve(app) as url:
    assert urlopen(url + "/").read() == b"Hello, world.\\n"
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gohttp.interface import Interface
from gohttp.server import Server


@contextmanager
def serve(
    app: object, *, interface: Interface | None = None, port: int = 0, **settings: Any
) -> Iterator[str]:
    """Serve an app of any kind in a thread, for as long as the block runs; gives its URL.

    `settings` are those of `gohttp serve`. Requests in flight at the end have 1 second, unless
    `graceful_timeout` says otherwise.

    Raises `GohttpError` when it cannot start, `TypeError` for what is no app, `TimeoutError` when
    handlers do not end.
    """
    settings.setdefault("graceful_timeout", 1)
    server = Server(app, interface=interface, port=port, **settings)
    server.start()
    try:
        yield server.url
    finally:
        server.shutdown()
