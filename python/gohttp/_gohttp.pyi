"""
The engine and the faces, compiled.
"""

from _typeshed import Incomplete, ReadableBuffer, SupportsGetItem, SupportsKeysAndGetItem
from collections.abc import Awaitable, Iterable, Iterator
from gohttp._form import Form
from gohttp._request import Values
from gohttp._response import CookieSetter, EventStream
from gohttp._websocket import AsyncWebSocket
from os import PathLike
from socket import socket
from typing import Any, Final, SupportsFloat, SupportsIndex, final

__all__ = ["__version__", "AsgiEngine", "FileWrapper", "Headers", "Layer", "Request", "ResponseWriter", "Routes", "SyncServer", "WebSocket", "asked_auth", "basic_auth", "body_limit", "c_api", "compress", "cors", "flush_logging", "in_handler", "install_logging", "rate_limit", "request_id", "serve_site", "serve_wsgi", "start_site"]

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
    def drain(self, /, timeout: SupportsFloat | SupportsIndex | None = None) -> None:
        """
        Begins a graceful stop, which may take so many seconds, else as many as the settings say.
        From any thread.
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
        Starts all requests that have come and wakes the futures that are due. On the loop's thread.
        """
    def quiet(self, /) -> None:
        """
        The watched descriptor had no events: wait for the next edge. One that has come meanwhile
        is seen by the next `drive`.
        """
    def remaining(self, /, more: SupportsFloat | SupportsIndex = 0.0) -> float:
        """
        Seconds left of a stop's graceful time-out and `more`, at least one.
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
    def tick(self, /) -> None:
        """
        Does what is due every 250 ms, which the server asks for until it stops.
        """
    def unwatch(self, /) -> None:
        """
        Forgets the descriptor given to `watch`.
        """
    def wake(self, /) -> None:
        """
        Has `drive` return, now or as soon as it is called. From any thread: what asyncio's own
        loop writes a byte to itself for.
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
    came. `headers[name]` is the first value; a request's headers cannot be changed. To
    `isinstance` it is a `collections.abc.MutableMapping`.
    """
    def __contains__(self, name: str, /) -> bool: ...
    def __delitem__(self, name: str, /) -> None: ...
    def __getitem__(self, name: str, /) -> str: ...
    def __iter__(self, /) -> Iterator[str]: ...
    def __len__(self, /) -> int: ...
    def __repr__(self, /) -> str: ...
    def __setitem__(self, name: str, value: str, /) -> None:
        """
        Replaces all values of the name by one. Raises `TypeError` for a request's fields,
        `ValueError` for what no header can hold (RFC 9110 section 5) and, in trailers, for what
        cannot stand there (section 6.5.1).
        """
    def add(self, /, name: str, value: str) -> None:
        """
        Adds a value beside those that the name has. Raises as setting one does.
        """
    def clear(self, /) -> None:
        """
        Removes all fields. Raises `TypeError` for a request's.
        """
    def get(self, /, name: str, default: str | None = None) -> str | None:
        """
        The first value of the name, or `default`.
        """
    def get_all(self, /, name: str) -> list[str]:
        """
        All values of the name, in order.
        """
    def items(self, /) -> list[tuple[str, str]]:
        """
        Pairs of name and value.
        """
    def keys(self, /) -> list[str]:
        """
        The names, a repeated one as often as it came.
        """
    def pop(self, /, name: str, default: Any = ...) -> Any:
        """
        Removes all values of the name, and gives the first; without one `default`, and without
        that raises `KeyError`. `TypeError` for a request's fields.
        """
    def popitem(self, /) -> tuple[str, str]:
        """
        Removes the last field and gives its name and value. Raises `KeyError` if there is none,
        `TypeError` for a request's fields.
        """
    def setdefault(self, /, name: str, default: str) -> str:
        """
        The first value of the name, which is set to `default` if there is none. Raises as setting
        one does.
        """
    def update(self, other: SupportsKeysAndGetItem[str, str] | Iterable[tuple[str, str]] | None = None, /, **fields: "str") -> None:
        """
        Sets fields as those of a dictionary: of a mapping or of pairs, then those named. All values
        of a name give way to the new one; what other `Headers` hold several times is kept so.
        Raises as setting one does; the fields before a wrong one are set.
        """
    def values(self, /) -> list[str]:
        """
        The values.
        """

@final
class Layer:
    """
    Ready-made middleware, for `Mux.use`: it runs before any Python, for all that the `Mux` leads
    to.
    """
    def __repr__(self, /) -> str: ...

@final
class Request:
    """
    A request. All of it may be read from any thread, also after the handler has ended.
    """
    def __repr__(self, /) -> str: ...
    def _time_left(self, /, usual: SupportsFloat | SupportsIndex | None) -> float | None:
        """
        Seconds that the handler may still take; `None` for as long as it likes. `usual`: where it
        has not said anything itself.
        """
    @property
    def basic_auth(self, /) -> tuple[str, str] | None:
        """
        Name and password of basic authentication (RFC 7617); `None` if there are none.
        """
    @property
    def body(self, /) -> bytes:
        """
        The whole body. Waits for the client as long as it must; raises `ConnectionResetError` if
        it goes before the end, another `OSError` if the body is broken, too large or late, and
        `RuntimeError` once `read` has given some of it. One thread at a time reads the body, also by
        `read`, `text`, `json` and `form`: another that asks waits until it is done.
        """
    @property
    def cancelled(self, /) -> bool:
        """
        Whether the client has left before it had a whole response, or its time was up. One that has
        only sent the end of its side (a half-close) counts as having left: it may still read, but
        mostly it does not.
        """
    @property
    def context(self, /) -> dict[Any, Any]:
        """
        A dictionary of this request for middleware and handlers to leave things in.
        """
    @property
    def cookies(self, /) -> dict[str, str]:
        """
        The cookies (RFC 6265), by name; of several the first. What is no pair is left out.
        """
    def form(self, /) -> Form:
        """
        The fields and files of a form, `application/x-www-form-urlencoded` or
        `multipart/form-data`: a `Form`, whose files are closed when the handler has ended. Raises
        `BadRequest` if the body is none or goes beyond limits (128 parts, 8 MiB of fields), and as
        `read` does.
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
    def is_secure(self, /) -> bool:
        """
        Whether the client itself used TLS: `scheme` is `'https'`.
        """
    def json(self, /) -> Any:
        """
        What the body, as JSON, says. Raises `BadRequest` if it is none (RFC 8259, which has no `NaN`
        and no `Infinity`), and as `body` does.
        """
    @property
    def method(self, /) -> str:
        """
        The method: `'GET'`; `'CONNECT'` for a WebSocket on HTTP/2 (RFC 8441).
        """
    def on_cancel(self, /, callback: Any) -> None:
        """
        Has `callback` called, without arguments, as soon as `cancelled` is true: once, or at once if
        it is so already, and never after the handler has ended or has taken the connection over.
        It runs in a thread of the server's own, `gohttp-cancel`, callbacks of other requests behind
        it: it should not wait for anything. In an `async def` handler pass on to the loop, as with
        `loop.call_soon_threadsafe`. What it raises is logged. Raises `TypeError` if it cannot be
        called.
        """
    @property
    def path(self, /) -> str:
        """
        The path, percent-decoded as UTF-8; what is none becomes U+FFFD.
        """
    def path_value(self, /, name: str) -> str:
        """
        The decoded value of a wildcard of the pattern: `path_value('id')` for `{id}`. Raises
        `KeyError` for a name that the pattern does not have.
        """
    @property
    def path_values(self, /) -> dict[str, str]:
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
    def query(self, /) -> Values:
        """
        The values of the query, decoded as forms are (`+` is a space): a mapping of names to their
        first values; `get_all` has all, `pairs` all in order.
        """
    @property
    def query_string(self, /) -> str:
        """
        What stands behind the `?`, as sent.
        """
    def read(self, size: SupportsIndex | None = None, /) -> bytes:
        """
        A piece of the body of up to `size` bytes, as it comes; empty at the end. Without `size`,
        the rest. Waits and raises as `body` does.
        """
    @property
    def remote_addr(self, /) -> str:
        """
        The client's address and port: `'127.0.0.1:52814'`; empty on a Unix socket. Behind a
        trusted proxy, the address alone that the proxy tells.
        """
    @property
    def scheme(self, /) -> str:
        """
        `'http'`, or `'https'` where a trusted proxy says so.
        """
    def set_deadline(self, seconds: SupportsFloat | SupportsIndex | None, /) -> None:
        """
        Says how long this request may still take, from now to the end of its response, in place of
        `request_timeout`: seconds, or `None` for as long as it likes. What happens when the time is
        up is what happens then: 504 or a cut response, and `RequestTimeout` in the handler
        (`asyncio.CancelledError` in an `async def` one), up to half a second late. Further calls
        count anew; once the time is up none does. To be called in the handler's own thread, or on its
        loop, before it ends, else it raises `RuntimeError`; `ValueError` for what is no time.
        """
    @property
    def stopping(self, /) -> bool:
        """
        Whether the server stops: what has been begun has `graceful_timeout` to end, and is cut then.
        A handler that streams without an end looks at this between two pieces.
        """
    @property
    def text(self, /) -> str:
        """
        The body as text, by the charset of its Content-Type, else UTF-8. Raises `BadRequest` if it
        is none, with status 415 if that is no charset of the Encoding standard, and as `body` does.
        """
    @property
    def tls(self, /) -> None:
        """
        What is known of the connection's TLS: always `None`, since the server does not end TLS
        itself. Whether the client used it is what `is_secure` tells; what a proxy tells of versions
        or client certificates stands in `headers`.
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
    def _end(self, /, req: Request, error: Any | None) -> None:
        """
        Ends the response of an `async def` handler; called for it when it has returned.
        """
    def _reset(self, /) -> bool:
        """
        Forgets what has been written and set, if none of it has been sent. Returns whether that is
        so.
        """
    def _returned(self, /, result: Any) -> None:
        """
        What a handler has returned. Raises `TypeError` if that was meant to be the response.
        """
    def _taken_over(self, /) -> bool:
        """
        Whether the handler has taken the connection over: it has no deadline any more.
        """
    def _untouched(self, /) -> bool:
        """
        Whether nothing has been written, and no status set.
        """
    def async_websocket(self, /, req: Request, *, subprotocols: SupportsGetItem[int, str] = ...) -> AsyncWebSocket:
        """
        The same in an `async def` handler: an `AsyncWebSocket`, whose methods are awaited. It counts
        towards `limit_concurrency`, as the handler does, and has no deadline.
        """
    def drain(self, /) -> Awaitable[None]:
        """
        For `async def` handlers, whose `write` does not wait: awaits until the client has taken
        enough that more may be written.
        """
    def early_hints(self, /, links: SupportsGetItem[int, str]) -> None:
        """
        Sends `103 Early Hints` (RFC 8297) with these values of `Link`, now. Does nothing once the
        response has begun, or where the client knows no interim responses. Raises `ValueError` for
        what no header can hold.
        """
    def error(self, /, message: str, status: SupportsIndex = 500) -> None:
        """
        Answers with an error, as Go's `http.Error`: the message and a line break as plain text, and
        no header that was set for another body. As `json`.
        """
    def flush(self, /) -> None:
        """
        Sends what has been written so far. Raises as `write` does.
        """
    @property
    def headers(self, /) -> Headers:
        """
        The response's header fields, to be set before the head is sent. What is set later is
        ignored, and logged when the handler has ended.
        """
    def hijack(self, /) -> socket:
        """
        Takes the connection over, as Go's `Hijacker` does: a socket that speaks with the client,
        bytes beyond the request first. The answer, head and all, is the caller's, who closes it.
        HTTP/1 only. Raises `OSError` if the response has begun or the client has gone.
        """
    def html(self, /, body: str, status: SupportsIndex | None = None) -> None:
        """
        Writes HTML, as UTF-8. As `json`.
        """
    def json(self, /, value: Any, status: SupportsIndex | None = None) -> None:
        """
        Writes a value as JSON. These answers set the content type, unless you have, and the status,
        if it is given. They raise as `write` does.
        """
    def redirect(self, /, url: str, status: SupportsIndex = 302) -> None:
        """
        Sends the client to another URL (RFC 9110 section 10.2.2), absolute or a path; what may not
        stand in one is escaped. Raises `ValueError` for a status outside 300 to 399.
        """
    def serve_file(self, /, req: Request, path: str | PathLike[str]) -> None:
        """
        Answers with a file, as Go's `http.ServeFile`: ranges and conditional requests of `req` are
        obeyed, the kernel sends the bytes, and headers that are set are kept. The path is yours to
        check. Raises `FileNotFoundError` if there is none, another `OSError` if it cannot be opened,
        `RuntimeError` once the response has begun.
        """
    @property
    def set_cookie(self, /) -> CookieSetter:
        """
        Sets a cookie (RFC 6265): `set_cookie(name, value)`, and by name `max_age` (seconds),
        `expires`, `path='/'`, `domain`, `secure=False`, `http_only=False`, `same_site='lax'`,
        `partitioned=False`. Raises `ValueError` for what a cookie cannot hold.
        """
    def set_status(self, /, code: SupportsIndex) -> None:
        """
        Sets the status code, 200 unless set. Too late after the first write: that is ignored, and
        logged when the handler has ended. Raises `ValueError` outside 200 to 999.
        """
    def sse(self, /) -> EventStream:
        """
        Begins a stream of server-sent events (HTML standard, section 9.2), and sends the head: what
        it gives has `send(data, event=…, id=…, retry=…)` and `comment(text)`. Raises as `flush` does.
        """
    def text(self, /, body: str, status: SupportsIndex | None = None) -> None:
        """
        Writes plain text, as UTF-8. As `json`.
        """
    @property
    def trailers(self, /) -> Headers:
        """
        Fields that follow the body (RFC 9110 section 6.5), to be set before the handler ends. Those
        set before the first write is sent, and those that a header `Trailer` names, are announced.
        They need a body whose length is not declared, on HTTP/1.1 or HTTP/2: a response to HTTP/1.0
        or HEAD, one with `Content-Length`, a 204, 205 or 304, goes without them.
        """
    def websocket(self, /, req: Request, *, subprotocols: SupportsGetItem[int, str] = ...) -> WebSocket:
        """
        Makes a WebSocket of the connection (RFC 6455), on HTTP/1.1 and HTTP/2, in a handler that is
        no `async def`. Headers that are set go with the answer; of `subprotocols`, the best first,
        that which the client offers is agreed on. The handler's thread no longer counts towards
        `threads`, and has no deadline. Raises `BadRequest` if the request asks for none, or in a
        wrong way: the client has its answer then; `OSError` if too many connections have been taken
        over, `RuntimeError` once the response has begun, `ConnectionResetError` if the client has
        gone.
        """
    def write(self, /, body: str | ReadableBuffer) -> int:
        """
        Writes part of the body: `str` (sent as UTF-8) or anything bytes-like. Returns the number
        of bytes. The first write settles the status; headers may be set until the head is sent: with
        the first `flush`, beyond 16 KiB, or at the handler's end. Waits while the client takes nothing.

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
        The ASGI applications in it and in what is mounted in it, with their prefixes.
        """
    def freeze(self, /) -> None:
        """
        A server has it from now on: nothing can be mounted until all have called `thaw`.
        """
    def handle(self, /, pattern: str, handler: Any, is_async: bool) -> None:
        """
        Registers a handler. Raises `ValueError` for a pattern that is malformed, or in conflict
        with another.
        """
    def handle_c(self, /, pattern: str, address: SupportsIndex, data: SupportsIndex | None, owners: Any) -> None:
        """
        Registers a function of C that is at `address`: with `data` one of the type gohttp_handler,
        else a FuncPtr. `owners` is kept for as long as it may be called.
        """
    def mount_asgi(self, /, prefix: str, app: Any) -> None:
        """
        Mounts an ASGI application.
        """
    def mount_files(self, /, prefix: str, directory: str | PathLike[str], dot_files: bool) -> None:
        """
        Mounts a directory of files. Raises `OSError` if it is none, and as the others.
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
    def thaw(self, /) -> None:
        """
        A server has ended that had called `freeze`.
        """
    def use(self, /, layers: SupportsGetItem[int, Layer]) -> None:
        """
        Puts layers inside of those that are there, around all that the table leads to. Raises
        `RuntimeError` while a server runs.
        """

@final
class SyncServer:
    """
    A running server of a sync face, to stop it from Python.
    """
    def drain(self, /, timeout: SupportsFloat | SupportsIndex | None = None) -> None:
        """
        Begins a graceful stop, which may take so many seconds, else as many as the settings say.
        From any thread.
        """

@final
class WebSocket:
    """
    A WebSocket (RFC 6455), from `w.websocket(req)`. Iterating gives the client's messages until it
    closes; at the end of a `with` block, and of the handler, the WebSocket is closed. Any thread may
    use it, and one may send while another receives. The server answers pings, and sends its own
    (`ws_ping_interval`).
    """
    def __enter__(self, /) -> WebSocket: ...
    def __exit__(self, kind: Any | None, error: Any | None, traceback: Any | None, /) -> None:
        """
        Closes: with 1000, or with 1011 where an exception ends the block.
        """
    def __iter__(self, /) -> WebSocket: ...
    def __next__(self, /) -> str | bytes: ...
    def _give(self, message: str | ReadableBuffer, /) -> None:
        """
        Sends a message without waiting.
        """
    def _has_room(self, future: Any | None, /) -> bool:
        """
        Whether there is room for more messages; as for `_take`.
        """
    def _take(self, future: Any | None, /) -> str | bytes | None:
        """
        The next message, or `None` if there is none yet: then `future`, if it is given, is done
        when it is time to look again. Raises `WebSocketClosed` at the end.
        """
    def close(self, /, code: SupportsIndex = 1000, reason: str = "") -> None:
        """
        Closes with a code and a reason of up to 123 bytes (what is longer is cut). Does nothing if
        it is closed already. Raises `ValueError` for a code that no endpoint may send (RFC 6455
        section 7.4: 1000 to 1014 without 1004 and 1006, and 3000 to 4999).
        """
    @property
    def closed(self, /) -> bool:
        """
        Whether it has been closed, from whichever side.
        """
    def receive(self, /) -> str | bytes:
        """
        The client's next message, `str` or `bytes`; waits for it. Raises `WebSocketClosed` when
        there will be no more.
        """
    def send(self, /, message: str | ReadableBuffer) -> None:
        """
        Sends a message: text if it is a `str`, else anything bytes-like. Waits while the client
        takes nothing. Raises `WebSocketClosed` when the client has closed or gone, `RuntimeError`
        after `close()`, `TypeError` for anything else than text or bytes.
        """
    @property
    def subprotocol(self, /) -> str | None:
        """
        The subprotocol that was agreed on (RFC 6455 section 1.9); `None` if none was.
        """

def asked_auth(check: Any, realm: str) -> Layer:
    """
    See `gohttp.middleware.basic_auth`. `check(name, password)` returns `True` or `False`.
    """

def basic_auth(users: SupportsGetItem[int, tuple[str, str]], realm: str) -> Layer:
    """
    See `gohttp.middleware.basic_auth`. `users`: names and passwords.
    """

def body_limit(max_bytes: SupportsIndex) -> Layer:
    """
    See `gohttp.middleware.body_limit`.
    """

def c_api() -> Any:
    """
    The table of functions that handlers in C may call, `struct gohttp_api`, for PyCapsule_Import.
    """

def compress(codings: SupportsGetItem[int, tuple[str, SupportsIndex | None]], min_size: SupportsIndex, types: SupportsGetItem[int, str] | None) -> Layer:
    """
    See `gohttp.middleware.compress`. `codings`: names and levels, `None` for the usual one.
    """

def cors(origins: SupportsGetItem[int, str], methods: SupportsGetItem[int, str], headers: SupportsGetItem[int, str] | None, credentials: bool, max_age: SupportsIndex | None, expose: SupportsGetItem[int, str]) -> Layer:
    """
    See `gohttp.middleware.cors`.
    """

def flush_logging() -> None:
    """
    Waits, a moment at most, until what has been logged is with Python.
    """

def in_handler() -> bool:
    """
    Whether the calling thread is one of those that run handlers.
    """

def install_logging(level: SupportsIndex) -> None:
    """
    Has the engine's log go to Python's `logging`, records of `level` (a number of `logging`) and
    above. Further calls set the level only.
    """

def rate_limit(requests: SupportsFloat | SupportsIndex, seconds: SupportsFloat | SupportsIndex, burst: SupportsIndex) -> Layer:
    """
    See `gohttp.middleware.rate_limit`.
    """

def request_id(keep: bool) -> Layer:
    """
    See `gohttp.middleware.request_id`.
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
