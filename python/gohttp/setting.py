"""One setting: its names, the kind of its value, and how a value is checked.

Which settings there are stands in `gohttp.config`.
"""

import difflib
import ipaddress
import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from gohttp import GohttpError

_LONGEST_SHOWN = 60  # characters of a bad value in a sentence


class ConfigError(GohttpError):
    """A setting that cannot be used; the sentence names the place it came from."""

    exit_code = 2


class Kind(Enum):
    """What the value of a setting is; the text is the placeholder in the help."""

    HOST = "HOST"
    NUMBER = "N"
    SECONDS = "SECONDS"
    SIZE = "BYTES"
    FLAG = ""
    CHOICE = "CHOICE"
    LOOP = "MODULE:FACTORY"
    PATH = "PATH"
    PATHS = "DIR"
    SOCKET = "SOCKET"
    MODE = "OCTAL"
    NETWORKS = "ADDRESS"
    URL_PATH = "/PATH"
    PREFIX = "/PREFIX"


@dataclass(frozen=True)
class Setting:
    """How one field of `Config` is given, checked and explained."""

    name: str
    kind: Kind
    group: str
    help: str
    default: Any
    choices: tuple[str, ...] = ()
    low: float = 0
    high: float = math.inf
    short: str = ""

    @property
    def flag(self) -> str:
        """The long option, such as `--max-head-size`."""
        return "--" + self.name.replace("_", "-")

    @property
    def env(self) -> str:
        """The environment variable, such as `GOHTTP_MAX_HEAD_SIZE`."""
        return "GOHTTP_" + self.name.upper()

    @property
    def shown_default(self) -> str:
        """The default as a person would write it; empty when there is none."""
        if self.kind is Kind.FLAG:
            return "on" if self.default else "off"
        if self.kind is Kind.SIZE and self.default and self.default % 1024 == 0:
            return f"{self.default // 1024}k"
        if self.kind is Kind.SECONDS:
            return f"{self.default:g}"
        if self.kind is Kind.NETWORKS:
            return ",".join(self.default)
        return "" if self.default in (None, ()) else str(self.default)

    @property
    def wanted(self) -> str:
        """What a value has to be, to complete `… is not …`."""
        upper = "" if math.isinf(self.high) else f" to {self.high:.0f}"
        limits = f"from {self.low:g}{upper}" if upper else f"of at least {self.low:g}"
        return {
            Kind.HOST: "an address or a name; write 0.0.0.0 for all interfaces",
            Kind.NUMBER: f"a whole number {limits}",
            Kind.SECONDS: f"a number of seconds {limits}",
            Kind.SIZE: f"a size in bytes {limits}, such as 65536 or 64k",
            Kind.FLAG: "true or false",
            Kind.CHOICE: "one of " + ", ".join(self.choices),
            Kind.LOOP: "one of " + ", ".join(self.choices) + ", or module:factory",
            Kind.PATH: "a path",
            Kind.SOCKET: "a path",
            Kind.MODE: 'octal permissions in quotes, such as "660"',
            Kind.PREFIX: "a prefix that begins with /, such as /shop",
            Kind.PATHS: "a path or a list of paths",
            Kind.URL_PATH: "a path that begins with /, such as /healthz",
            Kind.NETWORKS: "an address, a network such as 10.0.0.0/8, or *",
        }[self.kind]

    def check(self, raw: object) -> Any:
        """`raw` as a value of this setting; raises `ValueError` with `… is not …`, no full stop."""
        try:
            return _READERS[self.kind](self, raw)
        except (ValueError, TypeError, OverflowError):
            near = difflib.get_close_matches(str(raw).lower(), self.choices, 1)
            hint = f"; did you mean {near[0]}?" if near else "."
            raise ValueError(f"{_shown(raw)} is not {self.wanted}{hint}") from None


def _shown(raw: object) -> str:
    """A bad value on one line."""
    text = f'"{raw}"' if isinstance(raw, str) and raw.isprintable() else repr(raw)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _text(setting: Setting, raw: object) -> str | None:
    if raw is None and setting.default is None:
        return None
    path = setting.kind in (Kind.PATH, Kind.SOCKET)
    if isinstance(raw, os.PathLike) and path:
        raw = os.fspath(raw)
    if not isinstance(raw, str) or "\0" in raw:
        raise ValueError
    if setting.kind is Kind.HOST and not raw.isprintable():
        raise ValueError
    # An empty host would listen on every interface: an unset $HOST must not do that.
    if not raw and (path or setting.default):
        raise ValueError
    return raw


def _number(setting: Setting, raw: object) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int | str):
        raise TypeError
    return int(_within(setting, int(raw)))


def _seconds(setting: Setting, raw: object) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        raise TypeError
    return _within(setting, float(raw))


def _size(setting: Setting, raw: object) -> int:
    if isinstance(raw, str):
        match = re.fullmatch(r"([0-9]+) *([kmg]?)(?:i?b)?", raw.strip().lower())
        if match is None:
            raise ValueError
        raw = int(match[1]) * 1024 ** ("", "k", "m", "g").index(match[2])
    return _number(setting, raw)


def _socket(setting: Setting, raw: object) -> str | None:
    """A path; `unix:/path` is how gunicorn and nginx write it."""
    if isinstance(raw, str):
        raw = raw.removeprefix("unix:")
    return _text(setting, raw)


def _mode(_setting: Setting, raw: object) -> str:
    # A number would be read as decimal by people or by TOML: 660 is not 0o660.
    if not isinstance(raw, str) or not re.fullmatch(r"(0o?)?[0-7]{3}", raw):
        raise ValueError
    return raw[-3:]


def _flag(setting: Setting, raw: object) -> bool:
    if isinstance(raw, bool):
        return raw
    if not isinstance(raw, str):
        raise TypeError
    words = {"1": True, "true": True, "yes": True, "on": True}
    words |= {"0": False, "false": False, "no": False, "off": False}
    try:
        return words[raw.strip().lower()]
    except KeyError:
        raise ValueError from None


def _choice(setting: Setting, raw: object) -> str:
    if not isinstance(raw, str) or raw.lower() not in setting.choices:
        raise ValueError
    return raw.lower()


def _loop(setting: Setting, raw: object) -> str:
    """A loop that we know, or where to find a function that makes one."""
    if isinstance(raw, str) and re.fullmatch(r"\w+(\.\w+)*:[^\W\d]\w*(\.\w+)*", raw):
        return raw
    return _choice(setting, raw)


def _paths(setting: Setting, raw: object) -> tuple[str, ...]:
    if isinstance(raw, str):
        raw = [part for part in raw.split(os.pathsep) if part]
    if not isinstance(raw, list | tuple):
        raise TypeError
    if not all(isinstance(path, str) and path and "\0" not in path for path in raw):
        raise TypeError
    return tuple(raw)


def _url_path(setting: Setting, raw: object) -> str | None:
    text = _text(setting, raw)
    if text is not None and not re.fullmatch(r"/[!-~]*", text):
        raise ValueError
    return text


def _prefix(setting: Setting, raw: object) -> str | None:
    text = _text(setting, raw)
    if text and (not text.startswith("/") or not text.isprintable()):
        raise ValueError
    return text


def _networks(_setting: Setting, raw: object) -> tuple[str, ...]:
    if isinstance(raw, str):
        raw = [raw]
    if not isinstance(raw, list | tuple) or not all(isinstance(part, str) for part in raw):
        raise TypeError
    items = [item.strip() for part in raw for item in part.split(",")]
    for item in items:
        if item not in ("", "*"):
            ipaddress.ip_network(item, strict=False)
    return tuple(filter(None, items))


def _within(setting: Setting, value: float) -> float:
    if not setting.low <= value <= setting.high:  # false for nan too
        raise ValueError
    return value


_READERS: dict[Kind, Callable[[Setting, object], object]] = {
    Kind.HOST: _text,
    Kind.NUMBER: _number,
    Kind.SECONDS: _seconds,
    Kind.SIZE: _size,
    Kind.FLAG: _flag,
    Kind.CHOICE: _choice,
    Kind.LOOP: _loop,
    Kind.PATH: _text,
    Kind.PATHS: _paths,
    Kind.NETWORKS: _networks,
    Kind.URL_PATH: _url_path,
    Kind.PREFIX: _prefix,
    Kind.SOCKET: _socket,
    Kind.MODE: _mode,
}
