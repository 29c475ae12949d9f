"""Ready-made middleware: each sort over raw sockets, for handlers and apps of all kinds."""

import base64
import gc
import importlib
import json
import re
import urllib.request
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gohttp import Mux, middleware
from middleware_site import HANDLERS, TARGETS, TEXT, Site, serve, told, varies_on
from support import Response, wait_until

HERE = Path(__file__).parent


@pytest.fixture(scope="module", params=TARGETS)
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    with serve(tmp_path_factory.mktemp("site"), request.param) as site:
        yield site


@pytest.fixture(params=HANDLERS)
def kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@pytest.fixture
def http_2(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The class of clients."""
    monkeypatch.syspath_prepend(HERE.parent / "protocol")
    return importlib.import_module("h2client").H2Client


@pytest.fixture
def websockets(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The client's module."""
    monkeypatch.syspath_prepend(HERE.parent / "asgi")
    return importlib.import_module("websocket_client")


# --- which requests it sees ----------------------------------------------------------------------


def test_all_that_a_mux_leads_to_is_behind_its_middleware(site: Site) -> None:
    paths = [f"/named/{kind}/x" for kind in site.kinds]
    paths += ["/named/files/text.txt", "/named/files/none", "/named/none"]
    for path in paths:
        assert site.server.get(path).header("x-request-id"), path
    refused = site.server.request("POST", "/named/get-only")
    assert (refused.status, refused.header("allow")) == (405, "GET, HEAD")
    assert refused.header("x-request-id")
    moved = site.server.get("/named//sync/x")
    assert moved.status in (301, 307, 308)
    assert moved.header("x-request-id")


def test_what_lies_beside_a_mux_is_not_behind_its_middleware(site: Site) -> None:
    for kind in site.kinds:
        assert site.server.get(f"/plain/{kind}/x").header("x-request-id") is None
    assert site.server.get("/nowhere").header("x-request-id") is None


def test_misuse_is_told_when_middleware_is_put_in() -> None:
    def around(handler: Any) -> Any:
        return handler

    mux = Mux()
    with pytest.raises(ValueError, match="must be named before the functions") as told:
        mux.use(around, middleware.request_id())
    assert str(told.value) == (
        "middleware.request_id() runs before any Python: it must be named before the functions,"
        f" as in mux.use(middleware.request_id(), {around.__qualname__})"
    )
    mux.use(middleware.request_id(), around)
    with pytest.raises(ValueError, match="must be named before the functions"):
        mux.use(middleware.request_id())
    with pytest.raises(TypeError, match=r"made by gohttp\.middleware, not 7"):
        mux.use(7)  # type: ignore[arg-type]
    late = Mux()
    late.route("/", lambda w, req: None)
    late.use(middleware.request_id())
    with pytest.raises(RuntimeError, match="before the routes"):
        late.use(around)
    with pytest.raises(ValueError, match="from 0 up, not -1"):
        middleware.body_limit(-1)


def test_middleware_cannot_come_while_a_server_runs() -> None:
    from gohttp.testing import serve as serve_in_thread

    mux = Mux()
    mux.route("/", lambda w, req: w.text("here"))
    with serve_in_thread(mux), pytest.raises(RuntimeError, match="the server is running"):
        mux.use(middleware.request_id())
    mux.use(middleware.request_id())


def test_names_of_ready_made_middleware_are_those_it_is_made_by() -> None:
    made = {
        "request_id": middleware.request_id(),
        "body_limit": middleware.body_limit(1),
        "cors": middleware.cors("*"),
        "basic_auth": middleware.basic_auth({"ada": "secret"}),
        "rate_limit": middleware.rate_limit(1),
        "compress": middleware.compress(),
    }
    asked = middleware.basic_auth(lambda name, password: True)
    assert [repr(layer) for layer in made.values()] == [f"middleware.{name}()" for name in made]
    assert repr(asked) == "middleware.basic_auth()"


class Guarded:
    """An object whose method judges passwords, with the Mux that asks it."""

    def __init__(self) -> None:
        self.layer = middleware.basic_auth(self.check)
        self.mux = Mux()
        self.mux.use(self.layer)
        self.mux.route("/", lambda w, req: w.text("in"))
        self.outer = Mux()
        self.outer.mount("/", self.mux)

    def check(self, name: str, password: str) -> bool:
        return name == password


@pytest.mark.parametrize("served", [False, True])
def test_function_that_refers_to_its_mux_is_collected(served: bool) -> None:
    from gohttp.testing import serve as serve_in_thread

    guarded = Guarded()
    gone = weakref.ref(guarded)
    if served:
        with (
            serve_in_thread(guarded.outer) as url,
            urllib.request.urlopen(
                urllib.request.Request(url, headers=dict(credentials("a", "a")))
            ) as answer,
        ):
            assert answer.read() == b"in"
    gc.collect()
    assert gone() is guarded
    layer = guarded.layer
    del guarded
    gc.collect()
    assert gone() is not None, "the layer is there, and asks it"
    del layer
    wait_until(lambda: gc.collect() < 0 or gone() is None, "it is collected")


# --- request ids ---------------------------------------------------------------------------------


def test_request_has_a_name_for_handler_client_and_logs(site: Site, kind: str) -> None:
    response = site.server.get(f"/named/{kind}/x")
    name = response.header("x-request-id")
    assert name
    assert re.fullmatch("[0-9a-f]{32}", name)
    assert told(response)["x-request-id"] == name
    line = re.compile(rf'"GET /named/{kind}/x HTTP/1.1" 200 \d+ [\d.]+ms {name}$')
    wait_until(lambda: any(line.search(line_) for line_ in site.server.output()), f"{name} there")
    assert site.server.get(f"/named/{kind}/x").header("x-request-id") != name


def test_name_stands_beside_a_logged_exception(site: Site, kind: str) -> None:
    response = site.server.get(f"/named/{kind}/raise")
    assert response.status == 500
    name = response.header("x-request-id")
    site.server.wait_for_log(rf"Exception in GET /named/{kind}/raise \({name}\)")


def test_clients_name_is_kept_if_it_is_sane(site: Site, kind: str) -> None:
    def name_for(*sent: str, where: str = "named") -> str | None:
        fields = [("X-Request-ID", name) for name in sent]
        response = site.server.get(f"/{where}/{kind}/x", fields)
        name = response.header("x-request-id")
        assert told(response)["x-request-id"] == name
        return name

    assert name_for("from-the.proxy:1") == "from-the.proxy:1"
    for sent in [("a b",), ('a"b',), ("x" * 129,), ("",), ("a", "b")]:
        assert re.fullmatch("[0-9a-f]{32}", name_for(*sent) or ""), sent
    assert re.fullmatch("[0-9a-f]{32}", name_for("a", where="renamed") or "")


def test_requests_have_names_on_http_2(site: Site, http_2: Any) -> None:
    with http_2(site.server) as client:
        for kind in [*site.kinds, "files"]:
            stream = client.request("GET", f"/named/{kind}/x")
            assert stream.status in (200, 404)
            assert re.fullmatch("[0-9a-f]{32}", stream.headers["x-request-id"])


# --- body limit ----------------------------------------------------------------------------------


def test_declared_length_beyond_the_limit_is_refused_at_once(site: Site, kind: str) -> None:
    with site.server.connect() as connection:
        connection.send_request("POST", f"/limited/{kind}/length", [("Content-Length", "1001")])
        response = connection.read_response()
    assert response.status == 413
    assert response.header("x-request-id")


def test_expecting_client_is_not_told_to_go_on(site: Site, kind: str) -> None:
    with site.server.connect() as connection:
        fields = [("Content-Length", "1001"), ("Expect", "100-continue")]
        connection.send_request("POST", f"/limited/{kind}/length", fields)
        assert connection.read_response(interim=True).status == 413


def test_body_up_to_the_limit_is_taken(site: Site, kind: str) -> None:
    path = f"/limited/{kind}/length"
    assert site.server.request("POST", path, body=bytes(1000)).text == "1000"
    chunked = [("Transfer-Encoding", "chunked")]
    body = b"1f4\r\n" + bytes(500) + b"\r\n1f4\r\n" + bytes(500) + b"\r\n0\r\n\r\n"
    assert site.server.request("POST", path, chunked, body).text == "1000"


def test_chunked_body_is_counted(site: Site, kind: str) -> None:
    with site.server.connect() as connection:
        fields = [("Transfer-Encoding", "chunked")]
        connection.send_request("POST", f"/limited/{kind}/length", fields)
        connection.send(b"3e8\r\n" + bytes(1000) + b"\r\n")
        connection.send(b"1\r\nx\r\n")
        response = connection.read_response()
        assert response.status == 413
        assert response.header("x-request-id"), "the server's own answer is named, too"
        assert connection.is_closed()
    assert site.server.request("POST", f"/plain/{kind}/length", body=bytes(1001)).text == "1001"


def test_body_is_counted_on_http_2(site: Site, kind: str, http_2: Any) -> None:
    for length, status in [(1000, 200), (1001, 413)]:
        with http_2(site.server) as client:
            stream = client.request("POST", f"/limited/{kind}/length", body=bytes(length))
            assert stream.status == status
            assert stream.headers["x-request-id"]


# --- CORS ----------------------------------------------------------------------------------------

A = "https://a.example"


def preflight(site: Site, path: str, origin: str, method: str, headers: str = "") -> Response:
    fields = [("Origin", origin), ("Access-Control-Request-Method", method)]
    if headers:
        fields.append(("Access-Control-Request-Headers", headers))
    return site.server.request("OPTIONS", path, fields)


def allowed(response: Response) -> dict[str, str]:
    start = "access-control-"
    return {k.removeprefix(start): v for k, v in response.headers if k.startswith(start)}


def test_preflight_is_answered_for_all_kinds(site: Site) -> None:
    for kind in [*site.kinds, "files", "get-only", "none"]:
        response = preflight(site, f"/shared/{kind}/x", A, "PUT", "x-token")
        assert (response.status, response.body) == (204, b"")
        assert allowed(response) == {
            "allow-origin": A,
            "allow-credentials": "true",
            "allow-methods": "GET, PUT",
            "allow-headers": "X-Token, Content-Type",
            "max-age": "60",
        }
        assert varies_on(response) == {
            "origin",
            "access-control-request-method",
            "access-control-request-headers",
        }


def test_preflight_allows_what_is_asked_for_where_all_is_allowed(site: Site) -> None:
    response = preflight(site, "/anybody/sync/x", "https://x.example", "PUT", "x-a, x-b")
    assert response.status == 204
    assert allowed(response) == {
        "allow-origin": "*",
        "allow-methods": "GET, HEAD, POST, PUT, PATCH, DELETE",
        "allow-headers": "x-a, x-b",
        "max-age": "600",
    }
    assert "allow-headers" not in allowed(preflight(site, "/anybody/sync/x", A, "PUT"))
    assert "allow-headers" not in allowed(preflight(site, "/anybody/sync/x", A, "PUT", "a b"))


@pytest.mark.parametrize("origin", ["https://b.example", "http://a.example", "null", "a"])
def test_origin_that_is_not_named_may_do_nothing(site: Site, origin: str) -> None:
    response = preflight(site, "/shared/sync/x", origin, "PUT")
    assert (response.status, allowed(response)) == (403, {})
    response = site.server.get("/shared/sync/x", [("Origin", origin)])
    assert (response.status, allowed(response), varies_on(response)) == (200, {}, {"origin"})


def test_responses_say_who_may_read_them(site: Site) -> None:
    for path in [*(f"{kind}/x" for kind in site.kinds), "files/text.txt", "files/none", "none"]:
        for origin in (A, "https://x.y.b.example"):
            response = site.server.get(f"/shared/{path}", [("Origin", origin)])
            assert allowed(response) == {
                "allow-origin": origin,
                "allow-credentials": "true",
                "expose-headers": "X-Count, ETag",
            }
            assert "origin" in varies_on(response)
        response = site.server.get(f"/shared/{path}")
        assert allowed(response) == {}
        assert "origin" in varies_on(response), "a cache may have it for a page"
        response = site.server.get(f"/anybody/{path}")
        assert allowed(response) == {"allow-origin": "*"}
        assert "origin" not in varies_on(response)


def test_handlers_own_words_on_cors_are_replaced(site: Site, kind: str) -> None:
    own = "field=access-control-allow-origin:https://c.example&field=vary:origin"
    path = f"/shared/{kind}/x?{own}"
    response = site.server.get(path, [("Origin", A)])
    assert response.header("access-control-allow-origin") == A
    assert response.header("vary") == "origin"
    assert allowed(site.server.get(path)) == {}


def test_refused_origin_is_told_nothing_by_the_handler_either(site: Site, kind: str) -> None:
    names = ["allow-methods", "allow-headers", "max-age", "expose-headers"]
    path = f"/shared/{kind}/x?" + "&".join(f"field=access-control-{name}:9" for name in names)
    for fields in ([], [("Origin", "https://evil.example")]):
        assert allowed(site.server.get(path, fields)) == {}
    assert allowed(site.server.get(path, [("Origin", A)])) == {
        "allow-origin": A,
        "allow-credentials": "true",
        "expose-headers": "X-Count, ETag",
    }
    path = path.replace("/shared/", "/anybody/")
    assert allowed(site.server.get(path)) == {"allow-origin": "*", "expose-headers": "9"}


def test_options_that_are_no_preflight_reach_the_handler(site: Site, kind: str) -> None:
    for fields in ([("Origin", A)], [("Access-Control-Request-Method", "PUT")]):
        response = site.server.request("OPTIONS", f"/shared/{kind}/x", fields)
        assert json.loads(response.body)["method"] == "OPTIONS"


def test_error_of_a_handler_may_be_read_by_the_page(site: Site, kind: str) -> None:
    response = site.server.get(f"/shared/{kind}/raise", [("Origin", A)])
    assert (response.status, allowed(response)["allow-origin"]) == (500, A)


def test_rules_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match=r'without a path, not "https://a\.example/"'):
        middleware.cors(["https://a.example/"])
    with pytest.raises(ValueError, match=r"usual port .* write 'http://a\.example'"):
        middleware.cors(["http://a.example:80"])
    with pytest.raises(ValueError, match=r"usual port .* write 'https://\*\.a\.example'"):
        middleware.cors(["https://*.a.example:443"])
    with pytest.raises(ValueError, match="credentials cannot be allowed to every origin"):
        middleware.cors("*", credentials=True)
    with pytest.raises(ValueError, match='"a b" cannot be the name of a header'):
        middleware.cors("*", headers=["a b"])


# --- basic authentication ------------------------------------------------------------------------


def credentials(name: str, password: str) -> list[tuple[str, str]]:
    token = base64.b64encode(f"{name}:{password}".encode()).decode()
    return [("Authorization", f"Basic {token}")]


def test_users_come_in_and_others_are_asked(site: Site, kind: str) -> None:
    path = f"/secret/{kind}/x"
    for name, password in [("ada", "wörd:1"), ("bob", "")]:
        response = site.server.get(path, credentials(name, password))
        assert told(response)["authorization"] == credentials(name, password)[0][1]
    wrong = [credentials("ada", "wörd"), credentials("ada", ""), credentials("", "")]
    wrong += [[], [("Authorization", "Bearer x")], credentials("bob", "") * 2]
    for fields in wrong:
        response = site.server.get(path, fields)
        assert response.status == 401, fields
        challenge = response.header("www-authenticate")
        assert challenge == r'Basic realm="our \"site\"", charset="UTF-8"'
    site.server.wait_for_log(r"401 for a request from 127\.0\.0\.1: wrong name or password")


def test_all_that_a_mux_leads_to_is_secret(site: Site) -> None:
    for path in ("files/text.txt", "files/none", "none", "get-only"):
        assert site.server.get(f"/secret/{path}").status == 401
        assert site.server.get(f"/asked/{path}").status == 401
    assert site.server.get("/secret/files/text.txt", credentials("bob", "")).body == TEXT * 100
    assert site.server.get("/secret/none", credentials("bob", "")).status == 404
    assert site.server.get("/asked/files/text.txt", credentials("a", "a")).body == TEXT * 100
    assert site.server.get("/asked/none", credentials("a", "a")).status == 404


def test_function_judges_names_and_passwords(site: Site, kind: str) -> None:
    path = f"/asked/{kind}/x"
    assert told(site.server.get(path, credentials("ä", "ä")))["x-request-id"]
    assert site.server.get(path, credentials("a", "b")).status == 401
    assert site.server.get(path).status == 401
    for name, error in [("raise", "the users cannot be had"), ("odd", "True or False, not")]:
        response = site.server.get(path, credentials(name, ""))
        assert response.status == 500
        site.server.wait_for_log(error)
        request = response.header("x-request-id")
        site.server.wait_for_log(rf"Exception in GET {path} \({request}\)")


def test_layers_behind_a_function_are_entered_after_it(site: Site, kind: str) -> None:
    path = f"/asked/{kind}/length"
    known = credentials("a", "a")
    assert site.server.request("POST", path, known, b"123456789").text == "9"
    assert site.server.request("POST", path, known, b"1234567890").status == 413
    assert site.server.request("POST", path, [], b"1234567890").status == 401
    chunked = [*known, ("Transfer-Encoding", "chunked")]
    assert site.server.request("POST", path, chunked, b"3\r\nabc\r\n0\r\n\r\n").text == "3"
    body = b"5\r\n12345\r\n5\r\n67890\r\n0\r\n\r\n"
    assert site.server.request("POST", path, chunked, body).status == 413


def test_function_that_waits_holds_up_nobody(site: Site, kind: str) -> None:
    gate = site.gate()
    with site.server.connect() as slow:
        slow.send_request("GET", f"/asked/{kind}/x", credentials("slow", gate))
        for _ in range(5):
            assert site.server.get(f"/asked/{kind}/x", credentials("a", "a")).status == 200
        site.open(gate)
        assert slow.read_response().status == 401


def test_users_that_cannot_be_are_refused() -> None:
    async def check(name: str, password: str) -> bool:
        return True

    with pytest.raises(ValueError, match=r'cannot hold a colon .*"a:b"'):
        middleware.basic_auth({"a:b": "c"})
    with pytest.raises(ValueError, match="nobody could come in"):
        middleware.basic_auth({})
    with pytest.raises(ValueError, match="a realm is visible ASCII"):
        middleware.basic_auth({"a": "b"}, realm="ä")
    with pytest.raises(TypeError, match="cannot be async"):
        middleware.basic_auth(check)  # type: ignore[arg-type]
    assert "secret" not in repr(middleware.basic_auth({"a": "secret"}))


# --- rate limit ----------------------------------------------------------------------------------


def test_who_asks_too_often_has_to_wait(site: Site) -> None:
    for kind in [*site.kinds, "files", "none"]:
        path = f"/rare-{kind}/{kind}/text.txt"
        found = 404 if kind == "none" else 200
        assert [site.server.get(path).status for _ in range(4)] == [found, found, 429, 429]
        retry = site.server.get(path).header("retry-after")
        assert retry
        assert 1700 < int(retry) <= 1800, "half an hour until the next token"


def test_bucket_is_refilled(site: Site) -> None:
    statuses = [site.server.get("/often/sync/x").status for _ in range(2)]
    assert statuses[0] == 200
    wait_until(lambda: site.server.get("/often/sync/x").status == 200, "a new token")


def test_clients_of_a_trusted_proxy_have_buckets_of_their_own(tmp_path: Path) -> None:
    def statuses(site: Site, *clients: str) -> list[int]:
        fields = [[("X-Forwarded-For", client)] for client in clients]
        return [site.server.get("/rare-sync/sync/x", sent).status for sent in fields]

    with serve(tmp_path, "threads_only", "--trusted-proxies", "127.0.0.1") as site:
        assert statuses(site, "192.0.2.1", "192.0.2.1", "192.0.2.1") == [200, 200, 429]
        assert statuses(site, "192.0.2.2", "6.6.6.6, 192.0.2.1") == [200, 429]
        networks = ["2001:db8::1", "2001:db8::2", "2001:db8::ffff:3", "2001:db8:0:1::1"]
        assert statuses(site, *networks) == [200, 200, 429, 200]
    with serve(tmp_path, "threads_only", "--trusted-proxies", "") as site:
        assert statuses(site, "192.0.2.1", "192.0.2.2", "192.0.2.3") == [200, 200, 429]


def test_rates_that_cannot_be_are_refused() -> None:
    for requests, per in [(0, 1), (-1, 1), (1, 0), (1, -1), (float("nan"), 1), (1, float("inf"))]:
        with pytest.raises(ValueError, match="a rate limit is some requests in some seconds"):
            middleware.rate_limit(requests, per=per)
    with pytest.raises(ValueError, match="burst is a number of requests from 1 up, not 0"):
        middleware.rate_limit(1, burst=0)


# --- recover -------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["rescued", "rescued-gently"])
def test_hook_answers_in_place_of_a_handler_that_raised(site: Site, where: str) -> None:
    for kind in ("sync", "async"):
        path = f"/{where}/{kind}/raise"
        response = site.server.get(path)
        assert (response.status, json.loads(response.body)) == (
            503,
            {"error": "as asked for", "at": path},
        )
        assert response.header("x-mine") is None, "what was set before is forgotten"
        request = response.header("x-request-id") or "none"
        assert site.server.get(f"/{where}/{kind}/bad").status == 400, "the client's own fault"
        assert not any(request in line for line in site.server.log()), "it counts as handled"


def test_hook_that_does_not_answer_leaves_a_500(site: Site) -> None:
    for kind in ("sync", "async"):
        path = f"/watched/{kind}/raise"
        assert site.server.get(path).status == 500
        site.server.wait_for_log(f"Exception in GET {path}; answered with 500")
        assert site.server.get(f"/hopeless/{kind}/raise").status == 500
        site.server.wait_for_log(f"Exception in GET /hopeless/{kind}/raise")
    site.server.wait_for_log("ZeroDivisionError")


def test_response_that_has_been_sent_is_cut_whatever_the_hook_says(site: Site) -> None:
    for kind in ("sync", "async"):
        path = f"/watched/{kind}/raise"
        with site.server.connect() as connection:
            connection.send_request("GET", f"{path}?sent")
            assert connection.read_head().status == 200
            assert connection.read_chunk() == b"written before"
            assert connection.is_closed()
        site.server.wait_for_log(f"Exception in GET {path}; the response was cut")


# --- connections that are taken over -------------------------------------------------------------


@pytest.mark.needs_asgi
def test_websocket_is_asked_for_through_middleware(site: Site, websockets: Any) -> None:
    known = credentials("a", "a")
    with site.server.connect() as connection:
        websockets.handshake(connection, "/asked/asgi/x")
        assert connection.read_response().status == 401
    for path in ("/asked/asgi/x", "/packed/asgi/x", "/shared/asgi/x"):
        fields = [*known, ("Accept-Encoding", "gzip")]
        with websockets.websocket(site.server, path, fields) as socket:
            told = socket.read_json()
            assert ("x-request-id" in told) == ("shared" not in path)
            socket.text("x" * 5000)
            assert socket.read() == "x" * 5000, "no limit, no compression"
            socket.close()


@pytest.mark.needs_asgi
def test_websocket_on_http_2_is_asked_for_through_middleware(site: Site, websockets: Any) -> None:
    with websockets.H2Connection(site.server) as connection:
        assert connection.open("/asked/asgi/x").status() == 401
        for path in ("/asked/asgi/x", "/packed/asgi/x"):
            lower = [(name.lower(), value) for name, value in credentials("a", "a")]
            socket = connection.websocket(path, lower)
            assert socket.read_json()["x-request-id"]
            socket.text("x" * 5000)
            assert socket.read() == "x" * 5000


def test_hijacked_connection_passes_by(site: Site) -> None:
    for path in ("/packed/sync/hijack", "/named/sync/hijack"):
        with site.server.connect() as connection:
            connection.send_request("GET", path, [("Accept-Encoding", "gzip")])
            head = connection.read_line()
            assert head == "HTTP/1.1 299 Mine"
            assert connection.read_line() == "Connection: close"
            assert connection.read_line() == ""
            connection.send(b"hello")
            assert connection.read_until_close() == b"HELLO"
