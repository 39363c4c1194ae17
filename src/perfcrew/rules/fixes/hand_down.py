"""A read that a loop repeats through a function in between: done once before the loop, and handed down as an argument.

The argument has a default, so that other callers stay as they are.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

import libcst as cst

from perfcrew.rules.fixes import imports, project, sight
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Edits, Unwritable
from perfcrew.rules.fixes.hoist import reading_function
from perfcrew.rules.fixes.outcomes import Draft
from perfcrew.rules.fixes.places import Spot, locate
from perfcrew.rules.fixes.reach import as_spot
from perfcrew.rules.fixes.sight import last
from perfcrew.rules.fixes.turning import Loop, around, refuse_waiting, refuse_writes, same_in, statement_of
from perfcrew.rules.source import Function, Source, covers, dotted, names


class _Between(NamedTuple):
    """The function in between, its call in the loop, and its own call of the function that reads."""

    spot: Spot
    function: Function
    call: ast.Call
    reading: ast.Assign
    loop: Loop


def handed_down(case: Case) -> Draft:
    """Raises Unwritable with what stands in the way."""
    reader = reading_function(case)
    if reader is None or case.finding.trigger is None:
        raise Unwritable("there is no function of the project between the loop and the read")
    outer = locate(case, case.finding.trigger)
    found = _between(case, outer, reader)
    refuse_writes(found.loop, found.function)
    name = dotted(found.reading.targets[0])
    files = _written(case, outer, found, reader, name)
    where = outer.function.name if outer.function else outer.file
    return Draft("hand down", f"Read {name} once in {where} and hand it down", files)


def _between(case: Case, outer: Spot, reader: Function) -> _Between:
    scope = outer.function or outer.text.tree
    calls = [n for n in ast.walk(scope) if isinstance(n, ast.Call) and covers(n, outer.line)]
    for call in calls:
        function = sight.definition(case.root, outer.text, call)
        text = _text_of(case, outer, function) if function else None
        reading = _reading(function, reader.name) if function else None
        loops = around(outer, call)
        if function is None or text is None or reading is None or not loops:
            continue
        refuse_waiting(loops)
        spot = as_spot(case.root, text, function)
        given = _handed(function, reading)
        arguments = [_argument(function, call, name) for name in given]
        loop = next((x for x in loops if all(a is not None and same_in(x, a) for a in arguments)), None)
        if loop is None:
            raise Unwritable(f"what `{reader.name}` is called with changes from turn to turn")
        return _Between(spot, function, call, reading, loop)
    raise Unwritable(f"no call in the loop leads to `{reader.name}` over one function of the project")


def _text_of(case: Case, outer: Spot, function: Function) -> Source | None:
    """The file that the function stands in: its own, or the one that imports lead to."""
    if function in outer.text.functions:
        return outer.text
    return next((t for t in project.sources(case.root) if function in t.functions), None)


def _reading(function: Function, reader: str) -> ast.Assign | None:
    """`currency = await shop_currency(session)` at the function's own level."""
    for statement in function.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            value = statement.value.value if isinstance(statement.value, ast.Await) else statement.value
            if isinstance(value, ast.Call) and last(dotted(value.func)) == reader and len(statement.targets) == 1:
                return statement
    return None


def _handed(function: Function, reading: ast.Assign) -> list[str]:
    """The parameters that the read takes from the function. Raises Unwritable where it takes something else."""
    value = reading.value.value if isinstance(reading.value, ast.Await) else reading.value
    assert isinstance(value, ast.Call)
    used = frozenset().union(*(names(a, ast.Load) for a in _given(value)), frozenset())
    own = sight.parameters(function) | ({"self"} & names(value.func, ast.Load))
    foreign = sorted(used - own)
    if foreign:
        raise Unwritable(f"`{dotted(value.func)}` is called with `{foreign[0]}`, which `{function.name}` makes itself")
    return sorted(used)


def _given(call: ast.Call) -> Iterator[ast.expr]:
    yield from call.args
    yield from (k.value for k in call.keywords)


def _argument(function: Function, call: ast.Call, name: str) -> ast.expr | None:
    """What a call gives for a parameter."""
    keyword = next((k.value for k in call.keywords if k.arg == name), None)
    order = [a.arg for a in (*function.args.posonlyargs, *function.args.args)]
    if order[:1] == ["self"] and isinstance(call.func, ast.Attribute):
        order = order[1:]
    at = order.index(name) if name in order else -1
    return keyword or (call.args[at] if 0 <= at < len(call.args) else None)


def _written(case: Case, outer: Spot, found: _Between, reader: Function, name: str) -> dict[str, str]:
    below = Edits(found.spot.text)
    above = below if found.spot.file == outer.file else Edits(outer.text)
    _take_argument(below, found, name, _annotation(reader))
    scope = outer.function or outer.text.tree
    local = sight.free_name(scope, name, f"{name}_once")
    _hand_argument(above, outer, found, name, local)
    files = {found.spot.file: below.result()}
    files[outer.file] = above.result()
    return files


def _annotation(reader: Function) -> str:
    said = ast.unparse(reader.returns) if reader.returns else ""
    return said if not said or "None" in said else f"{said} | None"


def _take_argument(edits: Edits, found: _Between, name: str, annotation: str) -> None:
    arguments = found.function.args
    if name in sight.parameters(found.function) or arguments.kwarg or arguments.vararg:
        raise Unwritable(f"`{found.function.name}` takes arguments in a way that leaves no place for one more")
    parameter = cst.Param(
        cst.Name(name),
        annotation=cst.Annotation(cst.parse_expression(annotation)) if annotation else None,
        default=cst.Name("None"),
        equal=cst.AssignEqual(*([cst.SimpleWhitespace(" ")] * 2 if annotation else [cst.SimpleWhitespace("")] * 2)),
    )

    def take(old: cst.CSTNode) -> cst.CSTNode:
        function = cst.ensure_type(old, cst.FunctionDef)
        field = "kwonly_params" if arguments.kwonlyargs else "params"
        kept = [*getattr(function.params, field), parameter]
        return function.with_changes(params=function.params.with_changes(**{field: kept}))

    edits.change(found.function, take)
    edits.replace(found.reading, f"if {name} is None:\n    {edits.code(found.reading).strip()}")


def _hand_argument(edits: Edits, outer: Spot, found: _Between, name: str, local: str) -> None:
    value = found.reading.value.value if isinstance(found.reading.value, ast.Await) else found.reading.value
    assert isinstance(value, ast.Call)
    read_call = _call_code(edits, outer, found, value)
    wait = "await " if isinstance(found.reading.value, ast.Await) else ""
    edits.before(statement_of(outer, found.loop), f"{local} = {wait}{read_call}")
    code = edits.code(found.call).rstrip()[:-1].rstrip().removesuffix(",")
    between = "" if code.endswith("(") else ", "
    edits.swap(found.call, f"{code}{between}{name}={local})")


def _call_code(edits: Edits, outer: Spot, found: _Between, value: ast.Call) -> str:
    """The read's call as the loop's function has to write it."""
    given = [_in_outer(edits, found, a) for a in value.args]
    given += [f"{k.arg}={_in_outer(edits, found, k.value)}" for k in value.keywords]
    return f"{_reader_name(edits, outer, found, value)}({', '.join(given)})"


def _in_outer(edits: Edits, found: _Between, node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        argument = _argument(found.function, found.call, node.id)
        if argument is not None:
            return edits.code(argument)
    if isinstance(node, ast.Constant):
        return ast.unparse(node)
    raise Unwritable(f"`{ast.unparse(node)}` can't be written outside of `{found.function.name}`")


def _reader_name(edits: Edits, outer: Spot, found: _Between, value: ast.Call) -> str:
    name, owner = dotted(value.func), dotted(found.call.func).rpartition(".")[0]
    if name.startswith("self."):
        return f"{owner}.{name.removeprefix('self.')}"
    if found.spot.file == outer.file or imports.statement_of(outer.text, name.split(".")[0]):
        return name
    if owner and "." not in name and name == last(name):
        return f"{owner}.{name}"
    raise Unwritable(f"`{name}` is not known in {outer.file}")
