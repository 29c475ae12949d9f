"""The scope of a WebSocket (ASGI WebSocket specification 2.5)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asgi_helpers import (
    LOOPS,
    get_json,
)
from support import Server
from websocket_client import (
    H2Connection,
    serve_websockets,
    websocket,
)


@pytest.fixture(scope="module", params=LOOPS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with serve_websockets("--loop", request.param) as server:
        yield server


def scope_of(
    server: Server, target: str = "/scope", headers: list[tuple[str, str]] | None = None
) -> dict[str, Any]:
    """The scope, each value as `[type name, value]`."""
    with websocket(server, target, headers or []) as chat:
        scope: dict[str, Any] = chat.read_json()
        assert chat.read_close() == (1000, "")
    return scope


def test_every_key_has_its_type_and_value(server: Server) -> None:
    scope = scope_of(server, "/scope?a=b&c=%20")
    assert scope["type"] == ["str", "websocket"]
    assert scope["asgi"][1]["version"] == ["str", "3.0"]
    assert scope["asgi"][1]["spec_version"] == ["str", "2.5"]
    assert scope["http_version"] == ["str", "1.1"]
    assert scope["scheme"] == ["str", "ws"]
    assert scope["path"] == ["str", "/scope"]
    assert scope["raw_path"] == ["bytes", "/scope"]
    assert scope["query_string"] == ["bytes", "a=b&c=%20"]
    assert scope["root_path"] == ["str", ""]
    assert scope["server"] == ["tuple", [["str", "127.0.0.1"], ["int", server.port]]]
    assert scope["client"][1][0] == ["str", "127.0.0.1"]
    assert scope["client"][1][1][1] > 1023
    assert scope["subprotocols"] == ["list", []]
    assert scope["extensions"] == ["dict", {"websocket.http.response": ["dict", {}]}]
    assert "method" not in scope


def test_query_string_is_empty_bytes_without_a_query(server: Server) -> None:
    assert scope_of(server)["query_string"] == ["bytes", ""]


def test_http_version_is_2_on_http_2(server: Server) -> None:
    with H2Connection(server) as connection:
        scope = connection.websocket("/scope?x").read_json()
    assert scope["http_version"] == ["str", "2"]
    assert scope["scheme"] == ["str", "ws"]
    assert scope["type"] == ["str", "websocket"]
    assert "method" not in scope


def test_subprotocols_are_in_the_clients_order(server: Server) -> None:
    fields = [("Sec-WebSocket-Protocol", "b, a"), ("Sec-WebSocket-Protocol", "c.v1")]
    scope = scope_of(server, headers=fields)
    assert scope["subprotocols"] == ["list", [["str", "b"], ["str", "a"], ["str", "c.v1"]]]


@pytest.mark.parametrize(
    ("proto", "scheme"), [("https", "wss"), ("wss", "wss"), ("http", "ws"), ("ws", "ws")]
)
def test_scheme_is_what_the_proxy_says(server: Server, proto: str, scheme: str) -> None:
    scope = scope_of(server, headers=[("X-Forwarded-Proto", proto), ("X-Forwarded-For", "1.2.3.4")])
    assert scope["scheme"] == ["str", scheme]
    assert scope["client"][1] == [["str", "1.2.3.4"], ["int", 0]]


@pytest.mark.parametrize(
    ("target", "path"), [("/a%20b", "/a b"), ("/caf%C3%A9", "/caf\xe9"), ("/a%2Fb", "/a/b")]
)
def test_path_is_decoded_utf_8_and_raw_path_as_sent(server: Server, target: str, path: str) -> None:
    scope = scope_of(server, target + "?x=%20")
    assert scope["path"] == ["str", path]
    assert scope["raw_path"] == ["bytes", target]


def test_headers_have_lower_case_names_and_stay_apart_and_in_order(server: Server) -> None:
    headers = [("X-MiXed", "VaLue \xff"), ("Cookie", "a=1"), ("x-a", "2"), ("Cookie", "b=2")]
    kind, pairs = scope_of(server, headers=headers)["headers"]
    assert kind == "list"
    fields = [(pair[0], pair[1]) for _, pair in pairs]
    assert all(name[0] == value[0] == "bytes" for name, value in fields)
    plain = [(name[1], value[1]) for name, value in fields]
    assert [f for f in plain if f[0] in ("x-mixed", "cookie", "x-a")] == [
        (name.lower(), value) for name, value in headers
    ]
    assert ("upgrade", "websocket") in plain


def test_changes_of_the_scope_stay_with_their_websocket(server: Server) -> None:
    for _ in range(2):
        with websocket(server, "/scope-changed") as chat:
            assert chat.read_json() == [None, False, "websocket"]


def test_state_is_a_shallow_copy_of_what_lifespan_left(server: Server) -> None:
    seen = []
    for _ in range(2):
        with websocket(server, "/state") as chat:
            seen.append(chat.read_json())
    first, second = seen
    assert first[:2] == second[:2] == [1, None]
    assert second[2] == first[2] + 1
    assert get_json(server, "/state")[2] == second[2] + 1  # shared with HTTP


@pytest.mark.parametrize("loop", LOOPS)
def test_root_path_and_unix_socket(tmp_path: Path, loop: str) -> None:
    path = str(tmp_path / "s")
    with serve_websockets("--loop", loop, "--uds", path, "--root-path", "/root") as server:
        scope = scope_of(server, "/a%20b")
        assert scope["root_path"] == ["str", "/root"]
        assert scope["path"] == ["str", "/root/a b"]
        assert scope["raw_path"] == ["bytes", "/a%20b"]
        assert scope["server"] == ["tuple", [["str", path], ["NoneType", None]]]
        assert scope["client"] == ["NoneType", None]
        with websocket(server, "/root/echo") as chat:
            chat.text("over a Unix socket")
            assert chat.read() == "over a Unix socket"
            assert chat.close() == (1000, "")
