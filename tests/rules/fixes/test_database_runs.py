"""What is written, run on real databases: the same answers by fewer statements, and schemas that their tools accept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from perfcrew.core.patches import Fix

from .cases import At
from .database import asked
from .test_bookshop_database import fixes
from .test_bookshop_runtime import SHOP, apply, copy
from .test_db101 import AUTHOR, BOOK, LINES, MODELS
from .test_db103 import DJANGO, DJANGO_AT, DJANGO_PLAN, DJANGO_STATEMENT

DRIVER = """
import asyncio, json
from sqlalchemy import create_engine, event
from sqlalchemy.orm import Session
from shop.models import Author, Base, Book, Line, Order

engine = create_engine("sqlite://")
Base.metadata.create_all(engine)
with Session(engine) as session:
    session.add_all([Author(id=n, name=f"a{n}") for n in range(1, 8)])
    session.add_all([Book(id=n, isbn=f"i{n}", author_id=n % 7 + 1) for n in range(1, 15)])
    session.add_all([Order(id=n) for n in range(1, 6)])
    session.add_all([Line(id=n, order_id=n % 4 + 1, book_id=n % 14 + 1) for n in range(1, 21)])
    session.commit()
sent = []
event.listen(engine, "before_cursor_execute", lambda *a: sent.append(a[2]))
from shop.app import page
with Session(engine) as session:
    print(json.dumps({"answer": page(session), "statements": len(sent)}))
"""
HEAD = "from sqlalchemy import func, select\nfrom shop.models import Author, Book, Line, Order\n\n\n"
RUNS = {
    "one of each row": (
        "def page(session):\n    return [b.author.name for b in session.scalars(select(Book).order_by(Book.id))]\n",
        "b.author.name",
        AUTHOR,
        {"selectinload": 2, "joinedload": 1},
    ),
    "many of each row": (
        "def page(session):\n    return [len(o.lines) for o in session.query(Order).order_by(Order.id).all()]\n",
        "o.lines",
        LINES,
        {"selectinload": 2},
    ),
    "a relation of a relation": (
        "def page(session):\n    orders = session.scalars(select(Order).order_by(Order.id)).all()\n"
        "    return [line.book.isbn for order in orders for line in order.lines]\n",
        "line.book.isbn",
        BOOK,
        {"selectinload": 3},
    ),
    "a relation of a relation, behind an option of the older style": (
        "def page(session):\n    from sqlalchemy.orm import joinedload\n\n"
        "    orders = session.query(Order).options(joinedload(Order.lines)).order_by(Order.id).all()\n"
        "    return [[line.book.isbn for line in order.lines] for order in orders]\n",
        "line.book.isbn",
        BOOK,
        {"selectinload": 2},
    ),
    "got by the key": (
        "def page(session):\n    lines = session.scalars(select(Line).order_by(Line.id)).all()\n"
        "    return [session.get(Book, line.book_id).isbn for line in lines]\n",
        "session.get",
        BOOK,
        {"one IN": 2},
    ),
    "one value, and one that is missing": (
        "def page(session):\n    rows = session.scalars(select(Line).order_by(Line.id))\n"
        "    return [session.scalar(select(Author.name).where(Author.id == row.book_id)) for row in rows]\n",
        "session.scalar(",
        AUTHOR,
        {"one IN": 2},
    ),
    "counts, and one that is zero": (
        "def page(session):\n    found = []\n    for order in session.scalars(select(Order).order_by(Order.id)):\n"
        "        found.append(session.scalar(select(func.count()).where(Line.order_id == order.id)))\n"
        "    return found\n",
        "func.count",
        "SELECT count(*) FROM order_lines WHERE order_lines.order_id = ?",
        {"one IN": 2},
    ),
    "all rows of each, in their order": (
        "def page(session):\n    found = {}\n    for order in session.scalars(select(Order)).all():\n"
        "        lines = session.scalars(select(Line).where(Line.order_id == order.id).order_by(-Line.id)).all()\n"
        "        found[order.id] = [line.id for line in lines]\n    return found\n",
        "select(Line)",
        LINES,
        {"one IN": 2},
    ),
}


def ran(root: Path) -> dict[str, object]:
    """What the page answers, and by how many statements."""
    done = subprocess.run(
        [sys.executable, "-c", DRIVER], cwd=root, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("name", RUNS)
def test_the_same_answer_by_fewer_statements(name: str, tmp_path: Path) -> None:
    source, needle, statement, expected = RUNS[name]
    files = {"shop/__init__.py": "", "shop/models.py": MODELS, "shop/app.py": HEAD + source}
    answers = asked(tmp_path, "DB101", files, At(needle, "page"), statement)
    before = ran(tmp_path)
    counts = {}
    for fix in (a for a in answers if isinstance(a, Fix)):
        apply(tmp_path, fix)
        after = ran(tmp_path)
        assert after["answer"] == before["answer"]
        counts[fix.variant] = after["statements"]
    assert counts == expected
    assert all(count < int(str(before["statements"])) for count in counts.values())


def alembic(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DATABASE_URL": f"sqlite+aiosqlite:///{root}/checked.sqlite3", "PYTHONPATH": "src"}
    command = [sys.executable, "-m", "alembic", *arguments]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.target
def test_the_revision_agrees_with_the_models_and_can_be_undone(tmp_path: Path) -> None:
    root = copy(tmp_path / "shop")
    (fix,) = fixes(SHOP, "DB103")
    apply(root, fix)
    for arguments in (("upgrade", "head"), ("check",), ("downgrade", "-1"), ("upgrade", "head")):
        done = alembic(root, *arguments)
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr[-2000:]}"


SETTINGS = """
SECRET_KEY = "x"
INSTALLED_APPS = ["django.contrib.contenttypes", "shop"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}}
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = True
"""
REAL_MODELS = dedent(DJANGO["shop/models.py"]).replace(
    "class Event", "class Customer(models.Model):\n    name = models.TextField()\n\n\nclass Event"
)


def manage(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "settings", "PYTHONPATH": str(root)}
    command = [sys.executable, "-m", "django", *arguments]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.target
def test_django_sees_no_change_that_has_no_migration(tmp_path: Path) -> None:
    (tmp_path / "shop/migrations").mkdir(parents=True)
    for name, text in {
        "settings.py": SETTINGS,
        "shop/__init__.py": "",
        "shop/migrations/__init__.py": "",
        "shop/models.py": REAL_MODELS,
    }.items():
        (tmp_path / name).write_text(text)
    assert manage(tmp_path, "makemigrations", "shop").returncode == 0
    views = {"shop/views.py": DJANGO["shop/views.py"]}
    answers = asked(tmp_path, "DB103", views, DJANGO_AT, DJANGO_STATEMENT, plan=DJANGO_PLAN, framework="django")
    (fix,) = [a for a in answers if isinstance(a, Fix)]
    apply(tmp_path, fix)
    for arguments in (("makemigrations", "--check", "--dry-run"), ("migrate",), ("migrate", "shop", "0001")):
        done = manage(tmp_path, *arguments)
        assert done.returncode == 0, f"{arguments}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
