"""Server-sent events of sse-starlette (apps/sse_starlette_app.py)."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from .asgi_clients import http_client, loop_of, on_both_loops, open_gate
from .serving import REFERENCE, Server, Setup, eventually, get, recorded_over_http, serve

Event = dict[str, str]


@pytest.fixture(scope="module", params=on_both_loops())
def setup(request: pytest.FixtureRequest) -> Setup:
    return loop_of(request)


@pytest.fixture(scope="module")
def server(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve("sse_starlette_app:app", setup, tmp_path_factory.mktemp("sse")) as server:
        yield server


@contextmanager
def listening(server: Server, path: str, **headers: str) -> Iterator[Iterator[Event]]:
    """The events of a stream, as they come; each client has its own connection."""
    with http_client(server) as client, client.stream("GET", path, headers=headers) as response:
        assert response.status_code == 200
        assert response.headers["Content-Type"].startswith("text/event-stream")
        yield parsed(response.iter_lines())


def parsed(lines: Iterator[str]) -> Iterator[Event]:
    """Comments are events of the field ""."""
    event: Event = {}
    for line in lines:
        if not line:
            yield event
            event = {}
        else:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            event[name] = f"{event[name]}\n{value}" if name in event else value


def test_app_runs_on_the_chosen_loop(server: Server, setup: Setup) -> None:
    assert get(server, "/loop")[1].decode().split(".")[0] == setup.loop


def test_events_come_whole_and_in_order(server: Server) -> None:
    with listening(server, "/counted?to=500") as events:
        *ticks, end = events
    assert [json.loads(tick["data"]) for tick in ticks] == [{"number": n} for n in range(500)]
    assert {tick["event"] for tick in ticks} == {"tick"}
    assert [tick["id"] for tick in ticks] == [str(n) for n in range(500)]
    assert end == {"event": "end", "data": "Grüße\n東京", "retry": "500"}


def test_client_that_returns_is_given_what_it_missed(server: Server) -> None:
    headers = {"Last-Event-ID": "7"}
    with listening(server, "/counted?to=10", **headers) as events:
        assert [event.get("id") for event in events] == ["8", "9", None]


def test_event_is_sent_when_it_is_made(server: Server) -> None:
    with listening(server, "/gated/sse") as events:
        assert next(events) == {"data": "first"}
        open_gate(server, "sse")
        assert next(events) == {"data": "second"}
        assert next(events, None) is None


def test_what_is_published_reaches_all_who_listen(server: Server) -> None:
    with ExitStack() as stack, http_client(server) as client:
        streams = [stack.enter_context(listening(server, f"/feed/all-{n}")) for n in range(5)]
        for number, events in enumerate(streams):
            assert next(events) == {"event": "ready", "data": f"all-{number}"}
        assert client.post("/publish", json="Grüße").json()["listeners"] >= 5
        for events in streams:
            told = (event for event in events if "data" in event)
            assert json.loads(next(told)["data"]) == "Grüße"


def test_silent_stream_is_kept_alive_by_pings(server: Server) -> None:
    with listening(server, "/feed/silent") as events:
        assert next(events) == {"event": "ready", "data": "silent"}
        assert next(events)[""].startswith("ping")


def test_stream_ends_in_the_app_when_the_client_leaves(server: Server) -> None:
    with listening(server, "/feed/leaver") as events:
        assert next(events)["data"] == "leaver"
        assert "left leaver" not in server.events()
    assert recorded_over_http(server, "left leaver")


def test_failure_in_the_stream_cuts_it_and_tells_nothing(server: Server) -> None:
    with listening(server, "/fails") as events:
        assert next(events) == {"data": "begun"}
        with pytest.raises(httpx.RemoteProtocolError):
            next(events)
    assert eventually(lambda: "asgi_common.Secret: the stream fails" in server.log())


@pytest.mark.skipif(REFERENCE, reason="uvicorn waits for the streams")
def test_stop_ends_the_streams(setup: Setup, tmp_path: Path) -> None:
    with (
        serve(
            "sse_starlette_app:app", setup, tmp_path, env={"GOHTTP_GRACEFUL_TIMEOUT": "0.5"}
        ) as server,
        listening(server, "/feed/stopped") as events,
    ):
        assert next(events)["data"] == "stopped"
        server.terminate()
        with pytest.raises(httpx.RemoteProtocolError):
            list(events)
        server.wait()
