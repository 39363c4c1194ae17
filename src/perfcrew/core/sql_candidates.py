"""Which indexes could serve a statement, by its text and the schema alone: equality columns, then a range or the order.

An index on (equality columns, then one range or ORDER BY column) lets an engine go straight to the rows wanted, in
their order (M. Winand, "SQL Performance Explained", chapters 2 and 6). Whether it does is for a trial to show.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from perfcrew.core.indexes import is_expression
from perfcrew.core.sql import parse

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlglot.optimizer.scope import Scope

LEAST_ROWS = 200
"""Smaller tables are read whole in no time, whatever their indexes."""
MOST_COLUMNS = 4

Engine = Literal["sqlite", "postgresql", "mysql"]
DIALECTS = {"sqlite": "sqlite", "postgresql": "postgres", "mysql": "mysql"}


@dataclass(frozen=True)
class TableFacts:
    """A table as it stands. `indexes` hold the key columns of whole-table indexes, the primary key among them;
    `unique` those of them that allow a row once.
    """

    columns: tuple[str, ...]
    rows: int
    indexes: tuple[tuple[str, ...], ...] = ()
    unique: tuple[tuple[str, ...], ...] = ()
    types: Mapping[str, str] = field(default_factory=dict)
    """Column → its type, in the engine's words."""
    size_bytes: int | None = None
    """Without its indexes; None where the engine does not tell."""
    partitioned: bool = False


class Candidate(NamedTuple):
    """An index that could serve."""

    table: str
    columns: tuple[str, ...]


class At(NamedTuple):
    """One mention of a table: two aliases of one table are two."""

    scope: int
    alias: str
    table: str


@dataclass
class Use:
    """What a statement asks of one mention of a table: columns by how they are compared, in order of their mention."""

    fixed: list[str] = field(default_factory=list)
    listed: list[str] = field(default_factory=list)
    joined: list[str] = field(default_factory=list)
    ranged: list[str] = field(default_factory=list)
    ordered: list[str] = field(default_factory=list)
    limited: bool = False

    @property
    def rank(self) -> int:
        """Smaller is better: a value given by the request narrows most, an order alone least."""
        if self.fixed or self.listed:
            return 0
        return 1 if self.joined else 2 if self.ranged else 3


class Parts(NamedTuple):
    """A candidate before it is held against the table: its equality columns, and what follows."""

    equal: tuple[str, ...]
    tail: tuple[str, ...]


def candidate_indexes(statement: str, schema: Mapping[str, TableFacts], dialect: Engine) -> list[Candidate]:
    """The indexes worth trying, best first; a single-column one follows the wider one it begins.

    `schema` knows tables by their plain name, or `schema.name` outside of the search path. Left out: what an existing
    index serves already, tables under 200 rows, columns inside functions, expression and partial and covering indexes.
    Directions of an ORDER BY don't matter where they are the same; it is used up to where they change.
    """
    tree = parse(statement, DIALECTS[dialect])
    if tree is None:
        return []
    uses = Reader(schema, dialect).read(tree)
    ranked = sorted(uses.items(), key=lambda item: (item[1].rank, -schema[item[0].table].rows))
    found = (c for at, use in ranked for c in _candidates(at.table, use, schema[at.table]))
    return list(dict.fromkeys(found))


def _candidates(table: str, use: Use, facts: TableFacts) -> Iterator[Candidate]:
    for parts in ways(use):
        columns = tuple(dict.fromkeys((*parts.equal, *parts.tail)))[:MOST_COLUMNS]
        wide = Parts(parts.equal[:MOST_COLUMNS], columns[len(parts.equal) :])
        if not columns or not is_new(wide, facts):
            continue
        yield Candidate(table, columns)
        narrow = Parts(columns[:1], ()) if wide.equal else Parts((), columns[:1])
        if len(columns) > 1 and is_new(narrow, facts):
            yield Candidate(table, columns[:1])


def ways(use: Use) -> Iterator[Parts]:
    """The table read first (by given values), then the table looked into for each row of another."""
    given = _once(use.fixed, use.listed)
    ordered = tuple(c for c in use.ordered if c not in given)
    ranged = tuple(c for c in use.ranged if c not in given)[:1]
    by_range = _along(ranged, ordered)
    tails = [ordered, by_range] if use.limited and ordered else [by_range, ordered if given else ()]
    if given or not use.joined:
        yield from (Parts(given, tail) for tail in dict.fromkeys(tails) if tail)
        if given:
            yield Parts(given, ())
    if use.joined:
        inner = _once(use.joined, use.fixed, use.listed)
        yield Parts(inner, tuple(c for c in ranged if c not in inner))


def _along(ranged: tuple[str, ...], ordered: tuple[str, ...]) -> tuple[str, ...]:
    """A range serves the order too where the order begins with its column."""
    return ordered if ranged and ordered[:1] == ranged else ranged


def _once(*columns: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(c for some in columns for c in some))


def is_new(parts: Parts, facts: TableFacts) -> bool:
    """Whether keys for this way are worth having: of a table of some size, and served by no index of it yet."""
    equal, columns = set(parts.equal), {*parts.equal, *parts.tail}
    if facts.rows < LEAST_ROWS or not {c for c in columns if not is_expression(c)} <= set(facts.columns):
        return False
    if any(key and set(key) <= equal for key in facts.unique):  # one row at most, and found already
        return False
    return not any(_serves(index, parts) for index in facts.indexes)


def _serves(index: tuple[str, ...], parts: Parts) -> bool:
    n = len(parts.equal)
    return set(index[:n]) == set(parts.equal) and index[n : n + len(parts.tail)] == parts.tail


class Reader:
    """Reads what each mention of a table is asked for, through aliases, labels and derived tables."""

    def __init__(self, schema: Mapping[str, TableFacts], dialect: Engine) -> None:
        self.schema, self.dialect = schema, dialect
        self.names = {name.lower(): name for name in schema}
        self.uses: dict[At, Use] = {}

    def read(self, tree: exp.Expr) -> dict[At, Use]:
        from sqlglot import exp
        from sqlglot.errors import SqlglotError
        from sqlglot.optimizer.scope import traverse_scope

        try:
            scopes = traverse_scope(tree.copy())
        except (SqlglotError, RecursionError):
            return {}
        for scope in scopes:
            if isinstance(scope.expression, exp.Select):
                self.scope(scope)
        return self.uses

    def scope(self, scope: Scope) -> None:
        """Note what one SELECT asks for."""
        from sqlglot import exp

        select = scope.expression
        assert isinstance(select, exp.Select)
        for condition in _conditions(select):
            self.condition(condition, scope)
        for column in _shared(select):
            self._using(column, scope)
        self._order(select, scope)

    def condition(self, node: exp.Expr, scope: Scope) -> None:
        from sqlglot import exp

        if node.args.get("negate"):
            return
        if isinstance(node, (exp.EQ, exp.Is, exp.GT, exp.GTE, exp.LT, exp.LTE)):
            self._comparison(node, node.this, node.expression, scope)
            self._comparison(node, node.expression, node.this, scope)
        elif isinstance(node, exp.In):
            self._add("listed", node.this, scope)
        elif isinstance(node, exp.Between):
            self._add("ranged", node.this, scope)
        elif self.dialect == "postgresql":  # a boolean column alone, which SQLite looks up in no index
            self._add("listed", node.this if isinstance(node, exp.Not) else node, scope)

    def _comparison(self, node: exp.Expr, side: exp.Expr, other: exp.Expr, scope: Scope) -> None:
        from sqlglot import exp

        at = self.find(side, scope)
        if at is None or isinstance(other, exp.Not):
            return
        others = [found for column in other.find_all(exp.Column) if (found := self.find(column, scope))]
        if any(found[0] == at[0] for found in others):  # compared with its own row: no index finds that
            return
        if isinstance(node, (exp.EQ, exp.Is)):
            kind = "joined" if others else "listed" if isinstance(node, exp.Is) or _is_list(other) else "fixed"
            self._add(kind, side, scope)
        elif not others:
            self._add("ranged", side, scope)

    def _using(self, column: str, scope: Scope) -> None:
        for at, name in (found for alias in scope.selected_sources if (found := self._within(alias, column, scope))):
            self.uses.setdefault(at, Use()).joined.append(name)

    def _order(self, select: exp.Select, scope: Scope) -> None:
        """The leading columns of the ORDER BY that one index can give: of one table, in one direction."""
        order = select.args.get("order")
        if not order or select.args.get("group") or select.args.get("distinct"):
            return
        first: tuple[At, bool] | None = None
        for item in order.expressions:
            found = self.find(_labelled(item.this, select), scope)
            down = bool(item.args.get("desc"))
            if found is None or not self._plain_nulls(item, down) or (first and first != (found[0], down)):
                return
            first = (found[0], down)
            use = self.uses.setdefault(found[0], Use())
            use.limited = use.limited or bool(select.args.get("limit"))
            use.ordered.append(found[1])

    def _plain_nulls(self, item: exp.Expr, down: bool) -> bool:
        """Whether nulls stand where an index has them: last in PostgreSQL, first in SQLite, reversed going down."""
        return bool(item.args.get("nulls_first")) == (down if self.dialect == "postgresql" else not down)

    def _add(self, kind: str, node: exp.Expr, scope: Scope) -> None:
        found = self.find(node, scope)
        if found is not None:
            columns: list[str] = getattr(self.uses.setdefault(found[0], Use()), kind)
            if found[1] not in columns:
                columns.append(found[1])

    def find(self, node: exp.Expr, scope: Scope) -> tuple[At, str] | None:
        """The mention and column of a bare column; None for anything else, and for columns of an outer statement."""
        from sqlglot import exp

        node = node.unnest()
        if not isinstance(node, exp.Column):
            return None
        if node.table:
            alias = _like(node.table, scope.selected_sources)
            return self._within(alias, node.name, scope) if alias else None
        found = [f for alias in scope.selected_sources if (f := self._within(alias, node.name, scope))]
        return found[0] if len(found) == 1 else None

    def _within(self, alias: str, column: str, scope: Scope) -> tuple[At, str] | None:
        from sqlglot import exp

        source = scope.selected_sources[alias][1]
        if not isinstance(source, exp.Table):
            return self._through(source, column)
        table = self.table_of(source)
        name = _like(column, self.schema[table].columns) if table else None
        return (At(id(scope), alias, table), name) if table and name else None

    def table_of(self, source: exp.Table) -> str | None:
        """The table by its name in the schema."""
        return self.names.get(f"{source.db}.{source.name}".lower()) or self.names.get(source.name.lower())

    def _through(self, inner: Scope, column: str) -> tuple[At, str] | None:
        """A column of a derived table, where engines may push conditions into it."""
        from sqlglot import exp

        select = inner.expression
        if not isinstance(select, exp.Select) or any(select.args.get(k) for k in ("group", "limit", "distinct")):
            return None
        return next((self.find(p.unalias(), inner) for p in select.selects if p.alias_or_name == column), None)


def _conditions(select: exp.Select) -> Iterator[exp.Expr]:
    """What must hold of each row: the parts of WHERE and of every ON, apart by AND."""
    where = select.args.get("where")
    if where:
        yield from _parts(where.this)
    for join in select.args.get("joins") or ():
        if join.args.get("on"):
            yield from _parts(join.args["on"])


def _shared(select: exp.Select) -> list[str]:
    """The columns that JOIN … USING compares."""
    joins = select.args.get("joins") or ()
    return list(dict.fromkeys(column.name for join in joins for column in join.args.get("using") or ()))


def _parts(node: exp.Expr) -> Iterator[exp.Expr]:
    from sqlglot import exp

    node = node.unnest()
    if isinstance(node, exp.And):
        yield from _parts(node.this)
        yield from _parts(node.expression)
    else:
        yield node


def _labelled(node: exp.Expr, select: exp.Select) -> exp.Expr:
    """What an ORDER BY means by a label or a position; itself where it is neither."""
    from sqlglot import exp

    if isinstance(node, exp.Literal) and node.is_int and 0 < int(node.name) <= len(select.selects):
        return select.selects[int(node.name) - 1].unalias()
    if isinstance(node, exp.Column) and not node.table:
        labelled = (p.unalias() for p in select.selects if isinstance(p, exp.Alias) and p.alias == node.name)
        return next(labelled, node)
    return node


def _is_list(node: exp.Expr) -> bool:
    from sqlglot import exp

    return isinstance(node.unnest(), exp.Any)


def _like(name: str, names: Iterable[str]) -> str | None:
    """The same name, or the one that differs by case alone."""
    known = list(names)
    return name if name in known else next((n for n in known if n.lower() == name.lower()), None)
