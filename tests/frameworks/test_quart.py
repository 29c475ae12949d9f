"""What is Quart's own (apps/quart_app.py); the rest is in test_asgi_frameworks.py."""

import hashlib
import json
from collections.abc import Iterator

import httpx
import pytest

from .asgi_clients import denial, hear, http_client, loop_of, on_both_loops, open_gate, websocket
from .serving import Server, Setup, serve


@pytest.fixture(scope="module", params=on_both_loops())
def setup(request: pytest.FixtureRequest) -> Setup:
    return loop_of(request)


@pytest.fixture(scope="module")
def server(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve("quart_app:app", setup, tmp_path_factory.mktemp("quart")) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with http_client(server) as client:
        yield client


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


def test_sync_endpoint_runs_beside_the_loop(client: httpx.Client) -> None:
    assert client.get("/sync").json() == {"on_the_loop": False}


def test_background_task_runs_after_the_answer(client: httpx.Client, server: Server) -> None:
    # The task waits for the gate: were the answer held back for it, it would not come.
    assert client.post("/background/late").status_code == 202
    assert "background late" not in server.events()
    open_gate(server, "late")
    assert server.recorded("background late")


def test_too_large_body_is_413(client: httpx.Client) -> None:
    assert client.post("/form", data={"text": "x" * 21 * 1024 * 1024}).status_code == 413


def test_handshake_is_denied_with_the_response_of_the_app(server: Server) -> None:
    answer = denial(server, "/ws/denied")
    assert (answer.status_code, answer.headers["X-Reason"]) == (401, "ticket")
    assert answer.body == b"not without a ticket"


def test_socket_knows_the_session_and_the_query(client: httpx.Client, server: Server) -> None:
    cookie = client.post("/session", json={"name": "Zoë"}).headers["Set-Cookie"].split(";")[0]
    with websocket(server, "/ws/session?q=a%26b", additional_headers={"Cookie": cookie}) as socket:
        assert json.loads(hear(socket)) == {"name": "Zoë", "q": "a&b"}


def test_what_comes_before_the_app_has_accepted_is_not_lost(server: Server) -> None:
    """Quart receives from the first moment on; this room accepts somewhat later."""
    with websocket(server, "/ws/room/early") as socket:
        socket.send("sent ahead")
        assert [hear(socket), hear(socket)] == ["joined", "sent ahead"]
