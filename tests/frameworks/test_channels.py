"""What is Channels' own (apps/channels_app.py); the rest is in test_asgi_frameworks.py."""

import json
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest
from websockets.typing import Origin

from .asgi_clients import denial, hear, http_client, loop_of, on_both_loops, websocket
from .serving import Server, Setup, serve


@pytest.fixture(scope="module", params=on_both_loops())
def setup(request: pytest.FixtureRequest) -> Setup:
    return loop_of(request)


@pytest.fixture(scope="module")
def server(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve("channels_app:application", setup, tmp_path_factory.mktemp("channels")) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with http_client(server) as client:
        yield client


def test_ordinary_view_speaks_to_all_who_are_connected(
    server: Server, client: httpx.Client
) -> None:
    with ExitStack() as stack:
        sockets = [stack.enter_context(websocket(server, "/ws/room/hall")) for _ in range(4)]
        assert [hear(socket) for socket in sockets] == ["joined"] * 4
        assert client.post("/announce/hall", content="Grüße".encode()).status_code == 204
        assert [hear(socket) for socket in sockets] == ["Grüße"] * 4


def test_json_consumer_answers_in_json(server: Server) -> None:
    with websocket(server, "/ws/sum") as socket:
        for numbers in ([1, 2, 3], []):
            socket.send(json.dumps({"numbers": numbers}))
            assert json.loads(hear(socket)) == {"sum": sum(numbers)}


def test_sync_consumer_runs_in_a_thread_with_the_session(
    server: Server, client: httpx.Client
) -> None:
    cookie = client.post("/session", data={"name": "Zoë"}).headers["Set-Cookie"].split(";")[0]
    with websocket(server, "/ws/thread", additional_headers={"Cookie": cookie}) as socket:
        assert json.loads(hear(socket)) == {"name": "Zoë", "on_the_loop": False}


def test_http_consumer_streams_its_answer(client: httpx.Client) -> None:
    assert client.post("/long-poll", content=b"letters").text == "letters!"


def test_foreign_origin_is_refused(server: Server) -> None:
    own, foreign = Origin("http://shop.example"), Origin("http://evil.example")
    assert denial(server, "/ws/own-origin", origin=foreign).status_code == 403
    assert denial(server, "/ws/own-origin").status_code == 403
    with websocket(server, "/ws/own-origin", origin=own) as socket:
        socket.send("hello")
        assert hear(socket) == "hello"
