"""What FastAPI offers, as far as it leans on the server."""

import asyncio
import hashlib
import os
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Annotated

from events import FOLDER, collected_events, record
from fastapi import (
    BackgroundTasks,
    Cookie,
    Depends,
    FastAPI,
    File,
    Form,
    Header,
    HTTPException,
    Path,
    Query,
    Request,
    Response,
    UploadFile,
    WebSocket,
    WebSocketDisconnect,
    WebSocketException,
)
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, StreamingResponse
from pydantic import BaseModel, Field


class OutOfStock(Exception):
    def __init__(self, item: str) -> None:
        self.item = item


class Item(BaseModel):
    name: str = Field(min_length=1)
    price: float = Field(gt=0)
    tags: list[str] = []


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, object]]:
    record(f"started {os.getpid()}")
    yield {"opened_in": os.getpid(), "shared": {"count": 0}}
    record(f"stopped {os.getpid()}")


app = FastAPI(title="Shop", lifespan=lifespan)
wrapped = FastAPI()
wrapped.add_middleware(GZipMiddleware, minimum_size=1000)
wrapped.add_middleware(
    CORSMiddleware,
    allow_origins=["https://shop.example"],
    allow_methods=["GET", "PUT"],
    allow_headers=["X-Token"],
    allow_credentials=True,
)


@wrapped.middleware("http")
async def add_process_time(
    request: Request, call_next: Callable[[Request], Awaitable[Response]]
) -> Response:
    start = time.perf_counter()
    response = await call_next(request)
    response.headers["X-Process-Time"] = f"{time.perf_counter() - start:.6f}"
    return response


@app.exception_handler(OutOfStock)
async def out_of_stock(request: Request, fault: OutOfStock) -> JSONResponse:
    return JSONResponse({"out_of_stock": fault.item}, 409)


@wrapped.get("/pid", response_class=PlainTextResponse)
@app.get("/pid", response_class=PlainTextResponse)
async def pid() -> str:
    return str(os.getpid())


# --- endpoints and validation -------------------------------------------------------------------


@app.get("/sync")
def sync_endpoint() -> dict[str, bool]:
    return {"main_thread": threading.current_thread() is threading.main_thread()}


@app.get("/async")
async def async_endpoint() -> dict[str, str]:
    loop = type(asyncio.get_running_loop())
    return {"loop": f"{loop.__module__}.{loop.__qualname__}"}


@app.get("/items/{number}")
async def item(
    number: Annotated[int, Path(ge=1)],
    q: Annotated[list[str], Query()] = [],  # noqa: B006 (a default that FastAPI copies)
    limit: Annotated[int, Query(le=100)] = 10,
    x_token: Annotated[str | None, Header()] = None,
    flavour: Annotated[str | None, Cookie()] = None,
) -> dict[str, object]:
    return {"number": number, "q": q, "limit": limit, "token": x_token, "flavour": flavour}


@app.put("/items/{number}")
async def put_item(number: int, item: Item) -> dict[str, object]:
    return {"number": number, **item.model_dump()}


@app.delete("/items/{number}", status_code=204)
def delete_item(number: int) -> None:
    if number == 404:
        raise HTTPException(404, "no such item", {"X-Reason": "never was"})
    if number == 409:
        raise OutOfStock("tea")


@app.api_route("/both", methods=["GET", "HEAD", "OPTIONS"])
async def both() -> dict[str, str]:
    return {"answer": "to both"}


@app.get("/cookies")
async def cookies(response: Response) -> dict[str, bool]:
    response.set_cookie("one", "1")
    response.set_cookie("two", "2", httponly=True)
    return {"set": True}


# --- streams and files --------------------------------------------------------------------------


@wrapped.get("/stream/async")
@app.get("/stream/async")
async def stream_async(count: int) -> StreamingResponse:
    async def lines() -> AsyncIterator[bytes]:
        for number in range(count):
            yield b"line %d\n" % number

    return StreamingResponse(lines(), media_type="text/csv")


@wrapped.get("/stream/sync")
@app.get("/stream/sync")
def stream_sync(count: int) -> StreamingResponse:
    def lines() -> Iterator[str]:
        for number in range(count):
            yield f"line {number}\n"

    return StreamingResponse(lines(), media_type="text/csv")


@app.get("/stream/gated/{token}")
async def stream_gated(token: str) -> StreamingResponse:
    """The second part comes only after the client has acted on the first."""

    async def parts() -> AsyncIterator[str]:
        yield "first"
        await gate(token)
        yield "second"

    return StreamingResponse(parts(), media_type="application/octet-stream")


@app.get("/file")
async def file() -> FileResponse:
    return FileResponse(FOLDER / "document.bin", filename="größe.bin")


@app.post("/upload")
async def upload(file: UploadFile, title: Annotated[str, Form()] = "") -> dict[str, object]:
    digest = hashlib.sha256()
    while chunk := await file.read(64 * 1024):
        digest.update(chunk)
    sha256 = digest.hexdigest()
    return {"name": file.filename, "size": file.size, "sha256": sha256, "title": title}


@app.post("/upload/sync")
def upload_sync(file: Annotated[bytes, File()]) -> dict[str, object]:
    return {"size": len(file), "sha256": hashlib.sha256(file).hexdigest()}


# --- what happens around the answer -------------------------------------------------------------


async def gate(token: str) -> None:
    """Wait until the test opens the gate; not for ever."""
    for _ in range(1000):
        if (FOLDER / f"gate-{token}").exists():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError(f"gate {token} stayed shut")


async def late_async(token: str) -> None:
    await gate(token)
    record(f"background async {token}")


def late_sync(token: str) -> None:
    asyncio.run(gate(token))
    record(f"background sync {token}")


@app.post("/background/{token}")
async def background(token: str, tasks: BackgroundTasks) -> dict[str, str]:
    tasks.add_task(late_async, token)
    tasks.add_task(late_sync, token)
    return {"answered": token}


async def resource(token: str) -> AsyncIterator[str]:
    record(f"opened {token}")
    try:
        yield token.upper()
    except ValueError:
        record(f"failed {token}")
        raise
    finally:
        record(f"closed {token}")


def sync_resource(token: str) -> Iterator[str]:
    try:
        yield token.title()
    finally:
        record(f"sync closed {token}")


@app.get("/dependency/{token}")
async def dependency(
    first: Annotated[str, Depends(resource)], second: Annotated[str, Depends(sync_resource)]
) -> list[str]:
    return [first, second]


@app.get("/dependency/{token}/fails")
async def failing_dependency(first: Annotated[str, Depends(resource)]) -> None:
    raise ValueError("the endpoint with a dependency fails")


@app.get("/state")
async def state(request: Request) -> dict[str, int]:
    request.state.shared["count"] += 1
    return {
        "opened_in": request.state.opened_in,
        "pid": os.getpid(),
        "count": request.state.shared["count"],
    }


@app.get("/state/change")
async def change_state(request: Request) -> dict[str, bool]:
    changed_before = hasattr(request.state, "mine")
    request.state.mine = True
    return {"changed_before": changed_before}


@app.get("/watch/{token}")
async def watch(request: Request, token: str) -> None:
    record(f"watching {token}")
    while not await request.is_disconnected():
        await asyncio.sleep(0.01)
    record(f"disconnected {token}")


@app.get("/endless/{token}")
async def endless(token: str) -> StreamingResponse:
    async def blocks() -> AsyncIterator[bytes]:
        try:
            while True:
                yield bytes(16 * 1024)
                await asyncio.sleep(0)
        finally:
            record(f"left {token}")

    return StreamingResponse(blocks(), media_type="application/octet-stream")


@app.get("/recorded")
async def recorded() -> list[str]:
    return collected_events()


@app.get("/sleep/async/{ms}")
async def sleep_async(ms: int) -> dict[str, int]:
    await asyncio.sleep(ms / 1000)
    return {"slept": ms}


@app.get("/sleep/sync/{ms}")
def sleep_sync(ms: int) -> dict[str, int]:
    time.sleep(ms / 1000)
    return {"slept": ms}


@app.get("/fails/async")
async def fails_async() -> None:
    raise RuntimeError("the async endpoint fails")


@app.get("/fails/sync")
def fails_sync() -> None:
    raise RuntimeError("the sync endpoint fails")


# --- WebSockets ---------------------------------------------------------------------------------

rooms: dict[str, set[WebSocket]] = {}


@app.websocket("/ws/room/{room}")
async def room(socket: WebSocket, room: str, name: Annotated[str, Query(min_length=1)]) -> None:
    """Who enters and leaves is told to all the others, and what each one says to all."""
    await socket.accept()
    members = rooms.setdefault(room, set())
    members.add(socket)
    try:
        await tell(members, f"{name} entered")
        async for text in socket.iter_text():
            await tell(members, f"{name}: {text}")
    finally:
        members.discard(socket)
        await tell(members, f"{name} left")


async def tell(members: set[WebSocket], text: str) -> None:
    for member in list(members):
        await member.send_text(text)


async def checked_token(
    token: Annotated[str | None, Query()] = None, flavour: Annotated[str | None, Cookie()] = None
) -> str:
    if token != "right":
        raise WebSocketException(4401, "wrong token")
    return f"{token} {flavour}"


@app.websocket("/ws/dependency/{room}")
async def socket_with_dependencies(
    socket: WebSocket,
    room: int,
    token: Annotated[str, Depends(checked_token)],
    first: Annotated[str, Depends(resource)],
) -> None:
    await socket.accept(headers=[(b"x-room", str(room).encode())])
    await socket.send_json({"room": room, "token": token, "resource": first})
    try:
        while True:
            item = Item.model_validate(await socket.receive_json())
            await socket.send_json(item.model_dump())
    except WebSocketDisconnect as left:
        record(f"dependency left {left.code} {left.reason}")


@app.websocket("/ws/tasks/{token}")
async def socket_with_a_task(socket: WebSocket, token: str) -> None:
    """Works in the background while it goes on answering."""
    await socket.accept()

    async def work() -> None:
        await gate(token)
        await socket.send_text("worked")

    working = asyncio.create_task(work())
    try:
        async for text in socket.iter_text():
            await socket.send_text(text.upper())
    finally:
        working.cancel()
        record(f"task over {token} {working.done()}")


@app.websocket("/ws/fails")
async def socket_fails(socket: WebSocket) -> None:
    await socket.accept()
    raise RuntimeError("the socket fails; the password is hunter2")


# With a middleware("http") Starlette's is_disconnected() sees nothing, so it has an app of its own.
app.mount("/wrapped", wrapped)
