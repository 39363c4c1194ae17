"""Reads CHECK constraints: comparisons with constants, IN lists, BETWEEN, lengths, one column against another.

What is not understood is left to the database, which refuses the row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from perfcrew.target.rows.schema import Domain, Ordered

_FLIPPED: dict[type[Any], type[Any]] = {
    exp.GT: exp.LT,
    exp.GTE: exp.LTE,
    exp.LT: exp.GT,
    exp.LTE: exp.GTE,
    exp.EQ: exp.EQ,
    exp.NEQ: exp.NEQ,
}


@dataclass
class Understood:
    """What the checks of a table say, by column in lower case."""

    domains: dict[str, Domain] = field(default_factory=dict)
    ordered: list[Ordered] = field(default_factory=list)

    def of(self, column: str) -> Domain:
        return self.domains.get(column.lower(), Domain())


def of_table(sql: str, dialect: str) -> list[str]:
    """The CHECK conditions in a CREATE TABLE statement, empty where it can't be parsed."""
    try:
        tree = sqlglot.parse_one(sql, read=dialect)
    except SqlglotError:
        return []
    found = [*tree.find_all(exp.CheckColumnConstraint), *tree.find_all(exp.Check)]
    return [check.this.sql(dialect) for check in found if isinstance(check.this, exp.Expression)]


def understand(conditions: Iterable[str], dialect: str) -> Understood:
    """What these conditions ask of single columns, and of pairs."""
    known = Understood()
    for condition in conditions:
        try:
            tree = sqlglot.parse_one(f"SELECT 1 WHERE {condition}", read=dialect).find(exp.Where)
        except SqlglotError:
            continue
        if tree is not None:
            for part in _parts(tree.this):
                _read(part, known)
    return known


def _parts(tree: Any) -> Iterator[Any]:
    tree = _bare(tree)
    if isinstance(tree, exp.And):
        yield from _parts(tree.left)
        yield from _parts(tree.right)
    else:
        yield tree


def _bare(tree: Any) -> Any:
    """Without parentheses and casts. PostgreSQL writes -7 as '-7'::integer: that becomes the number again."""
    while isinstance(tree, exp.Paren | exp.Cast):
        number = isinstance(tree, exp.Cast) and tree.to.is_type(*exp.DataType.NUMERIC_TYPES)
        tree = tree.this
        if number and isinstance(tree, exp.Literal) and tree.is_string:
            return exp.Literal(this=tree.this, is_string=False)
    return tree


def _read(part: Any, known: Understood) -> None:
    if isinstance(part, exp.Or):
        _alternatives(part, known)
    elif isinstance(part, exp.In):
        _choices(_bare(part.this), [_bare(e) for e in part.expressions], known)
    elif isinstance(part, exp.Between):
        _compare(_bare(part.this), exp.GTE, _bare(part.args["low"]), known)
        _compare(_bare(part.this), exp.LTE, _bare(part.args["high"]), known)
    elif isinstance(part, exp.EQ) and isinstance(_bare(part.right), exp.Any):
        array = _bare(_bare(part.right).this)
        if isinstance(array, exp.Array):
            _choices(_bare(part.left), [_bare(e) for e in array.expressions], known)
    elif type(part) in _FLIPPED:
        _comparison(part, known)


def _alternatives(part: exp.Or, known: Understood) -> None:
    """`x IS NULL OR …` asks what the other side asks; `x = 1 OR x = 2` is a list."""
    sides = [_bare(side) for side in part.flatten()]
    real = [side for side in sides if not isinstance(side, exp.Is)]
    if len(real) == 1:
        for inner in _parts(real[0]):
            _read(inner, known)
    elif all(isinstance(side, exp.EQ) for side in real) and len({_bare(side.left).sql() for side in real}) == 1:
        _choices(_bare(real[0].left), [_bare(side.right) for side in real], known)


def _comparison(part: Any, known: Understood) -> None:
    left, right, operator = _bare(part.left), _bare(part.right), type(part)
    if isinstance(left, exp.Column) and isinstance(right, exp.Column):
        _pair(left.name, operator, right.name, known)
    elif _value(left) is not None:
        _compare(right, _FLIPPED[operator], left, known)
    else:
        _compare(left, operator, right, known)


def _pair(left: str, operator: type[Any], right: str, known: Understood) -> None:
    if operator in (exp.LT, exp.LTE):
        known.ordered.append(Ordered(left, right, operator is exp.LT))
    elif operator in (exp.GT, exp.GTE):
        known.ordered.append(Ordered(right, left, operator is exp.GT))


def _choices(column: Any, values: list[Any], known: Understood) -> None:
    if isinstance(column, exp.Column):
        choices = tuple(v for v in map(_value, values) if v is not None)
        _narrow(known, column.name, choices=choices)


def _compare(side: Any, operator: type[Any], constant: Any, known: Understood) -> None:
    value = _value(constant)
    if value is None:
        return
    if isinstance(side, exp.Length) and isinstance(_bare(side.this), exp.Column):
        _length(_bare(side.this).name, operator, int(value), known)
    elif isinstance(side, exp.Column):
        _bound(side.name, operator, value, known)


def _bound(column: str, operator: type[Any], value: Any, known: Understood) -> None:
    now = known.of(column)
    if operator is exp.EQ:
        _narrow(known, column, choices=(value,))
    elif operator is exp.NEQ:
        _narrow(known, column, excluded=now.excluded | {value})
    elif isinstance(value, str):
        return
    elif operator in (exp.GT, exp.GTE) and (now.low is None or value >= now.low):
        _narrow(known, column, low=value, low_open=operator is exp.GT)
    elif operator in (exp.LT, exp.LTE) and (now.high is None or value <= now.high):
        _narrow(known, column, high=value, high_open=operator is exp.LT)


def _length(column: str, operator: type[Any], value: int, known: Understood) -> None:
    if operator in (exp.GT, exp.GTE, exp.EQ):
        _narrow(known, column, min_length=value + (operator is exp.GT))
    if operator in (exp.LT, exp.LTE, exp.EQ):
        _narrow(known, column, max_length=value - (operator is exp.LT))
    if operator is exp.NEQ and value == 0:
        _narrow(known, column, min_length=1)


def _narrow(known: Understood, column: str, **more: Any) -> None:
    known.domains[column.lower()] = replace(known.of(column), **more)


def _value(tree: Any) -> Any:
    """The constant, None where it is none."""
    if isinstance(tree, exp.Neg):
        inner = _value(_bare(tree.this))
        return None if inner is None or isinstance(inner, str) else -inner
    if isinstance(tree, exp.Boolean):
        return bool(tree.this)
    if not isinstance(tree, exp.Literal):
        return None
    if tree.is_string:
        return tree.this
    return float(tree.this) if "." in tree.this or "e" in tree.this.lower() else int(tree.this)
