"""Columns that nobody reads, left out; and those that somebody may read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from perfcrew.core.patches import Fix

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


TITLES = "    return [a.title for a in rows]\n"
NARROWED = {
    "a select": (
        "def page(session):\n    rows = session.scalars(select(Article).order_by(Article.id)).all()\n" + TITLES,
        {
            "load_only": "select(Article).options(load_only(Article.id, Article.title)).order_by(Article.id)",
            "plain columns": "session.execute(select(Article.id, Article.title).order_by(Article.id)).all()",
        },
    ),
    "a statement with a name": (
        "async def page(session):\n    asked = select(Article).where(Article.id > 3)\n"
        "    rows = (await session.execute(asked)).scalars().all()\n" + TITLES,
        {
            "load_only": "select(Article).options(load_only(Article.id, Article.title)).where(Article.id > 3)",
            "plain columns": "    asked = select(Article.id, Article.title).where(Article.id > 3)\n"
            "    rows = (await session.execute(asked)).all()\n",
        },
    ),
    "one row, perhaps": (
        "def page(session):\n    row = session.execute(select(Article).where(Article.id == 3)).scalar_one_or_none()\n"
        "    return row.title if row else ''\n",
        {"plain columns": "session.execute(select(Article.id, Article.title).where(Article.id == 3)).one_or_none()"},
    ),
    "a query of the older style": (
        "def page(session):\n    rows = session.query(Article).filter(Article.id > 3).all()\n" + TITLES,
        {
            "load_only": "session.query(Article).options(load_only(Article.id, Article.title)).filter(Article.id > 3)",
            "plain columns": "session.query(Article.id, Article.title).filter(Article.id > 3).all()",
        },
    ),
    "the column's name is another row's": (
        "def page(session, mail):\n    rows = session.query(Article).all()\n    print(mail.body)\n" + TITLES,
        {"defer": "session.query(Article).options(defer(Article.body)).all()"},
    ),
    "an answer's model, through the caller": (
        "def page(session):\n    return session.scalars(select(Article)).all()\n" + ROUTE,
        {"load_only": "select(Article).options(load_only(Article.id, Article.title))"},
    ),
}


@pytest.mark.parametrize("name", NARROWED)
def test_only_the_columns_that_are_read(name: str, tmp_path: Path) -> None:
    source, expected = NARROWED[name]
    schema = "class Title(BaseModel):\n    id: int\n    title: str\n"
    files = {"shop/models.py": MODELS, "shop/schemas.py": schema, "shop/app.py": HEAD + source}
    needle = next(n for n in ("session.execute", "session.scalars", "session.query") if n in source)
    answers = asked(tmp_path, "DB106", files, At(needle, "page"), subject="Article.body")
    for variant, text in expected.items():
        assert bare(text) in bare(fixed(answers, variant)["shop/app.py"])


def bare(text: str) -> str:
    """Without blanks and line ends: a chain may be put on several lines."""
    return "".join(text.split())


SERIALIZER = """
class ArticleSerializer(serializers.ModelSerializer):
    headline = serializers.CharField(source="title")

    class Meta:
        model = Article
        fields = ["id", "headline"]
"""
DJANGO = "from django.db import models\n\n\nclass Article(models.Model):\n"
DJANGO += "    title = models.TextField()\n    body = models.TextField()\n"
VIEW = "def page(request):\n    rows = Article.objects.order_by('id')\n"


def django(tmp_path: Path, source: str, serializer: str = SERIALIZER):  # type: ignore[no-untyped-def]
    files = {"shop/models.py": DJANGO, "shop/serializers.py": serializer}
    files["shop/app.py"] = "from shop.models import Article\n\n\n" + source
    return asked(tmp_path, "DB106", files, At("Article.objects", "page"), subject="Article.body", framework="django")


@pytest.mark.parametrize(
    "after", [TITLES, "    return Response(ArticleSerializer(rows, many=True).data)\n"], ids=["read", "serialized"]
)
def test_a_queryset_of_only_what_is_read(after: str, tmp_path: Path) -> None:
    text = fixed(django(tmp_path, VIEW + after), "only")["shop/app.py"]
    assert 'Article.objects.order_by(\'id\').only("id", "title")\n' in text


SERIALIZED = "    return Response(ArticleSerializer(rows, many=True).data)\n"
NO_SERIALIZER = {
    "all fields": SERIALIZER.replace('["id", "headline"]', '"__all__"'),
    "over a relation": SERIALIZER.replace('source="title"', 'source="author.name"'),
    "a method": SERIALIZER + "\n    def get_more(self, row):\n        return row.body\n",
    "a field by a method": SERIALIZER.replace('CharField(source="title")', "SerializerMethodField()"),
    "a serializer within": SERIALIZER.replace('serializers.CharField(source="title")', "AuthorSerializer()"),
    "more bases": SERIALIZER.replace("serializers.ModelSerializer", "Mixin, serializers.ModelSerializer"),
}


@pytest.mark.parametrize("name", NO_SERIALIZER)
def test_a_serializer_that_may_read_more(name: str, tmp_path: Path) -> None:
    answers = django(tmp_path, VIEW + SERIALIZED, NO_SERIALIZER[name])
    assert [a.variant for a in answers if isinstance(a, Fix)] == ["defer"]


WIDE = {
    "it is read": "    print(rows[0].body)\n" + TITLES,
    "rows get to who knows whom": "    show(rows)\n" + TITLES,
    "a row is written": "    rows[0].title = 'x'\n" + TITLES,
    "a row is returned in a tuple": "    return rows, 1\n",
    "nobody is seen to get the rows": "    return rows\n",
    "what is in a column is changed": "    rows[0].title[0] = 'x'\n" + TITLES,
    "all attributes": "    return [vars(a) for a in rows]\n",
    "an attribute by its name": "    return [getattr(a, 'body') for a in rows]\n",
    "in a text": "    return f'{rows[0]}'\n",
}


@pytest.mark.parametrize("name", WIDE)
def test_where_readers_are_not_all_known_nothing_is_narrowed(name: str, tmp_path: Path) -> None:
    source = "def page(session):\n    rows = session.scalars(select(Article)).all()\n" + WIDE[name]
    files = {"shop/models.py": MODELS, "shop/app.py": HEAD + source}
    answers = asked(tmp_path, "DB106", files, At("session.scalars", "page"), subject="Article.body")
    assert not {"load_only", "plain columns"} & {a.variant for a in answers if isinstance(a, Fix)}


def test_a_statement_that_goes_on_by_its_name(tmp_path: Path) -> None:
    source = (
        "def page(session) -> list[Article]:\n    newest = select(Article).order_by(Article.id)\n"
        "    return list(session.scalars(newest.limit(9)))\n\n\n"
        "def shown(session):\n    return [a.title for a in page(session)]\n"
    )
    files = {"shop/models.py": MODELS, "shop/app.py": HEAD + source}
    answers = asked(tmp_path, "DB106", files, At("session.scalars", "page"), subject="Article.body")
    # What says that it returns articles must not return plain rows.
    assert [a.variant for a in answers if isinstance(a, Fix)] == ["defer", "load_only"]


def test_a_statement_that_asks_for_else_by_its_name(tmp_path: Path) -> None:
    source = (
        "def page(session):\n    newest = select(Article)\n"
        "    return [a.title for a in session.scalars(newest.with_only_columns(Article.title))]\n"
    )
    files = {"shop/models.py": MODELS, "shop/app.py": HEAD + source}
    answers = asked(tmp_path, "DB106", files, At("session.scalars", "page"), subject="Article.body")
    assert [a.variant for a in answers if isinstance(a, Fix)] == ["defer"]


NOT_PLAIN = {
    "rows once each": "session.scalars(select(Article)).unique().all()",
    "the first thing of a row": "[session.scalar(select(Article))]",
    "options": "session.scalars(select(Article).options(raiseload('*'))).all()",
    "locked": "session.scalars(select(Article).with_for_update()).all()",
}


@pytest.mark.parametrize("name", NOT_PLAIN)
def test_no_plain_rows(name: str, tmp_path: Path) -> None:
    source = f"def page(session):\n    rows = {NOT_PLAIN[name]}\n" + TITLES
    files = {"shop/models.py": MODELS, "shop/app.py": HEAD + source}
    answers = asked(tmp_path, "DB106", files, At("session.", "page"), subject="Article.body")
    assert "plain columns" not in {a.variant for a in answers if isinstance(a, Fix)}


RUN = """
import json
from sqlalchemy import create_engine, event
from sqlalchemy.orm import Session
from shop.models import Article, Base

engine = create_engine("sqlite://")
Base.metadata.create_all(engine)
with Session(engine) as session:
    session.add_all([Article(id=n, title=f"t{n}", body="x" * 999) for n in range(1, 5)])
    session.commit()
sent = []
event.listen(engine, "before_cursor_execute", lambda *a: sent.append(a[2]))
from shop.app import page, shown
with Session(engine) as session:
    print(json.dumps({"answer": shown(page(session)), "sent": sent}))
"""


def test_a_real_answer_is_the_same_without_the_column(tmp_path: Path) -> None:
    source = (
        "from pydantic import BaseModel, ConfigDict\n\n\nclass Title(BaseModel):\n"
        "    model_config = ConfigDict(from_attributes=True)\n    id: int\n    title: str\n\n\n"
        "def page(session):\n    return session.scalars(select(Article).order_by(Article.id)).all()\n\n\n"
        "def shown(rows):\n    return [Title.model_validate(row).model_dump() for row in rows]\n\n\n"
        "def both(session):\n    return shown(page(session))\n"
    )
    files = {"shop/__init__.py": "", "shop/models.py": MODELS, "shop/app.py": HEAD + source}
    answers = asked(tmp_path, "DB106", files, At("session.scalars", "page"), subject="Article.body")
    before = _ran(tmp_path)
    assert "body" in before["sent"][0]
    found = [a for a in answers if isinstance(a, Fix)]
    assert [f.variant for f in found] == ["defer", "load_only", "plain columns"]
    for fix in found:
        (tmp_path / "shop/app.py").write_text(str(fix.files["shop/app.py"]))
        after = _ran(tmp_path)
        assert after["answer"] == before["answer"]
        assert len(after["sent"]) == 1
        assert "body" not in after["sent"][0]


def _ran(root: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", RUN], cwd=root, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(json.loads(done.stdout))
