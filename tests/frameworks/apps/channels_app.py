"""Django with Channels, in one file; what test_asgi_frameworks.py asks, and its own."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any

import django
from asgi_common import Secret, gate, loop_name, pid
from django.conf import settings

settings.configure(
    SECRET_KEY="the same for every worker of a test",
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["django.contrib.sessions", "channels"],
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    # Without DEBUG Django would mail tracebacks to the admins; this site has a log.
    LOGGING={
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"console": {"class": "logging.StreamHandler"}},
        "loggers": {"django": {"handlers": ["console"], "level": "ERROR", "propagate": False}},
    },
    CHANNEL_LAYERS={"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}},
)
django.setup()

from channels.generic.http import AsyncHttpConsumer  # noqa: E402
from channels.generic.websocket import (  # noqa: E402
    AsyncJsonWebsocketConsumer,
    AsyncWebsocketConsumer,
    JsonWebsocketConsumer,
)
from channels.layers import get_channel_layer  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from channels.security.websocket import OriginValidator  # noqa: E402
from channels.sessions import SessionMiddlewareStack  # noqa: E402
from django.core.asgi import get_asgi_application  # noqa: E402
from django.http import (  # noqa: E402
    HttpRequest,
    HttpResponse,
    JsonResponse,
    StreamingHttpResponse,
)
from django.urls import path, re_path  # noqa: E402
from django.views.decorators.http import require_GET  # noqa: E402
from events import collected_events, record  # noqa: E402

# --- views --------------------------------------------------------------------------------------


@require_GET
async def show_pid(request: HttpRequest) -> HttpResponse:
    return HttpResponse(pid())


async def loop(request: HttpRequest) -> HttpResponse:
    return HttpResponse(loop_name())


async def recorded(request: HttpRequest) -> JsonResponse:
    return JsonResponse(collected_events(), safe=False)


async def item(request: HttpRequest, number: int, name: str) -> JsonResponse:
    return JsonResponse({"number": number, "name": name, "q": request.GET.getlist("q")})


async def echo_json(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"got": json.loads(request.body)})


async def form(request: HttpRequest) -> JsonResponse:
    return JsonResponse(request.POST.dict())


async def upload(request: HttpRequest) -> JsonResponse:
    file = request.FILES["file"]
    content = file.read()
    return JsonResponse(
        {
            "title": request.POST["title"],
            "name": file.name,
            "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
    )


async def cookies(request: HttpRequest) -> HttpResponse:
    response = HttpResponse("set")
    response.set_cookie("one", "1")
    response.set_cookie("two", "2")
    return response


async def lines(request: HttpRequest) -> StreamingHttpResponse:
    async def each() -> AsyncIterator[bytes]:
        for number in range(int(request.GET["count"])):
            yield b"line %d\n" % number

    return StreamingHttpResponse(each())


async def gated(request: HttpRequest, token: str) -> StreamingHttpResponse:
    async def parts() -> AsyncIterator[bytes]:
        yield b"first"
        await gate(token)
        yield b"second"

    return StreamingHttpResponse(parts())


async def endless(request: HttpRequest, token: str) -> StreamingHttpResponse:
    async def blocks() -> AsyncIterator[bytes]:
        try:
            while True:
                yield bytes(16 * 1024)
                await asyncio.sleep(0)
        finally:
            record(f"left {token}")

    return StreamingHttpResponse(blocks())


async def fails(request: HttpRequest) -> HttpResponse:
    raise Secret("endpoint")


async def announce(request: HttpRequest, name: str) -> HttpResponse:
    """An ordinary request that speaks to all who are connected."""
    layer = get_channel_layer()
    await layer.group_send(name, {"type": "room.said", "text": request.body.decode()})
    return HttpResponse(status=204)


def remember(request: HttpRequest) -> HttpResponse:
    request.session["name"] = request.POST["name"]
    return HttpResponse("remembered")


urlpatterns = [
    path("pid", show_pid),
    path("loop", loop),
    path("recorded", recorded),
    path("items/<int:number>/<str:name>", item),
    path("json", echo_json),
    path("form", form),
    path("upload", upload),
    path("cookies", cookies),
    path("lines", lines),
    path("gated/<str:token>", gated),
    path("endless/<str:token>", endless),
    path("fails", fails),
    path("announce/<str:name>", announce),
    path("session", remember),
]


# --- consumers ----------------------------------------------------------------------------------


class Echo(AsyncWebsocketConsumer):
    async def connect(self) -> None:
        await self.accept("chat" if "chat" in self.scope["subprotocols"] else None)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        await self.send(text_data=text_data, bytes_data=bytes_data)


class Room(AsyncWebsocketConsumer):
    async def connect(self) -> None:
        self.room = self.scope["url_route"]["kwargs"]["name"]
        await self.channel_layer.group_add(self.room, self.channel_name)
        await self.accept()
        await self.send("joined")

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        await self.channel_layer.group_send(self.room, {"type": "room.said", "text": text_data})

    async def room_said(self, event: dict[str, Any]) -> None:
        await self.send(event["text"])

    async def disconnect(self, code: int) -> None:
        await self.channel_layer.group_discard(self.room, self.channel_name)


class Close(AsyncWebsocketConsumer):
    async def connect(self) -> None:
        await self.accept()
        await self.close(self.scope["url_route"]["kwargs"]["code"], "größe")


class Fails(AsyncWebsocketConsumer):
    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        raise Secret("WebSocket")


class Refused(AsyncWebsocketConsumer):
    async def connect(self) -> None:
        await self.close()


class Leaves(AsyncWebsocketConsumer):
    async def disconnect(self, code: int) -> None:
        record(f"left {self.scope['url_route']['kwargs']['token']} with {code}")


class Sum(AsyncJsonWebsocketConsumer):
    async def receive_json(self, content: dict[str, Any], **kwargs: Any) -> None:
        await self.send_json({"sum": sum(content["numbers"])})


class InAThread(JsonWebsocketConsumer):
    """A consumer of the synchronous kind; it knows the session of the client, too."""

    def connect(self) -> None:
        self.accept()
        try:
            asyncio.get_running_loop()
            on_the_loop = True
        except RuntimeError:
            on_the_loop = False
        name = self.scope["session"].get("name")
        self.send_json({"name": name, "on_the_loop": on_the_loop})


class LongPoll(AsyncHttpConsumer):
    """Channels' own way of answering plain HTTP."""

    async def handle(self, body: bytes) -> None:
        await self.send_headers(headers=[(b"Content-Type", b"text/plain")])
        for letter in body:
            await self.send_body(bytes([letter]), more_body=True)
        await self.send_body(b"!")


application = ProtocolTypeRouter(
    {
        "http": URLRouter(
            [path("long-poll", LongPoll.as_asgi()), re_path("", get_asgi_application())]
        ),
        "websocket": SessionMiddlewareStack(
            URLRouter(
                [
                    path("ws/echo", Echo.as_asgi()),
                    path("ws/room/<str:name>", Room.as_asgi()),
                    path("ws/close/<int:code>", Close.as_asgi()),
                    path("ws/fails", Fails.as_asgi()),
                    path("ws/refused", Refused.as_asgi()),
                    path("ws/leaves/<str:token>", Leaves.as_asgi()),
                    path("ws/sum", Sum.as_asgi()),
                    path("ws/thread", InAThread.as_asgi()),
                    path(
                        "ws/own-origin",
                        OriginValidator(Echo.as_asgi(), ["http://shop.example"]),
                    ),
                ]
            )
        ),
    }
)
