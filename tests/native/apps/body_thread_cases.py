"""Handlers that read one body by two threads."""

import threading
from collections.abc import Callable
from typing import Any

from gohttp import Mux, Request, ResponseWriter

WAIT = 20.0
mux = Mux()


def by_two(read: Callable[[], Any]) -> list[Any]:
    """What each of two threads has got by `read`."""
    got: list[Any] = []

    def run() -> None:
        try:
            got.append(read())
        except Exception as error:
            got.append(f"{type(error).__name__}: {error}")

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    return got


@mux.route("/whole")
def whole(w: ResponseWriter, req: Request) -> None:
    w.json([len(body) for body in by_two(lambda: req.body)])


@mux.route("/form")
def form(w: ResponseWriter, req: Request) -> None:
    got = by_two(req.form)
    w.json({"same": got[0] is got[1], "names": [sorted(form) for form in got]})


@mux.route("/pieces")
def pieces(w: ResponseWriter, req: Request) -> None:
    both = threading.Barrier(2)

    def read() -> list[int]:
        """The bytes that this thread has read, after both have read one."""
        got = bytearray(req.read(1))
        both.wait(WAIT)
        while piece := req.read(1000):
            got += piece
        return list(got)

    w.json(by_two(read))


@mux.route("/ok")
def ok(w: ResponseWriter, _req: Request) -> None:
    w.text("ok")
