"""The data of a run: one template, grown to each size once, and a fresh copy for each started instance."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from perfcrew.core.errors import TargetFailed
from perfcrew.core.evidence import Data as DataEvidence
from perfcrew.core.indexes import name_in
from perfcrew.core.project import Project
from perfcrew.instruments.sessions import Index, Refused, session
from perfcrew.target import rows
from perfcrew.target.clone import Clone, Source, Template, prepare
from perfcrew.target.rows import models

if TYPE_CHECKING:
    from perfcrew.graphs.context import Context


NOT_GROWN = ("mysql",)
"""Engines whose clones are measured as they are found: no rows are generated for them."""


class Data:
    """Clones at the sizes of the run. The baseline is measured at the largest size, the scaling probe at each."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._template: Template | None = None
        self._grown: dict[int, Clone] = {}
        self._sizes: tuple[int, ...] = ()
        self._turn = asyncio.Lock()
        self._allowed: models.Allowed | None = None

    async def sizes(self) -> tuple[int, ...]:
        """The sizes that this project's data can be brought to, smallest first; empty where it has no database."""
        async with self._turn:
            await self._prepared()
        return self._sizes

    async def clone(self, name: str, size: int | None = None) -> Clone:
        """A fresh copy at a size; without one, at the size that the baseline is measured at."""
        async with self._turn:
            return await self._clone(name, size)

    async def _clone(self, name: str, size: int | None) -> Clone:
        template = await self._prepared()
        size = size if size is not None else (self._sizes[-1] if self._sizes else None)
        if size is None:
            return await template.clone(name)
        if template.seeds_sizes:
            made = await template.clone(name, size)
            self._said(
                size, made, DataEvidence(engine=made.engine, how="seeded", before={}, after=made.tables(), size=size)
            )
            return made
        return await template.copy(await self._grow(template, size), name)

    async def migrated(self, project: Project, ddl: Sequence[str] = ()) -> Clone:
        """The data of the baseline with another state's migrations run on them, then the statements of plain ones.

        Drop it when it is no longer copied.
        """
        clone = await self.clone("migrated")
        try:
            async with self._turn:
                await (await self._prepared()).migrate(project, clone)
                await asyncio.to_thread(_build, clone, ddl)
        except BaseException:
            clone.drop()
            raise
        return clone

    async def copy(self, base: Clone, name: str) -> Clone:
        """A fresh copy of a clone."""
        async with self._turn:
            return await (await self._prepared()).copy(base, name)

    def original(self) -> Source | None:
        """The user's own database, to be read only; None where it is no PostgreSQL that holds something."""
        return self._template.original if self._template else None

    def drop(self) -> None:
        """Remove the template and what was grown from it."""
        for clone in self._grown.values():
            clone.drop()
        if self._template:
            self._template.drop()

    async def _prepared(self) -> Template:
        if self._template is None:
            context = self._context
            context.progress("data").note("preparing the clone of the database")
            self._template = await prepare(context.project, workspace=context.workspace, registry=context.registry)
            self._sizes = await self._decide(self._template)
        return self._template

    async def _decide(self, template: Template) -> tuple[int, ...]:
        plan = self._context.project.data
        if template.engine == "none":
            return ()
        if template.seeds_sizes:
            return plan.sizes
        found = await template.clone("count")
        try:
            largest = max(found.tables().values(), default=0)
        finally:
            found.drop()
        if not plan.generate or largest >= plan.rows or template.engine in NOT_GROWN:
            return (max(largest, 1),)
        return tuple(size for size in plan.sizes if size > largest) or (max(largest, 1),)

    async def _grow(self, template: Template, size: int) -> Clone:
        if size not in self._grown:
            clone = await template.clone(f"size-{size}")
            self._grown[size] = clone
            if self._context.project.data.generate and clone.engine not in NOT_GROWN:
                self._context.progress("data").note(f"growing the clone to {size} rows a table")
                evidence = await asyncio.to_thread(self._rows, clone, size, await self._models(clone))
            else:
                counts = clone.tables()
                evidence = DataEvidence(engine=clone.engine, how="as found", before=counts, after=counts)
            self._said(size, clone, evidence.model_copy(update={"size": size}))
        return self._grown[size]

    async def _models(self, clone: Clone) -> models.Allowed:
        """What the models allow in columns whose database type allows more; asked of the application once."""
        if self._allowed is None:
            context = self._context
            self._allowed = await models.allowed(
                context.project, clone, workspace=context.workspace, registry=context.registry
            )
        return self._allowed

    def _rows(self, clone: Clone, size: int, allowed: models.Allowed) -> DataEvidence:
        bound = self._context.project.data.rows
        return rows.grow(
            clone, size, bound=bound, largest=self._sizes[-1], choices=allowed.choices, files=allowed.files
        )

    def _said(self, size: int, clone: Clone, evidence: DataEvidence) -> None:
        tool = "the project's seed command" if evidence.how == "seeded" else "perfcrew rows"
        notes = list(self._template.notes) if self._template else []
        self._context.put(f"data/{size}", evidence, self._context.method(tool, engine=clone.engine, notes=notes))


def _build(clone: Clone, ddl: Sequence[str]) -> None:
    """Build indexes on a clone, as those that are advised are tried: nobody writes there, so none need be CONCURRENTLY.

    Statistics are as the other side has them: what is measured is the index.
    """
    for statement in ddl:
        name = name_in(statement)
        try:
            with session(clone) as opened:
                opened.build(Index(name, '"' + name.replace('"', '""') + '"', statement))
        except Refused as error:
            if "Duplicate key name" not in str(error):  # MySQL has no IF NOT EXISTS, and the project's tool came before
                raise TargetFailed(f"the index {name} can't be built on the clone: {error}", where=statement) from None
