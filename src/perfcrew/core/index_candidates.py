"""The indexes worth trying for a whole workload: what its statements ask for, merged where one index serves several.

Equality columns may stand in any order, so one index serves a statement that compares fewer of them too, if those
come first (M. Winand, "SQL Performance Explained", chapter 2). Whether one helps is for a trial to show.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from perfcrew.core.indexes import IndexSpec, is_expression
from perfcrew.core.sql_candidates import LEAST_ROWS, MOST_COLUMNS, Engine, Parts, TableFacts, is_new
from perfcrew.core.sql_wishes import Wish, wishes

MOST_INCLUDED = 3
"""Columns that are kept beside the keys: more make the index as large as the table."""


class Sent(NamedTuple):
    """A statement of the workload: its text, values as recorded, and its part of the workload's time."""

    statement: str
    values: Sequence[object]
    cost: float
    texts: Sequence[str] = ()
    """Of other executions: alike but for the values that are written into them."""


class _Asked(NamedTuple):
    wish: Wish
    parts: Parts
    cost: float


def candidates(
    workload: Iterable[Sent], schema: Mapping[str, TableFacts], dialect: Engine, extensions: frozenset[str]
) -> list[IndexSpec]:
    """Best first: by the cost of the statements that they could serve, but the first choice of each statement before
    anyone's second: keys as they are asked for, their beginning, partial, covering.

    Left out: tables under 200 rows, what an existing index of the whole table serves or begins with.
    """
    found: dict[IndexSpec, float] = {}
    choice: dict[IndexSpec, int] = {}
    asked: list[_Asked] = []
    for sent in workload:
        for wish in wishes(sent.statement, schema, dialect, sent.values, extensions, sent.texts):
            if schema[wish.table].rows >= LEAST_ROWS:
                asked += [_Asked(wish, parts, sent.cost) for parts in wish.parts()]
                _searched(found, wish, sent.cost)
    for one in asked:
        for place, spec in enumerate(_of_one(one, asked, schema[one.wish.table], dialect)):
            found[spec] = found.get(spec, 0.0) + one.cost
            choice[spec] = min(place, choice.get(spec, place))
    for spec, cost in _merged(asked, schema):
        found[spec] = max(found.get(spec, 0.0), cost)
    return sorted(found, key=lambda s: (choice.get(s, 0), -found[s], len(s.include), bool(s.where), len(s.keys)))


def _searched(found: dict[IndexSpec, float], wish: Wish, cost: float) -> None:
    for key, using, opclass in wish.searches:
        spec = IndexSpec.model_validate({"table": wish.table, "keys": (key,), "using": using, "opclass": opclass})
        found[spec] = found.get(spec, 0.0) + cost


def _of_one(one: _Asked, asked: Sequence[_Asked], facts: TableFacts, dialect: Engine) -> Iterator[IndexSpec]:
    keys = _keys(one.parts)
    if not keys:
        return
    table = one.wish.table
    if is_new(one.parts, facts):
        yield IndexSpec(table=table, keys=keys)
        if len(keys) > 1 and is_new(Parts(keys[:1], ()), facts):
            yield IndexSpec(table=table, keys=keys[:1])
        if dialect != "mysql":
            yield from _partial(one, asked, facts)
    yield from _covering(one, keys, facts, dialect)


def _keys(parts: Parts) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*parts.equal, *parts.tail)))[:MOST_COLUMNS]


def _partial(one: _Asked, asked: Sequence[_Asked], facts: TableFacts) -> Iterator[IndexSpec]:
    """Of the rows that a constant picks which is the program's own, where every statement with these keys has it."""
    for where, column in one.wish.constants.items():
        left = Parts(tuple(c for c in one.parts.equal if c != column), one.parts.tail)
        keys = _keys(left)
        alike = [a for a in asked if a.wish.table == one.wish.table and keys and keys[0] in _keys(a.parts)]
        if keys and column not in keys and all(where in a.wish.constants for a in alike) and is_new(left, facts):
            yield IndexSpec(table=one.wish.table, keys=keys, where=where)


def _covering(one: _Asked, keys: tuple[str, ...], facts: TableFacts, dialect: Engine) -> Iterator[IndexSpec]:
    """With the few columns that are read besides; SQLite and MySQL have no INCLUDE, there they are keys."""
    if one.wish.read is None or any(key and set(key) <= set(one.parts.equal) for key in facts.unique):
        return
    rest = tuple(c for c in facts.columns if c in one.wish.read - set(keys) and not _is_row(c, facts, dialect))
    if not 0 < len(rest) <= MOST_INCLUDED or any(is_expression(k) for k in keys):
        return
    if dialect != "postgresql":
        yield IndexSpec(table=one.wish.table, keys=(*keys, *rest))
    else:
        yield IndexSpec(table=one.wish.table, keys=keys, include=rest)


def _is_row(column: str, facts: TableFacts, dialect: Engine) -> bool:
    """Whether it is what the engine ends every index with: SQLite's row number, InnoDB's primary key."""
    if dialect == "mysql":
        return facts.unique[-1:] == ((column,),)
    return dialect == "sqlite" and (column,) in facts.unique and facts.types.get(column) == "integer"


def _merged(asked: Sequence[_Asked], schema: Mapping[str, TableFacts]) -> Iterator[tuple[IndexSpec, float]]:
    """Indexes that serve two ways or more, with the cost of all that they serve."""
    tables: dict[str, list[_Asked]] = {}
    for one in asked:
        if is_new(one.parts, schema[one.wish.table]):
            tables.setdefault(one.wish.table, []).append(one)
    for table, ways in tables.items():
        for parts in _unions([w.parts for w in ways]):
            keys = _keys(parts)
            if is_new(Parts((), keys), schema[table]):
                yield IndexSpec(table=table, keys=keys), sum(w.cost for w in ways if serves(keys, w.parts))


def _unions(ways: Iterable[Parts]) -> list[Parts]:
    """Of pairs, and of pairs with a third."""
    found = list(dict.fromkeys(ways))
    known = set(found)
    made: list[Parts] = []
    for _ in range(2):
        pairs = itertools.product(made or found, found)
        fresh = dict.fromkeys(u for a, b in pairs if a != b for u in (union(a, b), union(b, a)) if u)
        new = [u for u in fresh if u not in known and len(_keys(u)) <= MOST_COLUMNS]
        known.update(new)
        made += new
        if not new:
            break
    return made


def union(less: Parts, more: Parts) -> Parts | None:
    """Keys that serve both, where `less` compares a part of what `more` compares; None where there are none."""
    if not less.equal or not set(less.equal) <= set(more.equal):
        return None
    rest = tuple(c for c in more.equal if c not in less.equal)
    if not less.tail:
        return Parts((*less.equal, *rest), more.tail)
    begun, after = less.tail[: len(rest)], less.tail[len(rest) :]
    if set(begun) != set(rest):
        return None
    longer, shorter = sorted((after, more.tail), key=len, reverse=True)
    return Parts((*less.equal, *begun), longer) if longer[: len(shorter)] == shorter else None


def serves(keys: tuple[str, ...], parts: Parts) -> bool:
    """Whether keys in this order serve that way."""
    n = len(parts.equal)
    return set(keys[:n]) == set(parts.equal) and keys[n : n + len(parts.tail)] == parts.tail
