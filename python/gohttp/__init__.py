"""gohttp: serve WSGI and ASGI apps, and net/http style handlers, on one Rust engine.

`import gohttp` is cheap: the engine is loaded when a name that needs it is first used, so that
the supervisor of several workers never loads it.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gohttp._form import Form, FormFile
    from gohttp._gohttp import Headers, Request, ResponseWriter, WebSocket
    from gohttp._native_api import route, shutdown
    from gohttp._request import Values
    from gohttp._response import EventStream
    from gohttp._run import run
    from gohttp._timeout import RequestTimeout
    from gohttp._websocket import AsyncWebSocket, WebSocketClosed
    from gohttp.mux import Mux
    from gohttp.server import Server

    __version__: str

__all__ = [
    "AsyncWebSocket",
    "BadRequest",
    "EventStream",
    "Form",
    "FormFile",
    "GohttpError",
    "Headers",
    "MissingValue",
    "Mux",
    "Request",
    "RequestTimeout",
    "ResponseWriter",
    "Server",
    "Values",
    "WebSocket",
    "WebSocketClosed",
    "__version__",
    "route",
    "run",
    "shutdown",
]


class GohttpError(Exception):
    """Something that stops gohttp, told in one sentence: what, where, how to mend it.

    `exit_code` is what the command exits with.  `details`, when not empty, is printed before
    the sentence; it holds the app's own traceback.
    """

    exit_code = 1

    def __init__(self, sentence: str, *, details: str = "", exit_code: int | None = None) -> None:
        super().__init__(sentence)
        self.details = details
        if exit_code is not None:
            self.exit_code = exit_code


class BadRequest(ValueError):
    """What a client sent cannot be read. A handler that lets it pass answers with `status`.

    Handlers may raise it too: `raise BadRequest("no such colour", 422)`. `status` is 400 to 599;
    the sentence goes to the log, not to the client.
    """

    def __init__(self, sentence: str, status: int = 400) -> None:
        super().__init__(sentence)
        self.status = self._gohttp_status = status


class MissingValue(BadRequest, KeyError):
    """A query or a form has no value of this `name`: 400, unless the handler says otherwise.

    It is a `KeyError` too, as that of any mapping.
    """

    def __init__(self, sentence: str, name: str) -> None:
        super().__init__(sentence)
        self.name = name

    __str__ = Exception.__str__  # that of a KeyError is for keys


_HOMES = {
    "_C_API": "gohttp.c",  # for PyCapsule_Import("gohttp._C_API"), in C
    "AsyncWebSocket": "gohttp._websocket",
    "EventStream": "gohttp._response",
    "Form": "gohttp._form",
    "FormFile": "gohttp._form",
    "Headers": "gohttp._gohttp",
    "Mux": "gohttp.mux",
    "Request": "gohttp._gohttp",
    "RequestTimeout": "gohttp._timeout",
    "ResponseWriter": "gohttp._gohttp",
    "Server": "gohttp.server",
    "Values": "gohttp._request",
    "WebSocket": "gohttp._gohttp",
    "WebSocketClosed": "gohttp._websocket",
    "route": "gohttp._native_api",
    "run": "gohttp._run",
    "shutdown": "gohttp._native_api",
}


def _installed_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("gohttp-server")
    except PackageNotFoundError:  # a source tree on sys.path, not installed
        return "0+unknown"


def __getattr__(name: str) -> object:
    """Load a public name from its home when it is first used (PEP 562)."""
    if name == "__version__":
        value: object = _installed_version()
    elif name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
