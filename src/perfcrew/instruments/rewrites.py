"""A statement in other forms, on a clone: a later page beside the first, and an index on the expression it compares.

Times are of plain runs in turn. Whether the difference matters is not said here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from statistics import median
from typing import NamedTuple

from perfcrew.core.evidence import ExpressionTrial, PageTrial, PlanNode, QueryPlan
from perfcrew.core.indexes import IndexSpec
from perfcrew.core.sql import is_read, tables, with_marks
from perfcrew.core.sql_candidates import TableFacts
from perfcrew.core.sql_wrapped import Wrapped, wrapped
from perfcrew.instruments.binding import Bound, bind, engine_of
from perfcrew.instruments.sessions import Clone, Index, Refused, Session, session

RUNS = 5
_LONG_MS = 500.0
"""Slower statements are run twice."""
_FEWEST_ROWS = 200
"""Of a smaller result no page is far behind."""
_FAR = 0.9
"""How far into the result the later page lies."""
_LEAST_ROWS = 1000
"""Smaller tables are read whole in no time."""
_MARK = "\x00"
_OFFSET = re.compile(rf"\bOFFSET\s+(?:{_MARK}(?P<mark>\d+){_MARK}|(?P<number>\d+))", re.IGNORECASE)
_LIMIT = re.compile(rf"\bLIMIT\s+(?:{_MARK}(?P<mark>\d+){_MARK}|(?P<number>\d+))", re.IGNORECASE)
_INDEX_CONDITION = re.compile(r"Index Cond: (.*?)(?:; [A-Z][A-Za-z ]+: |$)")
_IMPLICIT = re.compile(
    r"\((?P<column>\w+)\)::(?P<type>numeric|double precision|real|bigint|timestamp with(?:out)? time zone|date)\s*[<>=]"
)


def try_pages(clone: Clone, statement: str, parameters: object) -> PageTrial | None:
    """The first page and one at nine tenths of the result, timed in turn; None where there is no OFFSET to vary.

    Raises ToolFailed where the statement can't be bound.
    """
    if clone.engine == "none" or not is_read(statement) or not re.search(r"\bOFFSET\b", statement, re.IGNORECASE):
        return None
    bound = bind(statement, parameters, engine_of(clone.engine))
    paged = None if bound.doubt else _paged(bound)
    if paged is None:
        return None
    with session(clone) as db:
        try:
            rows = db.count(paged.whole)
            return None if rows < _FEWEST_ROWS else _pages(db, paged, int(rows * _FAR), rows)
        except Refused:
            return None


class _Paged(NamedTuple):
    """A statement whose OFFSET can be chosen: its text with `%s` or `?` there, and the statement without a page."""

    bound: Bound
    at: int | None
    """Which value is the offset; None where the number stands in the text."""
    span: tuple[int, int]
    whole: Bound

    def from_row(self, offset: int) -> Bound:
        if self.at is None:
            start, end = self.span
            return replace(self.bound, text=f"{self.bound.text[:start]}{offset}{self.bound.text[end:]}")
        values = list(self.bound.values)
        values[self.at] = offset
        return replace(self.bound, values=tuple(values))


def _paged(bound: Bound) -> _Paged | None:
    """None where the statement's own OFFSET and LIMIT aren't found at its end."""
    signed = with_marks(bound.text, lambda number, _: f"{_MARK}{number}{_MARK}")
    offset, limit = _last(_OFFSET, signed), _last(_LIMIT, signed)
    if offset is None or limit is None or ")" in signed[min(offset.start(), limit.start()) :]:
        return None
    start = min(offset.start(), limit.start())
    dropped = {int(m["mark"]) for m in (offset, limit) if m["mark"]}
    values = tuple(v for n, v in enumerate(bound.values) if n not in dropped)
    if dropped and min(dropped) < len(values):
        return None
    whole = replace(bound, text=_unsigned(signed[:start], bound), values=values)
    span = (0, 0)
    if offset["number"]:
        before = len(_unsigned(signed[: offset.start("number")], bound))
        span = (before, before + len(offset["number"]))
    return _Paged(bound, int(offset["mark"]) if offset["mark"] else None, span, whole)


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    return next(reversed(list(pattern.finditer(text))), None)


def _unsigned(signed: str, bound: Bound) -> str:
    mark = "%s" if re.search(r"%s", bound.text) else "?"
    return re.sub(rf"{_MARK}\d+{_MARK}", mark, signed)


def _pages(db: Session, paged: _Paged, offset: int, rows: int) -> PageTrial:
    first, later = paged.from_row(0), paged.from_row(offset)
    first_ms, later_ms = _in_turn(db, first, later)
    return PageTrial(
        result_rows=rows,
        skipped_rows=offset,
        first_ms=first_ms,
        later_ms=later_ms,
        first_median_ms=median(first_ms),
        later_median_ms=median(later_ms),
        later_read_rows=_read(db.plan(later, run=True)),
    )


def _read(nodes: Sequence[PlanNode]) -> float | None:
    """Rows that the scans looked at, None where the engine doesn't count them."""
    counted = [n.read_rows for n in nodes if n.read_rows is not None]
    return sum(counted) if counted else None


def _in_turn(db: Session, one: Bound, other: Bound) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Each run beside the other's, after one of each that only fills the caches."""
    long = max(db.run_ms(one), db.run_ms(other)) > _LONG_MS
    pairs = [(db.run_ms(one), db.run_ms(other)) for _ in range(2 if long else RUNS)]
    return tuple(a for a, _ in pairs), tuple(b for _, b in pairs)


def try_expression(clone: Clone, statement: str, parameters: object, before: QueryPlan) -> ExpressionTrial | None:
    """An index on the expression that hides a column, built, timed and dropped again; None where none is hidden.

    Of several the one that leaves least. `defeated` names an index that the plan uses once the column stands alone.
    Raises ToolFailed where the statement can't be bound.
    """
    if clone.engine == "none" or not is_read(statement):
        return None
    bound = bind(statement, parameters, engine_of(clone.engine))
    if bound.doubt or "%%" in bound.text:
        return None
    with session(clone) as db:
        try:
            facts = {name: t for name, t in db.facts(tables(statement)).items() if t.rows >= _LEAST_ROWS}
            found = [*_written(bound, db, facts), *_implicit(before.nodes, facts)]
            now = db.plan(bound, run=False)
            tried = [t for w in found[:3] if not _goes_by(now, w) and (t := _tried(db, bound, w))]
        except Refused:
            return None
    return min(tried, key=lambda t: t.after_median_ms if t.used else t.before_median_ms, default=None)


def _goes_by(nodes: Sequence[PlanNode], found: Wrapped) -> bool:
    """Whether the plan goes into the table by an index on that expression: then nothing is hidden."""
    there = [_looked_up(node) for node in nodes if _is_of(node, found.table)]
    return any("<expr>" in one or _alike(found.expression) in _alike(one) for one in there)


def _is_of(node: PlanNode, table: str) -> bool:
    """A bitmap's index scan names no table."""
    return bool(node.index) and node.relation in (None, "", table.rpartition(".")[2])


def _looked_up(node: PlanNode) -> str:
    """What the index is asked for, without what is filtered afterwards; SQLite says `<expr>` for any expression."""
    found = _INDEX_CONDITION.search(node.condition)
    return found[1] if found else "" if ":" in node.condition else node.condition


def _alike(text: str) -> str:
    """Without what engine and parser write differently: case, values, casts of text, parentheses, blanks."""
    text = re.sub(r"'[^']*'|\b\d+\b", "?", text).lower()
    text = re.sub(r"cast\((\w+) as (\w+)\)", r"\1::\2", text)
    text = re.sub(r"::(text|character varying|varchar)\b", "", text)
    return re.sub(r'[()"\s]', "", text)


def _written(bound: Bound, db: Session, facts: Mapping[str, TableFacts]) -> list[Wrapped]:
    return wrapped(bound.text, db.engine, {name: table.columns for name, table in facts.items()})


def _implicit(nodes: Sequence[PlanNode], facts: Mapping[str, TableFacts]) -> Iterator[Wrapped]:
    """Casts that the server put in, since the value has another type than the column: only the plan shows them."""
    for node in nodes:
        table = next((name for name in facts if name.rpartition(".")[2] == node.relation), None)
        for match in _IMPLICIT.finditer(node.condition) if table and not node.index else ():
            if match["column"] in facts[table or ""].columns:
                yield Wrapped(table or "", match["column"], f"({match['column']})::{match['type']}", "")


def _tried(db: Session, bound: Bound, found: Wrapped) -> ExpressionTrial | None:
    """None where the engine refuses the index, as it does for what isn't immutable, and where it is there already."""
    plain = db.index(IndexSpec(table=found.table, keys=(found.column,)))
    index = plain._replace(ddl=f"{plain.ddl[: plain.ddl.rindex('(')]}(({found.expression}))")
    before_ms = _samples(db, bound)
    defeated = _defeated(db, bound, found)
    try:
        with _built(db, index, found.table):
            if db.twin(index):
                return None  # the same one is there already, in whatever words
            nodes = db.plan(bound, run=False)
            used = not db.names(index).isdisjoint({node.index for node in nodes})
            after_ms = _samples(db, bound) if used else before_ms
            size = db.size_bytes(index)
    except Refused:
        if not defeated:
            return None
        used, after_ms, size, index = False, before_ms, None, index._replace(ddl="")
    before_ms = min(before_ms, _samples(db, bound), key=median)
    return ExpressionTrial(
        table=found.table,
        column=found.column,
        expression=found.expression,
        implicit=not found.bare,
        ddl=index.ddl,
        defeated=defeated,
        used=used,
        before_ms=before_ms,
        after_ms=after_ms if used else before_ms,
        before_median_ms=median(before_ms),
        after_median_ms=median(after_ms if used else before_ms),
        size_bytes=size,
    )


def _defeated(db: Session, bound: Bound, found: Wrapped) -> str | None:
    """The index that the plan uses for the column by itself, and not as it is sent."""
    if not found.bare:
        return None
    mark = "?" if db.engine == "sqlite" else "%s"
    count = 0

    def put(number: int, _: str) -> str:
        nonlocal count
        count = number + 1
        return mark

    text = with_marks(found.bare, put)
    if count != len(bound.values):
        return None
    try:
        now = {n.index for n in db.plan(bound, run=False)}
        alone = db.plan(replace(bound, text=text), run=False)
    except Refused:
        return None  # the bare column is of another type than the value
    used = [n.index for n in alone if n.index and n.index not in now and "KEY" not in n.index]
    return used[0] if used else None


def _samples(db: Session, bound: Bound) -> tuple[float, ...]:
    long = db.run_ms(bound) > _LONG_MS
    return tuple(db.run_ms(bound) for _ in range(2 if long else RUNS))


@contextmanager
def _built(db: Session, index: Index, table: str) -> Iterator[None]:
    try:
        db.build(index)
        db.analyze([table])
        yield
    finally:
        db.drop(index)
