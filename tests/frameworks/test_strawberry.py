"""Strawberry GraphQL (apps/strawberry_app.py); subscriptions speak graphql-transport-ws."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import ClientConnection

from .asgi_clients import close_of, cut, hear, http_client, loop_of, on_both_loops, websocket
from .serving import Server, Setup, recorded_over_http, serve

Answer = dict[str, Any]


@pytest.fixture(scope="module", params=on_both_loops())
def setup(request: pytest.FixtureRequest) -> Setup:
    return loop_of(request)


@pytest.fixture(scope="module")
def server(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve("strawberry_app:app", setup, tmp_path_factory.mktemp("strawberry")) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with http_client(server) as client:
        yield client


def ask(client: httpx.Client, query: str, **variables: object) -> Answer:
    answer = client.post("/graphql/", json={"query": query, "variables": variables})
    assert answer.status_code == 200
    result: Answer = answer.json()
    return result


def told(socket: ClientConnection) -> Answer:
    """The next message, without the pings of the protocol."""
    message: Answer = json.loads(hear(socket))
    return message


def tell(socket: ClientConnection, kind: str, **fields: object) -> None:
    socket.send(json.dumps({"type": kind, **fields}))


def subscribe(socket: ClientConnection, number: str, query: str) -> None:
    tell(socket, "subscribe", id=number, payload={"query": f"subscription {{ {query} }}"})


def item(number: str, **data: object) -> Answer:
    return {"id": number, "type": "next", "payload": {"data": data}}


@contextmanager
def connected(server: Server, **params: str) -> Iterator[ClientConnection]:
    with websocket(server, "/graphql/", subprotocols=["graphql-transport-ws"]) as socket:
        assert socket.subprotocol == "graphql-transport-ws"
        tell(socket, "connection_init", payload=params)
        assert told(socket) == {"type": "connection_ack"}
        yield socket


# --- queries and mutations ----------------------------------------------------------------------


def test_query_runs_on_the_chosen_loop(client: httpx.Client, setup: Setup) -> None:
    assert ask(client, "{ loop }")["data"]["loop"].split(".")[0] == setup.loop


def test_query_has_its_variables(client: httpx.Client) -> None:
    texts = ["naïve … 東京", "x" * 200_000]
    query = "query ($texts: [String!]!) { notes(texts: $texts) { number text } }"
    answer = ask(client, query, texts=texts)
    assert answer == {
        "data": {"notes": [{"number": n, "text": text} for n, text in enumerate(texts)]}
    }


def test_upload_in_a_mutation_arrives_whole(client: httpx.Client, upload_bytes: bytes) -> None:
    query = "mutation ($file: Upload!) { upload(file: $file) }"
    operations = json.dumps({"query": query, "variables": {"file": None}})
    form = {"operations": operations, "map": json.dumps({"0": ["variables.file"]})}
    files = {"0": ("photo.bin", upload_bytes)}
    answer = client.post("/graphql/", data=form, files=files)
    assert answer.json() == {"data": {"upload": len(upload_bytes)}}


def test_field_that_fails_is_an_error_of_graphql(client: httpx.Client) -> None:
    answer = ask(client, "{ fails }")
    assert answer["data"] is None
    assert [error["message"] for error in answer["errors"]] == ["this field fails"]


def test_exception_beside_graphql_is_500_that_tells_nothing(client: httpx.Client) -> None:
    answer = client.get("/fails")
    assert (answer.status_code, answer.text) == (500, "Internal Server Error")


# --- subscriptions ------------------------------------------------------------------------------


def test_subscription_brings_each_item_and_completes(server: Server) -> None:
    with connected(server) as socket:
        subscribe(socket, "1", "count(upto: 200)")
        assert [told(socket) for _ in range(200)] == [item("1", count=n) for n in range(200)]
        assert told(socket) == {"id": "1", "type": "complete"}


def test_ping_of_the_protocol_is_answered(server: Server) -> None:
    with connected(server) as socket:
        tell(socket, "ping")
        assert told(socket) == {"type": "pong"}


def test_what_a_mutation_says_reaches_all_who_subscribed(
    server: Server, client: httpx.Client
) -> None:
    with ExitStack() as stack:
        sockets = [stack.enter_context(connected(server, token=f"t{n}")) for n in range(4)]
        for number, socket in enumerate(sockets):
            subscribe(socket, "said", f'said(name: "all-{number}")')
            assert told(socket) == item("said", said=f"ready t{number}")
        say = "mutation ($text: String!) { say(text: $text) }"
        assert ask(client, say, text="Grüße")["data"]["say"] >= 4
        for socket in sockets:
            assert told(socket) == item("said", said="Grüße")


def test_several_subscriptions_share_a_socket(server: Server, client: httpx.Client) -> None:
    with connected(server) as socket:
        subscribe(socket, "open", 'said(name: "shared")')
        assert told(socket) == item("open", said="ready None")
        subscribe(socket, "short", "count(upto: 2)")
        assert [told(socket) for _ in range(3)] == [
            item("short", count=0),
            item("short", count=1),
            {"id": "short", "type": "complete"},
        ]
        ask(client, 'mutation { say(text: "still here") }')
        assert told(socket) == item("open", said="still here")


def test_subscription_that_the_client_completes_ends_in_the_app(server: Server) -> None:
    with connected(server) as socket:
        subscribe(socket, "1", 'said(name: "completed")')
        assert told(socket)["type"] == "next"
        tell(socket, "complete", id="1")
        assert recorded_over_http(server, "left completed")
        tell(socket, "ping")
        assert told(socket) == {"type": "pong"}


@pytest.mark.parametrize("how", ["closes", "is-cut"])
def test_subscription_ends_in_the_app_when_the_client_leaves(server: Server, how: str) -> None:
    with connected(server) as socket:
        subscribe(socket, "1", f'said(name: "{how}")')
        assert told(socket)["type"] == "next"
        assert f"left {how}" not in server.events()
        if how == "is-cut":
            cut(socket)
    assert recorded_over_http(server, f"left {how}")


def test_subscription_that_fails_says_so_and_the_socket_lives_on(server: Server) -> None:
    with connected(server) as socket:
        subscribe(socket, "1", "fails")
        assert told(socket) == item("1", fails=1)
        failed = told(socket)
        assert "this subscription fails" in json.dumps(failed)
        tell(socket, "ping")
        answers = [told(socket)]
        while answers[-1]["type"] != "pong":
            answers.append(told(socket))
        assert [answer["type"] for answer in answers] in (["pong"], ["complete", "pong"])


@pytest.mark.parametrize(
    ("first", "code"),
    [
        ({"type": "subscribe", "id": "1", "payload": {"query": "{ loop }"}}, 4401),
        ({"type": "nonsense"}, 4400),
    ],
)
def test_client_that_breaks_the_protocol_is_closed_with_its_code(
    server: Server, first: Answer, code: int
) -> None:
    with websocket(server, "/graphql/", subprotocols=["graphql-transport-ws"]) as socket:
        socket.send(json.dumps(first))
        assert close_of(socket)[0] == code


def test_client_of_an_unknown_subprotocol_is_closed_with_4406(server: Server) -> None:
    with websocket(server, "/graphql/", subprotocols=["unknown"]) as socket:
        assert close_of(socket) == (4406, "Subprotocol not acceptable")


def test_stop_ends_subscriptions_before_the_lifespan(setup: Setup, tmp_path: Path) -> None:
    with serve("strawberry_app:app", setup, tmp_path) as server:
        with connected(server) as socket:
            subscribe(socket, "1", 'said(name: "stopped")')
            assert told(socket)["type"] == "next"
            server.terminate()
            assert close_of(socket)[0] == 1001
        server.wait()
        assert server.events() == ["started", "left stopped", "stopped"]
