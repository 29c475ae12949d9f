"""Ready-made middleware for `Mux.use`, in Rust: no Python runs for it.

    mux.use(middleware.request_id(), middleware.body_limit(1_000_000))

All but `recover` stand before all that the `Mux` leads to: native handlers, WSGI and ASGI apps,
files, other Muxes, and the 404 and 405 of the `Mux` itself. What is named first is the outermost.
WebSockets and hijacked connections are asked for by requests, which they see and may refuse; what
follows on the connection passes by.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal

from gohttp import BadRequest, _gohttp
from gohttp._gohttp import Layer, Request, ResponseWriter

__all__ = [
    "Layer",
    "basic_auth",
    "body_limit",
    "compress",
    "cors",
    "rate_limit",
    "recover",
    "request_id",
]


def request_id(*, keep: bool = True) -> Layer:
    """Name each request, so that it can be found in all logs.

    Handlers find the name as the request's `X-Request-Id`, clients as the response's; it stands in
    the access log and beside what is logged of exceptions. A name that the client or a proxy has
    sent is kept if it is 1 to 128 letters, digits or `-._~+/=:@`, unless `keep` is false; else the
    name is 32 random hexadecimal digits.
    """
    return _gohttp.request_id(keep)


def body_limit(max_bytes: int) -> Layer:
    """Answer 413 to requests with a body of more than `max_bytes`.

    At once if they declare it; a body without a declared length is counted as it comes: reading it
    fails with `OSError` (in ASGI apps with `http.disconnect`), and the client gets 413 if the
    response has not begun. Of several limits the smallest holds, the server's `max_body_size` among
    them.

    Raises `ValueError` for a negative number.
    """
    if max_bytes < 0:
        raise ValueError(f"max_bytes is a number of bytes from 0 up, not {max_bytes}")
    return _gohttp.body_limit(max_bytes)


def cors(
    origins: str | Sequence[str],
    *,
    methods: Sequence[str] = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"),
    headers: Sequence[str] | Literal["*"] = "*",
    credentials: bool = False,
    max_age: int | None = 600,
    expose: Sequence[str] = (),
) -> Layer:
    """Tell browsers what pages of other origins may do (CORS), and answer their preflights.

    `origins`: who, such as `"https://example.org"` or `"https://*.example.org"` (any host below
    that), or `"*"` for anybody. `methods`, and `headers` beside those that are always allowed: what
    they may send; `"*"` allows what is asked for. `credentials`: whether with cookies and
    authentication, which needs origins by name. `max_age`: for how many seconds browsers may
    remember the answer. `expose`: response headers that pages may read beside the usual ones.

    Preflights are answered with 204, or 403 where the origin may do nothing; they reach no handler.
    What a handler says of CORS itself is replaced. Requests are never refused: CORS protects users
    of browsers, not servers.

    Raises `ValueError` for rules that no browser would follow.
    """
    return _gohttp.cors(
        [origins] if isinstance(origins, str) else list(origins),
        list(methods),
        None if headers == "*" else list(headers),
        credentials,
        max_age,
        list(expose),
    )


def basic_auth(
    users: Mapping[str, str] | Callable[[str, str], bool], *, realm: str = "Restricted"
) -> Layer:
    """Let in who sends a known name and password (RFC 7617); others get 401 and are asked for them.

    `users` maps names to passwords, of which digests are kept and compared in constant time; or it
    is a function, called as `users(name, password)`, that returns `True` or `False`. It runs on a
    thread, as handlers do, for each request that sends a name, so its own comparisons should take
    constant time, too (`hmac.compare_digest`). If it raises, the client gets 500. `realm` is what
    browsers show. Handlers find the name in `req.basic_auth`.

    Raises `ValueError` for names with a colon, no users, or a realm that is not ASCII; `TypeError`
    for an `async` function.
    """
    if not callable(users):
        return _gohttp.basic_auth(list(users.items()), realm)
    if inspect.iscoroutinefunction(users):
        raise TypeError("the function given to basic_auth() cannot be async: it runs on a thread")
    return _gohttp.asked_auth(users, realm)


def rate_limit(requests: float, *, per: float = 1.0, burst: int | None = None) -> Layer:
    """Answer 429 with `Retry-After` to clients that send more than `requests` in `per` seconds.

    Each address has a bucket of `burst` tokens (unless given, `requests`), steadily refilled; a
    request takes one. IPv6 clients count by their /64 network, clients of trusted proxies by what
    the proxy tells, and those on a Unix socket that nobody tells about not at all. Memory is
    bounded (about 1 MiB): of too many clients, those that have asked least are forgotten. Each
    worker process counts for itself.

    Raises `ValueError` for what is no rate.
    """
    if burst is None:
        burst = max(1, round(requests)) if 0 < requests < 1e9 else 1
    if not 0 < burst < 1 << 32:
        raise ValueError(f"burst is a number of requests from 1 up, not {burst}")
    return _gohttp.rate_limit(requests, per, burst)


Coding = Literal["zstd", "br", "gzip"]


def compress(
    *,
    min_size: int = 1024,
    codings: Sequence[Coding] = ("zstd", "br", "gzip"),
    levels: Mapping[Coding, int] | None = None,
    types: Sequence[str] | None = None,
) -> Layer:
    """Compress responses for clients that take it (`Accept-Encoding`).

    `codings`: which, the first for clients without a preference; `levels` of them (zstd 1 to 19,
    usually 3; br 0 to 11, usually 4; gzip 1 to 9, usually 5). Bodies that are known to have fewer
    than `min_size` bytes are left alone, and those of other `types`: `"text/html"`, `"text/*"`,
    `"*+json"`; unless given, types that are known to compress well. So are bodies that are encoded
    already, parts of bodies (206), what says `Cache-Control: no-transform`, and HTTP/1.0.

    What a handler writes or flushes is sent at once, so server-sent events and other streams are
    not held back. An `ETag` is made weak, `Vary: Accept-Encoding` is added. Files are compressed
    for each request: files beside them with `.br`, `.zst` or `.gz` are better.

    Do not compress pages that hold both a secret and what others may choose (BREACH).

    Raises `ValueError` for unknown codings, levels and types.
    """
    if min_size < 0:
        raise ValueError(f"min_size is a number of bytes from 0 up, not {min_size}")
    wanted = dict(levels or {})
    for coding in wanted:
        if coding not in codings:
            raise ValueError(f"a level is given for {coding!r}, which is not among the codings")
    pairs = [(coding, wanted.get(coding)) for coding in codings]
    return _gohttp.compress(pairs, min_size, None if types is None else list(types))


Hook = Callable[[ResponseWriter, Request, Exception], Awaitable[None] | None]


def recover(hook: Hook) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give exceptions of native handlers to `hook(w, req, error)`, which may answer.

    It finds the response as if nothing had been written, and may be `async`. If it answers, the
    exception counts as handled and is not logged. If it does not, or some of the response had been
    sent, all goes on as without it: a logged 500, or a cut response. It is not asked about
    `BadRequest`, time-outs and clients that have gone.

    This one is Python: a function around handlers, to be named behind the others. What is mounted
    is not its affair: frameworks have their own.
    """
    if not callable(hook):
        raise TypeError(f"recover() needs a function hook(w, req, error), not {hook!r}")

    # Exceptions are raised again where they were caught: frames that keep an exception which keeps
    # them would have all that handlers hold wait for the garbage collector.

    def begin(w: ResponseWriter, req: Request, error: Exception) -> Awaitable[bool] | bool:
        """Ask the hook; whether it has answered, or what tells that later."""
        if isinstance(error, BadRequest) or hasattr(error, "_gohttp_client"):
            return False
        sent = not w._reset()
        waits = hook(w, req, error)
        if inspect.isawaitable(waits):
            return end(w, waits, sent)
        return not (sent or w._untouched())

    async def end(w: ResponseWriter, waits: Awaitable[None], sent: bool) -> bool:
        await waits
        return not (sent or w._untouched())

    async def later(answers: Awaitable[bool], error: Exception) -> None:
        try:
            if not await answers:
                raise error
        finally:
            del error

    async def awaited(w: ResponseWriter, req: Request, result: Awaitable[Any]) -> Any:
        try:
            return await result
        except Exception as error:
            answered = begin(w, req, error)
            if not (answered if isinstance(answered, bool) else await answered):
                raise

    def recovering(handler: Callable[..., Any]) -> Callable[..., Any]:
        def around(w: ResponseWriter, req: Request) -> Any:
            try:
                result = handler(w, req)
            except Exception as error:
                answered = begin(w, req, error)
                if not isinstance(answered, bool):
                    return later(answered, error)
                if not answered:
                    raise
                return None
            return awaited(w, req, result) if inspect.isawaitable(result) else result

        return around

    return recovering
