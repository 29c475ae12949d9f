"""Forms: `Request.form()`, of fields and files."""

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from tempfile import SpooledTemporaryFile
from typing import IO, NoReturn
from urllib.parse import parse_qsl

from multipart import MultipartError, MultipartSegment, ParserLimitReached, PushMultipartParser

from gohttp import BadRequest, MissingValue
from gohttp._gohttp import Request
from gohttp._request import Values, codec, content_type

_PARTS = 128
_FIELDS = 8 * 1024 * 1024
_PIECE = 64 * 1024
_BOUNDARY = 1024  # RFC 2046 section 5.1.1 has 70; of a long one each piece costs its length
_IN_MEMORY = 64 * 1024


class FormFile:
    """A file of a form.

    `name` is its field. `filename` is what the client calls it: to be shown, never to be used as a
    path; `content_type` what the client says that it is, else `application/octet-stream`. `size`
    is in bytes. `file` is open for reading until the request has ended; beyond 64 KiB it is on
    disk.
    """

    name: str
    filename: str
    content_type: str
    size: int
    file: IO[bytes]

    def __init__(self, name: str, filename: str, content_type: str) -> None:
        self.name, self.filename, self.content_type = name, filename, content_type
        self.size = 0
        self.file = SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115

    def __repr__(self) -> str:
        return f"FormFile({self.name!r}, {self.filename!r}, {self.content_type!r})"

    def save_as(self, path: str | os.PathLike[str]) -> int:
        """Save a copy, over a file that is there, and return its size."""
        at = self.file.tell()
        self.file.seek(0)
        try:
            with open(path, "wb") as copy:
                shutil.copyfileobj(self.file, copy)
        finally:
            self.file.seek(at)
        return self.size

    def close(self) -> None:
        """Close `file`, and with that delete it."""
        self.file.close()


class Files(dict[str, list[FormFile]]):
    """A form's files by field. A field that is missing raises `MissingValue`."""

    def __missing__(self, name: str) -> NoReturn:
        raise MissingValue(f"the form has no file {name!r}", name)


class Form(Values):
    """A form's fields, and in `files` its files by field: lists of `FormFile`."""

    _whose = "form"

    def __init__(self, pairs: list[tuple[str, str]], files: Files) -> None:
        super().__init__(pairs)
        self.files = files

    def close(self) -> None:
        """Close the files, which happens by itself when the request has ended."""
        _close(self.files)


def read(req: Request) -> Form:
    """The form that the body of `req` is; see `Request.form`."""
    kind, options = content_type(req)
    try:
        if kind == "application/x-www-form-urlencoded":
            return _urlencoded(req, codec(options.get("charset")))
        if kind == "multipart/form-data":
            boundary = options.get("boundary", "")
            return _multipart(req, boundary, codec(options.get("charset")))
    except BadRequest:
        raise
    except ParserLimitReached as error:
        raise BadRequest(f"the form is too large: {error}", 413) from error
    except (MultipartError, UnicodeError) as error:
        raise BadRequest(f"the form cannot be read: {error}") from error
    raise BadRequest(f"a form is expected, and the body is {kind!r}", 415)


def _urlencoded(req: Request, charset: str) -> Form:
    data = bytearray()
    while piece := req.read(_PIECE):  # a piece is what has come, and not always all of it
        data += piece
        if len(data) > _FIELDS:
            raise _too_large()
    if data.count(b"&") >= _PARTS:
        raise BadRequest(f"the form has more than {_PARTS} fields", 413)
    text = data.decode(charset)
    return Form(parse_qsl(text, keep_blank_values=True, encoding=charset), Files())


def _multipart(req: Request, boundary: str, charset: str) -> Form:
    if len(boundary) > _BOUNDARY:
        raise BadRequest("the form cannot be read: its boundary is too long")
    parser = PushMultipartParser(boundary, max_segment_count=_PARTS, header_charset=charset)
    pairs: list[tuple[str, str]] = []
    files = Files()
    try:
        _take(parser.parse_blocking(req.read, _PIECE), charset, pairs, files)
    except BaseException:
        _close(files)
        raise
    return Form(pairs, files)


def _take(
    events: Iterable[MultipartSegment | bytes | None],
    charset: str,
    pairs: list[tuple[str, str]],
    files: Files,
) -> None:
    """Take what the parser says: the head of each part, pieces of it, and None at its end."""
    room = _FIELDS
    name, text_charset = "", charset
    field = bytearray()
    file: FormFile | None = None
    for event in events:
        if isinstance(event, MultipartSegment):
            name, file, field = event.name, None, bytearray()
            if not name:
                raise BadRequest("the form cannot be read: a part has no name")
            if event.filename:
                kind = event.content_type or "application/octet-stream"
                file = FormFile(name, event.filename, kind)
                files.setdefault(name, []).append(file)
            else:
                text_charset = codec(event.charset or charset)
        elif event is None:
            if file is None:
                pairs.append((name, field.decode(text_charset)))
            else:
                file.file.seek(0)
        elif file is None:
            room -= len(event)
            if room < 0:
                raise _too_large()
            field += event
        else:
            file.size += file.file.write(event)


def _close(files: Files) -> None:
    for of_field in files.values():
        for file in of_field:
            with suppress(OSError):  # a full disk: it is closed all the same, as the others must be
                file.close()


def _too_large() -> BadRequest:
    return BadRequest(f"the form's fields are larger than {_FIELDS} bytes", 413)
