"""Eager loading in the words of SQLAlchemy 1.4, over two relations, from templates and serializers."""
# ruff: noqa: E501 (expected texts are to the letter)

from __future__ import annotations

from pathlib import Path

import pytest

from perfcrew.core.patches import Declined, Fix

from .cases import At
from .database import asked, fixed, refused

MODELS = """
from sqlalchemy import Column, ForeignKey, Integer, Text
from sqlalchemy.orm import backref, declarative_base, relationship

Base = declarative_base()


class Author(Base):
    __tablename__ = "authors"
    id = Column(Integer, primary_key=True)
    name = Column(Text)


class Book(Base):
    __tablename__ = "books"
    id = Column(Integer, primary_key=True)
    author_id = Column(Integer, ForeignKey("authors.id"))
    author = relationship("Author")


class Order(Base):
    __tablename__ = "orders"
    id = Column(Integer, primary_key=True)


class Line(Base):
    __tablename__ = "order_lines"
    id = Column(Integer, primary_key=True)
    order_id = Column(Integer, ForeignKey("orders.id"))
    book_id = Column(Integer, ForeignKey("books.id"))
    order = relationship("Order", backref="lines")
    book = relationship("Book")


class Log(Base):
    __tablename__ = "logs"
    id = Column(Integer, primary_key=True)
    order_id = Column(Integer, ForeignKey("orders.id"))
    author_id = Column(Integer, ForeignKey("authors.id"))
    order = relationship("Order", backref=backref("logs", lazy="dynamic"))
    author = relationship("Author")
"""
AUTHOR = "SELECT authors.id, authors.name FROM authors WHERE authors.id = ?"
LINES = "SELECT order_lines.id FROM order_lines WHERE ? = order_lines.order_id"
BOOK = "SELECT books.id FROM books WHERE books.id = ?"
LOGS = "SELECT logs.id FROM logs WHERE ? = logs.order_id"
HEAD = "from shop.models import Author, Book, Line, Log, Order\n\n\n"
EACH = "    return [[line.book.author.name for line in order.lines] for order in orders]\n"
BOOKS = "    return [[line.book.id for line in order.lines] for order in orders]\n"
LOADED = {
    "filtered, and all of them": (
        "def page(session):\n    books = session.query(Book).filter(Book.id > 3).all()\n    return [b.author.name for b in books]\n",
        AUTHOR,
        "session.query(Book).options(selectinload(Book.author)).filter(Book.id > 3).all()",
    ),
    "the other side's name": (
        "def page(session):\n    orders = session.query(Order).filter_by(id=3).all()\n    return [len(o.lines) for o in orders]\n",
        LINES,
        "session.query(Order).options(selectinload(Order.lines)).filter_by(id=3).all()",
    ),
    "two relations deep": (
        "def page(session):\n    orders = session.query(Order).all()\n" + BOOKS,
        BOOK,
        "session.query(Order).options(selectinload(Order.lines).selectinload(Line.book)).all()",
    ),
    "behind an option that is there": (
        "def page(session):\n    orders = session.query(Order).options(joinedload(Order.lines)).all()\n" + BOOKS,
        BOOK,
        "session.query(Order).options(joinedload(Order.lines).selectinload(Line.book)).all()",
    ),
    "behind what was joined": (
        "def page(session):\n    orders = session.query(Order).join(Order.lines).options(contains_eager(Order.lines)).all()\n"
        + BOOKS,
        BOOK,
        ".options(contains_eager(Order.lines).selectinload(Line.book)).all()",
    ),
    "behind two steps in one option": (
        "def page(session):\n    orders = session.query(Order).options(joinedload(Order.lines, Line.book)).all()\n"
        + EACH,
        AUTHOR,
        ".options(joinedload(Order.lines, Line.book).selectinload(Book.author)).all()",
    ),
    "beside an option of something else": (
        "def page(session):\n    books = session.query(Book).options(load_only(Book.id)).all()\n    return [b.author for b in books]\n",
        AUTHOR,
        "session.query(Book).options(load_only(Book.id), selectinload(Book.author)).all()",
    ),
    "by a class' own query": (
        "def page():\n    return [b.author.name for b in Book.query.filter_by(id=3).all()]\n",
        AUTHOR,
        "Book.query.options(selectinload(Book.author)).filter_by(id=3).all()",
    ),
}


def ask(tmp_path: Path, source: str, statement: str) -> list[Fix | Declined]:
    needle = next(n for n in ("    return [", "for o in o") if n in source)
    return asked(
        tmp_path, "DB101", {"shop/models.py": MODELS, "shop/app.py": HEAD + source}, At(needle, "page"), statement
    )


@pytest.mark.parametrize("name", LOADED)
def test_loaded_with_their_rows(name: str, tmp_path: Path) -> None:
    source, statement, expected = LOADED[name]
    text = fixed(ask(tmp_path, source, statement), "selectinload")["shop/app.py"]
    assert "".join(expected.split()) in "".join(text.split())


DECLINED = {
    "a dynamic relation by its other side": (
        "def page(session):\n    orders = session.query(Order).all()\n    return [o.logs.count() for o in orders]\n",
        LOGS,
        "lazy='dynamic'",
    ),
    "over a dynamic relation": (
        "def page(session):\n    orders = session.query(Order).all()\n    return [[log.author for log in o.logs] for o in orders]\n",
        AUTHOR,
        "lazy='dynamic'",
    ),
    "loaded by now, by a text": (
        "def page(session):\n    books = session.query(Book).options(joinedload('author')).all()\n    return [b.author for b in books]\n",
        AUTHOR,
        "loaded eagerly by now",
    ),
    "loaded by now, in one option": (
        "def page(session):\n    orders = session.query(Order).options(joinedload(Order.lines, Line.book)).all()\n"
        + BOOKS,
        BOOK,
        "loaded eagerly by now",
    ),
    "loaded by now, of a class' options": (
        "def page(session):\n    books = session.query(Book).options(Load(Book).joinedload(Book.author)).all()\n    return [b.author for b in books]\n",
        AUTHOR,
        "loaded eagerly by now",
    ),
    "behind a text": (
        "def page(session):\n    orders = session.query(Order).options(joinedload('lines')).all()\n" + BOOKS,
        BOOK,
        "names relations by text",
    ),
    "behind what must not be loaded": (
        "def page(session):\n    orders = session.query(Order).options(raiseload(Order.lines)).all()\n" + BOOKS,
        BOOK,
        "keeps them from being loaded",
    ),
    "columns": (
        "def page(session):\n    books = session.query(Book, Author.name).all()\n    return [b.author for b, _ in books]\n",
        "SELECT authors.id FROM authors WHERE authors.id = ? AND authors.name = ?",
        "no plain lookup",
    ),
    "rows of a statement of its own": (
        "def page(session):\n    books = session.query(Book).from_statement(text('x')).all()\n    return [b.author for b in books]\n",
        AUTHOR,
        "does not load whole",
    ),
}


@pytest.mark.parametrize("name", DECLINED)
def test_declines(name: str, tmp_path: Path) -> None:
    source, statement, reason = DECLINED[name]
    assert reason in refused(ask(tmp_path, source, statement))


VIEW = "def page(session):\n    return render_template('page.html', orders=session.query(Order).all())\n"
PAGE = "{% for order in orders %}\n{% for line in order.lines %}\n<li>{{ line.book.id }}</li>\n{% endfor %}\n{% endfor %}\n"


def test_a_template_of_jinja_names_the_relation(tmp_path: Path) -> None:
    files = {"shop/models.py": MODELS, "shop/app.py": HEAD + VIEW, "shop/templates/page.html": PAGE}
    culprit, trigger = At("line.book.id", "", "shop/templates/page.html"), At("render_template", "page")
    text = fixed(asked(tmp_path, "DB101", files, culprit, BOOK, trigger), "selectinload")["shop/app.py"]
    assert "session.query(Order).options(selectinload(Order.lines).selectinload(Line.book)).all()" in "".join(
        text.split()
    )


DJANGO = """
from django.db import models


class Person(models.Model):
    name = models.CharField(max_length=20)


class House(models.Model):
    owner = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="houses")


class Book(models.Model):
    author = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="+")
    editor = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="edited")
    house = models.ForeignKey(House, on_delete=models.CASCADE)
"""
PERSON = "SELECT shop_person.id, shop_person.name FROM shop_person WHERE shop_person.id = ? LIMIT 21"
API = """
from rest_framework import generics

from shop.models import Book
from shop.serializers import BookSerializer


class Books(generics.ListAPIView):
    serializer_class = BookSerializer

    def get_queryset(self):
        return Book.objects.filter(id__gt=3)
"""
SERIALIZED = {
    "by a source": ('    by = serializers.CharField(source="editor.name")\n', '["id", "by"]', 'select_related("editor")'),
    "by a serializer within": ("    author = PersonSerializer()\n", '["id", "author"]', 'select_related("author")'),
    "by a source over two": (
        '    owner = serializers.CharField(source="house.owner.name")\n', '["id", "owner"]', 'select_related("house__owner")',
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SERIALIZED)
def test_a_serializer_names_the_relation(name: str, tmp_path: Path) -> None:
    field, fields, expected = SERIALIZED[name]
    serializer = (
        f"class BookSerializer(serializers.ModelSerializer):\n{field}\n    class Meta:\n        model = Book\n"
        f"        fields = {fields}\n"
    )
    files = {"shop/models.py": DJANGO, "shop/serializers.py": serializer, "shop/app.py": API}
    at = At("return Book.objects", "get_queryset")
    text = fixed(asked(tmp_path, "DB101", files, at, PERSON, framework="django"), "select_related")["shop/app.py"]
    assert f"Book.objects.filter(id__gt=3).{expected}" in text
