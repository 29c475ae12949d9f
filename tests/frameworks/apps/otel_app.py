"""Traced by OpenTelemetry: a Flask app, and a bare WSGI app; the spans go to $FOLDER/spans."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from events import FOLDER
from flask import Flask, Response, request
from opentelemetry import trace
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

lock = threading.Lock()


class FileExporter(SpanExporter):
    """A line of JSON for each span."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        with lock, (FOLDER / "spans").open("a") as file:
            for span in spans:
                file.write(span.to_json(indent=None) + "\n")
        return SpanExportResult.SUCCESS


provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(FileExporter()))
tracer = trace.get_tracer("the app", tracer_provider=provider)

# --- Flask --------------------------------------------------------------------------------------

app = Flask(__name__)
FlaskInstrumentor().instrument_app(app, tracer_provider=provider)
together = threading.Barrier(8)


@app.get("/items/<int:number>")
def item(number: int) -> str:
    return str(number)


@app.get("/inner/<token>")
def inner(token: str) -> str:
    """Eight of these are under way at once, each with a span in its span."""
    with tracer.start_as_current_span(f"inner {token}"):
        together.wait(10)
        context = trace.get_current_span().get_span_context()
        together.wait(10)
    return f"{context.trace_id:032x}"


@app.get("/stream/<int:count>")
def stream(count: int) -> Response:
    return Response(f"line {number}\n" for number in range(count))


@app.get("/fails")
def fails() -> str:
    raise ZeroDivisionError(f"traced: {request.args['token']}")


# --- bare WSGI ----------------------------------------------------------------------------------


def bare_app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/endless":
        return blocks()
    return lines(int(environ["PATH_INFO"].rpartition("/")[2]))


def lines(count: int) -> Iterator[bytes]:
    """Each line from within a span of its own."""
    for number in range(count):
        with tracer.start_as_current_span(f"line {number}"):
            text = f"line {number}\n".encode()
        yield text


def blocks() -> Iterator[bytes]:
    while True:
        yield bytes(16 * 1024)


bare = OpenTelemetryMiddleware(bare_app, tracer_provider=provider)
