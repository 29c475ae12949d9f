"""What `ResponseWriter` offers beside `write`: answers of usual kinds, made of its few calls."""

import html as html_module
import json as json_module
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Literal
from urllib.parse import quote

from gohttp._gohttp import ResponseWriter

_COOKIE_NAME = frozenset(
    "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
)
_URL = ":/?#[]@!$&'()*+,;=%-._~"


def json(w: ResponseWriter, value: Any, status: int | None) -> None:
    _answer(w, _dumps(value, (",", ":")), "application/json", status)


def text(w: ResponseWriter, body: str, status: int | None) -> None:
    _answer(w, body, "text/plain; charset=utf-8", status)


def html(w: ResponseWriter, body: str, status: int | None) -> None:
    _answer(w, body, "text/html; charset=utf-8", status)


def error(w: ResponseWriter, message: str, status: int) -> None:
    """As Go's `http.Error`: what was set for another body does not hold for this one."""
    for name in ("content-length", "content-encoding", "etag", "last-modified", "cache-control"):
        if name in w.headers:
            del w.headers[name]
    w.headers["x-content-type-options"] = "nosniff"
    text(w, f"{message}\n", status)


def redirect(w: ResponseWriter, url: str, status: int) -> None:
    if not 300 <= status <= 399:
        raise ValueError(f"a redirect has a status of 300 to 399, not {status}")
    w.headers["location"] = quote(url, safe=_URL)
    if "content-type" in w.headers:
        w.set_status(status)
        w.write("")  # the body is the handler's, and it may be too late for any
        return
    escaped = html_module.escape(url)
    html(w, f'<a href="{escaped}">{escaped}</a>.\n', status)


class CookieSetter:
    """`w.set_cookie(name, value, ...)`: sets a cookie (RFC 6265)."""

    def __init__(self, w: ResponseWriter) -> None:
        self._w = w

    def __call__(
        self,
        name: str,
        value: str,
        *,
        max_age: int | timedelta | None = None,
        expires: datetime | None = None,
        path: str | None = "/",
        domain: str | None = None,
        secure: bool = False,
        http_only: bool = False,
        same_site: Literal["strict", "lax", "none"] | None = "lax",
        partitioned: bool = False,
    ) -> None:
        """Raise `ValueError` for what a cookie cannot hold. `max_age` is in seconds."""
        if not name or not set(name) <= _COOKIE_NAME:
            raise ValueError(f"{name!r} cannot be the name of a cookie")
        if any(c in ' ",;\\' or not " " < c < "\x7f" for c in value):
            raise ValueError(
                f"the value of the cookie {name!r} holds what a cookie cannot: encode it, such as "
                "by urllib.parse.quote"
            )
        if same_site not in ("strict", "lax", "none", None):
            raise ValueError(f"same_site is 'strict', 'lax', 'none' or None, not {same_site!r}")
        if same_site == "none" and not secure:
            raise ValueError("browsers refuse same_site='none' without secure=True")
        parts = [f"{name}={value}"]
        if max_age is not None:
            seconds = max_age.total_seconds() if isinstance(max_age, timedelta) else max_age
            parts.append(f"Max-Age={int(seconds)}")
        if expires is not None:
            parts.append(f"Expires={format_datetime(expires.astimezone(UTC), usegmt=True)}")
        for label, attribute in (("Path", path), ("Domain", domain)):
            if attribute is not None:
                if any(c == ";" or not " " <= c < "\x7f" for c in attribute):
                    raise ValueError(f"{attribute!r} cannot be the {label} of a cookie")
                parts.append(f"{label}={attribute}")
        parts += ["Secure"] * secure + ["HttpOnly"] * http_only
        if same_site is not None:
            parts.append(f"SameSite={same_site.capitalize()}")
        parts += ["Partitioned"] * partitioned
        self._w.headers.add("set-cookie", "; ".join(parts))


class EventStream:
    """Server-sent events (HTML standard, section 9.2), each sent at once."""

    def __init__(self, w: ResponseWriter) -> None:
        self._w = w

    def send(
        self,
        data: object = None,
        *,
        event: str | None = None,
        id: str | None = None,
        retry: int | None = None,
    ) -> None:
        """Send an event; `data` that is no `str` is sent as JSON. `retry` is in milliseconds.

        Raises as `ResponseWriter.write` does, and `ValueError` for an `event` or `id` of more
        than one line.
        """
        lines = []
        for label, value in (("event", event), ("id", id)):
            if value is not None:
                if set(value) & {"\r", "\n", "\0"}:
                    raise ValueError(f"an event's {label} is one line, not {value!r}")
                lines.append(f"{label}: {value}")
        if retry is not None:
            lines.append(f"retry: {int(retry)}")
        if data is not None:
            text = data if isinstance(data, str) else _dumps(data, (", ", ": "))
            normal = text.replace("\r\n", "\n").replace("\r", "\n")
            lines += [f"data: {line}" for line in normal.split("\n")]
        self._write("\n".join(lines) + "\n\n")

    def comment(self, text: str = "") -> None:
        """Send what clients ignore: it keeps the connection alive."""
        self._write("".join(f": {line}\n" for line in text.splitlines() or [""]) + "\n")

    def _write(self, text: str) -> None:
        self._w.write(text)
        self._w.flush()


def sse(w: ResponseWriter) -> EventStream:
    w.headers["content-type"] = "text/event-stream"
    w.headers["cache-control"] = "no-cache"
    w.headers["x-accel-buffering"] = "no"
    w.flush()
    return EventStream(w)


def _answer(w: ResponseWriter, body: str, kind: str, status: int | None) -> None:
    if status is not None:
        w.set_status(status)
    if "content-type" not in w.headers:
        w.headers["content-type"] = kind
    w.write(body)


def _dumps(value: object, separators: tuple[str, str]) -> str:
    text = json_module.dumps(value, ensure_ascii=False, separators=separators)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:  # a lone surrogate, which only an escape can say
            return json_module.dumps(value, separators=separators)
    return text
