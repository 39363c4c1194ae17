"""Pages of what had no bound: by FastAPI, Flask and Django; and rows of which a page would be wrong."""

# ruff: noqa: E501 (expected texts are to the letter)

from __future__ import annotations

from pathlib import Path

import pytest

from perfcrew.core.patches import Fix
from perfcrew.core.project import Framework

from .cases import At, same
from .database import asked, fixed, refused

STATEMENT = "SELECT books.id FROM books"
MODELS = """
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Book(Base):
    __tablename__ = "books"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
"""
PAGED: dict[str, tuple[Framework, str, str, str, str]] = {
    "a handler that reads by itself, in no order": (
        "fastapi",
        """
        from fastapi import APIRouter
        from sqlalchemy import select

        from shop.models import Book

        router = APIRouter()


        @router.get("/books")
        async def page(session: SessionDep) -> list[BookOut]:
            return (await session.scalars(select(Book))).all()
        """,
        "session.scalars",
        "limit and offset",
        """
        from typing import Annotated

        from fastapi import APIRouter, Query
        from sqlalchemy import select

        from shop.models import Book

        router = APIRouter()


        @router.get("/books")
        async def page(session: SessionDep, limit: Annotated[int, Query(ge=1, le=100)] = 100, offset: Annotated[int, Query(ge=0)] = 0) -> list[BookOut]:
            return (await session.scalars(
                select(Book).order_by(Book.id).limit(limit).offset(offset)
            )).all()
        """,
    ),
    "a function that others call too": (
        "fastapi",
        """
        from typing import Annotated
        from fastapi import APIRouter, Query
        from shop.models import Book

        router = APIRouter()


        def books_by_title(session, wanted: str = "") -> list[Book]:
            rows = session.query(Book).order_by(Book.title).all()
            return [row for row in rows]


        @router.get("/books")
        def page(session: SessionDep):
            return {"items": books_by_title(session)}


        def export(session):
            write(books_by_title(session))
        """,
        "session.query",
        "limit and offset",
        """
        from typing import Annotated
        from fastapi import APIRouter, Query
        from shop.models import Book

        router = APIRouter()


        def books_by_title(session, wanted: str = "", limit: int | None = None, offset: int | None = None) -> list[Book]:
            rows = session.query(Book).order_by(Book.title).limit(limit).offset(offset).all()
            return [row for row in rows]


        @router.get("/books")
        def page(session: SessionDep, limit: Annotated[int, Query(ge=1, le=100)] = 100, offset: Annotated[int, Query(ge=0)] = 0):
            return {"items": books_by_title(session, limit=limit, offset=offset)}


        def export(session):
            write(books_by_title(session))
        """,
    ),
    "a view of Flask": (
        "flask",
        """
        from flask import jsonify
        from sqlalchemy import select
        from shop.models import Book


        @app.route("/books")
        def page():
            \"\"\"All books.\"\"\"
            rows = db.session.scalars(select(Book).order_by(Book.title))
            return jsonify([row.title for row in rows])
        """,
        "db.session.scalars",
        "limit and offset",
        """
        from flask import jsonify, request
        from sqlalchemy import select
        from shop.models import Book


        @app.route("/books")
        def page():
            \"\"\"All books.\"\"\"
            limit = min(max(request.args.get("limit", 100, type=int), 1), 100)
            offset = max(request.args.get("offset", 0, type=int), 0)
            rows = db.session.scalars(
                select(Book).order_by(Book.title).limit(limit).offset(offset)
            )
            return jsonify([row.title for row in rows])
        """,
    ),
}


@pytest.mark.parametrize("name", PAGED)
def test_answers_in_pages(name: str, tmp_path: Path) -> None:
    framework, source, needle, variant, expected = PAGED[name]
    function = "books_by_title" if "books_by_title" in source else "page"
    files = {"shop/models.py": MODELS, "shop/app.py": source}
    answers = asked(tmp_path, "DB105", files, At(needle, function), STATEMENT, framework=framework)
    same(fixed(answers, variant)["shop/app.py"], expected)
    assert [a.exact for a in answers if isinstance(a, Fix)] == [False]


DJANGO = {
    "shop/models.py": "from django.db import models\n\n\nclass Book(models.Model):\n    title = models.TextField()\n",
    "shop/app.py": """
        from django.shortcuts import render
        from shop.models import Book


        def page(request):
            books = Book.objects.filter(title__gt="a")
            return render(request, "books.html", {"books": books})
        """,
}


def test_a_view_of_django_is_paginated(tmp_path: Path) -> None:
    answers = asked(tmp_path, "DB105", DJANGO, At("return render", "page"), STATEMENT, framework="django")
    same(
        fixed(answers, "Paginator")["shop/app.py"],
        """
        from django.core.paginator import Paginator
        from django.shortcuts import render
        from shop.models import Book


        def page(request):
            books = Paginator(Book.objects.filter(title__gt="a").order_by("pk"), 100).get_page(request.GET.get("page")).object_list
            return render(request, "books.html", {"books": books})
        """,
    )


ROUTE = '@router.get("/books")\ndef page(session):\n'
DECLINED = {
    "counted": ("    rows = session.scalars(select(Book)).all()\n    return len(rows)\n", "does more with the rows"),
    "a total beside them": (
        "    rows = session.scalars(select(Book)).all()\n    return {'items': rows, 'total': len(rows)}\n",
        "does more with the rows",
    ),
    "summed in a loop": (
        "    total = 0\n    for book in session.scalars(select(Book)):\n        total += book.price\n    return total\n",
        "does more with the rows",
    ),
    "filtered": (
        "    return [b for b in session.scalars(select(Book)) if b.open]\n",
        "does more with the rows",
    ),
    "bounded by now": ("    return session.scalars(select(Book).limit(5)).all()\n", "bounded in a way by now"),
    "an order of columns that nobody knows": (
        "    return session.execute(select(Book.title, func.count()).group_by(Book.title)).all()\n",
        "in no order",
    ),
}


@pytest.mark.parametrize("name", DECLINED)
def test_declines(name: str, tmp_path: Path) -> None:
    body, reason = DECLINED[name]
    source = "from sqlalchemy import select\nfrom shop.models import Book\n\n\n" + ROUTE + body
    needle = "session.scalars" if "session.scalars" in body else "session.execute"
    answers = asked(tmp_path, "DB105", {"shop/models.py": MODELS, "shop/app.py": source}, At(needle, "page"), STATEMENT)
    assert reason in refused(answers)


def test_a_parameter_that_is_there_is_not_taken(tmp_path: Path) -> None:
    source = (
        'from sqlalchemy import select\nfrom shop.models import Book\n\n\n@router.get("/books")\n'
        "def page(session, limit: int = 3):\n    return session.scalars(select(Book)).all()\n"
    )
    files = {"shop/models.py": MODELS, "shop/app.py": source}
    assert "has a parameter `limit` by now" in refused(
        asked(tmp_path, "DB105", files, At("session.scalars", "page"), STATEMENT)
    )


def test_rows_without_an_endpoint_above_them_are_left(tmp_path: Path) -> None:
    source = "from sqlalchemy import select\nfrom shop.models import Book\n\n\ndef page(session):\n    return session.scalars(select(Book)).all()\n"
    files = {"shop/models.py": MODELS, "shop/app.py": source}
    assert "which endpoint asks" in refused(asked(tmp_path, "DB105", files, At("session.scalars", "page"), STATEMENT))
