"""What the server says on stderr when it is ready: one line per fact."""

import logging
import os
import socket
import time

import click

import gohttp
from gohttp.config import Config
from gohttp.sockets import addresses

logger = logging.getLogger("gohttp")


class Banner:
    """Collects the facts of one start; silent when messages of level info are not wanted."""

    def __init__(
        self, target: str, config: Config, sockets: list[socket.socket], *, by_systemd: bool
    ) -> None:
        self._target = target
        self._config = config
        self._addresses = addresses(sockets)  # now: the engine takes the sockets over
        self._by_systemd = by_systemd
        self._began = time.monotonic()

    def ready(self, interface: str) -> None:
        """When requests are accepted; `ready` begins the last line."""
        config = self._config
        facts = [("listening", address) for address in self._addresses]
        if self._by_systemd:
            facts.append(("sockets", f"{len(self._addresses)}, from systemd (LISTEN_FDS)"))
        facts.append(("app", f"{self._target} ({interface})"))
        facts.append(("workers", "1, reloading" if config.reload else str(config.workers)))
        if interface == "asgi":
            facts.append(("loop", "asyncio" if config.loop == "auto" else config.loop))
        else:
            facts.append(("threads", str(config.threads)))
        facts.append(("pid", str(os.getpid())))
        took = time.monotonic() - self._began
        facts.append(("ready", f"in {took:.2f} s; stop with Ctrl-C"))
        if logger.isEnabledFor(logging.INFO):
            lines = [f"  {name:<9}  {value}" for name, value in facts]
            click.echo("\n".join([f"gohttp {gohttp.__version__}", *lines]), err=True)
