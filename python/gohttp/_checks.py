"""Functions that `Mux` and middleware are given, looked at when they are given: a mistake is told
where it was made, not with the first request."""

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any

from gohttp.interface import signature_of

_EXAMPLES = {
    "basic_auth": 'basic_auth({"ada": password})',
    "body_limit": "body_limit(10_000_000)",
    "compress": "compress()",
    "cors": 'cors(["https://example.org"])',
    "rate_limit": "rate_limit(100, per=60)",
    "recover": "recover(hook)",
    "request_id": "request_id()",
}


def check_handler(handler: object) -> None:
    """Raise `TypeError` for what cannot be called as `handler(w, req)`."""
    if not callable(handler):
        raise TypeError(f"a handler must be callable, not {type(handler).__name__}")
    if inspect.isgeneratorfunction(handler) or inspect.isasyncgenfunction(handler):
        raise TypeError(
            f"the handler {_named(handler)} has a yield, so that calling it runs nothing; give what"
            " it yields to w.write()"
        )
    check_call("the handler", handler, "w, req")


def check_middleware(function: object) -> None:
    """Raise `TypeError` for what cannot be called as `function(handler)`, or is to be made yet."""
    if not callable(function):
        raise TypeError(f"middleware is a function, or made by gohttp.middleware, not {function!r}")
    ready = sys.modules.get("gohttp.middleware")
    for name, example in _EXAMPLES.items():
        if function is getattr(ready, name, None):
            raise TypeError(
                f"middleware.{name} makes middleware: call it, as in mux.use(middleware.{example})"
            )
    if is_async(function):
        raise TypeError(
            f"the middleware {_named(function)} is async: write it with def; the function that it"
            " returns may be async"
        )
    check_call("the middleware", function, "handler")


def wrapped_by(
    function: Callable[..., Any], handler: Callable[..., Any], *, outermost: bool
) -> Callable[..., Any]:
    """What middleware puts in a handler's place; raises `TypeError` if that is nothing to call.

    The `outermost` is called with `(w, req)`; those inside as it pleases the others.
    """
    wrapped: object = function(handler)
    who = f"the middleware {_named(function)}"
    if not callable(wrapped):
        what = "None" if wrapped is None else f"{wrapped!r}"
        raise TypeError(f"{who} returned {what}: it must return a function (w, req)")
    # Who turns a handler for two into one for one is probably a function that makes middleware.
    is_maker = _takes(wrapped, 1) and _takes(handler, 2)
    if (outermost or is_maker) and not _takes(wrapped, 2):
        raise TypeError(
            f"{who} returned {_named(wrapped)}, which cannot be called with (w, req); if"
            f" {name_of(function)} makes middleware, call it in use()"
        )
    return wrapped


def check_call(what: str, function: Callable[..., Any], arguments: str) -> None:
    """Raise `TypeError` if a function cannot be called with these positional arguments."""
    if _takes(function, arguments.count(",") + 1):
        return
    signature = signature_of(function, follow_wrapped=False)
    advice = ""
    if inspect.isclass(function):
        advice = f"; if an object of the class is meant, give that: {function.__name__}(…)"
    elif signature and next(iter(signature.parameters), "") == "self":
        advice = "; if it is a method, give that of an object"
    raise TypeError(
        f"{what} {_named(function)} is called with ({arguments}), but takes"
        f" {_told(signature)}{advice}"
    )


def is_async(function: object) -> bool:
    """Whether a call gives a coroutine, as far as that can be seen."""
    function = _inside(function)
    call = getattr(type(function), "__call__", None)  # noqa: B004
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)


def name_of(function: object) -> str:
    """How a function is called in its file; of an object, its class."""
    function = _inside(function)
    return str(getattr(function, "__qualname__", None) or type(function).__qualname__)


def _takes(function: Callable[..., Any], count: int) -> bool:
    """Whether a call with so many arguments may succeed; compiled code need not tell."""
    # Its own parameters: a decorator may give others to what it wraps.
    signature = signature_of(function, follow_wrapped=False)
    if signature is None:
        return True
    try:
        signature.bind(*(None,) * count)
    except TypeError:
        return False
    return True


def _told(signature: inspect.Signature | None) -> str:
    """Parameters as they are written, without their types."""
    if signature is None:
        return "others"
    plain = [one.replace(annotation=one.empty) for one in signature.parameters.values()]
    return str(inspect.Signature(plain))


def _named(function: object) -> str:
    """A function's name, and where it is written if that is known."""
    name, function = name_of(function), _inside(function)
    if inspect.isclass(function):
        function = function.__init__
    elif not hasattr(function, "__code__"):
        function = getattr(type(function), "__call__", None)  # noqa: B004
    code = getattr(function, "__code__", None)
    return name if code is None else f"{name} ({code.co_filename}:{code.co_firstlineno})"


def _inside(function: object) -> object:
    while isinstance(function, functools.partial):
        function = function.func
    return function
