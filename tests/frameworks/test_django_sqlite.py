"""Many writers at once in one SQLite database, through Django (django_counters/)."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import niquests
import pytest

from .serving import HERE, Server, Setup, eventually, get, in_parallel, pids_seen, serve

CLIENTS = 16
EACH = 25


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("django-sqlite")
    env = {"FOLDER": str(folder), "DJANGO_SETTINGS_MODULE": "django_counters.settings"}
    migrate = [sys.executable, "-m", "django", "migrate", "--verbosity=0"]
    subprocess.run(migrate, cwd=HERE, env={**os.environ, **env}, check=True)
    with serve(
        "django_counters.wsgi:application",
        Setup("wsgi", 2),
        folder,
        cwd=HERE,
        env={"GOHTTP_THREADS": "8"},
    ) as server:
        assert len(pids_seen(server, "/pid", 2)) == 2
        yield server


def entries(server: Server, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(get(server, f"/entries/{name}")[1])
    return found


def test_database_is_opened_for_the_request_in_wal_mode(client: niquests.Session) -> None:
    for _ in range(10):
        answer = client.get("/database").json()
        assert (answer["mode"], answer["timeout"], answer["fresh"]) == ("wal", 20_000, True)


@pytest.mark.parametrize("kept_alive", [True, False], ids=["kept-alive", "connection-each"])
def test_concurrent_increments_are_all_there(server: Server, kept_alive: bool) -> None:
    name = f"shared-{kept_alive}"

    def write(client: int) -> list[tuple[int, int]]:
        answers = []
        connection = server.connect()
        with closing(connection):
            for turn in range(EACH):
                connection.request("POST", f"/add/{name}/{name}-{client}-{turn}")
                response = connection.getresponse()
                body = response.read()
                answers.append((response.status, json.loads(body)["value"]))
                if not kept_alive:
                    connection.close()  # the next request opens another
        return answers

    answers = [answer for one in in_parallel(CLIENTS, write) for answer in one]
    total = CLIENTS * EACH
    assert {status for status, _ in answers} == {200}
    assert sorted(value for _, value in answers) == list(range(1, total + 1))

    found = entries(server, name)
    assert found["values"] == [total]
    assert [entry["number"] for entry in found["entries"]] == list(range(1, total + 1))
    assert {entry["token"] for entry in found["entries"]} == {
        f"{name}-{client}-{turn}" for client in range(CLIENTS) for turn in range(EACH)
    }


def test_both_workers_and_several_threads_of_each_write(server: Server) -> None:
    """In rounds, as the kernel decides which worker accepts a connection."""

    def writers() -> dict[int, set[int]]:
        threads: dict[int, set[int]] = {}
        for entry in entries(server, "spread")["entries"]:
            threads.setdefault(entry["pid"], set()).add(entry["thread"])
        return threads

    rounds = iter(range(100))

    def spread() -> bool:
        turn = next(rounds)
        answers = in_parallel(CLIENTS, lambda n: get(server, f"/add/spread/spread-{turn}-{n}"))
        assert {status for status, _ in answers} == {200}
        return sorted(len(threads) > 1 for threads in writers().values()) == [True, True]

    assert eventually(spread), writers()
    assert set(writers()) == {int(pid) for pid in pids_seen(server, "/pid", 2)}


def test_readers_beside_the_writers_see_whole_transactions(server: Server) -> None:
    def read_or_write(client: int) -> bool:
        if client % 2:
            paths = [f"/add/read/read-{client}-{turn}" for turn in range(15)]
            return {get(server, path)[0] for path in paths} == {200}
        seen = [entries(server, "read") for _ in range(15)]
        lengths = [len(one["entries"]) for one in seen]
        whole = all(one["values"] in ([], [len(one["entries"])]) for one in seen)
        return whole and lengths == sorted(lengths)

    assert in_parallel(CLIENTS, read_or_write) == [True] * CLIENTS
    assert entries(server, "read")["values"] == [CLIENTS // 2 * 15]


def test_transaction_of_a_view_that_fails_leaves_nothing(server: Server) -> None:
    def write(client: int) -> list[int]:
        good, bad = "/add/rolled-back/rolled-back-{}-{}", "/add-and-fail/rolled-back"
        paths = [bad if turn % 2 else good.format(client, turn) for turn in range(10)]
        return [get(server, path)[0] for path in paths]

    assert in_parallel(8, write) == [[200, 500] * 5] * 8
    found = entries(server, "rolled-back")
    assert found["values"] == [len(found["entries"])] == [40]


def test_connections_are_closed_with_their_requests(server: Server) -> None:
    in_parallel(CLIENTS, lambda number: get(server, f"/add/closed/closed-{number}"))

    def open_in_workers() -> dict[int, int]:
        answers = [json.loads(get(server, "/open-files")[1]) for _ in range(20)]
        return {answer["pid"]: answer["open"] for answer in answers}

    workers = {int(pid) for pid in pids_seen(server, "/pid", 2)}
    closed: set[int] = set()

    def all_closed() -> bool:
        # The response is sent before the connection is closed, so one may be open yet.
        closed.update(pid for pid, count in open_in_workers().items() if count == 0)
        return closed == workers

    assert eventually(all_closed), open_in_workers()


def test_no_error_but_the_one_provoked_was_logged(server: Server) -> None:
    log = server.log()
    assert "database is locked" not in log
    assert log.count("RuntimeError: ") == log.count("RuntimeError: this transaction fails")
