"""Flask-SocketIO on threads (apps/flask_socketio_app.py), with the client of python-socketio."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from queue import Queue
from typing import Any

import niquests
import pytest
import requests
import socketio
from engineio.payload import Payload

from .serving import Server, Setup, in_parallel, serve

# Else the client drops a poll that brings more packets than 16.
Payload.max_decode_packets = 1000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("flask-socketio")
    # One worker, as Socket.IO needs; each client holds a thread or two.
    with serve(
        "flask_socketio_app:app", Setup("wsgi", 1), folder, env={"GOHTTP_THREADS": "32"}
    ) as server:
        yield server


@pytest.fixture(params=["websocket", "polling", "polling,websocket"])
def transports(request: pytest.FixtureRequest) -> list[str]:
    """The last is what browsers do: they begin by polling, then go over to WebSocket."""
    return str(request.param).split(",")


class Client:
    """A connected client that keeps what it hears, by event."""

    def __init__(self, server: Server, transports: list[str], auth: dict[str, Any]) -> None:
        self.http = requests.Session()
        self.sio = socketio.Client(
            reconnection=False, request_timeout=20, http_session=self.http, handle_sigint=False
        )
        self.heard: dict[str, Queue[Any]] = {}
        for event in ("welcome", "message", "said", "number", "announced"):
            self.heard[event] = Queue()
            self.sio.on(event, self.heard[event].put)
        try:
            self.sio.connect(
                server.url,
                transports=transports,
                auth=auth,
                wait_timeout=20,
                namespaces=["/", "/shop"],
            )
        except socketio.exceptions.ConnectionError:
            self.close()
            raise

    def close(self) -> None:
        self.sio.disconnect()
        self.sio.eio.wait()
        self.http.close()

    def next(self, event: str) -> Any:
        return self.heard[event].get(timeout=20)

    def call(self, event: str, *data: Any, namespace: str | None = None) -> Any:
        sent = data[0] if len(data) == 1 else data or None
        return self.sio.call(event, sent, namespace=namespace, timeout=20)


@contextmanager
def connected(server: Server, transports: list[str], name: str) -> Iterator[Client]:
    client = Client(server, transports, {"name": name})
    try:
        yield client
    finally:
        client.close()


def test_transport_is_the_one_asked_for(server: Server, transports: list[str]) -> None:
    with connected(server, transports, "Zoë") as client:
        assert client.next("welcome") == "Zoë"
        assert client.sio.transport() == transports[-1]


def test_emit_is_heard_and_answered(server: Server, transports: list[str]) -> None:
    with connected(server, transports, "one") as client:
        for text in ("hello", "Grüße 東京 🚀", "x" * 300_000):
            client.sio.send(text)
            assert client.next("message") == f"heard {text}"


def test_acknowledgement_brings_what_the_handler_returned(
    server: Server, transports: list[str]
) -> None:
    with connected(server, transports, "adder") as client:
        assert client.call("add", 2, 3) == (5, "adder")
        assert client.call("fail") == "failed: the event is wrong"
        assert client.call("price", "tea", namespace="/shop") == {"item": "tea", "price": 3}


def test_binary_data_comes_back_whole(server: Server, transports: list[str]) -> None:
    data = os.urandom(500_000)
    with connected(server, transports, "binary") as client:
        sent = {"name": "photo", "data": data, "list": [b"", b"\0"]}
        assert client.call("echo", sent) == sent


def test_broadcast_reaches_the_others(server: Server, transports: list[str]) -> None:
    with ExitStack() as stack:
        clients = [
            stack.enter_context(connected(server, transports, f"client {number}"))
            for number in range(4)
        ]
        clients[0].sio.emit("say", "to all others")
        for other in clients[1:]:
            assert other.next("said") == ["client 0", "to all others"]
        # The one who spoke has heard nothing up to its own next answer.
        clients[0].call("add", 1, 1)
        assert clients[0].heard["said"].empty()


def test_clients_of_both_transports_hear_each_other(server: Server) -> None:
    with (
        connected(server, ["websocket"], "socket") as one,
        connected(server, ["polling"], "poll") as two,
    ):
        one.sio.emit("say", "ping")
        assert two.next("said") == ["socket", "ping"]
        two.sio.emit("say", "pong")
        assert one.next("said") == ["poll", "pong"]


def test_room_hears_what_is_said_in_it(server: Server, transports: list[str]) -> None:
    with (
        connected(server, transports, "one") as one,
        connected(server, transports, "two") as two,
        connected(server, transports, "outside") as outside,
    ):
        assert one.call("join", "kitchen") == ["kitchen"]
        assert two.call("join", "kitchen") == ["kitchen"]
        outside.sio.emit("say to", ("kitchen", "dinner"))
        assert one.next("said") == two.next("said") == ["outside", "dinner"]
        assert two.call("leave", "kitchen") == []
        one.sio.emit("say to", ("kitchen", "alone"))
        assert one.next("said") == ["one", "alone"]
        for other in (two, outside):
            other.call("add", 1, 1)
            assert other.heard["said"].empty()


def test_background_thread_emits_in_order(server: Server, transports: list[str]) -> None:
    with connected(server, transports, "counter") as client:
        client.sio.emit("count", 200)
        assert [client.next("number") for _ in range(200)] == list(range(200))


def test_ordinary_request_speaks_to_all_who_are_connected(
    server: Server, client: niquests.Session, transports: list[str]
) -> None:
    with connected(server, transports, "one") as one, connected(server, transports, "two") as two:
        assert client.post("/announce", json={"text": "Grüße"}).status_code == 204
        assert one.next("announced") == two.next("announced") == {"text": "Grüße"}


def test_refused_client_is_not_connected(server: Server, transports: list[str]) -> None:
    with pytest.raises(socketio.exceptions.ConnectionError):
        Client(server, transports, {"token": "wrong"})


def test_server_learns_that_a_client_has_left(server: Server, transports: list[str]) -> None:
    name = "-".join(transports)
    with connected(server, transports, name):
        assert f"gone {name}" not in server.events()
    assert server.recorded(f"gone {name}")


def test_many_clients_call_at_once_beside_ordinary_routes(
    server: Server, transports: list[str]
) -> None:
    def calls(number: int) -> list[Any]:
        if number >= 8:
            with niquests.Session(base_url=server.url) as session:
                return [session.get("/plain").json()["mode"] for _ in range(10)]
        with connected(server, transports, str(number)) as client:
            return [client.call("add", number, turn) for turn in range(10)]

    expected: list[Any] = [
        [(number + turn, str(number)) for turn in range(10)] for number in range(8)
    ]
    assert in_parallel(10, calls) == expected + [["threading"] * 10] * 2
