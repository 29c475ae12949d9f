"""Which interface an app speaks, judged by the object alone."""

import functools
import types

import pytest
from gohttp.interface import UnknownInterface, detect_interface


def wsgi_app(environ, start_response):
    return []


async def asgi_app(scope, receive, send):
    pass


def asgi_by_hand(scope, receive, send):
    return asgi_app(scope, receive, send)


def passing(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


class WsgiInstance:
    def __call__(self, environ, start_response):
        return []


class AsgiInstance:
    async def __call__(self, scope, receive, send):
        pass


class WithOptions:
    def __call__(self, environ, start_response, exc_info=None):
        return []


class WsgiClass:
    def __init__(self, environ, start_response):
        pass

    def __iter__(self):
        return iter([])


class AsgiEndpoint:
    def __init__(self, scope, receive, send):
        pass

    def __await__(self):
        yield


class DoubleCallable:
    def __init__(self, scope):
        pass

    async def __call__(self, receive, send):
        pass


def double_function(scope):
    return asgi_app


class Methods:
    def wsgi(self, environ, start_response):
        return []

    async def asgi(self, scope, receive, send):
        pass


def configured(prefix, environ, start_response):
    return []


async def configured_async(prefix, scope, receive, send):
    pass


def opaque(*args, **kwargs):
    return []


async def opaque_async(*args, **kwargs):
    pass


@pytest.mark.parametrize(
    "app",
    [
        wsgi_app,
        passing(wsgi_app),
        WsgiInstance(),
        WithOptions(),
        WsgiClass,
        Methods().wsgi,
        functools.partial(configured, "x"),
        passing(passing(functools.partial(configured, "x"))),
        lambda environ, start_response: [],
        lambda request, w: [],
        lambda w, x: [],
    ],
)
def test_wsgi(app: object) -> None:
    assert detect_interface(app) == "wsgi"


@pytest.mark.parametrize(
    "app",
    [
        asgi_app,
        asgi_by_hand,
        passing(asgi_app),
        AsgiInstance(),
        AsgiEndpoint,
        Methods().asgi,
        functools.partial(configured_async, "x"),
        functools.partial(functools.partial(configured_async), "x"),
        opaque_async,
    ],
)
def test_asgi(app: object) -> None:
    assert detect_interface(app) == "asgi"


def test_module_with_routes_is_native() -> None:
    assert detect_interface(types.ModuleType("m"), has_routes=True) == "native"


@pytest.mark.parametrize(
    ("app", "said"),
    [
        (types.ModuleType("m"), "module without routes"),
        (3, "is an int, not an app"),
        (None, "not an app"),
        (opaque, "--interface"),
        (DoubleCallable, "ASGI 2"),
        (double_function, "ASGI 2"),
        (lambda: None, "takes no argument"),
        (lambda a, b, c, d: None, "takes 4 arguments"),
        (AsgiInstance, "takes no argument"),
    ],
)
def test_refused(app: object, said: str) -> None:
    with pytest.raises(UnknownInterface) as caught:
        detect_interface(app)
    assert said in str(caught.value)


def handler(w, req):
    pass


async def async_handler(w, request):
    pass


@pytest.mark.parametrize(
    "app",
    [
        handler,
        async_handler,
        passing(handler),
        functools.partial(lambda config, w, r: None, "x"),
        lambda w, req, more=None: None,
    ],
)
def test_native_handler_is_refused_with_advice(app: object) -> None:
    with pytest.raises(UnknownInterface) as caught:
        detect_interface(app)
    assert "as a handler does" in str(caught.value)
    assert "@gohttp.route('/')" in str(caught.value)
    assert "module:mux" in str(caught.value)


async def _two(a, b):
    pass


def test_async_with_two_parameters_is_refused() -> None:
    with pytest.raises(UnknownInterface, match="does not take"):
        detect_interface(_two)


def test_flask_is_wsgi() -> None:
    flask = pytest.importorskip("flask")
    assert detect_interface(flask.Flask("x")) == "wsgi"


def test_django_handlers() -> None:
    pytest.importorskip("django")
    from django.core.handlers.asgi import ASGIHandler
    from django.core.handlers.wsgi import WSGIHandler

    assert detect_interface(WSGIHandler.__new__(WSGIHandler)) == "wsgi"
    assert detect_interface(ASGIHandler.__new__(ASGIHandler)) == "asgi"


def test_starlette_and_fastapi_are_asgi() -> None:
    pytest.importorskip("fastapi")
    from fastapi import FastAPI
    from starlette.applications import Starlette

    assert detect_interface(FastAPI()) == "asgi"
    assert detect_interface(Starlette()) == "asgi"
