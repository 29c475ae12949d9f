"""What examples/myflaskapp.py leaves out of Flask."""

import hashlib
import io
import os
import time
from collections.abc import Iterator

from events import FOLDER, record
from flask import (
    Blueprint,
    Flask,
    Response,
    jsonify,
    make_response,
    request,
    send_file,
    stream_with_context,
    url_for,
)
from flask.typing import ResponseReturnValue

app = Flask(__name__)
shop = Blueprint("shop", __name__, url_prefix="/shop")


@app.get("/pid")
def pid() -> str:
    return str(os.getpid())


@shop.get("/items/<int:number>")
def item(number: int) -> Response:
    return jsonify(number=number, url=url_for("shop.item", number=number, _external=True))


@shop.errorhandler(LookupError)
def shop_is_empty(_: LookupError) -> tuple[str, int]:
    return "sold out", 410


@shop.get("/empty")
def empty() -> str:
    raise LookupError


@shop.before_request
def before() -> None:
    request.environ["shop"] = "open"


@shop.after_request
def after(response: Response) -> Response:
    response.headers["X-Shop"] = request.environ["shop"]
    return response


app.register_blueprint(shop)


@app.get("/unicode/<path:name>")
def unicode(name: str) -> Response:
    return jsonify(
        name=name,
        path=request.path,
        query=request.args.to_dict(flat=False),
        raw_query=request.query_string.decode("ascii"),
        script_name=request.script_root,
        full_path=request.full_path,
    )


@app.get("/who")
def who() -> Response:
    return jsonify(
        remote_addr=request.remote_addr,
        host=request.host,
        url_root=request.url_root,
        scheme=request.scheme,
        protocol=request.environ["SERVER_PROTOCOL"],
        port=request.environ["SERVER_PORT"],
        peer_port=request.environ.get("REMOTE_PORT"),
        multithread=request.is_multithread,
        multiprocess=request.is_multiprocess,
    )


@app.get("/with-context")
def with_context() -> Response:
    @stream_with_context
    def words() -> Iterator[str]:
        yield "Hello "
        yield request.args["name"]
        yield "!"

    return Response(words())


@app.post("/stream")
def stream() -> Response:
    digest, length, pieces = hashlib.sha256(), 0, 0
    while chunk := request.stream.read(16 * 1024):
        digest.update(chunk)
        length += len(chunk)
        pieces += 1
    return jsonify(
        length=length,
        pieces=pieces,
        sha256=digest.hexdigest(),
        content_length=request.content_length,
        trailing=request.stream.read(1).decode(),
    )


@app.post("/lines")
def lines() -> Response:
    return jsonify([line.decode() for line in request.stream])


@app.post("/unread")
def unread() -> str:
    return "not interested"


@app.post("/small-only")
def small_only() -> str:
    request.max_content_length = 1024
    return str(len(request.get_data()))


@app.route("/method", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
def method() -> Response:
    return jsonify(method=request.method, body=request.get_data(as_text=True))


@app.route("/nothing", methods=["POST"])
def nothing() -> tuple[str, int]:
    return "", 204


@app.get("/header")
def header() -> Response:
    response = make_response(str(len(request.headers["X-Large"])))
    response.headers["X-Large"] = request.headers["X-Large"][::-1]
    for number in range(60):
        response.headers[f"X-Number-{number}"] = request.headers.get(f"X-Number-{number}", "")
    return response


@app.get("/cookies")
def cookies() -> Response:
    response = jsonify(request.cookies)
    response.set_cookie("plain", "1")
    response.set_cookie("quoted", "a b; c, d", httponly=True)
    response.set_cookie("kept", "2", max_age=3600, samesite="Lax")
    response.delete_cookie("gone")
    return response


@app.get("/file")
def file() -> Response:
    return send_file(FOLDER / "document.bin", as_attachment=True, download_name="größe.bin")


@app.get("/memory-file")
def memory_file() -> Response:
    return send_file(io.BytesIO(b"in memory"), mimetype="text/plain", etag="fixed")


@app.get("/sleep/<int:ms>")
def sleep(ms: int) -> str:
    time.sleep(ms / 1000)
    return "slept"


@app.get("/endless/<token>")
def endless(token: str) -> Response:
    def blocks() -> Iterator[bytes]:
        try:
            while True:
                yield bytes(16 * 1024)
        finally:
            record(f"left {token}")

    return Response(blocks())


@app.get("/after/<token>")
def after_the_answer(token: str) -> Response:
    response = make_response("answered")
    response.call_on_close(lambda: record(f"closed {token}"))
    return response


@app.get("/fails-midway/<token>")
def fails_midway(token: str) -> ResponseReturnValue:
    def words() -> Iterator[str]:
        yield "begun"
        raise RuntimeError(f"failed midway {token}")

    return Response(words())


@app.get("/fails")
def fails() -> str:
    raise ZeroDivisionError("the view divides by zero")
