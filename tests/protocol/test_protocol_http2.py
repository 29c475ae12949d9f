"""HTTP/2 with prior knowledge on clear text."""

import json
import os
import time

import h2.settings
import pytest
from conftest import Servers
from conversation import connect, each_face, resident, seen, serve_echo, trouble
from h2client import H2Client
from support import Server, wait_until

MEGABYTE = 1_000_000


@each_face
def test_a_get_is_seen_as_sent(server: Server) -> None:
    with H2Client(server) as client:
        stream = client.request("GET", "/a?b=c", [("x-one", "1"), ("x-two", "2")])
    saw = json.loads(stream.body)
    assert stream.status == 200
    assert stream.headers["x-app"] == saw["face"]
    assert (saw["method"], saw["path"], saw["query"]) == ("GET", "/a", "b=c")
    assert saw["version"] == "HTTP/2"
    assert {("x-one", "1"), ("x-two", "2")} <= {tuple(header) for header in saw["headers"]}
    assert "connection" not in stream.headers
    assert "transfer-encoding" not in stream.headers


@each_face
def test_authority_becomes_host(server: Server) -> None:
    with H2Client(server) as client:
        saw = json.loads(client.request("GET", "/", authority="example.org:81").body)
    assert ["host", "example.org:81"] in saw["headers"]
    assert not [name for name, _ in saw["headers"] if name.startswith(":")]


@each_face
def test_host_serves_where_there_is_no_authority(server: Server) -> None:
    with H2Client(server, validate=False) as client:
        saw = json.loads(client.request("GET", "/", [("host", "example.org")], authority=None).body)
    assert ["host", "example.org"] in saw["headers"]


@each_face
@pytest.mark.parametrize(
    ("authority", "headers"),
    [
        (None, []),
        (None, [("host", "a/b")]),
        (None, [("host", "a"), ("host", "b")]),
        ("user@test", []),
    ],
)
def test_no_or_bad_authority_gets_400(
    server: Server, authority: str | None, headers: list[tuple[str, str]]
) -> None:
    seen(server)
    with H2Client(server, validate=False) as client:
        stream = client.request("GET", "/", headers, authority=authority)
        assert stream.reset is not None or stream.status == 400
        assert client.request("GET", "/").status == 200
    assert seen(server) == ["GET /"]


@each_face
@pytest.mark.parametrize("size", [1, 65_536, 5 * MEGABYTE])
def test_a_body_arrives_whole_however_large(server: Server, size: int) -> None:
    with H2Client(server) as client:
        for _ in range(2):
            stream = client.request("POST", "/_count", body=b"a" * size)
            assert (stream.status, stream.body) == (200, b"%d" % size)


@each_face
@pytest.mark.parametrize("size", [1, 65_536, 5 * MEGABYTE])
def test_a_stream_arrives_whole_however_large(server: Server, size: int) -> None:
    with H2Client(server) as client:
        assert len(client.request("GET", f"/_stream/{size}").body) == size


@each_face
@pytest.mark.parametrize("target", ["/", "/_stream/1000", "/_status/204", "/_status/304"])
def test_head_has_no_body(server: Server, target: str) -> None:
    with H2Client(server) as client:
        stream = client.request("HEAD", target)
        assert stream.reset is None
        assert stream.status in (200, 204, 304)
        assert stream.body == b""
        assert client.request("GET", "/").status == 200


@each_face
@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_a_body_have_none(server: Server, status: int) -> None:
    with H2Client(server) as client:
        stream = client.request("GET", f"/_status/{status}")
    assert (stream.status, stream.body, stream.reset) == (status, b"", None)
    assert "content-length" not in stream.headers


@each_face
@pytest.mark.parametrize("target", ["/_status/205", "/_with_body/205", "/_streamed/205"])
def test_a_reset_content_has_no_body(server: Server, target: str) -> None:
    with H2Client(server) as client:
        stream = client.request("GET", target)
    assert (stream.status, stream.body, stream.reset) == (205, b"", None)
    assert stream.headers["content-length"] == "0"


@each_face
def test_many_streams_at_once_are_all_answered(server: Server) -> None:
    with H2Client(server) as client:
        numbers = [client.start("GET", f"/{n}") for n in range(100)]
        paths = [json.loads(stream.body)["path"] for stream in client.wait(*numbers)]
    assert paths == [f"/{n}" for n in range(100)]


@each_face
def test_slow_streams_do_not_hold_up_fast_ones(server: Server) -> None:
    key = f"h2-{server.pid}"
    with H2Client(server) as client:
        slow = [client.start("GET", f"/_hold?{key}") for _ in range(8)]
        numbers = [client.start("GET", f"/{n}") for n in range(50)]
        assert all(stream.status == 200 for stream in client.wait(*numbers))
        assert not any(client.streams[number].over for number in slow)
        assert client.request("GET", f"/_release?{key}").body == b"released"
        assert all(stream.body == b"held" for stream in client.wait(*slow))


@each_face
def test_a_stream_that_nobody_takes_does_not_hold_up_others(server: Server) -> None:
    before = resident(server)
    with H2Client(server) as client:
        # Within the window of the connection, but beyond that of the stream.
        client.h2.increment_flow_control_window(50 * MEGABYTE)
        client.flush()
        client.acknowledge = False
        client.start("GET", f"/_stream/{100 * MEGABYTE}")
        for n in range(20):
            assert json.loads(client.request("GET", f"/{n}").body)["path"] == f"/{n}"
        assert resident(server) - before < 40 * MEGABYTE


@each_face
def test_a_body_that_nobody_reads_is_refused_room(server: Server) -> None:
    key = f"h2-unread-{server.pid}"
    before = resident(server)
    with H2Client(server) as client:
        number = client.start("POST", f"/_hold?{key}", end=False)
        sent = 0
        while room := min(
            client.h2.local_flow_control_window(number), client.h2.max_outbound_frame_size
        ):
            client.h2.send_data(number, b"a" * room)
            client.flush()
            sent += room
            client.socket.settimeout(0.5)
            try:
                while client.h2.local_flow_control_window(number) <= 0:
                    client.receive()
            except TimeoutError:
                break
            assert sent < 50 * MEGABYTE
        client.socket.settimeout(10)
        assert resident(server) - before < 40 * MEGABYTE
        assert client.request("GET", f"/_release?{key}").body == b"released"
        assert client.wait_for_head(number).status == 200


@pytest.mark.parametrize("face", ["wsgi"])
def test_small_bodies_that_do_not_come_take_no_threads(servers: Servers, face: str) -> None:
    server = servers(face, "--threads=2")
    with H2Client(server) as client:
        fields = [("content-length", "5")]
        numbers = [client.start("POST", "/", fields, end=False) for _ in range(100)]
        client.wait(client.start("GET", "/"))
        assert len(os.listdir(f"/proc/{server.pid}/task")) < 20
        assert server.get("/").status == 200
        for number in numbers:
            client.send(number, b"abcde")
        assert all(stream.status == 200 for stream in client.wait(*numbers))


@each_face
def test_an_early_answer_to_an_upload_arrives(server: Server) -> None:
    with H2Client(server) as client:
        number = client.start("POST", "/_unread", end=False)
        stream = client.wait_for_head(number)
        while not stream.over:
            client.receive()
        assert (stream.status, stream.body) == (200, b"unread")
        assert stream.reset in (None, 0)  # NO_ERROR: "stop sending" (RFC 9113 section 8.1)
        assert client.request("GET", "/").status == 200


@pytest.mark.parametrize("face", ["asgi"])
def test_a_reset_stream_is_a_disconnect_for_the_app(server: Server) -> None:
    with H2Client(server) as client:
        number = client.start("GET", "/_until_gone?h2")
        wait_until(lambda: "waiting h2" in server.output(), "the app to wait")
        client.reset(number)
        wait_until(lambda: "gone h2" in server.output(), "the app to know")
        assert client.request("GET", "/").status == 200


@pytest.mark.parametrize("face", ["asgi"])
def test_a_closed_connection_is_a_disconnect_for_the_app(server: Server) -> None:
    with H2Client(server) as client:
        client.start("GET", "/_until_gone?h2-closed")
        wait_until(lambda: "waiting h2-closed" in server.output(), "the app to wait")
    wait_until(lambda: "gone h2-closed" in server.output(), "the app to know")


@each_face
def test_many_resets_leave_the_server_well(server: Server) -> None:
    """Rapid reset (CVE-2023-44487): the connection may be ended, others must not notice."""
    with H2Client(server) as client:
        try:
            for _ in range(2000):
                client.reset(client.start("GET", "/"))
        except OSError:
            pass
    assert server.get("/").status == 200
    assert trouble(server) == []


LIMITS = ("--max-head-size=2000", "--max-headers=10", "--max-target-size=100")


@each_face
@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/" + "a" * 100, [], 414),
        ("/", [(f"x-{n}", "y") for n in range(11)], 431),
        ("/", [("x", "y" * 2000)], 431),
    ],
)
def test_limits_hold_for_http2_too(
    servers: Servers, face: str, path: str, headers: list[tuple[str, str]], status: int
) -> None:
    server = servers(face, *LIMITS)
    with H2Client(server) as client:
        assert client.request("GET", path, headers).status == status
        assert client.request("GET", "/" + "a" * 99).status == 200


@each_face
@pytest.mark.parametrize("target", ["/", "/_count"])
@pytest.mark.parametrize("declared", [True, False])
def test_a_body_too_large_gets_413(
    servers: Servers, face: str, declared: bool, target: str
) -> None:
    server = servers(face, "--max-body-size=1000")
    with H2Client(server) as client:
        fields = [("content-length", "1001")] if declared else []
        stream = client.request("POST", target, fields, b"a" * 1001)
        assert stream.status == 413
        stream = client.request("POST", "/_count", body=b"a" * 1000)
        assert stream.body == b"1000"


@each_face
@pytest.mark.parametrize("sent", [b"abc", b"abcdefgh"])
def test_a_body_that_is_not_as_long_as_declared_is_an_error(server: Server, sent: bytes) -> None:
    seen(server)
    with H2Client(server, validate=False) as client:
        number = client.start("POST", "/", [("content-length", "5")], end=False)
        client.send(number, sent)
        stream = client.wait(number)[0]
        assert stream.reset is not None or stream.status == 400
    assert seen(server) == []


@each_face
@pytest.mark.parametrize("target", ["/", "/_count"])  # the latter does not expect an OSError
def test_a_body_that_stops_gets_408(servers: Servers, face: str, target: str) -> None:
    server = servers(face, "--body-timeout=0.5")
    with H2Client(server) as client:
        number = client.start("POST", target, end=False)
        client.send(number, b"abc", end=False)
        start = time.monotonic()
        (stream,) = client.wait(number)
        assert time.monotonic() - start < 4
        assert not stream.headers or stream.status == 408


@each_face
def test_an_idle_connection_is_closed_with_goaway(servers: Servers, face: str) -> None:
    server = servers(face, "--idle-timeout=0.5")
    with H2Client(server) as client:
        assert client.request("GET", "/").status == 200
        client.wait_closed()
        assert set(client.goaways) == {0}


@each_face
def test_a_stream_in_flight_is_completed_at_a_stop(face: str) -> None:
    with serve_echo(face) as server:
        with H2Client(server) as client, H2Client(server) as idle:
            assert idle.request("GET", "/").status == 200
            number = client.start("GET", "/_hold?it")
            wait_until(lambda: "holding it" in server.output(), "the app to hold")
            with connect(server) as other:
                other.send_request("GET")
                assert other.read_response().status == 200
                server.signal()
                server.wait_for_log(": stopping")
                other.send_request("GET", "/_release?it")
                assert other.read_response().status == 200
            (stream,) = client.wait(number)
            assert stream.body == b"held"
            client.wait_closed()
            idle.wait_closed()
            assert set(client.goaways) == {0}
            assert set(idle.goaways) == {0}
        start = time.monotonic()
        assert server.wait() == 0
        assert time.monotonic() - start < 2.5


@each_face
def test_an_idle_http2_connection_does_not_delay_the_stop(face: str) -> None:
    with serve_echo(face) as server, H2Client(server) as client:
        assert client.request("GET", "/").status == 200
        start = time.monotonic()
        server.signal()
        client.wait_closed()
        assert server.wait() == 0
        assert time.monotonic() - start < 2.5


@each_face
def test_a_mute_http2_connection_does_not_delay_the_stop(face: str) -> None:
    """Its client has gone to sleep and does not even answer pings."""
    with serve_echo(face) as server, H2Client(server) as client:
        assert client.request("GET", "/").status == 200
        start = time.monotonic()
        server.signal()
        server.process.wait(4)
        assert time.monotonic() - start < 2.5


@each_face
def test_cookies_split_for_compression_are_joined(server: Server) -> None:
    with H2Client(server) as client:
        saw = json.loads(client.request("GET", "/", [("cookie", "a=1"), ("cookie", "b=2")]).body)
    assert ["cookie", "a=1; b=2"] in saw["headers"]


@each_face
def test_http2_leaves_no_trouble_in_the_log(server: Server) -> None:
    assert server.get("/").status == 200
    assert trouble(server) == []


@pytest.mark.parametrize("face", ["wsgi", "native"])
def test_streams_that_take_nothing_do_not_keep_threads(face: str) -> None:
    """A client that closes its window answers pings all the same: only we can see it stall."""
    with (
        serve_echo(face, "--threads", "2", "--write-timeout", "0.5") as server,
        H2Client(server) as client,
    ):
        client.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 0})
        client.flush()
        numbers = [client.start("GET", "/_stream/5000000") for _ in range(4)]
        wait_until(
            lambda: sum("HTTP/2 stream cut" in line for line in server.log()) == len(numbers),
            "the streams to be cut",
        )
        assert server.get("/").status == 200


@pytest.mark.parametrize("face", ["wsgi", "asgi", "native"])
@pytest.mark.parametrize("path", ["/", "/_stream/5000000"])
def test_a_connection_of_which_nothing_is_taken_is_cut(face: str, path: str) -> None:
    """A whole response is with the connection, and its handler has ended: nobody else waits."""
    with (
        serve_echo(face, "--write-timeout", "0.5") as server,
        H2Client(server) as client,
    ):
        client.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 0})
        client.flush()
        for _ in range(3):
            client.wait_for_head(client.start("GET", path))
        client.wait_closed()
        server.wait_for_log("HTTP/2 connection cut: the client took nothing for write_timeout")


@pytest.mark.parametrize("face", ["wsgi", "native"])
def test_what_a_stream_does_not_take_is_given_up_beside_others_that_go_on(face: str) -> None:
    """One that is read keeps the connection; it does not keep large bodies of others."""
    with (
        serve_echo(face, "--write-timeout", "0.5") as server,
        H2Client(server) as client,
    ):
        client.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 0})
        client.flush()
        stalled = client.start("POST", "/", end=False)
        client.send(stalled, b"x" * 400_000)
        assert client.wait_for_head(stalled).status == 200
        end = time.monotonic() + 2
        while time.monotonic() < end:
            assert client.request("GET", "/_status/204").status == 204
        client.h2.increment_flow_control_window(1_000_000, stalled)
        client.h2.increment_flow_control_window(1_000_000)
        client.flush()
        (stream,) = client.wait(stalled)
        assert stream.reset is not None
        assert len(stream.body) < 100_000
        server.wait_for_log("was cut: the client took nothing for write_timeout")


@each_face
def test_a_doubled_host_or_length_gets_400(server: Server) -> None:
    for doubled in [("host", "test"), ("content-length", "0")]:
        with H2Client(server, validate=False) as client:
            (stream,) = client.wait(client.start("GET", "/", [doubled, doubled]))
            assert stream.reset is not None or stream.status == 400


@each_face
def test_access_lines_of_whole_responses_say_nothing_of_parts(face: str) -> None:
    with serve_echo(face, "--access-log") as server, H2Client(server) as client:
        for path in ["/", "/_stream/100000", "/_status/204"]:
            client.request("GET", path)
            line = f'"GET {path} HTTP/2"'
            wait_until(lambda line=line: any(line in out for out in server.output()), line)
        assert not [line for line in server.output() if "incomplete" in line]
