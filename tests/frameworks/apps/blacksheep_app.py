"""BlackSheep, as far as it leans on the server; what test_asgi_frameworks.py asks, and its own."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from asgi_common import Secret, gate, loop_name, pid
from blacksheep import (
    Application,
    Content,
    Cookie,
    FromJSON,
    FromQuery,
    Request,
    Response,
    StreamedContent,
    WebSocket,
    WebSocketDisconnectError,
    json,
    text,
)
from blacksheep.server.authorization import allow_anonymous
from blacksheep.server.controllers import Controller, get, post
from blacksheep.server.sse import ServerSentEvent
from events import collected_events, record

app = Application()
router = app.router
rooms: dict[str, set[WebSocket]] = {}
opened: list[str] = []


@app.on_start
async def start(app: Application) -> None:
    record(f"started {pid()}")
    opened.append(pid())


@app.on_stop
async def stop(app: Application) -> None:
    record(f"stopped {pid()}")


@router.get("/pid")
async def show_pid() -> Response:
    return text(pid())


@router.get("/loop")
async def loop() -> Response:
    return text(loop_name())


@router.get("/recorded")
async def recorded() -> Response:
    return json(collected_events())


@router.get("/opened-in")
async def opened_in() -> Response:
    return text(opened[0])


@router.get("/items/{int:number}/{name}")
async def item(number: int, name: str, q: FromQuery[list[str]]) -> Response:
    return json({"number": number, "name": name, "q": q.value})


@router.post("/json")
async def echo_json(request: Request) -> Response:
    return json({"got": await request.json()})


@router.post("/form")
async def form(request: Request) -> Response:
    return json(await request.form())


@router.post("/upload")
async def upload(request: Request) -> Response:
    sent = await request.form() or {}
    (file,) = await request.files("file")
    content = file.data if isinstance(file.data, bytes) else file.data.read()
    return json(
        {
            "title": sent["title"],
            "name": file.file_name.decode() if file.file_name else None,
            "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
    )


@router.get("/cookies")
async def cookies() -> Response:
    response = text("set")
    response.set_cookie(Cookie("one", "1"))
    response.set_cookie(Cookie("two", "2"))
    return response


@router.get("/lines")
async def lines(count: int) -> Response:
    async def each() -> AsyncIterator[bytes]:
        for number in range(count):
            yield b"line %d\n" % number

    return Response(200, content=StreamedContent(b"text/plain", each))


@router.get("/gated/{token}")
async def gated(token: str) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        yield b"first"
        await gate(token)
        yield b"second"

    return Response(200, content=StreamedContent(b"text/plain", parts))


@router.get("/endless/{token}")
async def endless(token: str) -> Response:
    async def blocks() -> AsyncIterator[bytes]:
        try:
            while True:
                yield bytes(16 * 1024)
                await asyncio.sleep(0)
        finally:
            record(f"left {token}")

    return Response(200, content=StreamedContent(b"application/octet-stream", blocks))


@router.get("/fails")
async def fails() -> Response:
    raise Secret("endpoint")


# --- its own ------------------------------------------------------------------------------------


@dataclass
class Task:
    title: str
    price: float


class Tasks(Controller):
    @classmethod
    def route(cls) -> str:
        return "/tasks"

    @post()
    async def add(self, data: FromJSON[Task]) -> Response:
        return self.created({"title": data.value.title, "price": data.value.price})

    @get("{title}")
    @allow_anonymous()
    async def show(self, title: str) -> Response:
        return self.ok({"title": title})


@router.post("/stream")
async def stream(request: Request) -> Response:
    """Reads the body while it comes."""
    digest, length = hashlib.sha256(), 0
    async for chunk in request.stream():  # type: ignore[attr-defined]
        if not length:
            record("first chunk")
        digest.update(chunk)
        length += len(chunk)
    return json({"size": length, "sha256": digest.hexdigest()})


@router.get("/sse/{int:count}")
async def events(count: int) -> AsyncIterator[ServerSentEvent]:
    for number in range(count):
        yield ServerSentEvent({"number": number}, event="tick")


@router.get("/teapot")
async def teapot() -> Response:
    return Response(418, [(b"X-Kind", b"pot")], Content(b"text/plain", b"short and stout"))


# --- WebSockets ---------------------------------------------------------------------------------


@router.ws("/ws/echo")
async def echo(websocket: WebSocket) -> None:
    offered = websocket.scope["subprotocols"]  # type: ignore[typeddict-item]
    await websocket.accept(subprotocol="chat" if "chat" in offered else None)
    while True:
        message: Any = await websocket.receive()
        if (said := message.get("text")) is not None:
            await websocket.send_text(said)
        else:
            await websocket.send_bytes(message["bytes"])


@router.ws("/ws/room/{name}")
async def room(websocket: WebSocket, name: str) -> None:
    await websocket.accept()
    members = rooms.setdefault(name, set())
    members.add(websocket)
    await websocket.send_text("joined")
    try:
        while True:
            said = await websocket.receive_text()
            for member in members:
                await member.send_text(said)
    except WebSocketDisconnectError:
        members.discard(websocket)


@router.ws("/ws/close/{int:code}")
async def close(websocket: WebSocket, code: int) -> None:
    await websocket.accept()
    await websocket.close(code, "größe")


@router.ws("/ws/fails")
async def socket_fails(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.receive_text()
    raise Secret("WebSocket")


@router.ws("/ws/refused")
async def refused(websocket: WebSocket) -> None:
    await websocket.close()


@router.ws("/ws/leaves/{token}")
async def leaves(websocket: WebSocket, token: str) -> None:
    await websocket.accept()
    try:
        await websocket.receive_text()
    except WebSocketDisconnectError as left:
        record(f"left {token} with {left.code}")


@router.ws("/ws/json")
async def json_sum(websocket: WebSocket, start: int) -> None:
    """Its arguments are bound as those of a request are."""
    await websocket.accept()
    numbers = await websocket.receive_json()
    await websocket.send_json({"sum": start + sum(numbers["numbers"])})
    await websocket.close()
