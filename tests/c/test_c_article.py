"""The 2016 article's C API, under its own names."""

import signal
import socket
import subprocess
from pathlib import Path

import pytest
from programs import path_of, running, wait_for_output
from support import STOP_TIMEOUT, TIMEOUT, free_port


def test_the_articles_program_serves():
    with running("article") as server:
        response = server.get("/about")
    assert (response.status, response.text) == (200, "Hello, world.\n")
    assert response.header("content-length") == "14"
    assert response.header("content-type") == "text/plain; charset=utf-8"


def test_a_handler_is_given_the_five_parts_of_a_request():
    with running("article") as server:
        response = server.request(
            "PUT", "/any/%20where?x=1", [("user-agent", "me"), ("X-two", "b")], b"the body"
        )
    assert response.status == 201
    method, host, url, headers, body, rest = response.text.split("|")
    assert (method, host, url, body, rest) == ("PUT", "test", "/any/%20where?x=1", "the body", "")
    assert headers == "User-Agent: me\r\nX-Two: b\r\nConnection: close\r\nContent-Length: 8\r\n"


def test_a_chunked_body_is_whole_when_the_handler_is_called():
    with running("article") as server, server.connect() as client:
        client.send_request("POST", "/", [("Transfer-Encoding", "chunked")])
        client.send(b"3\r\nabc\r\n")
        client.send(b"4\r\ndefg\r\n0\r\n\r\n")
        assert client.read_response().text.endswith("|abcdefg|")


def test_what_is_no_good_is_eof_and_the_first_status_stays():
    with running("article") as server:
        response = server.get("/odd")
        log = server.wait_for_log("no status"), server.wait_for_log(r"WriteHeader\(500\)")
    assert (response.status, response.text) == (202, "-1 -1 -1 -1 0")
    assert all(line.startswith("gohttp: warning: WriteHeader(") for line in log)


def test_shutdown_from_a_handler_answers_it_and_what_is_in_flight():
    with running("article", stop=False) as server:
        with server.connect() as other, server.connect() as client:
            other.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nab")
            client.send_request("GET", "/stop")
            assert client.read_response().text == "stopping\n"
            other.send(b"cd")
            assert other.read_response().text.endswith("|abcd|")
        assert server.wait(STOP_TIMEOUT) == 0
        wait_for_output(server, "ended")


def test_after_its_server_a_program_is_ended_by_a_signal_as_any_other():
    address = f"127.0.0.1:{free_port()}"
    killed = -signal.SIGTERM
    with running("article", address, "go on", stop=False, exit_code=killed) as server:
        server.get("/stop")
        wait_for_output(server, "ended")
        server.signal(signal.SIGTERM)


@pytest.mark.parametrize("address", [":{port}", "localhost:{port}", "127.0.0.1:{port}"])
def test_addresses_are_written_as_in_go(address: str):
    with running("article", address.format(port=free_port())) as server:
        assert server.get("/about").status == 200


def test_a_port_alone_is_listened_on_for_ipv6_too():
    port = free_port()
    with running("article", f":{port}"):
        try:
            client = socket.create_connection(("::1", port), TIMEOUT)
        except OSError:
            pytest.skip("this machine has no IPv6")
        with client:
            client.sendall(b"GET /about HTTP/1.0\r\n\r\n")
            assert client.recv(12) == b"HTTP/1.1 200"


def test_a_unix_socket_is_served_and_its_file_removed(tmp_path: Path):
    path = tmp_path / "socket"
    with running("article", f"unix:{path}") as server:
        assert server.get("/about").status == 200
    assert not path.exists()


def test_an_address_that_is_taken_is_said_and_listen_and_serve_returns():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = subprocess.run(
            [path_of("hello"), address],
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    assert ended.returncode == 1
    said = f'gohttp: error: cannot listen on "{address}": Address already in use\n'
    assert ended.stderr == said


def test_the_library_can_be_linked_statically():
    with running("hello-static") as server:
        assert server.get("/missing").status == 404
