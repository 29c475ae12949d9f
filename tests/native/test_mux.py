"""`Mux`: patterns by HTTP, refusals at registration, Muxes in Muxes, and how a Mux is served."""

import contextlib
import importlib
import itertools
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from gohttp import Mux
from support import (
    Response,
    Server,
    free_port,
    gohttp_serve,
    run_gohttp,
    start,
    wait_until,
)

APPS = Path(__file__).parent / "apps"
PROTOCOL = Path(__file__).parents[1] / "protocol"
# Both orders of registration, both kinds of handlers, with and without an event loop.
MUXES = ["in_order", "reverse", "beside_a_loop", "async_beside_a_loop"]
METHODS = ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"]

_numbers = itertools.count(1)


@pytest.fixture(scope="module", params=MUXES)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with gohttp_serve(f"mux_cases:{request.param}", cwd=APPS) as server:
        yield server


@pytest.fixture(scope="module")
def nested() -> Iterator[Server]:
    with gohttp_serve("mux_cases:nested", cwd=APPS) as server:
        yield server


def ask(
    server: Server, method: str, path: str, host: str = "test", body: bytes = b""
) -> dict[str, Any]:
    """What the handler tells that a request led to."""
    response = server.request(method, path, [("Host", host)], body)
    assert response.status == 200, response
    told: dict[str, Any] = json.loads(response.body)
    return told


def split(line: str) -> tuple[str, str, str]:
    """`METHOD [HOST]/PATH` as method, host and target."""
    method, _, rest = line.partition(" ")
    host, slash, path = rest.partition("/")
    return method, host or "test", slash + path


def assert_plain(response: Response, status: int) -> None:
    """An answer of the server itself."""
    expected = {404: b"404 Not Found\n", 405: b"405 Method Not Allowed\n"}[status]
    assert (response.status, response.body) == (status, expected)
    assert response.header("content-type") == "text/plain; charset=utf-8"
    assert response.header("content-length") == str(len(expected))


# --- which pattern ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "pattern"),
    [
        ("GET /", "/{$}"),
        ("BREW /", "/{$}"),
        ("GET /items/7", "GET /items/{id}"),
        ("POST /items/7", "POST /items/{id}"),
        ("DELETE /items/7", "DELETE /items/{id}"),
        ("GET /items/latest", "GET /items/latest"),
        ("DELETE /items/latest", "DELETE /items/{id}"),
        ("GET /items/7/parts/3", "/items/{id}/parts/{part}"),
        ("PUT /items/7/parts/first", "/items/{id}/parts/first"),
        ("GET /files/", "GET /files/{rest...}"),
        ("GET /files/a/b/c/", "GET /files/{rest...}"),
        ("GET /files/known/", "GET /files/known/"),
        ("GET /files/known/a/b", "GET /files/known/"),
        ("GET /files/known/a", "GET /files/known/{name}"),
        ("GET /files/known/file.txt", "GET /files/known/file.txt"),
        ("GET /folder/", "/folder/{$}"),
        ("GET /tree/", "/tree/"),
        ("GET /tree/leaf", "GET /tree/leaf"),
        ("POST /tree/leaf", "/tree/"),
        ("GET /tree/leaf/", "/tree/"),
        ("GET /both", "/both"),
        ("GET /both/", "/both/"),
        ("GET /both/below", "/both/"),
        ("BREW /pot", "BREW /pot"),
        ("GET /tree/leaf?a=/both", "GET /tree/leaf"),
    ],
)
def test_most_specific_pattern_wins_whatever_the_order(
    server: Server, line: str, pattern: str
) -> None:
    method, host, path = split(line)
    told = ask(server, method, path, host)
    assert (told["pattern"], told["registered"]) == (pattern, pattern)
    assert (told["method"], told["url"]) == (method, path)


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("/items/7", {"id": "7"}),
        ("/items/7/parts/3", {"id": "7", "part": "3"}),
        ("/items/a%20b", {"id": "a b"}),
        ("/items/a+b", {"id": "a+b"}),
        ("/items/a%2Fb", {"id": "a/b"}),
        ("/items/%2e%2e", {"id": ".."}),
        ("/items/100%25", {"id": "100%"}),
        ("/items/%zz", {"id": "%zz"}),
        ("/items/%252F", {"id": "%2F"}),
        ("/items/gr%C3%BC%C3%9Fe", {"id": "grüße"}),
        ("/items/%F0%9F%9A%80", {"id": "🚀"}),
        ("/items/%FF", {"id": "\ufffd"}),
        ("/items/;a=1,b", {"id": ";a=1,b"}),
        ("/items/7?id=8", {"id": "7"}),
        ("/files/", {"rest": ""}),
        ("/files/a/b%2Fc/", {"rest": "a/b/c/"}),
        ("/files/a%20b/%2e%2e/c", {"rest": "a b/../c"}),
        ("/gr%C3%BC%C3%9Fe/%C3%BC", {"name": "ü"}),
        ("/tree/any", {}),
    ],
)
def test_wildcards_give_their_decoded_values(
    server: Server, path: str, values: dict[str, str]
) -> None:
    told = ask(server, "GET", path)
    assert told["values"] == told["one by one"] == values


def test_values_are_asked_for_by_name(server: Server) -> None:
    """A name that the pattern does not have is a KeyError; the values are each caller's own."""
    assert json.loads(server.get("/control/values/1/2/3").body) == {
        "known": ["1", "2/3"],
        "c": ["c"],
        "": [""],
        "A": ["A"],
        "after a change": {"a": "1", "b": "2/3"},
        "order": ["a", "b"],
    }


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("/%74ree/leaf", "GET /tree/leaf"),
        ("/tree/%6ceaf", "GET /tree/leaf"),
        ("/a%2Fb", "/a%2Fb"),
        ("/a%2fb", "/a%2Fb"),
        ("/%61%2Fb", "/a%2Fb"),
        ("/c%20d", "/c%20d"),
        ("/%25", "/%25"),
        ("/gr%C3%BC%C3%9Fe/x", "/grüße/{name}"),
        ("/tree/%2e%2e/both", "/tree/"),
        ("/tree/leaf%2F", "/tree/"),
        ("/files/known%2Ffile.txt", "GET /files/{rest...}"),
    ],
)
def test_segments_are_compared_decoded_and_split_before(
    server: Server, path: str, pattern: str
) -> None:
    assert ask(server, "GET", path)["pattern"] == pattern


@pytest.mark.parametrize("path", ["/a/b", "/A%2FB", "/c%2520d", "/items%2F7", "/%2525", "/Both"])
def test_other_spellings_are_other_paths(server: Server, path: str) -> None:
    assert_plain(server.get(path), 404)


@pytest.mark.parametrize(
    ("line", "pattern"),
    [
        ("GET example.org/", "example.org/"),
        ("GET example.org/tree/leaf", "example.org/"),
        ("POST EXAMPLE.ORG:8080/anything", "example.org/"),
        ("GET example.org/items/7", "GET example.org/items/{id}"),
        ("HEAD Example.Org:1/items/7", "GET example.org/items/{id}"),
        ("POST example.org/items/7", "example.org/"),
        ("GET www.example.org/both", "/both"),
        ("GET example.org.evil/both", "/both"),
        ("GET example.net:80/exact", "Example.NET/exact"),
        ("GET example.net/both", "/both"),
        ("GET [::1]:8000/six", "[::1]/six"),
        ("GET [::1]/six", "[::1]/six"),
        ("GET [::1]/both", "/both"),
    ],
)
def test_host_wins_without_its_port_and_case(server: Server, line: str, pattern: str) -> None:
    method, host, path = split(line)
    response = server.request(method, path, [("Host", host)])
    assert (response.status, response.header("x-pattern")) == (200, pattern)


def test_host_of_an_absolute_target_counts(server: Server) -> None:
    response = server.get("http://example.org:81/items/7?x", [("Host", "example.net")])
    told = json.loads(response.body)
    assert told["pattern"] == "GET example.org/items/{id}"


def test_http_1_0_without_a_host_has_the_patterns_without_one(server: Server) -> None:
    with server.connect() as connection:
        connection.send(b"GET /tree/leaf HTTP/1.0\r\n\r\n")
        assert json.loads(connection.read_response().body)["pattern"] == "GET /tree/leaf"


# --- methods -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/items/7", "/only-get", "/files/a/b"])
def test_get_takes_head(server: Server, path: str) -> None:
    got, asked = server.get(path), server.request("HEAD", path)
    assert (got.status, asked.status) == (200, 200)
    assert asked.header("x-pattern") == got.header("x-pattern")
    assert asked.body == b""
    # One byte more: the handler tells the method too.
    assert asked.header("content-length") == str(len(got.body) + 1)


def test_head_of_its_own_wins_over_get(server: Server) -> None:
    assert server.request("HEAD", "/own-head").header("x-pattern") == "HEAD /own-head"
    assert server.get("/own-head").header("x-pattern") == "GET /own-head"


@pytest.mark.parametrize(
    ("line", "allow"),
    [
        ("PUT /items/7", "DELETE, GET, HEAD, POST"),
        ("OPTIONS /items/7", "DELETE, GET, HEAD, POST"),
        ("POST /only-get", "GET, HEAD"),
        ("get /only-get", "GET, HEAD"),
        ("POST /own-head", "GET, HEAD"),
        ("GET /pot", "BREW"),
        ("HEAD /pot", "BREW"),
        ("GET /form/", "PUT"),
        ("GET /form", "PUT"),
        ("POST /files/a/b", "GET, HEAD"),
        ("POST //files/x", "GET, HEAD"),
        ("OPTIONS /form/x", "PUT"),
    ],
)
def test_other_methods_are_405_and_allow_names_what_is_taken(
    server: Server, line: str, allow: str
) -> None:
    method, host, path = split(line)
    response = server.request(method, path, [("Host", host)])
    assert response.header("allow") == allow
    if method == "HEAD":
        assert (response.status, response.body) == (405, b"")
    else:
        assert_plain(response, 405)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "BREW"])
@pytest.mark.parametrize("path", ["/nowhere", "/items", "/items/", "/folder/x", "/items/7/parts/"])
def test_path_without_a_pattern_is_404(server: Server, method: str, path: str) -> None:
    response = server.request(method, path)
    assert response.header("allow") is None
    if method == "HEAD":
        assert (response.status, response.body) == (404, b"")
        assert response.header("content-length") == "14"
    else:
        assert_plain(response, 404)


def test_connection_goes_on_after_each_answer_of_the_server(server: Server) -> None:
    with server.connect() as connection:
        for method, path, status in [
            ("POST", "/nowhere", 404),
            ("POST", "/only-get", 405),
            ("POST", "/both/../tree", 308),
            ("POST", "/both", 200),
        ]:
            for body in (b"", b"x" * 1000, b"x" * 200_000):
                connection.send_request(method, path, body=body)
                assert connection.read_response().status == status
            connection.send_request("HEAD", path)
            connection.read_response(head=True)


def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    lines = ["GET /both", "GET /nowhere", "POST /only-get", "GET /tree", "POST /tree", "GET /both/"]
    with server.connect() as connection:
        connection.send(b"".join(f"{x} HTTP/1.1\r\nHost: test\r\n\r\n".encode() for x in lines))
        statuses = [connection.read_response().status for _ in lines]
    assert statuses == [200, 404, 405, 301, 308, 200]


@pytest.mark.parametrize("path", ["/nowhere", "/only-get", "/tree"])
def test_nobody_is_told_to_continue_with_a_body_for_nothing(server: Server, path: str) -> None:
    with server.connect() as connection:
        headers = [("Expect", "100-continue"), ("Content-Length", "5")]
        connection.send_request("POST", path, headers)
        assert connection.read_response(interim=True).status in (404, 405, 308)


# --- redirects -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("/tree", "/tree/"),
        ("/tree?a=b&c=/d//e", "/tree/?a=b&c=/d//e"),
        ("/folder", "/folder/"),
        ("/files", "/files/"),
        ("/%74ree", "/%74ree/"),
        ("//both", "/both"),
        ("/./both", "/both"),
        ("/x/../both?%20", "/both?%20"),
        ("/both/../tree", "/tree/"),
        ("/tree//leaf?x=1&y=2", "/tree/leaf?x=1&y=2"),
        ("/items/a%20b/./parts//c%2Fd", "/items/a%20b/parts/c%2Fd"),
        ("/..", "/"),
        ("//", "/"),
        ("//evil.example/..//tree", "/tree/"),
        ("/tree//evil.example/", "/tree/evil.example/"),
    ],
)
def test_redirect_to_the_folder_or_the_clean_path_keeps_the_query(
    server: Server, target: str, location: str
) -> None:
    with server.connect() as connection:
        for method in ("GET", "HEAD"):
            connection.send_request(method, target)
            response = connection.read_response(head=method == "HEAD")
            assert (response.status, response.header("location")) == (301, location)
            assert response.body == b""
        connection.send_request("GET", location)
        assert connection.read_response().status == 200


@pytest.mark.parametrize("method", METHODS)
def test_other_methods_than_get_are_redirected_by_308(server: Server, method: str) -> None:
    with server.connect() as connection:
        for target, location in [("/tree?x", "/tree/?x"), ("//both", "/both")]:
            connection.send_request(method, target, body=b"body")
            response = connection.read_response()
            assert (response.status, response.header("location")) == (308, location)
            connection.send_request(method, location, body=b"body")
            assert json.loads(connection.read_response().body)["body"] == 4


def test_folder_is_looked_for_with_the_method_too(server: Server) -> None:
    response = server.request("PUT", "/form")
    assert (response.status, response.header("location")) == (308, "/form/")
    assert_plain(server.get("/form"), 405)


def test_folder_of_a_host_is_redirected_to_on_that_host(server: Server) -> None:
    # "example.org/" takes it, and it has no folder of its own.
    response = server.get("/tree", [("Host", "example.org")])
    assert (response.status, response.header("x-pattern")) == (200, "example.org/")


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "//evil.example/",
        "//evil.example/..//tree",
        "//evil.example//..//tree/",
        "///evil.example/../../tree",
        "/\\evil.example/../tree",
        "/.//evil.example/tree/../..//tree",
        "/tree/..//evil.example/%2e%2e/../tree",
        "/%0d%0aX-Split:%20yes/../tree",
        "/tree?\\evil",
        "//evil.example/../items/%0d%0aX-Split:%20yes/parts/x",
    ],
)
def test_redirect_never_leaves_the_site(server: Server, target: str) -> None:
    response = server.get(target)
    location = response.header("location")
    assert response.status in (200, 301, 404)
    assert response.header("x-split") is None
    assert location is None or re.match(r"/(?![/\\])", location), location


@pytest.mark.parametrize(
    ("target", "pattern"),
    [("/tree/%2e%2e/x", "/tree/"), ("/tree/...", "/tree/"), ("/tree/.well-known", "/tree/")],
)
def test_what_only_looks_unclean_is_left_alone(server: Server, target: str, pattern: str) -> None:
    assert ask(server, "GET", target)["pattern"] == pattern


# --- targets that are no paths -------------------------------------------------------------------


def test_options_of_the_server_are_no_path(server: Server) -> None:
    with server.connect() as connection:
        connection.send_request("OPTIONS", "*")
        response = connection.read_response()
        assert (response.status, response.body) == (200, b"")
        assert response.header("content-length") == "0"
        connection.send_request("GET", "/both")
        assert connection.read_response().status == 200


def test_options_of_the_server_are_for_the_mount_of_the_root() -> None:
    with gohttp_serve("mux_cases:catch_all", cwd=APPS) as server:
        assert server.request("OPTIONS", "*").body == b"mounted *"
        assert server.request("OPTIONS", "/x").body == b"mounted /x"
        assert server.request("POST", "/native").body == b"mounted /native"
        assert ask(server, "GET", "/native")["pattern"] == "GET /native"


@pytest.mark.parametrize("target", ["example.org:443", "/both"])
def test_connect_is_refused(server: Server, target: str) -> None:
    with server.connect() as connection:
        connection.send_request("CONNECT", target)
        assert connection.read_response().status == 405
        assert connection.is_closed()


# --- HTTP/2 --------------------------------------------------------------------------------------


def test_patterns_are_the_same_on_http_2(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(PROTOCOL)
    h2client = importlib.import_module("h2client")

    with h2client.H2Client(server) as client:
        for line, status, header in [
            ("GET /items/a%2Fb", 200, ("x-pattern", "GET /items/{id}")),
            ("HEAD /items/7", 200, ("x-pattern", "GET /items/{id}")),
            ("GET example.org:8080/items/7", 200, ("x-pattern", "GET example.org/items/{id}")),
            ("PUT /items/7", 405, ("allow", "DELETE, GET, HEAD, POST")),
            ("GET /nowhere", 404, ("content-length", "14")),
            ("GET /tree?x=1", 301, ("location", "/tree/?x=1")),
            ("POST //evil.example/..//tree", 308, ("location", "/tree/")),
        ]:
            method, host, path = split(line)
            stream = client.request(method, path, authority=host)
            assert (stream.status, stream.headers.get(header[0])) == (status, header[1]), line
            if method == "HEAD":
                assert stream.body == b""
        refused = client.request("POST", "/only-get", body=b"x" * 100_000)
        assert (refused.status, refused.body) == (405, b"405 Method Not Allowed\n")


# --- routes that come while the server runs ------------------------------------------------------


def add(server: Server, pattern: str, query: str = "") -> Response:
    return server.request("POST", f"/control/add?{query}", body=pattern.encode())


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_route_may_be_added_while_the_server_runs(server: Server, kind: str) -> None:
    name = f"later-{next(_numbers)}"
    with server.connect() as connection:

        def get(path: str) -> Response:
            connection.send_request("GET", path)
            return connection.read_response()

        assert_plain(get(f"/{name}/x"), 404)
        assert add(server, f"GET /{name}/{{x}}", kind).status == 200
        assert json.loads(get(f"/{name}/x").body)["values"] == {"x": "x"}
        assert add(server, f"GET /{name}/x", kind).status == 200
        assert json.loads(get(f"/{name}/x").body)["pattern"] == f"GET /{name}/x"
        refused = add(server, f"GET /{name}/{{y}}")
        assert refused.status == 409
        assert f"GET /{name}/{{y}}" in refused.text
        assert f"GET /{name}/{{x}}" in refused.text
        assert json.loads(get(f"/{name}/7").body)["values"] == {"x": "7"}


def test_routes_may_be_added_from_threads_while_requests_come(server: Server) -> None:
    prefix = f"/many-{next(_numbers)}"
    with server.connect() as adding, server.connect() as asking:
        adding.send_request("POST", "/control/add-many", body=prefix.encode())
        for _ in range(50):
            asking.send_request("GET", f"{prefix}/199/v")
            assert asking.read_response().status in (200, 404)
        assert adding.read_response().status == 200
        for number in (0, 49, 50, 199):
            asking.send_request("GET", f"{prefix}/{number}/v")
            assert json.loads(asking.read_response().body)["values"] == {"x": "v"}


# --- refusals at registration --------------------------------------------------------------------


def nothing(w: Any, req: Any) -> None:
    """A handler that is never called."""


def refusal(act: Callable[[], object], kind: type[Exception] = ValueError) -> str:
    """What the error says: one sentence, without a full stop as Python has them."""
    with pytest.raises(kind) as raised:
        act()
    said = str(raised.value)
    assert "\n" not in said
    assert len(said) < 250
    return said


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/posts/{id}", "/posts/{number}"),
        ("GET /posts/{id}", "GET /posts/{number}"),
        ("/posts/{id}", "/{kind}/latest"),
        ("GET /posts/{id}", "/posts/latest"),
        ("GET /{x}", "/posts"),
        ("/a/", "/a/{rest...}"),
        ("/{x}/b/{rest...}", "/a/{y}/"),
        ("example.org/a", "EXAMPLE.ORG/a"),
        ("/a%2Fb", "/%61%2fb"),
        ("HEAD /{x}/", "GET /a/{y...}"),
        ("/", "/{all...}"),
    ],
)
def test_conflict_names_both_patterns_whatever_the_order(one: str, other: str) -> None:
    for first, second in ((one, other), (other, one)):
        mux = Mux()
        mux.route(first, nothing)
        said = refusal(partial(mux.route, second, nothing))
        assert f'"{first}"' in said
        assert f'"{second}"' in said
        # What was refused has left nothing behind.
        mux.route(f"elsewhere.example{second[second.index('/') :]}", nothing)


@pytest.mark.parametrize(
    ("registered", "new", "said"),
    [
        (
            "/posts/{id}",
            "/posts/{number}",
            'pattern "/posts/{number}" takes the same requests as "/posts/{id}", which has a '
            "handler already; remove one of them",
        ),
        (
            "/posts/{id}",
            "/{kind}/latest",
            'pattern "/{kind}/latest" conflicts with "/posts/{id}": both match some paths, like '
            '"/posts/latest", and neither is more specific; change one so that it matches only a '
            "part of what the other matches",
        ),
        (
            "/posts/latest",
            "GET /posts/{id}",
            'pattern "GET /posts/{id}" conflicts with "/posts/latest": it takes fewer methods, but '
            "more paths, so neither is more specific; give both the same method",
        ),
        (
            "GET /posts/{id}",
            "/posts/latest",
            'pattern "/posts/latest" conflicts with "GET /posts/{id}": it takes more methods, but '
            "fewer paths, so neither is more specific; give both the same method",
        ),
    ],
)
def test_conflict_says_how_the_patterns_clash(registered: str, new: str, said: str) -> None:
    mux = Mux()
    mux.route(registered, nothing)
    assert refusal(lambda: mux.route(new, nothing)) == said


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/posts/{id}", "/posts/latest"),
        ("/posts/{id}", "GET /posts/{id}"),
        ("GET /posts/{id}", "HEAD /posts/{id}"),
        ("GET /posts/{id}", "POST /posts/{number}"),
        ("/a/", "/a"),
        ("/a/", "/a/{$}"),
        ("/a/{$}", "/a/{x}"),
        ("example.org/{x}/latest", "/posts/{id}"),
        ("/a/b", "/a%2Fb"),
        ("GET /{x...}", "POST /a/{y}/b"),
    ],
)
def test_patterns_that_do_not_clash_live_together(one: str, other: str) -> None:
    for first, second in ((one, other), (other, one)):
        mux = Mux()
        mux.route(first, nothing)
        mux.route(second, nothing)


@pytest.mark.parametrize(
    ("pattern", "word"),
    [
        ("", "empty"),
        ("nowhere", "slash"),
        ("GET", "slash"),
        ("GET nowhere", "slash"),
        ("G T /x", "slash"),
        ("(GET) /x", "method"),
        ("/{id", "braces"),
        ("/{a}{b}", "braces"),
        ("/x{id}", "braces"),
        ("/{}", "name"),
        ("/{1a}", "digit"),
        ("/{a-b}", "letters"),
        ("/{a}/{a}", "two wildcards"),
        ("/{rest...}/x", "end"),
        ("/{$}/x", "end"),
        ("/a b", "%20"),
        ("/a\n", "%0A"),
        ("/a\u00a0b", "%C2%A0"),
        ("GET /a/../b", '"/b"'),
        ("GET //b", '"/b"'),
        ("/a/../b", '"/b"'),
        ("//", '"/"'),
        ("/<int:n>", '"{n}"'),
        ("GET /files/<path:rest>", '"{rest...}"'),
        ("/{n:int}", '"{n}"'),
        ("get /x", "write GET"),
        ("GET,POST /x", "one pattern for each"),
        ("/search?q=1", "query"),
        ("/page#part", "%23"),
        ("example.org:80/x", '"example.org"'),
    ],
)
def test_malformed_pattern_is_a_sentence_that_says_how_to_mend_it(pattern: str, word: str) -> None:
    said = refusal(lambda: Mux().route(pattern, nothing))
    assert word in said
    # As Rust writes strings.
    assert said.startswith('pattern "')
    assert refusal(lambda: Mux().handle_c(pattern, 4096)) == said


@pytest.mark.parametrize("handler", [7, None, "text", object(), [nothing]])
def test_handler_that_cannot_be_called_is_a_type_error(handler: Any) -> None:
    mux = Mux()
    said = refusal(lambda: mux.route("/x", handler), TypeError)
    assert type(handler).__name__ in said
    assert not mux
    mux.route("/x", nothing)


def test_route_is_a_decorator_and_a_function(server: Server) -> None:
    mux = Mux()
    assert not mux
    assert mux.route("/a", nothing) is nothing
    assert mux.route("/b")(nothing) is nothing
    assert mux


# --- Muxes in Muxes ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "pattern", "values"),
    [
        ("GET /outer/inner", "/{$}", {}),
        ("GET /outer/inner/", "/{$}", {}),
        ("GET /outer/inner/leaf", "GET /leaf", {}),
        ("GET /outer/inner/folder/x", "/folder/", {}),
        ("GET /outer/inner/two/a%2Fb/c/d", "/two/{x}/{rest...}", {"x": "a/b", "rest": "c/d"}),
        ("GET /%6futer/inn%65r/two/a/b", "/two/{x}/{rest...}", {"x": "a", "rest": "b"}),
        ("GET /outer/own", "/own", {}),
        # What a Mux has itself wins over what is mounted in it, if it is more specific.
        ("GET /outer/inner/special", "GET /inner/special", {}),
        ("GET /outer/inner/very/special", "/outer/inner/very/special", {}),
        ("POST /outer/inner/folder/special", "/folder/", {}),
        ("GET example.org/hosted", "/{$}", {}),
        ("GET Example.Org:80/hosted/x/y", "GET /x/", {}),
        ("GET /str%C3%A4nge%20place/tree/x", "/tree/", {}),
    ],
)
def test_mux_in_a_mux_sees_what_lies_below_its_prefix(
    nested: Server, line: str, pattern: str, values: dict[str, str]
) -> None:
    method, host, path = split(line)
    told = ask(nested, method, path, host)
    assert (told["pattern"], told["values"], told["url"]) == (pattern, values, path)


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("/outer/inner/folder?x=1", "/outer/inner/folder/?x=1"),
        ("/outer/inner//leaf", "/outer/inner/leaf"),
        ("/outer/inner/two/./x/y?q", "/outer/inner/two/x/y?q"),
        ("//outer/own", "/outer/own"),
        ("/outer/inner//evil.example/..//leaf", "/outer/inner/leaf"),
        ("/%6futer/inner/folder", "/%6futer/inner/folder/"),
        ("/str%C3%A4nge%20place/tree", "/str%C3%A4nge%20place/tree/"),
    ],
)
def test_redirect_of_a_mounted_mux_has_its_prefix(
    nested: Server, target: str, location: str
) -> None:
    with nested.connect() as connection:
        connection.send_request("GET", target)
        response = connection.read_response()
        assert (response.status, response.header("location")) == (301, location)
        connection.send_request("GET", location)
        assert connection.read_response().status == 200


def test_mounted_mux_answers_404_and_405_itself(nested: Server) -> None:
    refused = nested.request("POST", "/outer/inner/leaf")
    assert_plain(refused, 405)
    assert refused.header("allow") == "GET, HEAD"
    for path in ("/outer", "/outer/", "/outer/inner/one", "/empty", "/empty/x", "/nowhere"):
        assert_plain(nested.get(path), 404)
    assert_plain(nested.get("/hosted/x/y", [("Host", "www.example.org")]), 404)
    assert ask(nested, "GET", "/outer/inner/leaf", "example.org")["pattern"] == "GET /leaf"


def test_mux_may_have_a_host_for_itself(write_app: Callable[..., Any]) -> None:
    app = write_app(
        """
        from gohttp import Mux

        mux, of_host = Mux(), Mux()
        of_host.route("/tree/", lambda w, req: w.write("of the host"))
        mux.mount("example.org/", of_host)
        mux.route("/tree/", lambda w, req: w.write("of all"))
        """,
        attribute="mux",
    )
    with gohttp_serve(app.target, cwd=app.cwd) as server:
        assert server.get("/tree/x", [("Host", "Example.org:8000")]).body == b"of the host"
        assert server.get("/tree/x").body == b"of all"
        assert server.get("/x", [("Host", "example.org")]).status == 404
        redirect = server.get("/tree", [("Host", "example.org")])
        assert (redirect.status, redirect.header("location")) == (301, "/tree/")


def test_mounted_mux_may_be_filled_while_the_server_runs(nested: Server) -> None:
    name = f"later-{next(_numbers)}"
    path = f"/outer/inner/control/add?{name}"
    assert_plain(nested.get(f"/outer/inner/{name}"), 404)
    assert nested.request("POST", path, body=f"GET /{name}".encode()).status == 200
    assert ask(nested, "GET", f"/outer/inner/{name}")["pattern"] == f"GET /{name}"


def test_mux_is_mounted_once_and_not_in_itself() -> None:
    outer, inner, innermost = Mux(), Mux(), Mux()
    outer.mount("/in", inner)
    inner.mount("/most", innermost)
    said = refusal(lambda: Mux().mount("/again", inner))
    assert '"/in"' in said
    refusal(lambda: outer.mount("/in2", inner))
    fresh = Mux()
    assert "itself" in refusal(lambda: fresh.mount("/x", fresh))
    assert "itself" in refusal(lambda: innermost.mount("/x", outer))
    assert "itself" in refusal(lambda: inner.mount("/x", outer))
    assert not fresh  # a refusal leaves nothing behind
    fresh.mount("/x", Mux())
    # One that was refused elsewhere is still free.
    taken = Mux()
    taken.route("/x/{rest...}", nothing)
    free = Mux()
    refusal(lambda: taken.mount("/x", free))
    taken.mount("/y", free)


@pytest.mark.parametrize(
    ("prefix", "word"),
    [
        ("GET /x", "methods"),
        ("/{x}", "braces"),
        ("x", "slash"),
        ("/a b", "%20"),
        ("//", '"/"'),
        ("/a/../b", '"/b"'),
        ("example.org:80/", '"example.org"'),
    ],
)
def test_bad_prefix_is_a_value_error(prefix: str, word: str) -> None:
    outer = Mux()
    assert word in refusal(lambda: outer.mount(prefix, Mux()))
    assert not outer


@pytest.mark.parametrize("pattern", ["/api", "/api/", "/{x}/latest", "GET /{x}", "/api/{rest...}"])
def test_route_and_mount_conflict_as_patterns_do(pattern: str) -> None:
    mux = Mux()
    mux.mount("/api", Mux())
    said = refusal(lambda: mux.route(pattern, nothing))
    assert f'"{pattern}"' in said
    assert '"/api"' in said
    mux = Mux()
    mux.route(pattern, nothing)
    said = refusal(lambda: mux.mount("/api", Mux()))
    assert f'"{pattern}"' in said
    assert '"/api"' in said


# --- how a Mux is served -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "options", "there", "absent"),
    [
        ("mux_cases:beside_the_default", (), "/of-the-mux", "/of-the-module"),
        ("mux_cases:Holder.mux", (), "/of-the-mux", "/of-the-module"),
        ("mux_cases:make()", (), "/made", "/of-the-module"),
        ("mux_cases:make", ("--factory",), "/made", "/of-the-mux"),
        ("mux_cases", (), "/of-the-module", "/of-the-mux"),
        ("mux_cases:beside_the_default", ("--interface", "native"), "/of-the-mux", "/made"),
    ],
)
def test_command_serves_a_mux_or_the_routes_of_a_module(
    target: str, options: tuple[str, ...], there: str, absent: str
) -> None:
    with gohttp_serve(target, *options, cwd=APPS) as server:
        assert ask(server, "GET", there)["pattern"] == there
        assert_plain(server.get(absent), 404)


@pytest.mark.parametrize("options", [(), ("--interface", "native")])
def test_empty_mux_is_refused_with_one_sentence(options: tuple[str, ...]) -> None:
    done = run_gohttp("serve", "mux_cases:empty", "--port", "0", *options, cwd=APPS, timeout=5)
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert "mux_cases:empty" in lines[0]
    assert "no routes" in lines[0] or "without routes" in lines[0]


@pytest.mark.parametrize("interface", ["wsgi", "asgi"])
def test_mux_is_no_app_of_another_interface(interface: str) -> None:
    done = run_gohttp(
        "serve", "mux_cases:in_order", "--port", "0", "--interface", interface, cwd=APPS
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert f"--interface {interface}" in done.stderr


def test_workers_serve_a_mux() -> None:
    with gohttp_serve("mux_cases:nested", cwd=APPS, workers=2) as server:
        for _ in range(4):
            assert ask(server, "GET", "/outer/inner/leaf")["pattern"] == "GET /leaf"


PROGRAM = """\
import gohttp
from gohttp import Mux

mux, empty = Mux(), Mux()

@mux.route("GET /hello/{name}")
def hello(w, req):
    w.write("hello " + req.path_value("name"))

@mux.route("/stop")
def stop(w, req):
    gohttp.shutdown()
    w.write("stopping")

if __name__ == "__main__":
    gohttp.route("/default", lambda w, req: w.write("default"))
    gohttp.route("/stop", stop)
    CALL
    print("returned", flush=True)
"""


@contextmanager
def running(folder: Path, call: str) -> Iterator[Server]:
    """A program that calls `run()` on the port that the call has for PORT."""
    port = free_port()
    path = folder / "program.py"
    path.write_text(PROGRAM.replace("CALL", call.replace("PORT", str(port))), encoding="utf-8")
    server = start([sys.executable, str(path)], cwd=folder)
    server.port = port
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.process.terminate()
        try:
            server.wait()
        except subprocess.TimeoutExpired:
            server.process.kill()
            server.process.wait()
        server.stderr.close()
        server.stdout.close()


def first_answer(server: Server, path: str) -> Response:
    """The answer to a request as soon as the program listens again."""

    def response() -> Response | None:
        assert server.process.poll() is None, server.log()
        with contextlib.suppress(OSError):  # nobody listens, or the last run has just ended
            return server.get(path)
        return None

    answer: Response = wait_until(response, "an answer")
    return answer


@pytest.mark.parametrize("app", ["mux", '"program:mux"'])
def test_run_serves_a_mux_until_shutdown(tmp_path: Path, app: str) -> None:
    with running(tmp_path, f"gohttp.run({app}, port=PORT)") as server:
        assert first_answer(server, "/hello/you").body == b"hello you"
        assert server.get("/default").status == 404
        assert server.get("/stop").body == b"stopping"
        assert server.wait() == 0
        wait_until(lambda: "returned" in server.output(), "run() to return")


def test_run_without_a_mux_serves_the_default_one(tmp_path: Path) -> None:
    with running(tmp_path, "gohttp.run(port=PORT)") as server:
        assert first_answer(server, "/default").body == b"default"
        assert server.get("/hello/you").status == 404
        server.signal(signal.SIGINT)
        assert server.wait() == 0


def test_run_serves_one_mux_after_another(tmp_path: Path) -> None:
    """The program's Muxes and its default one do not know of each other."""
    call = "for mux in (mux, None, mux): gohttp.run(*[mux] if mux else [], port=PORT)"
    with running(tmp_path, call) as server:
        for there, absent in (
            ("/hello/x", "/default"),
            ("/default", "/hello/x"),
            ("/hello/x", "/default"),
        ):
            wait_until(lambda there=there: first_answer(server, there).status == 200, "the run")
            assert server.get(absent).status == 404
            assert server.get("/stop").body == b"stopping"
        assert server.wait() == 0


def test_signal_lets_every_run_of_a_program_return(tmp_path: Path) -> None:
    call = "for _ in range(2): gohttp.run(mux, port=PORT); print('returned', flush=True)"
    with running(tmp_path, call) as server:
        for turn in (1, 2):
            assert first_answer(server, "/hello/x").status == 200
            server.signal()
            wait_until(
                lambda turn=turn: (
                    server.output().count("returned") >= turn or server.process.poll() is not None
                ),
                "run() to return",
            )
        assert server.wait() == 0


def test_run_of_an_empty_mux_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    call = "try: gohttp.run(empty, port=0)\n    except gohttp.GohttpError as error: print(error)"
    path.write_text(PROGRAM.replace("CALL", call), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(path)], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 0, done.stderr
    said, returned = done.stdout.splitlines()
    assert "without routes" in said
    assert returned == "returned"
    assert done.stderr == ""
