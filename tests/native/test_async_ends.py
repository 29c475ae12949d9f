"""How handlers hear of a stop, and what the log says of those that take too long."""

import re
import signal
import time

import pytest
from h2trailers import get_over_http2
from remote import APPS, new_key, wait_for
from support import gohttp_serve


def test_open_stream_that_ends_when_it_is_cancelled_is_a_clean_stop() -> None:
    options = ("--graceful-timeout", "0.3")
    with gohttp_serve("async_end_cases:mux", *options, cwd=APPS) as server:
        key = new_key()
        with server.connect() as connection:
            connection.send_request("GET", f"/sse?{key}")
            assert connection.read_head().status == 200
            wait_for(server, key, "begun")
            server.signal(signal.SIGTERM)
            assert server.wait() == 0
        assert "still running" not in "\n".join(server.log())


def test_handler_that_goes_on_in_spite_of_the_stop_is_counted() -> None:
    options = ("--graceful-timeout", "0.3")
    with gohttp_serve("async_end_cases:mux", *options, cwd=APPS, exit_code=1) as server:
        key = new_key()
        with server.connect() as connection:
            connection.send_request("GET", f"/deaf?{key}")
            wait_for(server, key, "begun")
            began = time.monotonic()
            server.signal(signal.SIGTERM)
            assert server.wait() == 1
            assert time.monotonic() - began < 5
        server.wait_for_log("1 async handler was still running at the stop")


@pytest.mark.parametrize("table", ["mux", "beside"])
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_stream_without_an_end_may_end_when_the_server_stops(table: str, kind: str) -> None:
    with gohttp_serve(f"async_end_cases:{table}", cwd=APPS) as server, server.connect() as client:
        client.send_request("GET", f"/ticks/{kind}")
        assert client.read_head().status == 200
        assert client.read_chunk() == b"data: tick\n\n"
        began = time.monotonic()
        server.signal(signal.SIGTERM)
        while (chunk := client.read_chunk()) == b"data: tick\n\n":
            pass
        assert (chunk, client.read_chunk()) == (b"data: bye\n\n", b"")
        assert server.wait() == 0
        assert time.monotonic() - began < 5


def test_handler_that_keeps_the_loop_is_logged_with_its_stack() -> None:
    options = ("--slow-callback", "0.2")
    with gohttp_serve("async_end_cases:mux", *options, cwd=APPS) as server:
        assert server.get("/keeps").body == b"kept"
        server.wait_for_log(r"the event loop has been kept for 0\.[2-8] s")
        log = "\n".join(server.log())
        assert "time.sleep(0.9)" in log
        assert "base_events.py" not in log, "what leads to the handler is the same each time"
        assert log.count("has been kept") == 1


def test_loop_that_waits_is_not_logged() -> None:
    options = ("--slow-callback", "0.1", "--graceful-timeout", "0.1")
    with gohttp_serve("async_end_cases:mux", *options, cwd=APPS) as server:
        key = new_key()
        with server.connect() as connection:
            connection.send_request("GET", f"/sse?{key}")
            wait_for(server, key, "begun")
            for _ in range(3):
                assert server.get("/control/events?none").body == b"[]"
                time.sleep(0.2)  # nothing is to happen in it
        assert "has been kept" not in "\n".join(server.log())


@pytest.mark.parametrize("over_http2", [False, True], ids=["http1", "http2"])
def test_log_says_which_limit_ended_a_request(over_http2: bool) -> None:
    options = ("--request-timeout", "0.4")
    with gohttp_serve("async_end_cases:mux", *options, cwd=APPS) as server:
        for path, limit in (("late", "set_deadline"), ("usual", "request_timeout")):
            start = len(server.log())
            if over_http2:
                assert get_over_http2(server, f"/{path}/x")[0][":status"] == "504"
            else:
                assert server.get(f"/{path}/x").status == 504
                server.wait_for_log(rf"was answered with 504: .* not end within {limit}$")
            server.wait_for_log(rf"GET /{path}/x took longer than .*{limit}")
            other = {"set_deadline", "request_timeout"} - {limit}
            assert not re.search(other.pop(), "\n".join(server.log()[start:]))


def test_path_in_the_log_is_as_sent() -> None:
    with gohttp_serve("async_end_cases:mux", cwd=APPS) as server:
        assert server.get("/late/%0A2026-01-01%20ERROR%20forged%1B?secret=1").status == 504
        line = server.wait_for_log("took longer than")
        assert "GET /late/%0A2026-01-01%20ERROR%20forged%1B took" in line
        assert "forged\x1b" not in "\n".join(server.log())
