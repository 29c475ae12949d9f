"""The app's event loop is a whole one: timers, threads, children, sockets, contexts, tasks."""

import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from asgi_helpers import LOOPS, LogFrom, events, get_json, new_key, open_gate, serve_cases
from support import Server, wait_until


@pytest.fixture(scope="module", params=LOOPS)
def loop(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def server(loop: str) -> Iterator[Server]:
    with serve_cases("--loop", loop) as server:
        yield server


def test_loop_is_the_chosen_one_and_tasks_are_real_ones(server: Server, loop: str) -> None:
    expected = {"loop": loop, "asyncio": True, "task": True, "known": True, "main": True}
    assert get_json(server, "/loop") == expected


def test_call_later_fires_in_time(server: Server) -> None:
    lateness = get_json(server, "/call-later")
    assert min(lateness) > -0.002
    assert statistics.median(lateness) < 0.02


def test_call_later_fires_in_time_while_requests_come(server: Server) -> None:
    with server.connect() as timed, server.connect() as busy:
        timed.send_request("GET", "/call-later")
        deadline = time.monotonic() + 0.25
        while time.monotonic() < deadline:
            busy.send_request("GET", "/ok")
            assert busy.read_response().body == b"ok"
        lateness = [float(part) for part in timed.read_response().text.strip("[]").split(",")]
    assert min(lateness) > -0.002
    assert statistics.median(lateness) < 0.02


def test_call_soon_keeps_the_order(server: Server) -> None:
    assert get_json(server, "/call-soon") == [0, 1, 2, 3, 4]


def test_call_soon_threadsafe_wakes_a_sleeping_loop(server: Server) -> None:
    assert get_json(server, "/threadsafe") < 0.1


def test_executor_and_to_thread(server: Server) -> None:
    assert get_json(server, "/executor") == [True, True]


def test_child_process(server: Server) -> None:
    assert get_json(server, "/subprocess") == ["TO A CHILD", 3]


def test_app_may_be_a_client_of_its_own_server(server: Server) -> None:
    assert get_json(server, "/own-client") == [True, True, True]


def test_app_may_have_a_server_of_its_own(server: Server) -> None:
    assert server.get("/own-server").body == b"LINE\n"


def test_sockets_of_the_app_carry_megabytes(server: Server) -> None:
    assert get_json(server, "/large-transfer") == 10_000_000


def test_sockets_of_the_app_carry_megabytes_while_requests_come(server: Server) -> None:
    with server.connect() as transfer:
        transfer.send_request("GET", "/large-transfer")
        for _ in range(100):
            assert server.get("/ok").body == b"ok"
        assert transfer.read_response().body == b"10000000"


def test_readers_come_and_go(server: Server) -> None:
    assert get_json(server, "/add-reader") == ["0", "1", "2", "3", "4"]


def test_context_variables_stay_with_their_request(server: Server) -> None:
    with ExitStack() as stack:
        connections = [stack.enter_context(server.connect()) for _ in range(20)]
        for _ in range(3):
            for number, connection in enumerate(connections):
                connection.send_request("GET", f"/context?{number}")
            for number, connection in enumerate(connections):
                name = f'"{number}"'
                expected = f'["unset", {name}, {name}, {name}]'
                assert connection.read_response().text == expected


def test_task_group(server: Server) -> None:
    assert get_json(server, "/task-group") == [0, 2, 4, 6, 8]
    assert get_json(server, "/task-group-fails") == [1, True]


def test_timeout_around_a_sleep_and_around_receive(server: Server) -> None:
    assert get_json(server, "/timeout") == ["timed out", "timed out"]


def test_timeout_as_the_first_thing_of_a_request(server: Server) -> None:
    assert get_json(server, "/timeout-at-once") is True


def test_anyio_cancel_scopes_and_threads(server: Server) -> None:
    assert get_json(server, "/anyio") == [True, True, "in a thread"]


def test_many_requests_wait_at_once(server: Server) -> None:
    key, count = new_key(), 200
    with ExitStack() as stack:
        connections = [stack.enter_context(server.connect()) for _ in range(count)]
        for connection in connections:
            connection.send_request("GET", f"/gate?{key}")
        wait_until(lambda: len(events(server, key)) == count, "all to be inside")
        open_gate(server, key)
        for connection in connections:
            assert connection.read_response().body == b"released"


def test_requests_of_one_connection_are_answered_in_order(server: Server) -> None:
    with server.connect() as connection:
        requests = [f"GET /context?{n} HTTP/1.1\r\nHost: a\r\n\r\n" for n in range(20)]
        connection.send("".join(requests).encode())
        for number in range(20):
            assert f'"{number}"' in connection.read_response().text


def test_background_work_after_the_response_lets_the_connection_go_on(server: Server) -> None:
    key = new_key()
    with server.connect() as connection:
        connection.send_request("GET", f"/background?{key}")
        assert connection.read_response().body == b"answered"
        connection.send_request("GET", f"/open?{key}")
        assert connection.read_response().body == b"true"
    wait_until(lambda: "done" in events(server, key), "the background work to end")


def test_nothing_is_logged_in_all_this(server: Server) -> None:
    log = LogFrom(server)
    get_json(server, "/task-group")
    get_json(server, "/subprocess")
    get_json(server, "/own-client")
    assert log.text() == ""
