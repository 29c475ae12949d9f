"""A Dash app (apps/dash_app.py), asked what its page in a browser asks."""

import re
from collections.abc import Iterator
from typing import Any

import niquests
import pytest

from .serving import Server, Setup, eventually, in_parallel, serve, session_for

OUTPUT = "..greeting.children...clicks.children.."


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve("dash_app:server", Setup("wsgi", 2), tmp_path_factory.mktemp("dash")) as server:
        yield server


def greet(client: niquests.Session, name: str, clicks: int = 1) -> niquests.Response:
    body: dict[str, Any] = {
        "output": OUTPUT,
        "outputs": [
            {"id": "greeting", "property": "children"},
            {"id": "clicks", "property": "children"},
        ],
        "inputs": [{"id": "greet", "property": "n_clicks", "value": clicks}],
        "state": [{"id": "name", "property": "value", "value": name}],
        "changedPropIds": ["greet.n_clicks"],
    }
    return client.post("/_dash-update-component", json=body)


def test_index_page_names_its_scripts_and_all_of_them_are_served(client: niquests.Session) -> None:
    page = client.get("/")
    assert str(page.headers["Content-Type"]).startswith("text/html")
    text = page.text or ""
    assert "<title>Greetings</title>" in text
    assert int(page.headers["Content-Length"]) == len(page.content or b"")
    scripts = re.findall(r'<script src="(/_dash-component-suites/[^"]+)"', text)
    assert len(scripts) >= 5
    for script in scripts:
        response = client.get(script)
        assert response.status_code == 200
        assert "javascript" in str(response.headers["Content-Type"])
        assert len(response.content or b"") > 500


def test_layout_is_json(client: niquests.Session) -> None:
    layout = client.get("/_dash-layout").json()
    children = layout["props"]["children"]
    assert (layout["type"], children[0]["props"]["children"]) == ("Div", "Grüße")
    assert children[1]["props"] == {"id": "name", "value": "Welt"}


def test_dependencies_tell_the_callbacks(client: niquests.Session) -> None:
    (dependency,) = client.get("/_dash-dependencies").json()
    assert dependency["output"] == OUTPUT
    assert dependency["inputs"] == [{"id": "greet", "property": "n_clicks"}]
    assert dependency["prevent_initial_call"] is True


def test_callback_answers_with_the_new_properties(client: niquests.Session) -> None:
    response = greet(client, "Zoë", 3)
    assert response.status_code == 200
    answer = response.json()["response"]
    assert answer["clicks"] == {"children": "3 clicks"}
    assert answer["greeting"]["children"]["props"] == {"children": "Hello Zoë!"}
    assert set(greet(client, "Zoë", 101).json()["response"]) == {"greeting"}


def test_callback_that_prevents_the_update_is_204(client: niquests.Session) -> None:
    for _ in range(2):
        response = greet(client, "")
        assert (response.status_code, response.content) == (204, b"")


def test_callbacks_of_many_pages_run_at_once(server: Server) -> None:
    def page(number: int) -> list[str]:
        with session_for(server) as session:
            names = [f"{number}-{turn}" for turn in range(5)]
            answers = [greet(session, name).json()["response"] for name in names]
            return [answer["greeting"]["children"]["props"]["children"] for answer in answers]

    expected = [[f"Hello {number}-{turn}!" for turn in range(5)] for number in range(12)]
    assert in_parallel(12, page) == expected


def test_exception_in_a_callback_is_500_with_a_traceback_in_the_log(
    client: niquests.Session, server: Server
) -> None:
    assert greet(client, "fail").status_code == 500
    assert eventually(lambda: "ZeroDivisionError: the Dash callback" in server.log())


def test_route_of_the_flask_app_below_is_beside_it(client: niquests.Session) -> None:
    assert client.get("/health").json() == {"up": True}
    assert "<title>Greetings</title>" in (client.get("/any/page/of/the/app").text or "")
