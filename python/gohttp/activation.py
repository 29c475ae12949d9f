"""Sockets that systemd has opened and hands over: `LISTEN_FDS`, as in sd_listen_fds(3)."""

import os
import socket
from collections.abc import MutableMapping

from gohttp import GohttpError

_FIRST = 3  # the descriptors are this one and those after it
_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID")


class ActivationError(GohttpError):
    """What was handed over cannot be served on."""


def offered(environ: MutableMapping[str, str] | None = None) -> int:
    """How many sockets were handed over to this very process."""
    environ = os.environ if environ is None else environ
    count = environ.get("LISTEN_FDS", "")
    if environ.get("LISTEN_PID") != str(os.getpid()) or not count.isdecimal():
        return 0
    return int(count)


def take() -> list[socket.socket]:
    """The sockets handed over, non-blocking; children will not see that there were any.

    Raises `ActivationError` when one of them does not listen.
    """
    descriptors = range(_FIRST, _FIRST + offered())
    if descriptors:
        for name in _VARIABLES:
            os.environ.pop(name, None)
    return [_adopt(number) for number in descriptors]


def _adopt(number: int) -> socket.socket:
    try:
        each = socket.socket(fileno=number)
        listens = each.type == socket.SOCK_STREAM and each.getsockopt(
            socket.SOL_SOCKET, socket.SO_ACCEPTCONN
        )
    except OSError:
        raise _refusal(number) from None
    if not listens or each.family not in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
        raise _refusal(number)
    each.set_inheritable(False)
    each.setblocking(False)
    return each


def _refusal(number: int) -> ActivationError:
    return ActivationError(
        f"LISTEN_FDS hands over descriptor {number}, which is no listening stream socket; write "
        "ListenStream= and Accept=no into the .socket unit."
    )
