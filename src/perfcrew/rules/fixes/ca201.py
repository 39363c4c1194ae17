"""CA201: the answer of the function that reads is kept: for a bounded time, at most so many, keyed by its arguments.

In the process; or, where the project has a client of Redis or Django's cache, there, for all processes alike.

Declined where the answer hangs on more than the arguments, where it is made of mapped rows (they belong to a session),
and where the application writes to the tables in a place that can't be told to drop what is kept.
"""

from __future__ import annotations

import ast

from perfcrew.core.patches import Declined, Fix
from perfcrew.rules.fixes import imports, keepable, lifetime, models, shared_cache, sight
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Edits, Unwritable
from perfcrew.rules.fixes.keepable import Keepable, Writer
from perfcrew.rules.fixes.outcomes import Draft, attempt
from perfcrew.rules.fixes.places import Spot, locate
from perfcrew.rules.source import Function
from perfcrew.target.workers import workers

AT_MOST = 128
_CLASS = '''
class {name}:
    """Answers for a bounded time, at most so many of them: the oldest go first."""

    def __init__(self, seconds: float, at_most: int) -> None:
        self._seconds, self._at_most = seconds, at_most
        self._entries: {ordered}[{hashable}, tuple[float, {any}]] = {ordered}()
        self._lock = {threading}.Lock()

    def get(self, key: {hashable}) -> {any}:
        until, value = self._entries.get(key, (0.0, None))
        return value if {time}.monotonic() < until else None

    def put(self, key: {hashable}, value: {any}) -> None:
        with self._lock:
            self._entries.pop(key, None)
            self._entries[key] = ({time}.monotonic() + self._seconds, value)
            while len(self._entries) > self._at_most:
                self._entries.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()


{kept} = {name}(seconds={seconds}, at_most={at_most})
'''
_OLD = "Answers are up to {seconds} s old, in each process on its own; several may renew one at the same time."
_UNSEEN = "No write to {tables} was found in the application: what others write shows {seconds} s later at most."


def fix(case: Case) -> list[Fix | Declined]:
    """In the process first where one serves, in the shared cache first where several do."""
    deployed = workers(case.app.project)
    several = shared_cache.several_processes(case.app.project.start) or (deployed is not None and deployed.count > 1)
    return attempt(
        case,
        "keep",
        lambda: kept(case)._replace(lower=2.0 if several else 0.0),
        lambda: shared_cache.kept(case)._replace(lower=0.0 if several else 1.0),
    )


def kept(case: Case) -> Draft:
    """Raises Unwritable with what speaks against it."""
    spot = locate(case, case.finding.place)
    if spot.function is None:
        raise Unwritable("the rows are not read within a function, whose answer could be kept")
    known = models.read(case.root)
    what = keepable.keepable(case, spot, known)
    writers = keepable.writers(case, spot, known)
    seconds = lifetime.seconds(case, told=bool(writers))
    edits = Edits(spot.text)
    scope = spot.text.tree
    name = sight.free_name(scope, f"_{spot.function.name.strip('_')}_kept")
    _write(edits, spot, spot.function, what, name, seconds)
    for writer in writers:
        edits.after(writer.commit, f"{name}.clear()")
    files = {spot.file: edits.result()}
    title = f"Keep the answer of {spot.function.name} for {seconds} s"
    return Draft("kept in the process", title, files, _risks(case, writers, seconds), ttl_s=seconds)


def _risks(case: Case, writers: list[Writer], seconds: int) -> tuple[str, ...]:
    old = f"{_OLD.format(seconds=seconds)} {lifetime.said(case)}"
    if writers:
        return (old,)
    named = ", ".join(f"`{t}`" for t in sorted(keepable.tables_of(case)))
    return (old, _UNSEEN.format(tables=named, seconds=seconds))


def _write(edits: Edits, spot: Spot, function: Function, what: Keepable, kept: str, seconds: int) -> None:
    names = {
        "ordered": imports.bring(edits, "collections", "OrderedDict"),
        "hashable": imports.bring(edits, "collections.abc", "Hashable"),
        "any": imports.bring(edits, "typing", "Any"),
        "threading": imports.bring(edits, "threading"),
        "time": imports.bring(edits, "time"),
    }
    known = any(isinstance(s, ast.ClassDef) and s.name == "_Kept" for s in spot.text.tree.body)
    code = _CLASS.format(name="_Kept", kept=kept, seconds=seconds, at_most=AT_MOST, **names)
    above = next(s for s in spot.text.tree.body if any(n is function for n in ast.walk(s)))
    edits.before(above, "\n" + (code.strip().splitlines()[-1] if known else code.rstrip()), apart=False)
    _look_up(edits, function, what, kept)


def _look_up(edits: Edits, function: Function, what: Keepable, kept: str) -> None:
    key = sight.free_name(function, "key", "kept_as")
    value, found = sight.free_name(function, "answer", "value"), sight.free_name(function, "known", "found")
    parts = ", ".join(what.key)
    written = f"({parts},)" if len(what.key) == 1 else f"({parts})"
    body = [s for s in function.body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
    copied = f"{what.copy}({{}})" if what.copy else "{}"
    edits.before(
        body[0],
        f"{key} = {written}\n{found} = {kept}.get({key})\nif {found} is not None:\n    return {copied.format(found)}",
    )
    assert what.final.value is not None
    edits.replace(
        what.final,
        f"{value} = {edits.code(what.final.value)}\n{kept}.put({key}, {value})\nreturn {copied.format(value)}",
    )
