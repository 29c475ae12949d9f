"""Every setting of gohttp, once: name, default, meaning, and where its value may come from.

From the fields of `Config` are made: the options of the command line, the variables
`GOHTTP_…`, the keys of `gohttp.toml` and of `[tool.gohttp]` in `pyproject.toml`, and the help.
A value on the command line wins over the environment, that over the file, that over the default.
"""

# ruff: noqa: RUF009 (`_is` returns a dataclass field, as `dataclasses.field` does)

import difflib
import os
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from gohttp import GohttpError, activation, foreign
from gohttp.envfile import load_env_file
from gohttp.setting import ConfigError, Kind, Setting
from gohttp.tomlfile import read_table

__all__ = [
    "Config",
    "ConfigError",
    "Layer",
    "check",
    "command_line",
    "foreign_option",
    "keywords",
    "load",
    "of_program",
    "resolve",
    "settings",
    "unknown_variables",
]

InterfaceChoice = Literal["auto", "wsgi", "asgi", "native"]
CompressionChoice = Literal["deflate", "off"]
LogLevel = Literal["debug", "info", "warning", "error", "critical"]
LifespanChoice = Literal["auto", "on", "off"]

_YEAR = 365 * 86400.0  # a longer time-out is a slip of the keyboard, and overflows clocks


def _is(default: Any, kind: Kind, group: str, help_: str, **rest: Any) -> Any:
    """A field of `Config` with its setting; `settings()` fills in its name and choices."""
    setting = Setting("", kind, group, help_, default, **rest)
    return field(default=default, metadata={"setting": setting})


_LISTEN, _APP, _RUN = "Where to listen", "The app", "How to run"
_DEVELOP, _LOG, _LIMITS = "While developing", "Logs", "Limits and time-outs"
_WEBSOCKET = "WebSockets (ASGI apps, native handlers)"


@dataclass(frozen=True)
class Config:
    """The settings of one server, complete and checked.

    Times are seconds, sizes are bytes; 0 means "no limit" only where the help says so.
    """

    host: str = _is("127.0.0.1", Kind.HOST, _LISTEN, "Address or name to listen on.")
    port: int = _is(
        8000, Kind.NUMBER, _LISTEN, "TCP port; 0 takes any free one.", high=65535, short="-p"
    )
    uds: str | None = _is(
        None, Kind.SOCKET, _LISTEN, "Unix socket to listen on; host and port are then unused."
    )
    uds_mode: str = _is(
        "666", Kind.MODE, _LISTEN, "Permissions of the Unix socket: who may connect."
    )
    backlog: int = _is(
        2048, Kind.NUMBER, _LISTEN, "Connections the kernel may queue.", low=1, high=65535
    )
    health_path: str | None = _is(
        None, Kind.URL_PATH, _LISTEN, "Path the server answers itself: 200, or 503 while it stops."
    )
    trusted_proxies: tuple[str, ...] = _is(
        ("127.0.0.1", "::1"),
        Kind.NETWORKS,
        _LISTEN,
        "Proxies whose X-Forwarded-For and -Proto are believed; * is all, '' is none.",
    )

    interface: InterfaceChoice = _is(
        "auto", Kind.CHOICE, _APP, "What the app speaks; auto looks at the app."
    )
    factory: bool = _is(False, Kind.FLAG, _APP, "TARGET is a function that makes the app.")
    app_dir: str = _is(
        ".", Kind.PATH, _APP, "Directory the app is imported from, and gohttp.toml is sought in."
    )
    env_file: str | None = _is(
        None, Kind.PATH, _APP, "File of NAME=VALUE lines for the environment."
    )
    root_path: str = _is("", Kind.PREFIX, _APP, "URL prefix a proxy in front has cut off.")
    lifespan: LifespanChoice = _is(
        "auto", Kind.CHOICE, _APP, "ASGI start-up and shutdown events; auto: if the app knows them."
    )

    workers: int = _is(
        1, Kind.NUMBER, _RUN, "Processes that serve the app.", low=1, high=1024, short="-w"
    )
    threads: int = _is(
        16,
        Kind.NUMBER,
        _RUN,
        "WSGI and native apps: threads per worker that run app code. Above 1, streams and "
        "WebSockets do not count, and one more may run a quick request.",
        low=1,
        high=4096,
    )
    queue: int = _is(
        1024,
        Kind.NUMBER,
        _RUN,
        "WSGI and native apps: requests that may wait for a thread; more get 503.",
        high=2**31 - 1,
    )
    queue_timeout: float = _is(
        30.0,
        Kind.SECONDS,
        _RUN,
        "WSGI and native apps: longest wait for a thread before 503; 0 is no limit.",
        high=_YEAR,
    )
    request_timeout: float = _is(
        0.0,
        Kind.SECONDS,
        _RUN,
        "Longest a request may take before its client gets 504; 0 is no limit.",
        high=_YEAR,
    )
    limit_concurrency: int = _is(
        0,
        Kind.NUMBER,
        _RUN,
        "ASGI apps, async handlers: requests at once per worker; more get 503; 0 is no limit.",
        high=2**31 - 1,
    )
    slow_callback: float = _is(
        1.0,
        Kind.SECONDS,
        _RUN,
        "ASGI apps, async handlers: log what keeps the loop so long, with its stack; 0 is never.",
        high=_YEAR,
    )
    loop: str = _is(
        "auto",
        Kind.LOOP,
        _RUN,
        "Event loop of an ASGI app, or a function that makes one; auto is asyncio.",
        choices=("auto", "asyncio", "uvloop"),
    )
    graceful_timeout: float = _is(
        30.0, Kind.SECONDS, _RUN, "How long a stop waits for requests in flight.", high=_YEAR
    )

    reload: bool = _is(False, Kind.FLAG, _DEVELOP, "Restart when a .py file changes; one worker.")
    reload_dir: tuple[str, ...] = _is(
        (), Kind.PATHS, _DEVELOP, "Directory to watch (may be repeated); default: the app dir."
    )

    log_level: LogLevel = _is("info", Kind.CHOICE, _LOG, "Least severe message to log.")
    access_log: bool = _is(False, Kind.FLAG, _LOG, "One line on stdout for every request.")

    header_timeout: float = _is(
        10.0,
        Kind.SECONDS,
        _LIMITS,
        "A request's head must be complete after this long.",
        low=0.01,
        high=_YEAR,
    )
    body_timeout: float = _is(
        30.0,
        Kind.SECONDS,
        _LIMITS,
        "Longest pause of a client that sends a body.",
        low=0.01,
        high=_YEAR,
    )
    idle_timeout: float = _is(
        75.0, Kind.SECONDS, _LIMITS, "How long an idle connection is kept.", low=0.01, high=_YEAR
    )
    write_timeout: float = _is(
        60.0,
        Kind.SECONDS,
        _LIMITS,
        "Longest pause of a client that takes nothing.",
        low=0.01,
        high=_YEAR,
    )
    max_head_size: int = _is(
        64 * 1024, Kind.SIZE, _LIMITS, "Request line and headers together.", low=128, high=2**30
    )
    max_headers: int = _is(
        100, Kind.NUMBER, _LIMITS, "Number of headers of a request.", low=1, high=65535
    )
    max_target_size: int = _is(
        16 * 1024, Kind.SIZE, _LIMITS, "Path and query of a request.", low=16, high=2**30
    )
    max_body_size: int = _is(0, Kind.SIZE, _LIMITS, "Body of a request; 0 is no limit.", high=2**60)
    max_connections: int = _is(
        0, Kind.NUMBER, _LIMITS, "Open connections per worker; 0 is no limit.", high=2**31 - 1
    )

    ws_max_size: int = _is(
        16 * 1024 * 1024,
        Kind.SIZE,
        _WEBSOCKET,
        "Message of a client; a larger one closes with 1009.",
        low=1,
        high=2**40,
    )
    ws_ping_interval: float = _is(
        20.0,
        Kind.SECONDS,
        _WEBSOCKET,
        "A client silent for so long gets a ping; 0 is never.",
        high=_YEAR,
    )
    ws_ping_timeout: float = _is(
        20.0,
        Kind.SECONDS,
        _WEBSOCKET,
        "A client that does not answer it for so long is cut.",
        low=0.01,
        high=_YEAR,
    )
    ws_compression: CompressionChoice = _is(
        "deflate", Kind.CHOICE, _WEBSOCKET, "permessage-deflate for clients that offer it, or off."
    )


def settings() -> tuple[Setting, ...]:
    """All settings, in the order of the help."""
    return tuple(
        replace(f.metadata["setting"], name=f.name, choices=get_args(f.type))
        if f.metadata["setting"].kind is Kind.CHOICE
        else replace(f.metadata["setting"], name=f.name)
        for f in fields(Config)
    )


_SETTINGS = {setting.name: setting for setting in settings()}


_COMMANDS_OWN = frozenset(
    {"workers", "reload", "reload_dir", "factory", "app_dir", "env_file", "interface"}
)


def check(name: str, value: object) -> Any:
    """A value as the setting `name` has it; raises `ValueError` if it cannot."""
    return _SETTINGS[name].check(value)


@dataclass(frozen=True)
class Layer:
    """Values from one place, by setting name, not yet checked.

    `source` names the place of one setting in a sentence; relative paths start at `base`.
    """

    values: Mapping[str, object]
    source: Callable[[Setting], str]
    base: Path | None = None


def command_line(values: Mapping[str, object]) -> Layer:
    """The options a person typed; `None` and `()` stand for options left out."""
    given = {name: value for name, value in values.items() if value not in (None, ())}
    return Layer(given, lambda setting: setting.flag)


def keywords(values: Mapping[str, object], function: str = "run") -> Layer:
    """Keyword arguments of a Python function; raises `ConfigError` for an unknown one."""
    _refuse_unknown(values, f"{function}()")
    return Layer(dict(values), lambda setting: f"{function}({setting.name}=…)")


def of_program(values: Mapping[str, object], function: str) -> Config:
    """What a program gives to a function of ours; the environment and files are the command's.

    Raises `GohttpError` for what only the command can do, and `ConfigError`.
    """
    for name in sorted(_COMMANDS_OWN & values.keys()):
        how = "use the command: gohttp serve --help"
        if name in ("workers", "interface"):
            how = f"name what is to be served: gohttp.run(mux, {name}={values[name]!r})"
        elif name.startswith("reload"):
            how = 'have it imported by name: gohttp.run("module:mux", reload=True)'
        raise GohttpError(
            f"{function}() serves in this very process and cannot take {name}=…; {how}."
        )
    return resolve(keywords(values, function))


def load(first: Layer, environ: MutableMapping[str, str] | None = None) -> Config:
    """Merge `first`, the environment, the configuration file and the defaults.

    An `env_file` is read into `environ` (default: `os.environ`) on the way, without replacing
    what is there.  Raises `ConfigError`.
    """
    environ = os.environ if environ is None else environ
    early = _environment(environ, only=("app_dir", "env_file"))
    file = _file_layer(Path(resolve(first, early).app_dir))
    for layer in (first, early, file):
        if layer.values.get("env_file") is not None:
            env_file = resolve(layer).env_file
            load_env_file(str(env_file), layer.source(_SETTINGS["env_file"]), environ)
            break
    layers = (first, _environment(environ), file)
    if activation.offered(environ):
        _refuse_address(layers)
    return resolve(*layers)


def _refuse_address(layers: Iterable[Layer]) -> None:
    for layer in layers:
        for name in ("host", "port", "uds"):
            if name in layer.values:
                raise ConfigError(
                    f"{layer.source(_SETTINGS[name])}: the socket is handed over by systemd "
                    "(LISTEN_FDS); take the setting out, or start without the .socket unit."
                )


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """A sentence for each variable that looks like a setting and is none."""
    ours = {setting.env for setting in _SETTINGS.values()}
    return [
        f"{name} {_unknown(name.removeprefix('GOHTTP_'), lambda s: s.env)}"
        for name in sorted(environ)
        if name.startswith("GOHTTP_") and name not in ours
    ]


def resolve(*layers: Layer) -> Config:
    """The configuration out of `layers`, strongest first.  Raises `ConfigError`."""
    values: dict[str, Any] = {}
    for layer in reversed(layers):
        for name, raw in layer.values.items():
            setting = _SETTINGS[name]
            try:
                value = setting.check(raw)
            except ValueError as error:
                raise ConfigError(f"{layer.source(setting)}: {error}") from None
            values[name] = _from_base(layer.base, setting.kind, value)
    return Config(**values)


def _from_base(base: Path | None, kind: Kind, value: Any) -> Any:
    """Paths that a file gives start at its folder, not where the command happens to be run."""
    if base is None or not value:
        return value
    if kind in (Kind.PATH, Kind.SOCKET):
        return str(base / value)
    return tuple(str(base / path) for path in value) if kind is Kind.PATHS else value


def _environment(environ: Mapping[str, str], only: Iterable[str] = ()) -> Layer:
    # An empty variable counts as not set: compose files and CI pass many of those.
    chosen = [_SETTINGS[name] for name in only] or _SETTINGS.values()
    values = {s.name: environ[s.env] for s in chosen if environ.get(s.env)}
    return Layer(values, lambda setting: setting.env)


def _file_layer(app_dir: Path) -> Layer:
    """The first file that holds settings: gohttp.toml, then pyproject.toml; app dir, then cwd."""
    for folder in dict.fromkeys((app_dir.resolve(), Path.cwd())):
        for name in ("gohttp.toml", "pyproject.toml"):
            path = folder / name
            table = read_table(path)
            if table is not None:
                _refuse_unknown(table, str(path))
                return Layer(table, _KeyIn(path), base=folder)
    return Layer({}, lambda setting: setting.name)


@dataclass(frozen=True)
class _KeyIn:
    path: Path

    def __call__(self, setting: Setting) -> str:
        return f"{setting.name} in {self.path}"


def _refuse_unknown(values: Mapping[str, object], where: str) -> None:
    for key in values:
        if key not in _SETTINGS:
            raise ConfigError(f"{where}: {key!r} {_unknown(key, lambda s: s.name)}")


def _unknown(name: str, spelt: Callable[[Setting], str]) -> str:
    """Completes `NAME …` for a name that is no setting; `spelt` is how they are written there."""
    explained = foreign.explain(name, lambda ours: spelt(_SETTINGS[ours]))
    if explained is not None:
        return explained
    near = difflib.get_close_matches(name.replace("-", "_").lower(), _SETTINGS, 1, 0.5)
    hint = (
        f"did you mean {spelt(_SETTINGS[near[0]])}?" if near else "gohttp serve --help lists them."
    )
    return f"is not a setting; {hint}"


def foreign_option(option: str) -> str | None:
    """The sentence for an option of another server; None when it is not known."""
    explained = foreign.explain(option, lambda ours: _SETTINGS[ours].flag)
    return None if explained is None else f"{option} {explained}"
