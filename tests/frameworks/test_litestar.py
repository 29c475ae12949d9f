"""What is Litestar's own (apps/litestar_app.py); the rest is in test_asgi_frameworks.py."""

import json
from collections.abc import Iterator

import httpx
import pytest

from .asgi_clients import (
    close_of,
    denial,
    hear,
    http_client,
    loop_of,
    on_both_loops,
    open_gate,
    websocket,
)
from .serving import Server, Setup, serve


@pytest.fixture(scope="module", params=on_both_loops())
def setup(request: pytest.FixtureRequest) -> Setup:
    return loop_of(request)


@pytest.fixture(scope="module")
def server(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve("litestar_app:app", setup, tmp_path_factory.mktemp("litestar")) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with http_client(server) as client:
        yield client


def test_body_is_validated(client: httpx.Client, server: Server) -> None:
    open_gate(server, "unseen")
    answer = client.post("/tasks", json={"title": "unseen"})
    assert (answer.status_code, answer.json()["title"]) == (201, "unseen")
    refused = client.post("/tasks", json={"done": True})
    assert refused.status_code == 400
    assert "title" in refused.text


def test_background_task_runs_after_the_answer(client: httpx.Client, server: Server) -> None:
    # The task waits for the gate: were the answer held back for it, it would not come.
    assert client.post("/tasks", json={"title": "late"}).json()["title"] == "late"
    assert "background late" not in server.events()
    open_gate(server, "late")
    assert server.recorded("background late")


def test_server_sent_events_come_in_order(client: httpx.Client) -> None:
    answer = client.get("/sse/3")
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    lines = answer.text.replace("\r\n", "\n").split("\n")
    assert [line for line in lines if line.startswith("data:")] == [
        f"data: event {number}" for number in range(3)
    ]


def test_openapi_is_there(client: httpx.Client) -> None:
    paths = client.get("/schema/openapi.json").json()["paths"]
    assert {"/tasks", "/sse/{count}"} <= set(paths)


def test_listener_parses_and_answers_in_json(server: Server) -> None:
    with websocket(server, "/ws/tasks") as socket:
        for title in ("tea", "Grüße"):
            socket.send(json.dumps({"title": title}))
            assert json.loads(hear(socket)) == {"done": title}


def test_dependency_of_a_socket_is_torn_down(server: Server) -> None:
    with websocket(server, "/ws/dependency?token=Zo%C3%AB") as socket:
        assert hear(socket) == "hello Zoë"
        assert close_of(socket)[0] == 1000
    assert server.recorded("dependency closed Zoë")


def test_http_exception_before_the_handshake_refuses_it(server: Server) -> None:
    assert denial(server, "/ws/unauthorized").status_code == 403
