"""Listening sockets, and what is said when an address cannot be had."""

import errno
import os
import socket
import stat
import subprocess
import tempfile
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


@pytest.mark.parametrize(("mode", "bits"), [("666", 0o666), ("660", 0o660), ("600", 0o600)])
def test_uds_mode_says_who_may_connect_whatever_the_umask(
    mode: str, bits: int, tmp_path: Path
) -> None:
    path = tmp_path / "s.sock"
    before = os.umask(0o077)
    try:
        with listening(Config(uds=str(path), uds_mode=mode)):
            assert stat.S_IMODE(path.stat().st_mode) == bits
    finally:
        os.umask(before)
    assert Config().uds_mode == "666"


@pytest.mark.skipif(os.getuid() != 0, reason="becomes another user")
def test_other_users_connect_to_a_unix_socket_by_default(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        path = os.path.join(folder, "s.sock")
        for mode, code in (("666", 0), ("600", 1)):
            with listening(Config(uds=path, uds_mode=mode)):
                connect = f"import socket; socket.socket(socket.AF_UNIX).connect({path!r})"
                command = ["/usr/bin/env", "python3", "-c", connect]
                done = subprocess.run(command, user=65534, capture_output=True, check=False)
                if b"Permission denied: '/root" in done.stderr or done.returncode > 1:
                    pytest.skip("the other user has no Python here")
                assert done.returncode == code, done.stderr


@pytest.mark.parametrize(
    ("host", "instead"),
    [
        ("127.0.0.1:8000", "--host 127.0.0.1 --port 8000"),
        (":8000", "--host 0.0.0.0 --port 8000"),
        ("[::1]:8000", "--host ::1 --port 8000"),
        ("[::1]", "--host ::1"),
        ("http://localhost:80/", "--host localhost --port 80"),
        ("unix:/run/x.sock", "--uds /run/x.sock"),
    ],
)
def test_host_that_holds_more_is_told_apart(host: str, instead: str) -> None:
    assert refused(Config(host=host, port=0)).endswith(f"; write {instead} instead.")


def test_low_port_that_is_refused_names_the_capability(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing(socket.socket):
        def bind(self, _: object) -> None:
            raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket, "socket", Refusing)
    said = refused(Config(port=80))
    assert said.startswith("Not permitted to listen on port 80 on 127.0.0.1; ")
    assert "AmbientCapabilities=CAP_NET_BIND_SERVICE" in said
