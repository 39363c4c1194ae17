"""Whether a function gives the same for the same arguments and does nothing else, judged by sight.

Careful by design: what isn't known to be pure isn't.
"""

from __future__ import annotations

import ast
import builtins
import re

from perfcrew.rules.fixes import imports, sight
from perfcrew.rules.source import Function, Source, dotted, names

# Equal values of these are the same value. Others are not: 10.0 and 10.00, 0.0 and -0.0, noon in two zones, (1,) and
# (True,).
_SAME = frozenset({"str", "int", "bool", "bytes", "UUID", "None", "Optional", "Union", "Literal"})
_VALUES = _SAME | frozenset(
    {"float", "complex", "Decimal", "Fraction", "date", "datetime", "time", "timedelta"}
    | {"tuple", "Tuple", "frozenset", "FrozenSet"}
)
_BUILTINS = frozenset(
    {
        "abs",
        "all",
        "any",
        "ascii",
        "bin",
        "bool",
        "bytes",
        "chr",
        "dict",
        "divmod",
        "enumerate",
        "filter",
        "float",
        "format",
    }
    | {
        "frozenset",
        "hex",
        "int",
        "isinstance",
        "len",
        "list",
        "map",
        "max",
        "min",
        "oct",
        "ord",
        "pow",
        "range",
        "repr",
    }
    | {"reversed", "round", "set", "slice", "sorted", "str", "sum", "tuple", "zip"}
)
_MODULES = frozenset(
    {"math", "cmath", "operator", "itertools", "re", "unicodedata", "string", "bisect", "textwrap", "html"}
)
_FUNCTIONS = frozenset({"functools.reduce", "json.dumps", "json.loads", "decimal.Decimal", "fractions.Fraction"})
_NEVER = (
    ast.Await,
    ast.Yield,
    ast.YieldFrom,
    ast.Global,
    ast.Nonlocal,
    ast.With,
    ast.AsyncWith,
    ast.AsyncFor,
    ast.Delete,
)
_NEVER_INSIDE = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
_MODULE = re.compile(r"\b(datetime|decimal|fractions|typing|uuid)\.")
_WORD = re.compile(r"[A-Za-z_]\w*")


def why_impure(text: Source, function: Function) -> str | None:
    """What speaks against keeping the function's results, None where nothing does."""
    name = function.name
    if not isinstance(function, ast.FunctionDef) or function not in text.tree.body:
        return f"`{name}` is a method, an inner or an async function"
    if function.decorator_list:
        return f"`{name}` has decorators"
    if function.args.vararg or function.args.kwarg or not sight.parameters(function):
        return f"`{name}` takes any number of arguments, or none"
    for parameter in sorted(sight.parameters(function)):
        annotation = sight.annotation_of(function, parameter)
        if not _made_of(annotation, _VALUES):
            return f"`{parameter}` of `{name}` isn't annotated as a value that can be hashed"
        if not _made_of(annotation, _SAME):
            return f"`{parameter}` of `{name}` is `{annotation}`: equal values of it may differ"
    if not _made_of(ast.unparse(function.returns) if function.returns else "", _VALUES):
        return f"what `{name}` gives isn't annotated as a value that nobody can change"
    return why_effects(text, function)


def _made_of(annotation: str, known: frozenset[str]) -> bool:
    words = set(_WORD.findall(_MODULE.sub("", annotation)))
    return bool(words) and words <= known


def why_effects(text: Source, function: ast.FunctionDef, seen: frozenset[str] = frozenset()) -> str | None:
    """What the function reads or changes outside of itself, or calls that isn't known to be pure."""
    name, seen = function.name, seen | {function.name}
    own = names(function, ast.Store) | sight.parameters(function)
    own |= {n.arg for n in ast.walk(function) if isinstance(n, ast.arg)}
    given = sight.parameters(function)
    for part in (n for s in function.body for n in ast.walk(s)):
        why = _why_part(text, part, own, given, seen)
        if why:
            return f"`{name}` {why}"
    return None


def _why_part(
    text: Source, part: ast.AST, own: frozenset[str], given: frozenset[str], seen: frozenset[str]
) -> str | None:
    if isinstance(part, (*_NEVER, *_NEVER_INSIDE)):
        return f"does more than to compute, on line {part.lineno}"
    if isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store):
        return f"changes an attribute, on line {part.lineno}"
    if isinstance(part, ast.Subscript) and isinstance(part.ctx, ast.Store) and dotted(part.value) not in own - given:
        return f"changes something that it was given, on line {part.lineno}"
    if isinstance(part, ast.Call):
        return _why_call(text, part, own, seen)
    free = isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load) and part.id not in own | seen
    if free and isinstance(part, ast.Name) and not _fixed(text, part.id):
        return f"reads `{part.id}`, which isn't known to stay as it is"
    return None


def _why_call(text: Source, call: ast.Call, own: frozenset[str], seen: frozenset[str]) -> str | None:
    called = dotted(call.func)
    full = imports.full_name(text, called) if called else ""
    if isinstance(call.func, ast.Name):
        other = next((f for f in text.tree.body if isinstance(f, ast.FunctionDef) and f.name == called), None)
        if called in seen or called in _BUILTINS or full in _FUNCTIONS or full.split(".")[0] in _MODULES:
            return None
        if other is not None and called not in own:
            return why_effects(text, other, seen)
        return f"calls `{called}`, which isn't known to be pure"
    if called.split(".")[0] in own or not called or _of_literal(call.func):
        return None  # a method of a value of its own
    if full.split(".")[0] in _MODULES or full in _FUNCTIONS:
        return None
    return f"calls `{called}`, which isn't known to be pure"


def _of_literal(function: ast.expr) -> bool:
    """A method of something written out: `", ".join`."""
    node = function.value if isinstance(function, ast.Attribute) else function
    return isinstance(node, (ast.Constant, ast.JoinedStr, ast.List, ast.Dict, ast.Set, ast.Tuple))


def _fixed(text: Source, name: str) -> bool:
    """A builtin, a module, a function, or a constant of the module that is a value and given once."""
    if hasattr(builtins, name) or imports.full_name(text, name) != name or imports.statement_of(text, name):
        return hasattr(builtins, name) or imports.full_name(text, name).split(".")[0] in _MODULES | {
            "functools",
            "json",
            "decimal",
        }
    if any(isinstance(s, ast.FunctionDef) and s.name == name for s in text.tree.body):
        return True
    stores = [
        n for n in ast.walk(text.tree) if isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Store)
    ]
    values = [
        s.value
        for s in text.tree.body
        if isinstance(s, (ast.Assign, ast.AnnAssign)) and s.value and name in names(s, ast.Store)
    ]
    return len(stores) == 1 and len(values) == 1 and _immutable(values[0])


def _immutable(value: ast.expr) -> bool:
    if isinstance(value, ast.Tuple):
        return all(_immutable(e) for e in value.elts)
    if isinstance(value, ast.UnaryOp):
        return _immutable(value.operand)
    if isinstance(value, ast.BinOp):
        return _immutable(value.left) and _immutable(value.right)
    if isinstance(value, ast.Call):
        return dotted(value.func) in ("frozenset", "re.compile", "Decimal")
    return isinstance(value, ast.Constant)
