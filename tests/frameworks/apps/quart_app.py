"""Quart, as far as it leans on the server; what test_asgi_frameworks.py asks, and its own."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any

from asgi_common import Secret, gate, loop_name, pid
from events import collected_events, record
from quart import Quart, Response, make_response, request, session, websocket
from quart.wrappers import Response as AnyResponse

app = Quart(__name__)
app.secret_key = "the same for every worker of a test"
app.config["MAX_CONTENT_LENGTH"] = 20 * 1024 * 1024
rooms: dict[str, set[asyncio.Queue[str]]] = {}


@app.before_serving
async def start() -> None:
    record(f"started {pid()}")
    app.config["OPENED_IN"] = pid()


@app.after_serving
async def stop() -> None:
    record(f"stopped {pid()}")


@app.get("/pid")
async def show_pid() -> str:
    return pid()


@app.get("/loop")
async def loop() -> str:
    return loop_name()


@app.get("/recorded")
async def recorded() -> list[str]:
    return collected_events()


@app.get("/opened-in")
async def opened_in() -> str:
    return str(app.config["OPENED_IN"])


@app.get("/items/<int:number>/<name>")
async def item(number: int, name: str) -> dict[str, object]:
    return {"number": number, "name": name, "q": request.args.getlist("q")}


@app.post("/json")
async def echo_json() -> dict[str, object]:
    return {"got": await request.get_json()}


@app.post("/form")
async def form() -> dict[str, str]:
    return dict((await request.form).items())


@app.post("/upload")
async def upload() -> dict[str, object]:
    title, file = (await request.form)["title"], (await request.files)["file"]
    content = file.read()
    return {
        "title": title,
        "name": file.filename,
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


@app.get("/cookies")
async def cookies() -> AnyResponse:
    response = Response("set")
    response.set_cookie("one", "1")
    response.set_cookie("two", "2")
    return response


@app.get("/lines")
async def lines() -> AsyncIterator[bytes]:
    count = int(request.args["count"])

    async def each() -> AsyncIterator[bytes]:
        for number in range(count):
            yield b"line %d\n" % number

    return each()


@app.get("/gated/<token>")
async def gated(token: str) -> AsyncIterator[bytes]:
    async def parts() -> AsyncIterator[bytes]:
        yield b"first"
        await gate(token)
        yield b"second"

    return parts()


@app.get("/endless/<token>")
async def endless(token: str) -> Any:
    async def blocks() -> AsyncIterator[bytes]:
        try:
            while True:
                yield bytes(16 * 1024)
                await asyncio.sleep(0)
        finally:
            record(f"left {token}")

    response: Any = await make_response(blocks())
    response.timeout = None
    return response


@app.get("/fails")
async def fails() -> str:
    raise Secret("endpoint")


# --- its own ------------------------------------------------------------------------------------


@app.post("/session")
async def remember() -> str:
    session["name"] = (await request.get_json())["name"]
    return "remembered"


@app.post("/stream")
async def stream() -> dict[str, object]:
    """Reads the body while it comes."""
    digest, length = hashlib.sha256(), 0
    async for chunk in request.body:
        if not length:
            record("first chunk")
        digest.update(chunk)
        length += len(chunk)
    return {"size": length, "sha256": digest.hexdigest()}


@app.post("/background/<token>")
async def background(token: str) -> tuple[str, int]:
    async def work() -> None:
        await gate(token)
        record(f"background {token}")

    app.add_background_task(work)
    return "accepted", 202


@app.get("/sync")
def in_a_thread() -> dict[str, bool]:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return {"on_the_loop": False}
    return {"on_the_loop": True}


@app.websocket("/ws/denied")
async def denied() -> tuple[str, int, dict[str, str]]:
    return "not without a ticket", 401, {"X-Reason": "ticket"}


@app.websocket("/ws/session")
async def session_name() -> None:
    await websocket.send_json({"name": session.get("name"), "q": websocket.args.get("q")})


# --- WebSockets ---------------------------------------------------------------------------------


@app.websocket("/ws/echo")
async def echo() -> None:
    chat = "chat" in websocket.requested_subprotocols
    await websocket.accept(subprotocol="chat" if chat else None)
    while True:
        await websocket.send(await websocket.receive())


@app.websocket("/ws/room/<name>")
async def room(name: str) -> None:
    queue: asyncio.Queue[str] = asyncio.Queue()
    rooms.setdefault(name, set()).add(queue)

    async def forward() -> None:
        while True:
            await websocket.send(await queue.get())

    await websocket.send("joined")
    forwarding = asyncio.ensure_future(forward())
    try:
        while True:
            said = await websocket.receive()
            for other in rooms[name]:
                other.put_nowait(str(said))
    finally:
        forwarding.cancel()
        rooms[name].discard(queue)


@app.websocket("/ws/close/<int:code>")
async def close(code: int) -> None:
    await websocket.accept()
    await websocket.close(code, "größe")


@app.websocket("/ws/fails")
async def socket_fails() -> None:
    await websocket.accept()
    await websocket.receive()
    raise Secret("WebSocket")


@app.websocket("/ws/refused")
async def refused() -> tuple[str, int]:
    return "refused", 403


@app.websocket("/ws/leaves/<token>")
async def leaves(token: str) -> None:
    """Quart cancels; the code of the close is not told."""
    await websocket.accept()
    try:
        await websocket.receive()
    except asyncio.CancelledError:
        record(f"left {token}")
        raise
