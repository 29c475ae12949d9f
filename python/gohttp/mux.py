"""`Mux`: which request goes to which handler or app, as Go's `http.ServeMux`."""

import inspect
import os
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, Literal, TypeVar, overload

from gohttp import _gohttp
from gohttp._checks import check_handler, check_middleware, name_of, wrapped_by
from gohttp._gohttp import Headers, Layer, Request, ResponseWriter
from gohttp.interface import Interface, UnknownInterface, contradiction, detect_interface

Handler = Callable[[ResponseWriter, Request], Any]
Middleware = Callable[[Callable[..., Any]], Callable[..., Any]]
Signature = Literal["gohttp_handler", "FuncPtr"]
H = TypeVar("H", bound=Handler)

_ABSENT: Any = object()

MutableMapping.register(Headers)  # a class of Rust's has no bases of Python's


class Mux:
    """Patterns, and the handlers and apps that they lead to.

    A pattern is `[METHOD ][HOST]/[PATH]`. `{name}` stands for one segment of the path, `{name...}`
    at its end for the rest, `{$}` for the end; one that ends in `/` takes everything below it.
    The most specific pattern wins, whatever the order; two of which neither is more specific
    cannot be registered together. GET takes HEAD too.
    """

    def __init__(self) -> None:
        self._routes = _gohttp.Routes()
        self._middleware: list[Middleware] = []
        self._has_handlers = False

    @overload
    def route(self, pattern: str) -> Callable[[H], H]: ...
    @overload
    def route(self, pattern: str, fn: H) -> H: ...
    def route(self, pattern: str, fn: Any = _ABSENT) -> Any:
        """Register a handler for a pattern; a decorator when `fn` is left out.

        The handler is called as `fn(w, req)` with a `ResponseWriter` and a `Request`; it may be
        `async def`.

        Raises `ValueError` for a pattern that is malformed, that no request can match or in
        conflict with another, `TypeError` when `fn` cannot be called so, or middleware gives
        nothing that can.
        """

        if not isinstance(pattern, str):
            raise TypeError(f"route() needs a pattern, as in @route('/path'), not {pattern!r}")

        def register(handler: H) -> H:
            # Behind middleware it is called as that pleases.
            if not self._middleware:
                check_handler(handler)
            elif not callable(handler):
                raise TypeError(f"a handler must be callable, not {type(handler).__name__}")
            wrapped: Callable[..., Any] = handler
            for at, wrap in reversed(list(enumerate(self._middleware))):
                wrapped = wrapped_by(wrap, wrapped, outermost=at == 0)
            self._routes.handle(pattern, wrapped, _is_async(wrapped))
            self._has_handlers = True
            return handler

        return register if fn is _ABSENT else register(fn)

    def handle_c(
        self,
        pattern: str,
        function: object,
        *,
        user: object = None,
        signature: Signature = "gohttp_handler",
    ) -> None:
        """Register a function of C for a pattern. It runs without the GIL and without Python.

        `function` is its address, a PyCapsule with it, a function of ctypes, a pointer to one of
        cffi, or what numba's `cfunc` makes; `signature` is its type in `gohttp.h`. A
        `gohttp_handler` is given `user` as its `data`: an address, a PyCapsule, a pointer of ctypes
        or cffi, or anything with a buffer, such as a bytearray or an array; None is NULL. Both
        objects are kept for as long as the function may be called. What such code must not do is
        told in docs/c-handlers.md; what it may call, `gohttp.c` hands out.

        Raises `ValueError` as `route`, `TypeError` for what is no function of that type,
        `RuntimeError` after `use()` with functions: those of Python cannot be put around it.
        """
        if self._middleware:
            raise RuntimeError(
                "handle_c() on a Mux with use(): functions of Python cannot be put around one of C;"
                " register it on a Mux of its own and mount that"
            )
        from gohttp._c_functions import resolve  # ctypes is not for everybody

        if not isinstance(pattern, str):
            raise TypeError(f"handle_c() needs a pattern, such as '/path', not {pattern!r}")
        address, data, owners = resolve(function, user, signature)
        self._routes.handle_c(pattern, address, data, owners)
        self._has_handlers = True

    def use(self, *middleware: Middleware | Layer) -> None:
        """Put middleware around what this `Mux` leads to: the first is the outermost.

        A function is called once for each handler, with it, and returns what takes its place, which
        may call the one it was given or answer itself. What is mounted is not wrapped. Ready-made
        middleware, of `gohttp.middleware`, stands before all handlers, mounts and files, and runs
        before any Python: it is named before the functions.

        Raises `RuntimeError` for a function once a handler has been registered, which would be left
        out, and for ready-made middleware while a server runs; `ValueError` for one that is named
        behind a function; `TypeError` for what is neither, is `async`, or takes no handler.
        """
        ready: list[Layer] = []
        functions: list[Middleware] = []
        for one in middleware:
            if isinstance(one, Layer):
                if functions or self._middleware:
                    first = (functions or self._middleware)[0]
                    raise ValueError(
                        f"{one!r} runs before any Python: it must be named before the functions,"
                        f" as in mux.use({one!r}, {name_of(first)})"
                    )
                ready.append(one)
            else:
                check_middleware(one)
                functions.append(one)
        if functions and self._has_handlers:
            raise RuntimeError("use() must come before the routes, or some would be left out")
        if ready:
            self._routes.use(ready)
        self._middleware += functions

    def mount(self, prefix: str, app: object, *, interface: Interface | None = None) -> None:
        """Give everything at and below `prefix` to another `Mux`, a WSGI or an ASGI app.

        The app sees the prefix as its `SCRIPT_NAME` or `root_path`; an ASGI app's lifespan runs
        with the server. `interface` says what an app speaks that cannot be told by looking at it.
        A route that is more specific than the prefix wins over it.

        Raises `ValueError` for a bad prefix or one that is taken, `TypeError` for what is no app,
        `RuntimeError` while a server runs.
        """
        if isinstance(app, Mux):
            self._routes.mount_routes(prefix, app._routes)
            return
        if interface not in (None, "wsgi", "asgi", "native"):
            raise ValueError(f"interface is 'wsgi' or 'asgi', not {interface!r}")
        try:
            spoken = interface or detect_interface(app)
        except UnknownInterface as error:
            raise TypeError(f"what is mounted at {prefix!r} {error}") from None
        if spoken == "native" or not callable(app):
            raise TypeError(f"what is mounted at {prefix!r} must be a Mux, a WSGI or an ASGI app")
        wrong = contradiction(app, spoken, has_routes=False) if interface else None
        if wrong is not None:
            raise TypeError(f"what is mounted at {prefix!r} {wrong}")
        if spoken == "asgi":
            self._routes.mount_asgi(prefix, app)
        else:
            self._routes.mount_wsgi(prefix, app)

    def files(
        self, prefix: str, directory: str | os.PathLike[str], *, dot_files: bool = False
    ) -> None:
        """Serve the files of `directory` at and below `prefix`, without Python.

        Ranges, conditional requests and files compressed beforehand (`.br`, `.zst`, `.gz` beside
        the file) are served; a folder is its `index.html`, and is not listed. Nothing outside the
        directory is served, and names that begin with a dot only with `dot_files`.

        Raises `OSError` when it is no directory, and as `mount`.
        """
        self._routes.mount_files(prefix, os.fspath(directory), dot_files)

    def has_asgi_apps(self) -> bool:
        """Whether an ASGI app is mounted in it."""
        return bool(self._routes.asgi_apps())

    @contextmanager
    def _frozen(self) -> Iterator[None]:
        """For as long as a server has it: nothing can be mounted. Servers may share a `Mux`."""
        self._routes.freeze()
        try:
            yield
        finally:
            self._routes.thaw()

    def __bool__(self) -> bool:
        """Whether there is any route."""
        return bool(self._routes)


def _is_async(handler: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(
        getattr(handler, "__call__", None)  # noqa: B004
    )


default = Mux()
"""What `gohttp.route` fills and `gohttp.run` serves."""


def chosen(app: object) -> Mux:
    """The routes that `app` stands for: itself, or those of `gohttp.route`."""
    return app if isinstance(app, Mux) else default
