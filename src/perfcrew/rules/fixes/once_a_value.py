"""A read that a loop repeats for the values of its turns: done once for each value, and kept while the loop goes on."""

from __future__ import annotations

import ast
import re
from typing import NamedTuple

import libcst as cst

from perfcrew.rules.fixes import each_turn, sight
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.each_turn import ForLoop
from perfcrew.rules.fixes.edits import Edits, Unwritable
from perfcrew.rules.fixes.hoist import reading_function
from perfcrew.rules.fixes.layout import width_of
from perfcrew.rules.fixes.outcomes import Draft
from perfcrew.rules.fixes.places import Spot
from perfcrew.rules.fixes.reach import starts
from perfcrew.rules.fixes.sight import last
from perfcrew.rules.fixes.turning import around, awaited, refuse_waiting, same_in, statement_of
from perfcrew.rules.fixes.used_twice import refuse_reader
from perfcrew.rules.source import Function, covers, dotted, names

_GIVE_ONE = frozenset(
    {"get", "aget", "scalar", "first", "afirst", "one", "one_or_none", "get_or_none", "get_or_404", "fetch", "fetchval"}
    | {"fetchrow", "fetch_one", "fetch_val", "fetch_all"}
)
_VERB = re.compile(r"^_*(a?get|load|find|fetch|read|look_?up|query|select)(_|$)|_or_(none|404)$|(^|_)by(_.*|$)")
_KEY = re.compile(r"(^|_)(id|pk|uuid|key)$")
_TRADE_OFFS = (
    "What other transactions change while the loop runs is not seen by its later turns.",
    "All rows that the loop reads are kept in memory until it ends, and turns of one value share one object.",
)


class _Plan(NamedTuple):
    """The read, the loop before which its answers get a place, what they are kept by, and all reads that are alike."""

    spot: Spot
    node: ast.expr
    loop: ForLoop
    key: list[ast.expr]
    uses: dict[ast.expr, ast.stmt]
    """Each read that is alike, and its statement."""


def read_once(case: Case) -> Draft:
    """Raises Unwritable with what stands in the way."""
    plan = _planned(case)
    edits = Edits(plan.spot.text)
    function = plan.spot.function or plan.spot.text.tree
    name = sight.free_name(function, *_wanted_names(plan))
    _refuse_lost_comments(edits, plan)
    edits.before(plan.loop, f"{name} = {{}}")
    for statement in _to_fill(plan):
        _fill(edits, plan, statement, name, width_of(case.root, plan.spot.text))
    for use in plan.uses:
        _take(edits, use, f"{name}[{_joined(plan.key)}]")
    where = plan.spot.function.name if plan.spot.function else plan.spot.file
    title = f"Read {dotted(_call(plan.node).func)} once for each {_joined(plan.key)} in {where}"
    return Draft("once a value", title, {plan.spot.file: edits.result()}, _TRADE_OFFS, lower=2)


def _planned(case: Case) -> _Plan:
    """For the outermost loop for which nothing stands in the way."""
    why: list[str] = []
    reader = reading_function(case)
    for spot in starts(case):
        for node in _reads(spot, reader):
            loops = around(spot, node)
            turned = [loop for loop in loops if isinstance(loop, (ast.For, ast.AsyncFor))]
            if loops and not turned:
                why.append(f"line {node.lineno}: the read is in a comprehension or a `while`, not in a `for`")
            for loop in turned:
                try:
                    return _plan(case, spot, node, loop, reader)
                except Unwritable as error:
                    why.append(f"line {node.lineno}: {error}")
    raise Unwritable("; ".join(dict.fromkeys(why)) or "the read is not called from a loop of the functions at hand")


def _reads(spot: Spot, reader: Function | None) -> list[ast.expr]:
    """The calls on the spot's line that lead to the read, or are it."""
    scope = spot.function or spot.text.tree
    calls = [n for n in ast.walk(scope) if isinstance(n, ast.Call) and covers(n, spot.line)]
    outside = reader is not None and reader is not spot.function
    wanted = frozenset({reader.name}) if reader and outside else _GIVE_ONE
    found = [c for c in calls if last(dotted(c.func)) in wanted]
    if len({dotted(c.func) for c in found}) > 1:
        raise Unwritable(f"which of several calls on line {spot.line} reads can't be told")
    return [awaited(spot, c) for c in found]


def _plan(case: Case, spot: Spot, node: ast.expr, loop: ForLoop, reader: Function | None) -> _Plan:
    loops = around(spot, node)
    refuse_waiting(loops[loops.index(loop) :])
    wanted = ast.dump(node)
    alike = [n for n in ast.walk(loop) if isinstance(n, type(node)) and ast.dump(n) == wanted]
    uses = {n: each_turn.done_first(spot, n, loop) for n in alike if loop in around(spot, n)}
    key = _key(node, loop)
    refuse_reader(spot, node, reader, key)
    each_turn.refuse_writing(case, spot, loop)
    each_turn.refuse_changes(loop, uses)
    return _Plan(spot, node, loop, key, uses)


def _key(node: ast.expr, loop: ForLoop) -> list[ast.expr]:
    """The arguments that change from turn to turn. Raises Unwritable where they are not fit for a key."""
    call = _call(node)
    if not _is_chain(call.func) or not same_in(loop, call.func):
        raise Unwritable(f"what `{last(dotted(call.func)) or 'it'}` is called on may change from turn to turn")
    given = [*call.args, *(k.value for k in call.keywords)]
    unfit = next((a for a in given if not isinstance(a, ast.Constant) and not _is_chain(a)), None)
    if unfit is not None or any(k.arg is None for k in call.keywords):
        said = ast.unparse(unfit) if unfit else "**"
        raise Unwritable(f"`{said}` is neither a name, an attribute nor a constant, so no key is made of it")
    varying = [a for a in given if not same_in(loop, a)]
    for argument in varying:
        _refuse_assigned(loop, _root(argument))
    if not varying:
        raise Unwritable("it asks for the same in each turn")
    return list({ast.dump(a): a for a in varying}.values())


def _refuse_assigned(loop: ForLoop, root: str) -> None:
    """Raises Unwritable where the name isn't the variable of exactly one loop and nothing else."""
    stored = [n for n in ast.walk(loop) if isinstance(n, ast.Name) and n.id == root and not isinstance(n.ctx, ast.Load)]
    loops = [n for n in ast.walk(loop) if isinstance(n, (ast.For, ast.AsyncFor)) and root in names(n.target, ast.Store)]
    if len(loops) != 1 or len(stored) != 1:
        raise Unwritable(f"`{root}` is given values in the loop, not by its `for` alone")


def _call(node: ast.expr) -> ast.Call:
    call = node.value if isinstance(node, ast.Await) else node
    assert isinstance(call, ast.Call)
    return call


def _is_chain(node: ast.expr) -> bool:
    """A name, or attributes of one."""
    return isinstance(node, ast.Name) or (isinstance(node, ast.Attribute) and _is_chain(node.value))


def _root(node: ast.expr) -> str:
    return dotted(node).split(".", 1)[0]


def _joined(key: list[ast.expr]) -> str:
    return ", ".join(ast.unparse(k) for k in key)


def _wanted_names(plan: _Plan) -> list[str]:
    """Names for what is kept: `authors` for `get_author(…)`, `get(…, book.author_id)` and `get(Author, number)`."""
    by = last(dotted(plan.key[0]))
    read = last(dotted(_call(plan.node).func))
    found = [
        "" if read in _GIVE_ONE else _VERB.sub("", _VERB.sub("", read)).strip("_"),
        _KEY.sub("", by).strip("_") if _KEY.search(by) else "",
        _class_named(_call(plan.node)),
    ]
    noun = next((n for n in found if n), "answer").lower()
    several = _plural(noun)
    return [*([several] if several else []), f"{noun}_by_{by.strip('_').lower()}", f"{noun}_once"]


def _class_named(call: ast.Call) -> str:
    """The first class that the call mentions, as a variable is written; '' where it mentions none."""
    said = " ".join(ast.unparse(n) for n in (call.func, *call.args))
    found = re.search(r"\b[A-Z]\w*[a-z]\w*", said)
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", found.group()) if found else ""


def _plural(noun: str) -> str:
    """The noun for several of it, '' where it seems to be that by itself."""
    if noun.endswith(("ss", "x", "ch", "sh")):
        return f"{noun}es"
    if noun.endswith("s"):
        return ""
    return f"{noun[:-1]}ies" if re.search(r"[^aeiou]y$", noun) else f"{noun}s"


def _to_fill(plan: _Plan) -> list[ast.stmt]:
    """The statements before which the answer may not be there yet."""
    found: list[ast.stmt] = []
    steady = _steady(plan)
    for statement in sorted(set(plan.uses.values()), key=lambda s: s.lineno):
        if not (steady and _behind(plan, statement, found)):
            found.append(statement)
    return found


def _steady(plan: _Plan) -> bool:
    """Whether nobody is handed an object, and could change it, whose attribute is the key."""
    roots = {_root(k) for k in plan.key if isinstance(k, ast.Attribute)}
    calls = [n for n in ast.walk(plan.loop) if isinstance(n, ast.Call)]
    handed = {a.id for c in calls for a in (*c.args, *(k.value for k in c.keywords)) if isinstance(a, ast.Name)}
    return not roots & (handed | {_root(c.func) for c in calls})


def _behind(plan: _Plan, statement: ast.stmt, filled: list[ast.stmt]) -> bool:
    """Whether one that is filled is always done before, with the same key."""
    if any(f in _before(plan.spot, statement) for f in filled):
        return True
    for current in plan.spot.around(statement):
        if current is plan.loop or (isinstance(current, (ast.For, ast.AsyncFor)) and _turns(plan, current)):
            return False
        if isinstance(current, ast.stmt) and any(f in _before(plan.spot, current) for f in filled):
            return True
    return False


def _turns(plan: _Plan, loop: ForLoop) -> bool:
    return any(_root(k) in names(loop.target, ast.Store) for k in plan.key)


def _before(spot: Spot, statement: ast.stmt) -> list[ast.stmt]:
    """The statements of its block up to it, itself among them."""
    lists = (value for _, value in ast.iter_fields(spot.parents[statement]) if isinstance(value, list))
    block = next(block for block in lists if statement in block)
    return block[: block.index(statement) + 1]


def _fill(edits: Edits, plan: _Plan, statement: ast.stmt, name: str, width: int) -> None:
    """Reads before the statement what hasn't been read."""
    key = _joined(plan.key)
    room = width - _indent(edits, statement) - len(f"    {name}[{key}] = ")
    asked = _asked(edits, plan, room).replace("\n", "\n    ")
    looked_up = key if len(plan.key) == 1 else f"({key})"
    above = edits.statement(statement).leading_lines
    apart = "\n" if above and above[0].comment is None else ""
    edits.before(statement, f"{apart}if {looked_up} not in {name}:\n    {name}[{key}] = {asked}")


def _asked(edits: Edits, plan: _Plan, room: int) -> str:
    """The read as it is written, its arguments on a line of their own where there is no room for them."""
    call = _call(plan.node)
    called, _, given = edits.code(call).partition("(")
    name = ast.unparse(call.func)
    many_lines = (n for n in ast.walk(call) if isinstance(n, ast.Constant) and "\n" in str(n.value))
    if "".join(called.split()) != name or any(many_lines):
        raise Unwritable(f"line {call.lineno} is written in a way that can't be put elsewhere by rule")
    head = f"{'await ' if isinstance(plan.node, ast.Await) else ''}{name}("
    if "\n" in given:
        deeper = _indent(edits, call) - _indent(edits, statement_of(plan.spot, call))
        return head + re.sub(rf"\n[ \t]{{0,{deeper}}}", "\n", given)
    return head + given if len(head + given) <= room else f"{head}\n    {given.removesuffix(')')}\n)"


def _indent(edits: Edits, node: ast.expr | ast.stmt) -> int:
    line = edits.text.line(node.lineno)
    return len(line) - len(line.lstrip())


def _take(edits: Edits, use: ast.expr, code: str) -> None:
    """What is kept, in the place of the read; parentheses that an `await` needed go, unless they hold a comment."""
    old, new = edits.expression(use), cst.parse_expression(code)
    if any("#" in edits.module.code_for_node(p) for p in (*old.lpar, *old.rpar)):
        new = new.with_changes(lpar=old.lpar, rpar=old.rpar)
    edits.change(use, lambda _: new)


def _refuse_lost_comments(edits: Edits, plan: _Plan) -> None:
    """Raises Unwritable where a use that isn't written anew has a comment within."""
    for use in plan.uses:
        if use is not plan.node and "#" in edits.code(_call(use)):
            raise Unwritable(f"a comment stands in the call on line {use.lineno}")
