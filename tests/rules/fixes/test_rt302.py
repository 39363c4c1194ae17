"""Independent awaits, gathered; and what must not be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from perfcrew.core.patches import Fix
from perfcrew.rules.fixes import propose

from ..build import App, Shot, scene, traced
from .cases import FILE, At, application, finding, proposed, reasons, same, variant

GATHERED = {
    "three in a row": (
        """
        async def page(shop: Shop, key: int) -> Page:
            shelf = await shop.stock(key)
            price = await shop.price(key)  # in cents
            # by the carrier
            parcel = await shop.quote(key)
            return Page(shelf, price, parcel)
        """,
        "shop.price",
        """
        import asyncio


        async def page(shop: Shop, key: int) -> Page:
            shelf, price, parcel = await asyncio.gather(
                shop.stock(key),
                shop.price(key),  # in cents
                # by the carrier
                shop.quote(key),
            )
            return Page(shelf, price, parcel)
        """,
    ),
    "on one line, with the import among the others": (
        '''
        """Pages."""

        import json
        import os
        from functools import cache

        import httpx


        async def page(shop, key):
            # Both are slow.
            a = await shop.stock(key)
            b = await shop.price(key)
            return json.dumps([a, b])
        ''',
        "shop.price",
        '''
        """Pages."""

        import asyncio
        import json
        import os
        from functools import cache

        import httpx


        async def page(shop, key):
            a, b = await asyncio.gather(
                # Both are slow.
                shop.stock(key),
                shop.price(key),
            )
            return json.dumps([a, b])
        ''',
    ),
    "what is between them comes first, what uses them last": (
        """
        import asyncio

        async def page(client: httpx.AsyncClient, key):
            stock = await client.get("/stock")
            stock.raise_for_status()
            shelf = stock.json()
            path = key
            prices = (await client.get(path)).json()
            return shelf, prices
        """,
        "prices = ",
        """
        import asyncio

        async def page(client: httpx.AsyncClient, key):
            path = key
            stock, prices = await asyncio.gather(client.get("/stock"), client.get(path))
            stock.raise_for_status()
            shelf = stock.json()
            prices = prices.json()
            return shelf, prices
        """,
    ),
    "in one expression": (
        """
        import asyncio

        async def page(shop, key):
            # The page.
            return Page(stock=await shop.stock(key), price=(await shop.price(key)).json())
        """,
        "return Page",
        """
        import asyncio

        async def page(shop, key):
            # The page.
            stock, price = await asyncio.gather(shop.stock(key), shop.price(key))
            return Page(stock=stock, price=price.json())
        """,
    ),
    "only the two that are free": (
        """
        import asyncio

        async def page(shop, key):
            shelf = await shop.stock(key)
            terms = await shop.contract(shelf)
            price = await shop.price(key)
            return shelf, terms, price
        """,
        "price = ",
        """
        import asyncio

        async def page(shop, key):
            shelf = await shop.stock(key)
            terms, price = await asyncio.gather(shop.contract(shelf), shop.price(key))
            return shelf, terms, price
        """,
    ),
    "a loop that fills a list": (
        """
        import asyncio

        async def page(shop, keys):
            found = []
            # One after another.
            for key, title in keys:
                shelf = await shop.stock(key)
                found.append(Line(title, shelf))
            return found
        """,
        "shelf = ",
        """
        import asyncio

        async def page(shop, keys):
            found = []
            at_once = asyncio.Semaphore(8)

            async def ask(key, title):
                async with at_once:
                    shelf = await shop.stock(key)
                    return Line(title, shelf)

            # One after another.
            found.extend(await asyncio.gather(*(ask(key, title) for key, title in keys)))
            return found
        """,
    ),
}

REFUSED = {
    "one session": (
        """
        async def page(session: AsyncSession, key):
            a = await stock_of(session, key)
            b = await price_of(session, key)
            return a, b
        """,
        "b = await",
        "session",
    ),
    "a session by its annotation only": (
        """
        async def page(store: AsyncSession, key):
            a = await stock_of(store, key)
            b = await price_of(store, key)
            return a, b
        """,
        "b = await",
        "`store`",
    ),
    "a class that keeps one": (
        """
        class Shop:
            def __init__(self, session: AsyncSession):
                self.session = session

        async def page(shop: Shop, key):
            a = await shop.stock(key)
            b = await shop.price(key)
            return a, b
        """,
        "b = await",
        "session",
    ),
    "the second needs the first": (
        """
        async def page(shop, key):
            a = await shop.stock(key)
            b = await shop.price(a)
            return a, b
        """,
        "b = await",
        "needs `a`",
    ),
    "needed by a value in between": (
        """
        async def page(shop, key):
            a = await shop.stock(key)
            sku = a["sku"]
            b = await shop.price(sku)
            return a, b
        """,
        "b = await",
        "needs `sku`",
    ),
    "a check in between leaves": (
        """
        async def page(shop, key):
            a = await shop.stock(key)
            if a is None:
                raise LookupError(key)
            b = await shop.price(key)
            return a, b
        """,
        "b = await",
        "may not be moved",
    ),
    "writes have an order": (
        """
        async def page(shop, key):
            a = await shop.reserve(key)
            b = await shop.price(key)
            return a, b
        """,
        "b = await",
        "order may matter",
    ),
    "a call in between may have an effect": (
        """
        async def page(shop, key):
            a = await shop.stock(key)
            audit(key)
            b = await shop.price(key)
            return a, b
        """,
        "b = await",
        "may not be moved",
    ),
    "a loop whose turns need each other": (
        """
        async def page(shop, keys):
            found = []
            last = None
            for key in keys:
                last = await shop.stock(key, last)
                found.append(last)
            return found
        """,
        "last = await",
        "`last` is used outside",
    ),
    "a stream is read bit by bit": (
        """
        async def page(wire, count):
            return [(await wire.answer()) for _ in range(count)]
        """,
        "return [",
        "asks the same at each turn",
    ),
    "the same twice": (
        """
        async def page(wire):
            head = await wire.answer()
            body = await wire.answer()
            return head, body
        """,
        "body = ",
        "asks the same as a line before",
    ),
    "a method that moves on": (
        """
        class Wire:
            async def line(self, size):
                self.position += size

        async def page(wire: Wire):
            head = await wire.line(1)
            body = await wire.line(2)
            return head, body
        """,
        "body = ",
        "changes `self.position`",
    ),
    "read from a reader": (
        """
        async def page(reader):
            head = await reader.read(4)
            body = await reader.read(9)
            return head, body
        """,
        "body = ",
        "used up",
    ),
    "awaited for its effect": (
        """
        async def page(shop, key):
            b = await shop.price(key)
            await shop.seen(key)
            c = await shop.stock(key)
            return b, c
        """,
        "c = await",
        "may not be moved",
    ),
    "a loop that stops early": (
        """
        async def page(shop, keys):
            found = []
            for key in keys:
                shelf = await shop.stock(key)
                if shelf:
                    break
                found.append(shelf)
            return found
        """,
        "shelf = await",
        "leave the loop early",
    ),
    "two statements on one line": (
        """
        async def page(shop, key):
            a = await shop.stock(key); b = await shop.price(key)
            return a, b
        """,
        "b = await",
        "several statements",
    ),
    "no longer async": (
        """
        def page(shop, key):
            return shop.price(key)
        """,
        "shop.price",
        "not in an async function",
    ),
}


@pytest.mark.parametrize("name", GATHERED)
def test_gathered(name: str, tmp_path: Path) -> None:
    before, needle, after = GATHERED[name]
    same(variant(proposed(tmp_path, "RT302", before, At(needle, "page")), "gather"), after)


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, tmp_path: Path) -> None:
    before, needle, why = REFUSED[name]
    answers = proposed(tmp_path, "RT302", before, At(needle, "page"))
    assert not [a for a in answers if isinstance(a, Fix)]
    assert why in reasons(answers)


@pytest.mark.parametrize(
    ("connections", "written"),
    [((1, 1), False), ((1, 2), True), ((None, None), False)],
    ids=["one connection", "one each", "not known"],
)
def test_statements_that_the_traces_show(
    connections: tuple[int | None, int | None], written: bool, tmp_path: Path
) -> None:
    """By sight the repository is as good as any object: only the traces know what it works on."""
    shop = App(tmp_path)
    shop.write(
        FILE,
        "async def page(repo, key):\n    a = await repo.book(key)\n    b = await repo.price(key)\n    return a, b\n",
    )
    stacks = [
        [shop.library("sqlalchemy.py"), shop.frame(FILE, needle, "page")] for needle in ("a = await", "b = await")
    ]
    shot = Shot()
    for stack, connection in zip(stacks, connections, strict=True):
        shot.sql("SELECT 1", None, stack, perfcrew__db__connection=connection)
    observed = scene(shop, traced([shot]))
    seen = finding(tmp_path, "RT302", At("b = await", "page")).model_copy(update={"endpoint": observed.endpoint.key})
    answers = propose(tmp_path, seen, replace(application(tmp_path), scenes=(observed,)))
    assert any(isinstance(a, Fix) for a in answers) is written
    assert written or "as its traces show" in reasons(answers)


def test_task_group(tmp_path: Path) -> None:
    before, needle, _ = GATHERED["three in a row"]
    answers = proposed(tmp_path, "RT302", before, At(needle, "page"))
    expected = """
        import asyncio


        async def page(shop: Shop, key: int) -> Page:
            async with asyncio.TaskGroup() as tasks:
                shelf_task = tasks.create_task(shop.stock(key))
                price_task = tasks.create_task(shop.price(key))  # in cents
                # by the carrier
                parcel_task = tasks.create_task(shop.quote(key))
            shelf = shelf_task.result()
            price = price_task.result()
            parcel = parcel_task.result()
            return Page(shelf, price, parcel)
        """
    same(variant(answers, "TaskGroup"), expected)


def test_a_loop_bounds_how_many_run_at_once(tmp_path: Path) -> None:
    before, needle, _ = GATHERED["a loop that fills a list"]
    text = variant(proposed(tmp_path, "RT302", before, At(needle, "page")), "gather")
    space: dict[str, object] = {"Line": lambda title, shelf: (title, shelf)}
    exec(text, space)
    running, most = 0, 0

    class Shop:
        async def stock(self, key: int) -> int:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await space["asyncio"].sleep(0)  # type: ignore[attr-defined]
            running -= 1
            return key * 2

    keys = [(k, str(k)) for k in range(40)]
    found = space["asyncio"].run(space["page"](Shop(), keys))  # type: ignore[attr-defined,operator]
    assert found == [(str(k), k * 2) for k in range(40)]
    assert most == 8
