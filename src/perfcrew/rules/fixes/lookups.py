"""What a repeated statement asks for, told from its shape: `FROM order_lines WHERE order_lines.order_id = ?`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from perfcrew.core.sql import parse, tables
from perfcrew.rules.fixes.models import Models, Relation

if TYPE_CHECKING:
    from sqlglot import exp


class Lookup(NamedTuple):
    """Rows of a table by the value of one column, perhaps through a table between."""

    table: str
    column: str
    others: frozenset[str]
    """Further tables that are joined."""
    plain: bool
    """Nothing else is asked: no further condition, no aggregate."""
    limited: bool
    """Only so many rows: means nothing where there is one at most, as Django's `get` asks for 21."""


def lookup(shape: str) -> Lookup | None:
    """None where the shape is no SELECT, or is not asked by exactly one column."""
    from sqlglot import exp

    tree = parse(shape)
    if not isinstance(tree, exp.Select):
        return None
    source, where = tree.args.get("from_") or tree.args.get("from"), tree.args.get("where")
    if source is None or where is None or not isinstance(source.this, exp.Table):
        return None
    parts = list(where.this.flatten() if isinstance(where.this, exp.And) else [where.this])
    asked = [c for p in parts if (c := _asked(p))]
    joins = [p for p in parts if not _asked(p) and _joins(p)]
    if len(asked) != 1:
        return None
    aggregated = any(s.find(exp.AggFunc) for s in tree.selects)
    bounded = any(tree.args.get(k) for k in ("group", "distinct", "having", "offset"))
    table = source.this.name
    plain = len(parts) == len(asked) + len(joins) and not aggregated and not bounded
    return Lookup(table, asked[0], tables(shape) - {table}, plain, bool(tree.args.get("limit")))


def _asked(node: exp.Expr) -> str | None:
    """The column that is compared with a value."""
    from sqlglot import exp

    if not isinstance(node, exp.EQ):
        return None
    sides = (node.this.unnest(), node.expression.unnest())
    columns = [s for s in sides if isinstance(s, exp.Column)]
    values = [s for s in sides if isinstance(s, (exp.Placeholder, exp.Literal, exp.Parameter))]
    return columns[0].name if len(columns) == 1 and len(values) == 1 else None


def _joins(node: exp.Expr) -> bool:
    from sqlglot import exp

    return isinstance(node, exp.EQ) and all(isinstance(s, exp.Column) for s in (node.this, node.expression))


def relations_for(models: Models, found: Lookup) -> list[Relation]:
    """The relations whose lazy load is this statement."""
    target = models.of_table(found.table)
    if target is None:
        return []
    return [r for m in models for r in m.relations if r.target == target.name and _loads(models, r, found)]


def _loads(models: Models, relation: Relation, found: Lookup) -> bool:
    if relation.through:
        return relation.through.lower() in {t.lower() for t in found.others}
    if relation.many:
        return relation.column in (None, found.column) and not found.others
    target = models.named(relation.target)
    key = target.key if target else None
    mine = relation.column
    reverse = target.column(found.column) if target else None
    return (key is not None and found.column == key.name) or (mine == found.column and reverse is not None)
