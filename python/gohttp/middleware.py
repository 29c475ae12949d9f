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
from gohttp._arguments import number, texts, whole
from gohttp._checks import check_call, check_handler, is_async
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


_ORIGINS = '["https://example.org"]'
_MOST = (1 << 32) - 1  # what the engine has room for


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

    Raises `ValueError` for a negative number, `TypeError` for what is no whole number.
    """
    return _gohttp.body_limit(
        whole("max_bytes", max_bytes, "a number of bytes", "body_limit(10_000_000)")
    )


def cors(
    origins: str | Sequence[str],
    *,
    methods: Sequence[str] | Literal["*"] = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"),
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
    What a handler says of CORS itself is replaced, but for its `Access-Control-Expose-Headers`
    where `expose` is empty and the origin is allowed. Requests are never refused: CORS protects
    users of browsers, not servers.

    Raises `ValueError` for rules that no browser would follow, `TypeError` for arguments of other
    types.
    """
    if max_age is not None:
        max_age = whole("max_age", max_age, "a number of seconds", "max_age=600", most=_MOST)
    return _gohttp.cors(
        [origins] if isinstance(origins, str) else texts("origins", origins, _ORIGINS),
        [] if methods == "*" else texts("methods", methods, '["GET", "PUT"]'),
        None if headers == "*" else texts("headers", headers, '["X-Token"]'),
        credentials,
        max_age,
        texts("expose", expose, '["X-Count"]'),
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
    for an `async` function, one that does not take a name and a password, and what is neither.
    """
    if isinstance(users, Mapping):
        pairs = list(users.items())
        if not all(isinstance(text, str) for pair in pairs for text in pair):
            raise TypeError("the names and passwords that basic_auth() is given must be str")
        return _gohttp.basic_auth(pairs, realm)
    if not callable(users):
        raise TypeError(
            'basic_auth() takes a dictionary, as in basic_auth({"ada": password}), or a function'
            f" users(name, password), not {type(users).__name__}"
        )
    if is_async(users):
        raise TypeError("the function given to basic_auth() cannot be async: it runs on a thread")
    check_call("the function given to basic_auth()", users, "name, password")
    return _gohttp.asked_auth(users, realm)


def rate_limit(requests: float, *, per: float = 1.0, burst: int | None = None) -> Layer:
    """Answer 429 with `Retry-After` to clients that send more than `requests` in `per` seconds.

    Each address has a bucket of `burst` tokens (unless given, `requests`), steadily refilled; a
    request takes one. IPv6 clients count by their /64 network, clients of trusted proxies by what
    the proxy tells, and those on a Unix socket that nobody tells about not at all. Memory is
    bounded (about 1 MiB): of too many clients, those that have asked least are forgotten. Each
    worker process counts for itself.

    Raises `ValueError` for what is no rate, `TypeError` for what is no number.
    """
    requests = number("requests", requests, "how many may come", "rate_limit(100, per=60)")
    per = number("per", per, "a time in seconds", "rate_limit(100, per=60)")
    if burst is None:
        burst = max(1, round(requests)) if 0 < requests < 1e9 else 1
    burst = whole("burst", burst, "a number of requests", "burst=20", least=1, most=_MOST)
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

    Raises `ValueError` for unknown codings, levels and types, `TypeError` for arguments of other
    types.
    """
    min_size = whole("min_size", min_size, "a number of bytes", "min_size=1024")
    names = texts("codings", codings, '["br", "gzip"]')
    if levels is not None and not isinstance(levels, Mapping):
        raise TypeError(f'levels is a dictionary, as in {{"gzip": 6}}, not {levels!r}')
    wanted: dict[str, int] = {}
    for coding, level in (levels or {}).items():
        if coding not in names:
            raise ValueError(f"a level is given for {coding!r}, which is not among the codings")
        wanted[coding] = whole(f"the level of {coding}", level, "a number", "6", most=99)
    pairs = [(coding, wanted.get(coding)) for coding in names]
    kinds = None if types is None else texts("types", types, '["text/*"]')
    return _gohttp.compress(pairs, min_size, kinds)


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
    check_call("the hook given to recover()", hook, "w, req, error")

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
        check_handler(handler)

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
