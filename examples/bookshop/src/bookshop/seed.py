"""Fills the shop: `python -m bookshop.seed --books 500`.

Every book brings its share of authors, customers, reviews, orders and events, made from its number alone, so the
same size always gives the same shop. A shop that has books already is topped up to the size asked for; nothing is
ever deleted.
"""

import argparse
import asyncio
import sys
import time
from collections import defaultdict
from datetime import date, datetime, timedelta
from random import Random
from typing import Any

from sqlalchemy import Connection, func, insert, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from bookshop.config import settings_from_env
from bookshop.db import make_engine
from bookshop.models import (
    Article,
    Author,
    Base,
    Book,
    Customer,
    Event,
    Order,
    OrderLine,
    Review,
    Setting,
    StockLevel,
)
from bookshop.services.people import hash_password

DEFAULT_BOOKS = 500
BOOKS_AT_ONCE = 100
BOOKS_PER_AUTHOR = 4
BOOKS_PER_ARTICLE = 2
CUSTOMERS = 4
REVIEWS = 80
ORDERS = 12
EVENTS = 240
MOST_LINES = 18
FIRST_DAY = date(2023, 1, 1)
DAYS = 900
DEMO_PASSWORD = "reading-is-fun"

SETTINGS = {"currency": "EUR", "shop_name": "The Corner Bookshop", "support_email": "help@example.org"}
FORENAMES = (
    "Ada",
    "Bruno",
    "Clara",
    "Dmitri",
    "Elif",
    "Farid",
    "Greta",
    "Hugo",
    "Ines",
    "Jonas",
    "Kaya",
    "Lena",
)
SURNAMES = (
    "Abbot",
    "Brandt",
    "Castell",
    "Dvorak",
    "Ekman",
    "Fontane",
    "Garcia",
    "Holm",
    "Ito",
    "Jansen",
    "Keller",
)
ADJECTIVES = (
    "Long",
    "Quiet",
    "Last",
    "Silver",
    "Forgotten",
    "Bitter",
    "Distant",
    "Hidden",
    "Restless",
    "Paper",
)
NOUNS = (
    "Harbour",
    "Winter",
    "Letter",
    "Garden",
    "Cartographer",
    "Orchard",
    "Lighthouse",
    "Tide",
    "Archive",
    "River",
)
PLACES = (
    "Lisbon",
    "the North",
    "Small Hours",
    "Elsewhere",
    "Glass",
    "the Valley",
    "Salt",
    "Forgetting",
    "Marsh Lane",
)
CATEGORIES = ("fiction", "crime", "history", "science", "poetry", "travel", "children", "cooking")
COUNTRIES = ("DE", "FR", "PL", "SE", "PT", "TR", "JP", "US")
STATUSES = ("shipped",) * 9 + ("cancelled",) + ("open",)
KINDS = ("view", "view", "view", "search", "basket")
SENTENCES = (
    "The first chapters take their time, and the time is well spent.",
    "I read it on two evenings and lent it to my sister on the third.",
    "The translation is careful and never gets in the way.",
    "Somewhere in the middle it loses its thread, then finds a better one.",
    "What stays with me are the letters and the weather.",
    "The paper is good, the type is small, the cover is lovely.",
    "Not the author's best, though still better than most of the shelf.",
    "It says more about houses than about the people who live in them.",
    "The ending divided our reading group, and that is a compliment.",
    "A book to keep, not to finish.",
)

Rows = dict[type[Base], list[dict[str, Any]]]


def when(random: Random) -> datetime:
    start = datetime.combine(FIRST_DAY, datetime.min.time())
    return start + timedelta(seconds=random.randrange(DAYS * 86_400))


def isbn(number: int) -> str:
    digits = f"978{number:09d}"
    check = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(digits))
    return f"{digits}{-check % 10}"


def prose(random: Random, sentences: int) -> str:
    return " ".join(random.choices(SENTENCES, k=sentences))


def book_row(random: Random, number: int) -> dict[str, Any]:
    name = f"{random.choice(ADJECTIVES)} {random.choice(NOUNS)} of {random.choice(PLACES)}"
    title = f"The {name}" if random.random() < 0.4 else name
    return {
        "id": number,
        "isbn": isbn(number),
        "title": title,
        "sort_title": title.lower(),
        "subtitle": f"{random.choice(NOUNS)} and {random.choice(NOUNS)}, volume {number % 9 + 1}",
        "category": random.choice(CATEGORIES),
        "price_cents": random.randrange(499, 4999, 50),
        "pages": random.randrange(80, 900),
        "published_on": FIRST_DAY - timedelta(days=random.randrange(20_000)),
        "author_id": (number - 1) // BOOKS_PER_AUTHOR + 1,
    }


def author_row(random: Random, number: int) -> dict[str, Any]:
    name = f"{random.choice(FORENAMES)} {random.choice(SURNAMES)}"
    return {"id": number, "name": name, "country": random.choice(COUNTRIES)}


def customer_row(random: Random, number: int, password_hash: str) -> dict[str, Any]:
    return {
        "id": number,
        "name": f"{random.choice(FORENAMES)} {random.choice(SURNAMES)}",
        "email": f"reader{number}@example.org",
        "password_hash": password_hash,
        "joined_on": FIRST_DAY + timedelta(days=random.randrange(DAYS)),
    }


def article_row(random: Random, number: int) -> dict[str, Any]:
    return {
        "id": number,
        "title": f"Notes on {random.choice(PLACES)}, part {number}",
        "body": prose(random, 250),
        "published_on": FIRST_DAY + timedelta(days=random.randrange(DAYS)),
    }


def review_row(random: Random, number: int, book_id: int) -> dict[str, Any]:
    return {
        "id": number,
        "book_id": book_id,
        "customer_id": random.randint(1, book_id * CUSTOMERS),
        "rating": random.randint(1, 5),
        "body": prose(random, 5),
        "written_at": when(random),
    }


def event_row(random: Random, number: int, book_id: int) -> dict[str, Any]:
    return {
        "id": number,
        "customer_id": random.randint(1, book_id * CUSTOMERS),
        "kind": random.choice(KINDS),
        "subject": f"book {random.randint(1, book_id)}",
        "happened_at": when(random),
    }


def order_row(random: Random, number: int, book_id: int) -> dict[str, Any]:
    return {
        "id": number,
        "customer_id": random.randint(1, book_id * CUSTOMERS),
        "status": random.choice(STATUSES),
        "placed_at": when(random),
    }


def line_rows(random: Random, order_id: int, newest_book: int) -> list[dict[str, Any]]:
    first_id = (order_id - 1) * MOST_LINES + 1
    return [
        {
            "id": first_id + place,
            "order_id": order_id,
            "book_id": random.randint(1, newest_book),
            "quantity": random.randint(1, 3),
            "unit_cents": random.randrange(499, 4999, 50),
        }
        for place in range(random.randint(6, MOST_LINES))
    ]


def numbers_of(book_id: int, each: int) -> range:
    """The ids of the rows that come with one book, where every book brings `each` of them."""
    return range((book_id - 1) * each + 1, book_id * each + 1)


def add_book(rows: Rows, book_id: int, password_hash: str) -> None:
    random = Random(book_id)
    if (book_id - 1) % BOOKS_PER_AUTHOR == 0:
        rows[Author].append(author_row(random, (book_id - 1) // BOOKS_PER_AUTHOR + 1))
    if book_id % BOOKS_PER_ARTICLE == 0:
        rows[Article].append(article_row(random, book_id // BOOKS_PER_ARTICLE))
    rows[Book].append(book_row(random, book_id))
    shelf = {"on_hand": random.randrange(60), "reserved": random.randrange(5), "recounting": book_id % 3 == 0}
    rows[StockLevel].append({"book_id": book_id} | shelf)
    rows[Customer] += [customer_row(random, n, password_hash) for n in numbers_of(book_id, CUSTOMERS)]
    rows[Review] += [review_row(random, n, book_id) for n in numbers_of(book_id, REVIEWS)]
    rows[Event] += [event_row(random, n, book_id) for n in numbers_of(book_id, EVENTS)]
    for order_id in numbers_of(book_id, ORDERS):
        rows[Order].append(order_row(random, order_id, book_id))
        rows[OrderLine] += line_rows(random, order_id, book_id)


def write(connection: Connection, rows: Rows) -> None:
    for table in Base.metadata.sorted_tables:
        model = next((model for model in rows if model.__table__ is table), None)
        if model is not None and rows[model]:
            connection.execute(insert(table), rows[model])


def move_sequences(connection: Connection) -> None:
    """PostgreSQL's sequences know nothing of ids that were given."""
    if connection.dialect.name != "postgresql":
        return
    for table in (Author, Book, Customer, Review, Order, OrderLine, Event, Article):
        name = table.__tablename__
        connection.execute(text(f"SELECT setval('{name}_id_seq', (SELECT coalesce(max(id), 1) FROM {name}))"))


async def seed(engine: AsyncEngine, books: int) -> int:
    """Tops the shop up to `books` books; the number of books added."""
    async with engine.begin() as connection:
        present = await connection.scalar(select(func.coalesce(func.max(Book.id), 0))) or 0
        known = set(await connection.scalars(select(Setting.key)))
        missing = [{"key": key, "value": value} for key, value in SETTINGS.items() if key not in known]
        await connection.run_sync(write, {Setting: missing})
    password_hash = hash_password(DEMO_PASSWORD, b"corner-bookshop!")
    for first in range(present + 1, books + 1, BOOKS_AT_ONCE):
        rows: Rows = defaultdict(list)
        for book_id in range(first, min(first + BOOKS_AT_ONCE, books + 1)):
            add_book(rows, book_id, password_hash)
        async with engine.begin() as connection:
            await connection.run_sync(write, rows)
            await connection.run_sync(move_sequences)
    return max(books - present, 0)


async def run(books: int) -> None:
    engine = make_engine(settings_from_env().database_url)
    started = time.perf_counter()
    try:
        added = await seed(engine, books)
    except DBAPIError as error:
        sys.exit(f"The shop could not be filled ({error.orig}). Run `alembic upgrade head` first.")
    finally:
        await engine.dispose()
    print(f"{added} books added in {time.perf_counter() - started:.1f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--books", type=int, default=DEFAULT_BOOKS)
    asyncio.run(run(parser.parse_args().books))


if __name__ == "__main__":
    main()
