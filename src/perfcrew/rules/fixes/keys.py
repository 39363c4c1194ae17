"""What a fixer must know of a cache's client and keys before it moves a read: whose it is, and that keys are plain."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Collection
from typing import NamedTuple

from perfcrew.rules.fixes import imports, purity
from perfcrew.rules.fixes.edits import Unwritable
from perfcrew.rules.fixes.places import Spot
from perfcrew.rules.source import Function, Source, dotted, names

_FROM = frozenset(["redis", "valkey", "aioredis"])
_TYPES = frozenset(["Redis", "StrictRedis", "Valkey", "StrictValkey"])
_MAKERS = _TYPES | frozenset(f"{name}.from_url" for name in _TYPES) | {"from_url"}
_AROUND = frozenset(["Optional", "Union", "Annotated", "ClassVar", "Final"])
_CLUSTER = re.compile(r"Cluster")
_PLAIN = frozenset(["str", "repr", "int", "hex", "format"])
_METHODS = frozenset(["format", "lower", "upper", "strip", "hex", "isoformat"])


_OF_ONE_KEY = frozenset(
    ["get", "hgetall", "smembers", "scard", "exists", "ttl", "pttl", "strlen", "llen", "type", "zcard"]
)
_OF_TWO = frozenset(["hget", "sismember", "zscore", "hexists"])


def is_get(node: ast.AST) -> bool:
    """`client.get(key)`, or another read of one key, with nothing else."""
    method = node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""
    wanted = 1 if method in _OF_ONE_KEY or method == "aget" else 2 if method in _OF_TWO else 0
    return isinstance(node, ast.Call) and bool(wanted) and len(node.args) == wanted and not node.keywords


def varying(call: ast.Call, changed: Collection[str]) -> ast.expr:
    """The argument that each turn gives anew: the key, or a field of one hash. Raises Unwritable for several."""
    found = [a for a in call.args if names(a, ast.Load) & frozenset(changed)]
    if len(found) > 1:
        raise Unwritable("each turn gives both the key and what of it is asked for")
    still = [a for a in call.args if a not in found]
    if any(isinstance(n, (ast.Call, ast.Await, ast.NamedExpr)) for a in still for n in ast.walk(a)):
        raise Unwritable("what is the same in each turn is made anew each time")
    return found[0] if found else call.args[0]


def is_django(text: Source, owner: ast.expr) -> bool:
    """Whether it is Django's default cache, or one of its others: `caches["pages"]`."""
    base = owner.value if isinstance(owner, ast.Subscript) and isinstance(owner.slice, ast.Constant) else owner
    full = imports.full_name(text, dotted(base)) if isinstance(base, (ast.Name, ast.Attribute)) else ""
    return full == f"django.core.cache.{'cache' if base is owner else 'caches'}"


def check_client(spot: Spot, call: ast.Call) -> None:
    """Raises Unwritable where what is called can't be told to be a client of one Redis."""
    assert isinstance(call.func, ast.Attribute)
    owner = call.func.value
    if call.func.attr in ("get", "aget") and is_django(spot.text, owner):
        return
    told = _told_of(spot, owner)
    if any(_CLUSTER.search(ast.unparse(one.node)) for one in told):
        raise Unwritable("on a cluster the keys of one command must lie on one node")
    if call.func.attr == "aget" or not told or not all(one.is_client(spot.text) for one in told):
        raise Unwritable(f"`{ast.unparse(owner)}` can't be told to be a client of redis-py")


class _Told(NamedTuple):
    """What the source says of a name: its annotation, or what it is assigned."""

    node: ast.expr
    is_annotation: bool

    def is_client(self, text: Source) -> bool:
        """Whether it is redis-py's own type, or is made by it at once."""
        if self.is_annotation:
            return _is_type(text, self.node)
        made = self.node.value if isinstance(self.node, ast.Await) else self.node
        return isinstance(made, ast.Call) and _is_of_redis(text, made.func, _MAKERS)


def _is_type(text: Source, node: ast.expr) -> bool:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return _is_type(text, ast.parse(node.value, mode="eval").body)
    if isinstance(node, ast.BinOp):  # `Redis | None`
        sides = [one for one in (node.left, node.right) if ast.unparse(one) != "None"]
        return bool(sides) and all(_is_type(text, one) for one in sides)
    if isinstance(node, ast.Subscript) and dotted(node.value).rpartition(".")[2] in _AROUND:
        inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        of = inner[:1] if dotted(node.value).endswith("Annotated") else inner
        return all(_is_type(text, one) for one in of if ast.unparse(one) != "None")
    return _is_of_redis(text, node.value if isinstance(node, ast.Subscript) else node, _TYPES)


def _is_of_redis(text: Source, node: ast.expr, wanted: Collection[str]) -> bool:
    """Whether this name of the file is one of redis-py's, by its imports."""
    name = dotted(node)
    package, _, rest = imports.full_name(text, name).partition(".")
    if _CLUSTER.search(rest):
        return False
    return bool(name) and package in _FROM and any(rest == one or rest.endswith(f".{one}") for one in wanted)


def _told_of(spot: Spot, owner: ast.expr) -> list[_Told]:
    if isinstance(owner, ast.Name) and spot.function is not None:
        return _told_of_name(spot, spot.function, owner.id)
    return _told_of_attribute(spot, owner.attr) if isinstance(owner, ast.Attribute) else []


def _told_of_name(spot: Spot, function: Function, name: str) -> list[_Told]:
    """By the function where it is the function's own, else by the module."""
    given = _parameter(function, name)
    assigned = _assigned(function, name)
    if given is not None and given.annotation is None:
        at_once = any(name in names(s, ast.Store) for s in function.body if isinstance(s, ast.Assign | ast.AnnAssign))
        return assigned if at_once else []
    if given is not None and given.annotation is not None:
        return [_Told(given.annotation, True), *assigned]
    if assigned or name in names(function, ast.Store):
        return assigned
    outer = [n for n in spot.around_all(function) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    if any(_parameter(one, name) or name in names(one, ast.Store) for one in outer):
        return []
    changed = [n for n in ast.walk(spot.text.tree) if isinstance(n, ast.Global) and name in n.names]
    return [] if changed else [told for s in spot.text.tree.body for told in _assigned(s, name, within=False)]


def _parameter(function: Function, name: str) -> ast.arg | None:
    told = function.args
    every = (*told.posonlyargs, *told.args, *told.kwonlyargs, told.vararg, told.kwarg)
    return next((one for one in every if one is not None and one.arg == name), None)


def _assigned(node: ast.AST, name: str, within: bool = True) -> list[_Told]:
    """What a name is assigned; without `within` by nothing that lies in an inner function or class."""
    if not within and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return []
    return [told for n in ast.walk(node) for told in _given(n, lambda t: isinstance(t, ast.Name) and t.id == name)]


def _given(node: ast.AST, is_wanted: Callable[[ast.expr], bool]) -> list[_Told]:
    if isinstance(node, ast.Assign) and any(is_wanted(target) for target in node.targets):
        return [_Told(node.value, False)]
    if isinstance(node, ast.AnnAssign) and is_wanted(node.target):
        return [_Told(node.annotation, True)]
    return []


class Client(NamedTuple):
    """A client of Redis by its name: a parameter's, or one at the top of a module."""

    name: str
    text: Source
    package: str
    """`redis`, `valkey` or `aioredis`."""
    is_async: bool


def clients_of(text: Source) -> list[Client]:
    """Those at the top of a module, given once."""
    found = []
    for statement in text.tree.body:
        name = dotted(statement.targets[0]) if isinstance(statement, ast.Assign) else ""
        made = statement.value if isinstance(statement, (ast.Assign, ast.AnnAssign)) else None
        if isinstance(statement, ast.AnnAssign):
            name = dotted(statement.target)
        once = sum(
            isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Store) for n in ast.walk(text.tree)
        )
        if name.isidentifier() and once == 1 and isinstance(made, ast.Call) and _is_of_redis(text, made.func, _MAKERS):
            found.append(_client(text, name, imports.full_name(text, dotted(made.func))))
    return found


def clients_given(text: Source, function: Function) -> list[Client]:
    """The parameters that are annotated as one."""
    given = (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
    found = [(a.arg, a.annotation) for a in given if a.annotation is not None and _is_type(text, a.annotation)]
    named = [(name, next((full for n in ast.walk(said) if (full := _of_package(text, n))), "")) for name, said in found]
    return [_client(text, name, full) for name, full in named if full]


def _of_package(text: Source, node: ast.AST) -> str:
    full = imports.full_name(text, dotted(node)) if isinstance(node, (ast.Name, ast.Attribute)) and dotted(node) else ""
    return full if full.partition(".")[0] in _FROM and full.rpartition(".")[2] in _TYPES else ""


def _client(text: Source, name: str, full: str) -> Client:
    package = full.partition(".")[0]
    return Client(name, text, package, ".asyncio." in full or package == "aioredis")


def _told_of_attribute(spot: Spot, name: str) -> list[_Told]:
    """By every assignment to an attribute of that name in the file, and by a class's annotation of it."""
    found: list[_Told] = []
    for node in ast.walk(spot.text.tree):
        given = _given(node, lambda t: isinstance(t, ast.Attribute) and t.attr == name)
        found += [_parameters_own(spot, node, told) for told in given]
        if isinstance(node, ast.ClassDef):
            found += [t for s in node.body for t in _given(s, lambda t: isinstance(t, ast.Name) and t.id == name)]
    return found


def _parameters_own(spot: Spot, node: ast.AST, told: _Told) -> _Told:
    """`self.redis = redis` says what the parameter's annotation says."""
    if told.is_annotation or not isinstance(told.node, ast.Name):
        return told
    function = next((n for n in spot.around_all(node) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)), None)
    given = _parameter(function, told.node.id) if function else None
    return _Told(given.annotation, True) if given is not None and given.annotation is not None else told


def check_key(text: Source, key: ast.expr, turn: Collection[str], changed: Collection[str] = ()) -> None:
    """Raises Unwritable where making the key may do or need more than the turn's own names give.

    `changed` are the names that a turn gives a value: before the loop they have another one, or none.
    """
    if late := names(key, ast.Load) & frozenset(changed):
        raise Unwritable(f"the key hangs on `{min(late)}`, which a turn gives its value")
    if not names(key, ast.Load) & frozenset(turn):
        raise Unwritable("the key is the same at each turn: read it once")
    for node in ast.walk(key):
        if isinstance(node, ast.Await | ast.NamedExpr | ast.Lambda | ast.Yield):
            raise Unwritable("making the key waits, or keeps something")
        if isinstance(node, ast.Call):
            check_call(text, node)


def check_call(text: Source, call: ast.Call, known: Collection[str] = ()) -> None:
    """Raises Unwritable for a call that may do more than to compute; `known` are functions that don't."""
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    full = imports.full_name(text, dotted(call.func)) if dotted(call.func) else ""
    if name in _PLAIN or method in _METHODS or full in known:
        return
    function = text.function_named(name) if name else None
    if not isinstance(function, ast.FunctionDef) or purity.why_effects(text, function):
        raise Unwritable(f"it can't be told that `{ast.unparse(call.func)}` does nothing but compute")


def plain_assignment(statement: ast.stmt) -> list[tuple[str, ast.expr]]:
    """The name and value of `key = f"…"`; empty for any other statement."""
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return []
    target = statement.targets[0]
    heavy = (ast.Await, ast.Call, ast.Yield)
    plain = isinstance(target, ast.Name) and not any(isinstance(n, heavy) for n in ast.walk(statement.value))
    return [(target.id, statement.value)] if plain and isinstance(target, ast.Name) else []
