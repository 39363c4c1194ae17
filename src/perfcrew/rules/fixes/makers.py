"""Where an AsyncSession comes from: the sessionmaker of a module that the request's dependency takes it from.

Refused where the dependency does more than to make the session: what it sets or begins a second session would not have.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import libcst as cst

from perfcrew.rules.fixes import declared, imports, project, sight
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Edits, Unwritable
from perfcrew.rules.fixes.places import Spot
from perfcrew.rules.fixes.reach import callers
from perfcrew.rules.fixes.sight import last
from perfcrew.rules.fixes.turning import writes
from perfcrew.rules.source import Function, Source, dotted

_MADE_BY = re.compile(r"(^|\.)(async_sessionmaker|sessionmaker)(\[|$)")
_OF_ITS_OWN = frozenset({"info", "binds", "twophase"})
_DEPTH = 3


class Maker(NamedTuple):
    """A sessionmaker at the top of a module."""

    text: Source
    name: str


class Injected(NamedTuple):
    """A dependency that gives a sessionmaker, as one of `request.app.state`: an endpoint can ask for it too."""

    text: Source
    function: Function


class _Dependency(NamedTuple):
    text: Source
    function: Function


def maker(case: Case, spot: Spot, session: str) -> Maker | Injected:
    """Raises Unwritable where the session's maker can't be told."""
    found = {_key(d): d for d in _dependencies(case, spot, session, _DEPTH)}
    if len(found) != 1:
        names = ", ".join(f"`{d.function.name}`" for d in found.values())
        raise Unwritable(f"the session comes from several dependencies: {names}")
    (dependency,) = found.values()
    _refuse_overridden(case.root, dependency.function.name)
    return _made_in(case.root, dependency)


def _key(found: _Dependency) -> tuple[Path, int]:
    return found.text.path, found.function.lineno


def _dependencies(case: Case, spot: Spot, session: str, deep: int) -> Iterator[_Dependency]:
    """By the parameter's own `Depends`, else by those of every caller that hands the session down."""
    function = spot.function
    assert function is not None
    name = _depends(case.root, spot.text, function, session)
    if name:
        yield _dependency(case.root, spot.text, name)
        return
    above = callers(case.root, function) if deep else []
    above = [c for c in above if c.function is not None and not project.is_test(case.root, c.text.path)]
    if not above:
        raise Unwritable(f"which sessionmaker `{session}` of `{function.name}` comes from can't be told")
    for caller in above:
        assert caller.function is not None
        if any(writes(n) for n in ast.walk(caller.function) if isinstance(n, ast.Call)):
            raise Unwritable(f"`{caller.function.name}`, which calls it, writes: another session would not see that")
        for handed in _handed(caller.function, function, session):
            yield from _dependencies(case, caller, handed, deep - 1)


def _handed(caller: Function, function: Function, session: str) -> Iterator[str]:
    """The names that a caller hands down as the session."""
    arguments = [a.arg for a in (*function.args.posonlyargs, *function.args.args)]
    for call in (n for n in ast.walk(caller) if isinstance(n, ast.Call) and last(dotted(n.func)) == function.name):
        given = {k.arg: k.value for k in call.keywords} | dict(zip(arguments, call.args, strict=False))
        node = given.get(session)
        if not isinstance(node, ast.Name) or node.id not in sight.parameters(caller):
            raise Unwritable(f"which session `{caller.name}` hands to `{function.name}` can't be told")
        yield node.id


def _depends(root: Path, text: Source, function: Function, name: str) -> str:
    """The function named in `Depends(…)` of a parameter: its default, its `Annotated`, or an alias of one; else ''."""
    every = function.args
    parameter = next(a for a in (*every.posonlyargs, *every.args, *every.kwonlyargs) if a.arg == name)
    said = [_default_of(function, name), parameter.annotation, _alias(root, text, parameter.annotation)]
    return next((found for node in said if node is not None and (found := _in_depends(node))), "")


def _in_depends(node: ast.expr) -> str:
    calls = [n for n in ast.walk(node) if isinstance(n, ast.Call) and last(dotted(n.func)) == "Depends"]
    return dotted(calls[0].args[0]) if len(calls) == 1 and len(calls[0].args) == 1 else ""


def _alias(root: Path, text: Source, annotation: ast.expr | None) -> ast.expr | None:
    """What `SessionDep` stands for: in the file, else the project's only one of that name."""
    name = dotted(annotation) if annotation is not None else ""
    here = list(_assigned(text, last(name))) if name else []
    if here or not name:
        return here[0] if len(here) == 1 else None
    there = [v for t in project.sources(root) if last(name) in t.text for v in _assigned(t, last(name))]
    return there[0] if len(there) == 1 else None


def _assigned(text: Source, name: str) -> Iterator[ast.expr]:
    for statement in text.tree.body:
        value = getattr(statement, "value", None)
        if declared.assigned(statement) == name and isinstance(value, ast.expr):
            yield value


def _dependency(root: Path, text: Source, name: str) -> _Dependency:
    found = [
        _Dependency(t, f)
        for t in project.sources(root)
        if not project.is_test(root, t.path) and f"def {last(name)}(" in t.text
        for f in t.functions
        if f.name == last(name)
    ]
    here = [d for d in found if d.text.path == text.path]
    found = here or found
    if len(found) != 1:
        raise Unwritable(f"the dependency `{name}` that makes the session was not found in the source")
    return found[0]


def _refuse_overridden(root: Path, name: str) -> None:
    for text in project.sources(root):
        if "dependency_overrides" in text.text and re.search(rf"\b{name}\b", text.text):
            where = text.path.relative_to(root).as_posix()
            raise Unwritable(
                f"{where} puts another session in the place of `{name}`'s: sessions of the maker's own would lead to "
                "another database there. Let the maker be a dependency too"
            )


def _made_in(root: Path, dependency: _Dependency) -> Maker | Injected:
    """The maker that the dependency calls, where it does nothing else before it gives the session."""
    function = dependency.function
    body = [s for s in function.body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
    made = _with(body) or _plain(body)
    if made is not None and isinstance(made.func, ast.Call) and not made.args and not made.keywords:
        return _injected(root, dependency, made.func)
    called = dotted(made.func) if made is not None else ""
    if made is None or made.args or made.keywords or not called:
        raise Unwritable(
            f"`{function.name}` does more than to take a session from a sessionmaker of a module: another session "
            "may not be like it"
        )
    return _maker(root, dependency.text, called)


def _injected(root: Path, dependency: _Dependency, given: ast.Call) -> Injected:
    """`async with sessions_of(request)() as session`, where that function does nothing but to look it up."""
    found = _dependency(root, dependency.text, dotted(given.func)) if dotted(given.func) else None
    body = [s for s in found.function.body if not isinstance(s, ast.Expr)] if found else []
    value = body[0].value if len(body) == 1 and isinstance(body[0], ast.Return) else None
    if found is None or value is None or not re.match(r"\w+\.app\.state\.\w+$", dotted(value)):
        raise Unwritable(f"where `{dependency.function.name}` takes its sessionmaker from can't be told")
    for text in project.sources(root):
        if project.is_test(root, text.path):
            continue
        if re.search(r"\b(StaticPool|SingletonThreadPool)\b", text.text):
            raise Unwritable("the engine has one connection for all sessions: they can't wait together")
        for call in (
            n for n in ast.walk(text.tree) if isinstance(n, ast.Call) and _MADE_BY.search(ast.unparse(n.func))
        ):
            _refuse_own(call, "the sessionmaker")
    return Injected(found.text, found.function)


def _refuse_own(call: ast.Call, name: str) -> None:
    for keyword in call.keywords:
        if keyword.arg in _OF_ITS_OWN or keyword.arg is None:
            raise Unwritable(f"{name} gives its sessions something of their own: `{ast.unparse(keyword)}`")


def _with(body: list[ast.stmt]) -> ast.Call | None:
    """`async with Maker() as session: yield session`, perhaps within a `try`."""
    only = body[0] if len(body) == 1 else None
    if not isinstance(only, ast.AsyncWith) or len(only.items) != 1:
        return None
    item = only.items[0]
    named = item.optional_vars.id if isinstance(item.optional_vars, ast.Name) else ""
    return item.context_expr if isinstance(item.context_expr, ast.Call) and _gives(only.body, named) else None


def _plain(body: list[ast.stmt]) -> ast.Call | None:
    """`session = Maker()` and a `try` that gives it."""
    if len(body) != 2 or not isinstance(body[1], ast.Try):
        return None
    made = declared.call_of(body[0])
    return made if made is not None and _gives([body[1]], declared.assigned(body[0])) else None


def _gives(body: list[ast.stmt], named: str) -> bool:
    """Whether the first thing that is done is to yield it."""
    first = body[0]
    if isinstance(first, ast.Try):
        return _gives(first.body, named)
    value = first.value if isinstance(first, ast.Expr) else None
    return isinstance(value, ast.Yield) and value.value is not None and bool(named) and dotted(value.value) == named


def _maker(root: Path, text: Source, name: str) -> Maker:
    found = [
        (t, call)
        for t in project.sources(root)
        if not project.is_test(root, t.path)
        for s in t.tree.body
        if declared.assigned(s) == last(name) and (call := declared.call_of(s)) is not None
    ]
    here = [(t, call) for t, call in found if t.path == text.path]
    found = here or found
    if len(found) != 1 or not _MADE_BY.search(ast.unparse(found[0][1].func)):
        raise Unwritable(f"`{name}` is no sessionmaker at the top of a module, by which another session could be made")
    there, call = found[0]
    _refuse_own(call, f"`{name}`")
    if "async_sessionmaker" not in ast.unparse(call.func) and declared.keyword(call, "class_") != "AsyncSession":
        raise Unwritable(f"`{name}` makes no AsyncSession")
    if re.search(r"\b(StaticPool|SingletonThreadPool)\b", there.text):
        raise Unwritable("the engine has one connection for all sessions: they can't wait together")
    return Maker(there, last(name))


def named_in(edits: Edits, root: Path, found: Maker) -> str:
    """How the edited file calls the maker, imported where it doesn't know it. Raises Unwritable."""
    if found.text.path == edits.text.path:
        return found.name
    for statement in imports.top(edits.text):
        known = next((a for a in statement.names if a.name == found.name), None)
        modules = (found.text.path.stem, found.text.path.parent.name)
        if known is not None and isinstance(statement, ast.ImportFrom) and last(statement.module or "") in modules:
            return known.asname or known.name
    return imports.bring(edits, module_of(root, edits.text, found.text), found.name)


def module_of(root: Path, text: Source, wanted: Source) -> str:
    """The module's name as the project imports it: as the file does, else as another file does, else by its path.

    Raises Unwritable where nothing of the project is imported by a name that leads there.
    """
    parts = wanted.path.relative_to(root).with_suffix("").parts
    parts = parts[:-1] if parts[-1] == "__init__" else parts
    # What lies within a package is not imported by a part of its name.
    outer = [n for n in range(len(parts)) if not (root.joinpath(*parts[:n]) / "__init__.py").exists()]
    names = [".".join(parts[n:]) for n in outer]
    for one in (text, *project.sources(root)):
        for statement in imports.top(one):
            module = statement.module if isinstance(statement, ast.ImportFrom) and not statement.level else None
            if module in names:
                return str(module)
    for one in (text, *project.sources(root)):
        for statement in imports.top(one):
            module = statement.module if isinstance(statement, ast.ImportFrom) and not statement.level else None
            found = [n for n in names if module and "." in n and n.split(".")[0] == module.split(".")[0]]
            if found:
                return found[0]
    raise Unwritable(f"how {_path(root, wanted)} is imported can't be told")


def _path(root: Path, text: Source) -> str:
    """The file's path within the project."""
    return text.path.relative_to(root).as_posix()


def asked_for(edits: Edits, root: Path, function: Function, session: str, found: Injected) -> str:
    """Lets an endpoint ask for the sessionmaker, beside its session; gives its name there. Raises Unwritable."""
    name = sight.free_name(function, "sessions", "make_session")
    default = _default_of(function, session)
    alias = _alias_for(root, found.function.name)
    if default is None and alias is not None:
        annotation, value = _import(edits, root, *alias), None
    else:
        depends = _import(edits, root, found.text, found.function.name)
        made = imports.bring(edits, "sqlalchemy.ext.asyncio", "async_sessionmaker")
        call = f"{imports.bring(edits, 'fastapi', 'Depends')}({depends})"
        annotation = made if default is not None else f"{imports.bring(edits, 'typing', 'Annotated')}[{made}, {call}]"
        value = cst.parse_expression(call) if default is not None else None
    said = cst.Annotation(cst.parse_expression(annotation))
    new = cst.Param(
        cst.Name(name), annotation=said, default=value, equal=_EQUAL if value else cst.MaybeSentinel.DEFAULT
    )
    edits.change(function, lambda old: _beside(cst.ensure_type(old, cst.FunctionDef), session, new))
    return name


_EQUAL = cst.AssignEqual(cst.SimpleWhitespace(" "), cst.SimpleWhitespace(" "))


def _default_of(function: Function, name: str) -> ast.expr | None:
    every = function.args
    positional = [*every.posonlyargs, *every.args]
    late = dict(zip([a.arg for a in positional[len(positional) - len(every.defaults) :]], every.defaults, strict=True))
    named = {a.arg: d for a, d in zip(every.kwonlyargs, every.kw_defaults, strict=True)}
    return late.get(name) or named.get(name)


def _import(edits: Edits, root: Path, text: Source, name: str) -> str:
    return named_in(edits, root, Maker(text, name))


def _alias_for(root: Path, dependency: str) -> tuple[Source, str] | None:
    """`SessionsDep = Annotated[Sessions, Depends(sessions_of)]`, the project's only one."""
    found = [
        (text, declared.assigned(s))
        for text in project.sources(root)
        if dependency in text.text and not project.is_test(root, text.path)
        for s in text.tree.body
        if isinstance(s, ast.Assign) and last(_in_depends(s.value)) == dependency and declared.assigned(s)
    ]
    return found[0] if len(found) == 1 else None


def _beside(function: cst.FunctionDef, session: str, new: cst.Param) -> cst.FunctionDef:
    """The new parameter behind the session's, in the way that the parameters are written."""
    for kind in ("params", "kwonly_params"):
        given = list(getattr(function.params, kind))
        at = next((n for n, p in enumerate(given) if p.name.value == session), None)
        if at is not None:
            ends = given[at].comma
            between = ends if isinstance(ends, cst.Comma) else cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
            given[at : at + 1] = [given[at].with_changes(comma=between), new.with_changes(comma=ends)]
            return function.with_changes(params=function.params.with_changes(**{kind: given}))
    raise Unwritable(f"`{session}` is no parameter that another could stand beside")
