"""Starlette (apps/starlette_app.py), and an app that fails in its lifespan."""

import hashlib
import http.client
import json
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import niquests
import pytest

from .asgi_clients import close_of, cut, denial, hear, websocket
from .serving import (
    REFERENCE,
    Server,
    Setup,
    eventually,
    get,
    in_parallel,
    pids_seen,
    recorded_over_http,
    run_to_end,
    serve,
    session_for,
    setups,
)

PICTURE = os.urandom(300_007)


@pytest.fixture(scope="module", params=setups("asgi"))
def setup(request: pytest.FixtureRequest) -> Setup:
    setup: Setup = request.param
    return setup


@pytest.fixture(scope="module")
def server(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("starlette")
    static = folder / "static"
    static.mkdir()
    (static / "picture.png").write_bytes(PICTURE)
    (static / "index.html").write_text("<h1>Grüße</h1>", encoding="utf-8")
    with serve("starlette_app:app", setup, folder) as server:
        yield server


def test_every_worker_answers(server: Server, setup: Setup) -> None:
    assert len(pids_seen(server, "/pid", setup.workers)) == setup.workers


# --- routing and requests -----------------------------------------------------------------------


def test_routes_convert_and_refuse(client: niquests.Session) -> None:
    assert client.get("/items/7").json() == {"number": 7}
    missing = client.get("/items/seven")
    assert (missing.status_code, missing.text) == (404, "nothing at /items/seven")
    assert client.get("/forbidden").status_code == 403
    assert client.post("/items/7").status_code == 405


def test_endpoint_class_has_a_method_for_each_method(client: niquests.Session) -> None:
    assert client.get("/methods").text == "got"
    assert client.post("/methods", data=b"sent").text == "sent"
    refused = client.put("/methods")
    assert refused.status_code == 405
    assert {"GET", "POST"} <= set(str(refused.headers["Allow"]).split(", "))


def test_request_knows_its_client_and_url(server: Server) -> None:
    with closing(server.connect()) as connection:
        connection.connect()
        own_port = connection.sock.getsockname()[1]
        connection.request("GET", "/who?a=1&a=%C3%A4+b")
        answer = json.load(connection.getresponse())
    assert (answer["client"], answer["client_port"]) == ("127.0.0.1", own_port)
    assert answer["url"] == f"{server.url}/who?a=1&a=%C3%A4+b"
    assert answer["base_url"] == f"{server.url}/"
    assert answer["server"] == ["127.0.0.1", server.port]
    assert (answer["scheme"], answer["http_version"]) == ("http", "1.1")
    assert answer["query"] == [["a", "1"], ["a", "ä b"]]
    assert answer["named"] == f"{server.url}/items/7"


def test_host_header_makes_the_url(server: Server) -> None:
    with closing(server.connect()) as connection:
        connection.request("GET", "/who", headers={"Host": "shop.example:8080"})
        answer = json.load(connection.getresponse())
    assert answer["url"] == "http://shop.example:8080/who"
    assert answer["named"] == "http://shop.example:8080/items/7"


def test_unicode_path_is_decoded_and_kept_raw(client: niquests.Session) -> None:
    answer = client.get("/who/grüße/東京 x").json()
    assert answer["scope_path"] == "/who/grüße/東京 x"
    assert answer["raw_path"] == "/who/gr%C3%BC%C3%9Fe/%E6%9D%B1%E4%BA%AC%20x"


def test_mounts_know_their_root_path(client: niquests.Session) -> None:
    assert client.get("/inner/who").json()["root_path"] == "/inner"
    answer = client.get("/inner/deep/who").json()
    assert answer["root_path"] == "/inner/deep"
    assert answer["path"] == "/inner/deep/who"


def test_repeated_headers_stay_apart(server: Server) -> None:
    with closing(server.connect()) as connection:
        connection.putrequest("GET", "/who")
        for value in ("one", "two", "three, four"):
            connection.putheader("X-Repeated", value)
        connection.endheaders()
        answer = json.load(connection.getresponse())
    assert answer["repeated"] == ["one", "two", "three, four"]


def test_state_comes_from_lifespan_and_middleware(client: niquests.Session) -> None:
    response = client.get("/state")
    assert response.json() == {
        "pid": True,
        "names": ["from", "lifespan"],
        "stamp": "stamped GET",
        "ready": True,
    }
    assert response.headers["X-Stamp"] == "stamped GET"


def test_middleware_may_read_the_body_first(client: niquests.Session) -> None:
    for early in ({}, {"X-Read-Early": "1"}):
        response = client.post("/methods", data=b"x" * 100_000, headers=early)
        assert response.content == b"x" * 100_000
        assert response.headers["X-Stamp"] == "stamped POST"


def test_plain_asgi_middleware_wraps_send(client: niquests.Session) -> None:
    response = client.post("/plain/stream", data=b"abc")
    assert response.json()["length"] == 3
    assert response.headers["X-Plain"] == "yes"


def test_session_is_kept_in_a_signed_cookie(client: niquests.Session, server: Server) -> None:
    assert client.get("/session").json() == {}
    form = {"name": "Zoë", "drink": "tea & milk"}
    assert client.post("/session", data=form).json() == form
    assert client.get("/session").json() == form
    value = client.cookies.get_dict()["session"]
    assert value is not None
    with session_for(server) as forger:
        assert forger.get("/session", headers={"Cookie": f"session=x{value}"}).json() == {}
    assert client.delete("/session").json() == {}
    assert client.get("/session").json() == {}


def test_exception_is_500_with_a_traceback_in_the_log(
    client: niquests.Session, server: Server
) -> None:
    assert client.get("/fails").status_code == 500
    assert eventually(lambda: "RuntimeError: the Starlette endpoint fails" in server.log())


def test_failure_midway_does_not_look_complete(server: Server) -> None:
    with closing(server.connect()) as connection:
        connection.request("GET", "/plain/fails-midway")
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            connection.getresponse().read()
    assert eventually(lambda: "RuntimeError: failed midway" in server.log())


# --- static files -------------------------------------------------------------------------------


def test_static_files_are_sent(client: niquests.Session) -> None:
    response = client.get("/static/picture.png")
    assert response.content == PICTURE
    assert response.headers["Content-Type"] == "image/png"
    assert int(str(response.headers["Content-Length"])) == len(PICTURE)
    assert client.get("/static/").text == "<h1>Grüße</h1>"
    assert client.get("/static/none.png").status_code == 404


def test_static_file_that_the_client_has_is_304(client: niquests.Session) -> None:
    first = client.get("/static/picture.png")
    for condition in (
        {"If-None-Match": str(first.headers["ETag"])},
        {"If-Modified-Since": str(first.headers["Last-Modified"])},
    ):
        response = client.get("/static/picture.png", headers=condition)
        assert (response.status_code, response.content) == (304, b"")
        assert response.headers["ETag"] == first.headers["ETag"]


@pytest.mark.parametrize(
    ("wanted", "part"),
    [("bytes=10-19", slice(10, 20)), ("bytes=-7", slice(-7, None)), ("bytes=5-", slice(5, None))],
)
def test_range_of_a_static_file_is_206(client: niquests.Session, wanted: str, part: slice) -> None:
    response = client.get("/static/picture.png", headers={"Range": wanted})
    start, stop, _ = part.indices(len(PICTURE))
    assert response.status_code == 206
    assert response.content == PICTURE[part]
    assert response.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{len(PICTURE)}"


def test_range_of_several_parts_is_multipart(client: niquests.Session) -> None:
    response = client.get("/static/picture.png", headers={"Range": "bytes=0-9,100-109"})
    assert response.status_code == 206
    assert str(response.headers["Content-Type"]).startswith("multipart/byteranges")
    assert PICTURE[:10] in (response.content or b"")
    assert PICTURE[100:110] in (response.content or b"")


def test_head_of_a_static_file_has_its_length(server: Server) -> None:
    with closing(server.connect()) as connection:
        for _ in range(2):
            connection.request("HEAD", "/static/picture.png")
            response = connection.getresponse()
            assert response.read() == b""
            assert response.headers["Content-Length"] == str(len(PICTURE))


# --- streams ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/stream", "/plain/stream"])
def test_chunked_upload_is_streamed_whole(
    client: niquests.Session, upload_bytes: bytes, path: str
) -> None:
    def chunks() -> Iterator[bytes]:
        position, size = 0, 1
        while position < len(upload_bytes):
            yield upload_bytes[position : position + size]
            position, size = position + size, size * 2 % 90_001

    expected = {
        "length": len(upload_bytes),
        "sha256": hashlib.sha256(upload_bytes).hexdigest(),
    }
    assert client.post(path, data=chunks()).json() == expected
    assert client.post(path, data=upload_bytes).json() == expected


def test_upload_reaches_the_app_while_it_is_sent(server: Server) -> None:
    with closing(server.connect()) as connection:
        connection.putrequest("POST", "/first-chunk")
        connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders()
        connection.send(b"5\r\nearly\r\n")
        assert server.recorded("chunk early")
        connection.send(b"4\r\nlate\r\n0\r\n\r\n")
        assert json.load(connection.getresponse()) == "done"
    assert server.recorded("chunk late")


def test_answer_streams_while_the_upload_streams(server: Server) -> None:
    with closing(server.connect()) as connection:
        connection.putrequest("POST", "/plain/ping-pong/")
        connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders()
        connection.send(b"4\r\nping\r\n")
        response = connection.getresponse()
        assert response.read(4) == b"PING"
        connection.send(b"4\r\npong\r\n")
        assert response.read(4) == b"PONG"
        connection.send(b"0\r\n\r\n")
        assert response.read() == b""


def test_upload_that_breaks_off_is_a_disconnect(server: Server) -> None:
    with closing(server.connect()) as connection:
        connection.putrequest("POST", "/broken-upload/half")
        connection.putheader("Content-Length", "1000")
        connection.endheaders()
        connection.send(b"x" * 500)
    assert server.recorded("upload broken half")


@pytest.mark.parametrize(
    ("path", "pause"), [("/endless", 0), ("/plain/endless", 0), ("/plain/endless", 0.05)]
)
def test_endless_stream_ends_when_the_client_leaves(
    server: Server, path: str, pause: float
) -> None:
    token = f"{path.strip('/').replace('/', '-')}-{pause}"
    with closing(server.connect()) as connection:
        connection.request("GET", f"{path}/{token}?pause={pause}")
        assert len(connection.getresponse().read(30_000)) == 30_000
        assert f"left {token}" not in server.events()
    assert recorded_over_http(server, f"left {token}")


def test_slow_reader_does_not_stop_others(server: Server) -> None:
    with closing(server.connect()) as slow:
        slow.request("GET", "/plain/endless/slow-reader")
        response = slow.getresponse()
        assert response.read(1) == b"\0"
        # It reads no further: the server has to hold the stream back, and serve the others.
        answers = in_parallel(20, lambda number: get(server, f"/items/{number}"))
        assert answers == [(200, b'{"number":%d}' % number) for number in range(20)]
        assert "left slow-reader" not in server.events()
    assert recorded_over_http(server, "left slow-reader")


# --- WebSockets ---------------------------------------------------------------------------------


def test_socket_knows_its_url_state_and_session(client: niquests.Session, server: Server) -> None:
    client.post("/session", data={"name": "Zoë"})
    headers = {"Cookie": f"session={client.cookies.get_dict()['session']}"}
    with websocket(server, "/ws/echo/who?a=%C3%A4", additional_headers=headers) as socket:
        assert json.loads(hear(socket)) == {
            "url": f"ws://127.0.0.1:{server.port}/ws/echo/who?a=%C3%A4",
            "names": ["from", "lifespan"],
            "session": {"name": "Zoë"},
            "path": {"token": "who"},
        }


def test_socket_endpoint_exchanges_json(server: Server) -> None:
    with websocket(server, "/ws/echo/json", subprotocols=["chat"]) as socket:
        assert socket.subprotocol == "chat"
        hear(socket)
        for data in ({"text": "Grüße"}, [1, None], "x" * 200_000):
            socket.send(json.dumps(data))
            assert json.loads(hear(socket)) == {"heard": data}


def test_socket_endpoint_closes_on_what_it_cannot_decode(server: Server) -> None:
    with websocket(server, "/ws/echo/malformed") as socket:
        hear(socket)
        socket.send("{")
        assert close_of(socket)[0] == 1003
    assert server.recorded("socket malformed left with 1011")


@pytest.mark.parametrize(("how", "code"), [("closes", 4003), ("is-cut", 1006)])
def test_socket_endpoint_learns_how_the_client_left(server: Server, how: str, code: int) -> None:
    with websocket(server, f"/ws/echo/{how}") as socket:
        hear(socket)
        if how == "closes":
            socket.close(code)
        else:
            cut(socket)
    assert server.recorded(f"socket {how} left with {code}")


def test_denied_handshake_has_the_response_of_the_app(server: Server) -> None:
    answer = denial(server, "/ws/denied")
    assert (answer.status_code, answer.headers["X-Reason"]) == (402, "ticket")
    assert json.loads(answer.body) == {"reason": "no ticket"}


def test_socket_that_only_sends_ends_when_the_client_is_cut_off(server: Server) -> None:
    with websocket(server, "/ws/pushing/cut") as socket:
        assert [len(hear(socket)) for _ in range(10)] == [1024] * 10
        assert "pushing ended cut" not in server.events()
        cut(socket)
    assert server.recorded("pushing ended cut")


# --- lifespan -----------------------------------------------------------------------------------


@pytest.mark.parametrize("failing", setups("asgi"))
def test_app_that_fails_in_lifespan_ends_the_server(failing: Setup, tmp_path: Path) -> None:
    if REFERENCE and failing.workers > 1:
        pytest.skip("uvicorn starts its workers again and again")
    status, log = run_to_end("failing_app:app", failing, tmp_path)
    assert status > 0, log
    assert "the database of this app is not there" in log
