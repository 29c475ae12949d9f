"""The listening sockets: made once, before any worker, and handed down to all of them."""

import errno
import os
import re
import socket
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from gohttp import GohttpError
from gohttp.config import Config


class ListenError(GohttpError):
    """The address cannot be listened on."""


@contextmanager
def listening(
    config: Config, handed: Sequence[socket.socket] = ()
) -> Iterator[list[socket.socket]]:
    """Bound, listening, non-blocking sockets for `config`, or those `handed` over; closed at the
    end.

    A Unix socket's file is removed at the end, by the process that made it and only if it is
    still the same file.  Raises `ListenError`.
    """
    if handed or config.uds is None:
        sockets = list(handed) or _listen_tcp(config.host, config.port, config.backlog)
        try:
            yield sockets
        finally:
            _close(sockets)
        return
    path = Path(config.uds)
    sockets = [_listen_unix(path, int(config.uds_mode, 8), config.backlog)]
    maker, made = os.getpid(), _identity(path)
    try:
        yield sockets
    finally:
        _close(sockets)
        if os.getpid() == maker and _identity(path) == made:
            path.unlink(missing_ok=True)


def addresses(sockets: list[socket.socket]) -> list[str]:
    """The addresses for people: `http://host:port` or `unix:path`."""
    shown = []
    for each in sockets:
        name = each.getsockname()
        if each.family == socket.AF_UNIX:
            shown.append(f"unix:{name}")
        else:
            host = f"[{name[0]}]" if ":" in name[0] else name[0]
            shown.append(f"http://{host}:{name[1]}")
    return shown


def hand_over(sockets: list[socket.socket]) -> list[int]:
    """Their descriptors, which are the engine's from now on: it closes them, whatever happens.

    To be called where the engine is: until then `listening` closes them.
    """
    return [each.detach() for each in sockets]


def _close(sockets: list[socket.socket]) -> None:
    for each in sockets:
        each.close()


def _listen_tcp(host: str, port: int, backlog: int) -> list[socket.socket]:
    try:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (socket.gaierror, UnicodeError) as error:
        _refuse_other_forms(host)
        reason = error.strerror if isinstance(error, OSError) else "not a host name"
        raise ListenError(
            f"--host {host} cannot be resolved ({reason}); give an address such as 127.0.0.1."
        ) from None
    sockets: list[socket.socket] = []
    absent: OSError | None = None
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            # Port 0: the first address gets any free port, the others get the same one.
            bound = (address[0], _port(sockets, port), *address[2:])
            try:
                each = socket.socket(family, kind, protocol)
            except OSError as error:  # no IPv6 in this kernel
                absent = error
                continue
            sockets.append(each)
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6 and len(found) > 1:
                each.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                each.bind(bound)
                each.listen(backlog)
            except OSError as error:
                if error.errno != errno.EADDRNOTAVAIL:  # such as ::1 of localhost without IPv6
                    raise ListenError(_tcp_sentence(host, port, error)) from None
                absent = error
                sockets.remove(each)
                each.close()
                continue
            each.setblocking(False)
    except BaseException:
        _close(sockets)
        raise
    if not sockets:
        raise ListenError(_tcp_sentence(host, port, absent or OSError(0, "no address")))
    return sockets


def _refuse_other_forms(host: str) -> None:
    """What else people write after `--host`: gunicorn's `--bind`, a URL."""
    if host.startswith("unix:"):
        raise ListenError(f"--host {host} is a Unix socket; write --uds {host[5:]} instead.")
    address = re.fullmatch(r"(?:https?://)?(\[[^]]*\]|[^:/]*)(?::(\d+))?/?", host)
    name = address[1].strip("[]") if address else ""
    if address and (address[2] or name != host):
        port = f" --port {address[2]}" if address[2] else ""
        raise ListenError(
            f"--host {host} is more than a host; write --host {name or '0.0.0.0'}{port} instead."
        )


def _port(sockets: list[socket.socket], wanted: int) -> int:
    return int(sockets[0].getsockname()[1]) if sockets else wanted


def _tcp_sentence(host: str, port: int, error: OSError) -> str:
    where = f"port {port} on {host or 'all addresses'}"
    if error.errno == errno.EADDRINUSE:
        return (
            f"{where[0].upper()}{where[1:]} is taken by another program; stop that, or choose "
            "another with --port."
        )
    if error.errno == errno.EACCES:
        return (
            f"Not permitted to listen on {where}; choose a --port from 1024 up, or write "
            "AmbientCapabilities=CAP_NET_BIND_SERVICE into the unit of systemd."
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return (
            f"--host {host} is not an address of this machine; give one of its own, or 0.0.0.0 "
            "for all."
        )
    return f"Cannot listen on {where}: {error.strerror}; choose another --host or --port."


def _listen_unix(path: Path, mode: int, backlog: int) -> socket.socket:
    _remove_stale(path)
    each = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        each.bind(str(path))
        path.chmod(mode)  # nobody can connect before `listen`, so no one slips in
        each.listen(backlog)
        each.setblocking(False)
    except OSError as error:
        each.close()
        raise ListenError(_unix_sentence(path, error)) from None
    return each


def _remove_stale(path: Path) -> None:
    """Remove the socket a dead server has left behind; refuse anything else."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise ListenError(_unix_sentence(path, error)) from None
    if not stat.S_ISSOCK(mode):
        raise ListenError(f"--uds {path} exists and is not a socket; choose another path.")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            with suppress(FileNotFoundError):
                path.unlink()
            return
        except FileNotFoundError:
            return
        except (TimeoutError, BlockingIOError):  # alive, with a full queue
            pass
        except OSError as error:
            raise ListenError(_unix_sentence(path, error)) from None
    raise ListenError(
        f"--uds {path} is in use by a running server; stop that, or choose another path."
    )


def _unix_sentence(path: Path, error: OSError) -> str:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return f"--uds {path}: there is no directory {path.parent}; make it or choose another path."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"--uds {path}: not permitted to make a socket there; choose another directory."
    if error.errno == errno.EADDRINUSE:
        return f"--uds {path} was just taken by another server; choose another path."
    if error.errno is None:  # Python itself refuses paths over some 100 bytes
        return f"--uds {path} is too long for a Unix socket; choose a path under 100 characters."
    return f"--uds {path}: {error.strerror}; choose another path."


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
