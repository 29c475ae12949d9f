"""Falcon's ASGI side, as far as it leans on the server; what test_asgi_frameworks.py asks."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import falcon
import falcon.asgi
from asgi_common import Secret, gate, loop_name, pid
from events import collected_events, record
from falcon.asgi import Request, Response, SSEvent, WebSocket

rooms: dict[str, set[WebSocket]] = {}
opened: list[str] = []


class Lifespan:
    async def process_startup(self, scope: dict[str, Any], event: dict[str, Any]) -> None:
        record(f"started {pid()}")
        opened.append(pid())

    async def process_shutdown(self, scope: dict[str, Any], event: dict[str, Any]) -> None:
        record(f"stopped {pid()}")

    async def process_response(
        self, req: Request, resp: Response, resource: object, succeeded: bool
    ) -> None:
        resp.set_header("X-Succeeded", str(succeeded))


class Text:
    """Answers with what the function gives."""

    def __init__(self, make: Any) -> None:
        self.make = make

    async def on_get(self, req: Request, resp: Response) -> None:
        made = self.make()
        if isinstance(made, str):
            resp.text = made
        else:
            resp.media = made


class Item:
    async def on_get(self, req: Request, resp: Response, number: int, name: str) -> None:
        resp.media = {"number": number, "name": name, "q": req.get_param_as_list("q")}


class Json:
    async def on_post(self, req: Request, resp: Response) -> None:
        resp.media = {"got": await req.get_media()}


class Upload:
    async def on_post(self, req: Request, resp: Response) -> None:
        answer: dict[str, object] = {}
        async for part in await req.get_media():
            if part.filename:
                content = await part.stream.read()
                answer["name"] = part.filename
                answer["size"] = len(content)
                answer["sha256"] = hashlib.sha256(content).hexdigest()
            else:
                answer[part.name] = await part.get_text()
        resp.media = answer


class Form:
    async def on_post(self, req: Request, resp: Response) -> None:
        resp.media = await req.get_media()


class Cookies:
    async def on_get(self, req: Request, resp: Response) -> None:
        for name, value in (("one", "1"), ("two", "2")):
            resp.set_cookie(name, value, secure=False)


class Lines:
    async def on_get(self, req: Request, resp: Response) -> None:
        count = req.get_param_as_int("count", required=True)

        async def each() -> AsyncIterator[bytes]:
            for number in range(count):
                yield b"line %d\n" % number

        resp.stream = each()


class Gated:
    async def on_get(self, req: Request, resp: Response, token: str) -> None:
        async def parts() -> AsyncIterator[bytes]:
            yield b"first"
            await gate(token)
            yield b"second"

        resp.stream = parts()


class Endless:
    async def on_get(self, req: Request, resp: Response, token: str) -> None:
        async def blocks() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield bytes(16 * 1024)
                    await asyncio.sleep(0)
            finally:
                record(f"left {token}")

        resp.stream = blocks()


class Fails:
    async def on_get(self, req: Request, resp: Response) -> None:
        raise Secret("endpoint")

    async def on_websocket(self, req: Request, ws: WebSocket) -> None:
        await ws.accept()
        await ws.receive_text()
        raise Secret("WebSocket")


# --- its own ------------------------------------------------------------------------------------


class Stream:
    """Reads the body while it comes."""

    async def on_post(self, req: Request, resp: Response) -> None:
        digest, length = hashlib.sha256(), 0
        async for chunk in req.stream:
            if chunk and not length:
                record("first chunk")
            digest.update(chunk)
            length += len(chunk)
        resp.media = {"size": length, "sha256": digest.hexdigest()}


class Events:
    async def on_get(self, req: Request, resp: Response, token: str) -> None:
        """Falcon stops asking once the client has left."""

        async def emit() -> AsyncIterator[SSEvent | None]:
            number = 0
            try:
                while True:
                    yield SSEvent(event="tick", event_id=str(number), json={"number": number})
                    number += 1
                    await asyncio.sleep(0.01)
            finally:
                record(f"sse left {token}")

        resp.sse = emit()


class Background:
    async def on_post(self, req: Request, resp: Response, token: str) -> None:
        async def work() -> None:
            await gate(token)
            record(f"background {token}")

        resp.schedule(work)
        resp.status = falcon.HTTP_202


class Forbidden:
    async def on_get(self, req: Request, resp: Response) -> None:
        raise falcon.HTTPForbidden(title="Not for you", description="at all")

    async def on_websocket(self, req: Request, ws: WebSocket) -> None:
        await ws.accept()
        raise falcon.HTTPForbidden(title="Not for you")


# --- WebSockets ---------------------------------------------------------------------------------


class Echo:
    async def on_websocket(self, req: Request, ws: WebSocket) -> None:
        await ws.accept(subprotocol="chat" if "chat" in ws.subprotocols else None)
        while True:
            # There is one method for each kind; this one takes what comes, by its own account.
            message = await ws._receive()
            if (text := message.get("text")) is not None:
                await ws.send_text(text)
            else:
                await ws.send_data(message["bytes"])


class Room:
    async def on_websocket(self, req: Request, ws: WebSocket, name: str) -> None:
        await ws.accept()
        members = rooms.setdefault(name, set())
        members.add(ws)
        await ws.send_text("joined")
        try:
            while True:
                said = await ws.receive_text()
                for member in members:
                    await member.send_text(said)
        except falcon.WebSocketDisconnected:
            members.discard(ws)


class Close:
    async def on_websocket(self, req: Request, ws: WebSocket, code: int) -> None:
        await ws.accept()
        await ws.close(code, "größe")


class Refused:
    async def on_websocket(self, req: Request, ws: WebSocket) -> None:
        await ws.close()


class Leaves:
    async def on_websocket(self, req: Request, ws: WebSocket, token: str) -> None:
        await ws.accept()
        try:
            await ws.receive_text()
        except falcon.WebSocketDisconnected as left:
            record(f"left {token} with {left.code}")


class Media:
    async def on_websocket(self, req: Request, ws: WebSocket) -> None:
        await ws.accept(headers={"x-kind": "media"})
        numbers = await ws.receive_media()
        await ws.send_media({"sum": sum(numbers)})  # type: ignore[call-overload]
        await ws.close()


class Counting:
    """Sends without ever receiving: only Falcon's own receiver sees the client leave."""

    async def on_websocket(self, req: Request, ws: WebSocket, token: str) -> None:
        await ws.accept()
        number = 0
        try:
            while True:
                await ws.send_text(str(number))
                number += 1
                await asyncio.sleep(0.005)
        except falcon.WebSocketDisconnected as left:
            record(f"stopped counting {token} with {left.code}")


app = falcon.asgi.App(middleware=[Lifespan()])
for path, resource in {
    "/pid": Text(pid),
    "/loop": Text(loop_name),
    "/recorded": Text(collected_events),
    "/opened-in": Text(lambda: opened[0]),
    "/items/{number:int}/{name}": Item(),
    "/json": Json(),
    "/form": Form(),
    "/upload": Upload(),
    "/cookies": Cookies(),
    "/lines": Lines(),
    "/gated/{token}": Gated(),
    "/endless/{token}": Endless(),
    "/fails": Fails(),
    "/stream": Stream(),
    "/sse/{token}": Events(),
    "/background/{token}": Background(),
    "/forbidden": Forbidden(),
    "/ws/forbidden": Forbidden(),
    "/ws/echo": Echo(),
    "/ws/room/{name}": Room(),
    "/ws/close/{code:int}": Close(),
    "/ws/fails": Fails(),
    "/ws/refused": Refused(),
    "/ws/leaves/{token}": Leaves(),
    "/ws/media": Media(),
    "/ws/counting/{token}": Counting(),
}.items():
    app.add_route(path, resource)
