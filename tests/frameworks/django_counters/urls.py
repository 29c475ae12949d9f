from django.urls import path

from . import views

urlpatterns = [
    path("pid", views.pid),
    path("add/<name>/<token>", views.add),
    path("add-and-fail/<name>", views.add_and_fail),
    path("entries/<name>", views.entries),
    path("database", views.database),
    path("open-files", views.open_files),
]
