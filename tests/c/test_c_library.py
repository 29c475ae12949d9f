"""The fuller C API, by a program that has a handler for each of its behaviours."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator

import pytest
from programs import path_of, running, threads, wait_for_output
from support import STOP_TIMEOUT, Server, wait_until

# As in gohttp.h.
HANDLE, ARGUMENT, MISSING, GONE, STARTED = -1, -2, -3, -4, -5
TIMED_OUT, STATE, ABANDONED = -9, -10, -12
OPTION_THREADS, OPTION_MAX_BODY, OPTION_BODY_TIMEOUT, OPTION_REQUEST_TIMEOUT = "1", "4", "7", "10"


@pytest.fixture
def server() -> Iterator[Server]:
    with running("full", "127.0.0.1:0") as server:
        yield server


def numbers(text: str) -> list[int]:
    return [int(word) for word in text.split()]


def last_error(server: Server) -> int:
    return numbers(server.get("/status").text)[0]


def wait_for_blocked(server: Server, count: int) -> None:
    wait_until(
        lambda: numbers(server.get("/blocked").text) == [count], f"{count} handlers to block"
    )


def test_a_handler_is_given_its_data(server: Server):
    assert server.get("/hello").text == "hello"


def test_a_request_is_described(server: Server):
    path, query = "/describe/a%20b", "p=1&q=x+y%21"
    response = server.get(f"{path}?{query}", [("x-test", "yes")])
    *texts, rest = response.text.split("\n")
    assert texts == [
        *("GET", "test", path, query, f"{path}?{query}", "HTTP/1.1", "/describe/"),
        *("yes", "NULL", "x y!", "NULL"),
    ]
    assert numbers(rest) == [len(path), 1, MISSING]


def test_headers_are_listed_in_order(server: Server):
    response = server.get("/headers", [("B", "2"), ("a", "1"), ("B", "3")])
    *lines, rest = response.text.split("\n")
    assert lines == ["host=test", "b=2", "a=1", "b=3", "connection=close"]
    assert numbers(rest) == [5, MISSING]


def test_paths_go_to_the_longest_pattern_and_unknown_ones_nowhere(server: Server):
    assert server.get("/describe/x").text.split("\n")[6] == "/describe/"
    assert server.get("/none").status == 404
    redirected = server.get("/describe?x=1")
    assert redirected.status in (301, 307, 308)
    assert redirected.header("location") == "/describe/?x=1"


def test_a_body_is_read_in_pieces_whatever_its_framing(server: Server):
    body = os.urandom(300_000)
    assert server.request("POST", "/echo", body=body).body == body
    with server.connect() as client:
        client.send_request("POST", "/echo", [("Transfer-Encoding", "chunked")])
        for piece in (b"abc", b"defghijklmnop"):
            client.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        client.send(b"0\r\n\r\n")
        assert client.read_response().body == b"abcdefghijklmnop"


def test_reading_a_body_asks_for_it(server: Server):
    with server.connect() as client:
        client.send_request("POST", "/echo", [("Expect", "100-continue"), ("Content-Length", "3")])
        assert client.read_response(interim=True).status == 100
        client.send(b"abc")
        assert client.read_response().body == b"abc"


def test_a_body_that_breaks_off_or_is_malformed_is_an_error(server: Server):
    for sent, error in ((b"5\r\nab", GONE), (b"x\r\n", -7)):
        with server.connect() as client:
            headers = [("Transfer-Encoding", "chunked"), ("Expect", "100-continue")]
            client.send_request("POST", "/echo", headers)
            assert client.read_response(interim=True).status == 100  # the handler reads
            client.send(sent)
            if error == GONE:
                client.reset()
        wait_until(lambda error=error: last_error(server) == error, f"error {error}")


def test_a_body_that_is_too_large_or_too_slow_is_an_error():
    with running(
        "full", "127.0.0.1:0", OPTION_MAX_BODY, "10", OPTION_BODY_TIMEOUT, "100"
    ) as server:
        assert server.request("POST", "/echo", body=b"x" * 11).status == 413
        with server.connect() as client:
            client.send_request("POST", "/echo", [("Transfer-Encoding", "chunked")])
            wait_until(lambda: last_error(server) == TIMED_OUT, "the time-out")


def test_status_and_headers_are_the_handlers(server: Server):
    response = server.get("/fields")
    assert (response.status, response.text) == (418, "short and stout")
    assert response.all("x-a") == ["2"]
    assert response.all("set-cookie") == ["a=1", "b=2"]
    assert response.all("x-b") == []
    assert response.header("content-type") == "text/x-tea"


def test_what_is_no_good_is_refused_by_its_code(server: Server):
    response = server.get("/refusals")
    assert response.status == 200
    assert response.header("set-cookie") is None
    expected = [ARGUMENT] * 14 + [STATE] * 4 + [STARTED] * 2
    assert numbers(response.text) == expected


def test_interim_responses_are_sent(server: Server):
    with server.connect() as client:
        client.send_request("GET", "/hints")
        early = client.read_response(interim=True)
        assert (early.status, early.header("link")) == (103, "</style.css>")
        assert client.read_response().text == "page"


def test_a_flushed_part_arrives_while_the_handler_goes_on(server: Server):
    with server.connect() as client:
        client.send_request("GET", "/one-by-one")
        assert client.read_head().header("transfer-encoding") == "chunked"
        assert client.read_chunk() == b"first"
        server.get("/release")
        assert client.read_chunk() == b"second"


def test_a_large_response_is_whole(server: Server):
    with server.connect() as client:
        client.send_request("GET", "/big")
        response = client.read_response()
    assert response.body == bytes(16 << 20)


def test_a_client_that_does_not_read_holds_its_handler_up_and_no_other(server: Server):
    with server.connect() as slow:
        slow.send_request("GET", "/endless")
        slow.read_head()
        given = -1

        def held_up() -> bool:
            nonlocal given
            before, given = given, numbers(server.get("/status").text)[1]
            return before == given

        wait_until(held_up, "the handler to wait")
        assert 0 < given < 32 << 20
        assert server.get("/hello").status == 200
    wait_until(lambda: last_error(server) == GONE, "the handler to be told")


def test_a_client_that_resets_in_mid_response_is_told_to_the_handler(server: Server):
    client = server.connect()
    client.send_request("GET", "/endless")
    client.read_head()
    client.reset()
    wait_until(lambda: last_error(server) == GONE, "the handler to be told")


def test_a_client_that_leaves_a_stream_is_told_by_flush():
    with running("stream", stop=False) as server:
        with server.connect() as client:
            client.send_request("GET", "/events")
            client.read_head()
            client.read_chunk()
        server.signal(signal.SIGTERM)
        # Its handler would go on for ten seconds.
        assert server.wait(5.0) == 0


def test_an_aborted_response_is_seen_not_to_be_whole(server: Server):
    with server.connect() as client:
        client.send_request("GET", "/cut")
        client.read_head()
        assert client.read_chunk() == b"a part"
        with pytest.raises(ConnectionError):
            client.read_chunk()


def test_a_response_shorter_than_declared_is_cut_and_logged(server: Server):
    with server.connect() as client:
        client.send_request("GET", "/declared")
        with pytest.raises(ConnectionError):
            client.read_response()
    server.wait_for_log("log 2 GET /declared: .*4 bytes shorter")


def test_head_is_answered_without_a_body(server: Server):
    response = server.request("HEAD", "/hello")
    assert (response.header("content-length"), response.body) == ("5", b"")


def test_blocked_handlers_do_not_stop_others(server: Server):
    clients = [server.connect() for _ in range(40)]
    for client in clients:
        client.send_request("GET", "/block")
    wait_for_blocked(server, 40)
    for _ in range(50):
        assert server.get("/hello").text == "hello"
    server.get("/release")
    for client in clients:
        assert client.read_response().text == "released"
        client.close()


def test_with_all_threads_blocked_requests_wait_and_time_outs_go_on():
    options = (OPTION_THREADS, "2", OPTION_REQUEST_TIMEOUT, "300")
    killed = 128 + signal.SIGTERM
    with running("full", "127.0.0.1:0", *options, stop=False, exit_code=killed) as server:
        clients = [server.connect() for _ in range(3)]
        for client in clients:
            client.send_request("GET", "/block")
        for client in clients:
            assert client.read_response().status == 504
            client.close()
        # Its handlers do not end: a second signal does not wait for them.
        server.signal(signal.SIGTERM)
        server.wait_for_log("SIGTERM: stopping")
        server.signal(signal.SIGTERM)


def test_threads_are_started_as_they_are_needed(server: Server):
    few = threads(server)
    clients = [server.connect() for _ in range(20)]
    for client in clients:
        client.send_request("GET", "/block")
    wait_for_blocked(server, 20)
    assert few < 8
    assert 20 < threads(server) < 32
    server.get("/release")
    for client in clients:
        assert client.read_response().status == 200
        client.close()


def test_a_detached_response_is_finished_by_another_thread(server: Server):
    clients = [server.connect() for _ in range(20)]
    for at, client in enumerate(clients):
        client.send_request("GET", f"/later?{at}")
    wait_for_blocked(server, 20)
    assert threads(server) < 32  # 20 of the program's own
    server.get("/release")
    for client in clients:
        assert client.read_response().text == "path /later"
        client.close()
    assert last_error(server) == 0


def test_a_client_that_leaves_a_detached_response_harms_nobody(server: Server):
    client = server.connect()
    client.send_request("GET", "/later")
    wait_for_blocked(server, 1)
    client.reset()
    server.get("/release")
    wait_until(lambda: last_error(server) == 1, "the response to be ended with an error")
    assert server.get("/hello").status == 200


def test_threads_may_write_one_response_together(server: Server):
    response = server.get("/together")
    assert response.body == b"x" * 800_000


def test_stale_and_forged_handles_are_found_out(server: Server):
    assert server.get("/keep").text == "kept"
    with server.connect() as client:
        client.send_request("GET", "/stale")
        assert client.read_response().text == "found out"


def test_thousands_of_connections_by_many_threads(server: Server):
    failures: list[object] = []

    def ask() -> None:
        try:
            for _ in range(150):
                with server.connect() as client:
                    client.send_request("GET", "/hello")
                    assert client.read_response().text == "hello"
                    client.send_request("POST", "/echo", body=b"0123456789")
                    assert client.read_response().body == b"0123456789"
        except BaseException as error:
            failures.append(error)

    workers = [threading.Thread(target=ask) for _ in range(16)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not failures


def test_a_stop_answers_what_is_in_flight():
    with running("full", "127.0.0.1:0", stop=False) as server:
        with server.connect() as client, server.connect() as idle:
            client.send_request("GET", "/block")
            idle.send_request("GET", "/hello")
            idle.read_response()
            wait_for_blocked(server, 1)
            # Connected before the stop: it is served as well.
            with server.connect() as second:
                server.get("/shutdown")
                second.send_request("GET", "/release")
                assert second.read_response().text == "ok"
            assert client.read_response().text == "released"
            assert idle.is_closed()
        assert server.wait(STOP_TIMEOUT) == 0
        wait_for_output(server, "run 0")
        wait_for_output(server, f"free 0 {HANDLE}|free {HANDLE} 0")


def test_a_stop_with_a_time_cuts_what_does_not_end():
    with running("full", "127.0.0.1:0", stop=False) as server, server.connect() as client:
        client.send_request("GET", "/block")
        wait_for_blocked(server, 1)
        server.get("/shutdown?timeout=100")
        assert client.is_closed()
        assert server.wait(STOP_TIMEOUT) == 0
        wait_for_output(server, f"run {ABANDONED}")


def test_lines_of_the_log_go_to_the_programs_function(server: Server):
    server.get("/hello")
    server.wait_for_log(r'log 3 127\.0\.0\.1 "GET /hello HTTP/1\.1" 200 5 ')


def test_handles_used_after_their_end_by_many_threads_touch_no_freed_memory():
    ended = subprocess.run(
        [path_of("after_the_end-asan")], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stderr == ""


def test_the_example_streams_events_and_finishes_a_response_later():
    with running("stream") as server:
        assert server.get("/?name=you").text == "Hello, you. You are number 1.\n"
        with server.connect() as client:
            client.send_request("GET", "/events")
            assert client.read_head().header("content-type") == "text/event-stream"
            assert client.read_chunk() == b"data: 1\n\n"
            assert client.read_chunk() == b"data: 2\n\n"
        assert server.request("PUT", "/upload", body=bytes(3_000_000)).text == "3000000 bytes\n"
        assert server.get("/later").text == "Sent by another thread.\n"
