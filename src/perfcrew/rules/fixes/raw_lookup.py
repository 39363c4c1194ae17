"""A loop of lookups by SQL text, asked for in one statement: sqlite3, psycopg and asyncpg, where the text is plain."""

from __future__ import annotations

import ast
import re
from typing import NamedTuple

from perfcrew.core.sql import parse
from perfcrew.rules.fixes import imports, one_in, project, sight
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Edits, Unwritable
from perfcrew.rules.fixes.outcomes import Draft
from perfcrew.rules.fixes.places import Spot, locate
from perfcrew.rules.fixes.sight import last
from perfcrew.rules.fixes.turning import awaited, calls_at, refuse_writes, same_in, statement_of
from perfcrew.rules.source import dotted

_FETCHES = frozenset({"fetchone", "fetchall"})
_OF_ASYNCPG = {"fetchrow": "fetchone", "fetch": "fetchall"}
_BY_NAME = re.compile(r"\b(dict_row|RealDictCursor|DictCursor|dict_factory|class_row|namedtuple_row)\b")
_COMPARED = r"\b(?:\w+\.)?{column}\s*=\s*(\?|%s|\$1)(?=[\s;\"']|$)"


class _Raw(NamedTuple):
    whole: ast.expr
    owner: ast.expr
    method: str
    waits: bool
    text: ast.Constant
    key: ast.expr
    answer: str
    """`fetchone` or `fetchall`."""


class _Plain(NamedTuple):
    """A statement that asks a table by one column; the key is at this position of a row."""

    table: str
    column: str
    position: int
    mark: str


def one_statement(case: Case) -> Draft:
    """Raises Unwritable with what stands in the way."""
    spot = locate(case, case.finding.place)
    raw = _raw(spot)
    plain = _plain(str(raw.text.value))
    if raw.answer == "fetchone" and not _unique(case, plain):
        raise Unwritable(
            f"whether `{plain.column}` is unique in `{plain.table}` can't be told: which row is meant then"
        )
    if any(_BY_NAME.search(text.text) for text in project.sources(case.root)):
        raise Unwritable("rows are made into dicts by a factory: their columns have no positions")
    loop = one_in.loop_of(spot, raw.whole)
    refuse_writes(loop)
    one_in.refuse_key(spot, raw.key, loop)
    if not same_in(loop, raw.owner):
        raise Unwritable("each turn asks another connection")
    edits = Edits(spot.text)
    rows = one_in.rows_of(edits, spot, loop)
    scope = spot.function or spot.text.tree
    kept = sight.free_name(scope, f"{plain.table}_by_{plain.column}")
    keys = sight.free_name(scope, "keys", "all_keys")
    target = one_in.target_code(loop)
    edits.before(
        statement_of(spot, loop),
        f"{keys} = list({{{edits.code(raw.key)} for {target} in {rows}}})\n"
        + _asked(edits, spot, raw, plain, kept, keys),
    )
    key = edits.code(raw.key)
    edits.swap(raw.whole, f"{kept}.get({key})" if raw.answer == "fetchone" else f"{kept}.get({key}, [])")
    title = f"Ask {plain.table} for all keys of {spot.function.name if spot.function else spot.file} at once"
    return Draft("one IN", title, {spot.file: edits.result()}, (one_in.ALL,))


def sends_text(case: Case) -> bool:
    """Whether the line sends SQL that is written out on it."""
    try:
        spot = locate(case, case.finding.place)
    except Unwritable:
        return False  # a template or a library
    texts = [c.args[0] for c in calls_at(spot, spot.line) if c.args and isinstance(c.args[0], ast.Constant)]
    return any(isinstance(t.value, str) and re.match(r"\s*(SELECT|WITH)\b", t.value, re.I) for t in texts)


def _raw(spot: Spot) -> _Raw:
    for call in calls_at(spot, spot.line):
        if not isinstance(call.func, ast.Attribute) or not call.args or not isinstance(call.args[0], ast.Constant):
            continue
        method, text = call.func.attr, call.args[0]
        if not isinstance(text.value, str) or len(call.args) != 2:
            continue
        whole = awaited(spot, call)
        if method in _OF_ASYNCPG and whole is not call:
            return _Raw(whole, call.func.value, method, True, text, call.args[1], _OF_ASYNCPG[method])
        if method == "execute" and isinstance(call.args[1], ast.Tuple) and len(call.args[1].elts) == 1:
            return _executed(spot, call, text, call.args[1].elts[0])
    raise Unwritable("the statement's text and its one parameter aren't written out on the line")


def _executed(spot: Spot, call: ast.Call, text: ast.Constant, key: ast.expr) -> _Raw:
    assert isinstance(call.func, ast.Attribute)
    attribute = spot.parents.get(call)
    fetch = spot.parents.get(attribute) if isinstance(attribute, ast.Attribute) else None
    if not isinstance(attribute, ast.Attribute) or attribute.attr not in _FETCHES or not isinstance(fetch, ast.Call):
        raise Unwritable("the rows are fetched elsewhere than where the statement is sent")
    return _Raw(fetch, call.func.value, "execute", False, text, key, attribute.attr)


def _plain(text: str) -> _Plain:
    """Raises Unwritable for all but `SELECT columns FROM table WHERE column = ?` with the column among the first."""
    from sqlglot import exp

    tree = parse(text)
    if not isinstance(tree, exp.Select) or any(tree.args.get(k) for k in ("limit", "group", "distinct", "joins")):
        raise Unwritable("the statement does more than to ask one table by one column")
    where, source = tree.args.get("where"), tree.args.get("from_") or tree.args.get("from")
    condition = where.this if where else None
    column = condition.this if isinstance(condition, exp.EQ) else None
    if not isinstance(column, exp.Column) or source is None:
        raise Unwritable("the statement's condition is not one comparison of a column with a value")
    mark = re.search(_COMPARED.format(column=re.escape(column.name)), text)
    listed = [s.name for s in tree.selects if isinstance(s, exp.Column)]
    if mark is None or column.name not in listed or len(listed) != len(tree.selects):
        raise Unwritable(
            f"`{column.name}` is not among the columns that are listed: rows could not be told apart by it"
        )
    return _Plain(source.this.name, column.name, listed.index(column.name), mark.group(1))


def _unique(case: Case, plain: _Plain) -> bool:
    """By name, or by what the project's own SQL says."""
    if plain.column == "id":
        return True
    table = re.compile(rf"CREATE\s+TABLE[^;]*?\b{re.escape(plain.table)}\b([^;]*)", re.I | re.S)
    scripts = [p.read_text(encoding="utf-8", errors="replace") for p in sorted(case.root.rglob("*.sql"))[:50]]
    texts = [*scripts, *(t.text for t in project.sources(case.root) if "CREATE TABLE" in t.text.upper())]
    column = re.compile(rf"\b{re.escape(plain.column)}\b[^,]*\b(PRIMARY\s+KEY|UNIQUE)\b", re.I)
    return any(column.search(body.group(1)) for text in texts for body in table.finditer(text))


def _asked(edits: Edits, spot: Spot, raw: _Raw, plain: _Plain, kept: str, keys: str) -> str:
    """The one statement, and the dict of its rows by the key."""
    each = _call(edits, spot, raw, plain, keys)
    if raw.answer == "fetchone":
        return f"{kept} = {{row[{plain.position}]: row for row in {each}}}"
    made = f"{kept} = {imports.bring(edits, 'collections', 'defaultdict')}(list)"
    row = sight.free_name(spot.function or spot.text.tree, "row", "found_row")
    return f"{made}\nfor {row} in {each}:\n    {kept}[{row}[{plain.position}]].append({row})"


def _call(edits: Edits, spot: Spot, raw: _Raw, plain: _Plain, keys: str) -> str:
    old, owner = edits.code(raw.text), edits.code(raw.owner)
    if plain.mark == "?":
        if "{" in old or old[0] not in "\"'" or not _is_sqlite(spot):
            raise Unwritable("the statement's text can't be given a list of marks by rule")
        quote = '"' if old[0] == "'" else "'"
        marks = f"{{{quote}, {quote}.join({quote}?{quote} * len({keys}))}}"
        return f"{owner}.execute(f{_with(old, plain, f'IN ({marks})')}, {keys})"
    if raw.waits:
        return f"await {owner}.fetch({_with(old, plain, '= ANY($1)')}, {keys})"
    return f"{owner}.execute({_with(old, plain, '= ANY(%s)')}, ({keys},))"


def _with(old: str, plain: _Plain, asked: str) -> str:
    """The text with another comparison. Raises Unwritable where it isn't found just once."""
    new, count = re.subn(_COMPARED.format(column=re.escape(plain.column)), lambda _: f"{plain.column} {asked}", old)
    if count != 1:
        raise Unwritable(f"`{plain.column}` is not compared in one place of the text")
    return new


def _is_sqlite(spot: Spot) -> bool:
    imported = {a.name.split(".")[0] for s in imports.top(spot.text) for a in s.names if isinstance(s, ast.Import)}
    return "sqlite3" in imported or not any(last(dotted(n)) == "psycopg" for n in ast.walk(spot.text.tree))
