"""The echo app as WSGI.  See the paths in `app`; whatever else is asked for is echoed."""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from common import holds, pieces, say, seen, take_seen

Environ = dict[str, Any]
StartResponse = Callable[..., Any]


def app(  # noqa: PLR0911
    environ: Environ, start_response: StartResponse
) -> Iterable[bytes]:
    path, query = environ["PATH_INFO"], environ["QUERY_STRING"]
    match path.split("/"):
        case ["", "_seen"]:
            return answer(start_response, json.dumps(take_seen()).encode())
        case ["", "_unread"]:
            return answer(start_response, b"unread")
        case ["", "_release"]:
            holds[query].set()
            return answer(start_response, b"released")
        case ["", "_hold"]:
            say(f"holding {query}")
            holds[query].wait(30)
            return answer(start_response, b"held")
        case ["", "_stream", size]:
            start_response("200 OK", [("X-App", "wsgi")])
            return iter(pieces(int(size)))
        case ["", "_stream_hold", size]:
            start_response("200 OK", [("X-App", "wsgi")])
            return stream_hold(int(size), query)
        case ["", "_status", status]:
            start_response(f"{status} Whatever", [("X-App", "wsgi")])
            return []
        case ["", "_with_body", status]:
            start_response(f"{status} Whatever", [("Content-Length", "4")])
            return [b"body"]
        case ["", "_streamed", status]:
            start_response(f"{status} Whatever", [])
            return iter([b"body"] * 3)
        case ["", "_count"]:
            return answer(start_response, str(count(environ)).encode())
    return echo(environ, start_response)


def answer(start_response: StartResponse, body: bytes) -> list[bytes]:
    start_response("200 OK", [("X-App", "wsgi"), ("Content-Length", str(len(body)))])
    return [body]


def stream_hold(size: int, key: str) -> Iterator[bytes]:
    yield from pieces(size)
    say(f"holding {key}")
    holds[key].wait(30)
    yield b"end"


def count(environ: Environ) -> int:
    total = 0
    while data := environ["wsgi.input"].read(65536):
        total += len(data)
    return total


def echo(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    try:
        body = environ["wsgi.input"].read()
    except OSError as error:
        say(f"body failed: {type(error).__name__}")
        return answer(start_response, b"no body")
    headers = [
        (name.removeprefix("HTTP_").replace("_", "-").lower(), value)
        for name, value in environ.items()
        if name.startswith("HTTP_") or name in ("CONTENT_TYPE", "CONTENT_LENGTH")
    ]
    saw = {
        "face": "wsgi",
        "method": environ["REQUEST_METHOD"],
        "path": environ["PATH_INFO"],
        "query": environ["QUERY_STRING"],
        "version": environ["SERVER_PROTOCOL"],
        "headers": headers,
        "body": body.decode("latin-1"),
    }
    seen.append(f"{saw['method']} {saw['path']}")
    return answer(start_response, json.dumps(saw).encode())
