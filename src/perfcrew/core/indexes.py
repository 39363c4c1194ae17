"""An index in words of no engine: its keys in order, and what makes it more than a list of columns."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from perfcrew.core.base import Noun

Using = Literal["btree", "gin", "hnsw", "ivfflat"]
_NAMED = re.compile(
    r'\s*CREATE\s+(?:UNIQUE\s+)?INDEX\s+(?:IF\s+NOT\s+EXISTS\s+)?(?P<name>"(?:[^"]|"")+"|[^\s"]+)\s+ON\s', re.IGNORECASE
)
_OPERATORS = {"gin_trgm_ops": "trgm", "text_pattern_ops": "pattern"}


class IndexSpec(Noun):
    """An index that could be made. `table` is plain, or `schema.name` outside of the search path.

    `keys` are columns by their names, or expressions as SQL (`lower(email)`), which have a parenthesis or an operator.
    """

    table: str
    keys: tuple[str, ...]
    include: tuple[str, ...] = ()
    """Columns that are kept beside the keys, so that the table need not be read."""
    where: str = ""
    """The condition of the rows that are in it, as SQL; empty: all."""
    using: Using = "btree"
    opclass: str = ""
    """The operator class of every key, empty for the type's own."""
    parameters: tuple[tuple[str, int], ...] = ()
    """Storage parameters, such as `lists` or `m`, by name."""

    @property
    def is_plain(self) -> bool:
        """Whether it is a list of columns and nothing else, which every tool for migrations can write."""
        more = self.include or self.where or self.opclass or self.parameters or self.expressions
        return not more and self.using == "btree"

    @property
    def plain_table(self) -> str:
        """Without its schema, in lower case, as statements name it."""
        return self.table.rpartition(".")[2].lower()

    @property
    def columns(self) -> tuple[str, ...]:
        """The keys that are columns."""
        return tuple(k for k in self.keys if not is_expression(k))

    @property
    def expressions(self) -> tuple[str, ...]:
        """The keys that are none."""
        return tuple(k for k in self.keys if is_expression(k))

    @property
    def said(self) -> str:
        """`lower(email)`, `customer_id, at INCLUDE (kind) WHERE deleted_at IS NULL`, `gin (title gin_trgm_ops)`."""
        keys = ", ".join(f"{k} {self.opclass}".strip() for k in self.keys)
        text = f"{self.using} ({keys})" if self.using != "btree" else keys
        text += f" INCLUDE ({', '.join(self.include)})" if self.include else ""
        return text + (f" WHERE {self.where}" if self.where else "")

    @property
    def words(self) -> tuple[str, ...]:
        """What its name is made of, after the table's."""
        keys = [re.sub(r"\W+", "_", k).strip("_").lower() for k in self.keys]
        kind = _OPERATORS.get(self.opclass, "" if self.using == "btree" else self.using)
        marks = (kind, "covering" if self.include else "", "partial" if self.where else "")
        return (*keys, *(m for m in marks if m))

    def begins(self, other: IndexSpec) -> bool:
        """Whether the other one does all that this one does: the same kind, and its keys begin with these."""
        same = (self.table, self.where, self.using, self.opclass) == (
            other.table,
            other.where,
            other.using,
            other.opclass,
        )
        kept = set(self.include) <= {*other.include, *other.keys}
        return same and kept and other.keys[: len(self.keys)] == self.keys


def free_name(name: str, taken: Iterable[str], longest: int = 60) -> str:
    """The name, cut to that length, or the first of its kind with a number that nothing else has."""
    name, used = name[:longest].lower(), {one.lower() for one in taken}
    return next(n for n in (name, *(f"{name[: longest - 3]}_{i}" for i in range(2, len(used) + 3))) if n not in used)


def name_in(ddl: str) -> str:
    """The name that a CREATE INDEX gives, without its quotes; empty for another statement."""
    found = _NAMED.match(ddl)
    name = found["name"] if found else ""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def is_expression(key: str) -> bool:
    """Whether a key is SQL rather than a column's name."""
    return bool(re.search(r"[(']|->|::", key))
