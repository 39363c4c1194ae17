"""Eager loading and one `IN`, to the letter; and what must be left to a developer."""
# ruff: noqa: E501 (expected texts are to the letter)

from __future__ import annotations

from pathlib import Path

import pytest

from perfcrew.core.patches import Declined, Fix

from .cases import At, same
from .database import asked, fixed, refused

MODELS = """
from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "authors"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Book(Base):
    __tablename__ = "books"
    id: Mapped[int] = mapped_column(primary_key=True)
    isbn: Mapped[str] = mapped_column(unique=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("authors.id"))
    author: Mapped[Author] = relationship()


class Line(Base):
    __tablename__ = "order_lines"
    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"))
    book_id: Mapped[int] = mapped_column(ForeignKey("books.id"))
    book: Mapped["Book"] = relationship()


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    lines: Mapped[list["Line"]] = relationship()
    logs: Mapped[list["Log"]] = relationship(lazy="dynamic")


class Log(Base):
    __tablename__ = "logs"
    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"))
"""
AUTHOR = "SELECT authors.id, authors.name FROM authors WHERE authors.id = ?"
LINES = "SELECT order_lines.id FROM order_lines WHERE ? = order_lines.order_id"
BOOK = "SELECT books.id FROM books WHERE books.id = ?"

EAGER = {
    "one of each row": (
        """
        from sqlalchemy import select
        from shop.models import Book


        def page(session):
            books = session.scalars(select(Book).order_by(Book.id)).all()  # all
            return [book.author.name for book in books]
        """,
        "book.author.name",
        AUTHOR,
        {
            "selectinload": """
        from sqlalchemy import select
        from shop.models import Book
        from sqlalchemy.orm import selectinload


        def page(session):
            books = session.scalars(
                select(Book).options(selectinload(Book.author)).order_by(Book.id)
            ).all()  # all
            return [book.author.name for book in books]
        """,
            "joinedload": """
        from sqlalchemy import select
        from shop.models import Book
        from sqlalchemy.orm import joinedload


        def page(session):
            books = session.scalars(
                select(Book).options(joinedload(Book.author)).order_by(Book.id)
            ).all()  # all
            return [book.author.name for book in books]
        """,
        },
    ),
    "many of each row, the statement on lines of its own and in another function": (
        """
        from sqlalchemy import select

        from shop import models


        async def newest(session):
            statement = (
                select(models.Order)
                .where(models.Order.id > 3)
                .limit(20)
            )
            return (await session.scalars(statement)).all()


        async def page(session):
            return [len(await order.awaitable_attrs.lines) for order in await newest(session)]
        """,
        "awaitable_attrs.lines",
        LINES,
        {
            "selectinload": """
        from sqlalchemy import select
        from sqlalchemy.orm import selectinload

        from shop import models


        async def newest(session):
            statement = (
                select(models.Order)
                .options(selectinload(models.Order.lines))
                .where(models.Order.id > 3)
                .limit(20)
            )
            return (await session.scalars(statement)).all()


        async def page(session):
            return [len(await order.awaitable_attrs.lines) for order in await newest(session)]
        """
        },
    ),
    "a relation of a relation, whose class is not imported": (
        """
        from sqlalchemy import select

        from shop.models import Order


        def page(session):
            for order in session.scalars(select(Order)):
                for line in order.lines:
                    show(line.book)
        """,
        "line.book",
        BOOK,
        {
            "selectinload": """
        from sqlalchemy import select
        from sqlalchemy.orm import selectinload

        from shop.models import Line, Order


        def page(session):
            for order in session.scalars(
                select(Order).options(selectinload(Order.lines).selectinload(Line.book))
            ):
                for line in order.lines:
                    show(line.book)
        """
        },
    ),
    "an option that is there goes on": (
        """
        from sqlalchemy.orm import selectinload

        from shop.models import Line, Order


        def page(session):
            orders = session.query(Order).options(selectinload(Order.lines)).all()
            return [line.book for order in orders for line in order.lines]
        """,
        "line.book",
        BOOK,
        {
            "selectinload": """
        from sqlalchemy.orm import selectinload

        from shop.models import Line, Order


        def page(session):
            orders = session.query(Order).options(selectinload(Order.lines).selectinload(Line.book)).all()
            return [line.book for order in orders for line in order.lines]
        """
        },
    ),
    "below one row that is got by its key": (
        """
        from shop.models import Line, Order


        def page(session, key):
            order = session.get(Order, key)
            return [line.book for line in order.lines]
        """,
        "line.book",
        BOOK,
        {
            "selectinload": """
        from shop.models import Line, Order
        from sqlalchemy.orm import selectinload


        def page(session, key):
            order = session.get(Order, key, options=[selectinload(Order.lines).selectinload(Line.book)])
            return [line.book for line in order.lines]
        """
        },
    ),
}


def ask(tmp_path: Path, source: str, needle: str, statement: str, function: str = "page") -> list[Fix | Declined]:
    files = {"shop/models.py": MODELS, "shop/app.py": source}
    return asked(tmp_path, "DB101", files, At(needle, function), statement)


@pytest.mark.parametrize("name", EAGER)
def test_relations_are_loaded_with_their_rows(name: str, tmp_path: Path) -> None:
    source, needle, statement, expected = EAGER[name]
    answers = ask(tmp_path, source, needle, statement)
    assert {a.variant for a in answers if isinstance(a, Fix)} == set(expected)
    for variant, text in expected.items():
        same(fixed(answers, variant)["shop/app.py"], text)


OLDER = """
from flask_sqlalchemy import SQLAlchemy

db = SQLAlchemy()


class Author(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    books = db.relationship("Book", backref="author")


class Book(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    author_id = db.Column(db.Integer, db.ForeignKey("author.id"))


def page():
    return [book.author.id for book in Book.query.filter(Book.id > 1).all()]
"""


def test_a_backref_of_the_older_style(tmp_path: Path) -> None:
    statement = "SELECT author.id FROM author WHERE author.id = ?"
    answers = asked(tmp_path, "DB101", {"shop/app.py": OLDER}, At("book.author.id", "page"), statement)
    text = fixed(answers, "joinedload")["shop/app.py"]
    assert "Book.query.options(joinedload(Book.author)).filter(Book.id > 1).all()" in text
    assert "from sqlalchemy.orm import joinedload\n" in text


def test_a_serializer_whose_line_does_not_name_the_relation(tmp_path: Path) -> None:
    source = """
        from sqlalchemy import select
        from shop.models import Book


        @router.get("/page", response_model=list[BookOut])
        def page(session):
            return session.scalars(select(Book)).all()
        """
    answers = ask(tmp_path, source, "return session", AUTHOR)
    assert "select(Book).options(selectinload(Book.author))" in fixed(answers, "selectinload")["shop/app.py"]


ONE_IN = {
    "got by the key": (
        """
        from shop.models import Book


        async def page(session: AsyncSession, lines: list[LineIn]) -> list[str]:
            found = []
            # each line's book
            for line in lines:
                book = await session.get(Book, line.book_id)
                if book is not None:
                    found.append(book.isbn)
            return found
        """,
        "session.get",
        BOOK,
        """
        from shop.models import Book
        from sqlalchemy import select


        async def page(session: AsyncSession, lines: list[LineIn]) -> list[str]:
            found = []
            books_by_id = {
                book.id: book
                for book in await session.scalars(select(Book).where(Book.id.in_({line.book_id for line in lines})))
            }
            # each line's book
            for line in lines:
                book = books_by_id.get(line.book_id)
                if book is not None:
                    found.append(book.isbn)
            return found
        """,
    ),
    "selected by a unique column, of rows that can be gone over once": (
        """
        from sqlalchemy import select
        from shop.models import Book, Line


        def page(session):
            return [
                session.scalar(select(Book).where(Book.isbn == line.isbn))
                for line in session.scalars(select(Line))
            ]
        """,
        "session.scalar(select(Book)",
        "SELECT books.id FROM books WHERE books.isbn = ?",
        """
        from sqlalchemy import select
        from shop.models import Book, Line


        def page(session):
            rows = list(session.scalars(select(Line)))
            books_by_isbn = {
                book.isbn: book
                for book in session.scalars(select(Book).where(Book.isbn.in_({line.isbn for line in rows})))
            }
            return [
                books_by_isbn.get(line.isbn)
                for line in rows
            ]
        """,
    ),
    "one value": (
        """
        from sqlalchemy import select
        from shop.models import Author


        async def page(session, books: list[Book]):
            return {b.id: (await session.execute(select(Author.name).where(Author.id == b.author_id))).scalar_one() for b in books}
        """,
        "scalar_one",
        "SELECT authors.name FROM authors WHERE authors.id = ?",
        """
        from sqlalchemy import select
        from shop.models import Author


        async def page(session, books: list[Book]):
            authors_by_id = {
                key: value
                for key, value in await session.execute(select(Author.id, Author.name).where(Author.id.in_({b.author_id for b in books})))
            }
            return {b.id: authors_by_id[b.author_id] for b in books}
        """,
    ),
    "a count": (
        """
        from sqlalchemy import func, select
        from shop.models import Line


        def page(session, orders: list[Order]):
            for order in orders:
                show(session.scalar(select(func.count()).where(Line.order_id == order.id, Line.book_id > 3)))
        """,
        "func.count",
        "SELECT count(*) FROM order_lines WHERE order_lines.order_id = ? AND order_lines.book_id > ?",
        """
        from sqlalchemy import func, select
        from shop.models import Line


        def page(session, orders: list[Order]):
            order_lines_by_order_id = {
                key: value
                for key, value in session.execute(select(Line.order_id, func.count()).where(Line.order_id.in_({order.id for order in orders}), Line.book_id > 3).group_by(Line.order_id))
            }
            for order in orders:
                show(order_lines_by_order_id.get(order.id, 0))
        """,
    ),
    "all rows of each": (
        """
        from sqlalchemy import select
        from shop.models import Line


        def page(session, orders: list[Order]):
            for order in orders:
                lines = session.scalars(select(Line).where(Line.order_id == order.id).order_by(Line.id)).all()
                show(order, lines)
        """,
        "select(Line)",
        LINES,
        """
        from sqlalchemy import select
        from shop.models import Line


        def page(session, orders: list[Order]):
            order_lines_by_order_id = {}
            for line in session.scalars(select(Line).where(Line.order_id.in_({order.id for order in orders})).order_by(Line.id)):
                order_lines_by_order_id.setdefault(line.order_id, []).append(line)
            for order in orders:
                lines = order_lines_by_order_id.get(order.id, [])
                show(order, lines)
        """,
    ),
    "an aggregate that is nothing where there is no row": (
        """
        from sqlalchemy import func as f, select
        from shop.models import Line


        def page(session, orders: list[Order]):
            for order in orders:
                show(session.scalar(select(f.max(Line.book_id)).where(Line.order_id == order.id)))
        """,
        "f.max",
        "SELECT max(order_lines.book_id) FROM order_lines WHERE order_lines.order_id = ?",
        """
        from sqlalchemy import func as f, select
        from shop.models import Line


        def page(session, orders: list[Order]):
            order_lines_by_order_id = {
                key: value
                for key, value in session.execute(select(Line.order_id, f.max(Line.book_id)).where(Line.order_id.in_({order.id for order in orders})).group_by(Line.order_id))
            }
            for order in orders:
                show(order_lines_by_order_id.get(order.id))
        """,
    ),
    "what is done with the answer stays; a key of parts that every turn reads": (
        """
        from sqlalchemy import select
        from shop.models import Author


        def page(session, lines: list[Line]):
            for line in lines:
                if line.late:
                    warn(line)
                show(session.execute(select(Author.name).where(Author.id == line.book.author_id)).scalar_one().strip())
        """,
        "scalar_one",
        "SELECT authors.name FROM authors WHERE authors.id = ?",
        """
        from sqlalchemy import select
        from shop.models import Author


        def page(session, lines: list[Line]):
            authors_by_id = {
                key: value
                for key, value in session.execute(select(Author.id, Author.name).where(Author.id.in_({line.book.author_id for line in lines})))
            }
            for line in lines:
                if line.late:
                    warn(line)
                show(authors_by_id[line.book.author_id].strip())
        """,
    ),
    "a plain part of the variable, which some turns don't read": (
        """
        from shop.models import Author


        def page(session, books: list[Book]):
            return [session.get(Author, book.author_id) if book.author_id else None for book in books if book.isbn]
        """,
        "session.get",
        AUTHOR,
        """
        from shop.models import Author
        from sqlalchemy import select


        def page(session, books: list[Book]):
            authors_by_id = {
                author.id: author
                for author in session.scalars(select(Author).where(Author.id.in_({book.author_id for book in books})))
            }
            return [authors_by_id.get(book.author_id) if book.author_id else None for book in books if book.isbn]
        """,
    ),
}


@pytest.mark.parametrize("name", ONE_IN)
def test_a_loop_of_lookups_becomes_one_statement(name: str, tmp_path: Path) -> None:
    source, needle, statement, expected = ONE_IN[name]
    same(fixed(ask(tmp_path, source, needle, statement), "one IN")["shop/app.py"], expected)


RAW = {
    "sqlite3": (
        """
        import sqlite3

        def page(db: sqlite3.Connection, lines: list[Line]):
            for line in lines:
                row = db.execute("SELECT id, title FROM books WHERE id = ?", (line.book_id,)).fetchone()
                show(line, row)
        """,
        """
        import sqlite3

        def page(db: sqlite3.Connection, lines: list[Line]):
            keys = list({line.book_id for line in lines})
            books_by_id = {row[0]: row for row in db.execute(f"SELECT id, title FROM books WHERE id IN ({', '.join('?' * len(keys))})", keys)}
            for line in lines:
                row = books_by_id.get(line.book_id)
                show(line, row)
        """,
    ),
    "asyncpg, many rows of each": (
        """
        import asyncpg

        async def page(db, orders: list[Order]):
            return [await db.fetch("SELECT id, order_id FROM order_lines WHERE order_id = $1", order.id) for order in orders]
        """,
        """
        from collections import defaultdict

        import asyncpg

        async def page(db, orders: list[Order]):
            keys = list({order.id for order in orders})
            order_lines_by_order_id = defaultdict(list)
            for row in await db.fetch("SELECT id, order_id FROM order_lines WHERE order_id = ANY($1)", keys):
                order_lines_by_order_id[row[1]].append(row)
            return [order_lines_by_order_id.get(order.id, []) for order in orders]
        """,
    ),
}


@pytest.mark.parametrize("name", RAW)
def test_a_loop_of_plain_sql_becomes_one_statement(name: str, tmp_path: Path) -> None:
    source, expected = RAW[name]
    answers = asked(
        tmp_path, "DB101", {"shop/app.py": source}, At("SELECT id", "page"), "SELECT id FROM books WHERE id = ?"
    )
    same(fixed(answers, "one IN")["shop/app.py"], expected)


HEAD = "from sqlalchemy import func, select\nfrom shop.models import Author, Book, Line, Order\n\n"
DECLINED = {
    "the rows are filtered": (
        "def page(session):\n    for o in session.scalars(select(Order)):\n        o.lines",
        "o.lines",
        f"{LINES} AND order_lines.book_id > ?",
        "filtered, counted or cut",
    ),
    "loaded eagerly by now": (
        "def page(session):\n    s = select(Book).options(selectinload(Book.author))\n"
        "    return [b.author for b in session.scalars(s)]",
        "b.author for",
        AUTHOR,
        "is loaded eagerly by now",
    ),
    "a dynamic relation": (
        "def page(session):\n    for o in session.scalars(select(Order)):\n        o.logs",
        "o.logs",
        "SELECT logs.id FROM logs WHERE ? = logs.order_id",
        "lazy='dynamic'",
    ),
    "two statements that could feed it": (
        "def page(session):\n    a = session.scalars(select(Book))\n    b = session.scalars(select(Book))\n"
        "    return [x.author for x in [*a, *b]]",
        "x.author",
        AUTHOR,
        "which of them feeds the loop",
    ),
    "the rows come from elsewhere": (
        "def page(books):\n    return [x.author for x in books]",
        "x.author",
        AUTHOR,
        "was not found in reach",
    ),
    "a table without a class": (
        "def page(rows):\n    return [r.x for r in rows]",
        "r.x",
        "SELECT a.id FROM a WHERE a.id = ?",
        "no relation",
    ),
    "writes": (
        "def page(rows):\n    save(rows)",
        "save",
        "UPDATE books SET title = ? WHERE id = ?",
        "the statements write",
    ),
    "a loop that writes": (
        "def page(session, lines: list[Line]):\n    for line in lines:\n        b = session.get(Book, line.book_id)\n"
        "        session.add(b)\n        session.commit()",
        "session.get",
        BOOK,
        "writes to the database",
    ),
    "a key that is made in the loop": (
        "def page(session, lines: list[Line]):\n    for line in lines:\n        show(session.get(Book, int(line.book)))",
        "session.get",
        BOOK,
        "the key is made within the loop",
    ),
    "a key of no known type": (
        "def page(session, keys):\n    return [session.get(Book, key) for key in keys]",
        "session.get",
        BOOK,
        "of which type `key` is",
    ),
    "a column that is not unique": (
        "def page(session, lines: list[Line]):\n    for x in lines:\n"
        "        show(session.scalar(select(Line).where(Line.book_id == x.id)))",
        "session.scalar",
        "SELECT order_lines.id FROM order_lines WHERE order_lines.book_id = ?",
        "is not unique",
    ),
    "the newest of each": (
        "def page(session, lines: list[Line]):\n    for x in lines:\n"
        "        show(session.scalar(select(Line).where(Line.book_id == x.id).limit(1)))",
        "session.scalar",
        "SELECT order_lines.id FROM order_lines WHERE order_lines.book_id = ? LIMIT ?",
        "has `limit`",
    ),
    "a key that the turn sets": (
        "def page(session, lines: list[Line]):\n    for x in lines:\n        x.book_id = known(x)\n"
        "        show(session.get(Book, x.book_id))",
        "session.get",
        BOOK,
        "the key changes within a turn",
    ),
    "a sum with a default": (
        "def page(session, orders: list[Order]):\n    for o in orders:\n        show(session.scalar(\n"
        "            select(func.coalesce(func.sum(Line.book_id), 0)).where(Line.order_id == o.id)))",
        "func.coalesce",
        "SELECT coalesce(sum(order_lines.book_id), ?) FROM order_lines WHERE order_lines.order_id = ?",
        "`func.coalesce(func.sum(Line.book_id), 0)` gives where there is no row",
    ),
    "a sum in another expression, by a unique column": (
        "def page(session, orders: list[Order]):\n    for o in orders:\n"
        "        show(session.scalar(select(func.count(Book.id) > 0).where(Book.isbn == o.isbn)))",
        "session.scalar",
        "SELECT count(books.id) > ? FROM books WHERE books.isbn = ?",
        "`func.count(Book.id) > 0` gives where there is no row",
    ),
    "a function that is no aggregate": (
        "def page(session, orders: list[Order]):\n    for o in orders:\n"
        "        show(session.scalar(select(func.lower(Book.isbn)).where(Book.id == o.book_id)))",
        "session.scalar",
        "SELECT lower(books.isbn) FROM books WHERE books.id = ?",
        "`func.lower(Book.isbn)` gives where there is no row",
    ),
    "a row, not the one thing in it": (
        "def page(session, lines: list[Line]):\n    for x in lines:\n"
        "        show(session.execute(select(Book).where(Book.id == x.book_id)).first()[0])",
        "session.execute",
        BOOK,
        "used as rows",
    ),
    "rows, not what is in them": (
        "def page(session, orders: list[Order]):\n    for o in orders:\n"
        "        show([r[0] for r in session.execute(select(Line).where(Line.order_id == o.id)).all()])",
        "session.execute",
        LINES,
        "used as rows",
    ),
    "the lookup is in another function": (
        "def book_of(session, line):\n    return session.get(Book, line.book_id)\n\n\n"
        "def page(session, lines: list[Line]):\n    return [book_of(session, line) for line in lines]",
        "session.get",
        BOOK,
        "in no loop of its own function",
    ),
    "sql with a limit": (
        "def page(db, lines: list[Line]):\n    for x in lines:\n"
        "        show(db.execute('SELECT id FROM books WHERE a = ? LIMIT 1', (x.id,)).fetchone())",
        "db.execute",
        "SELECT id FROM books WHERE a = ? LIMIT ?",
        "does more than to ask one table by one column",
    ),
}


GUARDED = {
    "by an if": ("for o in orders:", "    if o.coupon:", "        show(session.get(Book, o.coupon.book_id))"),
    "by an elif": (
        "for o in orders:",
        "    if o.free:",
        "        show(o)",
        "    elif o.coupon:",
        "        show(session.get(Book, o.coupon.book_id))",
    ),
    "by an if within the comprehension": ("return [session.get(Book, o.coupon.book_id) for o in orders if o.coupon]",),
    "by an earlier condition": ("return [o for o in orders if o.coupon if session.get(Book, o.coupon.book_id)]",),
    "by a conditional expression": (
        "return [session.get(Book, o.coupon.book_id) if o.coupon else None for o in orders]",
    ),
    "by an and": ("return [o.coupon and session.get(Book, o.coupon.book_id) for o in orders]",),
    "by a match": (
        "for o in orders:",
        "    match o.kind:",
        "        case 'coupon':",
        "            show(session.get(Book, o.coupon.book_id))",
    ),
    "by a continue": (
        "for o in orders:",
        "    if not o.coupon:",
        "        continue",
        "    show(session.get(Book, o.coupon.book_id))",
    ),
    "by an end of the loop": (
        "for o in orders:",
        "    show(session.get(Book, o.coupon.book_id))",
        "    if o.last:",
        "        break",
    ),
    "by an error that is caught": (
        "for o in orders:",
        "    try:",
        "        show(session.get(Book, o.coupon.book_id))",
        "    except AttributeError:",
        "        show(o)",
    ),
    "an item of a row": (
        "for row in orders:",
        "    if 'book_id' in row:",
        "        show(session.get(Book, row['book_id']))",
    ),
    "a row that may be missing": (
        "for line in orders:",
        "    if line is None:",
        "        continue",
        "    show(session.get(Book, line.book_id))",
    ),
    "a row of another kind": ("return [session.get(Book, x.book_id) for x in orders if isinstance(x, Line)]",),
    "in sql": (
        "for o in orders:",
        "    if o.coupon:",
        "        show(db.execute('SELECT id FROM books WHERE id = ?', (o.coupon.book_id,)).fetchone())  # session.get(",
    ),
}


@pytest.mark.parametrize("name", GUARDED)
def test_a_key_that_only_some_turns_read_stays_in_the_loop(name: str, tmp_path: Path) -> None:
    source = "\n".join(["def page(session, db, orders: list[Order]):", *(f"    {line}" for line in GUARDED[name])])
    said = refused(ask(tmp_path, HEAD + source + "\n", "session.get(", BOOK))
    assert "decides in which turns the key is read" in said


@pytest.mark.parametrize("name", DECLINED)
def test_declines(name: str, tmp_path: Path) -> None:
    source, needle, statement, reason = DECLINED[name]
    function = "book_of" if "book_of" in source else "page"
    assert reason in refused(ask(tmp_path, HEAD + source + "\n", needle, statement, function))
