"""DB110's changes: what is written, to the letter, and what is refused with its reason."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from perfcrew.core.patches import Declined, Fix

from .cases import At, proposed, reasons, same, variant

WRITTEN: dict[str, tuple[str, At, str, str]] = {
    "sqlite3": (
        """
        import sqlite3


        def tag(connection, books):
            # every book
            for book in books:
                connection.execute("INSERT INTO tag VALUES (?, ?)", (book.id, book.name))
            connection.commit()
        """,
        At("connection.execute", "tag"),
        "bulk",
        """
        import sqlite3


        def tag(connection, books):
            # every book
            connection.executemany(
                "INSERT INTO tag VALUES (?, ?)", [(book.id, book.name) for book in books]
            )
            connection.commit()
        """,
    ),
    "a cursor of psycopg, with a condition": (
        """
        import psycopg


        def tag(cursor, books):
            for n, book in enumerate(books):
                if book.seen:
                    cursor.execute("UPDATE tag SET n = %s WHERE id = %s", (n, book.id))
        """,
        At("cursor.execute", "tag"),
        "bulk",
        """
        import psycopg


        def tag(cursor, books):
            cursor.executemany(
                "UPDATE tag SET n = %s WHERE id = %s", [(n, book.id) for n, book in enumerate(books) if book.seen]
            )
        """,
    ),
    "a connection of psycopg": (
        """
        import psycopg


        def tag(connection, books):
            for book in books:
                connection.execute("DELETE FROM tag WHERE id = %s", [book.id])
        """,
        At("connection.execute", "tag"),
        "bulk",
        """
        import psycopg


        def tag(connection, books):
            connection.cursor().executemany(
                "DELETE FROM tag WHERE id = %s", [[book.id] for book in books]
            )
        """,
    ),
    "psycopg2, whose executemany sends a statement a row": (
        """
        import psycopg2


        def tag(cursor, books):
            for book in books:
                cursor.execute("INSERT INTO tag VALUES (%s)", (book.id,))
        """,
        At("cursor.execute", "tag"),
        "bulk",
        """
        import psycopg2
        from psycopg2.extras import execute_batch


        def tag(cursor, books):
            execute_batch(cursor, "INSERT INTO tag VALUES (%s)", [(book.id,) for book in books])
        """,
    ),
    "asyncpg": (
        """
        import asyncpg


        async def tag(connection, books):
            for book in books:
                await connection.execute("INSERT INTO tag VALUES ($1, $2)", book.id, book.name.strip())
        """,
        At("connection.execute", "tag"),
        "bulk",
        """
        import asyncpg


        async def tag(connection, books):
            await connection.executemany(
                "INSERT INTO tag VALUES ($1, $2)", [(book.id, book.name.strip()) for book in books]
            )
        """,
    ),
    "SQLAlchemy's insert": (
        """
        from sqlalchemy import insert


        async def tag(session, books):
            for book in books:
                await session.execute(insert(Tag).values(book_id=book.id, name=str(book.name)))
            await session.commit()
        """,
        At("session.execute", "tag"),
        "bulk",
        """
        from sqlalchemy import insert


        async def tag(session, books):
            rows = [{"book_id": book.id, "name": str(book.name)} for book in books]
            if rows:
                await session.execute(insert(Tag), rows)
            await session.commit()
        """,
    ),
    "SQLAlchemy's text": (
        """
        from sqlalchemy import text


        def tag(connection, books):
            for book in books:
                connection.execute(text("INSERT INTO tag VALUES (:id)"), {"id": book.id})
        """,
        At("connection.execute", "tag"),
        "bulk",
        """
        from sqlalchemy import text


        def tag(connection, books):
            rows = [{"id": book.id} for book in books]
            if rows:
                connection.execute(text("INSERT INTO tag VALUES (:id)"), rows)
        """,
    ),
    "a commit a row": (
        """
        def tag(session, books):
            for book in books:
                session.add(Tag(book_id=book.id))
                session.commit()
        """,
        At("session.commit", "tag"),
        "one commit",
        """
        def tag(session, books):
            for book in books:
                session.add(Tag(book_id=book.id))
            session.commit()
        """,
    ),
    "a flush a row, awaited": (
        """
        async def tag(session, books):
            for book in books:
                session.add(Tag(book_id=book.id))
                await session.flush()
        """,
        At("session.flush", "tag"),
        "one flush",
        """
        async def tag(session, books):
            for book in books:
                session.add(Tag(book_id=book.id))
            await session.flush()
        """,
    ),
    "a commit a row, of what a turn makes": (
        """
        NAMES = {"new": "New"}


        def tag(connection, books):
            cursor = connection.cursor()
            for book in books:
                name = NAMES.get(book.state, "Old").strip()
                if name:
                    cursor.execute("INSERT INTO tag VALUES (?, ?)", (book.id, name))
                connection.commit()
        """,
        At("connection.commit", "tag"),
        "one commit",
        """
        NAMES = {"new": "New"}


        def tag(connection, books):
            cursor = connection.cursor()
            for book in books:
                name = NAMES.get(book.state, "Old").strip()
                if name:
                    cursor.execute("INSERT INTO tag VALUES (?, ?)", (book.id, name))
            connection.commit()
        """,
    ),
    "a flush a row, of an object that a turn makes": (
        """
        def tag(session, books):
            for book in books:
                tag = Tag(book_id=book.id)
                tag.name = book.name
                session.add(tag)
                session.flush()
        """,
        At("session.flush", "tag"),
        "one flush",
        """
        def tag(session, books):
            for book in books:
                tag = Tag(book_id=book.id)
                tag.name = book.name
                session.add(tag)
            session.flush()
        """,
    ),
}

LOOP = "def tag(session, books):\n    for b in books:\n"
AT_END = {"commit": At("session.commit", "tag"), "flush": At("session.flush", "tag")}
TURNS = {
    "somebody is charged in between": (
        "",
        "        gateway.charge(b.card)\n        session.add(Tag(b.id))\n",
        "commit",
        "`gateway.charge` may count on",
    ),
    "a charge whose answer is stored": (
        "",
        "        paid = gateway.charge(b.card)\n        session.add(Tag(b.id, paid))\n",
        "commit",
        "`gateway.charge` makes a value",
    ),
    "each row refers to the one before": (
        "",
        "        node = Node(parent_id=parent.id if parent else None)\n"
        "        session.add(node)\n"
        "        parent = node\n",
        "flush",
        "`parent` may be of the turn before",
    ),
    "rows that refer to each other": (
        "",
        "        b.child.parent_id = b.parent.id\n        session.add(b.child)\n",
        "flush",
        "keeps something that the next turn may read",
    ),
    "a row that another turn stores": (
        "",
        "        b.parent_id = b.parent.id\n        session.add(b)\n",
        "flush",
        "is not made in the turn",
    ),
    "what was stored is read again": (
        "",
        "        old = session.get(Tag, b.id)\n        session.add(Tag(b.id, old))\n",
        "commit",
        "may depend on the row before",
    ),
    "a read for each row": (
        "",
        "        session.add(Tag(b.id))\n        session.scalars(select(Tag))\n",
        "commit",
        "`session.scalars` may count on",
    ),
    "a dict that is kept": (
        "",
        "        session.add(Tag(known.get(b.id)))\n",
        "commit",
        "may depend on the row before",
    ),
    "a dict that grows": (
        "",
        "        known[b.name] = b.id\n        session.add(Tag(b.id))\n",
        "flush",
        "keeps something that the next turn may read",
    ),
    "a count": ("", "        n += 1\n        session.add(Tag(b.id, n))\n", "flush", "not known by rule"),
    "nothing is written": ("", "        n = b.id\n", "commit", "nothing in the loop is written"),
    "something else is waited for": (
        "async ",
        "        await notify(b)\n        session.add(Tag(b.id))\n",
        "commit",
        "something besides",
    ),
    "an object that is made and not stored": (
        "",
        "        paid = Charge(b.card)\n        session.add(Tag(b.id))\n",
        "commit",
        "is made in the turn, and not stored",
    ),
    "an object within another": ("", "        session.add(Tag(Charge(b.card)))\n", "commit", "may depend on"),
}
REFUSED: dict[str, tuple[str, At, str]] = {
    "no loop": (
        "def tag(cursor, book):\n    cursor.execute('INSERT INTO tag VALUES (?)', (book.id,))",
        At("cursor.execute", "tag"),
        "in no `for` loop of its own function",
    ),
    "what it gives back is used": (
        "def tag(cursor, books):\n"
        "    for b in books:\n"
        "        b.row = cursor.execute('INSERT INTO tag VALUES (?)', (b.id,))",
        At("cursor.execute", "tag"),
        "uses what the write gives back",
    ),
    "rows come back": (
        "def tag(cursor, books):\n"
        "    for b in books:\n"
        "        cursor.execute('INSERT INTO t VALUES (?) RETURNING id', (b.id,))",
        At("cursor.execute", "tag"),
        "gives something back for each row",
    ),
    "another statement in the loop": (
        "def tag(cursor, books):\n"
        "    for b in books:\n"
        "        log(b)\n"
        "        cursor.execute('INSERT INTO t VALUES (?)', (b.id,))",
        At("cursor.execute", "tag"),
        "does more than to write one row",
    ),
    "a value that may depend on the row before": (
        "def tag(cursor, books):\n"
        "    for b in books:\n"
        "        cursor.execute('INSERT INTO t VALUES (?)', (next_of(cursor),))",
        At("cursor.execute", "tag"),
        "may depend on the row before",
    ),
    "a value that is waited for": (
        "async def tag(db, books):\n"
        "    for b in books:\n"
        "        await db.execute('INSERT INTO t VALUES ($1)', await b.name())",
        At("db.execute", "tag"),
        "waited for",
    ),
    "a text that differs": (
        "def tag(cursor, books):\n"
        "    for b in books:\n"
        "        cursor.execute(f'INSERT INTO {b.table} VALUES (?)', (b.id,))",
        At("cursor.execute", "tag"),
        "differs from turn to turn",
    ),
    "errors are caught": (
        "def tag(cursor, books):\n"
        "    try:\n"
        "        for b in books:\n"
        "            cursor.execute('INSERT INTO t VALUES (?)', (b.id,))"
        "\n    except ValueError:\n        pass",
        At("cursor.execute", "tag"),
        "catches what a row's write raises",
    ),
    "the cursor is gone over meanwhile": (
        "def tag(cursor):\n"
        "    for b in cursor.execute('SELECT 1'):\n"
        "        cursor.execute('INSERT INTO t VALUES (?)', (b[0],))",
        At("INSERT", "tag"),
        "what the loop goes over",
    ),
    "the variable is used afterwards": (
        "def tag(cursor, books):\n"
        "    for b in books:\n"
        "        cursor.execute('INSERT INTO t VALUES (?)', (b.id,))\n"
        "    return b",
        At("cursor.execute", "tag"),
        "used outside of the loop",
    ),
    "a loop in a loop": (
        "def tag(cursor, books):\n"
        "    for b in books:\n"
        "        for t in b.tags:\n"
        "            cursor.execute('INSERT INTO t VALUES (?)', (t,))",
        At("cursor.execute", "tag"),
        "only a single `for` loop",
    ),
    "an upsert of SQLAlchemy": (
        "def tag(session, books):\n"
        "    for b in books:\n"
        "        session.execute(insert(Tag).values(id=b.id).on_conflict_do_nothing())",
        At("session.execute", "tag"),
        "differs from turn to turn",
    ),
    "a commit in a turn that may end early": (
        "def tag(session, books):\n"
        "    for b in books:\n"
        "        if b.old:\n"
        "            continue\n"
        "        session.add(b)\n"
        "        session.commit()",
        At("session.commit", "tag"),
        "may end the turn early",
    ),
    **{
        name: (
            f"{before}def tag(session, books):\n    for b in books:\n{body}        session.{end}()",
            AT_END[end],
            why,
        )
        for name, (before, body, end, why) in TURNS.items()
    },
    "a flush of another kind": (
        "def tag(producer, books):\n    for b in books:\n        producer.add(b)\n        producer.flush()",
        At("producer.flush", "tag"),
        "is not known to be a session",
    ),
    "what it goes over is read turn by turn": (
        "def tag(session, books):\n"
        "    for b in waiting(books):\n"
        "        session.add(Tag(b.id))\n"
        "        session.commit()",
        At("session.commit", "tag"),
        "may read for each turn",
    ),
    "a commit of another session": (
        "def tag(session, log_session, books):\n"
        "    for b in books:\n"
        "        session.add(Tag(b.id))\n"
        "        log_session.commit()",
        At("log_session.commit", "tag"),
        "may count on the rows before it",
    ),
    "a value that a store has": (
        "def tag(cursor, store, books):\n"
        "    for b in books:\n"
        "        cursor.execute('INSERT INTO t VALUES (?)', (store.get(b.id),))",
        At("cursor.execute", "tag"),
        "may depend on the row before",
    ),
    "a value that the session has": (
        "def tag(session, books):\n"
        "    for b in books:\n"
        "        session.execute(insert(Tag).values(n=session.get(Tag, b.id).n))",
        At("session.execute", "tag"),
        "may depend on the row before",
    ),
    "a value that is fetched": (
        "def tag(cursor, books):\n"
        "    for b in books:\n"
        "        cursor.execute('INSERT INTO t VALUES (?)', (requests.get(b.url),))",
        At("cursor.execute", "tag"),
        "may depend on the row before",
    ),
}
MODELS = """
from django.db import models


class Tag(models.Model):
    name = models.TextField()
"""
CREATES = """
from shop.models import Tag


def tag(books):
    for book in books:
        Tag.objects.create(name=book.name)
"""
BULK = """
from shop.models import Tag


def tag(books):
    Tag.objects.bulk_create([Tag(name=book.name) for book in books])
"""


@pytest.mark.parametrize(("source", "at", "name", "expected"), WRITTEN.values(), ids=WRITTEN)
def test_written(tmp_path: Path, source: str, at: At, name: str, expected: str) -> None:
    same(variant(proposed(tmp_path, "DB110", source, at), name), expected)


@pytest.mark.parametrize(("source", "at", "reason"), REFUSED.values(), ids=REFUSED)
def test_refused(tmp_path: Path, source: str, at: At, reason: str) -> None:
    answers = proposed(tmp_path, "DB110", source, at)
    assert reason in reasons(answers), answers


def test_django_creates_in_bulk(tmp_path: Path) -> None:
    answers = proposed(
        tmp_path, "DB110", CREATES, At("create", "tag"), framework="django", others={"shop/models.py": MODELS}
    )
    same(variant(answers, "bulk"), BULK)


@pytest.mark.parametrize(
    ("others", "reason"),
    [
        ({"shop/models.py": MODELS + "\n    def save(self):\n        pass\n"}, "has a `save` of its own"),
        ({"shop/models.py": MODELS, "shop/hooks.py": "post_save.connect(f)\n"}, "listens to signals"),
        ({}, "is not a model of the project"),
    ],
)
def test_django_refused(tmp_path: Path, others: dict[str, str], reason: str) -> None:
    answers = proposed(tmp_path, "DB110", CREATES, At("create", "tag"), framework="django", others=others)
    assert reason in reasons(answers)


class Row:
    def __init__(self, number: int) -> None:
        self.id, self.name = number, f"n{number}"


def loaded(source: str) -> Any:
    space: dict[str, Any] = {}
    exec(compile(source, "app.py", "exec"), space)
    return space["tag"]


@pytest.mark.parametrize("count", [0, 1, 50])
def test_the_written_code_writes_the_same_rows(tmp_path: Path, count: int) -> None:
    """sqlite3's and SQLAlchemy's forms, run for real before and after; also on no row at all."""
    for name in ("sqlite3", "SQLAlchemy's text"):
        source, at, kind, _ = WRITTEN[name]
        new = variant(proposed(tmp_path, "DB110", source, at), kind)
        old = (tmp_path / "shop/app.py").read_text()
        assert written(name, old, count) == written(name, new, count)
        assert len(written(name, new, count)) == count


def written(name: str, source: str, count: int) -> list[Any]:
    rows = [Row(n) for n in range(count)]
    if name == "sqlite3":
        db = sqlite3.connect(":memory:")
        db.execute("CREATE TABLE tag (id int, name text)")
        loaded(source)(db, rows)
        return db.execute("SELECT * FROM tag ORDER BY id").fetchall()
    with create_engine("sqlite://").connect() as connection:
        connection.execute(text("CREATE TABLE tag (id int)"))
        loaded(source)(connection, rows)
        return [tuple(row) for row in connection.execute(text("SELECT * FROM tag ORDER BY id"))]


SHELF = """
from django.db import models


class Book(models.Model):
    price = models.IntegerField()
    title = models.TextField()
    changed = models.DateTimeField(auto_now=True)
    before = models.ForeignKey("self", on_delete=models.CASCADE)
"""
SAVES = """
from shop.models import Book


def tag(rate):
    for book in Book.objects.filter(price__gt=3):
        book.price = book.price * rate
        book.save(update_fields=["price"])
"""
SAVED = """
from shop.models import Book


def tag(rate):
    rows = list(Book.objects.filter(price__gt=3))
    for book in rows:
        book.price = book.price * rate
    Book.objects.bulk_update(rows, ["price"])
"""


def saved(tmp_path: Path, source: str, others: dict[str, str] | None = None) -> list[Fix | Declined]:
    files = {"shop/models.py": SHELF, **(others or {})}
    return proposed(tmp_path, "DB110", source, At("save(", "tag"), framework="django", others=files)


def test_django_saves_in_bulk(tmp_path: Path) -> None:
    same(variant(saved(tmp_path, SAVES), "bulk"), SAVED)
    named = SAVES.replace(
        "    for book in Book.objects.filter(price__gt=3):", "    found = Book.objects.all()\n    for book in found:"
    )
    assert '    Book.objects.bulk_update(found, ["price"])\n' in variant(saved(tmp_path, named), "bulk")


NOT_SAVED = {
    "all fields": (SAVES.replace('update_fields=["price"]', ""), {}, "without `update_fields`"),
    "a field that fills itself": (SAVES.replace('["price"]', '["price", "changed"]'), {}, "fills itself"),
    "another field is set": (SAVES.replace("book.price =", "book.title ="), {}, "which is not saved"),
    "a value of another row": (SAVES.replace("= book.price", "= book.before.price"), {}, "may have changed it"),
    "a value that is asked for": (SAVES.replace("* rate", "* rate(book)"), {}, "may depend on the row before"),
    "a call besides": (SAVES.replace("        book.save", "        tell(book)\n        book.save"), {}, "does more"),
    "a sum of rows": (SAVES.replace("        book.save", "        rate += 1\n        book.save"), {}, "does more"),
    "errors are caught": (
        SAVES.replace("    for", "    try:\n     for").replace("        book", "          book")
        + "    except E:\n        pass\n",
        {},
        "catches",
    ),
    "a save of its own": (
        SAVES, {"shop/models.py": SHELF + "\n    def save(self, **more):\n        pass\n"}, "a `save` of its own",
    ),
    "a manager of its own": (SAVES, {"shop/models.py": SHELF + "    objects = Shown()\n"}, "a manager of its own"),
    "signals": (SAVES, {"shop/hooks.py": "@receiver(post_save)\ndef told(**more): pass\n"}, "listens to signals"),
    "rows of no known model": (SAVES.replace("Book.objects.filter(price__gt=3)", "found()"), {}, "of which model"),
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_SAVED)
def test_a_save_that_stays(name: str, tmp_path: Path) -> None:
    source, others, reason = NOT_SAVED[name]
    assert reason in reasons(saved(tmp_path, source, others))
