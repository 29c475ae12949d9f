"""python-socketio under ASGI (apps/socketio_asgi_app.py), with its own AsyncClient."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest
import socketio
from engineio.payload import Payload

from .asgi_clients import TIMEOUT, loop_of, on_both_loops
from .serving import Server, Setup, get, serve

# Else the client drops a poll that brings more packets than 16.
Payload.max_decode_packets = 1000


@pytest.fixture(scope="module", params=on_both_loops())
def setup(request: pytest.FixtureRequest) -> Setup:
    return loop_of(request)


@pytest.fixture(scope="module")
def server(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve("socketio_asgi_app:app", setup, tmp_path_factory.mktemp("socketio")) as server:
        yield server


@pytest.fixture(params=["websocket", "polling,websocket"])
def transports(request: pytest.FixtureRequest) -> list[str]:
    """The second is what browsers do: they begin by polling, then go over to WebSocket."""
    return str(request.param).split(",")


class Client:
    """A connected client that keeps what it hears, by event."""

    def __init__(self) -> None:
        self.sio = socketio.AsyncClient(
            reconnection=False, request_timeout=TIMEOUT, handle_sigint=False
        )
        self.heard: dict[str, asyncio.Queue[Any]] = {}
        for event in ("said", "number", "announced"):
            self.heard[event] = asyncio.Queue()
            self.sio.on(event, self.heard[event].put)

    async def next(self, event: str) -> Any:
        return await asyncio.wait_for(self.heard[event].get(), TIMEOUT)

    async def call(self, event: str, *data: Any, namespace: str | None = None) -> Any:
        sent = data[0] if len(data) == 1 else data or None
        return await self.sio.call(event, sent, namespace=namespace, timeout=TIMEOUT)


@asynccontextmanager
async def connected(server: Server, transports: list[str], **auth: str) -> AsyncIterator[Client]:
    client = Client()
    try:
        await client.sio.connect(
            server.url,
            transports=transports,
            auth=auth,
            wait_timeout=TIMEOUT,
            namespaces=["/", "/shop"],
        )
        yield client
    finally:
        await client.sio.disconnect()
        await client.sio.eio.wait()
        if client.sio.eio.http:
            await client.sio.eio.http.close()


def test_ordinary_app_beside_it_runs_on_the_chosen_loop(server: Server, setup: Setup) -> None:
    assert get(server, "/loop")[1].decode().split(".")[0] == setup.loop


def test_transport_is_the_one_asked_for(server: Server, transports: list[str]) -> None:
    async def talk() -> None:
        async with connected(server, transports, name="Zoë") as client:
            assert client.sio.transport() == transports[-1]
            assert await client.call("add", 2, 3) == (5, "Zoë")

    asyncio.run(talk())


def test_text_and_binary_come_back_whole(server: Server, transports: list[str]) -> None:
    async def talk() -> None:
        async with connected(server, transports) as client:
            for text in ("hello", "Grüße 東京 🚀", "x" * 300_000):
                assert await client.call("echo", text) == text
            sent = {"name": "photo", "data": os.urandom(500_000), "list": [b"", b"\0"]}
            assert await client.call("echo", sent) == sent
            price = await client.call("price", "tea", namespace="/shop")
            assert price == {"item": "tea", "price": 3}

    asyncio.run(talk())


def test_broadcast_reaches_the_others(server: Server, transports: list[str]) -> None:
    async def talk() -> None:
        async with AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(connected(server, transports, name=f"client {n}"))
                for n in range(4)
            ]
            await clients[0].sio.emit("say", "to all others")
            for other in clients[1:]:
                assert await other.next("said") == ["client 0", "to all others"]
            # The one who spoke has heard nothing up to its own next answer.
            await clients[0].call("add", 1, 1)
            assert clients[0].heard["said"].empty()

    asyncio.run(talk())


def test_clients_that_came_by_both_ways_meet_in_a_room(server: Server) -> None:
    async def talk() -> None:
        async with (
            connected(server, ["websocket"], name="socket") as one,
            connected(server, ["polling", "websocket"], name="poll") as two,
            connected(server, ["websocket"], name="outside") as outside,
        ):
            for member in (one, two):
                assert await member.call("join", "kitchen") is True
            await one.sio.emit("tell", ("kitchen", "ping"))
            assert await one.next("said") == await two.next("said") == ["socket", "ping"]
            await two.sio.emit("tell", ("kitchen", "pong"))
            assert await one.next("said") == await two.next("said") == ["poll", "pong"]
            await outside.call("add", 1, 1)
            assert outside.heard["said"].empty()

    asyncio.run(talk())


def test_background_task_emits_in_order(server: Server, transports: list[str]) -> None:
    async def talk() -> None:
        async with connected(server, transports) as client:
            await client.sio.emit("count", 200)
            assert [await client.next("number") for _ in range(200)] == list(range(200))

    asyncio.run(talk())


def test_ordinary_request_speaks_to_all_who_are_connected(
    server: Server, transports: list[str]
) -> None:
    async def talk() -> None:
        async with (
            connected(server, transports) as one,
            connected(server, transports) as two,
            httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=TIMEOUT) as http,
        ):
            assert (await http.post("/announce", json={"text": "Grüße"})).status_code == 204
            for client in (one, two):
                assert await client.next("announced") == {"text": "Grüße"}

    asyncio.run(talk())


def test_refused_client_is_not_connected(server: Server, transports: list[str]) -> None:
    async def talk() -> None:
        with pytest.raises(socketio.exceptions.ConnectionError):
            async with connected(server, transports, token="wrong"):
                pass

    asyncio.run(talk())


def test_server_learns_that_a_client_has_left(server: Server, transports: list[str]) -> None:
    name = "-".join(transports)

    async def talk() -> None:
        async with connected(server, transports, name=name):
            assert f"gone {name}" not in server.events()

    asyncio.run(talk())
    assert server.recorded(f"gone {name}")
