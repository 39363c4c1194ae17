"""Answers that are kept for a bounded time; and those that must not be."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from perfcrew.core.evidence import TtlCurve
from perfcrew.core.patches import Fix
from perfcrew.core.project import Detected
from perfcrew.core.scene import Seen
from perfcrew.core.sql import shape
from perfcrew.rules.fixes import propose

from ..build import lives
from .cases import At, finding, hypothesis, write
from .database import asked, fixed, refused, with_scene

STATEMENT = "SELECT books.id, sum(lines.n) FROM books JOIN lines ON lines.book_id = books.id GROUP BY books.id"
MODELS = """
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Book(Base):
    __tablename__ = "books"
    id: Mapped[int] = mapped_column(primary_key=True)


class Line(Base):
    __tablename__ = "lines"
    id: Mapped[int] = mapped_column(primary_key=True)
    book_id: Mapped[int]
"""
SCHEMA = "class Ranked:\n    def __init__(self, id):\n        self.id = id\n"
TOP = '''
from __future__ import annotations

from shop.schemas import Ranked


async def top(session: AsyncSession, limit: int) -> list[Ranked]:
    """The best."""
    rows = await session.execute("SELECT", limit)
    return [Ranked(row) for row in rows]
'''


def ask(tmp_path: Path, source: str, others: dict[str, str] | None = None):  # type: ignore[no-untyped-def]
    files = {"shop/models.py": MODELS, "shop/schemas.py": SCHEMA, "shop/app.py": source, **(others or {})}
    return asked(tmp_path, "CA201", files, At("session.execute", "top"), STATEMENT)


class _Engine:
    engine: Any

    def __init__(self) -> None:
        self.engine = self


class _Session:
    """Counts what it is asked."""

    def __init__(self, engine: _Engine) -> None:
        self.bind, self.asked = engine, 0

    def get_bind(self) -> _Engine:
        return self.bind

    async def execute(self, text: str, limit: int) -> list[int]:
        self.asked += 1
        return list(range(limit))


def test_equal_arguments_are_asked_once_for_each_database(tmp_path: Path) -> None:
    answers = ask(tmp_path, TOP)
    text = fixed(answers, "kept in the process")["shop/app.py"]
    module: dict[str, Any] = {"__name__": "shop.app"}
    exec(compile(SCHEMA, "schemas", "exec"), module)
    exec(compile(text.replace("from shop.schemas import Ranked\n", ""), "app", "exec"), module)
    engine = _Engine()
    one, other = _Session(engine), _Session(_Engine())

    async def use() -> list[list[Any]]:
        first = await module["top"](one, 3)
        first.clear()
        return [await module["top"](one, 3), await module["top"](one, 4), await module["top"](other, 3)]

    assert [len(rows) for rows in asyncio.run(use())] == [3, 4, 3]
    assert (one.asked, other.asked) == (2, 1)
    for size in range(5, 400):
        asyncio.run(module["top"](one, size))
    assert len(module["_top_kept"]._entries) == 128
    module["_top_kept"]._seconds = -1
    asyncio.run(module["top"](other, 7))
    before = other.asked
    asyncio.run(module["top"](other, 7))
    assert other.asked == before + 1


class _Slow(OrderedDict[Any, Any]):
    """Another thread drops what is kept while an entry is being put."""

    clearing: Any

    def __init__(self) -> None:
        super().__init__()
        self.others: list[threading.Thread] = []

    def _drop(self) -> None:
        self.others.append(threading.Thread(target=self.clearing))
        self.others[-1].start()
        self.others[-1].join(0.2)

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, value)
        self._drop()

    def __len__(self) -> int:
        many = super().__len__()
        self._drop()
        return many


def test_another_thread_may_drop_it_at_any_time(tmp_path: Path) -> None:
    text = fixed(ask(tmp_path, TOP), "kept in the process")["shop/app.py"]
    module: dict[str, Any] = {"__name__": "shop.app"}
    exec(compile(text.replace("from shop.schemas import Ranked\n", ""), "app", "exec"), module)
    kept = module["_Kept"](seconds=30, at_most=0)
    slow = kept._entries = _Slow()
    slow.clearing = kept.clear
    kept.put(1, "one")
    for other in slow.others:
        other.join()  # one that comes late would drop what is put next
    kept.clear()
    kept._entries = OrderedDict()
    kept._at_most = 2
    for key in (1, 2, 1, 3):
        kept.put(key, f"{key}")
    assert [kept.get(key) for key in (1, 2, 3)] == ["1", None, "3"]


def test_it_says_for_how_long(tmp_path: Path) -> None:
    (fix,) = [a for a in ask(tmp_path, TOP) if isinstance(a, Fix)]
    assert fix.ttl_s == 30
    assert "up to 30 s old" in fix.trade_offs[0]
    assert "`books`, `lines`" in fix.trade_offs[1]


def test_a_writer_beside_it_drops_what_is_kept(tmp_path: Path) -> None:
    writer = "\n\nasync def sell(session: AsyncSession) -> None:\n    session.add(Line())\n    await session.commit()\n"
    text = fixed(ask(tmp_path, TOP + writer), "kept in the process")["shop/app.py"]
    assert text.endswith("    await session.commit()\n    _top_kept.clear()\n")


SIGNATURE = "async def top(session: AsyncSession, limit: int) -> list[Ranked]:"
DECLINED = {
    "rows that belong to a session": (TOP.replace("list[Ranked]", "list[Book]"), {}, "returns `Book` rows"),
    "it doesn't say what it returns": (TOP.replace(" -> list[Ranked]", ""), {}, "doesn't say what it returns"),
    "it returns anything": (TOP.replace("list[Ranked]", "Any"), {}, "what `Any` is"),
    "a list of anything": (TOP.replace("list[Ranked]", "list"), {}, "doesn't say what its list holds"),
    "an argument that is no key": (TOP.replace("limit: int", "user: User"), {}, "may not be fit for a key"),
    "another answer for each user": (
        TOP.replace("return [Ranked", "print(current_user.id)\n    return [Ranked"),
        {},
        "hangs on `current_user`",
    ),
    "a method": (
        "class Shop:\n    async def top(self, session: AsyncSession) -> list[Ranked]:\n"
        "        return [Ranked(r) for r in await session.execute('SELECT')]\n",
        {},
        "is a method",
    ),
    "it writes": (TOP.replace("return [", "await session.commit()\n    return ["), {}, "writes to the database"),
    "which database can't be told": (
        TOP.replace("session: AsyncSession", "session: Connection"),
        {},
        "can't be told for a key",
    ),
    "a writer elsewhere": (
        TOP,
        {"shop/selling.py": "def sell(session):\n    session.add(Line())\n    session.commit()\n"},
        "`sell` in shop/selling.py writes",
    ),
    "a writer that commits elsewhere": (
        TOP + "\n\ndef sell(session):\n    session.add(Line())\n",
        {},
        "commits elsewhere",
    ),
    "a name that it needs means something else": (
        f"from datetime import time\n{TOP}",
        {},
        "takes the name `time`",
    ),
    "an argument whose equal values differ": (
        TOP.replace("limit: int", "limit: Decimal"),
        {},
        "may not be fit for a key",
    ),
    **{
        f"the project has {held!r}": (TOP, {"shop/tenants.py": f"{code}\n"}, f"shop/tenants.py has `{held}`")
        for held, code in {
            "session.info": "def serve(session, tenant):\n    session.info['tenant'] = tenant",
            "SET app.": "ASK = 'SET app.tenant = :tenant'",
            "SET LOCAL app.": "ASK = 'SET LOCAL app.tenant = :tenant'",
            "SET search_path": "ASK = f'SET search_path TO {tenant}'",
            "set_config(": "ASK = 'SELECT set_config(:name, :tenant, true)'",
            "with_loader_criteria": "from sqlalchemy.orm import with_loader_criteria",
            "current_setting(": "RULE = 'USING (tenant_id = current_setting(1)::int)'",
        }.items()
    },
    "several ends": (
        TOP.replace("    rows =", "    if not limit:\n        return []\n    rows ="),
        {},
        "does not end in one return",
    ),
}


@pytest.mark.parametrize("name", DECLINED)
def test_declines(name: str, tmp_path: Path) -> None:
    source, others, reason = DECLINED[name]
    assert reason in refused(ask(tmp_path, source, others))


def test_what_only_tests_set_on_sessions_is_nothing(tmp_path: Path) -> None:
    others = {"tests/test_top.py": "def check(session):\n    session.info['asked'] = 1\n"}
    fixed(ask(tmp_path, TOP, others), "kept in the process")


def test_seeds_and_tests_are_no_writers(tmp_path: Path) -> None:
    writer = "def fill(session):\n    session.add(Line())\n    session.commit()\n"
    answers = ask(tmp_path, TOP, {"shop/seed.py": writer, "tests/test_top.py": writer})
    assert [a.variant for a in answers if isinstance(a, Fix)] == ["kept in the process"]


WRITER = "\n\nasync def sell(session: AsyncSession) -> None:\n    session.add(Line())\n    await session.commit()\n"


def curve(ttl: float | None, of: str = "statement", group: str = shape(STATEMENT)) -> Seen[TtlCurve]:
    """A model's table whose second point is the one that is advised."""
    body = lives(group, of=of, advised=None if ttl is None else 1).body
    points = (body.points[0], body.points[1].model_copy(update={"ttl_s": ttl or 30.0}), body.points[2])
    return Seen("E-ttl", body.model_copy(update={"points": points}))


def lasting(root: Path, seen: Seen[TtlCurve], source: str = TOP) -> list[Fix]:
    """What is proposed where the model of a cache says that of the endpoint's reads."""
    write(root, {"shop/models.py": MODELS, "shop/schemas.py": SCHEMA, "shop/app.py": source})
    found = finding(root, "CA201", At("session.execute", "top"), None, shape(STATEMENT))
    app = with_scene(root)
    app = replace(app, scenes=tuple(replace(scene, ttl=(seen,)) for scene in app.scenes))
    answers = propose(root, found.model_copy(update={"endpoint": "GET /page"}), app)
    return [a for a in answers if isinstance(a, Fix)]


LIVES = {
    "as advised": (curve(45.0), TOP, 45),
    "whole seconds, rather more": (curve(12.2), TOP, 13),
    "at least one": (curve(0.2), TOP, 1),
    "for long, where writes drop it": (curve(900.0), TOP + WRITER, 900),
    "not for a day all the same": (curve(86_400.0), TOP + WRITER, 3600),
    "not for long where no write drops it: an experiment waits until new data show": (curve(900.0), TOP, 60),
    "no time meets the target": (curve(None), TOP, 30),
    "a curve of another read": (curve(45.0, group="SELECT 1"), TOP, 30),
    "a curve of a cache that is there": (curve(45.0, of="cache"), TOP, 30),
}


@pytest.mark.parametrize("name", LIVES)
def test_it_is_kept_for_as_long_as_the_model_advises(name: str, tmp_path: Path) -> None:
    seen, source, seconds = LIVES[name]
    (fix,) = lasting(tmp_path, seen, source)
    assert fix.ttl_s == seconds
    assert f"for {seconds} s" in fix.title and f"up to {seconds} s old" in fix.trade_offs[0]
    assert f"_Kept(seconds={seconds}, " in str(fix.files["shop/app.py"])
    assert ("advises" in fix.trade_offs[0]) is (seconds != 30)


def test_several_processes_of_its_deployment_prefer_the_shared_cache(tmp_path: Path) -> None:
    """Measured is one process, whatever the deployment asks for."""
    ranks = []
    for why in ("Procfile starts uvicorn on main:app", "Procfile starts uvicorn on main:app; one worker instead of 4"):
        write(tmp_path, {"shop/models.py": MODELS, "shop/schemas.py": SCHEMA, "shop/app.py": TOP})
        app = with_scene(tmp_path)
        start = Detected(key="start", value="uvicorn", source="Procfile:1", why=why)
        app = replace(app, project=app.project.model_copy(update={"detected": (start,)}))
        found = finding(
            tmp_path, "CA201", At("session.execute", "top"), None, shape(STATEMENT), (hypothesis("CA201-keep"),)
        )
        ranks += [a.rank for a in propose(tmp_path, found, app) if isinstance(a, Fix)]
    alone, several = ranks
    assert several < alone
