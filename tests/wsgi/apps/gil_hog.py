"""A WSGI app one of whose handlers keeps the GIL: blocked in C, as by a careless extension."""

import ctypes
from collections.abc import Callable, Iterable
from typing import Any


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/hog":
        # PyDLL, unlike CDLL, calls without letting go of the GIL.
        ctypes.PyDLL(None).sleep(int(environ["QUERY_STRING"]))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"done"]
