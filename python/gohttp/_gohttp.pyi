"""
The engine and the faces, compiled.
"""

from _typeshed import Incomplete, SupportsGetItem
from collections.abc import Iterator
from typing import Any, Final, SupportsFloat, SupportsIndex, final

__all__ = ["__version__", "AsgiEngine", "FileWrapper", "Headers", "Request", "ResponseWriter", "Routes", "SyncServer", "flush_logging", "install_logging", "serve_site", "serve_wsgi", "start_site"]

__version__: Final[str]

@final
class AsgiEngine:
    """
    The engine under an ASGI application.
    """
    def __new__(cls, /, bell: SupportsIndex | None = None) -> AsgiEngine:
        """
        An engine. `bell`: an eventfd that the loop watches if it runs on another thread than the
        engine; `None` if it drives the engine itself.
        """
    def drain(self, /) -> None:
        """
        Begins a graceful stop. From any thread.
        """
    def drive(self, /, timeout: SupportsFloat | SupportsIndex | None) -> int:
        """
        Drives I/O for at most `timeout` seconds, `None` for as long as nothing happens, and starts
        the requests that came. Returns 1 if the watched descriptor may have events, plus 2, once,
        if the server has stopped.
        """
    def finish_threads(self, /) -> bool:
        """
        Waits, once the server has stopped, for the handlers on threads, as long as a stop may take.
        Blocks; returns whether all have ended.
        """
    def finished(self, /) -> bool:
        """
        Whether the server has stopped.
        """
    def process(self, /) -> None:
        """
        Starts the requests that came and wakes the futures that are due. On the loop's thread.
        """
    def quiet(self, /) -> None:
        """
        The watched descriptor had no events: wait for the next edge.
        """
    def remaining(self, /, graceful_timeout: SupportsFloat | SupportsIndex) -> float:
        """
        Seconds left of a stop's graceful time-out, at least one.
        """
    def run(self, /) -> None:
        """
        Runs the engine on the calling thread until the server has stopped.
        """
    def start(self, /, app: Any, event_loop: Any, settings: Incomplete, descriptors: SupportsGetItem[int, SupportsIndex], state: dict | None) -> None:
        """
        Begins to accept connections for `app` on `event_loop`. `state` is what the lifespan left.
        """
    def tasks(self, /) -> set | None:
        """
        The tasks of requests that have not ended.
        """
    def unwatch(self, /) -> None:
        """
        Forgets the descriptor given to `watch`.
        """
    def watch(self, /, epoll: SupportsIndex) -> None:
        """
        Watches an epoll descriptor, which becomes ours, so that `drive` returns when it has events.
        """

@final
class FileWrapper:
    """
    A file as an iterator of blocks. Any file-like object will do; `close` is passed on.
    """
    def __iter__(self, /) -> FileWrapper: ...
    def __new__(cls, filelike: Any, block_size: SupportsIndex = 65536, /) -> FileWrapper: ...
    def __next__(self, /) -> Any: ...
    def close(self, /) -> None: ...

@final
class Headers:
    """
    Header fields: names without regard to case, in the order they came, a name as often as it
    came. `headers[name]` is the first value; a request's headers cannot be changed.
    """
    def __contains__(self, name: str, /) -> bool: ...
    def __delitem__(self, name: str, /) -> None: ...
    def __getitem__(self, name: str, /) -> str: ...
    def __iter__(self, /) -> Iterator: ...
    def __len__(self, /) -> int: ...
    def __repr__(self, /) -> str: ...
    def __setitem__(self, name: str, value: str, /) -> None:
        """
        Replaces all values of the name by one.
        """
    def add(self, /, name: str, value: str) -> None:
        """
        Adds a value beside those that the name has.
        """
    def get(self, /, name: str, default: str | None = None) -> str | None:
        """
        The first value of the name, or `default`.
        """
    def get_all(self, /, name: str) -> list[str]:
        """
        All values of the name, in order.
        """
    def items(self, /) -> list:
        """
        Pairs of name and value.
        """
    def keys(self, /) -> list:
        """
        The names, a repeated one as often as it came.
        """
    def values(self, /) -> list:
        """
        The values.
        """

@final
class Request:
    """
    A request. All of it may be read from any thread, also after the handler has ended.
    """
    def __repr__(self, /) -> str: ...
    @property
    def body(self, /) -> bytes:
        """
        The whole body. Waits for the client as long as it must; raises `ConnectionResetError` if
        it goes before the end, another `OSError` if the body is broken, too large or late.
        """
    @property
    def cancelled(self, /) -> bool:
        """
        Whether the client has gone.
        """
    @property
    def headers(self, /) -> Headers:
        """
        The header fields: a mapping that does not mind case.
        """
    @property
    def host(self, /) -> str:
        """
        Host and port that the client asked for; empty if it named none (HTTP/1.0).
        """
    @property
    def method(self, /) -> str:
        """
        The method: `'GET'`.
        """
    @property
    def path(self, /) -> str:
        """
        The path, percent-decoded.
        """
    def path_value(self, /, name: str) -> str:
        """
        The decoded value of a wildcard of the pattern: `path_value('id')` for `{id}`. Raises
        `KeyError` for a name that the pattern does not have.
        """
    @property
    def path_values(self, /) -> dict:
        """
        The decoded values of the pattern's wildcards, by name.
        """
    @property
    def pattern(self, /) -> str:
        """
        The pattern that led here: `'GET /items/{id}'`.
        """
    @property
    def proto(self, /) -> str:
        """
        The protocol: `'HTTP/1.1'`.
        """
    @property
    def query_string(self, /) -> str:
        """
        What stands behind the `?`, as sent.
        """
    @property
    def remote_addr(self, /) -> str:
        """
        The client's address and port: `'127.0.0.1:52814'`; empty on a Unix socket. Behind a
        trusted proxy, the address alone that the proxy tells.
        """
    @property
    def url(self, /) -> str:
        """
        Path and query as the client sent them: `'/a%20b?x=1'`.
        """

@final
class ResponseWriter:
    """
    Writes the response of one request. May be used from any thread until the handler has ended;
    after that `write` raises `RuntimeError`, and `ConnectionResetError` once the client has gone.
    """
    def _end(self, /, what: str, error: Any | None) -> None:
        """
        Ends the response of an `async def` handler; called for it when it has returned.
        """
    def _wait_for_room(self, /) -> None: ...
    def drain(self, /) -> Any:
        """
        For `async def` handlers, whose `write` does not wait: awaits until the client has taken
        enough that more may be written.
        """
    def flush(self, /) -> None:
        """
        Sends what has been written so far. Raises as `write` does.
        """
    @property
    def headers(self, /) -> Headers:
        """
        The response's header fields, to be set before the first write is sent.
        """
    def set_status(self, /, code: SupportsIndex) -> None:
        """
        Sets the status code, 200 unless set. Too late after the first write: that is logged and
        ignored. Raises `ValueError` outside 200 to 999.
        """
    def write(self, /, body: Any) -> int:
        """
        Writes part of the body: `str` (sent as UTF-8) or anything bytes-like. Returns the number
        of bytes. The first write settles status and headers. Waits while the client takes
        nothing.

        Raises `ConnectionResetError` when the client has gone, `RuntimeError` after the handler
        has ended, `TypeError` for anything else than text or bytes.
        """

@final
class Routes:
    """
    Patterns and what they lead to, as Go's ServeMux.
    """
    def __bool__(self, /) -> bool: ...
    def __new__(cls, /) -> Routes: ...
    def asgi_apps(self, /) -> list[tuple[str, Any]]:
        """
        The ASGI applications in it and in what is mounted in it, with their prefixes. From now on
        none can be added.
        """
    def handle(self, /, pattern: str, handler: Any, is_async: bool) -> None:
        """
        Registers a handler. Raises `ValueError` for a pattern that is malformed, or in conflict
        with another.
        """
    def mount_asgi(self, /, prefix: str, app: Any) -> None:
        """
        Mounts an ASGI application.
        """
    def mount_routes(self, /, prefix: str, other: Routes) -> None:
        """
        Mounts another table, once.
        """
    def mount_wsgi(self, /, prefix: str, app: Any) -> None:
        """
        Mounts a WSGI application. Raises `ValueError` for a bad prefix, `RuntimeError` while a
        server runs; so do the others.
        """

@final
class SyncServer:
    """
    A running server of a sync face, to stop it from Python.
    """
    def drain(self, /) -> None:
        """
        Begins a graceful stop. From any thread.
        """

def flush_logging() -> None:
    """
    Waits, a moment at most, until what has been logged is with Python.
    """

def install_logging(level: SupportsIndex) -> None:
    """
    Has the engine's log go to Python's `logging`, records of `level` (a number of `logging`) and
    above. Further calls set the level only.
    """

def serve_site(routes: Routes, run_coroutine: Any, settings: Incomplete, descriptors: SupportsGetItem[int, SupportsIndex], on_ready: Any) -> bool:
    """
    Serves routes without ASGI applications; see [`serve_sync`]. `run_coroutine(coroutine, w, req)`
    is given the coroutines of `async def` handlers.
    """

def serve_wsgi(app: Any, settings: Incomplete, descriptors: SupportsGetItem[int, SupportsIndex], on_ready: Any) -> bool:
    """
    Serves a WSGI application until SIGTERM or SIGINT. Returns whether all handlers had ended.

    `descriptors` are listening sockets that the caller has detached; `on_ready` is called with a
    [`SyncServer`] as soon as connections are accepted.
    """

def start_site(engine: AsgiEngine, routes: Routes, run_coroutine: Any, settings: Incomplete, descriptors: SupportsGetItem[int, SupportsIndex], states: SupportsGetItem[int, dict | None]) -> None:
    """
    Begins to accept connections for routes of which some lead to ASGI applications, which run on
    the running event loop; the others run on threads beside it. `states`: what the lifespans left, in the
    order of [`Routes::asgi_apps`].
    """
