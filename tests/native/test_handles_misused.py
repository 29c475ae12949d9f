"""`w` and `req` after the end of their request, in other threads and in forked processes: what
cannot be done raises, what can be known is told, and nothing crashes or blocks."""

import json
from collections.abc import Iterator
from pathlib import Path

import gohttp
import pytest
from support import Server, gohttp_serve

APPS = Path(__file__).parent / "apps"
# What goes on: it changes or tells what nobody will be sent.
HARMLESS = {"w.headers", "w.trailers", "w.set_status", "w.set_cookie", "w.early_hints"}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with gohttp_serve("handle_cases", cwd=APPS) as server:
        yield server


def names() -> set[str]:
    classes = {"w": gohttp.ResponseWriter, "req": gohttp.Request}
    return {
        f"{short}.{name}"
        for short, kind in classes.items()
        for name in dir(kind)
        if not name.startswith("_")
    }


@pytest.mark.parametrize("kind", ["keep", "keep-async"])
@pytest.mark.parametrize("place", ["here", "thread", "fork"])
def test_after_the_end_writing_raises_and_reading_goes_on(
    server: Server, kind: str, place: str
) -> None:
    which = f"{kind}-{place}"
    body = b'{"a": 1}'
    headers = [("Content-Type", "application/json")]
    assert server.request("POST", f"/{kind}/{which}", headers, body).text == "kept"
    response = server.get(f"/use/{which}?in={place}")
    assert response.status == 200, response.text
    found: dict[str, str] = json.loads(response.text)
    assert found.pop("exit code", "0") == "0"
    assert set(found) == names()
    for name, outcome in found.items():
        if name.startswith("w.") and name not in HARMLESS:
            assert outcome.startswith("raises "), (name, outcome)
            assert outcome in ("raises RuntimeError", "raises OSError", "raises FileExistsError"), (
                name,
                outcome,
            )
        elif name == "req.set_deadline":
            assert outcome == "raises RuntimeError"
        elif name != "req.form":  # the body is none
            assert outcome.startswith("gives "), (name, outcome)
    assert server.get("/keep/afterwards").text == "kept"


def test_a_forked_child_may_use_what_the_parent_answers(server: Server) -> None:
    """What it writes is its own, and the client's connection is the parent's."""
    with server.connect() as client:
        client.send_request("GET", "/fork")
        response = client.read_response()
        found = json.loads(response.text)
        assert (response.status, found.pop("exit code")) == (200, "0")
        assert set(found) == names()
        # The connection is as good as ever.
        client.send_request("GET", "/keep/next")
        assert client.read_response().text == "kept"
