"""What `Request` makes of itself when it is asked: each function is called once a request."""

import base64
import binascii
import json as json_module
from collections.abc import Iterator, Mapping
from email.message import Message
from encodings.aliases import aliases
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from gohttp import BadRequest
from gohttp._gohttp import Request

if TYPE_CHECKING:
    import multipart

_CHARSETS = frozenset(aliases) | frozenset(aliases.values())
_PARTS = 128
_MEMORY = 8 * 1024 * 1024


class Values(Mapping[str, str]):
    """Names and values in order, a name as often as it came; `values[name]` is the first."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._pairs = pairs
        self._first: dict[str, str] = {}
        for name, value in pairs:
            self._first.setdefault(name, value)

    def __getitem__(self, name: str) -> str:
        return self._first[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._first)

    def __len__(self) -> int:
        return len(self._first)

    def __repr__(self) -> str:
        return f"Values({self._pairs!r})"

    def get_all(self, name: str) -> list[str]:
        """All values of the name, in order."""
        return [value for known, value in self._pairs if known == name]

    def pairs(self) -> list[tuple[str, str]]:
        """Names and values as they came."""
        return list(self._pairs)


class Form(Values):
    """A form's fields, and in `files` its files by field: a list of `multipart.MultipartPart`.

    A file has `filename`, `content_type`, `file` (to read), `size` and `save_as(path)`.
    """

    def __init__(
        self, pairs: list[tuple[str, str]], files: "dict[str, list[multipart.MultipartPart]]"
    ) -> None:
        super().__init__(pairs)
        self.files = files

    def close(self) -> None:
        """Close the files, which happens by itself when the request has ended."""
        for parts in self.files.values():
            for part in parts:
                part.close()


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
    charset = _content_type(req).get_content_charset("utf-8")
    # Python remembers each name that it was asked for and does not know.
    if charset.replace("-", "_") not in _CHARSETS:
        raise BadRequest(f"the body's charset {charset[:40]!r} is not known", 415)
    try:
        return req.body.decode(charset)
    except (LookupError, ValueError) as error:
        raise BadRequest(f"the body is not text: {error}") from error


def json(req: Request) -> Any:
    try:
        return json_module.loads(req.body)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the body is not JSON: {error}") from error


def form(req: Request) -> Form:
    import multipart  # only who reads forms needs it

    kind = _content_type(req).get_content_type()
    if kind not in ("application/x-www-form-urlencoded", "multipart/form-data"):
        raise BadRequest(f"a form is expected, and the body is {kind!r}", 415)
    environ = {
        "REQUEST_METHOD": "POST",
        "CONTENT_TYPE": req.headers["content-type"],
        "CONTENT_LENGTH": req.headers.get("content-length") or "-1",
        "wsgi.input": req,
    }
    try:
        fields, files = multipart.parse_form_data(
            environ, strict=True, ignore_errors=False, part_limit=_PARTS, memory_limit=_MEMORY
        )
    except multipart.ParserLimitReached as error:
        raise BadRequest(f"the form is too large: {error}", 413) from error
    except (multipart.MultipartError, ValueError, LookupError) as error:
        raise BadRequest(f"the form cannot be read: {error}") from error
    pairs = [(name, value) for name, value in fields.iterallitems()]
    return Form(pairs, {name: files.getall(name) for name in files})


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


def _content_type(req: Request) -> Message:
    message = Message()
    message["content-type"] = req.headers.get("content-type") or "application/octet-stream"
    return message
