"""Whether what a function reads can be used again for another turn, in the place of a second call."""

from __future__ import annotations

import ast
import re

from perfcrew.rules.fixes import sight
from perfcrew.rules.fixes.edits import Unwritable
from perfcrew.rules.fixes.places import Spot
from perfcrew.rules.fixes.turning import refuse_writes
from perfcrew.rules.source import Function, inside

_GONE_THROUGH_ONCE = frozenset({"execute", "scalars", "stream", "stream_scalars", "iterator", "mappings", "partitions"})
_CONTAINER = re.compile(r"^(typing\.)?(list|dict|set|List|Dict|Set|Sequence|Mapping|MutableMapping|Iterable)\b")


def refuse_reader(spot: Spot, node: ast.expr, reader: Function | None, key: list[ast.expr]) -> None:
    """Raises Unwritable where the function does more than to read, or its answer can't be used twice."""
    waits = isinstance(node, ast.Await)
    if reader is None or reader is spot.function:
        if isinstance(spot.function, ast.AsyncFunctionDef) and not waits:
            raise Unwritable("the read isn't awaited where it is called: it may be handed on to be awaited once")
        return
    refuse_writes(reader)
    if isinstance(reader, ast.AsyncFunctionDef) and not waits:
        raise Unwritable(f"`{reader.name}` isn't awaited where it is called: what it gives can be awaited once only")
    if sight.changes_itself(reader) or any(isinstance(n, (ast.Global, ast.Nonlocal)) for n in inside(reader)):
        raise Unwritable(f"`{reader.name}` changes more than what it gives")
    if any(_once_only(n) for n in inside(reader)):
        raise Unwritable(f"what `{reader.name}` gives can be gone through once only")
    call = node.value if isinstance(node, ast.Await) else node
    assert isinstance(call, ast.Call)
    _refuse_containers(reader, call, key)


def _once_only(node: ast.AST) -> bool:
    if not isinstance(node, ast.Return):
        return isinstance(node, (ast.Yield, ast.YieldFrom))
    value = node.value.value if isinstance(node.value, ast.Await) else node.value
    called = value.func if isinstance(value, ast.Call) else None
    return isinstance(value, ast.GeneratorExp) or (
        isinstance(called, ast.Attribute) and called.attr in _GONE_THROUGH_ONCE
    )


def _refuse_containers(reader: Function, call: ast.Call, key: list[ast.expr]) -> None:
    """Raises Unwritable where the reader says that it takes a list or the like, which can't be a key."""
    order = [a.arg for a in (*reader.args.posonlyargs, *reader.args.args)]
    order = order[1:] if order[:1] in (["self"], ["cls"]) else order
    given = [*zip(order, call.args, strict=False), *((k.arg or "", k.value) for k in call.keywords)]
    for parameter, argument in given:
        if argument in key and _CONTAINER.match(sight.annotation_of(reader, parameter)):
            raise Unwritable(f"`{parameter}` of `{reader.name}` is a container, which is not fit for a key")
