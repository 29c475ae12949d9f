import hashlib
import io
import json
import os
from collections.abc import AsyncIterator, Iterator

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.handlers.asgi import ASGIRequest
from django.core.handlers.wsgi import WSGIRequest
from django.http import (
    FileResponse,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt

from .models import Note


class NoteForm(forms.ModelForm):
    class Meta:
        model = Note
        fields = ("author", "text")


def pid(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(os.getpid()))


def visits(request: HttpRequest) -> JsonResponse:
    request.session["visits"] = request.session.get("visits", 0) + 1
    return JsonResponse({"visits": request.session["visits"]})


def notes(request: HttpRequest) -> HttpResponse:
    form = NoteForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        note = form.save()
        messages.success(request, f"Noted for {note.author}.")
        return HttpResponseRedirect("/notes")
    context = {"form": form, "notes": Note.objects.order_by("id")}
    return render(request, "notes.html", context, status=422 if form.errors else 200)


@csrf_exempt
def notes_json(request: HttpRequest) -> JsonResponse:
    if request.method == "POST":
        note = Note.objects.create(**json.loads(request.body))
        return JsonResponse({"id": note.pk}, status=201)
    return JsonResponse({"notes": list(Note.objects.order_by("id").values("author", "text"))})


async def notes_async(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"authors": [note.author async for note in Note.objects.order_by("id")]})


def echo(request: HttpRequest, rest: str) -> JsonResponse:
    return JsonResponse(
        {
            "rest": rest,
            "path": request.path,
            "query": dict(request.GET.lists()),
            "uri": request.build_absolute_uri(),
            "remote_addr": request.META["REMOTE_ADDR"],
            "interface": "wsgi" if isinstance(request, WSGIRequest) else "asgi",
            "file_wrapper": "wsgi.file_wrapper" in getattr(request, "environ", {}),
        }
    )


@csrf_exempt
def raw(request: HttpRequest) -> JsonResponse:
    digest, length = hashlib.sha256(), 0
    while chunk := request.read(10_000):
        digest.update(chunk)
        length += len(chunk)
    return JsonResponse({"length": length, "sha256": digest.hexdigest()})


@csrf_exempt
def upload(request: HttpRequest) -> JsonResponse:
    file = request.FILES["file"]
    digest = hashlib.sha256()
    for chunk in file.chunks():
        digest.update(chunk)
    return JsonResponse(
        {
            "name": file.name,
            "size": file.size,
            "sha256": digest.hexdigest(),
            "kind": type(file).__name__,
            "title": request.POST.get("title"),
        }
    )


def stream(request: HttpRequest) -> StreamingHttpResponse:
    count = int(request.GET["count"])

    def lines() -> Iterator[str]:
        for number in range(count):
            yield f"line {number}\n"

    async def async_lines() -> AsyncIterator[str]:
        for line in lines():
            yield line

    body = async_lines() if isinstance(request, ASGIRequest) else lines()
    return StreamingHttpResponse(body, content_type="text/plain; charset=utf-8")


def file(request: HttpRequest) -> FileResponse:
    document = (settings.FOLDER / "document.bin").open("rb")
    return FileResponse(document, as_attachment=True, filename="größe.bin")


class WatchedFile(io.FileIO):
    """A file that leaves a mark when it is closed."""

    token = ""

    def close(self) -> None:
        if not self.closed:
            with (settings.FOLDER / "events").open("a") as events:
                events.write(f"closed {self.token}\n")
        super().close()


def watched_file(request: HttpRequest, token: str) -> FileResponse:
    document = WatchedFile(settings.FOLDER / "document.bin")
    document.token = token
    return FileResponse(document)


def fails(request: HttpRequest) -> HttpResponseBase:
    raise RuntimeError("the Django view fails")
