"""What each mention of a table in a statement asks of an index: beyond plain columns, by text, values and schema.

Expressions (`lower(email) = ?`), constants in the text itself (`deleted_at IS NULL`), texts searched by a pattern,
documents, arrays and words searched by their content, and the columns that are read besides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from perfcrew.core.sql import parse
from perfcrew.core.sql_candidates import DIALECTS, At, Engine, Parts, Reader, TableFacts, Use, ways
from perfcrew.core.sql_constants import agreed, is_agreed, says_how

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlglot.optimizer.scope import Scope

TRIGRAM = "pg_trgm"


class Search(NamedTuple):
    """A key that is searched by its content: an index of another kind than one in order."""

    key: str
    using: str
    opclass: str


@dataclass
class Wish:
    """One mention of a table. `read` are the columns that it reads, None where it reads all of them."""

    table: str
    use: Use
    constants: dict[str, str] = field(default_factory=dict)
    """Condition, as SQL → its column."""
    searches: list[Search] = field(default_factory=list)
    read: set[str] | None = field(default_factory=set)

    def parts(self) -> Iterator[Parts]:
        """The ways in which keys in order would serve it."""
        return ways(self.use)


def wishes(
    statement: str,
    schema: Mapping[str, TableFacts],
    dialect: Engine,
    values: Sequence[object] = (),
    extensions: frozenset[str] = frozenset(),
    texts: Sequence[str] = (),
) -> list[Wish]:
    """Of every mention of a table that is known. `values` tell how patterns begin; they are not kept. `texts` are those
    of all executions, which tell the values of the program from those of a request.

    Nothing for a text that can't be read.
    """
    tree = parse(statement, DIALECTS[dialect])
    if tree is None:
        return []
    told = _Told([v for v in values if isinstance(v, str)], agreed((statement, *texts), DIALECTS[dialect]))
    reader = _Deep(schema, dialect, told, extensions)
    uses = reader.read(tree)
    for at in uses:
        reader.wish(at)
    return [w for w in reader.wished.values() if w.table in schema]


class _Told(NamedTuple):
    """What executions tell: their values, and the comparisons with a value that all of their texts have."""

    values: Sequence[str]
    agreed: frozenset[str]


class _Deep(Reader):
    """Takes expressions over one column for keys, and notes what an index in order can't serve."""

    def __init__(
        self, schema: Mapping[str, TableFacts], dialect: Engine, told: _Told, extensions: frozenset[str]
    ) -> None:
        super().__init__(schema, dialect)
        self.told, self.extensions = told, extensions
        self.wished: dict[At, Wish] = {}

    def wish(self, at: At) -> Wish:
        use = self.uses.setdefault(at, Use())
        return self.wished.setdefault(at, Wish(at.table, use))

    def scope(self, scope: Scope) -> None:
        super().scope(scope)
        from sqlglot import exp

        select = scope.expression
        assert isinstance(select, exp.Select)
        whole = any(isinstance(p, exp.Star) or isinstance(p.this, exp.Star) for p in select.selects)
        for alias in scope.selected_sources if whole else ():
            self._read_whole(alias, scope)
        for column in scope.columns:
            found = super().find(column, scope)
            wish = self.wish(found[0]) if found else None
            if wish is not None and wish.read is not None and found:
                wish.read.add(found[1])

    def _read_whole(self, alias: str, scope: Scope) -> None:
        from sqlglot import exp

        source = scope.selected_sources[alias][1]
        table = self.table_of(source) if isinstance(source, exp.Table) else None
        if table:
            self.wish(At(id(scope), alias, table)).read = None

    def condition(self, node: exp.Expr, scope: Scope) -> None:
        from sqlglot import exp

        self._constant(node, scope)
        if isinstance(node, (exp.Like, exp.ILike)):
            self._pattern(node, scope)
        elif isinstance(node, (exp.ArrayContainsAll, exp.ArrayOverlaps)):
            self._content(node, scope)
        elif isinstance(node, exp.MatchAgainst):
            for side in node.expressions:
                self._search(side, scope, "gin", "")
        elif (
            isinstance(node, (exp.EQ, exp.Is, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.In, exp.Between))
            or isinstance(node.unnest(), exp.Column)
            or isinstance(node, exp.Not)
        ):
            super().condition(node, scope)

    def _constant(self, node: exp.Expr, scope: Scope) -> None:
        """A condition on one column that every request has that sends the statement: of no value of its own."""
        from sqlglot import exp

        inner = node.this if isinstance(node, exp.Not) else node
        column = inner.this if isinstance(inner, (exp.EQ, exp.Is)) else inner
        if isinstance(inner, (exp.EQ, exp.Is)) and not self._is_fixed(inner):
            return
        found = super().find(column, scope)
        if found is None or (isinstance(inner, exp.Column) and self.dialect == "sqlite"):
            return
        self.wish(found[0]).constants[self.text(node)] = found[1]

    def _is_fixed(self, comparison: exp.EQ | exp.Is) -> bool:
        from sqlglot import exp

        if isinstance(comparison.expression.unnest(), (exp.Boolean, exp.Null)):
            return True
        return is_agreed(comparison, self.told.agreed, DIALECTS[self.dialect])

    def _pattern(self, node: exp.Expr, scope: Scope) -> None:
        if self.dialect != "postgresql":
            return
        from sqlglot import exp

        literals = [part.name for part in node.expression.find_all(exp.Literal)]
        patterns = [p for p in literals or self.told.values if "%" in p]
        if any(p.startswith("%") for p in patterns) or isinstance(node, exp.ILike):
            if TRIGRAM in self.extensions:
                self._search(node.this, scope, "gin", "gin_trgm_ops")
        elif patterns:
            self._search(node.this, scope, "btree", "text_pattern_ops")

    def _content(self, node: exp.Expr, scope: Scope) -> None:
        """`@>` and `&&` of a document or an array; `jsonb_path_ops` is the smaller one that serves `@>`."""
        found = super().find(node.this, scope)
        kind = self.schema[found[0].table].types.get(found[1], "") if found else ""
        if kind == "jsonb" or kind.endswith("[]"):
            self._search(node.this, scope, "gin", "jsonb_path_ops" if kind == "jsonb" else "")

    def _search(self, node: exp.Expr, scope: Scope, using: str, opclass: str) -> None:
        found = self.find(node, scope)
        if found is not None and self.dialect == "postgresql":
            search = Search(found[1], using, opclass)
            wish = self.wish(found[0])
            if search not in wish.searches:
                wish.searches.append(search)

    def find(self, node: exp.Expr, scope: Scope) -> tuple[At, str] | None:
        """A column as it is; an expression over one column and no value as its text."""
        from sqlglot import exp

        node = node.unnest()
        if isinstance(node, exp.Column):
            return super().find(node, scope)
        if not isinstance(node, (exp.Func, exp.Cast, exp.JSONExtract, exp.JSONExtractScalar)):
            return None
        if isinstance(node, exp.Predicate) or node.find(exp.Placeholder, exp.AggFunc, exp.Window, exp.Select):
            return None
        if not says_how(node):
            return None
        columns = list(node.find_all(exp.Column))
        found = super().find(columns[0], scope) if len(columns) == 1 else None
        return (found[0], self.text(node)) if found else None

    def text(self, node: exp.Expr) -> str:
        """As SQL, without the names of tables."""
        from sqlglot import exp

        def bare(part: exp.Expr) -> exp.Expr:
            if isinstance(part, exp.Column):
                return exp.column(part.this.copy())
            if isinstance(part, exp.TimestampTrunc):  # sqlglot writes the unit in capitals, which is another constant
                unit = exp.Literal.string(part.args["unit"].name.lower())
                return exp.Anonymous(this="date_trunc", expressions=[unit, bare(part.this)])
            return part

        dialect = DIALECTS[self.dialect]
        return str(node.copy().transform(bare).sql(dialect=dialect, comments=False, normalize_functions="lower"))
