"""What the three echo apps share: what they have seen, and events that tests hold and release."""

import threading
from collections import defaultdict

PIECE = b"0123456789abcdef" * 4096  # 64 KiB

seen: list[str] = []
holds: defaultdict[str, threading.Event] = defaultdict(threading.Event)


def take_seen() -> list[str]:
    taken = seen[:]
    seen.clear()
    return taken


def say(text: str) -> None:
    """Tell the test, which reads the server's stdout."""
    print(text, flush=True)  # noqa: T201


def pieces(size: int) -> list[bytes]:
    """`size` bytes; the pieces are one object, so that the app itself needs no memory."""
    whole, rest = divmod(size, len(PIECE))
    return [PIECE] * whole + ([PIECE[:rest]] if rest else [])
