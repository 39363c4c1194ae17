"""Whether a count and a page are of the same rows, by their text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from perfcrew.core.sql import parse, shape

if TYPE_CHECKING:
    from sqlglot import exp


class Rows(NamedTuple):
    """What a SELECT reads: its first table, the others by how they are joined, and its conditions without values."""

    table: str
    joined: frozenset[tuple[str, str]]
    conditions: frozenset[str]
    ranges: frozenset[str]
    """Those of the conditions that a page's key could be bound by."""


def counted(statement: str) -> bool:
    """Whether it gives one number of rows and nothing else."""
    from sqlglot import exp

    tree = parse(statement)
    if not isinstance(tree, exp.Select) or tree.args.get("group") or len(tree.selects) != 1:
        return False
    return isinstance(tree.selects[0].unalias(), exp.Count)


def is_page_of(page: str, count: str, returned: int | None) -> bool:
    """Whether the page is of the rows that are counted: the same conditions, but for the key that the page begins
    behind, and no other table but those that are looked up beside. `returned` rows came back; one is no page."""
    from sqlglot import exp

    shown, tree = rows(page), parse(page)
    every = rows(count)
    if shown is None or every is None or not isinstance(tree, exp.Select):
        return False
    behind = shown.conditions - every.conditions
    same = shown.table == every.table and every.conditions <= shown.conditions and behind <= shown.ranges
    beside = shown.joined - every.joined
    if not same or not every.joined <= shown.joined or any(how != "left" for _, how in beside):
        return False
    limit = tree.args.get("limit")
    if limit is None:
        return False
    return tree.args.get("offset") is not None or bool(behind) or (_is_many(limit) and returned != 1)


def rows(statement: str) -> Rows | None:
    """None where it can't be told: of several statements in one, groups, and tables that are made on the way. The
    statement within a plain `SELECT count(*) FROM (…)` counts for it."""
    from sqlglot import exp

    tree = parse(shape(statement))
    inner = _within(tree) if isinstance(tree, exp.Select) else None
    if inner is None or inner.args.get("group") or inner.args.get("distinct") or inner.args.get("with_"):
        return None
    source = inner.args.get("from_")
    table = source.this if source else None
    joins = inner.args.get("joins") or ()
    if not isinstance(table, exp.Table) or not all(isinstance(j.this, exp.Table) for j in joins):
        return None
    where = inner.args.get("where")
    each = list(_parts(where.this)) if where else []
    return Rows(
        table.name.lower(),
        frozenset((j.this.name.lower(), (j.side or j.kind or "inner").lower()) for j in joins),
        frozenset(_bare(one) for one in each),
        frozenset(_bare(one) for one in each if isinstance(one, (exp.GT, exp.GTE, exp.LT, exp.LTE))),
    )


def _within(tree: exp.Select) -> exp.Select | None:
    from sqlglot import exp

    source = tree.args.get("from_")
    inner = source.this.this if source and isinstance(source.this, exp.Subquery) else None
    if inner is None:
        return tree
    if not isinstance(inner, exp.Select) or tree.args.get("joins") or tree.args.get("where"):
        return None
    return None if inner.args.get("limit") or inner.args.get("offset") else inner


def _parts(node: exp.Expr) -> Iterator[exp.Expr]:
    from sqlglot import exp

    node = node.unnest()
    if isinstance(node, exp.And):
        yield from _parts(node.this)
        yield from _parts(node.expression)
    else:
        yield node


def _bare(node: exp.Expr) -> str:
    """As text, columns without their table."""
    from sqlglot import exp

    def plain(part: exp.Expr) -> exp.Expr:
        return exp.column(part.name.lower()) if isinstance(part, exp.Column) else part

    return str(node.copy().transform(plain).sql(normalize_functions="lower")).lower()


def _is_many(limit: exp.Expr) -> bool:
    from sqlglot import exp

    given = limit.expression
    return not isinstance(given, exp.Literal) or (given.is_int and int(given.name) > 1)
