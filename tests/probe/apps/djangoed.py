"""A Django application in one file: sqlite, the ORM lazily in a template, a sync and an async view."""

import os

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.db import connection, models
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template import engines
from django.urls import path

settings.configure(
    DEBUG=True,
    SECRET_KEY="for tests only",
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["APP_DATABASE"]}},
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
    INSTALLED_APPS=[],
)
django.setup()


class Author(models.Model):
    name = models.TextField()

    class Meta:
        app_label = "shop"


class Book(models.Model):
    title = models.TextField()
    author = models.ForeignKey(Author, on_delete=models.CASCADE)

    class Meta:
        app_label = "shop"


def seed() -> None:
    with connection.schema_editor() as editor:
        editor.create_model(Author)
        editor.create_model(Book)
    for number in range(5):
        Book.objects.create(title=f"t{number}", author=Author.objects.create(name=f"a{number}"))


def books(request: HttpRequest, count: int) -> HttpResponse:
    template = engines["django"].from_string("{% for book in books %}{{ book.author.name }} {% endfor %}")
    return HttpResponse(template.render({"books": Book.objects.all()[:count]}))  # mark: render


def title(request: HttpRequest) -> HttpResponse:
    return HttpResponse(Book.objects.get(title="t3").title)  # mark: get


async def titles(request: HttpRequest) -> JsonResponse:
    found = [book.title async for book in Book.objects.filter(id__lt=4)]  # mark: async
    return JsonResponse(found, safe=False)


urlpatterns = [path("books/<int:count>", books), path("title", title), path("titles", titles)]
seed()
asgi = get_asgi_application()
wsgi = get_wsgi_application()
