"""The same small app in all kinds, behind ready-made middleware of several sorts.

Each site lies below a prefix of its own; within it `/sync`, `/async`, `/wsgi`, `/asgi`, `/inner` (a
handler of a Mux in the Mux) and `/files` lead to the kinds. What a handler does is the last segment
of the path; `$FOLDER` is where files and gates are: a gate is open once there is a file with its
name.
"""

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs

from gohttp import Mux, Request, ResponseWriter, middleware

FOLDER = Path(os.environ["FOLDER"])
GATE_TIMEOUT = 20.0

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


def is_open(gate: str) -> bool:
    return (FOLDER / gate).exists()


def native_case(w: ResponseWriter, req: Request, case: str) -> bool:
    """Cases that need not wait; whether it is one."""
    if case == "raise":
        w.headers["x-mine"] = "set before"
        w.write("written before")
        if "sent" in req.query_string:
            w.flush()
        raise RuntimeError("as asked for")
    if case == "bad":
        req.json()
    elif case == "length":
        w.text(str(len(req.body)))
    elif case == "file":
        w.serve_file(req, FOLDER / "large.txt")
    elif case == "hijack":
        with w.hijack() as connection:
            connection.sendall(b"HTTP/1.1 299 Mine\r\nConnection: close\r\n\r\n")
            connection.sendall(connection.recv(100).upper())
    else:
        return False
    return True


class Answer:
    """What a case answers with: status, fields, and the body."""

    def __init__(self, query: str, method: str, fields: list[tuple[str, str]]) -> None:
        options = {name: values[-1] for name, values in parse_qs(query).items()}
        self.status = int(options.get("status", "200"))
        kind = options.get("type", "text/plain")
        self.fields = [("content-type", kind)] if kind != "none" else []
        for field in parse_qs(query).get("field", []):
            name, _, value = field.partition(":")
            self.fields.append((name, value))
        self.size = int(options.get("size", "0"))
        self.pieces = int(options.get("pieces", "1"))
        self.gate = options.get("gate", "")
        self.declared = "declared" in options
        self.told = {"method": method, "fields": fields}

    def body(self) -> bytes:
        if not self.size:
            return json.dumps(self.told).encode()
        return (b"All work and no play makes Jack a dull boy. " * (self.size // 44 + 1))[
            : self.size
        ]

    def of(self, body: bytes) -> list[bytes]:
        step = -(-len(body) // self.pieces)
        return [body[at : at + step] for at in range(0, len(body), step)]


def wait_for(gate: str) -> None:
    deadline = time.monotonic() + GATE_TIMEOUT
    while not is_open(gate):
        assert time.monotonic() < deadline, f"nobody opened {gate}"
        time.sleep(0.005)


async def wait_gently_for(gate: str) -> None:
    deadline = time.monotonic() + GATE_TIMEOUT
    while not is_open(gate):
        assert time.monotonic() < deadline, f"nobody opened {gate}"
        await asyncio.sleep(0.005)


def native_answer(req: Request) -> Answer:
    return Answer(req.query_string, req.method, list(req.headers.items()))


def begin(w: ResponseWriter, answer: Answer, body: bytes) -> None:
    w.set_status(answer.status)
    for name, value in answer.fields:
        w.headers.add(name, value)
    if answer.declared:
        w.headers["content-length"] = str(len(body))


def handle(w: ResponseWriter, req: Request) -> None:
    case = req.path.rpartition("/")[2]
    if native_case(w, req, case):
        return
    answer = native_answer(req)
    body = answer.body()
    begin(w, answer, body)
    if answer.pieces == 1:
        w.write(body)
        return
    for number, piece in enumerate(answer.of(body)):
        if number and answer.gate:
            wait_for(f"{answer.gate}-{number}")
        w.write(piece)
        w.flush()


async def handle_async(w: ResponseWriter, req: Request) -> None:
    case = req.path.rpartition("/")[2]
    if native_case(w, req, case):
        return
    answer = native_answer(req)
    body = answer.body()
    begin(w, answer, body)
    if answer.pieces == 1:
        w.write(body)
        return
    for number, piece in enumerate(answer.of(body)):
        if number and answer.gate:
            await wait_gently_for(f"{answer.gate}-{number}")
        w.write(piece)
        w.flush()


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    case = environ["PATH_INFO"].rpartition("/")[2]
    if case == "raise":
        raise RuntimeError("as asked for")
    if case == "length":
        length = 0
        while piece := environ["wsgi.input"].read(65536):
            length += len(piece)
        start_response("200 OK", [("content-type", "text/plain")])
        return [str(length).encode()]
    if case == "file":
        start_response("200 OK", [("content-type", "text/plain")])
        file = (FOLDER / "large.txt").open("rb")
        return cast(Iterable[bytes], environ["wsgi.file_wrapper"](file))
    fields = [
        (name[5:].replace("_", "-").lower(), value)
        for name, value in environ.items()
        if name.startswith("HTTP_")
    ]
    answer = Answer(environ["QUERY_STRING"], environ["REQUEST_METHOD"], fields)
    body = answer.body()
    declared = [("content-length", str(len(body)))] if answer.declared else []
    start_response(f"{answer.status} X", answer.fields + declared)
    if answer.pieces == 1:
        return [body]
    return stream(answer, body)


def stream(answer: Answer, body: bytes) -> Iterator[bytes]:
    for number, piece in enumerate(answer.of(body)):
        if number and answer.gate:
            wait_for(f"{answer.gate}-{number}")
        yield piece


async def asgi(scope: Message, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        raise RuntimeError("no lifespan")
    if scope["type"] == "websocket":
        await talk(scope, receive, send)
        return
    case = scope["path"].rpartition("/")[2]
    if case == "raise":
        raise RuntimeError("as asked for")
    fields = [(name.decode(), value.decode("latin-1")) for name, value in scope["headers"]]
    answer = Answer(scope["query_string"].decode(), scope["method"], fields)
    body = answer.body()
    if case == "length":
        length = 0
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            length += len(message["body"])
            more = message["more_body"]
        body = str(length).encode()
    declared = [("content-length", str(len(body)))] if answer.declared else []
    await send(
        {
            "type": "http.response.start",
            "status": answer.status,
            "headers": [(n.encode(), v.encode()) for n, v in answer.fields + declared],
        }
    )
    if case == "file":
        await send({"type": "http.response.pathsend", "path": str(FOLDER / "large.txt")})
        return
    pieces = answer.of(body) if body else [b""]
    for number, piece in enumerate(pieces):
        if number and answer.gate:
            await wait_gently_for(f"{answer.gate}-{number}")
        more = number + 1 < len(pieces) or answer.pieces > 1
        await send({"type": "http.response.body", "body": piece, "more_body": more})
    if answer.pieces > 1:
        await send({"type": "http.response.body"})


async def talk(scope: Message, receive: Receive, send: Send) -> None:
    """Tells the fields of the handshake, then says again what it hears."""
    await receive()
    await send({"type": "websocket.accept"})
    fields = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
    await send({"type": "websocket.send", "text": json.dumps(fields)})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


def site(*layers: Any, with_asgi: bool) -> Mux:
    mux = Mux()
    mux.use(*layers)
    mux.route("/sync/{rest...}", handle)
    mux.route("/async/{rest...}", handle_async)
    mux.route("GET /get-only", handle)
    mux.mount("/wsgi", wsgi)
    if with_asgi:
        mux.mount("/asgi", asgi)
    inner = Mux()
    inner.route("/{rest...}", handle)
    mux.mount("/inner", inner)
    mux.files("/files", FOLDER)
    return mux


def all_sites(*, with_asgi: bool) -> Mux:
    mux = Mux()

    def add(prefix: str, *layers: Any) -> None:
        mux.mount(prefix, site(*layers, with_asgi=with_asgi))

    add("/plain")
    add("/named", middleware.request_id())
    add("/renamed", middleware.request_id(keep=False))
    add("/limited", middleware.request_id(), middleware.body_limit(1000))
    add("/anybody", middleware.cors("*"))
    add(
        "/shared",
        middleware.cors(
            ["https://a.example", "https://*.b.example"],
            methods=["GET", "PUT"],
            headers=["X-Token", "Content-Type"],
            credentials=True,
            max_age=60,
            expose=["X-Count", "ETag"],
        ),
    )
    add("/secret", middleware.basic_auth({"ada": "wörd:1", "bob": ""}, realm='our "site"'))
    add("/asked", middleware.request_id(), middleware.basic_auth(knows), middleware.body_limit(9))
    for kind in ("sync", "async", "wsgi", "asgi", "inner", "files", "none"):
        add(f"/rare-{kind}", middleware.rate_limit(2, per=3600))
    add("/often", middleware.rate_limit(20, per=1, burst=1))
    add("/packed", middleware.request_id(), middleware.compress())
    add("/gzip", middleware.compress(codings=["gzip"], levels={"gzip": 9}, min_size=0))
    add("/two-times", middleware.compress(codings=["br"]), middleware.compress(codings=["gzip"]))
    add("/mine", middleware.compress(types=["application/x-mine", "image/*"]))
    add(
        "/all",
        middleware.request_id(),
        middleware.cors("*"),
        middleware.rate_limit(1_000_000),
        middleware.basic_auth(knows),
        middleware.body_limit(1000),
        middleware.compress(),
        middleware.recover(rescue),
    )
    add("/rescued", middleware.request_id(), middleware.recover(rescue))
    add("/rescued-gently", middleware.request_id(), middleware.recover(rescue_gently))
    add("/watched", middleware.recover(lambda w, req, error: None))
    add("/hopeless", middleware.recover(lambda w, req, error: 1 / 0))
    return mux


def rescue(w: ResponseWriter, req: Request, error: Exception) -> None:
    w.json({"error": str(error), "at": req.path}, 503)


async def rescue_gently(w: ResponseWriter, req: Request, error: Exception) -> None:
    await asyncio.sleep(0)
    rescue(w, req, error)


def knows(name: str, password: str) -> bool:
    if name == "raise":
        raise RuntimeError("the users cannot be had")
    if name == "odd":
        return 1  # type: ignore[return-value]
    if name == "slow":
        wait_for(password)
    return name == password


mux = all_sites(with_asgi=True)
threads_only = all_sites(with_asgi=False)
