"""What Starlette offers, as far as it leans on the server."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

from events import FOLDER, collected_events, record
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint, WebSocketEndpoint
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import (
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket


class State(TypedDict):
    pid: int
    names: list[str]


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[State]:
    app.state.ready = True
    yield {"pid": os.getpid(), "names": ["from", "lifespan"]}


class Stamp(BaseHTTPMiddleware):
    """Reads the body before the endpoint does, and marks the response."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        request.state.stamp = f"stamped {request.method}"
        if request.headers.get("X-Read-Early"):
            await request.body()
        response = await call_next(request)
        response.headers["X-Stamp"] = request.state.stamp
        return response


class CountsBytes:
    """A middleware of the plain ASGI kind, around send."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-plain", b"yes")]
            await send(message)

        await self.app(scope, receive, counted if scope["type"] == "http" else send)


async def pid(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(os.getpid()))


async def who(request: Request) -> JSONResponse:
    assert request.client is not None
    return JSONResponse(
        {
            "client": request.client.host,
            "client_port": request.client.port,
            "url": str(request.url),
            "base_url": str(request.base_url),
            "scheme": request.url.scheme,
            "server": list(request.scope["server"]),
            "http_version": request.scope["http_version"],
            "method": request.method,
            "path": request.url.path,
            "scope_path": request.scope["path"],
            "raw_path": request.scope["raw_path"].decode("ascii"),
            "root_path": request.scope["root_path"],
            "query": request.query_params.multi_items(),
            "repeated": request.headers.getlist("x-repeated"),
            "named": str(request.url_for("item", number=7)),
        }
    )


async def state(request: Request) -> JSONResponse:
    return JSONResponse(
        {
            "pid": request.state.pid == os.getpid(),
            "names": request.state.names,
            "stamp": request.state.stamp,
            "ready": request.app.state.ready,
        }
    )


async def item(request: Request) -> JSONResponse:
    return JSONResponse({"number": request.path_params["number"]})


class Methods(HTTPEndpoint):
    async def get(self, request: Request) -> PlainTextResponse:
        return PlainTextResponse("got")

    async def post(self, request: Request) -> PlainTextResponse:
        return PlainTextResponse(await request.body())


async def session(request: Request) -> Response:
    if request.method == "POST":
        async with request.form() as form:
            request.session.update({key: str(value) for key, value in form.items()})
        return RedirectResponse("/session", 303)
    if request.method == "DELETE":
        request.session.clear()
    return JSONResponse(request.session)


async def stream(request: Request) -> JSONResponse:
    digest, length = hashlib.sha256(), 0
    async for chunk in request.stream():
        digest.update(chunk)
        length += len(chunk)
    return JSONResponse({"length": length, "sha256": digest.hexdigest()})


async def first_chunk(request: Request) -> JSONResponse:
    """Says in a file what has come before the rest does."""
    async for chunk in request.stream():
        if chunk:
            record(f"chunk {chunk.decode()}")
    return JSONResponse("done")


async def broken_upload(request: Request) -> Response:
    try:
        async for _ in request.stream():
            pass
    except ClientDisconnect:
        record(f"upload broken {request.path_params['token']}")
        raise
    return Response()


async def ping_pong(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers each chunk while the upload goes on.

    (StreamingResponse would receive, too, to see the client leave.)
    """
    await send({"type": "http.response.start", "status": 200, "headers": []})
    async for chunk in Request(scope, receive).stream():
        await send({"type": "http.response.body", "body": chunk.upper(), "more_body": True})
    await send({"type": "http.response.body"})


async def endless(request: Request) -> StreamingResponse:
    token, pause = request.path_params["token"], float(request.query_params.get("pause", 0))

    async def blocks() -> AsyncIterator[bytes]:
        try:
            while True:
                yield bytes(16 * 1024)
                await asyncio.sleep(pause)
        finally:
            record(f"left {token}")

    return StreamingResponse(blocks(), media_type="application/octet-stream")


async def recorded(request: Request) -> JSONResponse:
    return JSONResponse(collected_events())


async def fails(request: Request) -> Response:
    raise RuntimeError("the Starlette endpoint fails")


async def fails_midway(request: Request) -> StreamingResponse:
    async def words() -> AsyncIterator[str]:
        yield "begun"
        raise RuntimeError("failed midway")

    return StreamingResponse(words())


async def forbidden(request: Request) -> Response:
    raise HTTPException(403, "not for you")


async def custom_404(request: Request, fault: Exception) -> PlainTextResponse:
    return PlainTextResponse(f"nothing at {request.url.path}", 404)


class Echo(WebSocketEndpoint):
    encoding = "json"

    async def on_connect(self, websocket: WebSocket) -> None:
        await websocket.accept("chat" if "chat" in websocket["subprotocols"] else None)
        await websocket.send_json(
            {
                "url": str(websocket.url),
                "names": websocket.state.names,
                "session": websocket.session,
                "path": websocket.path_params,
            }
        )

    async def on_receive(self, websocket: WebSocket, data: object) -> None:
        await websocket.send_json({"heard": data})

    async def on_disconnect(self, websocket: WebSocket, close_code: int) -> None:
        record(f"socket {websocket.path_params['token']} left with {close_code}")


async def denied(websocket: WebSocket) -> None:
    await websocket.send_denial_response(
        JSONResponse({"reason": "no ticket"}, 402, {"X-Reason": "ticket"})
    )


async def pushing(websocket: WebSocket) -> None:
    """Only sends, so that it learns of the end by its own send."""
    await websocket.accept()
    token = websocket.path_params["token"]
    try:
        while True:
            await websocket.send_bytes(bytes(1024))
            await asyncio.sleep(0)
    finally:
        record(f"pushing ended {token}")


common = [
    WebSocketRoute("/ws/echo/{token}", Echo),
    WebSocketRoute("/ws/denied", denied),
    WebSocketRoute("/ws/pushing/{token}", pushing),
    Route("/pid", pid),
    Route("/who/{rest:path}", who),
    Route("/who", who),
    Route("/state", state),
    Route("/items/{number:int}", item, name="item"),
    Route("/methods", Methods),
    Route("/session", session, methods=["GET", "POST", "DELETE"]),
    Route("/stream", stream, methods=["POST"]),
    Route("/first-chunk", first_chunk, methods=["POST"]),
    Route("/broken-upload/{token}", broken_upload, methods=["POST"]),
    Route("/endless/{token}", endless),
    Route("/recorded", recorded),
    Route("/fails", fails),
    Route("/forbidden", forbidden),
    Mount("/static", StaticFiles(directory=FOLDER / "static", html=True), name="static"),
    Mount("/inner", routes=[Route("/who", who), Mount("/deep", routes=[Route("/who", who)])]),
]

app = Starlette(
    routes=[
        # BaseHTTPMiddleware stands between endpoint and server; what is under /plain has none
        Mount(
            "/plain",
            routes=[
                Route("/endless/{token}", endless),
                Route("/fails-midway", fails_midway),
                Mount("/ping-pong", ping_pong),
                Route("/stream", stream, methods=["POST"]),
            ],
            middleware=[Middleware(CountsBytes)],
        ),
        Mount(
            "/",
            routes=common,
            middleware=[
                Middleware(SessionMiddleware, secret_key="the same for every worker"),
                Middleware(Stamp),
            ],
        ),
    ],
    exception_handlers={404: custom_404},
    lifespan=lifespan,
)
