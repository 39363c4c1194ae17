"""What a statement of SQL is, whatever its values: its shape, its tables, and whether it only reads.

A shape is the statement with every value and placeholder as `?`, lists of values merged, whitespace and case of
keywords evened out: two statements of one shape do the same work for different values.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from perfcrew.core import engines

if TYPE_CHECKING:
    from sqlglot import exp

CACHED_STATEMENTS = 4096
"""sqlglot takes about 150 µs a statement; applications send few different texts, thousands of times."""

LONGEST_PARSED = 100_000
"""Characters. Longer texts (inlined lists of ids) are evened out by text alone."""

_PIECES = re.compile(
    r"""(?P<keep>'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|\[[A-Za-z_][\w ]*\]|--[^\n]*|/\*.*?\*/|::)"""
    r"""|(?P<mark>\$\d+|%s|%\(\w+\)s|\?\d*|(?<![:\w]):\w+|@p\d+)""",
    re.DOTALL,
)
_TAG = "perfcrew_value"
_DISTANCES = re.compile(
    r"""(?P<keep>'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|/\*.*?\*/)|(?<![.(])(?P<operator><=>|<#>|<\+>|<~>)""", re.DOTALL
)
_NAMED = re.compile(r"OPERATOR\((?:\w+\.)?(<->|<=>|<#>|<\+>|<~>)\)")
_READS = re.compile(
    r"\s*(?:--[^\n]*\n\s*|/\*.*?\*/\s*)*\(*\s*(SELECT|VALUES|SHOW|EXPLAIN|WITH|TABLE|DESCRIBE|PRAGMA)\b", re.I | re.S
)
_WRITES = re.compile(r"\b(INSERT|UPDATE|DELETE|MERGE|REPLACE|CREATE|ALTER|DROP|TRUNCATE|COPY|CALL|GRANT|INTO)\b", re.I)
_BINDS = re.compile(
    r"\bFOR\s+((NO\s+KEY\s+)?UPDATE|(KEY\s+)?SHARE)\b|\bLOCK\s+IN\s+SHARE\s+MODE\b"
    r"|\b(set_config|pg_(try_)?advisory_\w+|nextval|setval|pg_notify|txid_current|pg_current_xact_id|get_lock)\s*\(",
    re.I,
)
_STRINGS = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/", re.S)


@lru_cache(maxsize=CACHED_STATEMENTS)
def shape(statement: str) -> str:
    """The statement without its values: `SELECT * FROM book WHERE id = ?`.

    A text that sqlglot can't read is evened out by regular expressions; the shape is never empty for a statement.
    """
    if engines.is_elsewhere(statement):
        return engines.shape(statement)
    tree = parse(statement)
    if tree is None:
        return _shape_of_text(statement)
    return _NAMED.sub(r"\1", str(_without_values(tree).sql(comments=False)))


@lru_cache(maxsize=CACHED_STATEMENTS)
def tables(statement: str) -> frozenset[str]:
    """The tables that it names, without their schema; unquoted names in lower case. No CTEs."""
    from sqlglot import exp

    tree = parse(statement)
    if tree is None:
        found = re.findall(r"\b(?:FROM|JOIN|UPDATE|INTO)\s+[`\"\[]?([\w.]+)", statement, re.I)
        return frozenset(name.rpartition(".")[2].lower() for name in found)
    ctes = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    named = (t.this for t in tree.find_all(exp.Table) if isinstance(t.this, exp.Identifier))
    names = {i.name if i.quoted else i.name.lower() for i in named}
    return frozenset(name for name in names if name.lower() not in ctes)


@lru_cache(maxsize=CACHED_STATEMENTS)
def aliases(statement: str) -> Mapping[str, str]:
    """The table that each name in it stands for, by the name in lower case; without names that stand for several."""
    from sqlglot import exp

    tree = parse(statement)
    named: dict[str, set[str]] = {}
    for table in tree.find_all(exp.Table) if tree is not None else ():
        named.setdefault(table.alias_or_name.lower(), set()).add(table.name)
    return {alias: found.pop() for alias, found in named.items() if len(found) == 1}


@lru_cache(maxsize=CACHED_STATEMENTS)
def is_read(statement: str) -> bool:
    """Whether it changes nothing, by its text: a SELECT that calls a function which writes counts as a read."""
    if engines.is_elsewhere(statement):
        return engines.is_read(statement)
    if not _READS.match(statement):
        return False
    bare = _STRINGS.sub("''", statement)
    if re.match(r"\s*PRAGMA\b.*=", bare, re.I | re.S):
        return False
    bare = re.sub(r"\bFOR\s+(NO\s+KEY\s+)?UPDATE\b", "", bare, flags=re.I)
    return not _WRITES.search(bare) or _reads_by_tree(statement)


def binds(statement: str) -> bool:
    """Whether what it gives is not all that it does: it locks, counts on, or sets something for the session."""
    return bool(_BINDS.search(_STRINGS.sub("''", statement)))


def _reads_by_tree(statement: str) -> bool:
    """Decides where the text holds a word such as `replace`, which is a function and a column name too."""
    from sqlglot import exp

    tree = parse(statement)
    changing = (exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Create, exp.Drop, exp.Alter, exp.Into, exp.Command)
    return tree is not None and tree.find(*changing) is None


@lru_cache(maxsize=CACHED_STATEMENTS)
def parse(statement: str, dialect: str | None = None) -> exp.Expr | None:
    """sqlglot's tree, placeholders as `:perfcrew_value`; None where it can't be read. Don't change what comes back.

    `dialect` is sqlglot's name of it; without one it is told by the text.
    """
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    if not statement.strip() or len(statement) > LONGEST_PARSED or engines.is_elsewhere(statement):
        return None
    text = with_marks(statement, lambda number, mark: f":{_TAG}")
    logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it warns of each statement that it takes as it is
    told = "mysql" if "`" in statement else "sqlite" if re.search(r"\[[A-Za-z_]\w*\]", statement) else "postgres"
    told = dialect or told
    try:
        tree = sqlglot.parse_one(with_named_distances(text) if told == "postgres" else text, dialect=told)
    except (SqlglotError, RecursionError):
        return None
    return None if isinstance(tree, exp.Command) else tree


def with_named_distances(statement: str) -> str:
    """pgvector's operators as `OPERATOR(<=>)`, the same to PostgreSQL: sqlglot takes the bare ones for others."""
    return _DISTANCES.sub(lambda m: m["keep"] or f"OPERATOR({m['operator']})", statement)


def with_marks(statement: str, replace: Callable[[int, str], str]) -> str:
    """The statement with each placeholder replaced by `replace(number from 0, its text)`; strings and comments stay."""
    count = -1

    def swap(match: re.Match[str]) -> str:
        nonlocal count
        if match["keep"] is not None:
            return match["keep"]
        count += 1
        return replace(count, match["mark"])

    return _PIECES.sub(swap, statement)


def _without_values(tree: exp.Expr) -> exp.Expr:
    from sqlglot import exp

    def bare(node: exp.Expr) -> exp.Expr:
        if isinstance(node, (exp.Literal, exp.Placeholder, exp.Parameter)):
            return exp.Placeholder()
        if isinstance(node, exp.In) and node.expressions and all(_is_value(e) for e in node.expressions):
            node.set("expressions", [exp.Placeholder()])
        if isinstance(node, exp.Values) and len(node.expressions) > 1:
            node.set("expressions", node.expressions[:1])
        return node

    return tree.copy().transform(bare)


def _is_value(node: exp.Expr) -> bool:
    from sqlglot import exp

    if isinstance(node, (exp.Cast, exp.Neg, exp.Paren)):
        return _is_value(node.this)
    if isinstance(node, exp.Tuple):
        return all(_is_value(e) for e in node.expressions)
    return isinstance(node, (exp.Literal, exp.Placeholder, exp.Parameter, exp.Null, exp.Boolean))


def _shape_of_text(statement: str) -> str:
    text = re.sub(r"/\*.*?\*/|--[^\n]*", " ", statement, flags=re.S)
    text = re.sub(r"'(?:[^']|'')*'|\$\d+|%s|%\(\w+\)s|(?<![:\w]):\w+|\b\d+(?:\.\d+)?\b", "?", text)
    text = re.sub(r"\(\s*\?(?:\s*,\s*\?)+\s*\)", "(?)", text)
    return " ".join(text.split())
