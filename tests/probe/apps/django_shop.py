"""Django's ORM: relations in a template and a serializer, loaded ahead or not; reads and writes in loops."""

import os

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.db import connection, models, transaction
from django.http import HttpResponse, JsonResponse
from django.template import engines
from django.urls import path

settings.configure(
    SECRET_KEY="for tests only",
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["APP_DATABASE"]}},
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
    INSTALLED_APPS=["rest_framework"],
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
)
django.setup()

from rest_framework import serializers  # noqa: E402


class Author(models.Model):
    name = models.TextField()

    class Meta:
        app_label = "shop"


class Book(models.Model):
    title = models.TextField()
    author = models.ForeignKey(Author, on_delete=models.CASCADE, related_name="books")

    class Meta:
        app_label = "shop"


class BookOut(serializers.ModelSerializer):
    writer = serializers.CharField(source="author.name")

    class Meta:
        model = Book
        fields = ("title", "writer")


class AuthorOut(serializers.ModelSerializer):
    titles = serializers.SerializerMethodField()

    class Meta:
        model = Author
        fields = ("name", "titles")

    def get_titles(self, author):
        return [book.title for book in author.books.all()]  # mark: method


def seed():
    with connection.schema_editor() as editor:
        editor.create_model(Author)
        editor.create_model(Book)
    authors = Author.objects.bulk_create([Author(name=f"a{n}") for n in range(12)])
    Book.objects.bulk_create([Book(title=f"t{n}", author=authors[n % 12]) for n in range(24)])


LIST = "{% for book in books %}{{ book.author.name }} {% endfor %}"


def rendered(books):
    return HttpResponse(engines["django"].from_string(LIST).render({"books": books}))  # mark: template


def template(request):
    return rendered(Book.objects.all()[:12])


def template_selected(request):
    return rendered(Book.objects.select_related("author")[:12])


def serializer(request):
    return JsonResponse(BookOut(Book.objects.all()[:12], many=True).data, safe=False)  # mark: serializer


def serializer_selected(request):
    return JsonResponse(BookOut(Book.objects.select_related("author")[:12], many=True).data, safe=False)


def method(request):
    return JsonResponse(AuthorOut(Author.objects.all(), many=True).data, safe=False)


def method_prefetched(request):
    return JsonResponse(AuthorOut(Author.objects.prefetch_related("books"), many=True).data, safe=False)


def filtered_relation(request):
    authors = Author.objects.prefetch_related("books")
    return JsonResponse([a.books.filter(title="t1").count() for a in authors], safe=False)  # mark: filtered


def gets(request):
    return JsonResponse([Author.objects.get(pk=key).name for key in range(1, 9)], safe=False)  # mark: gets


def saves(request):
    with transaction.atomic():
        for key in range(8):
            Book(title=f"n{key}", author_id=1).save()  # mark: saves
        transaction.set_rollback(True)
    return JsonResponse({})


def bulk(request):
    with transaction.atomic():
        Book.objects.bulk_create([Book(title=f"n{key}", author_id=1) for key in range(40)])
        transaction.set_rollback(True)
    return JsonResponse({})


VIEWS = (template, template_selected, serializer, serializer_selected, method, method_prefetched)
urlpatterns = [path(v.__name__, v) for v in (*VIEWS, filtered_relation, gets, saves, bulk)]
seed()
asgi = get_asgi_application()
