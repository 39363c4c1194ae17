"""Fields of a hash, other reads, reads that are gathered, Django's cache; and those that must stay one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from perfcrew.core.patches import Fix

from .cases import At, proposed, reasons, same, variant
from .test_ca204 import ran, socket  # noqa: F401 (a fixture)

HEAD = "import asyncio\nfrom redis.asyncio import Redis\n\n\nasync def shelf(redis: Redis, ids):\n"
DJANGO = "from django.core.cache import cache, caches\n\n\ndef shelf(ids):\n"
DONE = {
    "fields of one hash": (
        HEAD + "    return [await redis.hget('books', f'{i}') for i in ids]\n",
        "HMGET",
        "    keys = [f'{i}' for i in ids]\n"
        "    values = await redis.hmget('books', keys) if keys else []\n"
        "    return values\n",
    ),
    "one field of many hashes": (
        HEAD + "    return [await redis.hget(f'book:{i}', 'title') for i in ids]\n",
        "pipeline",
        "    keys = [f'book:{i}' for i in ids]\n"
        "    async with redis.pipeline(transaction=False) as pipe:\n"
        "        for key in keys:\n"
        "            pipe.hget(key, 'title')\n"
        "        values = await pipe.execute()\n"
        "    return values\n",
    ),
    "whole hashes, in a loop": (
        HEAD + "    found = []\n    for i in ids:\n        book = await redis.hgetall(f'book:{i}')\n"
        "        found.append(len(book))\n    return found\n",
        "pipeline",
        "    found = []\n    asked = list(ids)\n    keys = [f'book:{i}' for i in asked]\n"
        "    async with redis.pipeline(transaction=False) as pipe:\n"
        "        for key in keys:\n"
        "            pipe.hgetall(key)\n"
        "        values = await pipe.execute()\n"
        "    for i, book in zip(asked, values):\n"
        "        found.append(len(book))\n    return found\n",
    ),
    "gathered": (
        HEAD + "    found = await asyncio.gather(*(redis.get(f'book:{i}') for i in ids))\n    return found\n",
        "MGET",
        "    keys = [f'book:{i}' for i in ids]\n"
        "    values = await redis.mget(keys) if keys else []\n"
        "    found = values\n    return found\n",
    ),
    "writes of a hash": (
        HEAD + "    for i in ids:\n        await redis.hset(f'book:{i}', 'seen', 1)\n"
        "        await redis.delete(f'old:{i}')\n",
        "pipeline",
        "    async with redis.pipeline(transaction=False) as pipe:\n        for i in ids:\n"
        "            pipe.hset(f'book:{i}', 'seen', 1)\n            pipe.delete(f'old:{i}')\n"
        "        await pipe.execute()\n",
    ),
    "Django's cache": (
        DJANGO + "    return {i: cache.get(f'book:{i}') for i in ids}\n",
        "get_many",
        "    asked = [i for i in ids]\n    keys = [f'book:{i}' for i in asked]\n    kept = cache.get_many(keys)\n"
        "    values = [kept.get(key) for key in keys]\n"
        "    return {i: value for i, value in zip(asked, values)}\n",
    ),
    "Django's cache, filled": (
        DJANGO + "    found = []\n    for i in ids:\n        key = f'book:{i}'\n        book = cache.get(key)\n"
        "        if book is None:\n            book = i * 2\n            cache.set(key, book, 60)\n"
        "        found.append(book)\n    return found\n",
        "get_many",
        "    found = []\n    asked = list(ids)\n    keys = [f'book:{i}' for i in asked]\n"
        "    kept = cache.get_many(keys)\n    values = [kept.get(key) for key in keys]\n"
        "    for i, book in zip(asked, values):\n        key = f'book:{i}'\n"
        "        if book is None:\n            book = i * 2\n            cache.set(key, book, 60)\n"
        "        found.append(book)\n    return found\n",
    ),
    "Django's cache, written": (
        DJANGO
        + "    for i in ids:\n        cache.set(f'book:{i}', str(i), timeout=60)\n    return cache.get('book:1')\n",
        "set_many",
        "    cache.set_many({f'book:{i}': str(i) for i in ids}, 60)\n    return cache.get('book:1')\n",
    ),
    "another of Django's caches, emptied": (
        DJANGO + "    for i in ids:\n        caches['pages'].delete(f'book:{i}')\n    return 1\n",
        "delete_many",
        "    caches['pages'].delete_many([f'book:{i}' for i in ids])\n    return 1\n",
    ),
}


def needle(source: str) -> str:
    return next(
        n
        for n in ("redis.h", "redis.get", "caches['pages'].d", "cache.set(f", "= cache.get(", ": cache.get(")
        if n in source
    )


@pytest.mark.parametrize("name", DONE)
def test_done(name: str, tmp_path: Path) -> None:
    before, how, after = DONE[name]
    text = variant(proposed(tmp_path, "CA204", before, At(needle(before), "shelf")), how)
    same(text, before[: before.index("ids):\n") + 6] + after)


GET = "        book = cache.get(f'b:{i}')\n"
REFUSED = {
    "a key of both parts": (HEAD + "    return [await redis.hget(f'b:{i}', f'{i}') for i in ids]\n", "both the key"),
    "the hash is asked for each time": (
        HEAD + "    return [await redis.hget(name(), f'{i}') for i in ids]\n", "made anew each time",
    ),
    "a turn writes another field": (
        HEAD + "    for i in ids:\n        book = await redis.hget('b', f'{i}')\n"
        "        await redis.hset('b', f'{i + 1}', book)\n        print(book)\n",
        "other keys",
    ),
    "gathered with what may fail": (
        HEAD + "    return await asyncio.gather(*(redis.get(f'b:{i}') for i in ids), return_exceptions=True)\n",
        "what is there already",
    ),
    "gathered by key of a key": (
        HEAD + "    return await asyncio.gather(*(redis.get(await name(i)) for i in ids))\n", "waits",
    ),
    "a count that is written back": (
        HEAD + "    for i in ids:\n        book = await redis.get(f'b:{i}')\n"
        "        await redis.set(f'b:{i}', int(book or 0) + 1)\n        print(book)\n",
        "whatever it found",
    ),
    "a count where there is none": (
        HEAD + "    for i in ids:\n        book = await redis.get(f'b:{i}')\n        if not book:\n"
        "            await redis.incr(f'b:{i}')\n        print(book)\n",
        "whatever it found",
    ),
    "a default": (DJANGO + "    return [cache.get(f'b:{i}', 0) for i in ids]\n", "no single"),
    "a cache of the project's": (
        DJANGO.replace("django.core.cache", "shop.cache") + "    return {i: cache.get(f'b:{i}') for i in ids}\n",
        "can't be told",
    ),
    "the first that is found": (
        DJANGO + "    for i in ids:\n" + GET.replace("book = cache", "book = cache") + "        if book:\n"
        "            return book\n",
        "may end the loop",
    ),
    "what is kept of the turn before": (
        DJANGO + "    for i in ids:\n        cache.set(f'b:{i}', cache.get(f'b:{i - 1}'))\n", "nothing but compute",
    ),
    "a value by who knows what": (
        DJANGO + "    for i in ids:\n        cache.set(f'b:{i}', render(i))\n", "nothing but compute",
    ),
    "a time of its own": (
        DJANGO + "    for i in ids:\n        cache.set(f'b:{i}', 1, i)\n", "a time to live of its own",
    ),
    "a version": (
        DJANGO + "    for i in ids:\n        cache.set(f'b:{i}', 1, version=2)\n", "more than a time to live",
    ),
    "the turn's name is used after it": (
        DJANGO + "    for i in ids:\n        cache.set(f'b:{i}', 1)\n    return i\n", "outside of the loop",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, tmp_path: Path) -> None:
    before, why = REFUSED[name]
    found = next(n for n in ("redis.hget", "redis.get", "cache.set(", "cache.get(") if n in before)
    answers = proposed(tmp_path, "CA204", before, At(found, "shelf"))
    assert not [a for a in answers if isinstance(a, Fix)]
    assert why in reasons(answers)


@pytest.mark.redis
def test_on_a_real_server_gathered_reads_are_one(tmp_path: Path, socket: str) -> None:  # noqa: F811
    before, how, _ = DONE["gathered"]
    after = variant(proposed(tmp_path, "CA204", before, At("redis.get", "shelf")), how)
    for ids in (list(range(7)), []):
        first, second = ran(before, socket, ids), ran(after, socket, ids)
        assert first[:2] == second[:2]
        assert second[2] <= 1


def test_on_djangos_own_cache_it_gives_and_leaves_the_same(tmp_path: Path) -> None:
    from django.conf import settings

    if not settings.configured:
        settings.configure()
    from django.core.cache.backends.locmem import LocMemCache

    for number, name in enumerate(("Django's cache", "Django's cache, filled", "Django's cache, written")):
        before, how, _ = DONE[name]
        after = variant(proposed(tmp_path, "CA204", before, At(needle(before), "shelf")), how)
        said: list[Any] = []
        for at, text in enumerate((before, after)):
            kept = LocMemCache(f"{number}-{at}", {})
            kept.set_many({"book:1": 11, "book:3": 13})
            scope: dict[str, Any] = {}
            exec(compile(text, "shelf", "exec"), scope)
            scope["cache"] = kept
            said.append((scope["shelf"]([1, 2, 3, 3]), kept.get_many([f"book:{n}" for n in range(5)])))
        assert said[0] == said[1]
