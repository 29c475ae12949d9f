"""WSGI routes that do something: /sleep, /nap, /fast, /echo and /big."""

import time
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIEnvironment

HELLO = b"Hello, world.\n"
BIG = b"x" * (100 * 1024)
SLEEP_SECONDS = 0.01
NAP_SECONDS = 0.05


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    kind, body = "text/plain", HELLO
    if path == "/sleep":
        time.sleep(SLEEP_SECONDS)
    elif path == "/nap":
        time.sleep(NAP_SECONDS)
    elif path == "/echo":
        kind = "application/octet-stream"
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    elif path == "/big":
        kind, body = "application/octet-stream", BIG
    start_response("200 OK", [("Content-Type", kind), ("Content-Length", str(len(body)))])
    return [body]
