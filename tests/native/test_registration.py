"""Mistakes in handlers and middleware are told where they are registered."""

import functools
import inspect
import math
import operator
import re
import sys
from collections.abc import Callable
from typing import Any

import gohttp.testing
import pytest
from gohttp import Mux, middleware
from support import run_gohttp

HERE = re.escape(__file__)


def sentence(error: pytest.ExceptionInfo[BaseException]) -> str:
    said = str(error.value)
    assert "\n" not in said
    assert not said.endswith(".")
    return said


def line_of(function: Callable[..., Any]) -> int:
    return inspect.unwrap(function).__code__.co_firstlineno


def good(w: Any, req: Any) -> None:
    """A handler."""


async def good_async(w: Any, req: Any) -> None:
    """A handler."""


class Views:
    def index(self, w: Any, req: Any) -> None:
        """A handler."""

    def short(self, w: Any) -> None:
        """Takes too little."""

    async def __call__(self, w: Any, req: Any) -> None:
        """A handler."""


class Page:
    """Answers when it is made."""

    def __init__(self, w: Any, req: Any) -> None:
        w.text("made")


def no_arguments() -> None:
    """Takes too little."""


def only_response(w: Any) -> None:
    """Takes too little."""


def with_database(w: Any, req: Any, database: Any) -> None:
    """Takes too much."""


def by_keyword(w: Any, req: Any, *, database: Any) -> None:
    """Wants what nobody gives."""


async def async_one(req: Any) -> None:
    """Takes too little."""


@functools.wraps(only_response)
def adapted(w: Any, req: Any) -> None:
    """Takes what it is given, whatever it wraps."""


@pytest.mark.parametrize(
    "handler",
    [
        good,
        good_async,
        lambda w, req: None,
        lambda *everything: None,
        lambda w, req, more=1: None,
        functools.partial(with_database, database=1),
        Views().index,
        Views(),
        Page,
        adapted,
        print,
        operator.eq,
        math.hypot,
        max,
    ],
)
def test_what_takes_two_arguments_is_a_handler(handler: Any) -> None:
    assert Mux().route("/", handler) is handler


@pytest.mark.parametrize(
    ("handler", "name", "takes"),
    [
        (no_arguments, "no_arguments", "()"),
        (only_response, "only_response", "(w)"),
        (with_database, "with_database", "(w, req, database)"),
        (by_keyword, "by_keyword", "(w, req, *, database)"),
        (async_one, "async_one", "(req)"),
        (Views().short, "Views.short", "(w)"),
        (functools.partial(good, 1), "good", "(req)"),
    ],
)
def test_handler_with_other_parameters_is_refused_with_its_place(
    handler: Any, name: str, takes: str
) -> None:
    mux = Mux()
    with pytest.raises(TypeError) as refused:
        mux.route("/x", handler)
    function = handler.func if isinstance(handler, functools.partial) else handler
    assert sentence(refused) == (
        f"the handler {name} ({__file__}:{line_of(function)}) is called with (w, req), but takes"
        f" {takes}"
    )
    assert not mux
    mux.route("/x", good)


def test_method_without_its_object_and_class_get_advice() -> None:
    with pytest.raises(
        TypeError, match="takes \\(self, w, req\\); if it is a method, give that of"
    ):
        Mux().route("/", Views.index)
    with pytest.raises(TypeError, match=r"give that: Views\(…\)"):
        Mux().route("/", Views)


def test_handler_with_a_yield_is_refused() -> None:
    def pieces(w: Any, req: Any) -> Any:
        yield "piece"

    async def async_pieces(w: Any, req: Any) -> Any:
        yield "piece"

    for handler in (pieces, async_pieces):
        with pytest.raises(TypeError, match=rf"{handler.__name__} \({HERE}:\d+\) has a yield"):
            Mux().route("/", handler)


def test_command_tells_of_a_wrong_handler_before_it_serves(tmp_path: Any) -> None:
    (tmp_path / "wrong.py").write_text(
        "from gohttp import route\n\n\n@route('/')\ndef index(w):\n    pass\n"
    )
    ended = run_gohttp("serve", "wrong.py", cwd=tmp_path)
    assert ended.returncode != 0
    assert re.search(r"the handler index \(.*wrong\.py:4\) is called with", ended.stderr)


# --- middleware ----------------------------------------------------------------------------------


def transparent(handler: Any) -> Any:
    return handler


def forgetful(handler: Any) -> None:
    """Returns nothing."""


async def async_middleware(handler: Any) -> Any:
    return handler


class AsyncCall:
    async def __call__(self, handler: Any) -> Any:
        return handler


def limited(times: int) -> Callable[..., Any]:
    """Makes middleware."""

    def wrap(handler: Any) -> Any:
        def around(w: Any, req: Any) -> Any:
            return [handler(w, req) for _ in range(times)][-1]

        return around

    return wrap


class Timed:
    def __init__(self, handler: Any) -> None:
        self.handler = handler

    def __call__(self, w: Any, req: Any) -> Any:
        return self.handler(w, req)


@pytest.mark.parametrize("one", [transparent, limited(3), Timed, functools.partial(Timed)])
def test_what_gives_a_handler_for_a_handler_is_middleware(one: Any) -> None:
    mux = Mux()
    mux.use(one)
    mux.route("/", good)
    mux.route("/async", good_async)


def test_middleware_that_returns_nothing_is_refused_with_its_place() -> None:
    mux = Mux()
    mux.use(transparent, forgetful)
    with pytest.raises(TypeError) as refused:
        mux.route("/", good)
    assert sentence(refused) == (
        f"the middleware forgetful ({__file__}:{line_of(forgetful)}) returned None: it must return"
        " a function (w, req)"
    )
    assert not mux
    mux = Mux()
    mux.use(lambda handler: "text")
    with pytest.raises(TypeError, match=r"<lambda> .* returned 'text': it must return"):
        mux.route("/", good)


@pytest.mark.parametrize(
    "one", [async_middleware, AsyncCall(), functools.partial(async_middleware)]
)
def test_async_middleware_is_refused(one: Any) -> None:
    with pytest.raises(TypeError, match=rf"\({HERE}:\d+\) is async: write it with def") as refused:
        Mux().use(one)
    sentence(refused)


@pytest.mark.parametrize(
    ("others_outside", "others_inside"), [([], []), ([transparent], []), ([], [transparent])]
)
def test_what_makes_middleware_is_to_be_called(
    others_outside: list[Any], others_inside: list[Any]
) -> None:
    mux = Mux()
    mux.use(*others_outside, limited, *others_inside)
    with pytest.raises(TypeError, match="if limited makes middleware, call it in use") as refused:
        mux.route("/", good)
    sentence(refused)


@pytest.mark.parametrize(
    "name", ["request_id", "body_limit", "cors", "basic_auth", "rate_limit", "compress", "recover"]
)
def test_ready_made_middleware_is_to_be_called(name: str) -> None:
    with pytest.raises(TypeError) as refused:
        Mux().use(getattr(middleware, name))
    said = sentence(refused)
    assert said.startswith(f"middleware.{name} makes middleware: call it, as in mux.use(middlewar")
    assert f"middleware.{name}(" in said


def test_middleware_with_other_parameters_is_refused() -> None:
    with pytest.raises(
        TypeError, match=r"good \(.*\) is called with \(handler\), but takes \(w, r"
    ):
        Mux().use(good)


def test_handler_behind_middleware_may_take_what_that_gives() -> None:
    def with_something(handler: Any) -> Any:
        return lambda w, req: handler(w, req, "something")

    def returning(handler: Any) -> Any:
        return lambda w, req: w.text(handler(req))

    mux, other = Mux(), Mux()
    mux.use(with_something)
    mux.route("/given", lambda w, req, something: w.text(something))
    other.use(returning)
    other.route("/returned", lambda req: req.path)
    mux.mount("/other", other)
    with gohttp.testing.serve(mux) as url:
        assert get(f"{url}/given") == b"something"
        assert get(f"{url}/other/returned") == b"/other/returned"


def get(url: str) -> bytes:
    from urllib.request import urlopen

    with urlopen(url) as answer:
        body: bytes = answer.read()
        return body


def test_recover_looks_at_hook_and_handler() -> None:
    with pytest.raises(
        TypeError, match=r"the hook given to recover\(\) good \(.*\(w, req, error\)"
    ):
        middleware.recover(good)  # type: ignore[arg-type]
    mux = Mux()
    mux.use(middleware.recover(lambda w, req, error: None))
    with pytest.raises(TypeError, match=r"the handler only_response \(.*takes \(w\)"):
        mux.route("/", only_response)


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="annotations are not looked at there")
def test_annotations_are_not_looked_at() -> None:
    def handler(w: "Nowhere", req: "Nothing") -> "Nobody":  # type: ignore[name-defined]  # noqa: F821
        """Names what there is not."""

    Mux().route("/", handler)


# --- arguments of ready-made middleware ----------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "advice"),
    [
        (lambda: middleware.body_limit("10m"), "body_limit(10_000_000), not '10m'"),
        (lambda: middleware.body_limit(1.5), "body_limit(10_000_000), not 1.5"),
        (lambda: middleware.body_limit(True), "body_limit(10_000_000), not True"),
        (lambda: middleware.body_limit(None), "not None"),
        (lambda: middleware.rate_limit("100/minute"), "rate_limit(100, per=60), not '100/minute'"),
        (lambda: middleware.rate_limit(100, per="minute"), "a time in seconds"),
        (lambda: middleware.rate_limit(100, burst=1.5), "burst=20, not 1.5"),
        (lambda: middleware.basic_auth(("u", "p")), 'basic_auth({"ada": password})'),
        (lambda: middleware.basic_auth("u:p"), "not str"),
        (lambda: middleware.basic_auth({"u": b"p"}), "must be str"),
        (lambda: middleware.basic_auth(lambda name: True), "(name, password), but takes (name)"),
        (lambda: middleware.basic_auth(AsyncCall()), "cannot be async"),
        (lambda: middleware.cors(None), '["https://example.org"], not None'),
        (lambda: middleware.cors([b"https://a.example"]), '["https://example.org"]'),
        (lambda: middleware.cors("*", methods="GET"), '["GET", "PUT"], not \'GET\''),
        (lambda: middleware.cors("*", headers="X-Token"), "[\"X-Token\"], not 'X-Token'"),
        (lambda: middleware.cors("*", expose="ETag"), "not 'ETag'"),
        (lambda: middleware.cors("*", max_age="1h"), "a number of seconds"),
        (lambda: middleware.compress(codings="gzip"), '["br", "gzip"], not \'gzip\''),
        (lambda: middleware.compress(types="text/html"), "[\"text/*\"], not 'text/html'"),
        (lambda: middleware.compress(min_size="1k"), "min_size=1024, not '1k'"),
        (lambda: middleware.compress(levels=6), '{"gzip": 6}, not 6'),
        (lambda: middleware.compress(levels={"gzip": "best"}), "the level of gzip"),
    ],
)
def test_argument_of_another_type_is_told_what_to_write(make: Any, advice: str) -> None:
    with pytest.raises(TypeError) as refused:
        make()
    assert advice in sentence(refused)


@pytest.mark.parametrize(
    "make",
    [
        lambda: middleware.body_limit(-1),
        lambda: middleware.body_limit(1 << 70),
        lambda: middleware.rate_limit(10, burst=0),
        lambda: middleware.rate_limit(10, burst=1 << 40),
        lambda: middleware.rate_limit(math.nan),
        lambda: middleware.rate_limit(1, per=-1),
        lambda: middleware.cors("*", max_age=-1),
        lambda: middleware.cors("*", max_age=1 << 32),
        lambda: middleware.compress(min_size=-1),
        lambda: middleware.compress(levels={"gzip": 1 << 40}),
    ],
)
def test_number_that_cannot_be_is_a_value_error(make: Any) -> None:
    with pytest.raises(ValueError, match="not ") as refused:
        make()
    sentence(refused)


def test_passwords_are_in_no_message() -> None:
    for users in (("ada", "secret"), {"ada": b"secret"}, {"ada:": "secret"}, "ada:secret"):
        with pytest.raises((TypeError, ValueError)) as refused:
            middleware.basic_auth(users)  # type: ignore[arg-type]
        assert "secret" not in str(refused.value)


def test_all_methods_may_be_allowed() -> None:
    middleware.cors("*", methods="*", headers=("X-Token",), max_age=(1 << 32) - 1)


# --- mounts --------------------------------------------------------------------------------------


class Application:
    """An app is an object of this."""

    def __init__(self, name: str, debug: bool = False, prefix: str = "") -> None:
        """Like Flask's."""

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        return []


class NoArguments:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """An app is an object of this."""


class Answer:
    """A WSGI app in PEP 3333's third way."""

    def __init__(self, environ: Any, start_response: Any) -> None:
        """Its objects are gone through."""

    def __iter__(self) -> Any:
        return iter([])


class Endpoint:
    """An ASGI app as Starlette has them."""

    def __init__(self, scope: Any, receive: Any, send: Any) -> None:
        """Its objects are awaited."""

    def __await__(self) -> Any:
        yield


class Base:
    """The object, made in another way."""

    def __new__(cls, environ: Any, start_response: Any) -> Any:
        return []


@pytest.mark.parametrize("app", [Application, NoArguments])
def test_mounted_class_is_told_from_its_object(app: Any) -> None:
    with pytest.raises(
        TypeError, match=rf"mounted at '/x' is a class.*{app.__name__}\(…\)"
    ) as told:
        Mux().mount("/x", app)
    sentence(told)


@pytest.mark.parametrize("app", [Answer, Endpoint, Base])
def test_class_that_is_an_app_is_mounted(app: Any) -> None:
    Mux().mount("/x", app)
