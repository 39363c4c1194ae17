"""Relations of Django models, loaded with their rows."""

# ruff: noqa: E501 (expected texts are to the letter)

from __future__ import annotations

from pathlib import Path

import pytest

from perfcrew.core.patches import Declined, Fix

from .cases import At
from .database import asked, fixed, refused

MODELS = """
from django.db import models


class Author(models.Model):
    name = models.CharField(max_length=20)


class Tag(models.Model):
    name = models.CharField(max_length=20)


class Book(models.Model):
    author = models.ForeignKey(Author, on_delete=models.CASCADE, related_name="books")
    tags = models.ManyToManyField(Tag)


class Order(models.Model):
    placed = models.DateTimeField()


class Line(models.Model):
    order = models.ForeignKey("Order", on_delete=models.CASCADE)
    book = models.ForeignKey("shop.Book", on_delete=models.CASCADE)
"""
AUTHOR = "SELECT shop_author.id, shop_author.name FROM shop_author WHERE shop_author.id = ? LIMIT 21"
BOOKS = "SELECT shop_book.id FROM shop_book WHERE shop_book.author_id = ?"
BOOK = "SELECT shop_book.id FROM shop_book WHERE shop_book.id = ? LIMIT 21"
TAGS = (
    "SELECT shop_tag.id FROM shop_tag INNER JOIN shop_book_tags ON (shop_tag.id = shop_book_tags.tag_id) "
    "WHERE shop_book_tags.book_id = ?"
)
HEAD = "from django.shortcuts import get_object_or_404, render\nfrom shop.models import Author, Book, Order\n\n\n"

LOADED = {
    "one of each row": (
        "def page(request):\n    books = Book.objects.filter(id__gt=3)[:20]\n    return [b.author.name for b in books]\n",
        "b.author.name",
        AUTHOR,
        "select_related",
        'Book.objects.filter(id__gt=3).select_related("author")[:20]',
    ),
    "many of each row, by the other side's name": (
        "def page(request):\n    return [list(a.books.all()) for a in Author.objects.all()]\n",
        "a.books.all()",
        BOOKS,
        "prefetch_related",
        'Author.objects.all().prefetch_related("books")',
    ),
    "many to many": (
        "def page(request):\n    return [list(b.tags.all()) for b in Book.objects.order_by('id')]\n",
        "b.tags.all()",
        TAGS,
        "prefetch_related",
        "Book.objects.order_by('id').prefetch_related(\"tags\")",
    ),
    "over a relation by its default name": (
        "def page(request):\n    for order in Order.objects.all():\n        for line in order.line_set.all():\n"
        "            show(line.book)\n",
        "line.book",
        BOOK,
        "prefetch_related",
        'Order.objects.all().prefetch_related("line_set__book")',
    ),
    "one more beside what is there": (
        "def page(request):\n    rows = Book.objects.select_related('publisher').all()\n    return [b.author for b in rows]\n",
        "b.author for",
        AUTHOR,
        "select_related",
        "Book.objects.select_related('publisher', \"author\").all()",
    ),
    "before what ends the queryset": (
        "def page(request):\n    author = Author.objects.get(id=3)\n    return [list(b.tags.all()) for b in author.books.all()]\n",
        "b.tags.all()",
        TAGS,
        "prefetch_related",
        'Author.objects.prefetch_related("books__tags").get(id=3)',
    ),
    "of a view's class": (
        "class Page(ListView):\n    queryset = Book.objects.all()\n\n    def rows(self):\n"
        "        return [b.author for b in self.get_queryset()]\n",
        "b.author for",
        AUTHOR,
        "select_related",
        'queryset = Book.objects.all().select_related("author")',
    ),
}


def ask(tmp_path: Path, source: str, needle: str, statement: str, function: str = "page") -> list[Fix | Declined]:
    files = {"shop/models.py": MODELS, "shop/app.py": HEAD + source}
    return asked(tmp_path, "DB101", files, At(needle, function), statement, framework="django")


@pytest.mark.parametrize("name", LOADED)
def test_relations_are_loaded_with_their_rows(name: str, tmp_path: Path) -> None:
    source, needle, statement, variant, expected = LOADED[name]
    function = "rows" if "def rows" in source else "page"
    text = fixed(ask(tmp_path, source, needle, statement, function), variant)["shop/app.py"]
    assert expected in text
    assert len(text.splitlines()) == len((HEAD + source).splitlines())


def test_a_template_is_looked_at_for_the_name(tmp_path: Path) -> None:
    view = HEAD + "def page(request):\n    return render(request, 'page.html', {'books': Book.objects.all()})\n"
    page = "<ul>\n{% for book in books %}\n<li>{{ book.author.name }}</li>\n{% endfor %}\n</ul>\n"
    files = {"shop/models.py": MODELS, "shop/app.py": view, "shop/templates/page.html": page}
    culprit, trigger = At("book.author.name", "", "shop/templates/page.html"), At("return render", "page")
    answers = asked(tmp_path, "DB101", files, culprit, AUTHOR, trigger, framework="django")
    assert 'Book.objects.all().select_related("author")' in fixed(answers, "select_related")["shop/app.py"]


def test_a_loop_of_gets_becomes_one_in_bulk(tmp_path: Path) -> None:
    source = (
        "def page(request):\n    found = []\n    for line in Line.objects.all():\n"
        "        found.append(Book.objects.get(pk=line.book_id))\n    return found\n"
    )
    text = fixed(ask(tmp_path, "from shop.models import Line\n\n\n" + source, "Book.objects.get", BOOK), "in_bulk")[
        "shop/app.py"
    ]
    assert text.endswith(
        "    found = []\n    rows = list(Line.objects.all())\n"
        "    books_by_id = Book.objects.in_bulk({line.book_id for line in rows})\n    for line in rows:\n"
        "        found.append(books_by_id[line.book_id])\n    return found\n"
    )


DECLINED = {
    "a missing row is caught": (
        "def page(request, lines: list[Line]):\n    for line in lines:\n        try:\n"
        "            show(Book.objects.get(pk=line.book_id))\n        except Book.DoesNotExist:\n            pass\n",
        "Book.objects.get",
        BOOK,
        "caught by a `try`",
    ),
    "a key that only some turns read": (
        "def page(request, lines: list[Line]):\n    for line in lines:\n        if line.gift:\n"
        "            show(Book.objects.get(pk=line.gift.book_id))\n",
        "Book.objects.get",
        BOOK,
        "decides in which turns the key is read",
    ),
    "a field that is not unique": (
        "def page(request, lines: list[Line]):\n    return [Book.objects.get(author=x.author) for x in lines]\n",
        "Book.objects.get",
        BOOKS,
        "`author` is not a unique field",
    ),
    "the related rows are counted": (
        "def page(request):\n    return [a.books.count() for a in Author.objects.all()]\n",
        "a.books.count()",
        "SELECT COUNT(*) FROM shop_book WHERE shop_book.author_id = ?",
        "filtered, counted or cut",
    ),
    "loaded with the rows by now": (
        "def page(request):\n    return [b.author for b in Book.objects.select_related('author')]\n",
        "b.author",
        AUTHOR,
        "by now",
    ),
    "values are no rows": (
        "def page(request):\n    return [b['author'] for b in Book.objects.values('author')]\n",
        "b['author']",
        AUTHOR,
        "was not found in reach",
    ),
    "the rows come from elsewhere": (
        "def page(books):\n    return [b.author for b in books]\n",
        "b.author",
        AUTHOR,
        "was not found in reach",
    ),
}


@pytest.mark.parametrize("name", DECLINED)
def test_declines(name: str, tmp_path: Path) -> None:
    source, needle, statement, reason = DECLINED[name]
    assert reason in refused(ask(tmp_path, source, needle, statement))
