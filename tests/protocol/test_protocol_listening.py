"""Unix sockets, IPv6, and the limit of connections."""

import json
import socket
from pathlib import Path

import pytest
from conversation import connect, converse, each_face, refused, serve_echo
from support import wait_until


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@each_face
def test_a_unix_socket_serves(face: str, tmp_path: Path) -> None:
    path = tmp_path / "server.sock"
    with serve_echo(face, "--uds", str(path)) as server:
        for _ in range(2):
            saw = json.loads(server.request("POST", "/here", body=b"abc").body)
            assert (saw["path"], saw["body"]) == ("/here", "abc")
        refused(converse(server, b"GET / HTTP/1.1\r\n\r\n"))
        server.wait_for_log("400 for a request from a Unix socket")
        with connect(server) as connection:
            connection.send_request("GET", "/_stream/1000000")
            assert len(connection.read_response().body) == 1_000_000
    assert not path.exists()


@each_face
@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_ipv6_serves(face: str) -> None:
    with serve_echo(face, "--host", "::1") as server:
        assert server.host == "[::1]"
        assert server.get("/", [("Host", "[::1]:80")]).status == 200


@each_face
def test_max_connections_makes_others_wait_in_the_backlog(face: str) -> None:
    with serve_echo(face, "--max-connections=3") as server:
        held = [connect(server) for _ in range(3)]
        for connection in held:
            connection.send_request("GET")
            assert connection.read_response().status == 200
        with connect(server, timeout=0.5) as waiting:
            waiting.send_request("GET", "/waited")
            with pytest.raises(TimeoutError):
                waiting.at_end()
            held.pop().close()
            waiting.socket.settimeout(10)
            assert json.loads(waiting.read_response().body)["path"] == "/waited"
        for connection in held:
            connection.close()
        wait_until(lambda: server.get("/").status == 200, "room for a connection")
