import os
import threading
from pathlib import Path

from django.conf import settings
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse

from .models import Counter, Entry


def pid(_: HttpRequest) -> HttpResponse:
    return HttpResponse(str(os.getpid()))


def add(_: HttpRequest, name: str, token: str) -> JsonResponse:
    """Reads, adds one and writes: two that are between each other lose one."""
    with transaction.atomic():
        counter, _ = Counter.objects.get_or_create(name=name)
        counter.value += 1
        counter.save()
        Entry.objects.create(
            counter=counter,
            number=counter.value,
            token=token,
            pid=os.getpid(),
            thread=threading.get_native_id(),
        )
    return JsonResponse({"value": counter.value, "pid": os.getpid()})


def add_and_fail(_: HttpRequest, name: str) -> HttpResponse:
    with transaction.atomic():
        counter, _ = Counter.objects.get_or_create(name=name)
        counter.value += 1
        counter.save()
        raise RuntimeError("this transaction fails")


def entries(_: HttpRequest, name: str) -> JsonResponse:
    """One query, so that counter and entries are of the same moment."""
    found = Entry.objects.filter(counter__name=name).order_by("number")
    rows = list(found.values("number", "token", "pid", "thread", "counter__value"))
    values = {row.pop("counter__value") for row in rows}
    return JsonResponse({"values": sorted(values), "entries": rows})


def database(_: HttpRequest) -> JsonResponse:
    """How the database is opened, and whether for this request."""
    fresh = connection.connection is None
    with connection.cursor() as cursor:
        mode = cursor.execute("PRAGMA journal_mode").fetchone()[0]
        timeout = cursor.execute("PRAGMA busy_timeout").fetchone()[0]
    return JsonResponse({"mode": mode, "timeout": timeout, "fresh": fresh})


def open_files(_: HttpRequest) -> JsonResponse:
    """How many descriptors of the database this worker has, without a query of its own."""
    name = str(settings.DATABASES["default"]["NAME"])
    count = 0
    for link in Path("/proc/self/fd").iterdir():
        try:
            count += os.readlink(link) == name
        except FileNotFoundError:
            continue
    return JsonResponse({"open": count, "pid": os.getpid()})
