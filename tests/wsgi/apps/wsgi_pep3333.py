"""More paths for the app of wsgi_cases: what test_wsgi_pep3333.py needs."""

import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.util import request_uri
from wsgiref.validate import validator

from wsgi_cases import TEXT, App, Body, Environ, StartResponse, as_json, at, key_of
from wsgi_cases import _events as recorded
from wsgi_cases import app as cases

Write = Callable[[bytes], None]


def app(environ_by_any_name: Environ, start_by_any_name: StartResponse, /) -> Iterable[bytes]:
    """Can only be called with positional arguments."""
    return cases(environ_by_any_name, start_by_any_name)


# --- the calls -----------------------------------------------------------------------------------


@at("/keywords")
def keywords(_environ: Environ, start_response: Any) -> list[bytes]:
    """What `start_response` and `write` do with other arguments than the PEP's."""
    outcomes = []
    for call in (
        lambda: start_response(status="200 OK", response_headers=[]),
        lambda: start_response("200 OK"),
        lambda: start_response("200 OK", [], None, "one more"),
    ):
        try:
            call()
            outcomes.append("nothing")
        except TypeError:
            outcomes.append("TypeError")
    write = start_response("200 OK", TEXT, None)
    outcomes.append("callable" if callable(write) else repr(write))
    return [" ".join(outcomes).encode()]


class CallableClass:
    """An app that is a class: its instance is the iterable."""

    def __init__(self, environ: Environ, start_response: StartResponse) -> None:
        start_response("200 OK", TEXT)
        self._key = key_of(environ)

    def __iter__(self) -> Iterator[bytes]:
        yield b"of an instance"

    def close(self) -> None:
        recorded[self._key].append("close")


at("/class")(CallableClass)


# --- the iterable --------------------------------------------------------------------------------


@at("/octets")
def octets(_environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    yield bytes(range(256))
    yield b"\r\n\n\r\n0\r\n\r\n"
    yield bytes(range(255, -1, -1))


class Curious:
    """An iterable that records which of its attributes are looked at."""

    def __init__(self, key: str) -> None:
        self._seen = recorded[key]
        self._pieces = iter([b"one ", b"two"])

    def __getattr__(self, name: str) -> Any:
        self._seen.append(name)
        if name == "fileno":
            return lambda: 0
        if name == "read":
            return lambda *_: b"not this way"
        raise AttributeError(name)

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces


@at("/curious")
def curious(environ: Environ, start_response: StartResponse) -> Any:
    start_response("200 OK", TEXT)
    return Curious(key_of(environ))


@at("/endless-beyond-length")
def endless_beyond_length(environ: Environ, start_response: StartResponse) -> Body:
    """More than declared, for five seconds."""
    progress = recorded[key_of(environ) + "-progress"]
    progress.append(0)

    def pieces() -> Iterator[bytes]:
        for number in range(500):
            progress[0] = number
            yield b"1234"
            time.sleep(0.01)

    start_response("200 OK", [*TEXT, ("Content-Length", "6")])
    return Body(key_of(environ), pieces())


@at("/write-beyond-length")
def write_beyond_length(environ: Environ, start_response: StartResponse) -> list[bytes]:
    write = start_response("200 OK", [*TEXT, ("Content-Length", "6")])
    write(b"123456")
    try:
        write(b"7")
        recorded[key_of(environ)].append("nothing")
    except Exception as error:
        recorded[key_of(environ)].append(type(error).__name__)
    return []


# --- start_response ------------------------------------------------------------------------------


@at("/reraised")
def reraised(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    """Whether exc_info comes back as it was given, traceback and all."""
    start_response("200 OK", TEXT)
    yield b"begun"
    try:
        _raise_deep_inside()
    except LookupError as error:
        given = error
        info = sys.exc_info()
    try:
        start_response("500 Sorry", TEXT, info)
    except LookupError as error:
        frames = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
        recorded[key_of(environ)] += [error is given, "_raise_deep_inside" in frames]


def _raise_deep_inside() -> None:
    raise LookupError("deep inside")


@at("/exc-info-in-write")
def exc_info_in_write(environ: Environ, start_response: StartResponse) -> list[bytes]:
    """`write` has sent the head: exc_info comes back."""
    start_response("200 OK", TEXT)(b"begun")
    try:
        raise LookupError("after write")
    except LookupError:
        try:
            start_response("500 Sorry", TEXT, sys.exc_info())
        except LookupError:
            recorded[key_of(environ)].append("LookupError")
    return [b" and ended"]


@at("/second-after-raise")
def second_after_raise(_environ: Environ, start_response: StartResponse) -> list[bytes]:
    """An error page in place of a response that a bad header stopped."""
    try:
        start_response("200 OK", [("X-A", "a\r\nX-Split: yes")])
    except ValueError:
        start_response("500 Sorry", TEXT, sys.exc_info())
    return [b"sorry"]


@at("/empty-generator-held")
def empty_generator_held(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    """The head is not sent before the end, when there is no body."""
    start_response("200 OK", [*TEXT, ("X-First", "1")])
    yield b""
    try:
        raise LookupError
    except LookupError:
        start_response("404 Not Found", [*TEXT, ("X-Second", "2")], sys.exc_info())
    yield b""


OWN_HEADERS = {
    "date": ("dAtE", "Thu, 01 Jan 1970 00:00:00 GMT"),
    "server": ("SERVER", "own/1"),
    "content-length": ("content-LENGTH", "2"),
}


@at("/own-header")
def own_header(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", [*TEXT, OWN_HEADERS[key_of(environ)]])
    yield b"ok"


HOP_BY_HOP = {
    "connection": ("Connection", "keep-alive, X-Named"),
    "te": ("TE", "trailers"),
    "trailer": ("Trailer", "X-Later"),
    "upgrade": ("Upgrade", "h2c"),
    "keep-alive": ("Keep-Alive", "timeout=600"),
    "transfer-encoding": ("Transfer-Encoding", "gzip, chunked"),
}


@at("/one-hop-by-hop")
def one_hop_by_hop(environ: Environ, start_response: StartResponse) -> list[bytes]:
    start_response("200 OK", [*TEXT, HOP_BY_HOP[key_of(environ)]])
    return [b"plain"]


CONTROLS = {
    "status-lf": ("200 OK\nX-Split: yes", TEXT),
    "status-cr": ("200 OK\rX-Split: yes", TEXT),
    "status-nul": ("200 O\0K", TEXT),
    "value-cr": ("200 OK", [("X-A", "a\rX-Split: yes")]),
    "value-fold": ("200 OK", [("X-A", "a\r\n X-Split: yes")]),
    "name-lf": ("200 OK", [("X-A\nX-Split", "a")]),
    "name-nul": ("200 OK", [("X-A\0", "a")]),
    "length-crlf": ("200 OK", [("Content-Length", "2\r\nX-Split: yes")]),
    "connection-crlf": ("200 OK", [("Connection", "close\r\nX-Split: yes")]),
    "hint-crlf": None,
}


@at("/control")
def control(environ: Environ, start_response: StartResponse) -> list[bytes]:
    case = CONTROLS[key_of(environ)]
    if case is None:
        environ["wsgi.early_hints"]([("Link", "</a>\r\nX-Split: yes")])
    else:
        start_response(*case)
    return [b"never sent"]


# --- environ -------------------------------------------------------------------------------------


@at("/uri")
def uri(environ: Environ, start_response: StartResponse) -> list[bytes]:
    return as_json(start_response, [request_uri(environ), environ["SCRIPT_NAME"]])


@validator
def _strict(environ: Environ, start_response: StartResponse) -> list[bytes]:
    start_response("200 OK", TEXT)
    return [environ["PATH_INFO"].encode("latin-1")]


def strict(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """The validator for any path."""
    return _strict(environ, start_response)


# --- wsgi.file_wrapper ---------------------------------------------------------------------------

CONTENT = b"0123456789" * 20_000


def real_file(key: str, offset: int = 0) -> Any:
    """A plain file on disk that the kernel can send."""
    file = tempfile.TemporaryFile(prefix=key)  # noqa: SIM115 (the server closes it)
    file.write(CONTENT)
    file.seek(offset)
    return file


@at("/real-file")
def send_real_file(environ: Environ, start_response: StartResponse) -> Any:
    """`?offset,declared-length`"""
    offset, _, declared = key_of(environ).partition(",")
    length = [("Content-Length", declared)] if declared else []
    start_response("200 OK", [*TEXT, *length])
    return environ["wsgi.file_wrapper"](real_file("sent", int(offset)))


@at("/unused-file")
def unused_file(environ: Environ, start_response: StartResponse) -> list[bytes]:
    """A wrapper is made, and not returned: nothing of it may be sent."""
    wrapper = environ["wsgi.file_wrapper"](real_file("unused"))
    start_response("200 OK", TEXT)
    wrapper.close()
    return [b"something else"]


@at("/written-file")
def written_file(environ: Environ, start_response: StartResponse) -> Any:
    """write() before a file."""
    start_response("200 OK", TEXT)(b"first ")
    return environ["wsgi.file_wrapper"](real_file("written", len(CONTENT) - 10))


# --- streams -------------------------------------------------------------------------------------


@at("/sse")
def sse(environ: Environ, start_response: StartResponse) -> Body:
    def pieces() -> Iterator[bytes]:
        for number in range(600):
            yield b"data: %d\n\n" % number
            time.sleep(0.1)

    start_response("200 OK", [("Content-Type", "text/event-stream")])
    return Body(key_of(environ), pieces())


@at("/answer-early")
def answer_early(environ: Environ, start_response: StartResponse) -> list[bytes]:
    environ["wsgi.input"].read(1000)
    start_response("413 Too Much", TEXT)
    return [b"enough"]


# --- the validator around real apps --------------------------------------------------------------


def _flask() -> App:
    from flask import Flask, Response, request, send_file

    flask = Flask(__name__)
    # Without it Flask calls wsgi.input.read() without a size, which the validator forbids apps.
    flask.config["MAX_CONTENT_LENGTH"] = 50_000_000

    @flask.post("/form")
    def form() -> dict[str, str]:
        return request.form.to_dict()

    @flask.post("/upload")
    def upload() -> str:
        return str(len(request.files["file"].read()))

    @flask.post("/raw")
    def raw() -> str:
        return str(len(request.get_data()))

    @flask.get("/stream")
    def stream() -> Response:
        return Response((f"{number} " for number in range(5)), mimetype="text/plain")

    @flask.get("/file")
    def file() -> Response:
        return send_file(real_file("flask"), mimetype="text/plain")

    @flask.get("/error")
    def error() -> str:
        raise LookupError("the view's own error")

    return validator(flask)


_validated_flask = _flask()


def flask_app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """With parameters that tell what it speaks: the validator takes any."""
    return _validated_flask(environ, start_response)


@validator
def _writing(_environ: Environ, start_response: StartResponse) -> list[bytes]:
    write = start_response("200 OK", TEXT)
    write(b"one ")
    write(b"two ")
    return [b"three"]


def writing_app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """The old way: write()."""
    return _writing(environ, start_response)


def django_app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Made at the first request: only one test wants it."""
    if not _django:
        from django_site.wsgi import application

        _django.append(validator(application))
    return _django[0](environ, start_response)


_django: list[App] = []
