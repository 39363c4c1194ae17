"""What is known of the tables: columns, keys and the conditions on them."""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass
from dataclasses import field as default
from typing import Any, Literal

Kind = Literal[
    "int", "float", "decimal", "text", "bool", "datetime", "date", "time", "json", "uuid", "bytes", "interval",
    "array", "inet", "vector", "tsvector", "other",
]  # fmt: skip
Row = dict[str, Any]
Key = tuple[Any, ...]


_FEW = re.compile(
    r"(^|_)(sites?|locales?|languages?|currenc(y|ies)|countr(y|ies)|time_?zones?|(site|app|global)?_?settings?|"
    r"config(uration)?s?|permissions?|roles?|feature_flags?|flags?)$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Domain:
    """What checks allow in one column. Bounds are inclusive; an open one counts as a bound that may not be met."""

    choices: tuple[Any, ...] = ()
    low: float | None = None
    high: float | None = None
    low_open: bool = False
    high_open: bool = False
    min_length: int | None = None
    max_length: int | None = None
    excluded: frozenset[Any] = frozenset()


@dataclass(frozen=True)
class Ordered:
    """A check that compares two columns of a row: `low` lies below `high`, or is the same where not strict."""

    low: str
    high: str
    strict: bool


@dataclass(frozen=True)
class Column:
    """A column. `length` is of its text, or of a vector; `digits` and `places` of a decimal number."""

    name: str
    kind: Kind
    nullable: bool = True
    default: str | None = None
    length: int | None = None
    digits: int | None = None
    places: int | None = None
    choices: tuple[Any, ...] = ()
    domain: Domain = Domain()
    dashed: bool = True
    """A UUID is stored with dashes."""
    native: bool = False
    """Its type is a real one of the database's (a bool is not 0 and 1)."""


@dataclass(frozen=True)
class ForeignKey:
    columns: tuple[str, ...]
    table: str
    targets: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table, with generated columns left out."""

    name: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    uniques: tuple[tuple[str, ...], ...] = ()
    """Without the primary key."""
    ordered: tuple[Ordered, ...] = ()
    sequences: dict[str, str] = default(default_factory=dict)
    """Column → PostgreSQL sequence that must follow."""
    files: tuple[str, ...] = ()
    """Columns that name a file which must be there, as the models say."""

    def column(self, name: str) -> Column:
        return next(c for c in self.columns if c.name == name)

    @property
    def keys(self) -> tuple[tuple[str, ...], ...]:
        """Every set of columns whose values must differ from row to row."""
        return tuple(dict.fromkeys(k for k in (self.primary_key, *self.uniques) if k))

    @property
    def parents(self) -> tuple[ForeignKey, ...]:
        """Its foreign keys to other tables."""
        return tuple(f for f in self.foreign_keys if f.table != self.name)

    def must_have(self, key: ForeignKey) -> bool:
        """Whether a row can't be without this parent."""
        return all(not self.column(c).nullable or c in self.primary_key for c in key.columns)

    def is_tree(self) -> bool:
        """Materialised paths and nested sets: rows that only their library can make."""
        names = {c.name for c in self.columns}
        return {"path", "depth", "numchild"} <= names or ("lft" in names and bool({"rght", "rgt"} & names))

    def extends(self, others: Container[str]) -> str:
        """The one of these tables whose rows this one's complete (its key is theirs); empty where there is none."""
        key = set(self.primary_key)
        return next((f.table for f in self.parents if key and key <= set(f.columns) and f.table in others), "")

    def is_few_by_name(self) -> bool:
        """Sites, locales, settings: what an application has a handful of, however long it lives."""
        return _FEW.search(self.name.rpartition(".")[2]) is not None

    def names_models(self) -> bool:
        """Django's content types: the row says which model it belongs to, or is, and another one breaks the reader.

        A whole number as the other row's id is taken for a plain tag or comment: one that is missing is passed over.
        """
        types = {f.columns for f in self.foreign_keys if f.table == "django_content_type"}
        return bool(types) and not any(c.kind == "int" and c.name.endswith("object_id") for c in self.columns)
