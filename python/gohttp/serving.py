"""One server from its settings to its end: sockets, banner, and one of the three ways to run."""

import logging
import os
import resource
from collections.abc import Callable
from contextlib import suppress

from gohttp import activation, early_stop, logs, reload
from gohttp.banner import Banner
from gohttp.config import Config, unknown_variables
from gohttp.importer import App
from gohttp.processes import Say
from gohttp.reload import Reloader
from gohttp.sockets import listening
from gohttp.supervisor import Supervisor
from gohttp.worker import check_loop, load_and_serve

logger = logging.getLogger("gohttp")

_DESCRIPTORS = 65_536


def serve(
    target: str,
    load_app: Callable[[], App],
    config: Config,
    *,
    in_child: Callable[[], None] = lambda: None,
    watch_signals: bool = True,
) -> int:
    """Serve the app that `load_app` gives, in as many processes as `config` says; the exit code.

    `target` is its name for people, `in_child` is called first in each forked process that serves.
    Raises `GohttpError`.
    """
    logs.configure(config.log_level, access_log=config.access_log)
    for sentence in unknown_variables(os.environ):
        logger.warning("%s", sentence)
    check_loop(config)
    folders = reload.check(config) if config.reload else ()
    handed = activation.take()
    _raise_descriptor_limit()
    with listening(config, handed) as sockets:
        banner = Banner(target, config, sockets, by_systemd=bool(handed))

        def body(say: Say) -> int:
            in_child()
            return load_and_serve(load_app, config, sockets, lambda app: say(app.interface))

        def close() -> None:
            # Who comes when the workers have closed theirs is refused, and waits for nobody.
            for each in sockets:
                each.close()

        if config.reload:
            return Reloader(folders, body, banner.ready, close).run()
        if config.workers > 1:
            patience = config.graceful_timeout
            return Supervisor(config.workers, body, patience, banner.ready, close).run()
        if watch_signals:
            early_stop.watch()
        return load_and_serve(load_app, config, sockets, lambda app: banner.ready(app.interface))


def _raise_descriptor_limit() -> None:
    """Let the server have the descriptors that it may have, as Go does.

    The soft limit is 1,024 mostly, for the sake of programs that use select(). Children have it
    too, some of which look at each number below it: it is not raised without bound.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # a sandbox may forbid it
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
