"""What is kept for a request, and what for a thread."""

import contextvars
import threading
from collections.abc import Iterator

from events import record
from flask import Flask, Response, g, has_app_context, has_request_context, jsonify, request

app = Flask(__name__)
together = threading.Barrier(8)
of_thread = threading.local()
current: contextvars.ContextVar[str] = contextvars.ContextVar("current", default="nothing")
in_wsgi_app = app.wsgi_app


def outside(environ: dict, start_response) -> object:  # type: ignore[type-arg]
    """Below Flask: no request's context may be left over from another."""
    if has_app_context() or has_request_context():
        record("a context has leaked")
    return in_wsgi_app(environ, start_response)


app.wsgi_app = outside  # type: ignore[method-assign,assignment]


@app.get("/own/<token>")
def own(token: str) -> Response:
    """Eight of these are under way at once."""
    before = g.get("token")
    g.token = token
    together.wait(10)
    seen = [g.token, request.view_args and request.view_args["token"], request.args["token"]]
    together.wait(10)
    return jsonify(before=before, seen=seen)


@app.get("/fails/<token>")
def fails(token: str) -> str:
    g.token = token
    raise ZeroDivisionError(token)


@app.get("/thread")
def thread() -> Response:
    of_thread.count = getattr(of_thread, "count", 0) + 1
    return jsonify(
        native=threading.get_native_id(),
        count=of_thread.count,
        known=threading.current_thread() in threading.enumerate(),
    )


@app.get("/streamed/<token>")
def streamed(token: str) -> Response:
    """A variable set by the view, read by the stream and put back by the end of it."""
    before = current.set(token)

    def parts() -> Iterator[str]:
        for _ in range(5):
            yield current.get() + "\n"

    response = Response(parts())

    @response.call_on_close
    def put_back() -> None:
        current.reset(before)  # a ValueError in any other context
        record(f"put back {token} {current.get()}")

    return response
