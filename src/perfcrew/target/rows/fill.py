"""Makes the new rows of one table: keys that differ, parents that exist, values after the pattern of its rows."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from typing import Any

from perfcrew.target.rows.parents import Parents
from perfcrew.target.rows.schema import Column, ForeignKey, Key, Ordered, Row, Table
from perfcrew.target.rows.values import Maker, varied

_TRIES = 20
_NULL_SHARE = 0.1
_ROOT_SHARE = 0.3


class Filler:
    """New rows for a table. `rows` gives as many as can be made; `short` then says why they are fewer."""

    def __init__(
        self,
        table: Table,
        pattern: Sequence[Row],
        existing: Mapping[tuple[str, ...], Sequence[Key]],
        parents: Mapping[ForeignKey, Sequence[Key]],
        maker: Maker,
        old: Mapping[str, int],
    ) -> None:
        """`existing`: the values of every key and foreign key so far; `parents`: the keys that may be referred to;
        `old`: how many rows each table had before anything was made."""
        self.table, self.pattern, self.maker = table, pattern, maker
        self.random = random.Random(f"{maker.seed} {table.name} keys")
        self.short = ""
        self._drawn: list[tuple[Parents, Key]] = []
        self._used = {key: set(existing[key]) for key in table.keys}
        self._next = {c.name: self._first(c, existing) for c in table.columns if c.kind == "int"}
        self._parents = {
            key: self._choosing(key, parents[key], old.get(key.table, 0), existing[key.columns])
            for key in table.foreign_keys
            if key in parents and key.table != table.name
        }
        self._own = {
            key: list(parents[key]) for key in table.foreign_keys if key in parents and key.table == table.name
        }
        self._linked = {c for key in table.foreign_keys for c in key.columns}
        self._keyed = {c for key in table.keys for c in key}

    def _choosing(self, key: ForeignKey, parents: Sequence[Key], old: int, taken: Sequence[Key]) -> Parents:
        return Parents(parents, old, [k for k in taken if None not in k], self._alone(key), self.random)

    def _alone(self, key: ForeignKey) -> bool:
        return any(set(unique) <= set(key.columns) for unique in self.table.keys)

    @staticmethod
    def _first(column: Column, existing: Mapping[tuple[str, ...], Sequence[Key]]) -> int:
        values = [k[0] for k in existing.get((column.name,), ()) if isinstance(k[0], int)]
        return max(values, default=0) + 1

    def rows(self, count: int) -> list[Row]:
        """Up to `count` new rows."""
        made: list[Row] = []
        for number in range(count):
            row = self._distinct(number, count)
            if row is None:
                break
            made.append(row)
            for key, known in self._own.items():
                known.append(tuple(row[c] for c in key.targets))
        return made

    def _distinct(self, number: int, count: int) -> Row | None:
        for attempt in range(_TRIES):
            self._drawn.clear()
            row = self._row(number, count, attempt)
            if row is None:
                return None
            keys = {key: tuple(row[c] for c in key) for key in self._used}
            if all(None in values or values not in self._used[key] for key, values in keys.items()):
                for key, values in keys.items():
                    self._used[key].add(values)
                return row
            for parents, parent in self._drawn:
                parents.give_back(parent)
        self.short = self.short or "no more combinations of its keys were found"
        return None

    def _row(self, number: int, count: int, attempt: int) -> Row | None:
        model = self.random.choice(self.pattern) if self.pattern else None
        counter = number + 1 + len(self.pattern) + attempt * count
        row: Row = {}
        for column in self.table.columns:
            row[column.name] = self._value(column, model, (number + 1) / count, counter)
        if not self._link(row, model):
            return None
        for key in self.table.keys:
            self._make_unlike(row, key, counter)
        for pair in self.table.ordered:
            self._put_in_order(row, pair)
        return row

    def _value(self, column: Column, model: Row | None, position: float, counter: int) -> Any:
        if column.name in self._linked:
            return None
        if column.name in self.table.sequences and column.name not in self._keyed:
            return self._following(column)
        if model is not None and column.name not in self._keyed:
            return model[column.name]
        if model is not None and isinstance(model[column.name], str) and column.kind == "text":
            return model[column.name]
        return self.maker.value(column, position, counter)

    def _link(self, row: Row, model: Row | None) -> bool:
        """Give the row its parents; False where one is needed and there is none."""
        for key in self.table.foreign_keys:
            needed = self.table.must_have(key)
            values = None if self._goes_without(key, needed, model) else self._parent(key, row)
            if values is None and needed:
                if key.table == self.table.name and set(key.targets) <= set(self.table.primary_key):
                    continue  # the first row of all: it is put right below, when its own key is known
                self.short = f"no row of {key.table} is left for {', '.join(key.columns)}"
                return False
            for name, value in zip(key.columns, values or itertools.repeat(None), strict=False):
                row[name] = value if row[name] is None else row[name]
        return True

    def _goes_without(self, key: ForeignKey, needed: bool, model: Row | None) -> bool:
        if needed:
            return False
        if model is not None:
            return any(model[c] is None for c in key.columns)
        return self.random.random() < (_ROOT_SHARE if key.table == self.table.name else _NULL_SHARE)

    def _parent(self, key: ForeignKey, row: Row) -> Key | None:
        """A parent; where another foreign key has set one of the columns, one that agrees with it."""
        fixed = {i: row[c] for i, c in enumerate(key.columns) if row[c] is not None}
        if key in self._own:
            known = [k for k in self._own[key] if _agrees(k, fixed)] if fixed else self._own[key]
            return self.random.choice(known) if known else None
        parents = self._parents.get(key)
        if parents is None:
            return None
        if not fixed:
            parent = parents.draw()
            if parent is not None:
                self._drawn.append((parents, parent))
            return parent
        known = [k for k in parents.keys if _agrees(k, fixed)]
        return self.random.choice(known) if known else None

    def _make_unlike(self, row: Row, key: tuple[str, ...], counter: int) -> None:
        """Change one column of the key that is not a reference, so that no other row has the same."""
        values = tuple(row[c] for c in key)
        free = [self.table.column(c) for c in key if c not in self._linked]
        if len(key) == 1 and free and key == self.table.primary_key and free[0].kind == "int":
            row[key[0]] = self._following(free[0])
        elif free and (values in self._used[key] or (None in values and key == self.table.primary_key)):
            column = max(
                free, key=lambda c: (c.kind in ("uuid", "text", "int"), not c.domain.choices, c.length or 10_000)
            )
            row[column.name] = self._unlike(column, row[column.name], counter)
        for reference in self._own:  # a first row without a parent to be had is its own
            if key == self.table.primary_key and self.table.must_have(reference) and row[reference.columns[0]] is None:
                row.update({c: row[t] for c, t in zip(reference.columns, reference.targets, strict=True)})

    def _unlike(self, column: Column, value: Any, counter: int) -> Any:
        if column.kind == "text" and not column.choices and not column.domain.choices:
            return varied(str(value or column.name), counter, column)
        if column.kind == "int" and not column.domain.choices:
            return self._following(column)
        return self.maker.value(column, self.random.random(), counter)

    def _following(self, column: Column) -> int:
        value, used = self._next[column.name], self._used.get((column.name,), ())
        while (value,) in used:
            value += 1
        self._next[column.name] = value + 1
        return value

    def _put_in_order(self, row: Row, pair: Ordered) -> None:
        low, high = row.get(pair.low), row.get(pair.high)
        if low is None or high is None or type(low) is not type(high):
            return
        if low > high:
            row[pair.low], row[pair.high] = high, low
        elif low == high and pair.strict and isinstance(high, int | float):
            row[pair.high] = high + 1


def _agrees(key: Key, fixed: Mapping[int, Any]) -> bool:
    return all(key[i] == value for i, value in fixed.items())
