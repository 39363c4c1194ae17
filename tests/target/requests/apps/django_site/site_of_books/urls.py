from django.contrib import admin
from django.http import Http404, HttpResponse
from django.urls import include, path, re_path
from django.views.static import serve


def tree(request, where):
    if where not in ("", "about/", "about/us/"):
        raise Http404
    return HttpResponse('<a href="/about/">x</a><a href="/about/us/">x</a><a href="/library/main/">x</a>')


urlpatterns = [
    path("admin/", admin.site.urls),
    path("media/<path:path>", serve, {"document_root": "/nonexistent"}),
    path("library/<slug:branch>/", include("library.urls")),
    re_path(r"^((?:[\w\-]+/)*)$", tree),
]
