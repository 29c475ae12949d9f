"""`--interface` that the app cannot speak is refused, where that can be seen."""

import functools
import types

import pytest
from gohttp.interface import contradiction
from support import run_gohttp


def wsgi_app(environ, start_response):
    return []


async def asgi_app(scope, receive, send):
    pass


def asgi_by_hand(scope, receive, send):
    return asgi_app(scope, receive, send)


def anything(*args, **kwargs):
    return []


class Wsgi:
    def __call__(self, environ, start_response):
        return []


class WsgiWithOptions:
    def __call__(self, environ, start_response, extra=None):
        return []


class Asgi:
    async def __call__(self, scope, receive, send):
        pass


class AsgiClass:
    def __init__(self, scope, receive, send):
        pass

    def __await__(self):
        yield


@functools.wraps(asgi_app)
def asgi_as_wsgi(environ, start_response):
    return []


@functools.wraps(wsgi_app)
async def wsgi_as_asgi(scope, receive, send):
    pass


async def prefixed(prefix, scope, receive, send):
    pass


WSGI = [wsgi_app, Wsgi(), asgi_as_wsgi, functools.partial(asgi_by_hand, {})]
ASGI = [asgi_app, Asgi(), asgi_by_hand, AsgiClass, wsgi_as_asgi, functools.partial(prefixed, "")]
EITHER = [anything, WsgiWithOptions(), functools.wraps(asgi_app)(anything), dict]


@pytest.mark.parametrize("app", [*WSGI, *EITHER])
def test_wsgi_may_be_named(app: object) -> None:
    assert contradiction(app, "wsgi", has_routes=False) is None


@pytest.mark.parametrize("app", [*ASGI, *EITHER])
def test_asgi_may_be_named(app: object) -> None:
    assert contradiction(app, "asgi", has_routes=False) is None


@pytest.mark.parametrize("app", WSGI)
def test_asgi_is_refused_for_a_wsgi_app(app: object) -> None:
    said = contradiction(app, "asgi", has_routes=False)
    assert said is not None
    assert "--interface asgi" in said


@pytest.mark.parametrize("app", ASGI)
def test_wsgi_is_refused_for_an_asgi_app(app: object) -> None:
    said = contradiction(app, "wsgi", has_routes=False)
    assert said is not None
    assert "--interface wsgi" in said


def test_native_needs_routes() -> None:
    assert contradiction(wsgi_app, "native", has_routes=True) is None
    assert "registers no routes" in str(contradiction(wsgi_app, "native", has_routes=False))
    module = types.ModuleType("m")
    assert "is a module" in str(contradiction(module, "wsgi", has_routes=True))


def test_frameworks_are_told_apart() -> None:
    flask = pytest.importorskip("flask")
    fastapi = pytest.importorskip("fastapi")
    assert contradiction(flask.Flask("x"), "wsgi", has_routes=False) is None
    assert contradiction(flask.Flask("x"), "asgi", has_routes=False) == (
        "takes 2 arguments, like WSGI's (environ, start_response), but --interface asgi calls it "
        "with 3; leave that out"
    )
    assert contradiction(fastapi.FastAPI(), "asgi", has_routes=False) is None
    assert contradiction(fastapi.FastAPI(), "wsgi", has_routes=False) == (
        "is async, which WSGI is not; leave out --interface wsgi"
    )


def test_command_says_it_in_one_sentence(write_app) -> None:
    app = write_app("def app(environ, start_response):\n    return []\n")
    done = run_gohttp("serve", app.target, "--interface", "asgi", "--port", "0", cwd=app.cwd)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "--interface asgi calls it with 3" in done.stderr
