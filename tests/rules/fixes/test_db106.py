"""Columns that nobody reads, left out; and those that somebody may read."""

from __future__ import annotations

from pathlib import Path

import pytest

from .cases import At
from .database import asked, fixed, refused

MODELS = """
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Article(Base):
    __tablename__ = "articles"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    body: Mapped[str]
"""
HEAD = "from sqlalchemy import select\nfrom shop.models import Article\n\n\n"
ROUTE = '\n\n@router.get("/page", response_model=list[Title])\ndef handler(session):\n    return page(session)\n'
LEFT_OUT = {
    "a select": (
        "def page(session):\n    return session.scalars(select(Article)).all()\n",
        "select(Article).options(defer(Article.body))",
    ),
    "a query of the older style": (
        "def page(session):\n    return session.query(Article).order_by(Article.id).all()\n",
        "session.query(Article).options(defer(Article.body)).order_by(Article.id).all()",
    ),
    "beside an option": (
        "def page(session):\n    return session.scalars(select(Article).options(raiseload('*'))).all()\n",
        "select(Article).options(raiseload('*'), defer(Article.body))",
    ),
}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_the_column_is_left_out(name: str, tmp_path: Path) -> None:
    source, expected = LEFT_OUT[name]
    schema = "class Title(BaseModel):\n    id: int\n    title: str\n"
    files = {"shop/models.py": MODELS, "shop/schemas.py": schema, "shop/app.py": HEAD + source + ROUTE}
    text = fixed(asked(tmp_path, "DB106", files, At("session.", "page"), subject="Article.body"), "defer")[
        "shop/app.py"
    ]
    assert expected in text
    assert "from sqlalchemy.orm import defer\n" in text


def test_a_queryset_defers(tmp_path: Path) -> None:
    models = "from django.db import models\n\n\nclass Article(models.Model):\n    body = models.TextField()\n"
    source = (
        "from shop.models import Article\n\n\ndef page(request):\n    return list(Article.objects.order_by('id'))\n"
    )
    files = {"shop/models.py": models, "shop/app.py": source}
    answers = asked(tmp_path, "DB106", files, At("return list", "page"), subject="Article.body", framework="django")
    assert "Article.objects.order_by('id').defer(\"body\")" in fixed(answers, "defer")["shop/app.py"]


READ = "def page(session):\n    return session.scalars(select(Article)).all()\n"
DECLINED = {
    "the answer's model has it": (
        READ + ROUTE,
        "class Title(BaseModel):\n    body: str\n",
        "Article.body",
        "has a field `body`",
    ),
    "a base of the answer's model has it": (
        READ + ROUTE,
        "class Base(BaseModel):\n    body: str\n\n\nclass Title(Base):\n    id: int\n",
        "Article.body",
        "has a field `body`",
    ),
    "a caller reads it": (
        READ + "\n\ndef other(session):\n    return [a.body for a in page(session)]\n",
        "",
        "Article.body",
        "`other` in shop/app.py mentions `body`",
    ),
    "two statements": (
        "def page(session):\n    a = select(Article)\n    b = select(Article)\n    return session.scalars(a), b\n",
        "",
        "Article.body",
        "2 statements",
    ),
    "another column": (READ, "", "Article.colour", "no column `colour`"),
    "another class": (READ, "", "Visit.body", "the class Visit was not found"),
}


@pytest.mark.parametrize("name", DECLINED)
def test_declines(name: str, tmp_path: Path) -> None:
    source, schema, subject, reason = DECLINED[name]
    files = {"shop/models.py": MODELS, "shop/schemas.py": schema, "shop/app.py": HEAD + source}
    assert reason in refused(asked(tmp_path, "DB106", files, At("session.scalars", "page"), subject=subject))
