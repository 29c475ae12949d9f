"""What every ASGI framework does alike: Litestar, Quart, BlackSheep, Falcon, Django's Channels.

Each has an app with the same routes (apps/litestar_app.py and its neighbours).  What only one of
them does is in the test file of its own.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from .asgi_clients import (
    close_of,
    cut,
    denial,
    hear,
    http_client,
    on_both_loops,
    open_gate,
    websocket,
)
from .serving import Server, Setup, eventually, get, in_parallel, recorded_over_http, serve

SECRET = "hunter2"  # what the failing endpoints say in their exceptions


@dataclass(frozen=True)
class Framework:
    target: str
    #: what an exception closes a WebSocket with
    failure: int = 1011
    #: whether an app can have a lifespan, and learns the code of a close
    lifespan: bool = True
    close_code: bool = True
    #: whether the log has the exception of a failed endpoint
    logs: bool = True
    #: whether it is silent about an exception in the reason of a close
    discreet: bool = True
    #: what it answers to a handshake and a method that it has no route for
    unknown_socket: int = 403
    wrong_method: int = 405


FRAMEWORKS = {
    "litestar": Framework("litestar_app:app", failure=4500, logs=False),
    "quart": Framework("quart_app:app", failure=1000, close_code=False, unknown_socket=404),
    "blacksheep": Framework("blacksheep_app:app", discreet=False, wrong_method=404),
    "falcon": Framework("falcon_asgi_app:app"),
    "channels": Framework("channels_app:application", lifespan=False, unknown_socket=500),
}


@pytest.fixture(scope="module", params=list(FRAMEWORKS))
def framework(request: pytest.FixtureRequest) -> Framework:
    return FRAMEWORKS[request.param]


@pytest.fixture(scope="module", params=on_both_loops())
def setup(request: pytest.FixtureRequest) -> Setup:
    setup: Setup = request.param
    return setup


@pytest.fixture(scope="module")
def server(
    framework: Framework, setup: Setup, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    with serve(framework.target, setup, tmp_path_factory.mktemp("framework")) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with http_client(server) as client:
        yield client


# --- routing, JSON and forms --------------------------------------------------------------------


def test_app_runs_on_the_chosen_loop(client: httpx.Client, setup: Setup) -> None:
    assert client.get("/loop").text.split(".")[0] == setup.loop


def test_route_has_its_parameters(client: httpx.Client) -> None:
    response = client.get("/items/7/größe x", params={"q": ["a&b", "東京"]})
    assert response.json() == {"number": 7, "name": "größe x", "q": ["a&b", "東京"]}


def test_what_has_no_route_is_refused(client: httpx.Client, framework: Framework) -> None:
    assert client.get("/items/seven/x").status_code == 404
    assert client.get("/no-such-page").status_code == 404
    assert client.post("/pid").status_code == framework.wrong_method


def test_json_goes_in_and_comes_out(client: httpx.Client) -> None:
    sent = {"text": "naïve … 東京", "numbers": [1, 2.5, None], "long": "x" * 300_000}
    response = client.post("/json", json=sent)
    assert response.json() == {"got": sent}
    assert response.headers["Content-Type"].startswith("application/json")


def test_form_is_parsed(client: httpx.Client) -> None:
    sent = {"name": "Zoë", "drink": "tea & milk", "empty": "x=y"}
    assert client.post("/form", data=sent).json() == sent


def test_upload_arrives_whole_with_its_title(client: httpx.Client, upload_bytes: bytes) -> None:
    files = {"file": ("photo.bin", upload_bytes, "application/octet-stream")}
    assert client.post("/upload", files=files, data={"title": "Größe"}).json() == {
        "title": "Größe",
        "name": "photo.bin",
        "size": len(upload_bytes),
        "sha256": hashlib.sha256(upload_bytes).hexdigest(),
    }


def test_several_cookies_in_one_answer(client: httpx.Client) -> None:
    client.get("/cookies")
    assert dict(client.cookies) == {"one": "1", "two": "2"}


# --- streams ------------------------------------------------------------------------------------


def test_stream_is_complete(client: httpx.Client) -> None:
    answer = client.get("/lines", params={"count": 2000})
    assert answer.content == b"".join(b"line %d\n" % number for number in range(2000))


def test_stream_is_sent_while_it_is_made(server: Server, client: httpx.Client) -> None:
    with client.stream("GET", "/gated/stream") as response:
        parts = response.iter_raw()
        assert next(parts) == b"first"
        open_gate(server, "stream")
        assert b"".join(parts) == b"second"


def test_generator_ends_when_the_client_leaves(server: Server) -> None:
    with closing(server.connect()) as connection:
        connection.request("GET", "/endless/tired")
        assert len(connection.getresponse().read(50_000)) == 50_000
        assert "left tired" not in server.events()
    assert recorded_over_http(server, "left tired")


# --- lifespan and errors ------------------------------------------------------------------------


def test_lifespan_starts_before_and_stops_after_the_requests(
    framework: Framework, setup: Setup, tmp_path: Path
) -> None:
    with serve(framework.target, setup, tmp_path) as server:
        pid = get(server, "/pid")[1].decode()
        if framework.lifespan:
            assert get(server, "/opened-in")[1].decode() == pid
            assert server.events() == [f"started {pid}"]
        server.terminate()
        assert server.wait() == 0
        if framework.lifespan:
            assert server.events() == [f"started {pid}", f"stopped {pid}"]
        assert "Traceback" not in server.log()


def test_exception_is_500_that_tells_nothing(
    client: httpx.Client, server: Server, framework: Framework
) -> None:
    response = client.get("/fails")
    assert response.status_code == 500
    for leak in (SECRET, "Secret", "Traceback", ".py"):
        assert leak not in response.text
        assert leak not in str(response.headers)
    if framework.logs:
        assert eventually(lambda: f"the endpoint fails; the password is {SECRET}" in server.log())
    assert client.get("/pid").status_code == 200


def test_fifty_clients_get_their_own_answers(server: Server) -> None:
    def visit(number: int) -> list[int]:
        with http_client(server) as client:
            return [client.get(f"/items/{number}/x?q=1&q=2").json()["number"] for _ in range(5)]

    assert in_parallel(50, visit) == [[number] * 5 for number in range(50)]


# --- WebSockets ---------------------------------------------------------------------------------


def test_text_and_binary_come_back_as_what_they_were(server: Server) -> None:
    with websocket(server, "/ws/echo") as socket:
        for message in ("hello", "Grüße 東京 🚀", b"\0", bytes(range(256))):
            socket.send(message)
            assert hear(socket) == message


@pytest.mark.parametrize("size", [126, 65_536, 700_000])
def test_large_message_comes_back_whole(server: Server, size: int) -> None:
    data = os.urandom(size)
    with websocket(server, "/ws/echo", compression=None) as socket:
        for message in (data, data.hex()):
            socket.send(message)
            assert hear(socket) == message


def test_message_in_fragments_comes_back_in_one(server: Server) -> None:
    with websocket(server, "/ws/echo") as socket:
        socket.send(["one ", "two ", "three"])
        assert hear(socket) == "one two three"


def test_messages_sent_ahead_come_back_in_order(server: Server) -> None:
    sent = [f"message {number}" for number in range(300)]
    with websocket(server, "/ws/echo") as socket:
        for message in sent:
            socket.send(message)
        assert [hear(socket) for _ in sent] == sent


def test_subprotocol_is_the_one_the_app_chose(server: Server) -> None:
    with websocket(server, "/ws/echo", subprotocols=["other", "chat"]) as socket:
        assert socket.subprotocol == "chat"
    with websocket(server, "/ws/echo", subprotocols=["other"]) as socket:
        assert socket.subprotocol is None


def test_room_hears_what_one_of_it_says(server: Server) -> None:
    with ExitStack() as stack:
        members = [stack.enter_context(websocket(server, "/ws/room/kitchen")) for _ in range(5)]
        outside = stack.enter_context(websocket(server, "/ws/room/garden"))
        for socket in (*members, outside):
            assert hear(socket) == "joined"
        for number, speaker in enumerate(members):
            speaker.send(f"message {number}")
            assert [hear(member) for member in members] == [f"message {number}"] * 5
        outside.send("alone")
        assert hear(outside) == "alone"


def test_room_lives_on_when_one_is_cut_off(server: Server) -> None:
    with (
        websocket(server, "/ws/room/cellar") as stays,
        websocket(server, "/ws/room/cellar") as cut_off,
    ):
        assert (hear(stays), hear(cut_off)) == ("joined", "joined")
        cut(cut_off)
        for number in range(20):
            stays.send(str(number))
            assert hear(stays) == str(number)


@pytest.mark.parametrize("code", [1000, 1001, 3000, 4999])
def test_app_closes_with_its_code_and_reason(server: Server, code: int) -> None:
    with websocket(server, f"/ws/close/{code}") as socket:
        assert close_of(socket) == (code, "größe")


def test_exception_closes_with_an_error_that_tells_nothing(
    server: Server, framework: Framework
) -> None:
    with websocket(server, "/ws/fails") as socket:
        socket.send("now")
        code, reason = close_of(socket)
    assert code == framework.failure
    if framework.discreet:
        assert SECRET not in reason
    if framework.logs:
        assert eventually(lambda: f"the WebSocket fails; the password is {SECRET}" in server.log())


def test_refused_handshake_is_403(server: Server) -> None:
    assert denial(server, "/ws/refused").status_code == 403


def test_handshake_of_an_unknown_path_is_refused(server: Server, framework: Framework) -> None:
    assert denial(server, "/ws/no-such-socket").status_code == framework.unknown_socket
    assert get(server, "/pid")[0] == 200


@pytest.mark.parametrize("code", [1000, 4001])
def test_app_learns_the_code_of_the_client(server: Server, framework: Framework, code: int) -> None:
    with websocket(server, f"/ws/leaves/says-{code}") as socket:
        socket.close(code, "enough")
    expected = f"left says-{code}" + (f" with {code}" if framework.close_code else "")
    assert server.recorded(expected)


def test_app_learns_of_a_client_that_is_cut_off(server: Server, framework: Framework) -> None:
    with websocket(server, "/ws/leaves/cut") as socket:
        assert "left cut" not in "".join(server.events())
        cut(socket)
    assert server.recorded("left cut" + (" with 1006" if framework.close_code else ""))


def test_many_sockets_speak_at_once(server: Server) -> None:
    def talk(number: int) -> list[str | bytes]:
        with websocket(server, "/ws/echo") as socket:
            heard = []
            for turn in range(20):
                socket.send(f"{number} {turn}")
                heard.append(hear(socket))
            return heard

    assert in_parallel(20, talk) == [
        [f"{number} {turn}" for turn in range(20)] for number in range(20)
    ]


def test_stop_closes_the_open_sockets(framework: Framework, setup: Setup, tmp_path: Path) -> None:
    with serve(framework.target, setup, tmp_path) as server:
        with websocket(server, "/ws/echo") as socket:
            socket.send("here")
            assert hear(socket) == "here"
            server.terminate()
            assert close_of(socket)[0] == 1001
        assert server.wait() == 0
