"""Whether a function's answer can be kept: what it hangs on, what it is made of, and who writes what it reads."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

from perfcrew.core.sql import is_read, tables
from perfcrew.rules import statements
from perfcrew.rules.fixes import project, sight, whose
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Unwritable
from perfcrew.rules.fixes.models import Models
from perfcrew.rules.fixes.places import Spot
from perfcrew.rules.fixes.sight import last
from perfcrew.rules.fixes.turning import refuse_writes, writes
from perfcrew.rules.source import Function, Source, dotted, names

_SESSION = re.compile(r"\b(AsyncSession|Session|SessionDep|DbSession|DBSession)\b|^(SessionDep|DbDep)$")
_CLIENT = re.compile(r"\b(Strict)?(Redis|Valkey)\b")
_CONNECTION = re.compile(r"\b(Connection|Cursor|Pool|Database)\b")
_KEYS = re.compile(r"^(int|str|bool|float|bytes|UUID|uuid\.UUID|Limit|Offset)( \| None)?$")
_TAKEN = re.compile(r"^Annotated\[(int|str|bool|float)\b")
_APART = re.compile(
    r"(^|[/_])(seed|seeds|fixtures?|factories|factory|migrations|alembic|versions|scripts?|commands)([/_.]|$)"
)
# What a session or its connection may hold of the user or the tenant, so that equal statements have other answers.
_HELD = re.compile(
    r"\b(\w*session|connection|conn|db)\.info\b|\bset_config\(|\bcurrent_setting\(|\bwith_loader_criteria\b"
    r"|\bschema_translate_map\b|\bSET\s+((LOCAL|SESSION)\s+)?(app\.|search_path\b|ROLE\b)|\bSET\s+LOCAL\s+\w+\."
)
_PLAIN = frozenset({"list", "dict", "tuple", "int", "str", "float", "bool", "None", "Sequence", "Mapping", "Decimal"})


class Keepable(NamedTuple):
    """The key's parts as code, the only return, and what a kept answer is copied with ('' where it can't change)."""

    key: list[str]
    final: ast.Return
    copy: str


class Writer(NamedTuple):
    """A function that writes, and its last commit."""

    function: Function
    commit: ast.stmt


def keepable(case: Case, spot: Spot, known: Models, shared: bool = False) -> Keepable:
    """Raises Unwritable with what speaks against keeping the answer, in the process or `shared` by several."""
    function = spot.function
    assert function is not None
    if case.app.project.framework == "django" and not shared:
        raise Unwritable("in Django keep it by `cache.get_or_set` with a key of your own: querysets are lazy")
    refuse_writes(function)
    _refuse_context(case, spot, function)
    refuse_held(case)
    returns = [n for n in ast.walk(function) if isinstance(n, ast.Return)]
    final = function.body[-1]
    if len(returns) != 1 or not isinstance(final, ast.Return) or final.value is None:
        raise Unwritable(f"`{function.name}` does not end in one return")
    if any(isinstance(n, (ast.Yield, ast.YieldFrom)) for n in ast.walk(function)):
        raise Unwritable(f"`{function.name}` is a generator")
    return Keepable(_key(function, shared), final, _copy(case, function, known))


def _refuse_context(case: Case, spot: Spot, function: Function) -> None:
    own = sight.parameters(function) | names(function, ast.Store)
    if "self" in own or "cls" in own:
        raise Unwritable(f"`{function.name}` is a method: what its object holds is no part of a key")
    whose.refuse(case, spot.text, function)


def refuse_held(case: Case) -> None:
    """Raises Unwritable where the project gives sessions or connections something that answers may hang on."""
    for text in project.sources(case.root):
        held = None if project.is_test(case.root, text.path) else _HELD.search(text.text)
        if held:
            where = f"{text.path.relative_to(case.root).as_posix()} has `{held.group()}`"
            raise Unwritable(
                f"{where}: the answer may hang on the user or tenant that a session holds, which no key has"
            )


def _key(function: Function, shared: bool) -> list[str]:
    """As code: of an engine only what leads to it can be shared by processes."""
    found: list[str] = []
    for argument in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs):
        annotation = sight.annotation_of(function, argument.arg)
        if shared and _CLIENT.search(annotation):
            continue
        if _SESSION.search(annotation) and shared:
            url = f"{argument.arg}.get_bind().engine.url"
            found[:0] = [f"{url}.host", f"{url}.port", f"{url}.database"]
        elif _SESSION.search(annotation):
            # Another database has other answers: tests use several in one process.
            found.insert(0, f"{argument.arg}.get_bind().engine")
        elif _CONNECTION.search(annotation):
            raise Unwritable(f"which database `{argument.arg}` leads to can't be told for a key")
        elif shared and re.search(r"\b(bytes|UUID)\b", annotation):
            found.append(f"str({argument.arg})")
        elif _KEYS.match(annotation) or _TAKEN.match(annotation):
            found.append(argument.arg)
        else:
            said = f"`{annotation}`" if annotation else "of no known type"
            raise Unwritable(f"the argument `{argument.arg}` is {said}: it may not be fit for a key")
    if function.args.vararg or function.args.kwarg:
        raise Unwritable(f"`{function.name}` takes any arguments")
    if not found and not shared:
        raise Unwritable(f"`{function.name}` has no arguments: which database it reads can't be told for a key")
    return found


def _copy(case: Case, function: Function, known: Models) -> str:
    """`list` for a list. Raises Unwritable where the answer is, or may be, of mapped rows."""
    if function.returns is None:
        raise Unwritable(
            f"`{function.name}` doesn't say what it returns: rows that belong to a session must not be kept"
        )
    parts = [n for n in ast.walk(function.returns) if isinstance(n, (ast.Name, ast.Attribute))]
    parts = [n for n in parts if dotted(n)]
    for node in parts:
        name = last(dotted(node))
        if known.named(name):
            raise Unwritable(f"`{function.name}` returns `{name}` rows: they belong to a session and must not be kept")
        if name not in _PLAIN and project.class_named(case.root, name) is None:
            raise Unwritable(f"what `{name}` is, which `{function.name}` returns, can't be told")
    if dotted(function.returns) in ("list", "dict", "tuple", "Sequence", "Mapping"):
        raise Unwritable(
            f"`{function.name}` doesn't say what its {dotted(function.returns)} holds: mapped rows must not be kept"
        )
    outer = function.returns.value if isinstance(function.returns, ast.Subscript) else function.returns
    return dotted(outer) if dotted(outer) in ("list", "dict") else ""


def tables_of(case: Case) -> frozenset[str]:
    """What the finding's statement reads."""
    return tables(case.finding.subject)


def writers(case: Case, spot: Spot, known: Models) -> list[Writer]:
    """The functions that write to the tables, all in the file of the reader. Raises Unwritable for any other."""
    read = tables_of(case)
    if not read:
        raise Unwritable("which tables the statement reads can't be told: nor who writes to them")
    _refuse_traced(case, read)
    classes = {m.name for m in known if m.table in read}
    found: list[Writer] = []
    for text, function in _functions(case):
        if not _writes_to(function, classes | read):
            continue
        where = text.path.relative_to(case.root).as_posix()
        if where != spot.file:
            raise Unwritable(f"`{function.name}` in {where} writes to what is read: it would have to drop what is kept")
        found.append(Writer(function, _last_write(case, function)))
    return found


def _last_write(case: Case, function: Function) -> ast.stmt:
    """The statement after which what is kept is old: the last commit, for Django the last write."""
    if case.app.project.framework == "django":
        last_one = next(
            s for s in reversed(function.body) if any(writes(n) for n in ast.walk(s) if isinstance(n, ast.Call))
        )
        if any(isinstance(n, ast.Return) for s in function.body[:-1] for n in ast.walk(s)) or isinstance(
            last_one, ast.Return
        ):
            raise Unwritable(f"`{function.name}` writes to what is read, and may end before what is kept is dropped")
        return last_one
    commit = next((s for s in reversed(function.body) if _commits(s)), None)
    if commit is None:
        raise Unwritable(f"`{function.name}` writes to what is read, and commits elsewhere")
    return commit


def _refuse_traced(case: Case, read: frozenset[str]) -> None:
    for scene in case.app.scenes:
        for traced in scene.traced:
            for span in (s for t in traced.traces for s in statements.sent(t)):
                text = statements.text_of(span)
                written = tables(text) & read if not is_read(text) else frozenset()
                if written and not span.stack:
                    raise Unwritable(f"{scene.endpoint.key} writes to `{min(written)}` from a line that is not known")


def _functions(case: Case) -> Iterator[tuple[Source, Function]]:
    for text in project.sources(case.root):
        path = text.path.relative_to(case.root).as_posix()
        if not project.is_test(case.root, text.path) and not _APART.search(path):
            yield from ((text, f) for f in text.functions)


def _writes_to(function: Function, wanted: set[str] | frozenset[str]) -> bool:
    """Whether it writes, and mentions one of the classes or tables."""
    if not any(writes(n) for n in ast.walk(function) if isinstance(n, ast.Call)):
        return False
    words = {last(dotted(n)) for n in ast.walk(function) if isinstance(n, (ast.Name, ast.Attribute))}
    texts = [n.value for n in ast.walk(function) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    return bool(words & wanted) or any(
        re.search(rf"\b{re.escape(w)}\b", t) for w in wanted for t in texts if "\n" in t or " " in t
    )


def _commits(statement: ast.stmt) -> bool:
    calls = [n for n in ast.walk(statement) if isinstance(n, ast.Call)]
    return isinstance(statement, (ast.Expr, ast.With, ast.AsyncWith)) and any(
        last(dotted(c.func)) == "commit" for c in calls
    )
