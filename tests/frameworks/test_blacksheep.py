"""What is BlackSheep's own (apps/blacksheep_app.py); the rest is in test_asgi_frameworks.py."""

import hashlib
import json
from collections.abc import Iterator

import httpx
import pytest

from .asgi_clients import close_of, hear, http_client, loop_of, on_both_loops, websocket
from .serving import Server, Setup, serve


@pytest.fixture(scope="module", params=on_both_loops())
def setup(request: pytest.FixtureRequest) -> Setup:
    return loop_of(request)


@pytest.fixture(scope="module")
def server(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve("blacksheep_app:app", setup, tmp_path_factory.mktemp("blacksheep")) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with http_client(server) as client:
        yield client


def test_controller_binds_its_body(client: httpx.Client) -> None:
    answer = client.post("/tasks", json={"title": "Grüße", "price": 2.5})
    assert (answer.status_code, answer.json()) == (201, {"title": "Grüße", "price": 2.5})
    assert client.post("/tasks", content=b"{").status_code == 400
    assert client.get("/tasks/tea").json() == {"title": "tea"}


def test_body_reaches_the_app_while_it_is_sent(client: httpx.Client, server: Server) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"early"
        assert server.recorded("first chunk")
        yield b"late" * 50_000

    sent = b"early" + b"late" * 50_000
    assert client.post("/stream", content=chunks()).json() == {
        "size": len(sent),
        "sha256": hashlib.sha256(sent).hexdigest(),
    }


def test_server_sent_events_come_in_order(client: httpx.Client) -> None:
    answer = client.get("/sse/3")
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    data = [line for line in answer.text.splitlines() if line.startswith("data:")]
    assert [json.loads(line[5:]) for line in data] == [{"number": n} for n in range(3)]


def test_response_has_its_own_status_and_headers(client: httpx.Client) -> None:
    answer = client.get("/teapot")
    assert (answer.status_code, answer.text) == (418, "short and stout")
    assert answer.headers["X-Kind"] == "pot"


def test_socket_speaks_json_with_what_the_query_says(server: Server) -> None:
    with websocket(server, "/ws/json?start=10") as socket:
        socket.send(json.dumps({"numbers": [1, 2, 3]}))
        assert json.loads(hear(socket)) == {"sum": 16}
        assert close_of(socket)[0] == 1000
