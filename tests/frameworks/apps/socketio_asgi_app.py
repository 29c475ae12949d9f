"""python-socketio's ASGI server around a plain Starlette app."""

from typing import Any

import socketio
from asgi_common import loop_name
from events import collected_events, record
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

# A poll that crosses the client's farewell waits for the next ping.
sio = socketio.AsyncServer(async_mode="asgi", ping_interval=1)


async def loop(request: Request) -> PlainTextResponse:
    return PlainTextResponse(loop_name())


async def announce(request: Request) -> Response:
    """An ordinary request that speaks to all who are connected."""
    await sio.emit("announced", await request.json())
    return Response(status_code=204)


async def recorded(request: Request) -> JSONResponse:
    return JSONResponse(collected_events())


@sio.event
async def connect(sid: str, environ: dict[str, Any], auth: dict[str, Any] | None) -> bool | None:
    if auth and auth.get("token") == "wrong":
        return False
    await sio.save_session(sid, {"name": (auth or {}).get("name", "nobody")})
    return None


async def name_of(sid: str) -> str:
    session = await sio.get_session(sid)
    return str(session["name"])


@sio.event
async def disconnect(sid: str, reason: str) -> None:
    record(f"gone {await name_of(sid)}")


@sio.event
async def add(sid: str, one: int, two: int) -> tuple[int, str]:
    """What is returned is the acknowledgement."""
    return one + two, await name_of(sid)


@sio.event
async def echo(sid: str, data: Any) -> Any:
    return data


@sio.event
async def say(sid: str, text: str) -> None:
    await sio.emit("said", [await name_of(sid), text], skip_sid=sid)


@sio.event
async def join(sid: str, room: str) -> bool:
    await sio.enter_room(sid, room)
    return True


@sio.event
async def tell(sid: str, room: str, text: str) -> None:
    await sio.emit("said", [await name_of(sid), text], room=room)


@sio.event
async def count(sid: str, upto: int) -> None:
    async def emit_all() -> None:
        for number in range(upto):
            await sio.emit("number", number, to=sid)

    sio.start_background_task(emit_all)


class Shop(socketio.AsyncNamespace):  # type: ignore[misc]
    async def on_price(self, sid: str, item: str) -> dict[str, Any]:
        return {"item": item, "price": len(item)}


sio.register_namespace(Shop("/shop"))
app = socketio.ASGIApp(
    sio,
    Starlette(
        routes=[
            Route("/loop", loop),
            Route("/announce", announce, methods=["POST"]),
            Route("/recorded", recorded),
        ]
    ),
)
