"""A WSGI app that shows what it is told and does what its path says."""

import io
import json
import threading
from collections.abc import Callable, Iterator

PIECE = b"x" * 65536
PIECES = 1024

seen = {"sent": 0, "closed": 0, "held": 0}
released = threading.Event()


class Endless:
    """More than the buffers on the way hold; tells when it is closed."""

    def __iter__(self) -> Iterator[bytes]:
        for _ in range(PIECES):
            yield PIECE
            seen["sent"] += 1

    def close(self) -> None:
        seen["closed"] += 1


def app(environ: dict, start_response: Callable):
    path = environ["PATH_INFO"]
    case = CASES.get(path) or (shown if path.endswith("/environ") else nothing)
    return case(environ, start_response)


def answer(start_response: Callable, data: bytes, status: str = "200 OK") -> list[bytes]:
    start_response(status, [("Content-Type", "text/plain"), ("X-From", "wsgi")])
    return [data]


def shown(environ: dict, start_response: Callable):
    texts = {name: value for name, value in environ.items() if isinstance(value, str)}
    return answer(start_response, json.dumps(texts).encode())


def nothing(environ: dict, start_response: Callable):
    return answer(start_response, b"nothing here", "404 Not Found")


def echo(environ: dict, start_response: Callable):
    return answer(start_response, environ["wsgi.input"].read())


def lines(environ: dict, start_response: Callable):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return (line.upper() for line in environ["wsgi.input"])


def endless(environ: dict, start_response: Callable):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return Endless()


def counts(environ: dict, start_response: Callable):
    return answer(start_response, json.dumps(seen).encode())


def hold(environ: dict, start_response: Callable):
    seen["held"] += 1
    released.wait(30)
    seen["held"] -= 1
    return answer(start_response, str(len(environ["wsgi.input"].read())).encode())


def release(environ: dict, start_response: Callable):
    released.set()
    return answer(start_response, b"released")


def memory_file(environ: dict, start_response: Callable):
    start_response("200 OK", [("Content-Length", "300000")])
    return environ["wsgi.file_wrapper"](io.BytesIO(b"f" * 300_000))


def this_file(environ: dict, start_response: Callable):
    start_response("200 OK", [])
    return environ["wsgi.file_wrapper"](open(__file__, "rb"))


def raises(environ: dict, start_response: Callable):
    raise LookupError("as asked")


CASES = {
    "/echo": echo,
    "/lines": lines,
    "/endless": endless,
    "/seen": counts,
    "/hold": hold,
    "/release": release,
    "/file": memory_file,
    "/this-file": this_file,
    "/raise": raises,
}
