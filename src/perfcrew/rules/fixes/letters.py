"""Text that a loop walks letter by letter for nothing, since no letter is ever of the type that the loop looks for.

Text leaves the function above the loop, only where that changes nothing but the time: the loop ends the function, and
each of its turns passes over what isn't of a type that is known not to be a text's.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from perfcrew.rules.fixes import imports, sight
from perfcrew.rules.fixes.edits import Edits, Unwritable
from perfcrew.rules.fixes.places import Spot
from perfcrew.rules.source import Function, Source, dotted, inside, names

_BUILTINS = frozenset(
    {"dict", "list", "tuple", "set", "frozenset", "int", "float", "bool", "complex", "bytes", "bytearray"}
)
_ABSTRACT = frozenset({"Mapping", "MutableMapping", "MutableSequence", "MutableSet"})
_NUMBERS = frozenset({"Number", "Complex", "Real", "Rational", "Integral"})
_NO_TEXT = frozenset(
    {f"{module}.{name}" for module in ("collections.abc", "typing") for name in _ABSTRACT}
    | {f"typing.{name}" for name in ("AbstractSet", "Dict", "List", "Tuple", "Set", "FrozenSet")}
    | {f"numbers.{name}" for name in _NUMBERS}
    | {f"collections.{name}" for name in ("OrderedDict", "defaultdict", "Counter", "deque")}
    | {"collections.abc.Set", "pydantic.BaseModel", "pydantic.v1.BaseModel", "decimal.Decimal", "uuid.UUID"}
    | {"datetime.date", "datetime.datetime", "datetime.time", "datetime.timedelta"}
)
"""Types that `str` isn't one of; `Sequence`, `Iterable`, `Hashable` and the like are not among them."""
_MAY_BE_TEXT = frozenset({"str", "Any", "object", "Iterable", "Sequence", "Collection", "Reversible"})
_OF_OTHERS = frozenset({"Iterable", "Sequence", "Collection", "Reversible", "Optional", "Union"})


class _Walk(NamedTuple):
    """The loop that ends a function, the name of what it goes over, and of what it has at a turn."""

    function: Function
    loop: ast.For
    over: str
    item: str


def leave(edits: Edits, spot: Spot) -> None:
    """Text returns above the loop that does nothing with letters. Raises Unwritable where that isn't sure."""
    walk = _walk(spot)
    meanings = Counter(_meanings(spot.text.tree))
    why = (
        _why_named_anew(meanings)
        or _why_not_return(walk)
        or _why_not_passed_over(spot.text, meanings, walk)
        or _why_no_text(spot.text, meanings, walk)
    )
    if why:
        raise Unwritable(why)
    edits.before(walk.loop, f"if isinstance({walk.over}, str):\n    return")


def _walk(spot: Spot) -> _Walk:
    function = spot.function
    loop = function.body[-1] if function else None
    if function is None or not isinstance(loop, ast.For):
        raise Unwritable("the function doesn't end in a loop that may walk a text")
    over, targets = loop.iter, [loop.target]
    if isinstance(over, ast.Call) and _enumerates(over):
        over = over.args[0]
        targets = loop.target.elts if isinstance(loop.target, ast.Tuple) and len(loop.target.elts) == 2 else []
    item = targets[-1] if all(isinstance(t, ast.Name) for t in targets) and targets else None
    if not isinstance(over, ast.Name) or not isinstance(item, ast.Name):
        raise Unwritable("the loop at the function's end isn't over a plain name, thing by thing")
    return _Walk(function, loop, over.id, item.id)


def _enumerates(call: ast.Call) -> bool:
    """Whether it is `enumerate` of something, from a number that is written out: any other start may fail."""
    starts = [*call.args[1:], *(k.value if k.arg == "start" else call for k in call.keywords)]
    whole = all(isinstance(s, ast.Constant) and isinstance(s.value, int) for s in starts)
    return ast.unparse(call.func) == "enumerate" and bool(call.args) and whole and len(starts) <= 1


def _meanings(tree: ast.AST) -> Iterator[str]:
    """Every name that the file or function gives a meaning to, as often as it does, in whatever scope."""
    for node in ast.walk(tree):
        named = getattr(node, "name", None)
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.alias):
            yield node.asname or node.name.split(".")[0]
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(named, str):
            yield named


def _why_named_anew(meanings: Counter[str]) -> str | None:
    if meanings["*"]:
        return "what names stand for can't be told after `import *`"
    anew = next((name for name in ("isinstance", "str", "enumerate") if meanings[name]), None)
    return f"`{anew}` has another meaning in the file" if anew else None


def _why_not_return(walk: _Walk) -> str | None:
    """What a bare `return` above the loop would skip, or not fit."""
    if walk.loop.orelse:
        return "the loop at the function's end has an `else`"
    if any(isinstance(n, ast.Return) and n.value for n in inside(walk.function)):
        return f"`{walk.function.name}` returns values: a bare `return` doesn't fit"
    read = sorted(names(walk.loop.target, ast.Store) & _read_elsewhere(walk))
    return f"`{read[0]}` may be read after the loop" if read else None


def _read_elsewhere(walk: _Walk) -> frozenset[str]:
    """Names that outlive the function, and those that functions made above the loop take from it."""
    found: set[str] = set()
    for node in _above(walk.function):
        if isinstance(node, (ast.Global, ast.Nonlocal)):
            found |= {*node.names}
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.GeneratorExp)):
            own = {n.arg for n in ast.walk(node) if isinstance(n, ast.arg)}
            found |= names(node, ast.Load) - names(node, ast.Store) - own
    return frozenset(found)


def _above(function: Function) -> list[ast.AST]:
    return [node for statement in function.body[:-1] for node in ast.walk(statement)]


def _why_not_passed_over(text: Source, meanings: Counter[str], walk: _Walk) -> str | None:
    first = walk.loop.body[0]
    types: list[ast.expr] = []
    if isinstance(first, ast.If) and not first.orelse:
        if isinstance(first.body[0], ast.Continue):
            types = _asked_not(first.test, walk.item)
        elif len(walk.loop.body) == 1:
            types = _asked(first.test, walk.item)
    if not types:
        return "the loop at the function's end may do something with a letter"
    unknown = next((t for t in types if not _no_text(text, meanings, t)), None)
    return f"a letter may be a `{ast.unparse(unknown)}`" if unknown else None


def _asked(node: ast.AST, name: str) -> list[ast.expr]:
    """The types of `isinstance(name, …)`, none where the node is something else."""
    if not isinstance(node, ast.Call) or len(node.args) != 2 or ast.unparse(node.func) != "isinstance":
        return []
    value, types = node.args
    if ast.unparse(value) != name:
        return []
    return types.elts if isinstance(types, ast.Tuple) else [types]


def _asked_not(node: ast.expr, name: str) -> list[ast.expr]:
    """The same of `not isinstance(name, …)`."""
    return _asked(node.operand, name) if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not) else []


def _no_text(text: Source, meanings: Counter[str], kind: ast.expr) -> bool:
    """Whether the type is known not to be a text's, by a name that means this only in the file."""
    name = ast.unparse(kind)
    if name in _BUILTINS:
        return not meanings[name]
    head = name.split(".")[0]
    return meanings[head] == 1 and bool(imports.statement_of(text, head)) and imports.full_name(text, name) in _NO_TEXT


def _why_no_text(text: Source, meanings: Counter[str], walk: _Walk) -> str | None:
    """Why no text is to be expected at the loop."""
    given = _annotation(walk.function, walk.over)
    if given is None:
        return f"`{walk.over}` isn't given once, as a parameter or above the loop"
    if any(isinstance(n, ast.If) and _leaves(text, meanings, n, walk.over) for n in _above(walk.function)):
        return f"a text `{walk.over}` has left the function above the loop"
    asked = [t for n in inside(walk.function) for t in _asked(n, walk.over)]
    if _may_be_text(given) or any(ast.unparse(t) == "str" for t in asked):
        return None
    return f"nothing says that `{walk.over}` may be text"


def _annotation(function: Function, name: str) -> str | None:
    """What the name is said to be, '' where nothing is said; None where it isn't given a value exactly once."""
    arguments = function.args
    parameters = {a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
    times = sum(meaning == name for meaning in _meanings(function))
    if times != 1:
        return None
    if name in parameters:
        return sight.annotation_of(function, name)
    giving = [
        s for s in function.body[:-1] if isinstance(s, (ast.Assign, ast.AnnAssign)) and name in names(s, ast.Store)
    ]
    said = next((s.annotation for s in giving if isinstance(s, ast.AnnAssign)), None)
    return (ast.unparse(said) if said else "") if giving else None


def _leaves(text: Source, meanings: Counter[str], branch: ast.If, name: str) -> bool:
    """Whether the branch is taken by texts, and ends the function."""
    if not isinstance(branch.body[-1], (ast.Return, ast.Raise)):
        return False
    asked = [t for n in ast.walk(branch.test) for t in _asked(n, name)]
    others = _asked_not(branch.test, name)
    return any(ast.unparse(t) == "str" for t in asked) or (
        bool(others) and all(_no_text(text, meanings, t) for t in others)
    )


def _may_be_text(annotation: str) -> bool:
    try:
        return _admits(ast.parse(annotation.replace("'", ""), mode="eval").body)
    except SyntaxError:
        # Nothing is said, or the quotes were not those of a type that comes later in the file.
        return False


def _admits(node: ast.expr) -> bool:
    if isinstance(node, ast.BinOp):
        return _admits(node.left) or _admits(node.right)
    if isinstance(node, ast.Subscript):
        of = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        return sight.last(dotted(node.value)) in _OF_OTHERS and any(_admits(n) for n in of)
    return sight.last(dotted(node)) in _MAY_BE_TEXT
