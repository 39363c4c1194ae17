"""Answers that all processes share, in Redis or in Django's cache; and those that must not go there."""

from __future__ import annotations

import asyncio
import importlib
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import redis

from perfcrew.core.patches import Fix
from perfcrew.core.sql import shape
from perfcrew.rules.fixes import propose
from perfcrew.rules.fixes.shared_cache import several_processes

from .cases import FILE, At, application, finding, write
from .database import asked, fixed, refused, with_scene
from .test_ca201 import MODELS, STATEMENT, curve
from .test_ca204 import socket  # noqa: F401 (a fixture)

SCHEMA = "from pydantic import BaseModel\n\n\nclass Ranked(BaseModel):\n    id: int\n    copies: int\n"
CACHE = "import os\n\nfrom redis.asyncio import Redis\n\nclient = Redis.from_url(os.environ['SHOP_REDIS'])\n"
TOP = '''
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from shop.models import Book, Line
from shop.schemas import Ranked


async def top(session: AsyncSession, limit: int) -> list[Ranked]:
    """The best."""
    asked = select(Book.id, func.count(Line.id)).join(Line, Line.book_id == Book.id).group_by(Book.id)
    rows = await session.execute(asked.order_by(func.count(Line.id).desc(), Book.id).limit(limit))
    return [Ranked(id=key, copies=copies) for key, copies in rows]
'''
SELL = """

async def sell(session: AsyncSession, book_id: int) -> None:
    session.add(Line(book_id=book_id))
    await session.commit()
"""
FILES = {"shop/__init__.py": "", "shop/models.py": MODELS, "shop/schemas.py": SCHEMA, "shop/cache.py": CACHE}
SHARED = "kept in Redis"


def ask(tmp_path: Path, source: str, others: dict[str, str] | None = None):  # type: ignore[no-untyped-def]
    files = {**FILES, FILE: source, **(others or {})}
    return asked(tmp_path, "CA201", files, At("session.execute", "top"), STATEMENT)


def test_the_round_trips_are_said_to_be_its_price(tmp_path: Path) -> None:
    pays = {a.variant: a.pays for a in ask(tmp_path, TOP) if isinstance(a, Fix)}
    assert pays == {"kept in the process": (), SHARED: ("cache.round_trips",)}


def test_in_the_process_first_where_one_serves_else_in_redis(tmp_path: Path) -> None:
    assert [a.variant for a in ask(tmp_path, TOP) if isinstance(a, Fix)] == ["kept in the process", SHARED]
    app = application(tmp_path)
    project = app.project.model_copy(update={"start": ("gunicorn", "-w", "4", "shop.app")})
    found = finding(tmp_path, "CA201", At("session.execute", "top"), None, STATEMENT)
    more = type(app)(root=tmp_path, project=project, scenes=())
    assert {a.variant for a in propose(tmp_path, found, more) if isinstance(a, Fix)} == {"kept in the process", SHARED}
    assert several_processes(("gunicorn", "--workers=3"))
    assert not several_processes(("uvicorn", "--workers", "1"))
    assert not several_processes(("uvicorn", "shop.app:app"))


def module(root: Path, monkeypatch: pytest.MonkeyPatch, address: str) -> ModuleType:
    monkeypatch.setenv("SHOP_REDIS", address)
    monkeypatch.syspath_prepend(str(root))
    for name in [n for n in sys.modules if n.split(".")[0] == "shop"]:
        monkeypatch.delitem(sys.modules, name)
    importlib.import_module("shop.cache")
    return importlib.import_module("shop.app")


async def used(shop: ModuleType, folder: Path) -> dict[str, Any]:
    """Answers of two databases, with a sale in between, and how many statements were sent for each."""
    from sqlalchemy import event
    from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

    models = sys.modules["shop.models"]
    found: dict[str, Any] = {"answers": [], "sent": []}
    for name in ("one", "other"):
        engine = create_async_engine(f"sqlite+aiosqlite:///{folder}/{name}.sqlite3")
        async with engine.begin() as connection:
            await connection.run_sync(models.Base.metadata.drop_all)
            await connection.run_sync(models.Base.metadata.create_all)
        async with AsyncSession(engine) as session:
            session.add_all([models.Book(id=n) for n in range(1, 4)])
            session.add_all([models.Line(book_id=n) for n in range(1, 4) for _ in range(n)])
            await session.commit()
        sent: list[str] = []
        event.listen(engine.sync_engine, "before_cursor_execute", lambda *a, to=sent: to.append(a[2]))
        async with AsyncSession(engine) as session:
            for limit in (2, 2, 3, 2):
                found["answers"].append([r.model_dump() for r in await shop.top(session, limit)])
            for _ in range(4 if name == "one" else 0):
                await shop.sell(session, 1)
            found["answers"].append([r.model_dump() for r in await shop.top(session, 2)])
        found["sent"].append(sum(text.startswith("SELECT books") for text in sent))
        await engine.dispose()
    await sys.modules["shop.cache"].client.aclose()
    return found


@pytest.mark.redis
def test_answers_are_the_same_and_asked_once_until_a_write(
    tmp_path: Path,
    socket: str,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = ask(tmp_path, TOP + SELL)
    before = asyncio.run(used(module(tmp_path, monkeypatch, f"unix://{socket}"), tmp_path))
    text = fixed(answers, SHARED)[FILE]
    (tmp_path / FILE).write_text(text)
    with redis.Redis(unix_socket_path=socket) as direct:
        direct.flushall()
        after = asyncio.run(used(module(tmp_path, monkeypatch, f"unix://{socket}"), tmp_path))
        lasting = {key.decode(): direct.ttl(key) for key in direct.scan_iter()}
    assert after["answers"] == before["answers"]
    assert (before["sent"], after["sent"]) == ([5, 5], [3, 2])
    assert all(name.startswith("shop:top:") for name in lasting)
    assert all(0 < seconds <= 30 for name, seconds in lasting.items() if not name.endswith(":written"))
    # A cache that can't be reached changes nothing.
    lost = asyncio.run(used(module(tmp_path, monkeypatch, f"unix://{tmp_path}/nobody"), tmp_path))
    assert lost == before


DJANGO = {
    "shop/models.py": "from django.db import models\n\n\nclass Book(models.Model):\n    title = models.TextField()\n",
    FILE: "from shop.models import Book\n\n\ndef top(limit: int) -> list[dict[str, int | None]]:\n"
    "    rows = Book.objects.values('id').order_by('id')[:limit]\n    return [dict(row) for row in rows]\n",
}
DJANGO_SELL = "\n\ndef sell(title):\n    Book.objects.create(title=title)\n"
DJANGO_STATEMENT = "SELECT shop_book.id FROM shop_book ORDER BY shop_book.id LIMIT ?"


def ask_django(tmp_path: Path, more: dict[str, str] | None = None, source: str = DJANGO[FILE]):  # type: ignore[no-untyped-def]
    files = {**DJANGO, FILE: source, **(more or {})}
    at = At("Book.objects.values", "top")
    return asked(tmp_path, "CA201", files, at, DJANGO_STATEMENT, framework="django")


def test_djangos_cache_is_asked_first_and_dropped_by_a_write(tmp_path: Path) -> None:
    text = fixed(ask_django(tmp_path, source=DJANGO[FILE] + DJANGO_SELL), "kept in Django's cache")[FILE]
    assert '    key = "shop.app.top:v1:" + hashlib.sha256(' in text
    assert 'json.dumps([cache.get("shop.app.top:written", 0), limit])' in text
    assert "    known = cache.get(key)\n    if known is not None:\n        return known\n" in text
    assert "    cache.set(key, answer, 30)\n    return answer\n" in text
    assert text.endswith("    Book.objects.create(title=title)\n    transaction.on_commit(_forget_top)\n")


DECLINED_DJANGO = {
    "a model's rows": (DJANGO[FILE].replace("list[dict[str, int | None]]", "list[Book]"), {}, "returns `Book` rows"),
    "a queryset": (DJANGO[FILE].replace("list[dict[str, int | None]]", "QuerySet"), {}, "what `QuerySet` is"),
    "the request": (DJANGO[FILE].replace("limit: int", "request, limit: int"), {}, "`request` is of no known type"),
    "the language": (DJANGO[FILE].replace("'id'", "_('id')", 1), {}, "hangs on `_`"),
    "the admin writes": (DJANGO[FILE], {"shop/admin.py": "admin.site.register(Book)\n"}, "writes to `Book` by forms"),
    "a view writes": (
        DJANGO[FILE],
        {"shop/api.py": "class Books(viewsets.ModelViewSet):\n    queryset = Book.objects.all()\n"},
        "writes to `Book` by forms",
    ),
    "a writer elsewhere": (
        DJANGO[FILE],
        {"shop/selling.py": "def sell():\n    Book.objects.create(title='')\n"},
        "`sell` in shop/selling.py writes",
    ),
    "a writer that may end before": (
        DJANGO[FILE] + "\n\ndef sell():\n    return Book.objects.create(title='')\n",
        {},
        "may end before",
    ),
}


@pytest.mark.parametrize("name", DECLINED_DJANGO)
def test_declines_for_django(name: str, tmp_path: Path) -> None:
    source, more, reason = DECLINED_DJANGO[name]
    assert reason in refused(ask_django(tmp_path, more, source))


def schema(field: str) -> dict[str, str]:
    return {"shop/schemas.py": SCHEMA + field}


UNSHARED: dict[str, tuple[str, dict[str, str]]] = {
    "no client": (TOP, {"shop/cache.py": ""}),
    "two clients": (TOP, {"shop/cache.py": CACHE + "other = Redis()\n"}),
    "a client of the other colour": (TOP, {"shop/cache.py": CACHE.replace("redis.asyncio", "redis")}),
    "a cluster": (TOP, {"shop/cache.py": CACHE.replace("import Redis", "import RedisCluster as Redis")}),
    "a client that is made anew": (TOP, {"shop/cache.py": CACHE + "client = None\n"}),
    "a field by another name": (TOP, schema("    shown: int = Field(alias='x', default=1)\n")),
    "a field that is not sent": (TOP, schema("    shown: int = Field(exclude=True, default=1)\n")),
    "a validator": (TOP, schema("    @field_validator('id')\n    def twice(cls, v): return v * 2\n")),
    "a computed field": (TOP, schema("    @computed_field\n    def twice(self) -> int: return self.id * 2\n")),
    "anything": (TOP, schema("    more: Any = None\n")),
    "one of several types": (TOP, schema("    day: date | datetime\n")),
    "no model of pydantic": (TOP, {"shop/schemas.py": "class Ranked:\n    id: int\n"}),
    "what was not set is left out": (TOP, {"shop/api.py": "route = get(response_model_exclude_unset=True)\n"}),
    "a type that is only checked": (
        TOP.replace("from shop.schemas import Ranked\n", "if TYPE_CHECKING:\n    from shop.schemas import Ranked\n"),
        {},
    ),
    "a tuple": (TOP.replace("list[Ranked]", "tuple[int, str]"), {}),
    "a dict by numbers": (TOP.replace("list[Ranked]", "dict[int, str]"), {}),
    "a writer that can't wait": (
        TOP + "\n\ndef sell(session):\n    session.add(Line())\n    session.commit()\n",
        {},
    ),
}


@pytest.mark.parametrize("name", UNSHARED)
def test_not_shared(name: str, tmp_path: Path) -> None:
    source, others = UNSHARED[name]
    assert SHARED not in [a.variant for a in ask(tmp_path, source, others) if isinstance(a, Fix)]


HIDDEN = {
    "the user": (TOP.replace("    rows =", "    print(current_user.id)\n    rows ="), {}, "hangs on `current_user`"),
    "a tenant on the session": (TOP, {"shop/t.py": "def at(session):\n    session.info['t'] = 1\n"}, "user or tenant"),
    "the user, by a function that is called": (
        TOP.replace("    rows =", "    seen()\n    rows =") + "\n\ndef seen():\n    return current_user.id\n",
        {},
        "`current_user` of `seen`",
    ),
    "a context variable of another module": (
        TOP.replace("    rows =", "    print(asking.get())\n    rows ="),
        {"shop/who.py": "asking: ContextVar[int] = ContextVar('asking')\n"},
        "hangs on `asking`",
    ),
    "a context variable, by a function of another module": (
        TOP.replace("    rows =", "    print(who())\n    rows ="),
        {"shop/who.py": "asking = ContextVar('asking')\n\n\ndef who():\n    return asking.get()\n"},
        "`asking` of `who`",
    ),
    "a request by another name": (
        "from flask import request as req\n" + TOP.replace("    rows =", "    print(req.args)\n    rows ="),
        {},
        "hangs on `req",
    ),
    "an attribute of flask": (
        "import flask\n" + TOP.replace("    rows =", "    print(flask.g.user)\n    rows ="),
        {},
        "hangs on `flask.g",
    ),
    "an object": (TOP.replace("limit: int", "user: User"), {}, "may not be fit for a key"),
    "mapped rows": (TOP.replace("list[Ranked]", "list[Book]"), {}, "returns `Book` rows"),
}


@pytest.mark.parametrize("name", HIDDEN)
def test_what_hangs_on_who_asks_is_kept_nowhere(name: str, tmp_path: Path) -> None:
    source, others, reason = HIDDEN[name]
    assert reason in refused(ask(tmp_path, source, others))


def test_written_files_keep_their_form(tmp_path: Path) -> None:
    write(tmp_path, FILES)
    text = fixed(ask(tmp_path, TOP + SELL), SHARED)[FILE]
    assert "from shop.cache import client\n" in text
    assert '_top_shared = _Shared("shop:top", 30, list[Ranked])\n' in text
    assert text.endswith("    await session.commit()\n    await _top_shared.forget(client)\n")


def test_the_models_time_to_live_there_too(tmp_path: Path) -> None:
    write(tmp_path, {**FILES, FILE: TOP + SELL})
    found = finding(tmp_path, "CA201", At("session.execute", "top"), None, shape(STATEMENT))
    app = with_scene(tmp_path)
    app = replace(app, scenes=tuple(replace(scene, ttl=(curve(900.0),)) for scene in app.scenes))
    answers = propose(tmp_path, found.model_copy(update={"endpoint": "GET /page"}), app)
    (fix,) = [a for a in answers if isinstance(a, Fix) and a.variant == SHARED]
    assert fix.ttl_s == 900 and '_Shared("shop:top", 900, list[Ranked])' in str(fix.files[FILE])
    assert "advises 900 s" in fix.trade_offs[0]
