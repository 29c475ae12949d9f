"""What `Request` makes of itself when it is asked: each function is called once a request."""

import base64
import binascii
import json as json_module
from collections.abc import Iterator, Mapping
from encodings.aliases import aliases
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, overload
from urllib.parse import parse_qsl

from gohttp import BadRequest, MissingValue
from gohttp._gohttp import Request

if TYPE_CHECKING:
    from gohttp._form import Form

T = TypeVar("T")

# Those of the WHATWG's Encoding standard, and of Unicode.
_CODECS = {
    *("ascii", "utf_8", "utf_16", "utf_16_be", "utf_16_le", "utf_32", "utf_32_be", "utf_32_le"),
    *("latin_1", *(f"iso8859_{part}" for part in (*range(2, 12), 13, 14, 15, 16))),
    *("cp866", "cp874", *(f"cp{number}" for number in range(1250, 1259))),
    *("koi8_r", "koi8_u", "mac_roman", "mac_cyrillic", "gb2312", "gbk", "gb18030"),
    *("big5", "big5hkscs", "euc_jp", "euc_kr", "iso2022_jp", "shift_jis", "cp932", "cp949"),
}


class Values(Mapping[str, str]):
    """Names and values in order, a name as often as it came; `values[name]` is the first.

    A name that is missing raises `MissingValue`, which is a `KeyError` and answered with 400.
    """

    _whose = "query"

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._pairs = pairs
        self._first: dict[str, str] = {}
        for name, value in pairs:
            self._first.setdefault(name, value)

    def __getitem__(self, name: str) -> str:
        try:
            return self._first[name]
        except KeyError:
            raise MissingValue(f"the {self._whose} has no {name!r}", name) from None

    def __contains__(self, name: object) -> bool:
        return name in self._first

    @overload
    def get(self, name: str, default: None = None) -> str | None: ...
    @overload
    def get(self, name: str, default: T) -> str | T: ...
    def get(self, name: str, default: Any = None) -> Any:
        """The first value, or `default`."""
        return self._first.get(name, default)

    def __iter__(self) -> Iterator[str]:
        return iter(self._first)

    def __len__(self) -> int:
        return len(self._first)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._pairs!r})"

    def get_all(self, name: str) -> list[str]:
        """All values of the name, in order."""
        return [value for known, value in self._pairs if known == name]

    def pairs(self) -> list[tuple[str, str]]:
        """Names and values as they came."""
        return list(self._pairs)


def query(req: Request) -> Values:
    return Values(parse_qsl(req.query_string, keep_blank_values=True))


def cookies(req: Request) -> dict[str, str]:
    """By RFC 6265, and as lenient as browsers are: what is no pair is left out, the first wins."""
    found: dict[str, str] = {}
    for pair in "; ".join(req.headers.get_all("cookie")).split(";"):
        name, equals, value = pair.partition("=")
        name, value = name.strip(), value.strip()
        if len(value) >= 2 and value[0] == value[-1] == '"':
            value = value[1:-1]
        if equals and name:
            found.setdefault(name, value)
    return found


def text(req: Request) -> str:
    _, options = content_type(req)
    known = codec(options.get("charset"))
    try:
        return req.body.decode(known)
    except UnicodeError as error:
        raise BadRequest(f"the body is not text: {error}") from error


def json(req: Request) -> Any:
    body = req.body
    try:
        return _JSON.decode(body.decode(json_module.detect_encoding(body), "surrogatepass"))
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the body is not JSON: {error}") from error


def form(req: Request) -> "Form":
    from gohttp._form import read  # only who reads forms needs it

    return read(req)


def content_type(req: Request) -> tuple[str, dict[str, str]]:
    """Type and parameters of the body, in time that grows as the field does.

    A charset in the way of RFC 2231 (`charset*=`), which HTTP does not have, raises `BadRequest`.
    """
    from gohttp._options import parse_options_header  # only who needs it pays for it

    field = req.headers.get("content-type") or "application/octet-stream"
    kind, options = parse_options_header(field)
    if "charset" not in options and "charset*" in field.lower():
        raise BadRequest("the body's charset is told as RFC 2231 does: HTTP has no such way", 415)
    return kind, options


def codec(charset: str | None) -> str:
    """Python's name of a charset, UTF-8 if there is none. Raises `BadRequest` for a strange one.

    The interpreter remembers each name that it was asked for and does not know, and some of what it
    knows is no charset, or takes time that grows with the square of the text.
    """
    name = (charset or "utf-8").lower().replace("-", "_")
    known = name if name in _CODECS else aliases.get(name)
    if known not in _CODECS:
        raise BadRequest(f"the charset {name[:40]!r} is not known", 415)
    return known


def basic_auth(req: Request) -> tuple[str, str] | None:
    scheme, _, encoded = (req.headers.get("authorization") or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (name, password) if colon else None


def context(_req: Request) -> dict[Any, Any]:
    return {}


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON's")


_JSON = json_module.JSONDecoder(parse_constant=_refuse)
