"""Work of a hot loop that need not be done at each turn: texts put together, lookups in lists, values that stay."""

from __future__ import annotations

import ast
import itertools
import re

from perfcrew.rules.fixes import imports, sight
from perfcrew.rules.fixes.edits import Edits, Unwritable
from perfcrew.rules.fixes.places import Spot
from perfcrew.rules.source import Function, dotted, names

_LOOPS = (ast.For, ast.While)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_LISTS_OF_VALUES = re.compile(
    r"^(list|tuple|Sequence|Iterable|Collection|List|Tuple)\[(str|int|bytes|UUID|Decimal|date)(, \.\.\.)?\]$"
)
_KEPT = frozenset({"sum", "frozenset", "tuple", "json.dumps"})
"""Calls that give a value nobody can change."""
_READ = frozenset({"sorted", "set", "list", "dict", "json.loads"})
"""Calls that give something that could be changed: only where it is just looked into."""


def join(edits: Edits, spot: Spot) -> None:
    """`out += text` in a loop: a list that is joined once. Raises Unwritable where there is no plain one."""
    function = _function(spot)
    for node in ast.walk(function):
        if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add) and isinstance(node.target, ast.Name):
            loop, start = _outermost(spot, node), _empty_text(function, node.target.id)
            if loop is not None and start is not None and _only_added(function, node.target.id, loop, start):
                _write_join(edits, function, node.target.id, loop, start)
                return
    raise Unwritable("no text is put together bit by bit in a loop")


def _function(spot: Spot) -> Function:
    if spot.function is None:
        raise Unwritable("the line is in no function")
    return spot.function


def _outermost(spot: Spot, node: ast.AST) -> ast.For | ast.While | None:
    return next((n for n in reversed(spot.around(node)) if isinstance(n, _LOOPS)), None)


def _empty_text(function: Function, name: str) -> ast.Assign | None:
    for node in function.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and dotted(node.targets[0]) == name:
            return node if isinstance(node.value, ast.Constant) and node.value.value == "" else None
    return None


def _only_added(function: Function, name: str, loop: ast.stmt, start: ast.Assign) -> bool:
    """Whether the name begins empty above the loop, is added to in it, and is read below it only."""
    if loop not in function.body or function.body.index(start) > function.body.index(loop):
        return False
    between = function.body[function.body.index(start) + 1 : function.body.index(loop)]
    inner = [n for n in ast.walk(loop) if isinstance(n, ast.Name) and n.id == name]
    added = [n for n in ast.walk(loop) if isinstance(n, ast.AugAssign) and dotted(n.target) == name]
    stores = [
        n for n in ast.walk(function) if isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Store)
    ]
    untouched = not any(name in names(s, ast.Load) | names(s, ast.Store) for s in between)
    left = any(isinstance(n, ast.Return) for n in ast.walk(loop))
    return untouched and not left and len(inner) == len(added) == len(stores) - 1


def _write_join(edits: Edits, function: Function, name: str, loop: ast.stmt, start: ast.Assign) -> None:
    parts = sight.free_name(function, f"{name}_parts")
    edits.swap(start.targets[0], parts)
    edits.swap(start.value, "[]")
    for node in ast.walk(loop):
        if isinstance(node, ast.AugAssign) and dotted(node.target) == name:
            edits.replace(node, f"{parts}.append({edits.code(node.value)})")
    edits.after(loop, f'{name} = "".join({parts})')


def membership(edits: Edits, spot: Spot) -> None:
    """`x in values` in a loop: in a set that is made once. Raises Unwritable where values may not be hashable."""
    function = _function(spot)
    for node in ast.walk(function):
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], (ast.In, ast.NotIn)):
            right, loop = node.comparators[0], _turning(spot, node)
            if isinstance(right, ast.Name) and loop is not None and _listed_values(spot, function, right.id):
                if not _only_looked_into(loop, right.id):
                    continue
                known = sight.free_name(function, f"{right.id.lower().strip('_')}_set")
                for other in _lookups(loop, right.id):
                    edits.swap(other, known)
                edits.before(_statement(spot, loop), f"{known} = frozenset({right.id})")
                return
    raise Unwritable("no list of values that can be hashed by sight is looked through in a loop")


def _turning(spot: Spot, node: ast.AST) -> ast.AST | None:
    """The outermost loop or comprehension that repeats the node, None where nothing does."""
    around = [node, *spot.around(node)]
    repeating = [parent for child, parent in itertools.pairwise(around) if _repeats(child, parent, node)]
    return repeating[-1] if repeating else None


def _repeats(child: ast.AST, parent: ast.AST, node: ast.AST) -> bool:
    if isinstance(parent, ast.For):
        return child is not parent.iter and child not in parent.orelse
    if isinstance(parent, ast.While):
        return child not in parent.orelse
    if isinstance(parent, _COMPREHENSIONS):
        first = parent.generators[0]
        return not any(n is node for n in ast.walk(first.iter))
    return False


def _statement(spot: Spot, node: ast.AST) -> ast.stmt:
    return next(n for n in [node, *spot.around(node)] if isinstance(n, ast.stmt))


def _listed_values(spot: Spot, function: Function, name: str) -> bool:
    """Whether the name is a list of texts or numbers: by annotation, or by the literal that it is given once."""
    annotation = sight.annotation_of(function, name)
    stores = [
        n for n in ast.walk(spot.text.tree) if isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Store)
    ]
    if annotation:
        return bool(_LISTS_OF_VALUES.match(annotation)) and not stores
    for node in ast.walk(spot.text.tree):
        if isinstance(node, ast.AnnAssign) and dotted(node.target) == name and len(stores) == 1:
            return bool(_LISTS_OF_VALUES.match(ast.unparse(node.annotation))) or _values(node.value)
        if isinstance(node, ast.Assign) and any(dotted(t) == name for t in node.targets) and len(stores) == 1:
            return _values(node.value)
    return False


def _values(value: ast.expr | None) -> bool:
    if isinstance(value, (ast.List, ast.Tuple)):
        return bool(value.elts) and all(isinstance(e, ast.Constant) for e in value.elts)
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
        return value.func.attr in ("split", "splitlines", "rsplit")
    return False


def _lookups(loop: ast.AST, name: str) -> list[ast.expr]:
    found = [n.comparators[0] for n in ast.walk(loop) if isinstance(n, ast.Compare) and len(n.ops) == 1]
    return [c for c in found if isinstance(c, ast.Name) and c.id == name]


def _only_looked_into(loop: ast.AST, name: str) -> bool:
    uses = [n for n in ast.walk(loop) if isinstance(n, ast.Name) and n.id == name]
    return len(uses) == len(_lookups(loop, name))


def hoist(edits: Edits, spot: Spot) -> None:
    """A call that gives the same at each turn: done once above the loop. Raises Unwritable where there is none."""
    function = _function(spot)
    for node in ast.walk(function):
        loop = _turning(spot, node) if isinstance(node, ast.Call) else None
        if isinstance(node, ast.Call) and loop is not None and _stays(spot, loop, node):
            name = sight.free_name(function, _named_for(node))
            edits.swap(node, name)
            edits.before(_statement(spot, loop), f"{name} = {edits.code(node)}")
            return
    raise Unwritable("no call in a loop is known to give the same at each turn")


def _named_for(call: ast.Call) -> str:
    argument = dotted(call.args[0]).rsplit(".", 1)[-1].lower() if call.args else ""
    return f"{argument}_{dotted(call.func).rsplit('.', 1)[-1]}".strip("_")


def _stays(spot: Spot, loop: ast.AST, call: ast.Call) -> bool:
    """Known to be pure, of names that the loop neither gives a value nor hands to anything that could change them."""
    full, parent = imports.called(spot.text, call), spot.parents[call]
    looked_into = (isinstance(parent, ast.Compare) and call in parent.comparators) or (
        isinstance(parent, ast.Subscript) and parent.value is call and isinstance(parent.ctx, ast.Load)
    )
    if not (full in _KEPT or (full in _READ and looked_into)) or call.keywords or not call.args:
        return False
    if not all(isinstance(a, ast.Name) for a in call.args):
        return False
    used = {a.id for a in call.args if isinstance(a, ast.Name)}
    inside = [n for n in ast.walk(loop) if isinstance(n, ast.Name) and n.id in used]
    return all(isinstance(n.ctx, ast.Load) and _only_read(spot, n, call) for n in inside)


def _only_read(spot: Spot, node: ast.Name, call: ast.Call) -> bool:
    parent = spot.parents[node]
    return parent is call or isinstance(parent, ast.Compare)
