"""A Pyramid app: routes, the JSON renderer, sessions in a signed cookie, exception views."""

import datetime
import os
from collections.abc import Iterator
from typing import Any

from events import FOLDER, record
from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPFound, HTTPNotFound
from pyramid.renderers import JSON
from pyramid.request import Request
from pyramid.response import FileIter, FileResponse, Response
from pyramid.session import SignedCookieSessionFactory
from pyramid.view import exception_view_config, notfound_view_config, view_config


class SoldOutError(Exception):
    """Answered by a view of its own."""


class WatchedIter(FileIter):
    """Says when the server has closed it."""

    def close(self) -> None:
        super().close()
        record("closed file")


@view_config(route_name="pid", renderer="string")
def pid(_: Request) -> int:
    return os.getpid()


@view_config(route_name="item", renderer="json", request_method="GET")
def item(request: Request) -> dict[str, Any]:
    return {
        "number": request.matchdict["number"],
        "rest": request.matchdict["rest"],
        "query": request.GET.dict_of_lists(),
        "url": request.route_url("item", number="8", rest=("x y", "ü")),
        "day": datetime.date(2024, 2, 29),
    }


@view_config(route_name="item", renderer="json", request_method="POST")
def changed(request: Request) -> dict[str, Any]:
    request.response.status = 201
    request.response.headers["X-Number"] = request.matchdict["number"]
    return {"sent": request.json_body}


@view_config(route_name="form", renderer="json", request_method="POST")
def form(request: Request) -> dict[str, Any]:
    upload = request.POST["file"]
    return {
        "name": request.POST["name"],
        "filename": upload.filename,
        "length": len(upload.file.read()),
    }


@view_config(route_name="visits", renderer="json")
def visits(request: Request) -> dict[str, Any]:
    session = request.session
    session["visits"] = session.get("visits", 0) + 1
    session.flash(f"visit {session['visits']}")
    return {"visits": session["visits"]}


@view_config(route_name="flashes", renderer="json")
def flashes(request: Request) -> list[str]:
    popped: list[str] = request.session.pop_flash()
    return popped


@view_config(route_name="leave")
def leave(request: Request) -> Response:
    request.session.invalidate()
    return HTTPFound(request.route_path("visits"))


@view_config(route_name="guarded", renderer="string", require_csrf=True, request_method="POST")
def guarded(_: Request) -> str:
    return "let in"


@view_config(route_name="token", renderer="string")
def token(request: Request) -> str:
    value: str = request.session.get_csrf_token()
    return value


@view_config(route_name="stream")
def stream(request: Request) -> Response:
    def lines() -> Iterator[bytes]:
        try:
            number = 0
            while request.matchdict["count"] == "endless" or number < int(
                request.matchdict["count"]
            ):
                yield b"line %d\n" % number
                number += 1
        finally:
            record(f"ended {request.matchdict['count']}")

    return Response(app_iter=lines(), content_type="text/plain")


@view_config(route_name="file")
def file(request: Request) -> Response:
    return FileResponse(FOLDER / "document.bin", request=request)


@view_config(route_name="watched-file")
def watched_file(_: Request) -> Response:
    opened = (FOLDER / "document.bin").open("rb")
    return Response(app_iter=WatchedIter(opened), content_type="application/octet-stream")


@view_config(route_name="sold-out")
def sold_out(_: Request) -> Response:
    raise SoldOutError("the last one has gone")


@view_config(route_name="missing")
def missing(_: Request) -> Response:
    raise HTTPNotFound("not in the shop")


@view_config(route_name="fails")
def fails(_: Request) -> Response:
    raise ZeroDivisionError("the Pyramid view divides by zero")


@exception_view_config(SoldOutError, renderer="json")
def when_sold_out(error: SoldOutError, request: Request) -> dict[str, str]:
    request.response.status = 410
    return {"error": str(error), "path": request.path}


@notfound_view_config(renderer="json")
def when_not_found(error: HTTPNotFound, request: Request) -> dict[str, str]:
    request.response.status = 404
    return {"missing": request.path, "detail": error.detail or ""}


def make_app() -> Any:
    with Configurator() as config:
        config.set_session_factory(SignedCookieSessionFactory("the same for every worker"))
        renderer = JSON()
        renderer.add_adapter(datetime.date, lambda day, _: day.isoformat())
        config.add_renderer("json", renderer)
        for name, pattern in (
            ("item", "/items/{number:\\d+}/*rest"),
            ("stream", "/stream/{count}"),
            *((name, f"/{name}") for name in ("pid", "form", "visits", "flashes", "leave")),
            *((name, f"/{name}") for name in ("guarded", "token", "file", "watched-file")),
            *((name, f"/{name}") for name in ("sold-out", "missing", "fails")),
        ):
            config.add_route(name, pattern)
        config.scan(__name__)
        return config.make_wsgi_app()


app = make_app()
