"""Calls of a loop, gathered within a bound; and loops that can't be."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfcrew.core.patches import Fix

from .cases import At, proposed, reasons, same, variant

DONE = {
    "a comprehension": (
        """
        import asyncio


        async def page(client: httpx.AsyncClient, keys):
            # One call a key.
            lines = [(await client.get(f"/stock/{key}")).json() for key in keys if key]  # slow
            return lines
        """,
        "# slow",
        """
        import asyncio


        async def page(client: httpx.AsyncClient, keys):
            at_once = asyncio.Semaphore(8)

            async def ask(key):
                async with at_once:
                    return (await client.get(f"/stock/{key}")).json()

            # One call a key.
            lines = await asyncio.gather(*(ask(key) for key in keys if key))  # slow
            return lines
        """,
    ),
    "a dict": (
        """
        import asyncio


        async def page(client: httpx.AsyncClient, keys):
            return {key: await client.get(key) for key in keys}.items()
        """,
        "client.get",
        """
        import asyncio


        async def page(client: httpx.AsyncClient, keys):
            at_once = asyncio.Semaphore(8)

            async def ask(key):
                async with at_once:
                    return key, await client.get(key)

            return dict(await asyncio.gather(*(ask(key) for key in keys))).items()
        """,
    ),
    "a loop that fills a dict, and logs": (
        """
        import asyncio


        async def page(client: httpx.AsyncClient, keys):
            found = {}
            for key in keys:
                answer = await client.get(key)
                answer.raise_for_status()
                logger.info("asked %s", key)
                found[key] = answer.json()
            return found
        """,
        "client.get",
        """
        import asyncio


        async def page(client: httpx.AsyncClient, keys):
            found = {}
            at_once = asyncio.Semaphore(8)

            async def ask(key):
                async with at_once:
                    answer = await client.get(key)
                    answer.raise_for_status()
                    logger.info("asked %s", key)
                    return key, answer.json()

            found.update(await asyncio.gather(*(ask(key) for key in keys)))
            return found
        """,
    ),
}

REFUSED = {
    "sync code": ("def page(keys):\n    return [ask(key) for key in keys]\n", "return", "sync code"),
    "writes": (
        "async def page(client, keys):\n    return [await client.post(key) for key in keys]\n",
        "return",
        "order may matter",
    ),
    "a session": (
        "async def page(session, keys):\n    return [await ask(session, key) for key in keys]\n",
        "return",
        "`session`",
    ),
    "pages that need the one before": (
        "async def page(client, url):\n    found = []\n    while url:\n        answer = await client.get(url)\n"
        "        found.append(answer)\n        url = answer.next\n    return found\n",
        "client.get",
        "only `for` loops",
    ),
    "adds up": (
        "async def page(client, keys):\n    total = 0\n    found = []\n    for key in keys:\n"
        "        total += await client.get(key)\n        found.append(key)\n    return total\n",
        "client.get",
        "add up",
    ),
    "part of a condition": (
        "async def page(client, keys):\n    return keys and [await client.get(key) for key in keys]\n",
        "return",
        "part of a condition",
    ),
    "two loops in one": (
        "async def page(client, rows):\n    return [await client.get(key) for row in rows for key in row]\n",
        "return",
        "several `for`",
    ),
}


@pytest.mark.parametrize("name", DONE)
def test_done(name: str, tmp_path: Path) -> None:
    before, needle, after = DONE[name]
    same(variant(proposed(tmp_path, "HT401", before, At(needle, "page")), "bounded gather"), after)


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, tmp_path: Path) -> None:
    before, needle, why = REFUSED[name]
    answers = proposed(tmp_path, "HT401", before, At(needle, "page"))
    assert not [a for a in answers if isinstance(a, Fix)]
    assert why in reasons(answers)


def test_a_method_that_takes_many_is_named(tmp_path: Path) -> None:
    before = """
        class Shop:
            async def stock(self, key: int): ...
            async def stock_of_many(self, keys: list[int]): ...


        async def page(shop: Shop, keys):
            return [await shop.stock(key) for key in keys]
        """
    assert "`Shop.stock_of_many` takes many keys" in reasons(proposed(tmp_path, "HT401", before, At("return", "page")))
