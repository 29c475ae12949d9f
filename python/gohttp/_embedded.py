"""An app in a program of Rust's: imported and served here, its requests come from there."""

from collections.abc import Callable

from gohttp import _faces, config
from gohttp._native_api import Stoppable
from gohttp.config import ConfigError
from gohttp.worker import check_loop, load_target

# What connections and processes have is the program's own affair.
_SETTINGS = frozenset(
    {
        "app_dir",
        "factory",
        "interface",
        "lifespan",
        "loop",
        "slow_callback",
        "threads",
        "queue",
        "queue_timeout",
        "limit_concurrency",
        "graceful_timeout",
        "max_body_size",
        "root_path",
        "trusted_proxies",
        "ws_max_size",
        "ws_ping_interval",
        "ws_ping_timeout",
        "ws_compression",
    }
)


def serve(target: str, settings: dict[str, object], on_ready: Callable[[Stoppable], None]) -> None:
    """Import what `target` names and serve it until `drain()`; blocks.

    `on_ready` is called with what takes requests. Raises `GohttpError` for everything that can be
    wrong with the target, the settings, or the app's start.
    """
    layer = config.keywords(settings, "PythonApp::setting")
    for name in sorted(settings.keys() - _SETTINGS):
        raise ConfigError(
            f"A Python app in a Rust program has no {name}: connections, processes and logs are "
            "the program's own; leave it out."
        )
    values = config.resolve(layer)
    check_loop(values)
    app = load_target(target, values)
    _faces.serve_within(app.app, app.interface, values, [], on_ready)
