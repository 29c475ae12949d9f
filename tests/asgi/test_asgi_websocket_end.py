"""How an application's part in a WebSocket ends: errors, returns, tasks given up."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from asgi_helpers import (
    LOOPS,
    LogFrom,
    new_key,
    open_gate,
    wait_for_events,
)
from support import Server, wait_until
from websocket_client import (
    assert_usable,
    close_frame,
    handshake,
    key_of,
    serve_websockets,
    websocket,
    write_script,
)
from websocket_messages import ACCEPT, CLOSE, HELLO, disconnect
from websockets.sync.client import connect


@pytest.fixture(scope="module", params=LOOPS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with serve_websockets("--loop", request.param) as server:
        yield server


# --- how the app ends -----------------------------------------------------------------------------


@pytest.mark.parametrize("first", [[], ["receive"], ["receive", "gate"]])
def test_error_before_accept_is_a_logged_500(server: Server, first: list[str]) -> None:
    path = write_script(server, *first, "raise")
    log = LogFrom(server)
    open_gate(server, key_of(path))
    with server.connect() as connection:
        handshake(connection, path)
        response = connection.read_response()
        assert response.status == 500
        assert b"own error" not in response.body
        assert_usable(connection)
    text = log.text()
    assert "/script" in text
    assert text.count("LookupError: the app's own error") == 1
    assert text.count("Traceback") == 1  # and not by asyncio once more


@pytest.mark.parametrize("how", ["raise", "raise OSError"])
def test_error_after_accept_closes_with_1011_and_is_logged(server: Server, how: str) -> None:
    path = write_script(server, ACCEPT, HELLO, how)
    log = LogFrom(server)
    with websocket(server, path) as chat:
        assert chat.read() == "hello"
        assert chat.close(1011) == (1011, "")
    text = log.text()
    assert "the app's own" in text
    assert text.count("Traceback") == 1


def test_error_after_close_is_logged_and_the_close_stays(server: Server) -> None:
    path = write_script(server, ACCEPT, {**CLOSE, "code": 3000}, "raise")
    log = LogFrom(server)
    with websocket(server, path) as chat:
        assert chat.answer_close() == (3000, "")
    wait_until(lambda: "LookupError: the app's own error" in log.text(), "the error in the log")


@pytest.mark.parametrize("first", [[], ["receive"]])
def test_return_without_an_answer_is_a_logged_500(server: Server, first: list[str]) -> None:
    path = write_script(server, *first)
    log = LogFrom(server)
    with server.connect() as connection:
        handshake(connection, path)
        assert connection.read_response().status == 500
        assert_usable(connection)
    text = log.text()
    assert "/script" in text
    assert "without 'websocket.accept'" in text


def test_return_after_accept_closes_with_1000_and_is_not_logged(server: Server) -> None:
    path = write_script(server, ACCEPT)
    log = LogFrom(server)
    with websocket(server, path) as chat:
        assert chat.close() == (1000, "")
    assert "error" not in log.text()


def test_cancelled_task_before_accept_is_a_5xx(server: Server) -> None:
    path = write_script(server, "receive", "cancel")
    with server.connect() as connection:
        handshake(connection, path)
        assert connection.read_response().status in (500, 503)
        assert_usable(connection)


def test_cancelled_task_after_accept_closes(server: Server) -> None:
    path = write_script(server, ACCEPT, "cancel")
    with websocket(server, path) as chat:
        # The server is first: an answer to a close of ours would have our code.
        assert chat.answer_close()[0] in (1001, 1011)


# --- tasks ----------------------------------------------------------------------------------------


def test_receive_that_is_given_up_loses_nothing(server: Server) -> None:
    with websocket(server, "/receive-cancelled") as chat:
        assert chat.read() == "go"
        for number in range(20):
            chat.text(str(number))
        assert chat.read() == " ".join(map(str, range(20)))


def test_sender_is_cancelled_before_send_fails_for_the_clients_close(server: Server) -> None:
    key, log = new_key(), LogFrom(server)
    with websocket(server, f"/two-sides?{key}") as chat:
        assert chat.read() == "0"
        assert chat.read() == "1"
        chat.send(close_frame(3000))
        wait_for_events(server, key, ["cancelled", disconnect(3000)])
    assert "Traceback" not in log.text()


def test_send_that_waits_can_be_cancelled_and_the_websocket_goes_on(server: Server) -> None:
    key = new_key()
    with websocket(server, f"/full-and-cancelled?{key}") as chat:
        wait_for_events(server, key, ["CancelledError"])
        while (message := chat.read()) != "last":
            assert message == bytes(65536)
        assert chat.close() == (1000, "")


def test_what_one_says_all_hear_in_one_order(server: Server) -> None:
    with ExitStack() as stack:
        chats = [stack.enter_context(websocket(server, "/room")) for _ in range(20)]
        for number, chat in enumerate(chats):
            chat.text(f"in {number}")
            while chat.read() != f"in {number}":
                pass
        for chat in chats[:-1]:
            while chat.read() != "in 19":
                pass
        for number, chat in enumerate(chats):
            chat.text(str(number))
        heard = [[chat.read() for _ in chats] for chat in chats]
    assert sorted(heard[0], key=int) == [str(number) for number in range(20)]
    assert all(order == heard[0] for order in heard)


def test_the_websockets_package_agrees(server: Server) -> None:
    key = new_key()
    with connect(f"ws://127.0.0.1:{server.port}/echo?{key}", max_size=None) as chat:
        for message in ("tëxt", b"\0\xff", "", "x" * 100_000, b"ab" * 3_000_000):
            chat.send(message)
            assert chat.recv() == message
        chat.send(["in ", "frag", "ments"])
        assert chat.recv() == "in fragments"
        assert chat.ping().wait(10)
        chat.close(3000, "done")
        assert (chat.close_code, chat.protocol.close_rcvd and chat.protocol.close_rcvd.code) == (
            3000,
            3000,
        )
    wait_for_events(server, key, [disconnect(3000, "done")])
