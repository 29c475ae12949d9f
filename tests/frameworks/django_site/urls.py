from django.contrib import admin
from django.urls import path

from . import views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("pid", views.pid),
    path("visits", views.visits),
    path("notes", views.notes),
    path("notes.json", views.notes_json),
    path("notes-async.json", views.notes_async),
    path("echo/<path:rest>", views.echo),
    path("raw", views.raw),
    path("upload", views.upload),
    path("stream", views.stream),
    path("file", views.file),
    path("watched-file/<str:token>", views.watched_file),
    path("fails", views.fails),
]
