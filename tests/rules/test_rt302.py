"""RT302 sequential awaits: cases that must be found, and look-alikes that must not."""

from collections.abc import Sequence
from typing import Any

import pytest

from perfcrew.core.scene import Scene

from .build import App, Found, Shot, Silent, check_found, run, scene, traced, warm

SOURCE = """
import asyncio

async def offer(supplier, book_id):
    shelf = await supplier.stock(book_id)  # stock
    price = await supplier.price(book_id)  # price
    parcel = await supplier.quote(book_id)  # quote
    return Offer(shelf["available"], price["cents"], parcel["days"])

async def contract(supplier, book_id):
    shelf = await supplier.stock(book_id)  # dependent one
    terms = await supplier.contract(shelf["sku"])  # dependent two
    standing = await supplier.contract(terms["contract"])  # dependent three
    return standing

async def guarded(supplier, book_id):
    shelf = await supplier.stock(book_id)  # guard one
    if not shelf:
        raise LookupError(book_id)
    price = await supplier.price(book_id)  # guard two
    return price

async def derived(supplier, book_id):
    shelf = await supplier.stock(book_id)  # derived one
    sku = shelf["sku"].upper()
    price = await supplier.price(sku)  # derived two
    return price

async def filled(supplier, page):
    await supplier.fill(page)  # filled one
    price = await supplier.price(page)  # filled two
    return price

async def looped(supplier, ids):
    for book_id in ids:
        shelf = await supplier.stock(book_id)  # loop one
        price = await supplier.price(book_id)  # loop two
    return shelf, price

async def two_reads(session):
    books = await session.scalar(count_books)  # read one
    authors = await session.scalar(count_authors)  # read two
    return books, authors

async def own_sessions(first, second):
    books = await count(first, "book")  # own one
    authors = await count(second, "author")  # own two
    return books, authors

async def expression(supplier, book_id):
    return Offer(
        await supplier.stock(book_id),  # expression one
        await supplier.price(book_id),  # expression two
    )

async def nested(supplier, book_id):
    return await supplier.price(
        await supplier.sku(book_id)  # nested
    )

async def mixed(supplier, book_id):
    shelf = await supplier.stock(book_id)  # mixed one
    terms = await supplier.contract(shelf["sku"])  # mixed two
    price = await supplier.price(book_id)  # mixed three
    return terms, price

def sync(supplier, book_id):
    shelf = supplier.stock(book_id)  # sync one
    price = supplier.price(book_id)  # sync two
    return shelf, price
"""
CLIENT = """
async def get(path):
    return await http.get(path)  # client
"""


def awaits(
    app: App, function: str, lines: Sequence[str], ms: float = 15.0, at_ms: Sequence[float] = (), **more: Any
) -> Scene:
    app.write("delivery.py", SOURCE)
    app.write("suppliers.py", CLIENT)

    def make() -> Shot:
        shot = Shot()
        for number, needle in enumerate(lines):
            frames = [app.frame("suppliers.py", "# client", "get"), app.frame("delivery.py", f"# {needle}", function)]
            shot.http(f"http://supplier.test/{needle}/7", frames, ms=ms, at_ms=at_ms[number] if at_ms else None, **more)
        return shot

    return scene(app, traced(warm(make)), key="GET /books/{id}/offer")


def reads(
    app: App,
    function: str,
    lines: Sequence[str],
    connections: Sequence[str | None],
    text: str = "SELECT count(*) FROM book",
) -> Scene:
    app.write("delivery.py", SOURCE)

    def make() -> Shot:
        shot = Shot()
        for needle, connection in zip(lines, connections, strict=True):
            frames = [app.frame("delivery.py", f"# {needle}", function)]
            shot.sql(text, (), frames, ms=20, perfcrew__db__connection=connection)
        return shot

    return scene(app, traced(warm(make)))


FOUND = {
    "three calls that need nothing of one another": Found(
        lambda app: awaits(app, "offer", ("stock", "price", "quote")), "delivery.py", "# price", "medium", None, "offer"
    ),
    "two of them": Found(lambda app: awaits(app, "offer", ("price", "quote")), "delivery.py", "# quote", "medium"),
    "slow ones are high": Found(
        lambda app: awaits(app, "offer", ("stock", "price", "quote"), ms=200), "delivery.py", "# price", "high"
    ),
    "two awaits in one expression": Found(
        lambda app: awaits(app, "expression", ("expression one", "expression two")),
        "delivery.py",
        "# expression two",
        "medium",
    ),
    "one that is free of a chain": Found(
        lambda app: awaits(app, "mixed", ("mixed one", "mixed two", "mixed three")),
        "delivery.py",
        "# mixed two",
        "medium",
    ),
    "reads on sessions of their own": Found(
        lambda app: reads(app, "own_sessions", ("own one", "own two"), ("a", "b")), "delivery.py", "# own two", "medium"
    ),
}

SILENT: dict[str, Silent] = {
    "each needs the one before": lambda app: awaits(
        app, "contract", ("dependent one", "dependent two", "dependent three")
    ),
    "the first decides whether there is a second": lambda app: awaits(app, "guarded", ("guard one", "guard two")),
    "by way of a statement in between": lambda app: awaits(app, "derived", ("derived one", "derived two")),
    "the first fills what the second reads": lambda app: awaits(app, "filled", ("filled one", "filled two")),
    "in a loop": lambda app: awaits(app, "looped", ("loop one", "loop two")),
    "one session": lambda app: reads(app, "two_reads", ("read one", "read two"), ("a", "b")),
    "one connection": lambda app: reads(app, "own_sessions", ("own one", "own two"), ("a", "a")),
    "connections that are not known": lambda app: reads(app, "own_sessions", ("own one", "own two"), (None, None)),
    "writes": lambda app: reads(app, "own_sessions", ("own one", "own two"), ("a", "b"), "UPDATE book SET seen = 1"),
    "POSTs": lambda app: awaits(app, "offer", ("stock", "price"), http__request__method="POST"),
    "gathered already": lambda app: awaits(app, "offer", ("stock", "price"), at_ms=(1, 1)),
    "nothing to spare": lambda app: awaits(app, "offer", ("stock", "price"), ms=2),
    "one inside the other's arguments": lambda app: awaits(app, "nested", ("nested",)),
    "a sync function is HT402's": lambda app: awaits(app, "sync", ("sync one", "sync two")),
}


@pytest.mark.parametrize("case", FOUND.values(), ids=FOUND)
def test_found(app: App, case: Found) -> None:
    check_found("RT302", app, case)


@pytest.mark.parametrize("build", SILENT.values(), ids=SILENT)
def test_silent(app: App, build: Silent) -> None:
    assert run("RT302", app, build(app)) == []


def test_what_a_chain_needs_is_not_spared(app: App) -> None:
    """stock → contract and price: 45 ms one after another, 30 ms at best."""
    (found,) = run("RT302", app, awaits(app, "mixed", ("mixed one", "mixed two", "mixed three")))
    assert found.share is not None
    assert found.share.fraction == pytest.approx(15 / 47, abs=0.01)
