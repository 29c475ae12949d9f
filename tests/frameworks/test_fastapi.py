"""FastAPI (apps/fastapi_app.py), and examples/myfastapi.py."""

import hashlib
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import niquests
import pytest

from .asgi_clients import close_of, cut, denial, hear, websocket
from .serving import (
    EXAMPLES,
    REFERENCE,
    Server,
    Setup,
    eventually,
    get,
    in_parallel,
    pids_seen,
    recorded_over_http,
    serve,
    session_for,
    setups,
)

DOCUMENT = os.urandom(3 * 1024 * 1024 + 11)


@pytest.fixture(scope="module", params=setups("asgi"))
def setup(request: pytest.FixtureRequest) -> Setup:
    setup: Setup = request.param
    return setup


@pytest.fixture(scope="module")
def server(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("fastapi")
    (folder / "document.bin").write_bytes(DOCUMENT)
    with serve("fastapi_app:app", setup, folder) as server:
        yield server


def open_gate(server: Server, token: str) -> None:
    (server.folder / f"gate-{token}").touch()


def test_every_worker_answers(server: Server, setup: Setup) -> None:
    assert len(pids_seen(server, "/pid", setup.workers)) == setup.workers


# --- endpoints and validation -------------------------------------------------------------------


def test_async_endpoint_runs_on_the_chosen_loop(client: niquests.Session, setup: Setup) -> None:
    loop = client.get("/async").json()["loop"]
    assert loop.split(".")[0] == setup.loop


def test_sync_endpoint_runs_in_a_thread(client: niquests.Session) -> None:
    assert client.get("/sync").json() == {"main_thread": False}


def test_parameters_come_from_path_query_header_and_cookie(client: niquests.Session) -> None:
    response = client.get(
        "/items/7",
        params={"q": ["žluť", "a&b c"], "limit": "5"},
        headers={"X-Token": "secret"},
        cookies={"flavour": "mint"},
    )
    assert response.json() == {
        "number": 7,
        "q": ["žluť", "a&b c"],
        "limit": 5,
        "token": "secret",
        "flavour": "mint",
    }


def test_body_is_validated_and_filled(client: niquests.Session) -> None:
    response = client.put("/items/7", json={"name": "Grüner Tee", "price": 2.5})
    assert response.json() == {"number": 7, "name": "Grüner Tee", "price": 2.5, "tags": []}


@pytest.mark.parametrize(
    ("method", "path", "body", "where"),
    [
        ("GET", "/items/seven", None, ["path", "number"]),
        ("GET", "/items/0", None, ["path", "number"]),
        ("GET", "/items/1?limit=101", None, ["query", "limit"]),
        ("PUT", "/items/1", {"name": "tea", "price": -1}, ["body", "price"]),
        ("PUT", "/items/1", {"price": 1}, ["body", "name"]),
        ("PUT", "/items/1", None, ["body"]),
    ],
)
def test_what_is_not_valid_is_422(
    client: niquests.Session, method: str, path: str, body: object, where: list[str]
) -> None:
    response = client.request(method, path, json=body)
    assert response.status_code == 422
    assert [fault["loc"] for fault in response.json()["detail"]] == [where]


def test_body_that_is_no_json_is_422(client: niquests.Session) -> None:
    headers = {"Content-Type": "application/json"}
    response = client.put("/items/1", data=b'{"name": ', headers=headers)
    assert response.status_code == 422
    assert response.json()["detail"][0]["type"] == "json_invalid"


def test_204_has_no_body_and_keeps_the_connection(server: Server) -> None:
    with closing(server.connect()) as connection:
        for _ in range(2):
            connection.request("DELETE", "/items/1")
            response = connection.getresponse()
            assert (response.status, response.read()) == (204, b"")
            assert "Transfer-Encoding" not in response.headers


def test_http_exception_has_its_status_and_headers(client: niquests.Session) -> None:
    response = client.delete("/items/404")
    assert (response.status_code, response.json()) == (404, {"detail": "no such item"})
    assert response.headers["X-Reason"] == "never was"


def test_exception_handler_answers_for_its_exception(client: niquests.Session) -> None:
    response = client.delete("/items/409")
    assert (response.status_code, response.json()) == (409, {"out_of_stock": "tea"})


@pytest.mark.parametrize("kind", ["async", "sync"])
def test_exception_is_500_with_a_traceback_in_the_log(
    client: niquests.Session, server: Server, kind: str
) -> None:
    response = client.get(f"/fails/{kind}")
    assert (response.status_code, response.text) == (500, "Internal Server Error")
    assert eventually(lambda: f"RuntimeError: the {kind} endpoint fails" in server.log())
    assert get(server, "/pid")[0] == 200


@pytest.mark.skipif(REFERENCE, reason="uvicorn closes the connection without saying so before")
def test_connection_lives_on_after_an_exception_or_is_said_to_end(server: Server) -> None:
    with closing(server.connect()) as connection:
        for _ in range(10):
            connection.request("GET", "/fails/async")
            response = connection.getresponse()
            assert (response.status, response.read()) == (500, b"Internal Server Error")
            # where the answer says "Connection: close", http.client connects anew
        connection.request("GET", "/pid")
        assert connection.getresponse().status == 200


def test_head_and_options(server: Server) -> None:
    with closing(server.connect()) as connection:
        answers = {}
        for method in ("HEAD", "OPTIONS", "GET"):
            connection.request(method, "/both")
            response = connection.getresponse()
            answers[method] = (response.status, response.read(), response.headers["Content-Length"])
        connection.request("HEAD", "/pid")
        refused = connection.getresponse()
        assert (refused.status, refused.headers["Allow"]) == (405, "GET")
    body = b'{"answer":"to both"}'
    assert answers == {
        "HEAD": (200, b"", str(len(body))),
        "OPTIONS": (200, body, str(len(body))),
        "GET": (200, body, str(len(body))),
    }


def test_several_cookies_in_one_answer(client: niquests.Session) -> None:
    client.get("/cookies")
    assert client.cookies.get_dict() == {"one": "1", "two": "2"}


def test_docs_and_openapi_are_there(client: niquests.Session) -> None:
    assert "swagger-ui" in (client.get("/docs").text or "")
    schema = client.get("/openapi.json").json()
    assert schema["info"]["title"] == "Shop"
    assert set(schema["paths"]["/items/{number}"]) == {"get", "put", "delete"}


# --- middleware ---------------------------------------------------------------------------------


def test_http_middleware_adds_its_header(client: niquests.Session) -> None:
    for path in ("/wrapped/pid", "/wrapped/stream/async?count=10", "/wrapped/no-such-page"):
        assert float(str(client.get(path).headers["X-Process-Time"])) >= 0


def test_cors_preflight_is_answered(client: niquests.Session) -> None:
    wish = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "X-Token"}
    allowed = client.options("/wrapped/pid", headers={"Origin": "https://shop.example", **wish})
    assert allowed.status_code == 200
    assert allowed.headers["Access-Control-Allow-Origin"] == "https://shop.example"
    assert "PUT" in str(allowed.headers["Access-Control-Allow-Methods"])
    other = client.options("/wrapped/pid", headers={"Origin": "https://other.example", **wish})
    assert other.status_code == 400


def test_cors_headers_are_on_plain_answers(client: niquests.Session) -> None:
    response = client.get("/wrapped/pid", headers={"Origin": "https://shop.example"})
    assert response.headers["Access-Control-Allow-Origin"] == "https://shop.example"
    assert response.headers["Access-Control-Allow-Credentials"] == "true"


def test_gzip_is_used_where_it_is_wanted(client: niquests.Session) -> None:
    expected = "".join(f"line {number}\n" for number in range(300))
    for path in ("/wrapped/stream/async?count=300", "/wrapped/stream/sync?count=300"):
        packed = client.get(path, headers={"Accept-Encoding": "gzip"})
        assert packed.headers["Content-Encoding"] == "gzip"
        assert packed.text == expected
        plain = client.get(path, headers={"Accept-Encoding": "identity"})
        assert "Content-Encoding" not in plain.headers
        assert plain.text == expected


# --- streams and files --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["async", "sync"])
def test_stream_is_complete(server: Server, kind: str) -> None:
    count = 3000
    status, body = get(server, f"/stream/{kind}?count={count}")
    assert status == 200
    assert body == b"".join(b"line %d\n" % number for number in range(count))


def test_stream_is_sent_while_it_is_made(server: Server) -> None:
    with closing(server.connect()) as connection:
        connection.request("GET", "/stream/gated/stream")
        response = connection.getresponse()
        assert response.read(5) == b"first"
        open_gate(server, "stream")
        assert response.read() == b"second"


def test_file_response_sends_a_file(client: niquests.Session) -> None:
    headers = {"Accept-Encoding": "identity"}
    response = client.get("/file", headers=headers)
    assert response.content == DOCUMENT
    assert int(str(response.headers["Content-Length"])) == len(DOCUMENT)
    part = client.get("/file", headers={**headers, "Range": "bytes=1000-1999"})
    assert part.status_code == 206
    assert part.content == DOCUMENT[1000:2000]


def test_upload_file_arrives_whole(client: niquests.Session, upload_bytes: bytes) -> None:
    files, data = {"file": ("größe.bin", upload_bytes)}, {"title": "Größe"}
    assert client.post("/upload", files=files, data=data).json() == {
        "name": "größe.bin",
        "size": len(upload_bytes),
        "sha256": hashlib.sha256(upload_bytes).hexdigest(),
        "title": "Größe",
    }


def test_upload_to_a_sync_endpoint_arrives_whole(
    client: niquests.Session, upload_bytes: bytes
) -> None:
    assert client.post("/upload/sync", files={"file": ("x.bin", upload_bytes)}).json() == {
        "size": len(upload_bytes),
        "sha256": hashlib.sha256(upload_bytes).hexdigest(),
    }


# --- what happens around the answer -------------------------------------------------------------


def test_background_tasks_run_after_the_answer(client: niquests.Session, server: Server) -> None:
    # The tasks wait for the gate: were the answer held back for them, it would not come.
    assert client.post("/background/late").json() == {"answered": "late"}
    assert "background async late" not in server.events()
    open_gate(server, "late")
    assert server.recorded("background async late")
    assert server.recorded("background sync late")


def test_dependencies_are_torn_down(client: niquests.Session, server: Server) -> None:
    assert client.get("/dependency/fine").json() == ["FINE", "Fine"]
    assert server.recorded("closed fine")
    own = [event for event in server.events() if event.endswith(" fine")]
    assert own == ["opened fine", "sync closed fine", "closed fine"]


def test_dependency_sees_the_failure_of_its_endpoint(
    client: niquests.Session, server: Server
) -> None:
    assert client.get("/dependency/bad/fails").status_code == 500
    assert server.recorded("closed bad")
    own = [event for event in server.events() if event.endswith(" bad")]
    assert own == ["opened bad", "failed bad", "closed bad"]


def test_lifespan_state_belongs_to_the_worker(client: niquests.Session) -> None:
    answers = [client.get("/state").json() for _ in range(3)]
    for answer in answers:
        assert answer["opened_in"] == answer["pid"]
    for pid in {answer["pid"] for answer in answers}:
        counts = [answer["count"] for answer in answers if answer["pid"] == pid]
        assert counts == list(range(counts[0], counts[0] + len(counts)))


def test_lifespan_state_is_copied_for_each_request(client: niquests.Session) -> None:
    answers = [client.get("/state/change").json() for _ in range(8)]
    assert answers == [{"changed_before": False}] * 8


def test_lifespan_starts_and_stops_in_every_worker(setup: Setup, tmp_path: Path) -> None:
    with serve("fastapi_app:app", setup, tmp_path) as server:
        pids = {pid.decode() for pid in pids_seen(server, "/pid", setup.workers)}
        assert len(pids) == setup.workers
        assert {f"started {pid}" for pid in pids} == set(server.events())
        server.terminate()
        server.wait()
        assert {f"stopped {pid}" for pid in pids} < set(server.events())


def test_stop_lets_a_running_request_finish(setup: Setup, tmp_path: Path) -> None:
    with serve("fastapi_app:app", setup, tmp_path) as server, closing(server.connect()) as client:
        client.request("GET", "/stream/gated/stop")
        response = client.getresponse()
        assert response.read(5) == b"first"
        server.terminate()
        open_gate(server, "stop")
        assert response.read() == b"second"
        server.wait()


# --- clients that leave -------------------------------------------------------------------------


def test_endpoint_can_see_that_the_client_left(server: Server) -> None:
    with closing(server.connect()) as connection:
        connection.request("GET", "/watch/left")
        assert server.recorded("watching left")
        assert "disconnected left" not in server.events()
    assert server.recorded("disconnected left")


def test_generator_ends_when_the_client_leaves(server: Server) -> None:
    with closing(server.connect()) as connection:
        connection.request("GET", "/endless/tired")
        assert len(connection.getresponse().read(50_000)) == 50_000
        assert "left tired" not in server.events()
    assert recorded_over_http(server, "left tired")


# --- WebSockets ---------------------------------------------------------------------------------


@pytest.fixture
def room_server(server: Server, setup: Setup) -> Server:
    if setup.workers > 1:
        pytest.skip("a room is in the memory of one worker")
    return server


def test_room_hears_who_enters_speaks_and_leaves(room_server: Server) -> None:
    with websocket(room_server, "/ws/room/hall?name=Zo%C3%AB") as zoe:
        assert hear(zoe) == "Zoë entered"
        with websocket(room_server, "/ws/room/hall?name=Bob") as bob:
            assert hear(zoe) == hear(bob) == "Bob entered"
            zoe.send("Grüße")
            assert hear(zoe) == hear(bob) == "Zoë: Grüße"
        assert hear(zoe) == "Bob left"
        with websocket(room_server, "/ws/room/hall?name=Ann") as ann:
            assert hear(zoe) == hear(ann) == "Ann entered"
            cut(ann)
            assert hear(zoe) == "Ann left"


def test_parameter_of_a_socket_is_validated_before_the_handshake(server: Server) -> None:
    assert denial(server, "/ws/room/hall?name=").status_code == 403
    assert denial(server, "/ws/room/hall").status_code == 403


def test_dependency_of_a_socket_refuses_it(server: Server) -> None:
    assert denial(server, "/ws/dependency/7?token=wrong").status_code == 403


def test_socket_exchanges_json_and_its_dependency_is_torn_down(server: Server) -> None:
    path = "/ws/dependency/7?token=right"
    with websocket(server, path, additional_headers={"Cookie": "flavour=mint"}) as socket:
        assert socket.response is not None
        assert socket.response.headers["X-Room"] == "7"
        greeting = {"room": 7, "token": "right mint", "resource": "RIGHT"}
        assert json.loads(hear(socket)) == greeting
        for name in ("tea", "Grüner Tee"):
            socket.send(json.dumps({"name": name, "price": 2.5}))
            assert json.loads(hear(socket)) == {"name": name, "price": 2.5, "tags": []}
        socket.close(4010, "größer")
    assert server.recorded("dependency left 4010 größer")
    assert server.recorded("closed right")


def test_socket_answers_while_its_task_works(server: Server) -> None:
    with websocket(server, "/ws/tasks/socket-task") as socket:
        for text in ("one", "two"):
            socket.send(text)
            assert hear(socket) == text.upper()
        open_gate(server, "socket-task")
        assert hear(socket) == "worked"
    assert server.recorded("task over socket-task True")


def test_task_of_a_socket_ends_with_it(server: Server) -> None:
    with websocket(server, "/ws/tasks/never-opened") as socket:
        socket.send("here")
        assert hear(socket) == "HERE"
        cut(socket)
    assert server.recorded("task over never-opened False")


def test_exception_closes_the_socket_with_1011_and_tells_nothing(server: Server) -> None:
    with websocket(server, "/ws/fails") as socket:
        assert close_of(socket) == (1011, "")
    assert eventually(lambda: "the socket fails; the password is hunter2" in server.log())


# --- many at once -------------------------------------------------------------------------------


def test_fifty_sleeping_endpoints_sleep_at_once(server: Server) -> None:
    start = time.monotonic()
    answers = in_parallel(50, lambda _: get(server, "/sleep/async/100"))
    assert time.monotonic() - start < 2  # one after another they take 5 seconds
    assert answers == [(200, b'{"slept":100}')] * 50


def test_sync_endpoints_run_in_parallel(server: Server) -> None:
    start = time.monotonic()
    answers = in_parallel(10, lambda _: get(server, "/sleep/sync/300"))
    assert time.monotonic() - start < 1.8  # one after another they take 3 seconds
    assert answers == [(200, b'{"slept":300}')] * 10


def test_slow_requests_do_not_stop_fast_ones(server: Server) -> None:
    slow_done = threading.Event()

    def slow(kind: str) -> None:
        get(server, f"/sleep/{kind}/1500")
        slow_done.set()

    slow_ones = [threading.Thread(target=slow, args=(kind,)) for kind in ("sync", "async") * 3]
    for thread in slow_ones:
        thread.start()
    for _ in range(20):
        assert get(server, "/pid")[0] == 200
    assert not slow_done.is_set()
    for thread in slow_ones:
        thread.join()


def test_fifty_clients_on_kept_connections_get_their_own_answers(server: Server) -> None:
    def ask(connection: HTTPConnection, number: int) -> int:
        connection.request("GET", f"/items/{number}?q={number}")
        answer = json.load(connection.getresponse())
        assert answer["q"] == [str(answer["number"])]
        return int(answer["number"])

    def visit(client: int) -> list[int]:
        with closing(server.connect()) as connection:
            return [ask(connection, client * 100 + turn) for turn in range(1, 11)]

    expected = [[client * 100 + turn for turn in range(1, 11)] for client in range(50)]
    assert in_parallel(50, visit) == expected


# --- the example --------------------------------------------------------------------------------


def test_the_example_works(tmp_path: Path) -> None:
    setup = Setup("asgi", 1, "asyncio")
    with (
        serve("myfastapi:app", setup, tmp_path, cwd=EXAMPLES) as server,
        session_for(server) as client,
    ):
        assert client.get("/").status_code == 200
        assert client.post("/tasks", json={"title": ""}).status_code == 422
        number = client.post("/tasks", json={"title": "Grüße"}).json()["id"]
        assert client.get(f"/tasks/{number}").json() == {"title": "Grüße", "done": False}
        assert client.get("/tasks/99").status_code == 404
        assert eventually(lambda: f"task {number} was added: Grüße" in server.log())
        assert client.get("/count", params={"to": 3}).text == "1\n2\n3\n"
        assert (client.get("/squares", params={"to": 9}).text or "").endswith("\r\n9,81\r\n")
        for kind in ("sync", "async"):
            assert client.get(f"/sleep/{kind}", params={"seconds": 0}).json() == {"slept": 0}
        server.terminate()
        server.wait()
        assert eventually(lambda: "stopping with 2 tasks" in server.log())
