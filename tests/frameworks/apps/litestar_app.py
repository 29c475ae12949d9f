"""Litestar, as far as it leans on the server; what test_asgi_frameworks.py asks, and its own."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Annotated, Any

from asgi_common import Secret, gate, loop_name, pid
from events import collected_events, record
from litestar import Litestar, Response, WebSocket, get, post, websocket, websocket_listener
from litestar.background_tasks import BackgroundTask
from litestar.channels import ChannelsPlugin
from litestar.channels.backends.memory import MemoryChannelsBackend
from litestar.datastructures import Cookie, State, UploadFile
from litestar.di import Provide
from litestar.enums import RequestEncodingType
from litestar.exceptions import NotAuthorizedException, WebSocketDisconnect
from litestar.params import Body
from litestar.response import ServerSentEvent, Stream

Socket = WebSocket[Any, Any, Any]


@asynccontextmanager
async def lifespan(app: Litestar) -> AsyncIterator[None]:
    record(f"started {pid()}")
    app.state.opened_in = pid()
    yield
    record(f"stopped {pid()}")


@dataclass
class Task:
    title: str
    done: bool = False


@dataclass
class Upload:
    title: str
    file: UploadFile


@get("/pid")
async def show_pid() -> str:
    return pid()


@get("/loop")
async def loop() -> str:
    return loop_name()


@get("/recorded")
async def recorded() -> list[str]:
    return collected_events()


@get("/opened-in")
async def opened_in(state: State) -> str:
    return str(state.opened_in)


@get("/items/{number:int}/{name:str}")
async def item(number: int, name: str, q: list[str]) -> dict[str, object]:
    return {"number": number, "name": name, "q": q}


@post("/json", status_code=200)
async def echo_json(data: dict[str, object]) -> dict[str, object]:
    return {"got": data}


@post("/form", status_code=200)
async def form(
    data: Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> dict[str, str]:
    return data


@post("/upload", status_code=200)
async def upload(
    data: Annotated[Upload, Body(media_type=RequestEncodingType.MULTI_PART)],
) -> dict[str, object]:
    content = await data.file.read()
    return {
        "title": data.title,
        "name": data.file.filename,
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


@get("/cookies")
async def cookies() -> Response[str]:
    return Response("set", cookies=[Cookie("one", value="1"), Cookie("two", value="2")])


@get("/lines")
async def lines(count: int) -> Stream:
    async def each() -> AsyncIterator[bytes]:
        for number in range(count):
            yield b"line %d\n" % number

    return Stream(each())


@get("/gated/{token:str}")
async def gated(token: str) -> Stream:
    async def parts() -> AsyncIterator[bytes]:
        yield b"first"
        await gate(token)
        yield b"second"

    return Stream(parts())


@get("/endless/{token:str}")
async def endless(token: str) -> Stream:
    async def blocks() -> AsyncIterator[bytes]:
        try:
            while True:
                yield bytes(16 * 1024)
                await asyncio.sleep(0)
        finally:
            record(f"left {token}")

    return Stream(blocks())


@get("/fails")
async def fails() -> None:
    raise Secret("endpoint")


# --- its own ------------------------------------------------------------------------------------


@post("/tasks")
async def add_task(data: Task) -> Response[Task]:
    return Response(data, background=BackgroundTask(gated_record, data.title))


async def gated_record(title: str) -> None:
    await gate(title)
    record(f"background {title}")


@get("/sse/{count:int}")
async def events(count: int) -> ServerSentEvent:
    async def each() -> AsyncIterator[str]:
        for number in range(count):
            yield f"event {number}"

    return ServerSentEvent(each(), event_type="tick")


@websocket_listener("/ws/tasks")
async def finish_task(data: dict[str, str]) -> dict[str, str]:
    return {"done": data["title"]}


async def provide_greeting(socket: Socket) -> AsyncIterator[str]:
    token = str(socket.query_params["token"])
    yield f"hello {token}"
    record(f"dependency closed {token}")


@websocket("/ws/dependency", dependencies={"greeting": Provide(provide_greeting)})
async def with_dependency(socket: Socket, greeting: str) -> None:
    await socket.accept()
    await socket.send_text(greeting)
    await socket.close()


@websocket("/ws/unauthorized")
async def unauthorized(socket: Socket) -> None:
    raise NotAuthorizedException("no token")


# --- WebSockets ---------------------------------------------------------------------------------


@websocket("/ws/echo")
async def echo(socket: Socket) -> None:
    await socket.accept(subprotocols="chat" if "chat" in socket.scope["subprotocols"] else None)
    while True:
        message: Any = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        if (text := message.get("text")) is not None:
            await socket.send_text(text)
        else:
            await socket.send_bytes(message.get("bytes") or b"")


@websocket("/ws/room/{room:str}")
async def room(socket: Socket, room: str, channels: ChannelsPlugin) -> None:
    await socket.accept()
    async with (
        channels.start_subscription(room) as subscription,
        subscription.run_in_background(socket.send_text),
    ):
        await socket.send_text("joined")
        with suppress(WebSocketDisconnect):
            while True:
                channels.publish(await socket.receive_text(), room)


@websocket("/ws/close/{code:int}")
async def close(socket: Socket, code: int) -> None:
    await socket.accept()
    await socket.close(code, "größe")


@websocket("/ws/fails")
async def socket_fails(socket: Socket) -> None:
    await socket.accept()
    await socket.receive_text()
    raise Secret("WebSocket")


@websocket("/ws/refused")
async def refused(socket: Socket) -> None:
    await socket.close()


@websocket("/ws/leaves/{token:str}")
async def leaves(socket: Socket, token: str) -> None:
    await socket.accept()
    try:
        await socket.receive_text()
    except WebSocketDisconnect as left:
        record(f"left {token} with {left.code}")


app = Litestar(
    [
        show_pid,
        loop,
        recorded,
        opened_in,
        item,
        echo_json,
        form,
        upload,
        cookies,
        lines,
        gated,
        endless,
        fails,
        add_task,
        events,
        finish_task,
        with_dependency,
        unauthorized,
        echo,
        room,
        close,
        socket_fails,
        refused,
        leaves,
    ],
    lifespan=[lifespan],
    request_max_body_size=20 * 1024 * 1024,
    plugins=[ChannelsPlugin(MemoryChannelsBackend(), arbitrary_channels_allowed=True)],
)
