"""Grows the data of a clone to a size."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Literal

from perfcrew.core.evidence import Data
from perfcrew.target.clones.instance import Clone
from perfcrew.target.rows.counts import Wanted, wanted
from perfcrew.target.rows.fill import Filler
from perfcrew.target.rows.schema import Column, ForeignKey, Key, Row, Table
from perfcrew.target.rows.store import PostgresStore, SqliteStore, Store
from perfcrew.target.rows.values import Maker

_PATTERN_ROWS = 1000
_KEYS = 200_000

Choices = Mapping[str, Mapping[str, tuple[str | int, ...]]]
"""Table → column → the values that the application's models allow."""
Files = Mapping[str, tuple[str, ...]]
"""Table → the columns that must name a file."""


def grow(
    clone: Clone,
    target_rows: int,
    *,
    seed: int = 0,
    bound: int = 2000,
    largest: int | None = None,
    choices: Choices | None = None,
    files: Files | None = None,
) -> Data:
    """Add rows to a clone until its tables without parents have `target_rows`, and the others in proportion.

    `bound` is the most rows that a table grows to (or `target_rows`, where that is more); `largest` the largest
    target of this run, so that the children a parent has are as many at every size; `choices` what the models allow
    in columns whose database type allows more, `files` the columns whose files must be there. Tables that can't be
    filled, or are left as found, are named in the note.
    A clone that the project's own seed command filled is left as it is.
    """
    before = clone.tables()
    if clone.engine == "none" or clone.size is not None:
        how: Literal["seeded", "as found"] = "seeded" if clone.size is not None else "as found"
        return Data(engine=clone.engine, how=how, before=before, after=before, size=clone.size)
    with closing(clone.connect()) as db:
        store: Store = SqliteStore(db) if clone.engine == "sqlite" else PostgresStore(db)
        done = _Growing(store, seed, choices or {}, files or {}).grow(target_rows, bound, largest or target_rows)
    after = clone.tables()
    grown = [name for name in after if after[name] > before[name]]
    return Data(
        engine=clone.engine,
        how=_how(grown, before),
        before=before,
        after=after,
        size=target_rows,
        note="; ".join(f"{name}: {why}" for name, why in sorted(done.left.items())),
    )


def _how(grown: list[str], before: Mapping[str, int]) -> Literal["as found", "generated", "multiplied"]:
    if not grown:
        return "as found"
    patterned = sum(before[name] > 0 for name in grown)
    return "multiplied" if patterned * 2 > len(grown) else "generated"


def _left_to_default(column: Column, rows: list[Row]) -> bool:
    """Where we know no value, and the database has one."""
    return column.default is not None and not column.nullable and all(row[column.name] is None for row in rows)


@dataclass
class _Growing:
    store: Store
    seed: int
    choices: Choices
    files: Files
    tables: dict[str, Table] = field(default_factory=dict)
    before: dict[str, int] = field(default_factory=dict)

    def grow(self, target: int, bound: int, largest: int) -> Wanted:
        self.tables = {name: self._as_models_say(table) for name, table in self.store.reflect().items()}
        self.before = before = self.store.count()
        plan = wanted(self.tables, before, target, bound, largest)
        grown = []
        for name, rows in plan.rows.items():
            if rows > before[name]:
                why = self._fill(self.tables[name], rows - before[name], plan)
                grown.append(self.tables[name])
                if why:
                    plan.left[name] = why
        self.store.finish(grown)
        return plan

    def _as_models_say(self, table: Table) -> Table:
        known = self.choices.get(table.name, {})
        columns = tuple(
            replace(c, choices=known[c.name]) if c.name in known and not c.choices else c for c in table.columns
        )
        return replace(table, columns=columns, files=self.files.get(table.name, ()))

    def _fill(self, table: Table, count: int, plan: Wanted) -> str:
        """Add rows to one table; gives why they are fewer than wanted, empty where they aren't."""
        parents = {key: self._keys(key) for key in table.foreign_keys if key not in plan.broken}
        columns = {*table.keys, *(key.columns for key in table.foreign_keys), *((c,) for c in table.sequences)}
        existing = {names: self.store.keys(table, names, _KEYS) for names in columns}
        pattern = self.store.sample(table, _PATTERN_ROWS)
        filler = Filler(table, pattern, existing, parents, Maker(table.name, self.seed), self.before)
        rows = filler.rows(count)
        names = [c.name for c in table.columns if not _left_to_default(c, rows)]
        inserted = self.store.insert(table, names, [tuple(row[n] for n in names) for row in rows])
        if inserted.count == count:
            return ""
        reason = inserted.refused if inserted.count < len(rows) else filler.short
        return f"{inserted.count} of {count} rows were made: {reason}"

    def _keys(self, key: ForeignKey) -> list[Key]:
        found = self.store.keys(self.tables[key.table], key.targets, _KEYS)
        return [k for k in found if None not in k]
