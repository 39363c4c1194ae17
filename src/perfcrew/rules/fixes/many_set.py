"""A loop of `cache.set` or `cache.delete` of Django's cache, as one `set_many` or `delete_many`."""

from __future__ import annotations

import ast
from collections.abc import Collection

from perfcrew.rules.fixes import keys as keyed
from perfcrew.rules.fixes.edits import Edits, Unwritable
from perfcrew.rules.fixes.outcomes import Draft
from perfcrew.rules.fixes.places import Spot
from perfcrew.rules.source import names

_MANY = {"set": "set_many", "aset": "aset_many", "delete": "delete_many", "adelete": "adelete_many"}
_FAILING = "Keys that the cache does not take are told by what `set_many` returns, which is not looked at."


def is_of_django(spot: Spot, loop: ast.For) -> bool:
    """Whether the loop does nothing but send such commands."""
    return _call(spot, loop) is not None


def _call(spot: Spot, loop: ast.For) -> ast.Call | None:
    value = loop.body[0].value if len(loop.body) == 1 and isinstance(loop.body[0], ast.Expr) else None
    call = value.value if isinstance(value, ast.Await) else value
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or call.func.attr not in _MANY:
        return None
    return call if keyed.is_django(spot.text, call.func.value) else None


def together(spot: Spot, loop: ast.For, computing: Collection[str]) -> Draft:
    """Raises Unwritable where a turn may need the one before, or each has a time of its own."""
    call = _call(spot, loop)
    assert call is not None
    assert isinstance(call.func, ast.Attribute)
    assert spot.function is not None
    if loop.orelse:
        raise Unwritable("the loop has an `else`")
    queried = ".objects." in ast.unparse(loop.iter)
    given = [*call.args, *(k.value for k in call.keywords), *([] if queried else [loop.iter])]
    for node in (n for a in given for n in ast.walk(a)):
        if isinstance(node, (ast.Await, ast.NamedExpr, ast.Yield)):
            raise Unwritable("what is written is waited for, or kept, in the loop")
        if isinstance(node, ast.Call) and not (node in ast.walk(loop.iter) and _goes_over(node)):
            keyed.check_call(spot.text, node, computing)
    _refuse_leak(spot, loop)
    edits = Edits(spot.text)
    target, over = edits.code(loop.target), edits.code(loop.iter)
    wait = "await " if call.func.attr.startswith("a") else ""
    many = f"{wait}{edits.code(call.func.value)}.{_MANY[call.func.attr]}"
    if call.func.attr.endswith("delete"):
        if len(call.args) != 1 or call.keywords:
            raise Unwritable("the key is given with more than itself")
        edits.replace(loop, f"{many}([{edits.code(call.args[0])} for {target} in {over}])")
        title = f"Delete the keys of {spot.function.name} together"
        return Draft("delete_many", title, {spot.file: edits.result()})
    if len(call.args) < 2:
        raise Unwritable("the key and its value are not given in their order")
    timeout = _timeout(edits, loop, call)
    pairs = f"{{{edits.code(call.args[0])}: {edits.code(call.args[1])} for {target} in {over}}}"
    edits.replace(loop, f"{many}({pairs}{timeout})")
    title = f"Write the keys of {spot.function.name} together"
    return Draft("set_many", title, {spot.file: edits.result()}, (_FAILING,))


def _goes_over(call: ast.Call) -> bool:
    """`books.items()`, `enumerate(books)`: gone over, nothing is asked."""
    method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    return method in ("items", "keys", "values") or name in ("enumerate", "zip", "sorted", "range", "list")


def _timeout(edits: Edits, loop: ast.For, call: ast.Call) -> str:
    given = {k.arg: k.value for k in call.keywords} | ({"timeout": call.args[2]} if len(call.args) == 3 else {})
    if set(given) - {"timeout"} or len(call.args) > 3:
        raise Unwritable("the keys are written with more than a time to live")
    if "timeout" in given and names(given["timeout"], ast.Load) & names(loop, ast.Store):
        raise Unwritable("each key has a time to live of its own")
    return f", {edits.code(given['timeout'])}" if "timeout" in given else ""


def _refuse_leak(spot: Spot, loop: ast.For) -> None:
    """The loop's own variable is gone with a comprehension."""
    inner = {id(n) for n in ast.walk(loop)}
    assert spot.function is not None
    outer = {n.id for n in ast.walk(spot.function) if isinstance(n, ast.Name) and id(n) not in inner}
    leaked = sorted(names(loop.target, ast.Store) & outer)
    if leaked:
        raise Unwritable(f"`{leaked[0]}` is used outside of the loop too")
