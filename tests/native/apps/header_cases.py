"""Handlers that set headers as those of a dictionary, well and wrongly."""

from collections.abc import Callable, MutableMapping
from typing import Any

from gohttp import Headers, Mux, Request, ResponseWriter

mux = Mux()

WRONG = [
    ("X-Break", "a\nb"),
    ("X-Nul", "a\0b"),
    ("X-Wide", "✓"),
    ("X Name", "a"),
    ("", "a"),
    ("X-Nämé", "a"),
    ("Content-Length", "ten"),
]


CHANGES: dict[str, Callable[[Headers], object]] = {
    "set": lambda headers: headers.__setitem__("X-Late", "1"),
    "add": lambda headers: headers.add("X-Late", "1"),
    "setdefault": lambda headers: headers.setdefault("X-Late", "1"),
    "update": lambda headers: headers.update({"X-Late": "1"}),
    "delete": lambda headers: headers.__delitem__("X-There"),
    "pop": lambda headers: headers.pop("X-There"),
    "popitem": lambda headers: headers.popitem(),
    "clear": lambda headers: headers.clear(),
    "nothing": lambda headers: headers.pop("X-Nothing", None),
}


@mux.route("/late/{change}")
def late(w: ResponseWriter, req: Request) -> None:
    w.headers["X-There"] = "1"
    w.write("a")
    w.flush()
    CHANGES[req.path_value("change")](w.headers)


@mux.route("/wrong")
def wrong(w: ResponseWriter, _req: Request) -> None:
    headers = w.headers
    ways: dict[str, Callable[[str, str], object]] = {
        "set": headers.__setitem__,
        "add": headers.add,
        "setdefault": headers.setdefault,
        "update": lambda name, value: headers.update({name: value}),
        "pairs": lambda name, value: headers.update([(name, value)]),
    }
    told: dict[str, list[str]] = {name: [] for name, _ in WRONG}
    headers["X-Kept"] = "1"
    for name, value in WRONG:
        for set_ in ways.values():
            try:
                set_(name, value)
            except ValueError as error:
                told[name].append(str(error))
    w.json([told, len(headers)])


@mux.route("/wrong-and-uncaught")
def wrong_and_uncaught(w: ResponseWriter, _req: Request) -> None:
    w.headers["X-Break"] = "a\r\nSet-Cookie: a=1"
    w.text("never")


@mux.route("/fine")
def fine(w: ResponseWriter, _req: Request) -> None:
    w.headers["X-Tab"] = " a\tb\r\n"
    w.headers["X-Latin"] = "é"
    w.headers["Content-Length"] = "2"
    w.text("ok")


def outcome(of: Callable[[], object]) -> Any:
    try:
        return of()
    except (KeyError, TypeError, ValueError) as error:
        return type(error).__name__


@mux.route("/mapping")
def mapping(w: ResponseWriter, req: Request) -> None:
    h = w.headers
    told: dict[str, Any] = {"is": isinstance(h, MutableMapping)}
    told["setdefault"] = [h.setdefault("X-A", "1"), h.setdefault("x-a", "2")]
    h.add("x-A", "3")
    told["pop"] = [
        h.pop("X-a"),
        outcome(lambda: h.pop("X-a")),
        h.pop("X-a", None),
        h.pop("X-a", default="else"),
        "X-A" in h,
    ]
    h.update({"X-B": "1", "x-b": "2"}, X_C="3")
    h.update([("X-D", "0"), ["x-d", "4"]])  # type: ignore[list-item]
    h.update()
    told["update"] = h.items()
    h.update(req.headers)
    told["update by headers"] = h.items()
    told["popitem"] = list(h.popitem())
    h.clear()
    told["clear"] = [len(h), outcome(h.popitem)]
    told["bad"] = [
        outcome(lambda: h.update(7)),  # type: ignore[arg-type]
        outcome(lambda: h.update({"X-A": 7})),  # type: ignore[dict-item]
        outcome(lambda: h.update(["X-A"])),  # type: ignore[list-item]
    ]
    told["request"] = [
        outcome(lambda: req.headers.pop("host")),
        outcome(lambda: req.headers.setdefault("host", "x")),
        outcome(lambda: req.headers.update({})),
        outcome(req.headers.popitem),
        outcome(req.headers.clear),
    ]
    w.trailers.update({"X-Sum": "1"})
    told["trailers"] = [
        outcome(lambda: w.trailers.update({"Content-Length": "1"})),
        len(w.trailers),
    ]
    w.json(told)
