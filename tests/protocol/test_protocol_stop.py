"""The graceful stop: what is in flight is answered, what is idle goes, and the rest is not lost."""

import os
import signal
import socket
import time
from contextlib import ExitStack

import pytest
from conversation import Conversation, connect, each_face, serve_echo, trouble
from support import Server, wait_until

STOPS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])


def hold(server: Server, key: str, target: str = "/_hold") -> Conversation:
    """A request that is in the app's hands."""
    connection = connect(server)
    connection.send_request("GET", f"{target}?{key}")
    wait_until(lambda: f"holding {key}" in server.output(), "the app to hold")
    return connection


def end(*connections: Conversation) -> None:
    """As clients do that have been told that the connection ends."""
    for connection in connections:
        connection.close()


def stopping(server: Server, number: int = signal.SIGTERM) -> None:
    server.signal(number)
    server.wait_for_log(": stopping")


def refuses(server: Server) -> bool:
    """Whether new connections are refused."""
    try:
        socket.create_connection((server.host, server.port), 1).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        return False
    return False


@each_face
@STOPS
def test_a_request_in_the_apps_hands_is_answered(face: str, number: int) -> None:
    with (
        serve_echo(face) as server,
        connect(server) as other,
        hold(server, "it") as held,
    ):
        other.send_request("GET")
        assert other.read_response().status == 200
        stopping(server, number)
        # The release comes over a connection that was open before, as a proxy would have one.
        other.send_request("GET", "/_release?it")
        assert other.read_response().body == b"released"
        response = held.read_response()
        assert response.body == b"held"
        assert response.header("connection") == "close"
        assert held.at_end()
        end(held, other)
        assert server.wait() == 0
        assert trouble(server) == []


@each_face
def test_a_response_that_has_begun_is_completed(face: str) -> None:
    with (
        serve_echo(face) as server,
        connect(server) as other,
        hold(server, "it", "/_stream_hold/100000") as held,
    ):
        other.send_request("GET")
        assert other.read_response().status == 200
        head = held.read_head()
        assert head.header("transfer-encoding") == "chunked"
        stopping(server)
        other.send_request("GET", "/_release?it")
        assert other.read_response().status == 200
        body = b""
        while chunk := held.read_chunk():
            body += chunk
        assert len(body) == 100_003
        assert held.read_line() == ""
        assert held.at_end()
        end(held, other)
        assert server.wait() == 0


@each_face
def test_an_upload_that_has_begun_is_completed(face: str) -> None:
    with serve_echo(face) as server, connect(server) as connection:
        connection.send(b"POST /_count HTTP/1.1\r\nHost: test\r\nContent-Length: 600000\r\n\r\n")
        connection.send(b"a" * 300_000)
        stopping(server)
        connection.send(b"a" * 300_000)
        response = connection.read_response()
        assert response.body == b"600000"
        assert response.header("connection") == "close"
        assert connection.at_end()
        end(connection)
        assert server.wait() == 0


@each_face
def test_idle_connections_do_not_delay_the_stop(face: str) -> None:
    with serve_echo(face) as server, ExitStack() as stack:
        idle = [stack.enter_context(connect(server)) for _ in range(20)]
        for connection in idle[:10]:  # the others have never said anything
            connection.send_request("GET")
            assert connection.read_response().status == 200
        start = time.monotonic()
        stopping(server)
        assert server.wait() == 0
        assert time.monotonic() - start < 2.5
        assert all(connection.at_end() for connection in idle)


@each_face
def test_a_head_that_never_ends_does_not_delay_the_stop_for_long(face: str) -> None:
    with (
        serve_echo(face, "--header-timeout=1") as server,
        connect(server) as connection,
    ):
        connection.send(b"GET / HTTP/1.1\r\nHost")
        start = time.monotonic()
        stopping(server)
        assert server.wait() == 0
        assert time.monotonic() - start < 4


@each_face
def test_a_client_that_keeps_its_end_open_does_not_delay_the_stop(face: str) -> None:
    """As clients with a pool do: they find the end when they want to use the connection again."""
    with serve_echo(face) as server, connect(server) as connection:
        connection.send_request("GET")
        assert connection.read_response().status == 200
        server.signal()
        connection.send_request("GET")
        assert connection.read_response().header("connection") == "close"
        start = time.monotonic()
        assert server.wait() == 0
        assert time.monotonic() - start < 2.5


@each_face
def test_a_request_on_an_idle_connection_right_after_the_signal_is_answered(face: str) -> None:
    with serve_echo(face) as server, ExitStack() as stack:
        idle = [stack.enter_context(connect(server)) for _ in range(20)]
        for connection in idle:
            connection.send_request("GET")
            assert connection.read_response().status == 200
        server.signal()
        for connection in idle:
            connection.send_request("GET", "/late")
        for connection in idle:
            response = connection.read_response()
            assert response.status == 200
            assert response.header("connection") == "close"
            assert connection.at_end()
            end(connection)
        assert server.wait() == 0


@each_face
def test_connections_in_the_backlog_are_served(face: str) -> None:
    with serve_echo(face) as server, ExitStack() as stack:
        # Stopped, the server accepts nothing: the kernel does, into the backlog.
        os.kill(server.pid, signal.SIGSTOP)
        waiting = [stack.enter_context(connect(server)) for _ in range(50)]
        for number, connection in enumerate(waiting):
            connection.send_request("GET", f"/{number}")
        server.signal()
        os.kill(server.pid, signal.SIGCONT)
        for connection in waiting:
            response = connection.read_response()
            assert response.status == 200
            assert response.header("connection") == "close"
            assert connection.at_end()
            end(connection)
        assert server.wait() == 0


@each_face
def test_new_connections_are_refused_after_the_stop_has_begun(face: str) -> None:
    with (
        serve_echo(face) as server,
        connect(server) as other,
        hold(server, "it") as held,
    ):
        other.send_request("GET")
        assert other.read_response().status == 200
        stopping(server)
        other.send_request("GET", "/_release?it")
        assert other.read_response().status == 200
        assert held.read_response().body == b"held"
        end(held, other)
        assert server.wait() == 0
        assert refuses(server)


@each_face
def test_new_connections_are_refused_while_requests_in_flight_are_waited_for(face: str) -> None:
    with serve_echo(face, exit_code=None) as server, hold(server, "it"):
        stopping(server)
        wait_until(lambda: refuses(server), "new connections to be refused", 3)
        server.signal()  # nobody can release it any more
        server.wait()


@each_face
@pytest.mark.parametrize(
    ("first", "second", "code"),
    [
        (signal.SIGTERM, signal.SIGTERM, 143),
        (signal.SIGINT, signal.SIGINT, 130),
        (signal.SIGTERM, signal.SIGINT, 130),
    ],
)
def test_a_second_signal_ends_at_once(face: str, first: int, second: int, code: int) -> None:
    with serve_echo(face, exit_code=None) as server, hold(server, "it"):
        stopping(server, first)
        start = time.monotonic()
        server.signal(second)
        assert server.wait() in (code, -second)
        assert time.monotonic() - start < 2


@each_face
def test_graceful_timeout_cuts_a_request_that_hangs(face: str) -> None:
    with (
        serve_echo(face, "--graceful-timeout=1", exit_code=None) as server,
        hold(server, "it") as held,
    ):
        start = time.monotonic()
        stopping(server)
        server.process.wait(4)
        assert 0.9 <= time.monotonic() - start < 4
        server.wait_for_log("1 connections? (was|were) still busy after graceful_timeout")
        # An ASGI app gets to know and may still end with an error of the server's.
        assert [response.status for response in held.rest()] in ([], [503])


@each_face
def test_a_stop_while_clients_ask_again_and_again_loses_no_request(face: str) -> None:
    with serve_echo(face) as server, ExitStack() as stack:
        connections = [stack.enter_context(connect(server)) for _ in range(8)]
        for _ in range(20):
            for connection in connections:
                connection.send_request("GET")
            for connection in connections:
                assert connection.read_response().status == 200
        for connection in connections:
            connection.send_request("GET")
        server.signal()
        for connection in connections:
            # What is answered may have been so before the signal came: ask until told to stop.
            while connection.read_response().header("connection") != "close":
                connection.send_request("GET")
            assert connection.at_end()
            end(connection)
        assert server.wait() == 0


@each_face
def test_a_client_that_reads_nothing_is_cut_after_graceful_timeout(face: str) -> None:
    with (
        serve_echo(face, "--graceful-timeout", "0.5") as server,
        connect(server, receive_buffer=4096) as connection,
    ):
        connection.send_request("GET", "/_stream/300000000")
        connection.read_head()
        start = time.monotonic()
        server.signal()
        assert server.wait(5) == 0
        assert time.monotonic() - start < 3


@each_face
def test_hundreds_in_the_backlog_are_served(face: str) -> None:
    options = ("--max-connections", "1")
    with serve_echo(face, *options, exit_code=None) as server, ExitStack() as stack:
        first = hold(server, "the-only-one")
        waiting = [stack.enter_context(connect(server)) for _ in range(300)]
        for connection in waiting:
            connection.send_request("GET", "/")
        stopping(server)
        for connection in waiting:
            assert connection.read_response().status == 200
        end(first, *waiting)
        server.process.terminate()
