"""A Bottle app; its static files are in $FOLDER/static."""

from collections.abc import Iterator

from bottle import (
    Bottle,
    HTTPError,
    HTTPResponse,
    abort,
    redirect,
    request,
    response,
    static_file,
)
from events import FOLDER, record

SECRET = "the same for every worker"

app = Bottle()


@app.get("/hello/<name>")
def hello(name: str) -> str:
    return f"Hello {name}!"


@app.get("/items/<number:int>")
def item(number: int) -> dict[str, object]:
    return {"number": number, "url": request.url, "address": request.remote_addr}


@app.post("/form")
def form() -> dict[str, object]:
    upload = request.files.getunicode("file")
    return {
        "name": request.forms.getunicode("name"),
        "tags": request.forms.getall("tag"),
        "file": upload and [upload.raw_filename, len(upload.file.read())],
    }


@app.post("/json")
def json() -> dict[str, object]:
    return {"sent": request.json}


@app.get("/visits")
def visits() -> dict[str, int]:
    count = int(request.get_cookie("visits", default="0", secret=SECRET)) + 1
    response.set_cookie("visits", str(count), secret=SECRET, path="/", httponly=True)
    return {"visits": count}


@app.get("/static/<path:path>")
def static(path: str) -> HTTPResponse:
    return static_file(path, root=str(FOLDER / "static"))


@app.get("/stream/<count:int>")
def stream(count: int) -> Iterator[str]:
    response.content_type = "text/plain; charset=utf-8"
    for number in range(count):
        yield f"Zeile {number}: ü\n"


@app.get("/endless/<token>")
def endless(token: str) -> Iterator[bytes]:
    try:
        while True:
            yield bytes(16 * 1024)
    finally:
        record(f"left {token}")


@app.get("/abort/<status:int>")
def aborted(status: int) -> None:
    abort(status, "not here")


@app.get("/raised")
def raised() -> None:
    raise HTTPError(418, "short and stout", X_Pot="tea")


@app.get("/moved")
def moved() -> None:
    redirect("/hello/there", 302)


@app.get("/fails")
def fails() -> None:
    raise ZeroDivisionError("the Bottle route divides by zero")


@app.error(404)
def not_found(error: HTTPError) -> str:
    return f"nothing at {request.path}: {error.body}"
