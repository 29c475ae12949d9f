"""What is Falcon's own (apps/falcon_asgi_app.py); the rest is in test_asgi_frameworks.py."""

import hashlib
import json
from collections.abc import Iterator

import httpx
import pytest

from .asgi_clients import (
    close_of,
    cut,
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
    with serve("falcon_asgi_app:app", setup, tmp_path_factory.mktemp("falcon")) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with http_client(server) as client:
        yield client


def test_http_error_is_its_answer_and_middleware_sees_it(client: httpx.Client) -> None:
    answer = client.get("/forbidden")
    assert answer.status_code == 403
    assert answer.json() == {"title": "Not for you", "description": "at all"}
    assert answer.headers["X-Succeeded"] == "False"
    assert client.get("/pid").headers["X-Succeeded"] == "True"


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


def test_events_stop_when_the_client_leaves(client: httpx.Client, server: Server) -> None:
    with client.stream("GET", "/sse/listener") as response:
        assert response.headers["Content-Type"].startswith("text/event-stream")
        data = (line for line in response.iter_lines() if line.startswith("data:"))
        assert [json.loads(next(data)[5:]) for _ in range(3)] == [{"number": n} for n in range(3)]
        assert "sse left listener" not in server.events()
    assert server.recorded("sse left listener")


def test_background_task_runs_after_the_answer(client: httpx.Client, server: Server) -> None:
    # The task waits for the gate: were the answer held back for it, it would not come.
    assert client.post("/background/late").status_code == 202
    assert "background late" not in server.events()
    open_gate(server, "late")
    assert server.recorded("background late")


def test_media_goes_over_the_socket_and_headers_with_its_handshake(server: Server) -> None:
    with websocket(server, "/ws/media") as socket:
        assert socket.response is not None
        assert socket.response.headers["X-Kind"] == "media"
        socket.send(json.dumps([1, 2, 3]))
        assert json.loads(hear(socket)) == {"sum": 6}
        assert close_of(socket)[0] == 1000


def test_http_error_closes_an_open_socket_with_its_code(server: Server) -> None:
    with websocket(server, "/ws/forbidden") as socket:
        assert close_of(socket) == (3403, "Forbidden")


@pytest.mark.parametrize(("how", "code"), [("closes", 4002), ("is-cut", 1006)])
def test_socket_that_only_sends_learns_that_the_client_left(
    server: Server, how: str, code: int
) -> None:
    with websocket(server, f"/ws/counting/{how}") as socket:
        assert [hear(socket) for _ in range(5)] == ["0", "1", "2", "3", "4"]
        if how == "closes":
            socket.close(code)
        else:
            cut(socket)
    assert server.recorded(f"stopped counting {how} with {code}")
