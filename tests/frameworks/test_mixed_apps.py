"""Flask, FastAPI, Starlette and native routes in one server, as a site that moves has them."""

import hashlib
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import niquests
import pytest

from .asgi_clients import close_of, hear, http_client, websocket
from .serving import REFERENCE, Server, Setup, eventually, get, in_parallel, serve, setups

pytestmark = pytest.mark.skipif(REFERENCE, reason="other servers serve one app")

SITE = """\
import asyncio
import hashlib
import os
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

from fastapi import BackgroundTasks, FastAPI, File, Request, Response, UploadFile, WebSocket
from fastapi.responses import StreamingResponse
from flask import Flask, Response as FlaskResponse, jsonify, redirect, request, session, url_for
from gohttp import Mux
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse
from starlette.routing import Route
from starlette.staticfiles import StaticFiles

FOLDER = Path(os.environ["FOLDER"])


def record(event):
    with (FOLDER / "events").open("a") as events:
        events.write(event + "\\n")


def is_open(gate):
    return (FOLDER / gate).exists()


# --- Flask: the old site, at the root, and once more below ---------------------------------------

def flask_site(name):
    app = Flask(name)
    app.secret_key = "secret"

    @app.get("/")
    def home():
        return f"{name} at {request.script_root or '/'}"

    @app.get("/visits")
    def visits():
        session["visits"] = session.get("visits", 0) + 1
        return jsonify(visits=session["visits"], url=url_for("visits", _external=True))

    @app.get("/moved")
    def moved():
        return redirect(url_for("visits"))

    @app.post("/upload")
    def upload():
        file = request.files["file"]
        return jsonify(name=file.filename, sha256=hashlib.sha256(file.read()).hexdigest())

    @app.get("/stream/<gate>")
    def stream(gate):
        def words():
            record(f"stream {gate}")
            yield "first "
            while not is_open(gate):
                time.sleep(0.005)
            yield "second"

        return FlaskResponse(words(), mimetype="text/plain")

    @app.get("/slow/<gate>")
    def slow(gate):
        record(f"slow {gate}")
        while not is_open(gate):
            time.sleep(0.005)
        return "slept"

    @app.get("/fails")
    def fails():
        raise RuntimeError(f"{name} fails")

    return app


# --- FastAPI: the new one ------------------------------------------------------------------------

@asynccontextmanager
async def lifespan(app):
    record("FastAPI started")
    yield {"database": "open"}
    record("FastAPI stopped")


api = FastAPI(title="New", lifespan=lifespan)


@api.get("/items/{number}")
async def item(number: int, request: Request):
    return {
        "number": number,
        "url": str(request.url_for("item", number=number)),
        "database": request.state.database,
        "root_path": request.scope["root_path"],
    }


@api.get("/sync")
def in_a_thread():
    time.sleep(0.01)
    return {"slept": True}


@api.post("/upload")
async def upload(file: UploadFile):
    return {"name": file.filename, "sha256": hashlib.sha256(await file.read()).hexdigest()}


@api.get("/stream/{gate}")
async def stream(gate: str):
    async def words():
        record(f"stream {gate}")
        yield "first "
        while not is_open(gate):
            await asyncio.sleep(0.005)
        yield "second"

    return StreamingResponse(words(), media_type="text/plain")


@api.get("/later/{token}")
async def later(token: str, tasks: BackgroundTasks):
    tasks.add_task(record, f"later {token}")
    return {"answered": True}


@api.get("/fails")
async def fails():
    raise RuntimeError("FastAPI fails")


@api.websocket("/chat/{room}")
async def chat(socket: WebSocket, room: str):
    await socket.accept()
    async for text in socket.iter_text():
        if text == "bye":
            await socket.close(4000, "bye")
            return
        await socket.send_text(f"{room}: {text} at {socket.url.path}")


# --- Starlette: another team's ------------------------------------------------------------------

@asynccontextmanager
async def starlette_lifespan(app):
    record("Starlette started")
    yield {"team": "other"}
    record("Starlette stopped")


async def team(request):
    shown = {"url": str(request.url_for("team")), **request.state._state}
    return JSONResponse(shown)


async def moved(request):
    return RedirectResponse(request.url_for("team"))


(FOLDER / "static").mkdir(exist_ok=True)
(FOLDER / "static" / "style.css").write_text("body { color: teal }")
other = Starlette(
    routes=[Route("/team", team, name="team"), Route("/moved", moved)], lifespan=starlette_lifespan
)
other.mount("/static", StaticFiles(directory=FOLDER / "static"))


# --- all in one ----------------------------------------------------------------------------------

mux = Mux()
mux.mount("/", flask_site("old"))
mux.mount("/api", api)
teams = Mux()
teams.mount("/other", other)
teams.mount("/legacy", flask_site("legacy"))
mux.mount("/teams", teams)


@mux.route("GET /hello/{name}")
def hello(w, req):
    w.write(f"Hello, {req.path_value('name')}, from {os.getpid()}.")


@mux.route("GET /hello-async/{name}")
async def hello_async(w, req):
    await asyncio.sleep(0.001)
    w.write(f"Hello, {req.path_value('name')}, later.")


@teams.route("POST /digest")
def digest(w, req):
    w.write(hashlib.sha256(req.body).hexdigest())


@mux.route("/fails")
def native_fails(w, req):
    raise RuntimeError("native fails")
"""


@pytest.fixture(scope="module", params=setups("asgi")[:3])
def setup(request: pytest.FixtureRequest) -> Setup:
    setup: Setup = request.param
    return setup


@pytest.fixture(scope="module")
def server(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("mixed")
    (folder / "site_of_all.py").write_text(SITE, encoding="utf-8")
    with serve("site_of_all:mux", setup, folder, cwd=folder) as server:
        yield server


@pytest.fixture
def api(server: Server) -> Iterator[httpx.Client]:
    with http_client(server) as client:
        yield client


def gate_of(server: Server, request: pytest.FixtureRequest) -> Path:
    return server.folder / f"gate-{abs(hash(request.node.nodeid))}"


def test_each_app_answers_for_its_part(api: httpx.Client) -> None:
    """Over one connection, one after the other and again."""
    for _ in range(5):
        assert api.get("/").text == "old at /"
        assert api.get("/api/items/7").json()["number"] == 7
        assert api.get("/hello/you").text.startswith("Hello, you, from ")
        assert api.get("/teams/legacy/").text == "legacy at /teams/legacy"
        assert api.get("/hello-async/you").text == "Hello, you, later."
        assert api.get("/teams/other/team").json()["team"] == "other"


def test_urls_that_apps_make_lead_back_to_them(api: httpx.Client, server: Server) -> None:
    for path, key in [
        ("/visits", "url"),
        ("/teams/legacy/visits", "url"),
        ("/api/items/3", "url"),
        ("/teams/other/team", "url"),
    ]:
        url = api.get(path).json()[key]
        assert url == f"{server.url}{path}"
        assert api.get(url).status_code == 200
    for path, to in [
        ("/moved", "/visits"),
        ("/teams/legacy/moved", "/teams/legacy/visits"),
        ("/teams/other/moved", "/teams/other/team"),
    ]:
        response = api.get(path, follow_redirects=True)
        assert (response.status_code, response.url.path) == (200, to)


def test_404_is_that_of_the_app(api: httpx.Client) -> None:
    assert api.get("/api/none").json() == {"detail": "Not Found"}
    assert "<title>404 Not Found</title>" in api.get("/none").text
    assert "<title>404 Not Found</title>" in api.get("/teams/legacy/none").text
    assert api.get("/teams/other/none").text == "Not Found"
    assert api.get("/teams/none").text == "404 Not Found\n"
    refused = api.get("/teams/digest")
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
    # The old site has the path too, so it gets the other methods.
    assert "<title>404 Not Found</title>" in api.post("/hello/you").text


def test_openapi_knows_its_place(api: httpx.Client) -> None:
    schema = api.get("/api/openapi.json").json()
    assert schema["servers"] == [{"url": "/api"}]
    assert "/api/openapi.json" in api.get("/api/docs").text


def test_session_lives_in_a_cookie(client: niquests.Session) -> None:
    for path in ("/visits", "/teams/legacy/visits"):
        client.cookies.clear()
        assert [client.get(path).json()["visits"] for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize("path", ["/upload", "/teams/legacy/upload", "/api/upload"])
def test_file_is_uploaded(
    client: niquests.Session, path: str, upload_bytes: bytes, upload_file: Path
) -> None:
    with upload_file.open("rb") as file:
        answer = client.post(path, files={"file": ("größe.bin", file)}).json()
    assert answer == {"name": "größe.bin", "sha256": hashlib.sha256(upload_bytes).hexdigest()}


def test_body_is_uploaded_to_a_native_route(client: niquests.Session, upload_bytes: bytes) -> None:
    answer = client.post("/teams/digest", data=upload_bytes)
    assert answer.text == hashlib.sha256(upload_bytes).hexdigest()


def test_static_files_of_a_mounted_app(api: httpx.Client) -> None:
    response = api.get("/teams/other/static/style.css")
    assert response.text == "body { color: teal }"
    again = api.get(
        "/teams/other/static/style.css", headers={"If-None-Match": response.headers["etag"]}
    )
    assert again.status_code == 304


def test_streams_of_both_at_once(
    server: Server, api: httpx.Client, request: pytest.FixtureRequest
) -> None:
    gate = gate_of(server, request)
    with (
        api.stream("GET", f"/stream/{gate.name}") as flask,
        api.stream("GET", f"/api/stream/{gate.name}") as fastapi,
    ):
        parts = [stream.iter_text() for stream in (flask, fastapi)]
        assert [next(part) for part in parts] == ["first ", "first "]
        gate.touch()
        assert ["".join(part) for part in parts] == ["second", "second"]


def test_websocket_beside_flask(server: Server) -> None:
    with websocket(server, "/api/chat/tea") as one, websocket(server, "/api/chat/rum") as two:
        for number in range(5):
            one.send(str(number))
            two.send(str(number))
            assert get(server, "/")[0] == 200
            assert hear(one) == f"tea: {number} at /api/chat/tea"
            assert hear(two) == f"rum: {number} at /api/chat/rum"
        one.send("bye")
        assert close_of(one) == (4000, "bye")


def test_background_task_runs(api: httpx.Client, server: Server) -> None:
    token = os.urandom(4).hex()
    assert api.get(f"/api/later/{token}").json() == {"answered": True}
    assert server.recorded(f"later {token}")


def test_fastapi_is_quick_while_flask_is_slow(
    server: Server, request: pytest.FixtureRequest
) -> None:
    gate = gate_of(server, request)
    with ThreadPoolExecutor(8) as pool:
        slow = [pool.submit(get, server, f"/slow/{gate.name}") for _ in range(8)]
        assert eventually(lambda: server.events().count(f"slow {gate.name}") == 8)
        began = time.monotonic()
        for number in range(50):
            assert get(server, f"/api/items/{number}")[0] == 200
        assert get(server, "/api/sync") == (200, b'{"slept":true}')
        assert get(server, "/hello/you")[0] == 200
        assert time.monotonic() - began < 3
        gate.touch()
        assert {future.result() for future in slow} == {(200, b"slept")}


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/teams/legacy/fails", "legacy fails"),
        ("/api/fails", "FastAPI fails"),
        ("/fails", "native fails"),
    ],
)
def test_exception_of_each_is_500_and_in_the_log(
    api: httpx.Client, server: Server, path: str, words: str
) -> None:
    assert api.get(path).status_code == 500
    assert eventually(lambda: f"RuntimeError: {words}" in server.log())
    assert api.get("/").text == "old at /"


def test_many_clients_of_all_apps_at_once(server: Server) -> None:
    expected = {
        "/": b"old at /",
        "/teams/legacy/": b"legacy at /teams/legacy",
        "/hello-async/x": b"Hello, x, later.",
        "/api/sync": b'{"slept":true}',
        "/teams/none": b"404 Not Found\n",
    }
    paths = list(expected)

    def some(number: int) -> list[tuple[str, bytes]]:
        answers = []
        with httpx.Client(base_url=server.url, trust_env=False, timeout=20) as client:
            for turn in range(20):
                path = paths[(number + turn) % len(paths)]
                answers.append((path, client.get(path).content))
        return answers

    for answers in in_parallel(8, some):
        for path, body in answers:
            assert body == expected[path]


def test_http_2_carries_all_apps(server: Server) -> None:
    with niquests.Session(
        base_url=server.url, timeout=20, disable_http1=True, disable_http3=True
    ) as client:
        client.trust_env = False
        for _ in range(3):
            for path, text in [("/", "old at /"), ("/teams/legacy/", "legacy at /teams/legacy")]:
                response = client.get(path)
                assert (response.http_version, response.text) == (20, text)
            assert client.get("/api/items/7").json()["number"] == 7
            assert client.get("/hello-async/x").text == "Hello, x, later."


def test_stop_answers_what_is_in_flight_and_ends_the_lifespans(
    setup: Setup, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if setup.workers > 1:
        pytest.skip("the workers' order is not known")
    (tmp_path / "site_of_all.py").write_text(SITE, encoding="utf-8")
    with serve("site_of_all:mux", setup, tmp_path, cwd=tmp_path) as server:
        gate = gate_of(server, request)
        answers: dict[str, Any] = {}

        def ask(path: str) -> None:
            answers[path] = get(server, path)

        paths = [f"/slow/{gate.name}", f"/stream/{gate.name}", f"/api/stream/{gate.name}"]
        threads = [threading.Thread(target=ask, args=(path,)) for path in paths]
        for thread in threads:
            thread.start()
        assert server.recorded(f"slow {gate.name}")
        assert eventually(lambda: server.events().count(f"stream {gate.name}") == 2)
        server.terminate()
        assert eventually(lambda: "stopping" in server.log())
        gate.touch()
        for thread in threads:
            thread.join()
        assert answers[paths[0]] == (200, b"slept")
        assert answers[paths[1]] == answers[paths[2]] == (200, b"first second")
        assert server.wait() == 0
        ours = [event for event in server.events() if event[0] in "FS"]
        assert ours == [
            "FastAPI started",
            "Starlette started",
            "Starlette stopped",
            "FastAPI stopped",
        ]
