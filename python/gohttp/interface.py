"""Which interface an app speaks, found by looking at the object and never by calling it."""

import functools
import inspect
import sys
from types import ModuleType
from typing import Literal

Interface = Literal["wsgi", "asgi", "native"]

_HANDLERS = {(w, req) for w in ("w", "writer") for req in ("req", "request", "r")}
_BY_FIRST_NAME: dict[str, Interface] = {"scope": "asgi", "environ": "wsgi", "env": "wsgi"}


class UnknownInterface(Exception):
    """The object is no app, or could be several; the text completes `NAME …`, no full stop."""


def detect_interface(app: object, *, has_routes: bool = False) -> Interface:
    """`wsgi`, `asgi` or `native` for an app object.

    A `Mux` is native, and a module where routes were registered (`has_routes`).  A callable is
    judged by the parameters it takes: three, or a coroutine function: ASGI; two: WSGI.
    Raises `UnknownInterface`.
    """
    if isinstance(app, ModuleType):
        if has_routes:
            return "native"
        raise UnknownInterface("is a module without routes; name the app in it")
    if is_mux(app):
        if app:
            return "native"
        raise UnknownInterface("is a Mux without routes; register or mount something")
    if not callable(app):
        raise UnknownInterface(f"is {kind(app)}, not an app; name a callable object")
    signature = signature_of(app)
    if signature is None:
        raise UnknownInterface("hides its parameters; say what it speaks with --interface")
    if _is_double_callable(app, signature):
        raise UnknownInterface(
            "looks like an ASGI 2 app, app(scope) that returns another callable; "
            "wrap it with asgiref.compatibility.guarantee_single_callable"
        )
    if inspect.isclass(app) and _makes_no_answer(app):
        takes = "" if signature.parameters else " that takes no argument"
        raise UnknownInterface(
            f"is a class{takes}, not an app; name an object of it, such as {app.__name__}(…)"
        )
    if (names := _first_two(signature)) in _HANDLERS:
        raise UnknownInterface(
            f"takes ({', '.join(names)}) as a handler does, which is no app; write "
            "@gohttp.route('/') before it and name its module, or put it into a Mux and name that, "
            "as in module:mux"
        )
    return _by_signature(signature, is_async=_is_async(app))


def contradiction(app: object, interface: Interface, *, has_routes: bool) -> str | None:
    """Why `app` cannot speak the `interface` that a person named; None when it may.

    Only what a call could not survive counts: a wrapper may take any arguments and give back
    anything.  The text completes `NAME …`, no full stop.
    """
    setting = f"--interface {interface}"
    if interface == "native":
        if app if is_mux(app) else has_routes:
            return None
        return f"registers no routes, as {setting} demands; leave that out"
    if not callable(app):
        return f"is {kind(app)}, not an app, whatever {setting} says; name a callable object"
    # The wrapper's own parameters, not those of what it wraps: adapters wrap the other interface.
    signature = signature_of(app, follow_wrapped=False)
    low, high, _ = (2, 3, "") if signature is None else _positional(signature)
    wanted = 2 if interface == "wsgi" else 3
    if interface == "wsgi" and _returns_coroutine(app):
        return f"is async, which WSGI is not; leave out {setting}"
    if not low <= wanted <= high:
        other = "ASGI's (scope, receive, send)" if low == 3 else "WSGI's (environ, start_response)"
        like = f", like {other}" if {low, wanted} == {2, 3} else ""
        takes = f"{low} argument{'' if low == 1 else 's'}"
        return f"takes {takes}{like}, but {setting} calls it with {wanted}; leave that out"
    return None


def is_mux(app: object) -> bool:
    """Whether `app` is a `gohttp.Mux`, told without loading the engine."""
    mux = sys.modules.get("gohttp.mux")
    return mux is not None and isinstance(app, mux.Mux)


def kind(value: object) -> str:
    """What a value is, for people: `a module`, `an int`."""
    if isinstance(value, ModuleType):
        return "a module"
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def signature_of(app: object, *, follow_wrapped: bool = True) -> inspect.Signature | None:
    """The parameters a call to `app` takes, seen through partials and `functools.wraps`."""
    if not callable(app):
        return None
    try:
        if sys.version_info >= (3, 14):  # annotations may name what exists for type checkers only
            from annotationlib import Format

            return inspect.signature(
                app, follow_wrapped=follow_wrapped, annotation_format=Format.FORWARDREF
            )
        return inspect.signature(app, follow_wrapped=follow_wrapped)
    except (ValueError, TypeError):  # compiled code may not say
        return None


def required_parameters(app: object) -> int | None:
    """How many positional arguments a call must give; None when that cannot be seen."""
    signature = signature_of(app)
    return None if signature is None else _positional(signature)[0]


def _by_signature(signature: inspect.Signature, *, is_async: bool) -> Interface:
    low, high, first = _positional(signature)
    takes_two, takes_three = low <= 2 <= high, low <= 3 <= high
    if is_async:
        if takes_three:
            return "asgi"
        raise UnknownInterface(
            "is async but does not take (scope, receive, send); check which object you named"
        )
    if takes_two and takes_three and first in _BY_FIRST_NAME:
        return _BY_FIRST_NAME[first]
    if low == 2 or (takes_two and not takes_three):
        return "wsgi"
    if low == 3 or (takes_three and not takes_two):
        return "asgi"
    if takes_two and takes_three:
        raise UnknownInterface("could be WSGI or ASGI; say which with --interface")
    count = "no argument" if high == 0 else f"{low} argument{'' if low == 1 else 's'}"
    raise UnknownInterface(
        f"takes {count}: neither WSGI's (environ, start_response) nor ASGI's (scope, receive, send)"
    )


def _positional(signature: inspect.Signature) -> tuple[int, float, str]:
    """Fewest and most positional arguments, and the name of the first parameter."""
    low, high, first = 0, 0.0, ""
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.VAR_POSITIONAL:
            high = float("inf")
        elif parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            high += 1
            low += parameter.default is parameter.empty
            first = first or parameter.name
    return low, high, first


def _first_two(signature: inspect.Signature) -> tuple[str, ...]:
    """The names of the parameters, where a call must give two."""
    required = [
        parameter.name
        for parameter in signature.parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    return tuple(required) if len(required) == 2 else ()


def _is_async(app: object) -> bool:
    """Whether a call returns something to await, seen through partials and `functools.wraps`."""
    while isinstance(app, functools.partial):
        app = app.func
    if inspect.isclass(app):
        return hasattr(app, "__await__")
    seen = inspect.unwrap(app) if callable(app) else app
    candidates = (app, seen, getattr(app, "__call__", None), getattr(seen, "__call__", None))  # noqa: B004
    return any(inspect.iscoroutinefunction(inspect.unwrap(c)) for c in candidates if callable(c))


def _returns_coroutine(app: object) -> bool:
    """Whether a call gives a coroutine for certain: wrappers are not looked through."""
    while isinstance(app, functools.partial):
        app = app.func
    if inspect.isclass(app):
        return False
    call = getattr(type(app), "__call__", None)  # noqa: B004
    return inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(call)


def _makes_no_answer(app: type) -> bool:
    """Whether calling a class gives an object that is no answer: neither WSGI's, which is gone
    through, nor ASGI's, which is awaited."""
    made_its_own_way: tuple[object, object] = (type(app).__call__, app.__new__)
    if made_its_own_way != (type.__call__, object.__new__):
        return False  # a call may give anything
    return not any(hasattr(app, name) for name in ("__iter__", "__getitem__", "__await__"))


def _is_double_callable(app: object, signature: inspect.Signature) -> bool:
    low, high, first = _positional(signature)
    if not low <= 1 <= high or high > 2:
        return False
    return first == "scope" or (
        inspect.isclass(app) and low == 1 and inspect.iscoroutinefunction(app.__call__)
    )
