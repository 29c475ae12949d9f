"""Apps that are traced, watched and that keep state by request and by thread, in apps/.

Packages for these lean on the server in what it does with threads and contexts: a request runs in
one thread from its first line to its `close()`.
"""

import http.client
import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import niquests
import pytest

from .serving import Server, Setup, eventually, get, in_parallel, serve, session_for

AT_ONCE = 8


@contextmanager
def served(target: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("instrumented")
    with serve(target, Setup("wsgi", 1), folder) as server:
        yield server


def lines_of(file: Path, choose: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    text = file.read_text() if file.exists() else ""
    # The last line may be half written yet.
    objects = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
    return [one for one in objects if choose(one)]


def get_traced(server: Server, path: str, trace_id: str) -> tuple[int, str]:
    with closing(server.connect()) as connection:
        headers = {"traceparent": f"00-{trace_id}-{'ab' * 8}-01"}
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read().decode()


# --- OpenTelemetry ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def flask_traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served("otel_app:app", tmp_path_factory) as server:
        yield server


@pytest.fixture(scope="module")
def bare_traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served("otel_app:bare", tmp_path_factory) as server:
        yield server


def spans(
    server: Server, choose: Callable[[dict[str, Any]], bool], count: int = 1
) -> list[dict[str, Any]]:
    """These spans, once there are as many; they are exported after the response was sent."""
    file = server.folder / "spans"
    assert eventually(lambda: len(lines_of(file, choose)) >= count), lines_of(file, lambda _: True)
    return lines_of(file, choose)


def of_trace(trace_id: str) -> Callable[[dict[str, Any]], bool]:
    return lambda span: bool(span["context"]["trace_id"] == f"0x{trace_id}")


def test_each_request_has_one_span_that_tells_of_it(flask_traced: Server) -> None:
    ids = [f"{number:032x}" for number in range(1, 41)]
    answers = in_parallel(
        10,
        lambda part: [
            get_traced(flask_traced, f"/items/{int(one, 16)}?q=1", one) for one in ids[part::10]
        ],
    )
    assert [status for part in answers for status, _ in part] == [200] * 40
    for one in ids:
        (span,) = spans(flask_traced, of_trace(one))
        assert (span["name"], span["kind"]) == ("GET /items/<int:number>", "SpanKind.SERVER")
        assert span["parent_id"] == "0x" + "ab" * 8
        attributes = span["attributes"]
        assert attributes["http.method"] == "GET"
        assert attributes["http.status_code"] == 200
        assert attributes["http.route"] == "/items/<int:number>"
        assert attributes["http.flavor"] == "1.1"
        assert attributes["net.host.port"] == flask_traced.port
        assert attributes["net.peer.ip"] == "127.0.0.1"


def test_span_has_the_target_as_it_was_sent(flask_traced: Server) -> None:
    one = f"{501:032x}"
    get_traced(flask_traced, "/items/%37?q=%20", one)
    (span,) = spans(flask_traced, of_trace(one))
    assert span["attributes"].get("http.target") == "/items/%37?q=%20"


def test_spans_of_requests_at_once_stay_with_their_request(flask_traced: Server) -> None:
    ids = [f"{number:032x}" for number in range(1001, 1001 + AT_ONCE)]
    answers = in_parallel(AT_ONCE, lambda n: get_traced(flask_traced, f"/inner/{n}", ids[n]))
    assert answers == [(200, one) for one in ids]
    for number, one in enumerate(ids):
        inner, outer = spans(flask_traced, of_trace(one), 2)
        assert (inner["name"], outer["name"]) == (f"inner {number}", "GET /inner/<token>")
        assert inner["parent_id"] == outer["context"]["span_id"]


def test_streamed_response_of_flask_has_its_span(flask_traced: Server) -> None:
    one = f"{2001:032x}"
    assert get_traced(flask_traced, "/stream/100", one)[1].count("\n") == 100
    (span,) = spans(flask_traced, of_trace(one))
    assert span["name"] == "GET /stream/<int:count>"


def test_span_of_a_request_that_failed_has_the_exception(flask_traced: Server) -> None:
    one = f"{3001:032x}"
    assert get_traced(flask_traced, "/fails?token=t", one)[0] == 500
    (span,) = spans(flask_traced, of_trace(one))
    assert span["status"]["status_code"] == "ERROR"
    assert span["attributes"]["http.status_code"] == 500
    (event,) = span["events"]
    assert event["attributes"]["exception.message"] == "traced: t"


def test_span_of_the_wsgi_middleware_lasts_as_long_as_the_stream(bare_traced: Server) -> None:
    ids = [f"{number:032x}" for number in range(1, 1 + AT_ONCE)]
    answers = in_parallel(AT_ONCE, lambda n: get_traced(bare_traced, "/lines/20", ids[n]))
    assert answers == [(200, "".join(f"line {line}\n" for line in range(20)))] * AT_ONCE
    for one in ids:
        *inner, outer = spans(bare_traced, of_trace(one), 21)
        assert outer["kind"] == "SpanKind.SERVER"
        assert [span["name"] for span in inner] == [f"line {line}" for line in range(20)]
        assert {span["parent_id"] for span in inner} == {outer["context"]["span_id"]}
        assert outer["end_time"] >= inner[-1]["end_time"]


def test_span_of_a_stream_ends_when_the_client_leaves(bare_traced: Server) -> None:
    one = f"{4001:032x}"
    with closing(bare_traced.connect()) as connection:
        connection.request("GET", "/endless", headers={"traceparent": f"00-{one}-{'ab' * 8}-01"})
        assert len(connection.getresponse().read(50_000)) == 50_000
    (span,) = spans(bare_traced, of_trace(one))
    assert span["kind"] == "SpanKind.SERVER"


def test_no_context_was_detached_in_another_than_its_own(
    flask_traced: Server, bare_traced: Server
) -> None:
    for server in (flask_traced, bare_traced):
        assert "Failed to detach context" not in server.log()
        assert "different Context" not in server.log()


# --- Sentry -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def flask_watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served("sentry_app:app", tmp_path_factory) as server:
        yield server


def reports(
    server: Server, kind: str, choose: Callable[[dict[str, Any]], bool], count: int = 1
) -> list[dict[str, Any]]:
    """These events or transactions, once there are as many."""
    file = server.folder / kind
    assert eventually(lambda: len(lines_of(file, choose)) >= count), lines_of(file, lambda _: True)
    return lines_of(file, choose)


def test_exception_is_captured_with_its_request(flask_watched: Server) -> None:
    with session_for(flask_watched) as session:
        headers = {"X-Mark": "Marke", "Cookie": "one=1"}
        response = session.post("/fails/Zoë?a=b", json={"sent": "größe"}, headers=headers)
        assert response.status_code == 500
    (event,) = reports(flask_watched, "event", lambda event: "exception" in event)
    (exception,) = event["exception"]["values"]
    assert (exception["type"], exception["value"]) == ("ZeroDivisionError", "watched: Zoë 1")
    assert exception["mechanism"]["handled"] is False
    assert event["transaction"] == "fails"
    request = event["request"]
    assert request["url"] == f"{flask_watched.url}/fails/Zoë"
    assert (request["method"], request["query_string"]) == ("POST", "a=b")
    assert request["data"] == {"sent": "größe"}
    assert request["cookies"] == {"one": "1"}
    assert request["headers"]["X-Mark"] == "Marke"
    assert request["env"]["SERVER_PORT"] == str(flask_watched.port)
    assert event["user"]["ip_address"] == "127.0.0.1"


def test_each_request_is_one_transaction(flask_watched: Server) -> None:
    def ask(number: int) -> list[int]:
        return [get(flask_watched, f"/items/{number}{turn}")[0] for turn in range(5)]

    assert in_parallel(AT_ONCE, ask) == [[200] * 5] * AT_ONCE
    found = reports(
        flask_watched, "transaction", lambda one: one["transaction"] == "item", AT_ONCE * 5
    )
    urls = [one["request"]["url"] for one in found]
    expected = [f"{number}{turn}" for number in range(AT_ONCE) for turn in range(5)]
    assert sorted(urls) == sorted(f"{flask_watched.url}/items/{one}" for one in expected)
    assert len({one["contexts"]["trace"]["trace_id"] for one in found}) == AT_ONCE * 5


def test_streamed_response_is_one_transaction(flask_watched: Server) -> None:
    assert get(flask_watched, "/stream/100")[1].count(b"\n") == 100
    (found,) = reports(flask_watched, "transaction", lambda one: one["transaction"] == "stream")
    assert found["contexts"]["trace"]["status"] == "ok"


@pytest.mark.parametrize("turn", [1, 2])
def test_requests_at_once_are_isolated_in_what_they_report(
    flask_watched: Server, turn: int
) -> None:
    tokens = [f"{turn}-{number}" for number in range(AT_ONCE)]
    assert in_parallel(AT_ONCE, lambda n: get(flask_watched, f"/isolated/{tokens[n]}")) == [
        (200, token.encode()) for token in tokens
    ]
    for token in tokens:
        (event,) = reports(
            flask_watched, "event", lambda one, t=token: one.get("message") == f"message {t}"
        )
        assert event["tags"] == {f"tag {token}": token}
        assert event["user"]["id"] == token
        crumbs = [one for one in event["breadcrumbs"]["values"] if one["category"] == "test"]
        assert [crumb["message"] for crumb in crumbs] == [f"crumb {token}"]
        assert event["request"]["url"].endswith(f"/isolated/{token}")


def test_failure_in_the_midst_of_a_response_is_captured(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with served("sentry_app:bare", tmp_path_factory) as server:
        for number in range(2):
            with closing(server.connect()) as connection:
                connection.request("GET", f"/?{number}")
                with pytest.raises((http.client.IncompleteRead, ConnectionError)):
                    connection.getresponse().read()
        events = reports(server, "event", lambda one: "exception" in one, 2)
        assert [one["exception"]["values"][0]["value"] for one in events] == [
            "failed midway 0",
            "failed midway 1",
        ]
        assert [one["request"]["query_string"] for one in events] == ["0", "1"]


# --- contexts and threads -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served("contexts_app:app", tmp_path_factory) as server:
        yield server


def test_context_of_a_flask_request_is_its_own(server: Server) -> None:
    for turn in range(5):
        tokens = [f"{turn}-{number}" for number in range(AT_ONCE)]
        answers = in_parallel(
            AT_ONCE, lambda n, t=tokens: json.loads(get(server, f"/own/{t[n]}?token={t[n]}")[1])
        )
        assert answers == [{"before": None, "seen": [token] * 3} for token in tokens]


def test_no_context_is_left_by_a_request_that_failed_or_was_left(
    client: niquests.Session, server: Server
) -> None:
    assert in_parallel(AT_ONCE, lambda n: get(server, f"/fails/{n}")[0]) == [500] * AT_ONCE
    assert client.get("/none").status_code == 404
    for _ in range(AT_ONCE):
        assert client.get("/thread").status_code == 200
    assert "a context has leaked" not in server.events()


def test_thread_locals_last_as_long_as_the_thread(server: Server) -> None:
    def ask(_: int) -> list[dict[str, Any]]:
        return [json.loads(get(server, "/thread")[1]) for _ in range(20)]

    before = ask(0)
    answers = before + [answer for part in in_parallel(AT_ONCE, ask) for answer in part]
    assert all(answer["known"] for answer in answers)
    counts: dict[int, list[int]] = {}
    for answer in answers:
        counts.setdefault(answer["native"], []).append(answer["count"])
    for of_one in counts.values():
        first = min(of_one)
        assert sorted(of_one) == list(range(first, first + len(of_one)))
    assert len(counts) < len(answers) / 2


def test_context_of_the_view_is_that_of_its_stream_and_of_its_end(server: Server) -> None:
    tokens = [f"token {number}" for number in range(AT_ONCE)]

    def ask(number: int) -> bytes:
        return get(server, f"/streamed/{tokens[number].replace(' ', '%20')}")[1]

    assert in_parallel(AT_ONCE, ask) == [f"{token}\n".encode() * 5 for token in tokens]
    for token in tokens:
        assert server.recorded(f"put back {token} nothing")
