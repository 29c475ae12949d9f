"""A small Flask app that uses what an ordinary web site uses.

Pages from templates, a form with a session and flashed messages, JSON, an upload, a streamed
download, static files, and the two error pages.  Serve it from this folder:

    gohttp serve myflaskapp:app
"""

import hashlib
import os
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from flask import (
    Flask,
    Response,
    flash,
    jsonify,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask.typing import ResponseReturnValue

NAME_LENGTH = 40
MESSAGE_LENGTH = 500
CHUNK = 64 * 1024
MOST_ROWS = 5_000_000

app = Flask(__name__)
# Every worker process must sign cookies with the same key; a real site takes its own from outside.
app.secret_key = os.environ.get("SECRET_KEY", "only-good-for-trying-things-out")
app.config["MAX_CONTENT_LENGTH"] = 512 * 1024 * 1024


# --- the guestbook's storage: a file, because the workers are processes of their own ------------


def database() -> sqlite3.Connection:
    default = Path(tempfile.gettempdir()) / f"gohttp-guestbook-{os.getuid()}.sqlite3"
    db = sqlite3.connect(os.environ.get("GUESTBOOK", default), timeout=10)
    db.row_factory = sqlite3.Row
    db.execute(
        "CREATE TABLE IF NOT EXISTS entry"
        " (id INTEGER PRIMARY KEY, name TEXT, message TEXT, written REAL)"
    )
    return db


def newest_entries(count: int = 20) -> list[dict[str, object]]:
    with closing(database()) as db:
        rows = db.execute("SELECT * FROM entry ORDER BY id DESC LIMIT ?", (count,))
        return [dict(row) for row in rows]


def add_entry(name: str, message: str) -> int:
    with closing(database()) as db, db:
        cursor = db.execute(
            "INSERT INTO entry (name, message, written) VALUES (?, ?, ?)",
            (name, message, time.time()),
        )
        return cursor.lastrowid or 0


def faults_of(name: str, message: str) -> dict[str, str]:
    """What is wrong with an entry, by field; empty when nothing is."""
    faults = {}
    if not name:
        faults["name"] = "Please tell us your name."
    elif len(name) > NAME_LENGTH:
        faults["name"] = f"At most {NAME_LENGTH} characters, please."
    if not message:
        faults["message"] = "Please write something."
    elif len(message) > MESSAGE_LENGTH:
        faults["message"] = f"At most {MESSAGE_LENGTH} characters, please."
    return faults


# --- pages --------------------------------------------------------------------------------------


@app.template_filter("when")
def when(timestamp: float) -> str:
    return time.strftime("%d %b %Y, %H:%M", time.localtime(timestamp))


@app.template_filter("size")
def size(count: int) -> str:
    amount = float(count)
    for unit in ("bytes", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


@app.get("/")
def index() -> str:
    session["visits"] = session.get("visits", 0) + 1
    facts = {
        "Server": request.environ.get("SERVER_SOFTWARE") or "not named",
        "Protocol": request.environ.get("SERVER_PROTOCOL"),
        "Your address": request.remote_addr,
        "Worker process": os.getpid(),
        "Thread": threading.current_thread().name,
        "Your visits": session["visits"],
    }
    return render_template("index.html", facts=facts)


@app.route("/guestbook", methods=["GET", "POST"])
def guestbook() -> ResponseReturnValue:
    name, message, faults = session.get("name", ""), "", {}
    if request.method == "POST":
        name = request.form.get("name", "").strip()
        message = request.form.get("message", "").strip()
        faults = faults_of(name, message)
        if not faults:
            add_entry(name, message)
            session["name"] = name
            flash(f"Thank you, {name}. Your message is in the book.")
            return redirect(url_for("guestbook"), 303)
    page = render_template(
        "guestbook.html", entries=newest_entries(), name=name, message=message, faults=faults
    )
    return (page, 422) if faults else page


@app.route("/upload", methods=["GET", "POST"])
def upload() -> ResponseReturnValue:
    if request.method != "POST":
        return render_template("upload.html")
    file = request.files.get("file")
    if file is None or not file.filename:
        return render_template("upload.html", fault="Please choose a file first."), 422
    digest, length = hashlib.sha256(), 0
    while chunk := file.stream.read(CHUNK):
        digest.update(chunk)
        length += len(chunk)
    result = {"name": file.filename, "size": length, "sha256": digest.hexdigest()}
    if request.accept_mimetypes.best == "application/json":
        return jsonify(result)
    return render_template("upload.html", result=result)


@app.get("/download.csv")
def download() -> Response:
    """A table of ?rows= rows, sent while it is made: it never is in memory as a whole."""
    rows = min(max(request.args.get("rows", 1000, type=int), 0), MOST_ROWS)

    def lines() -> Iterator[str]:
        yield "n,square,cube\r\n"
        for start in range(0, rows, 500):
            numbers = range(start, min(start + 500, rows))
            yield "".join(f"{n},{n**2},{n**3}\r\n" for n in numbers)

    headers = {"Content-Disposition": f'attachment; filename="powers-{rows}.csv"'}
    return Response(lines(), mimetype="text/csv", headers=headers)


# --- JSON ---------------------------------------------------------------------------------------


@app.get("/api/guestbook")
def entries_as_json() -> Response:
    return jsonify(entries=newest_entries(request.args.get("count", 20, type=int)))


@app.post("/api/guestbook")
def add_entry_as_json() -> tuple[Response, int]:
    entry = request.get_json()
    if not isinstance(entry, dict):
        return jsonify(faults={"": "An object with name and message, please."}), 422
    name, message = (str(entry.get(key, "")).strip() for key in ("name", "message"))
    if faults := faults_of(name, message):
        return jsonify(faults=faults), 422
    return jsonify(id=add_entry(name, message), name=name, message=message), 201


# --- slow and failing ---------------------------------------------------------------------------


@app.get("/sleep/<int:ms>")
def sleep(ms: int) -> Response:
    """Answers after some milliseconds; others are served meanwhile."""
    time.sleep(min(ms, 10_000) / 1000)
    return jsonify(slept=ms, pid=os.getpid(), thread=threading.current_thread().name)


@app.get("/error")
def error() -> str:
    raise RuntimeError("this page always fails")


@app.errorhandler(404)
def not_found(_: Exception) -> tuple[str, int]:
    return render_template("problem.html", code=404, text="There is no such page here."), 404


@app.errorhandler(500)
def server_error(_: Exception) -> tuple[str, int]:
    text = "The app failed. Its traceback is in the server's log."
    return render_template("problem.html", code=500, text=text), 500
