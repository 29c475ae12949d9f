"""A Falcon app under WSGI: media, bodies as streams, streamed answers, error handlers."""

import hashlib
import io
from collections.abc import Iterator
from typing import Any

import falcon
from events import FOLDER, record


class SoldOutError(Exception):
    """Answered by a handler of its own."""


class Items:
    def on_get(self, req: falcon.Request, resp: falcon.Response, number: int, name: str) -> None:
        resp.media = {
            "number": number,
            "name": name,
            "query": req.params,
            "uri": req.uri,
            "address": req.remote_addr,
            "accepts_json": req.client_accepts_json,
        }

    def on_put(self, req: falcon.Request, resp: falcon.Response, number: int, name: str) -> None:
        resp.status = falcon.HTTP_201
        resp.set_header("X-Name", name)
        resp.media = {"number": number, "sent": req.get_media()}

    def on_delete(self, _: falcon.Request, resp: falcon.Response, **__: Any) -> None:
        resp.status = falcon.HTTP_204


class Upload:
    """``bounded_stream`` ends where the body does."""

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        digest, length = hashlib.sha256(), 0
        while chunk := req.bounded_stream.read(64 * 1024):
            digest.update(chunk)
            length += len(chunk)
        resp.media = {
            "length": length,
            "sha256": digest.hexdigest(),
            "content_length": req.content_length,
            "trailing": req.bounded_stream.read().decode(),
        }


class RawUpload:
    """``stream`` is the server's own ``wsgi.input``, and the only way to a chunked body."""

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        body = req.stream.read()
        digest = hashlib.sha256(body).hexdigest()
        resp.media = {"length": len(body), "sha256": digest, "content_length": req.content_length}


class Form:
    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.media = [
            [part.name, part.filename, len(part.stream.read())] for part in req.get_media()
        ]


class Lines:
    def on_get(self, _: falcon.Request, resp: falcon.Response, count: int) -> None:
        resp.content_type = falcon.MEDIA_TEXT
        resp.stream = (b"line %d\n" % number for number in range(count))


class Endless:
    def on_get(self, _: falcon.Request, resp: falcon.Response, token: str) -> None:
        def blocks() -> Iterator[bytes]:
            try:
                while True:
                    yield bytes(16 * 1024)
            finally:
                record(f"left {token}")

        resp.stream = blocks()


class Sized:
    """A stream of a known length."""

    def on_get(self, _: falcon.Request, resp: falcon.Response) -> None:
        path = FOLDER / "document.bin"
        resp.content_type = "application/octet-stream"
        resp.set_stream(path.open("rb"), path.stat().st_size)


class Watched(io.BytesIO):
    def close(self) -> None:
        super().close()
        record("closed memory")


class Memory:
    def on_get(self, _: falcon.Request, resp: falcon.Response) -> None:
        resp.set_stream(Watched(b"in memory"), 9)


class Text:
    def on_get(self, _: falcon.Request, resp: falcon.Response) -> None:
        resp.text = "Grüße"

    on_head = on_get


class Errors:
    def on_get(self, _: falcon.Request, __: falcon.Response, kind: str) -> None:
        if kind == "sold-out":
            raise SoldOutError("the last one has gone")
        if kind == "forbidden":
            raise falcon.HTTPForbidden(title="Closed", description="come back tomorrow")
        if kind == "moved":
            raise falcon.HTTPFound("/text")
        raise ZeroDivisionError("the Falcon responder divides by zero")


class Timing:
    """Middleware: what is done before a request is there after it."""

    def process_request(self, req: falcon.Request, _: falcon.Response) -> None:
        req.context.before = req.method

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, _: object, succeeded: bool
    ) -> None:
        resp.set_header("X-Before", req.context.before)
        resp.set_header("X-Succeeded", str(succeeded))


def when_sold_out(
    req: falcon.Request, resp: falcon.Response, error: SoldOutError, _: dict[str, Any]
) -> None:
    resp.status = falcon.HTTP_410
    resp.media = {"error": str(error), "path": req.path}


app = falcon.App(middleware=[Timing()])
app.add_error_handler(SoldOutError, when_sold_out)
app.add_route("/items/{number:int}/{name}", Items())
app.add_route("/upload", Upload())
app.add_route("/raw-upload", RawUpload())
app.add_route("/form", Form())
app.add_route("/lines/{count:int}", Lines())
app.add_route("/endless/{token}", Endless())
app.add_route("/sized", Sized())
app.add_route("/memory", Memory())
app.add_route("/text", Text())
app.add_route("/errors/{kind}", Errors())
