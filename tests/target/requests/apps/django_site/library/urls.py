from django.urls import include, path, re_path
from rest_framework.routers import DefaultRouter

from library import views

router = DefaultRouter()
router.register("members", views.MemberViewSet, basename="member")

urlpatterns = [
    path("", views.index),
    path("books/<int:pk>/", views.Book.as_view()),
    path("books/<int:pk>/delete/", views.delete_book),
    path("copies/<uuid:copy>/", views.copy),
    re_path(r"^archive/(?P<year>[0-9]{4})/(?:page-(?P<page>\d+)/)?$", views.archive),
    re_path(r"^shelf/(\d+)/$", views.shelf),
    path("list/", views.BookList.as_view()),
    path("poll/", views.poll),
    path("api/", include(router.urls)),
    path("api/hello/", views.hello),
]
