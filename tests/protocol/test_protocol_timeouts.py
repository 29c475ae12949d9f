"""Time-outs.  The engine looks at its clock every 250 ms: deadlines fire late, never early."""

import time

import pytest
from conftest import Servers
from conversation import connect, each_face, refused, seen, trouble
from support import RawConnection, Server

TIMEOUT = 0.5
LATE = 3.0  # ticks, and a machine that is busy

OPTIONS = (
    f"--header-timeout={TIMEOUT}",
    f"--body-timeout={TIMEOUT}",
    f"--idle-timeout={TIMEOUT}",
    f"--write-timeout={TIMEOUT}",
)


@pytest.fixture
def hasty(servers: Servers, face: str) -> Server:
    return servers(face, *OPTIONS)


class Clock:
    """How long it took; not less than the time-out, and not much more."""

    def __init__(self) -> None:
        self.start = time.monotonic()

    def assert_in_time(self, factor: float = 1.0) -> None:
        took = time.monotonic() - self.start
        assert TIMEOUT * factor * 0.95 <= took < TIMEOUT * factor + LATE


@each_face
@pytest.mark.parametrize("begun", [b"G", b"GET / HTTP/1.1\r\nHost: te", b"PRI * HTTP/2.0\r\n"])
def test_a_head_that_stops_gets_408(hasty: Server, begun: bytes) -> None:
    seen(hasty)
    with connect(hasty) as connection:
        clock = Clock()
        connection.send(begun)
        refused(connection.rest(), 408)
        clock.assert_in_time()
    assert seen(hasty) == []


@each_face
def test_a_head_that_trickles_gets_408_too(hasty: Server) -> None:
    with connect(hasty, timeout=0.1) as connection:
        clock = Clock()
        connection.send(b"GET / HTTP/1.1\r\nHost: test\r\nA: ")
        while time.monotonic() - clock.start < TIMEOUT + LATE:
            connection.send(b"a")
            try:
                ended = connection.at_end()
            except TimeoutError:
                continue
            assert not ended
            connection.socket.settimeout(5)
            refused(connection.rest(), 408)
            break
        clock.assert_in_time()


@each_face
def test_a_silent_connection_is_closed_without_a_word(hasty: Server) -> None:
    with connect(hasty) as connection:
        clock = Clock()
        assert connection.rest() == []
        clock.assert_in_time()


@each_face
def test_an_idle_connection_is_closed_without_a_word(hasty: Server) -> None:
    with connect(hasty) as connection:
        connection.send_request("GET")
        assert connection.read_response().status == 200
        clock = Clock()
        assert connection.rest() == []
        clock.assert_in_time()


@each_face
def test_a_second_head_that_stops_gets_408(hasty: Server) -> None:
    with connect(hasty) as connection:
        connection.send_request("GET")
        assert connection.read_response().status == 200
        connection.send(b"GET / HT")
        refused(connection.rest(), 408)


@each_face
@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 10\r\n\r\nabc",
        b"Content-Length: 1000000\r\n\r\nabc",
        b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n5",
    ],
)
def test_a_body_that_stops_gets_408(hasty: Server, framing: bytes) -> None:
    seen(hasty)
    with connect(hasty) as connection:
        clock = Clock()
        connection.send(b"POST / HTTP/1.1\r\nHost: test\r\n" + framing)
        refused(connection.rest(), 408)
        clock.assert_in_time()
    assert seen(hasty) == []


@each_face
def test_a_slow_body_that_goes_on_is_waited_for(hasty: Server) -> None:
    pieces = 8
    with connect(hasty) as connection:
        connection.send(
            b"POST /_count HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n" % pieces
        )
        connection.socket.settimeout(TIMEOUT / 2)
        for _ in range(pieces):
            with pytest.raises(TimeoutError):  # a pause, in which no answer may come
                connection.at_end()
            connection.send(b"a")
        connection.socket.settimeout(5)
        assert connection.read_response().body == b"%d" % pieces


@each_face
def test_a_slow_app_is_waited_for(hasty: Server) -> None:
    with connect(hasty, timeout=4 * TIMEOUT) as connection:
        connection.send_request("GET", f"/_hold?slow-{hasty.pid}")
        with pytest.raises(TimeoutError):
            connection.at_end()
        hasty.get(f"/_release?slow-{hasty.pid}")
        assert connection.read_response().body == b"held"


def read_chunks(connection: RawConnection) -> None:
    while connection.read_chunk():
        pass


@each_face
def test_a_client_that_takes_nothing_is_cut(hasty: Server) -> None:
    before = len([line for line in hasty.log() if "write_timeout" in line])
    with connect(hasty, receive_buffer=4096) as connection:
        connection.send_request("GET", "/_stream/300000000")
        assert connection.read_head().status == 200
        hasty.wait_for_log("the client took nothing for write_timeout")
        with pytest.raises(ConnectionError):  # in the middle of a chunk
            read_chunks(connection)
    assert len([line for line in hasty.log() if "write_timeout" in line]) == before + 1


@each_face
def test_a_slow_client_that_takes_something_is_served(hasty: Server) -> None:
    left = 6_000_000
    with connect(hasty, receive_buffer=4096) as connection:
        connection.send(b"GET /_stream/%d HTTP/1.0\r\n\r\n" % left)
        connection.read_head()
        start = time.monotonic()
        while time.monotonic() - start < 4 * TIMEOUT:
            left -= len(connection.read_exactly(16_384))
            time.sleep(TIMEOUT / 10)  # the client's pace
        assert len(connection.read_until_close()) == left


@each_face
def test_time_outs_leave_no_trouble_in_the_log(hasty: Server) -> None:
    assert hasty.get("/").status == 200
    assert trouble(hasty) == []
