"""The echo app with native handlers; whatever no route takes is echoed."""

import json

from common import holds, pieces, say, seen, take_seen
from gohttp import Request, ResponseWriter, route


def answer(w: ResponseWriter, body: bytes) -> None:
    w.headers["X-App"] = "native"
    w.headers["Content-Length"] = str(len(body))
    w.write(body)


@route("/_seen")
def show_seen(w: ResponseWriter, _req: Request) -> None:
    answer(w, json.dumps(take_seen()).encode())


@route("/_unread")
def unread(w: ResponseWriter, _req: Request) -> None:
    answer(w, b"unread")


@route("/_release")
def release(w: ResponseWriter, req: Request) -> None:
    holds[req.query_string].set()
    answer(w, b"released")


@route("/_hold")
def hold(w: ResponseWriter, req: Request) -> None:
    say(f"holding {req.query_string}")
    holds[req.query_string].wait(30)
    answer(w, b"held")


@route("/_stream/")
def stream(w: ResponseWriter, req: Request) -> None:
    w.headers["X-App"] = "native"
    w.flush()
    for piece in pieces(int(req.path.rpartition("/")[2])):
        w.write(piece)


@route("/_stream_hold/")
def stream_hold(w: ResponseWriter, req: Request) -> None:
    w.headers["X-App"] = "native"
    for piece in pieces(int(req.path.rpartition("/")[2])):
        w.write(piece)
    w.flush()
    say(f"holding {req.query_string}")
    holds[req.query_string].wait(30)
    w.write(b"end")


@route("/_status/")
def status(w: ResponseWriter, req: Request) -> None:
    w.headers["X-App"] = "native"
    w.set_status(int(req.path.rpartition("/")[2]))


@route("/_with_body/")
def with_body(w: ResponseWriter, req: Request) -> None:
    w.headers["Content-Length"] = "4"
    w.set_status(int(req.path.rpartition("/")[2]))
    w.write(b"body")


@route("/_streamed/")
def streamed(w: ResponseWriter, req: Request) -> None:
    w.set_status(int(req.path.rpartition("/")[2]))
    for _ in range(3):
        w.write(b"body")
        w.flush()


@route("/_count")
def count(w: ResponseWriter, req: Request) -> None:
    answer(w, str(len(req.body)).encode())


@route("/")
def echo(w: ResponseWriter, req: Request) -> None:
    try:
        body = req.body
    except OSError as error:
        say(f"body failed: {type(error).__name__}")
        return
    path, _, query = req.url.partition("?")
    saw = {
        "face": "native",
        "method": req.method,
        "path": path,
        "query": query,
        "version": req.proto,
        "headers": req.headers.items(),
        "body": body.decode("latin-1"),
    }
    seen.append(f"{saw['method']} {saw['path']}")
    answer(w, json.dumps(saw).encode())
