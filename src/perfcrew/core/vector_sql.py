"""Recognises statements that ask for nearest neighbours by pgvector, and makes of them what a sweep sends.

`ORDER BY embedding <=> $1 LIMIT 10`, with the casts, labels and positions that pgvector's adapters for SQLAlchemy and
Django write. `ORDER BY 1 - (embedding <=> $1) DESC` means the same, and no index can give it.
Refuses: no LIMIT, the farthest first, grouped rows, a distance between two columns.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from perfcrew.core.sql import with_marks, with_named_distances
from perfcrew.core.vectors import OPERATORS

if TYPE_CHECKING:
    from sqlglot import exp

_MARK = "pv"
_QUERY = "pv_query"
_WRITTEN = re.compile(r"(%\(pv\w+\)s)")
_VECTORS = re.compile(r"<->|<#>|<=>|<\+>")


@dataclass(frozen=True)
class Nearest:
    """One such statement. `tables` are those that the column may be of; names unquoted in the statement in lower case.

    `limit` and `offset` are numbers, or the place (from 0) of the value among the statement's.
    """

    tables: tuple[str, ...]
    column: str
    cast: str
    """The type that the column is cast to, such as `halfvec(3)`; empty without."""
    operator: str
    direct: bool
    limit: Amount
    offset: Amount
    filtered: bool
    select: exp.Select
    distance: exp.Expr
    ordered: exp.Ordered

    def probe(self, *, own: bool) -> str:
        """SELECT the distances in order, for psycopg: values as `%(pv0)s`, the query vector as `%(pv_query)s`.

        `own` orders as the application does, else by the distance itself.
        """
        order = self.ordered.copy() if own else _ordered(self.distance.copy())
        return self._written(self.distance.copy(), order, limited=True)

    def counting(self) -> str:
        """SELECT how many rows the conditions leave."""
        from sqlglot import exp

        return self._written(exp.Count(this=exp.Star()), None, limited=False)

    def _written(self, what: exp.Expr, order: exp.Ordered | None, *, limited: bool) -> str:
        from sqlglot import exp

        made = exp.Select(expressions=[what])
        for part in ("from_", "joins", "laterals", "where", "with_"):
            held = self.select.args.get(part)
            if held:
                made.set(part, [one.copy() for one in held] if isinstance(held, list) else held.copy())
        if order is not None:
            made.set("order", exp.Order(expressions=[order]))
        text = _for_query(made, self.column).sql(dialect="postgres", comments=False)
        limit = " LIMIT %(pv_limit)s" if limited else ""
        return "".join(p if _WRITTEN.fullmatch(p) else p.replace("%", "%%") for p in _WRITTEN.split(text)) + limit


@dataclass(frozen=True)
class Amount:
    """A number in the statement, or the place of the value that gives it."""

    number: int | None = None
    place: int | None = None


def nearest(statement: str) -> Nearest | None:
    """What the statement asks for; None where it asks for no nearest neighbours that an index could give."""
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    if not _VECTORS.search(statement):
        return None
    try:
        tree = sqlglot.parse_one(with_named_distances(_numbered(statement)), dialect="postgres")
    except (SqlglotError, RecursionError):
        return None
    found = (_of(select, tree) for select in tree.find_all(exp.Select))
    return next((one for one in found if one is not None), None)


def _numbered(statement: str) -> str:
    """Each value's mark as `:pv0`; where psycopg's `%s` stand, other marks are the engine's operators."""
    count = itertools.count()
    only = "%s" in statement
    text = with_marks(statement, lambda _, m: f":{_MARK}{next(count)}" if not only or m == "%s" else m)
    return text.replace("%%", "%") if only else text


def _of(select: exp.Select, tree: exp.Expr) -> Nearest | None:
    order, limit = select.args.get("order"), select.args.get("limit")
    if not order or not limit or any(select.args.get(k) for k in ("group", "distinct", "having")):
        return None
    first = order.expressions[0]
    ordered = first.copy()
    ordered.set("this", _labelled(first.this, select).copy())
    distance, flipped = _distance(ordered.this)
    if distance is None or bool(ordered.args.get("desc")) != flipped:
        return None
    column, cast = _column(distance)
    tables = tuple(_tables(select, column)) if column is not None else ()
    if column is None or not tables:
        return None
    whole = _with_ctes(select, tree)
    return Nearest(
        tables=tables,
        column=column.name if column.this.quoted else column.name.lower(),
        cast=cast,
        operator=_operator(distance),
        direct=distance is ordered.this.unnest() and not flipped,
        limit=_amount(limit.args.get("expression") or limit.args.get("count")),
        offset=_amount(select.args["offset"].expression) if select.args.get("offset") else Amount(number=0),
        filtered=bool(select.args.get("where") or select.args.get("joins")),
        select=whole,
        distance=distance,
        ordered=ordered,
    )


def _with_ctes(select: exp.Select, tree: exp.Expr) -> exp.Select:
    """The statement's WITH goes along: the part that is asked for may read from it."""
    ctes = tree.args.get("with_")
    if select is tree or not ctes:
        return select
    whole = select.copy()
    whole.set("with_", ctes.copy())
    return whole


def _labelled(node: exp.Expr, select: exp.Select) -> exp.Expr:
    """What an ORDER BY means by a label or a position."""
    from sqlglot import exp

    if isinstance(node, exp.Literal) and node.is_int and 0 < int(node.name) <= len(select.selects):
        return select.selects[int(node.name) - 1].unalias()
    if isinstance(node, exp.Column) and not node.table:
        return next((p.unalias() for p in select.selects if isinstance(p, exp.Alias) and p.alias == node.name), node)
    return node


def _distance(node: exp.Expr) -> tuple[exp.Expr | None, bool]:
    """The one distance in what is ordered by, and whether the order goes the other way round."""
    from sqlglot import exp

    node = node.unnest()
    if _operator(node):
        return node, False
    if isinstance(node, (exp.Neg, exp.Cast, exp.Alias)):
        inner, flipped = _distance(node.this)
        return inner, flipped != isinstance(node, exp.Neg)
    if isinstance(node, (exp.Sub, exp.Add, exp.Mul, exp.Div)):
        return _computed(node)
    return None, False


def _computed(node: exp.Binary) -> tuple[exp.Expr | None, bool]:
    from sqlglot import exp

    left, right = _distance(node.this), _distance(node.expression)
    if (left[0] is None) == (right[0] is None):
        return None, False
    inner, flipped = left if left[0] is not None else right
    other = node.expression if left[0] is not None else node.this
    falls = right[0] is not None and isinstance(node, (exp.Sub, exp.Div))
    if isinstance(node, (exp.Mul, exp.Div)):
        number = other.unnest()
        negative = isinstance(number, exp.Neg)
        if not isinstance(number.this if negative else number, exp.Literal):
            return None, False
        falls = falls != negative
    return inner, flipped != falls


def _operator(node: exp.Expr) -> str:
    """pgvector's operator; empty for anything else."""
    from sqlglot import exp

    if isinstance(node, exp.Distance):
        return "<->"
    if isinstance(node, exp.Operator):
        name = str(node.args["operator"]).rpartition(".")[2]
        return name if name in OPERATORS else ""
    return ""


def _column(distance: exp.Expr) -> tuple[exp.Column | None, str]:
    """The side that is a column, and what it is cast to; None where neither or both are."""
    from sqlglot import exp

    sides = [_bare(side) for side in (distance.this, distance.expression)]
    columns = [s for s in sides if isinstance(s[0], exp.Column)]
    return (columns[0][0], columns[0][1]) if len(columns) == 1 else (None, "")  # type: ignore[return-value]


def _bare(node: exp.Expr) -> tuple[exp.Expr, str]:
    from sqlglot import exp

    node = node.unnest()
    if isinstance(node, exp.Cast) and isinstance(node.this.unnest(), exp.Column):
        return node.this.unnest(), node.to.sql(dialect="postgres").lower()
    return node, ""


def _tables(select: exp.Select, column: exp.Column) -> Iterator[str]:
    from sqlglot import exp

    sources = [select.args.get("from_"), *(select.args.get("joins") or ())]
    for source in sources:
        table = source.this if source is not None else None
        if not isinstance(table, exp.Table) or not isinstance(table.this, exp.Identifier):
            continue
        if not column.table or column.table.lower() == table.alias_or_name.lower():
            yield table.name if table.this.quoted else table.name.lower()


def _amount(node: exp.Expr | None) -> Amount:
    from sqlglot import exp

    node = node.unnest() if node is not None else None
    while isinstance(node, exp.Cast):
        node = node.this.unnest()
    if isinstance(node, exp.Literal) and node.is_int:
        return Amount(number=int(node.name))
    if isinstance(node, exp.Placeholder) and str(node.this).removeprefix(_MARK).isdigit():
        return Amount(place=int(str(node.this).removeprefix(_MARK)))
    return Amount()


def _ordered(distance: exp.Expr) -> exp.Ordered:
    from sqlglot import exp

    return exp.Ordered(this=distance, nulls_first=False)


def _for_query(made: exp.Select, column: str) -> exp.Select:
    """What each distance from that column is taken to becomes the query vector."""
    from sqlglot import exp

    for node in list(made.find_all(exp.Distance, exp.Operator)):
        if not _operator(node):
            continue
        found, _ = _column(node)
        if found is None or found.name.lower() != column.lower():
            continue
        side = "expression" if _bare(node.this)[0] is found else "this"
        node.set(side, exp.Placeholder(this=_QUERY))
    return made
