"""A read for the value of each turn, done once for each value; and the loops in which it must not be."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from perfcrew.core.patches import Declined, Fix
from perfcrew.rules.fixes import propose

from .cases import At, application, finding, hypothesis, same, write
from .database import asked, fixed, refused

STATEMENT = "SELECT authors.id, authors.name FROM authors WHERE authors.id = ? AND authors.shop_id = ?"
VARIANT = "once a value"
SYNC = """
def find_author(session, author_id):
    return session.execute(select(Author).where(Author.id == author_id)).scalar_one()  # reads


"""
ASYNC = """
async def find_author(session, author_id):
    return (await session.execute(select(Author).where(Author.id == author_id))).scalar_one()  # reads


"""

ONCE = {
    "two calls a turn": (
        SYNC,
        """
        def page(session, books):
            rows = []
            for book in books:
                rows.append((find_author(session, book.author_id).name, find_author(session, book.author_id).born))
            return rows
        """,
        """
        def page(session, books):
            rows = []
            authors = {}
            for book in books:
                if book.author_id not in authors:
                    authors[book.author_id] = find_author(session, book.author_id)
                rows.append((authors[book.author_id].name, authors[book.author_id].born))
            return rows
        """,
    ),
    "awaited, and a comment above the loop and above the statement": (
        ASYNC,
        """
        async def page(session, books):
            rows = []

            # newest first
            for book in books:
                # of the cover
                rows.append((await find_author(session, book.author_id)).name)  # the pen name
            return rows
        """,
        """
        async def page(session, books):
            rows = []
            authors = {}

            # newest first
            for book in books:
                if book.author_id not in authors:
                    authors[book.author_id] = await find_author(session, book.author_id)
                # of the cover
                rows.append(authors[book.author_id].name)  # the pen name
            return rows
        """,
    ),
    "in a branch only": (
        SYNC,
        """
        def page(session, books):
            for book in books:
                if book.author_id:
                    author = find_author(session, author_id=book.author_id)
                    show(book, author.name if author else "")
                else:
                    show(book, "")
        """,
        """
        def page(session, books):
            authors = {}
            for book in books:
                if book.author_id:
                    if book.author_id not in authors:
                        authors[book.author_id] = find_author(session, author_id=book.author_id)
                    author = authors[book.author_id]
                    show(book, author.name if author else "")
                else:
                    show(book, "")
        """,
    ),
    "in both branches, each fills; a second use behind a first does not": (
        SYNC,
        """
        def page(session, ids, short):
            for author_id in ids:
                if short:
                    show(find_author(session, author_id).name)  # short
                else:
                    show(find_author(session, author_id).name)

                    with box():
                        show(find_author(session, author_id).born)
        """,
        """
        def page(session, ids, short):
            authors = {}
            for author_id in ids:
                if short:
                    if author_id not in authors:
                        authors[author_id] = find_author(session, author_id)
                    show(authors[author_id].name)  # short
                else:
                    if author_id not in authors:
                        authors[author_id] = find_author(session, author_id)
                    show(authors[author_id].name)

                    with box():
                        show(authors[author_id].born)
        """,
    ),
    "what is handed the row may change its key, so each use fills": (
        SYNC,
        """
        def page(session, books):
            for book in books:
                first = find_author(session, book.author_id)  # as printed
                correct(book)
                show(first, find_author(session, book.author_id))
        """,
        """
        def page(session, books):
            authors = {}
            for book in books:
                if book.author_id not in authors:
                    authors[book.author_id] = find_author(session, book.author_id)
                first = authors[book.author_id]  # as printed
                correct(book)
                if book.author_id not in authors:
                    authors[book.author_id] = find_author(session, book.author_id)
                show(first, authors[book.author_id])
        """,
    ),
    "several arguments that change, before the outermost loop": (
        SYNC,
        """
        def page(session, orders):
            authors = []
            for order in orders:
                for line in order.lines:
                    if find_author(order.session_name, line.author_id).shown:
                        authors.append(line)
            return authors
        """,
        """
        def page(session, orders):
            authors = []
            author_by_session_name = {}
            for order in orders:
                for line in order.lines:
                    if (order.session_name, line.author_id) not in author_by_session_name:
                        author_by_session_name[order.session_name, line.author_id] = find_author(
                            order.session_name, line.author_id
                        )
                    if author_by_session_name[order.session_name, line.author_id].shown:
                        authors.append(line)
            return authors
        """,
    ),
    "the read itself, in what a comprehension goes over": (
        "",
        """
        def page(session, books):
            for book in books:
                show([a.name for a in session.get(Author, book.author_id).aliases])
        """,
        """
        def page(session, books):
            authors = {}
            for book in books:
                if book.author_id not in authors:
                    authors[book.author_id] = session.get(Author, book.author_id)
                show([a.name for a in authors[book.author_id].aliases])
        """,
    ),
    "awaited over several lines, with comments; named by the class": (
        "",
        """
        async def page(session, numbers):
            for number in numbers:
                name = (
                    # the pen name
                    await session.get(
                        Author,  # not the editor
                        number,
                    )
                ).name
                show(name)
        """,
        """
        async def page(session, numbers):
            authors = {}
            for number in numbers:
                if number not in authors:
                    authors[number] = await session.get(
                        Author,  # not the editor
                        number,
                    )
                name = (
                    # the pen name
                    authors[number]
                ).name
                show(name)
        """,
    ),
    "what may fail stays where it is caught": (
        "",
        """
        def page(session, books):
            for book in books:
                try:
                    show(session.get(Author, book.author_id))  # first
                except LookupError:
                    show(None)
                show(session.get(Author, book.author_id).name)
        """,
        """
        def page(session, books):
            authors = {}
            for book in books:
                try:
                    if book.author_id not in authors:
                        authors[book.author_id] = session.get(Author, book.author_id)
                    show(authors[book.author_id])  # first
                except LookupError:
                    show(None)
                if book.author_id not in authors:
                    authors[book.author_id] = session.get(Author, book.author_id)
                show(authors[book.author_id].name)
        """,
    ),
}


def ask(tmp_path: Path, above: str, page: str, trigger: str = "") -> list[Fix | Declined]:
    """The trigger is the first line of `page` that calls the read."""
    called = "find_author(" if above else "session.get("
    needle = trigger or next(line for line in page.splitlines() if called in line).strip()
    read = At("# reads", "find_author") if above else At(needle, "page")
    source = dedent(above).lstrip("\n") + dedent(page).lstrip("\n")
    return asked(tmp_path, "DB102", {"shop/app.py": source}, read, STATEMENT, At(needle, "page"))


@pytest.mark.parametrize("name", ONCE)
def test_each_value_is_read_once(name: str, tmp_path: Path) -> None:
    above, page, expected = ONCE[name]
    text = fixed(ask(tmp_path, above, page), VARIANT)["shop/app.py"]
    same(text.removeprefix(above.lstrip("\n")), expected)


SHOP = '''
class Author(db.Model):
    class AuthorQuery(BaseQuery):
        def get(self, id, shop=None):
            if not shop:
                shop = g.shop
            return (
                Author.query.filter(Author.id == id)
                .filter(Author.shop_id == shop.id)
                .one_or_none()
            )

    query_class = AuthorQuery


class Shop(db.Model):
    def get_pretty_books(self, export_format="json"):
        """Return a list of the shop's books with pretty formatting"""
        books = self.get_books()
        pretty_books = []
        for book in books:
            if export_format == "json":
                readers = [reader.name for reader in book.readers]
            else:
                readers = ", ".join([reader.name for reader in book.readers])

            pretty_books.append(
                {
                    "title": book.title,
                    "price": round(book.price, 2),
                    "author_name": Author.query.get(book.author_id).name,
                    "author_born": Author.query.get(book.author_id).born,
                    "readers": readers,
                }
            )
        return pretty_books
'''


def test_an_export_that_asks_for_each_books_author_twice(tmp_path: Path) -> None:
    reading, line = At(".one_or_none()", "Author.AuthorQuery.get"), At('"author_name"', "Shop.get_pretty_books")
    answers = asked(tmp_path, "DB102", {"shop/app.py": SHOP}, reading, STATEMENT, line)
    expected = SHOP.replace("Author.query.get(book.author_id)", "authors[book.author_id]")
    expected = expected.replace("        for book in books:\n", "        authors = {}\n        for book in books:\n")
    expected = expected.replace(
        "            pretty_books.append(",
        "            if book.author_id not in authors:\n"
        "                authors[book.author_id] = Author.query.get(book.author_id)\n\n"
        "            pretty_books.append(",
    )
    same(fixed(answers, VARIANT)["shop/app.py"], expected)


def test_a_read_before_the_loop_is_liked_better(tmp_path: Path) -> None:
    page = """
    def page(session, orders):
        for order in orders:
            for line in order.lines:
                show(line, session.get(Customer, order.customer_id))
    """
    once = hypothesis("DB102-once", metric="statements")
    write(tmp_path, {"shop/app.py": page})
    where = At("session.get", "page")
    found = finding(tmp_path, "DB102", where, where, STATEMENT, (once,))
    fixes = [a for a in propose(tmp_path, found, application(tmp_path)) if isinstance(a, Fix)]
    assert [f.variant for f in fixes] == ["hoist", VARIANT]
    assert fixes[1].metrics == ("statements",)
    assert "other transactions" in fixes[1].trade_offs[0]
    assert "memory" in fixes[1].trade_offs[1]


def turn(*lines: str, of: str = "for b in books:") -> str:
    """A loop of these lines."""
    body = "".join(f"        {line}\n" for line in lines)
    return f"def page(session, books):\n    {of}\n{body}"


DECLINED = {
    "it writes": (turn("show(find_author(session, b.author_id))", "session.add(b)"), "writes to the database"),
    "it writes by a statement": (
        turn("show(find_author(session, b.author_id))", "session.execute(sa.update(Author).values(seen=True))"),
        "writes to the database",
    ),
    "a function that it calls writes": (
        turn("show(find_author(session, b.author_id))", "sell(session, b)")
        + "\n\ndef sell(session, b):\n    session.commit()\n",
        "`sell`, called on line 8, writes to the database",
    ),
    "it changes what is read": (
        turn("author = find_author(session, b.author_id)", "author.seen = True"),
        "changes `author.seen`, which all turns with the same value would share",
    ),
    "it changes a list of what is read": (
        turn("author = find_author(session, b.author_id)", "tags = author.tags", "tags.append(b.tag)"),
        "changes `tags`, which all turns",
    ),
    "it changes the row": (
        turn("b.author = find_author(session, b.author_id)"),
        "changes `b.author`: what is read after it may differ",
    ),
    "in a lambda": (turn("later(lambda: find_author(session, b.author_id))"), "is in a lambda"),
    "in a function of the loop": (
        turn("def author():", "    return find_author(session, b.author_id)", "later(author)"),
        "is in `author`, which is defined in the loop",
    ),
    "in a comprehension of the loop": (
        turn("show([find_author(session, t.author_id) for t in b.tales])"),
        "is in a comprehension",
    ),
    "in no loop but a comprehension": (
        "def page(session, books):\n    return [find_author(session, b.author_id) for b in books]\n",
        "in a comprehension or a `while`, not in a `for`",
    ),
    "one side of a ternary": (
        turn("show(find_author(session, b.author_id) if b.author_id else None)"),
        "one side of an `if … else …`",
    ),
    "behind an `and`": (turn("show(b.signed and find_author(session, b.author_id))"), "an operand of `and` or `or`"),
    "an `elif`": (
        turn("if b.old:", "    show(b)", "elif find_author(session, b.author_id):", "    show(b)"),
        "the condition of an `elif`",
    ),
    "another use is not done each time": (
        turn("show(find_author(session, b.author_id))  # this", "later(lambda: find_author(session, b.author_id))"),
        "is in a lambda",
    ),
    "the key is a call": (
        turn("show(find_author(session, b.author_id()))"),
        "`b.author_id()` is neither a name, an attribute nor a constant",
    ),
    "the key is an item": (turn("show(find_author(session, b['author_id']))"), "is neither a name"),
    "the key is made in the loop": (
        turn("author_id = pick(b)", "show(find_author(session, author_id))"),
        "`author_id` is given values in the loop",
    ),
    "the session is another one each turn": (
        turn("with Session() as session:", "    show(session.find_author(b.author_id))"),
        "what `find_author` is called on may change",
    ),
    "it is a generator": (
        turn("yield find_author(session, b.author_id)"),
        "hands over to a caller, who may write between the turns",
    ),
    "it may be polling": (
        turn("show(find_author(session, b.author_id))", "time.sleep(1)"),
        "may be waiting for the answer to change",
    ),
    "two calls of the name": (
        turn("show(find_author(session, b.author_id), cache.find_author(b.author_id))"),
        "which of several calls on line 7 reads can't be told",
    ),
}


@pytest.mark.parametrize("name", DECLINED)
def test_declines(name: str, tmp_path: Path) -> None:
    page, reason = DECLINED[name]
    assert reason in refused(ask(tmp_path, SYNC, page))


def test_a_comprehension_that_may_be_empty_is_left_to_the_hoist(tmp_path: Path) -> None:
    answers = ask(tmp_path, SYNC, turn("show([find_author(session, b.author_id) for _ in b.tales])"))
    assert [a.variant for a in answers if isinstance(a, Fix)] == ["hoist"]


READERS = {
    "it writes": (
        "def find_author(session, k):\n    session.flush()\n    return ask(k)  # reads\n\n\n",
        "writes to the database",
    ),
    "it is a generator": ("def find_author(session, k):\n    yield ask(k)  # reads\n\n\n", "gone through once only"),
    "it gives a cursor": (
        "def find_author(session, k):\n    return session.execute(one(k))  # reads\n\n\n",
        "gone through once only",
    ),
    "it is not awaited": (
        "async def find_author(session, k):\n    return await ask(k)  # reads\n\n\n",
        "can be awaited once only",
    ),
    "it takes a list": (
        "def find_author(session, k: list[int]):\n    return ask(k)  # reads\n\n\n",
        "`k` of `find_author` is a container",
    ),
    "it counts": (
        "def find_author(session, k):\n    global asked\n    return ask(k)  # reads\n\n\n",
        "changes more than what it gives",
    ),
}


@pytest.mark.parametrize("name", READERS)
def test_declines_for_the_function_that_reads(name: str, tmp_path: Path) -> None:
    above, reason = READERS[name]
    assert reason in refused(ask(tmp_path, above, turn("show(find_author(session, b.author_id))")))
