"""`req.set_deadline`, `req.on_cancel`, `req.cancelled`, `req.tls`."""

import json
import time
from collections.abc import Iterator

import pytest
from h2trailers import get_over_http2
from remote import APPS, events, log_since, new_key, open_gate, wait_for
from support import Server, gohttp_serve, wait_until
from websocket_wire import H2Connection, websocket

LATE = 0.5  # the precision that is promised
SLACK = 1.5  # for a busy machine
CANCEL_THREAD = "gohttp-cancel"
each_way = pytest.mark.parametrize("at", ["", "/async"], ids=["sync", "async"])


@pytest.fixture(scope="module")
def limited() -> Iterator[Server]:
    with gohttp_serve("deadline_cases:mux", "--request-timeout", "1", cwd=APPS) as server:
        yield server


@pytest.fixture(scope="module")
def unlimited() -> Iterator[Server]:
    with gohttp_serve("deadline_cases:mux", cwd=APPS) as server:
        yield server


# --- deadlines -----------------------------------------------------------------------------------


@each_way
@pytest.mark.parametrize("seconds", ["5", "none"])
def test_request_timeout_is_extended_or_taken_away(limited: Server, at: str, seconds: str) -> None:
    key = new_key()
    assert limited.get(f"{at}/sleeps/{seconds}/2.2?{key}").body == b"slept"
    wait_for(limited, key, "slept")


@each_way
@pytest.mark.parametrize("kind", ["limited", "unlimited"])
def test_deadline_is_shortened_or_made(request: pytest.FixtureRequest, at: str, kind: str) -> None:
    server: Server = request.getfixturevalue(kind)
    key, began, start = new_key(), time.monotonic(), len(server.log())
    assert server.get(f"{at}/sleeps/0.3/60?{key}").status == 504
    assert 0.3 <= time.monotonic() - began <= 0.3 + LATE + SLACK
    wait_for(server, key, "interrupted")
    log_since(server, start, "set_deadline")


@each_way
def test_deadline_over_http2(limited: Server, at: str) -> None:
    headers, body, _ = get_over_http2(limited, f"{at}/sleeps/5/2.2?{new_key()}")
    assert (headers[":status"], body) == ("200", b"slept")
    headers, _, _ = get_over_http2(limited, f"{at}/sleeps/0.3/60?{new_key()}")
    assert headers[":status"] == "504"


@each_way
@pytest.mark.parametrize("kind", ["limited", "unlimited"])
def test_stream_moves_its_deadline(request: pytest.FixtureRequest, at: str, kind: str) -> None:
    server: Server = request.getfixturevalue(kind)
    assert server.get(f"{at}/streams/0.9").body == b"begun 0 1 2 3 4 5 "
    _, body, _ = get_over_http2(server, f"{at}/streams/0.9")
    assert body == b"begun 0 1 2 3 4 5 "


@each_way
@pytest.mark.parametrize("kind", ["limited", "unlimited"])
def test_stream_is_cut_at_the_deadline_that_it_set_last(
    request: pytest.FixtureRequest, at: str, kind: str
) -> None:
    server: Server = request.getfixturevalue(kind)
    key = new_key()
    with server.connect() as connection:
        connection.send_request("GET", f"{at}/streams/0.9?{key}")
        assert connection.read_head().status == 200
        got = [connection.read_chunk() for _ in range(7)]
        assert got[-1] == b"5 "
        assert connection.is_closed()
    wait_for(server, key, "ended")
    with H2Connection(server) as h2:
        number = h2.h2.get_next_available_stream_id()
        stream = h2.open(f"{at}/streams/0.9?{key}", protocol="websocket")
        assert stream.number == number
        wait_until(lambda: h2.receive() or stream.error is not None or stream.ended, "its end")
    wait_for(server, key, "ended", "ended")


def test_wrong_deadlines_are_errors_of_the_call(unlimited: Server) -> None:
    assert json.loads(unlimited.get("/wrong").body) == [
        "ValueError",
        "ValueError",
        "ValueError",
        "TypeError",
        "ValueError",
        "set",
        "set",
        "RuntimeError",
    ]


# --- clients that leave --------------------------------------------------------------------------


@each_way
@pytest.mark.parametrize("how", ["reset", "close", "finish_sending"])
def test_handler_is_told_once_when_its_client_leaves(unlimited: Server, at: str, how: str) -> None:
    key = new_key()
    with unlimited.connect() as connection:
        connection.send_request("GET", f"{at}/hears?{key}")
        wait_for(unlimited, key, "began")
        getattr(connection, how)()
        wait_until(lambda: "woken" in events(unlimited, key), "the handler to be told")
    noted = events(unlimited, key)
    assert sorted(map(str, noted)) == sorted(["began", str([CANCEL_THREAD, True]), "woken"])


@each_way
def test_handler_is_told_when_its_stream_is_reset(unlimited: Server, at: str) -> None:
    key = new_key()
    with H2Connection(unlimited) as connection:
        number = connection.h2.get_next_available_stream_id()
        fields = [(":method", "GET"), (":scheme", "http"), (":path", f"{at}/hears?{key}")]
        connection.h2.send_headers(number, [*fields, (":authority", "test")], end_stream=True)
        connection.flush()
        wait_for(unlimited, key, "began")
        connection.h2.reset_stream(number, 8)
        connection.flush()
        wait_until(lambda: "woken" in events(unlimited, key), "the handler to be told")


@each_way
def test_handler_is_told_when_its_time_is_up(limited: Server, at: str) -> None:
    key = new_key()
    assert limited.get(f"{at}/hears?{key}").status == 504
    wait_until(lambda: [CANCEL_THREAD, True] in events(limited, key), "the handler to be told")


def test_who_asks_late_is_told_at_once(unlimited: Server) -> None:
    key = new_key()
    with unlimited.connect() as connection:
        connection.send_request("GET", f"/late?{key}")
        wait_for(unlimited, key, "began")
        connection.reset()
    wait_for(unlimited, key, "began", [CANCEL_THREAD, True])


@each_way
def test_nothing_is_called_where_the_client_stayed(unlimited: Server, at: str) -> None:
    keys = [new_key() for _ in range(20)]
    for key in keys:
        with unlimited.connect() as connection:
            connection.send_request("GET", f"{at}/fine?{key}")
            assert connection.read_response().body == b"fine"
    # The thread that calls has come to those behind.
    key = new_key()
    with unlimited.connect() as connection:
        connection.send_request("GET", f"/late?{key}")
        wait_for(unlimited, key, "began")
        connection.reset()
    wait_for(unlimited, key, "began", [CANCEL_THREAD, True])
    assert [events(unlimited, key) for key in keys] == [[]] * len(keys)


def test_client_that_has_all_and_leaves_has_not_left_early(unlimited: Server) -> None:
    key = new_key()
    with unlimited.connect() as connection:
        connection.send_request("GET", f"/fine-declared?{key}")
        assert connection.read_response().body == b"fine"
    open_gate(unlimited, key)
    wait_for(unlimited, key, False)


def test_exception_of_a_callback_is_logged_and_the_next_is_called(unlimited: Server) -> None:
    key, start = new_key(), len(unlimited.log())
    with unlimited.connect() as connection:
        connection.send_request("GET", f"/raises?{key}")
        wait_for(unlimited, key, "began")
        connection.reset()
    wait_for(unlimited, key, "began", [CANCEL_THREAD, True])
    assert "in on_cancel() of GET /raises" in log_since(unlimited, start, "in the callback")
    open_gate(unlimited, key)


def test_connection_that_was_taken_over_calls_nothing(unlimited: Server) -> None:
    key = new_key()
    with websocket(unlimited, f"/websocket?{key}") as client:
        client.close()
    wait_for(unlimited, key, "closed")


def test_collector_sees_what_is_to_be_called(unlimited: Server) -> None:
    assert json.loads(unlimited.get("/referents").body) == [True, True]


def test_what_cannot_be_called_is_a_type_error(unlimited: Server) -> None:
    assert unlimited.get("/no-function").body == b"on_cancel() needs something to call, not int"


# --- facts ---------------------------------------------------------------------------------------


def test_tls_is_none_and_the_scheme_is_the_trusted_proxys(unlimited: Server) -> None:
    assert json.loads(unlimited.get("/tls").body) == ["http", False, None]
    proxied = unlimited.get("/tls", [("X-Forwarded-Proto", "https")])
    assert json.loads(proxied.body) == ["https", True, None]
    with gohttp_serve("deadline_cases:mux", "--trusted-proxies", "192.0.2.1", cwd=APPS) as server:
        other = server.get("/tls", [("X-Forwarded-Proto", "https")])
        assert json.loads(other.body) == ["http", False, None]
