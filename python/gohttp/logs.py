"""Logging of the server: messages on stderr, the access log on stdout.

The loggers are `gohttp` and its child `gohttp.access`.  An app that has given `gohttp` handlers
of its own keeps them.
"""

import logging
import os
import sys
from typing import TextIO

from gohttp import GohttpError
from gohttp.config import LogLevel

logger = logging.getLogger("gohttp")
access_logger = logging.getLogger("gohttp.access")

_COLOURS = {"WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}


class _OurHandler(logging.StreamHandler[TextIO]):
    """Marks what `configure` has put in place."""


class _Formatter(logging.Formatter):
    """`2026-01-31 12:00:00 info [4242] message`, in colour on a terminal."""

    def __init__(self, *, colour: bool) -> None:
        super().__init__("%(asctime)s %(levelname)s [%(process)d] %(message)s", "%Y-%m-%d %H:%M:%S")
        self._colour = colour

    def formatMessage(self, record: logging.LogRecord) -> str:
        name = record.levelname
        shown = logging.makeLogRecord(record.__dict__)
        shown.levelname = f"{name.lower():7}"
        if self._colour and name in _COLOURS:
            shown.levelname = f"\x1b[{_COLOURS[name]}m{shown.levelname}\x1b[0m"
        return super().formatMessage(shown)


def configure(level: LogLevel, *, access_log: bool) -> None:
    """Give both loggers their handlers, unless somebody already did; set the level."""
    logger.setLevel(level.upper())
    if not logger.handlers:
        handler = _OurHandler(sys.stderr)
        colour = sys.stderr.isatty() and "NO_COLOR" not in os.environ
        handler.setFormatter(_Formatter(colour=colour))
        logger.addHandler(handler)
        logger.propagate = False
    access_logger.setLevel(logging.INFO if access_log else logging.CRITICAL + 1)
    if access_log and not access_logger.handlers:
        lines = _OurHandler(sys.stdout)
        lines.setFormatter(logging.Formatter("%(message)s"))
        access_logger.addHandler(lines)
        access_logger.propagate = False


def engine_level(level: LogLevel, *, access_log: bool) -> int:
    """The least severe level number the engine has to pass on; access lines are info."""
    number = logging.getLevelNamesMapping()[level.upper()]
    return min(number, logging.INFO) if access_log else number


def after_app_import() -> None:
    """Make peace with the logging an app configured while it was imported.

    `dictConfig` disables loggers it does not know by default; handlers the app gave to our
    loggers take the place of ours.
    """
    for name in [n for n in logging.root.manager.loggerDict if n.startswith("gohttp.")]:
        logging.getLogger(name).disabled = False
    logger.disabled = False
    for each in (logger, access_logger):
        if any(not isinstance(handler, _OurHandler) for handler in each.handlers):
            for handler in [h for h in each.handlers if isinstance(h, _OurHandler)]:
                each.removeHandler(handler)
    if not logger.handlers:  # dictConfig takes handlers away that it did not make
        logger.propagate = True


def count(number: int, noun: str) -> str:
    """`1 worker`, `2 workers`; in `1 task of the app` the first word has the number."""
    first, space, rest = noun.partition(" of ")
    return f"{number} {first}{'' if number == 1 else 's'}{space}{rest}"


def were(number: int, noun: str) -> str:
    """`1 request was`, `2 requests were`."""
    return f"{count(number, noun)} {'was' if number == 1 else 'were'}"


def report(error: GohttpError) -> None:
    """Tell a person what stopped us: the app's traceback if there is one, then one sentence."""
    details = error.details
    if details and not details.endswith("\n"):
        details += "\n"
    sys.stderr.write(f"{details}gohttp: {error}\n")
    sys.stderr.flush()
