"""Columns that a statement compares only through a function, a cast or arithmetic, which hides them from their index.

An index on a column is sorted by the column's values, not by what a function makes of them (M. Winand, "SQL Performance
Explained", chapter 2, "Functions").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from perfcrew.core.sql import parse

if TYPE_CHECKING:
    from sqlglot import exp

_DIALECTS = {"sqlite": "sqlite", "postgresql": "postgres", "mysql": "mysql"}


class Wrapped(NamedTuple):
    """One comparison: the table and column, the expression around it, and the statement that compares the bare column.

    `bare` has `:perfcrew_value` for each value, in the order of the statement.
    """

    table: str
    column: str
    expression: str
    bare: str


def wrapped(statement: str, engine: str, columns: Mapping[str, tuple[str, ...]]) -> list[Wrapped]:
    """The comparisons with a value that wrap a column of one of these tables (plain name → columns).

    Expressions that hold a placeholder or a text of their own are left out, but for time zones and parts of a date.
    """
    from sqlglot import exp

    dialect = _DIALECTS[engine]
    tree = parse(statement, dialect)
    if not isinstance(tree, exp.Select):
        return []
    found = []
    for number, side in enumerate(_sides(tree)):
        at = _column(side)
        table = _table(tree, at, columns) if at is not None else None
        if at is not None and table is not None:
            bare = tree.copy()
            list(_sides(bare))[number].replace(at.copy())
            found.append(Wrapped(table, at.name, _alone(side, dialect), bare.sql(dialect=dialect)))
    return list({(w.table, w.expression): w for w in found}.values())


def _sides(tree: exp.Expr) -> Iterator[exp.Expr]:
    """What is compared with a value, where it is more than a column."""
    from sqlglot import exp

    kinds = (exp.EQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Like, exp.ILike, exp.In, exp.Between)
    for node in tree.find_all(*kinds):
        others = [a for a in node.iter_expressions() if a is not node.this]
        pairs = [(node.this, others)]
        if isinstance(node, (exp.EQ, exp.GT, exp.GTE, exp.LT, exp.LTE)):
            pairs.append((node.expression, [node.this]))
        for side, rest in pairs:
            if _wraps(side) and not any(_holds_column(one) for one in rest):
                yield side


def _wraps(side: exp.Expr) -> bool:
    from sqlglot import exp

    inner = side.unnest()
    kinds = (exp.Func, exp.Cast, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.DPipe, exp.AtTimeZone, exp.Extract)
    apart = (exp.AggFunc, exp.SubqueryPredicate, exp.Case, exp.Placeholder)
    return isinstance(inner, kinds) and not isinstance(inner, apart) and not inner.find(exp.Select, exp.Window)


def _holds_column(node: exp.Expr) -> bool:
    from sqlglot import exp

    return node.find(exp.Column, exp.Select) is not None


def _column(side: exp.Expr) -> exp.Column | None:
    """The only column in it; None for several, and where it holds values of its own."""
    from sqlglot import exp

    found = {c.sql() for c in side.find_all(exp.Column)}
    if len(found) != 1 or side.find(exp.Placeholder, exp.Parameter):
        return None
    parts = (exp.AtTimeZone, exp.Extract, exp.TimestampTrunc, exp.DateTrunc)
    texts = (node for node in side.find_all(exp.Literal) if node.is_string)
    return side.find(exp.Column) if all(isinstance(t.parent, parts) for t in texts) else None


def _table(tree: exp.Select, column: exp.Column, columns: Mapping[str, tuple[str, ...]]) -> str | None:
    """The table as `columns` names it; None where it can't be told."""
    from sqlglot import exp

    named = {t.alias_or_name.lower(): t.name for t in tree.find_all(exp.Table)}
    wanted = {named.get(column.table.lower(), "")} if column.table else set(named.values())
    plain = {name: name.rpartition(".")[2].lower() for name in columns}
    holding = [
        name
        for name, short in plain.items()
        if short in {w.lower() for w in wanted} and column.name.lower() in {c.lower() for c in columns[name]}
    ]
    return holding[0] if len(holding) == 1 else None


def _alone(side: exp.Expr, dialect: str) -> str:
    """The expression as an index takes it: its column without the table."""
    from sqlglot import exp

    def plain(node: exp.Expr) -> exp.Expr:
        return exp.column(node.this.copy()) if isinstance(node, exp.Column) else node

    return str(side.unnest().copy().transform(plain).sql(dialect=dialect))
