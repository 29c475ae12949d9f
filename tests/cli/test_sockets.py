"""Listening sockets, and what is said when an address cannot be had."""

import os
import socket
from pathlib import Path

import pytest
from gohttp.config import Config
from gohttp.sockets import ListenError, addresses, listening
from support import free_port


def refused(config: Config) -> str:
    with pytest.raises(ListenError) as caught, listening(config):
        pass
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 1
    return str(caught.value)


def test_port_zero_takes_a_free_port_and_shows_it() -> None:
    with listening(Config(port=0)) as sockets:
        (address,) = addresses(sockets)
        port = sockets[0].getsockname()[1]
        assert port > 0
        assert address == f"http://127.0.0.1:{port}"
        assert not sockets[0].getblocking()
        socket.create_connection(("127.0.0.1", port)).close()


def test_every_address_of_a_name_has_the_same_port() -> None:
    with listening(Config(host="localhost", port=0)) as sockets:
        assert len({each.getsockname()[1] for each in sockets}) == 1


def test_port_taken() -> None:
    port = free_port()
    with listening(Config(port=port)):
        assert refused(Config(port=port)).startswith(f"Port {port} on 127.0.0.1 is taken")


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 70, "\udcff"])
def test_host_that_cannot_be_resolved(host: str) -> None:
    assert "cannot be resolved" in refused(Config(host=host, port=0))


def test_address_of_another_machine() -> None:
    assert "is not an address of this machine" in refused(Config(host="192.0.2.1", port=0))


def test_unix_socket_is_removed_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with listening(Config(uds=str(path))) as sockets:
        assert addresses(sockets) == [f"unix:{path}"]
        assert path.is_socket()
    assert not path.exists()


def test_unix_socket_of_a_dead_server_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert path.is_socket()
    with listening(Config(uds=str(path))), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_unix_socket_of_a_live_server_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    config = Config(uds=str(path))
    with listening(config):
        assert "is in use by a running server" in refused(config)
        assert path.is_socket()


def test_unix_socket_of_a_successor_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with listening(Config(uds=str(path))):
        os.replace(path, tmp_path / "old.sock")
        with socket.socket(socket.AF_UNIX) as successor:
            successor.bind(str(path))
    assert path.exists()


def test_unix_socket_path_that_cannot_be(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    assert "is not a socket" in refused(Config(uds=str(file)))
    assert file.read_text() == "x"
    assert "there is no directory" in refused(Config(uds=str(tmp_path / "no" / "s.sock")))
    assert "too long" in refused(Config(uds=str(tmp_path / ("x" * 120))))
