"""Watched by Sentry: a Flask app, and a bare WSGI app; what Sentry would get is in $FOLDER."""

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import sentry_sdk
from events import FOLDER
from flask import Flask, Response, request
from sentry_sdk.envelope import Envelope
from sentry_sdk.integrations.wsgi import SentryWsgiMiddleware
from sentry_sdk.transport import Transport

lock = threading.Lock()


class FileTransport(Transport):
    """A line of JSON for each event and transaction."""

    def capture_envelope(self, envelope: Envelope) -> None:
        for item in envelope.items:
            if item.type in ("event", "transaction") and item.payload.json is not None:
                with lock, (FOLDER / item.type).open("a") as file:
                    file.write(json.dumps(item.payload.json, default=str) + "\n")


sentry_sdk.init(
    dsn="http://key@127.0.0.1:9/1",  # nothing is sent there
    transport=FileTransport,
    traces_sample_rate=1.0,
    send_default_pii=True,
    auto_session_tracking=False,
)
app = Flask(__name__)
together = threading.Barrier(8)


@app.get("/items/<int:number>")
def item(number: int) -> str:
    return str(number)


@app.post("/fails/<token>")
def fails(token: str) -> str:
    sent = request.get_json()
    raise ZeroDivisionError(f"watched: {token} {len(sent)}")


@app.get("/isolated/<token>")
def isolated(token: str) -> str:
    """Eight of these are under way at once; what each tells Sentry is about itself only."""
    sentry_sdk.set_tag(f"tag {token}", token)
    sentry_sdk.set_user({"id": token})
    sentry_sdk.add_breadcrumb(category="test", message=f"crumb {token}")
    together.wait(10)
    sentry_sdk.capture_message(f"message {token}")
    together.wait(10)
    return token


@app.get("/stream/<int:count>")
def stream(count: int) -> Response:
    return Response(f"line {number}\n" for number in range(count))


def bare_app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
    """Fails while its response is iterated."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"begun\n"
    raise RuntimeError(f"failed midway {environ['QUERY_STRING']}")


bare = SentryWsgiMiddleware(bare_app)
