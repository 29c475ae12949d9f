"""ASGI, "HTTP Connection Scope": what the app is told of a request."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asgi_helpers import LOOPS, get_json, serve_cases
from support import Server


@pytest.fixture(scope="module", params=LOOPS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with serve_cases("--loop", request.param) as server:
        yield server


def scope_of(
    server: Server, target: str = "/scope", headers: list[tuple[str, str]] | None = None
) -> dict[str, Any]:
    """The scope, each value as `[type name, value]`."""
    response = server.request("GET", target, headers or [])
    assert response.status == 200, response
    scope: dict[str, Any] = json.loads(response.body)
    return scope


def fields_of(scope: dict[str, Any]) -> list[tuple[str, str]]:
    kind, pairs = scope["headers"]
    assert kind in ("list", "tuple")
    for _, pair in pairs:
        assert [kind for kind, _ in pair] == ["bytes", "bytes"]
    return [(pair[0][1], pair[1][1]) for _, pair in pairs]


def test_every_key_has_its_type_and_value(server: Server) -> None:
    scope = scope_of(server, "/scope?a=b&c=%20")
    assert scope["type"] == ["str", "http"]
    assert scope["asgi"][1]["version"] == ["str", "3.0"]
    assert scope["asgi"][1]["spec_version"] == ["str", "2.5"]
    assert scope["http_version"] == ["str", "1.1"]
    assert scope["method"] == ["str", "GET"]
    assert scope["scheme"] == ["str", "http"]
    assert scope["path"] == ["str", "/scope"]
    assert scope["raw_path"] == ["bytes", "/scope"]
    assert scope["query_string"] == ["bytes", "a=b&c=%20"]
    assert scope["root_path"] == ["str", ""]
    assert scope["server"] == ["tuple", [["str", "127.0.0.1"], ["int", server.port]]]
    kind, client = scope["client"]
    assert kind in ("list", "tuple")
    assert client[0] == ["str", "127.0.0.1"]
    assert client[1][0] == "int"
    assert client[1][1] > 1023


def test_query_string_is_empty_bytes_without_a_query(server: Server) -> None:
    assert scope_of(server)["query_string"] == ["bytes", ""]


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/a%20b", "/a b"),
        ("/caf%C3%A9", "/caf\xe9"),
        ("/a%2Fb", "/a/b"),
        ("/a+b", "/a+b"),
        ("/%zz", "/%zz"),
        ("//double", "//double"),
    ],
)
def test_path_is_decoded_utf_8_and_raw_path_as_sent(server: Server, target: str, path: str) -> None:
    scope = scope_of(server, target + "?x=%20")
    assert scope["path"] == ["str", path]
    assert scope["raw_path"] == ["bytes", target]


def test_path_that_is_not_utf_8_is_still_text(server: Server) -> None:
    scope = scope_of(server, "/%ff")
    assert scope["path"][0] == "str"
    assert scope["raw_path"] == ["bytes", "/%ff"]


def test_absolute_target_gives_path_and_host(server: Server) -> None:
    scope = scope_of(server, "http://example.org/there?x=1")
    assert scope["path"] == ["str", "/there"]
    assert scope["raw_path"] == ["bytes", "/there"]
    assert scope["query_string"] == ["bytes", "x=1"]
    assert ("host", "example.org") in fields_of(scope)


def test_header_names_are_lower_case_and_values_as_sent(server: Server) -> None:
    fields = fields_of(scope_of(server, headers=[("X-MiXed", "VaLue \xff"), ("ACCEPT", "*/*")]))
    assert ("x-mixed", "VaLue \xff") in fields
    assert ("accept", "*/*") in fields
    assert fields[0] == ("host", "test")


def test_repeated_headers_stay_apart_and_in_order(server: Server) -> None:
    headers = [("X-A", "1"), ("Cookie", "a=1"), ("x-a", "2"), ("Cookie", "b=2"), ("X-A", "1")]
    fields = fields_of(scope_of(server, headers=headers))
    assert [f for f in fields if f[0] in ("x-a", "cookie")] == [
        (name.lower(), value) for name, value in headers
    ]


def test_underscored_and_dashed_headers_are_both_passed_on(server: Server) -> None:
    fields = fields_of(scope_of(server, headers=[("X-User", "1"), ("X_User", "2")]))
    assert {("x-user", "1"), ("x_user", "2")} <= set(fields)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"])
def test_method_is_in_upper_case(server: Server, method: str) -> None:
    scope = json.loads(server.request(method, "/scope").body)
    assert scope["method"] == ["str", method]


def test_http_1_0_is_named_so(server: Server) -> None:
    with server.connect() as connection:
        connection.send(b"GET /scope HTTP/1.0\r\n\r\n")
        scope = json.loads(connection.read_response().body)
    assert scope["http_version"] == ["str", "1.0"]
    assert fields_of(scope) == []


def test_changes_of_the_scope_stay_with_their_request(server: Server) -> None:
    with server.connect() as connection:
        for _ in range(2):
            connection.send_request("GET", "/scope-changed")
            assert json.loads(connection.read_response().body) == [None, None, "GET"]


def test_state_is_a_shallow_copy_of_what_lifespan_left(server: Server) -> None:
    first, second = get_json(server, "/state"), get_json(server, "/state")
    assert first[:2] == second[:2] == [1, None]
    assert second[2] == first[2] + 1


def test_tls_extension_is_absent_without_tls(server: Server) -> None:
    extensions = scope_of(server).get("extensions", ["dict", {}])
    assert "tls" not in extensions[1]


@pytest.mark.parametrize("loop", LOOPS)
def test_root_path_and_unix_socket(tmp_path: Path, loop: str) -> None:
    path = str(tmp_path / "s")
    with serve_cases("--loop", loop, "--uds", path, "--root-path", "/root") as server:
        scope = scope_of(server, "/a%20b")
        assert scope["root_path"] == ["str", "/root"]
        assert scope["path"] == ["str", "/root/a b"]  # root_path is its beginning
        assert scope["raw_path"] == ["bytes", "/a%20b"]
        assert scope["server"] == ["tuple", [["str", path], ["NoneType", None]]]
        assert scope["client"] == ["NoneType", None]
        assert scope_of(server, "/root/x")["path"] == ["str", "/root/x"]
