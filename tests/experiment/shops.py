"""Real instances of the little shop, base and change, each on its own copy of the same data."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from perfcrew.core.answers import Mask
from perfcrew.core.project import Project, Scenario, ScenarioRequest
from perfcrew.core.web import Plan
from perfcrew.experiment.answers import learn
from perfcrew.experiment.asking import USUAL, Limits
from perfcrew.target import clone
from perfcrew.target.client import Client
from perfcrew.target.clone import Clone, Template
from perfcrew.target.launch import Running, launch
from perfcrew.target.leftovers import Registry
from perfcrew.target.requests import plan
from perfcrew.target.routes import openapi

APPS = Path(__file__).parent / "apps"
ALICE, BOB = ({"Authorization": f"Bearer token-of-{name}"} for name in ("alice", "bob"))
WRITES = (
    ScenarioRequest(method="POST", path="/books", json_body={"title": "A new book", "price": 3.5}),
    ScenarioRequest(method="PATCH", path="/books/2", json_body={"title": "Another title"}),
)


@dataclass
class Instance:
    """One side."""

    running: Running
    client: Client
    clone: Clone
    other: Client | None = None


@dataclass(frozen=True)
class Known:
    """The requests of the base, and what may differ in its answers."""

    plans: list[Plan]
    mask: Mask


_KNOWN: dict[tuple[bool, Limits], Known] = {}


@dataclass
class Bench:
    """Starts instances of variants on copies of one database."""

    project: Project
    template: Template
    workspace: Path
    registry: Registry
    stack: AsyncExitStack
    count: int = 0

    async def sides(self, variant: str = "") -> tuple[Instance, Instance]:
        """The base and a change of it."""
        base, change = await asyncio.gather(self.start(), self.start(variant))
        return base, change

    async def start(self, variant: str = "") -> Instance:
        self.count += 1
        data = await self.template.clone(f"one-{self.count}")
        self.stack.callback(data.drop)
        launched = launch(
            self.project,
            data=data,
            workspace=self.workspace,
            registry=self.registry,
            environment={"SHOP_VARIANT": variant},
            name=f"one-{self.count}",
        )
        running = await self.stack.enter_async_context(launched)
        client = await self.stack.enter_async_context(Client(running.base_url, ALICE, timeout_s=20))
        other = await self.stack.enter_async_context(Client(running.base_url, BOB, timeout_s=20))
        return Instance(running, client, data, other)

    async def known(self, limits: Limits = USUAL) -> Known:
        """What three instances of the base tell. They are the same each time, so that one test asks for all."""
        case = (bool(self.project.scenarios), limits)
        if case not in _KNOWN:
            scout, first, second = await asyncio.gather(self.start(), self.start(), self.start())
            plans = await self.plans(scout)
            _KNOWN[case] = Known(plans, await learn(first, second, plans, limits))
        return _KNOWN[case]

    async def plans(self, one: Instance) -> list[Plan]:
        document = await openapi.fetched(one.client, self.project)
        assert document is not None
        return await plan(self.project, openapi.endpoints([document]), one.client)


@asynccontextmanager
async def bench(folder: Path, writes: tuple[ScenarioRequest, ...] = ()) -> AsyncIterator[Bench]:
    """A bench in a folder of its own; everything that it started has ended afterwards."""
    _fill(folder / "shop.db")
    project = _project(folder, writes)
    registry = Registry(folder / "leftovers")
    async with AsyncExitStack() as stack:
        made = await clone.prepare(project, workspace=folder / "work", registry=registry)
        template = await stack.enter_async_context(made)
        yield Bench(project, template, folder / "work", registry, stack)
    assert not list(registry.folder.iterdir())


def _project(folder: Path, writes: tuple[ScenarioRequest, ...]) -> Project:
    command = ("python", "-m", "uvicorn", "--app-dir", str(APPS), "shop:app", "--port", "{port}")
    return Project(
        root=folder,
        name="shop",
        framework="fastapi",
        python=Path(sys.executable),
        workdir=folder,
        start=(*command, "--log-level", "warning"),
        database_url=f"sqlite:///{folder / 'shop.db'}",
        database_variable="SHOP_DB",
        scenarios=(Scenario(name="writes", requests=writes),) if writes else (),
        methods=("GET", "POST", "PATCH") if writes else ("GET",),
    )


def _fill(file: Path) -> None:
    db = sqlite3.connect(file)
    db.executescript(
        "CREATE TABLE book (id INTEGER PRIMARY KEY, title VARCHAR(80) NOT NULL, price REAL NOT NULL, "
        "genre VARCHAR(20) NOT NULL, stock INTEGER NOT NULL DEFAULT 1, created_at TEXT);"
        "CREATE TABLE visit (id INTEGER PRIMARY KEY, book_id INTEGER NOT NULL REFERENCES book (id), at TEXT);"
    )
    books = [(f"Book {n} of the shop", n + 0.75, ("prose", "crime")[n % 2]) for n in range(1, 41)]
    db.executemany("INSERT INTO book (title, price, genre) VALUES (?, ?, ?)", books)
    db.commit()
    db.close()
