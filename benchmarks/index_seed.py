"""A shop's database of any size, the same each time: customers, orders and events, by numpy and COPY.

Of `rows` rows, six tenths are events, three tenths orders, one tenth customers. A few customers do most of it, most
orders are paid, and few are open or deleted: as in a real shop, values are not spread evenly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import psycopg

SCHEMA = """
CREATE TABLE customers (
    id integer PRIMARY KEY, email varchar(80) NOT NULL UNIQUE, name varchar(60) NOT NULL, country char(2) NOT NULL,
    created_at timestamp NOT NULL
);
CREATE TABLE orders (
    id integer PRIMARY KEY, customer_id integer NOT NULL REFERENCES customers (id), status varchar(12) NOT NULL,
    total numeric(9, 2) NOT NULL, placed_at timestamp NOT NULL, deleted_at timestamp, note text NOT NULL
);
CREATE TABLE events (
    id integer PRIMARY KEY, customer_id integer NOT NULL REFERENCES customers (id), kind varchar(12) NOT NULL,
    happened_at timestamp NOT NULL, amount integer NOT NULL, payload jsonb NOT NULL
);
"""
SEED = 20260117
STATUS, KINDS = ("paid", "shipped", "open", "failed"), ("view", "search", "basket", "pay", "error")
COUNTRIES = ("DE", "FR", "PL", "IT", "ES", "NL", "SE", "DK", "FI", "PT")
_START = np.datetime64("2025-01-01T00:00:00")
_YEAR_S = 365 * 86400


def fill(db: psycopg.Connection[Any], rows: int) -> None:
    """Make the tables and their rows."""
    lot = np.random.default_rng(SEED)
    people, orders, events = max(200, rows // 10), rows * 3 // 10, rows * 6 // 10
    db.execute(SCHEMA)
    _copy(db, "customers", _customers(lot, people))
    _copy(db, "orders", _orders(lot, orders, people))
    _copy(db, "events", _events(lot, events, people))
    db.commit()


def _copy(db: psycopg.Connection[Any], table: str, rows: Iterable[str]) -> None:
    with db.cursor().copy(f"COPY {table} FROM STDIN") as copy:
        for row in rows:
            copy.write(row)


def _times(lot: np.random.Generator, count: int) -> Any:
    return np.datetime_as_string(_START + lot.integers(0, _YEAR_S, count).astype("timedelta64[s]"))


def _who(lot: np.random.Generator, count: int, people: int) -> Any:
    """A few customers do most: the square of an even number."""
    return (lot.random(count) ** 2 * people).astype(int) + 1


def _customers(lot: np.random.Generator, count: int) -> Iterator[str]:
    country = lot.choice(COUNTRIES, count, p=[0.5, 0.2, 0.1, 0.05, 0.05, 0.04, 0.03, 0.01, 0.01, 0.01])
    at, letters = _times(lot, count), lot.integers(97, 123, (count, 6), dtype=np.uint8)
    for n in range(count):
        name = letters[n].tobytes().decode()
        yield f"{n + 1}\tUser{n + 1}@Example.org\t{name.title()} {n}\t{country[n]}\t{at[n]}\n"


def _orders(lot: np.random.Generator, count: int, people: int) -> Iterator[str]:
    who, at = _who(lot, count, people), _times(lot, count)
    status = lot.choice(STATUS, count, p=[0.7, 0.27, 0.02, 0.01])
    total, gone = lot.integers(100, 99_999, count), lot.random(count) < 0.02
    for n in range(count):
        left = at[n] if gone[n] else "\\N"
        yield f"{n + 1}\t{who[n]}\t{status[n]}\t{total[n] / 100}\t{at[n]}\t{left}\tas agreed, number {n}\n"


def _events(lot: np.random.Generator, count: int, people: int) -> Iterator[str]:
    who, at = _who(lot, count, people), _times(lot, count)
    kind = lot.choice(KINDS, count, p=[0.6, 0.25, 0.1, 0.045, 0.005])
    amount, book = lot.integers(1, 500, count), lot.integers(1, 5000, count)
    for n in range(count):
        yield f'{n + 1}\t{who[n]}\t{kind[n]}\t{at[n]}\t{amount[n]}\t{{"book": {book[n]}, "page": {n % 7}}}\n'
