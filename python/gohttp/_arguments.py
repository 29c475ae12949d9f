"""Arguments of functions in `gohttp.middleware`: a mistake is one sentence, with what to write."""

import operator
from collections.abc import Iterable
from typing import Any


def whole(
    name: str, value: Any, unit: str, example: str, *, least: int = 0, most: int = (1 << 63) - 1
) -> int:
    """A whole number from `least` to `most`."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise TypeError(f"{name} is {unit}, as in {example}, not {value!r}")
    if number < least:
        raise ValueError(f"{name} is {unit} from {least} up, not {value}")
    if number > most:
        raise ValueError(f"{name} is {unit} up to {most}, not {value}")
    return number


def number(name: str, value: Any, unit: str, example: str) -> float:
    """A number with or without a fraction."""
    if isinstance(value, str | bytes | bool):
        found = None
    else:
        try:
            found = float(value)
        except (TypeError, ValueError):
            found = None
    if found is None:
        raise TypeError(f"{name} is {unit}, as in {example}, not {value!r}")
    return found


def texts(name: str, value: Any, example: str) -> list[str]:
    """Several texts. One text alone is refused: it would pass for its letters."""
    wanted = f"{name} is a list of texts, as in {example}, not {value!r}"
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise TypeError(wanted)
    found = list(value)
    if not all(isinstance(one, str) for one in found):
        raise TypeError(wanted)
    return found
