from django.contrib import admin
from django.urls import include, path
from django.views.static import serve

urlpatterns = [
    path("admin/", admin.site.urls),
    path("media/<path:path>", serve, {"document_root": "/nonexistent"}),
    path("library/<slug:branch>/", include("library.urls")),
]
