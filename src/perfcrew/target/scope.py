"""What changed since a revision, and which endpoints execute it.

The lines come from git (`changed_lines`), what is executed from a traced run; this brings the two together. It refuses
to guess: an endpoint counts only for a reason that it names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from perfcrew.core.trace import Function
from perfcrew.core.web import Place
from perfcrew.target.scope_git import Changes, changed_lines
from perfcrew.target.scope_source import Source, Statement, source, stands_for

__all__ = ["Changes", "changed_endpoints", "changed_lines"]


def changed_endpoints(
    changes: Changes,
    executed: Mapping[str, Sequence[Function]],
    root: Path,
    handlers: Mapping[str, Place | None] | None = None,
) -> dict[str, tuple[str, ...]]:
    """What of the changes each endpoint executes, as `function (file:line)`; endpoints that execute none are left out.

    An endpoint counts when a function that it executed changed; when a line of a module or class outside functions
    changed and it executed a function of that file, or one elsewhere that imports and mentions what changed; when a
    template or SQL file changed that an executed function, or its class, names. Handlers count unexecuted too.
    Templates that are included by other templates are not followed.
    """
    sources = _Sources(root.resolve(), changes)
    found = {}
    for key in {**executed, **(handlers or {})}:
        functions = [*executed.get(key, ()), *sources.handler((handlers or {}).get(key))]
        reasons = dict.fromkeys(reason for function in functions for reason in sources.reasons(function))
        if reasons:
            found[key] = tuple(reasons)
    return found


@dataclass
class _Sources:
    """The files that were executed or changed, read once each."""

    root: Path
    changes: Changes
    _known: dict[str, Source] = field(default_factory=dict)
    _reasons: dict[Function, tuple[str, ...]] = field(default_factory=dict)

    def handler(self, handler: Place | None) -> Iterator[Function]:
        """The function or class that begins where the handler stands."""
        for one in self._of(self._relative(handler.file)).definitions if handler else ():
            if handler and one.first_line == handler.line:
                name = handler.function or one.name
                yield Function(file=handler.file, first_line=one.first_line, last_line=one.last_line, name=name)

    def reasons(self, function: Function) -> tuple[str, ...]:
        """Why this function counts as changed; empty where it does not."""
        if function not in self._reasons:
            # a module executed in a request was imported on first use, which is not the request's own work
            self._reasons[function] = () if function.name == "<module>" else tuple(self._found(function))
        return self._reasons[function]

    def _found(self, function: Function) -> Iterator[str]:
        file = self._relative(function.file)
        if Path(file).is_absolute() or "site-packages" in Path(file).parts:
            return  # a library's, which the project's diff can't touch
        lines = self.changes.files.get(file, frozenset())
        own = [line for line in range(function.first_line, function.last_line + 1) if line in lines]
        if own or (lines and not file.endswith(".py")):  # the lines of a compiled template are not those of its file
            yield f"{function.name} ({file}:{own[0] if own else min(lines)})"
        for changed in self.changes.files:
            if changed.endswith(".py"):
                yield from self._used(function, file, changed)
            elif self._names(function, file, changed):
                yield f"{changed} (named in {function.name})"

    def _used(self, function: Function, file: str, changed: str) -> Iterator[str]:
        """Changed lines outside functions: of the function's own file, or of another whose names it mentions."""
        lines = self.changes.files[changed]
        for statement in self._of(changed).statements:
            line = min((n for n in lines if statement.first_line <= n <= statement.last_line), default=None)
            if line is not None and self._depends(function, file, changed, statement):
                yield f"{', '.join(statement.names) or 'module level'} ({changed}:{line})"

    def _depends(self, function: Function, file: str, changed: str, statement: Statement) -> bool:
        if file == changed and not statement.is_import:
            return True
        code = self._of(file)
        words = {word for line, word in code.words if function.first_line <= line <= function.last_line}
        if file == changed:
            return not words.isdisjoint(statement.names)
        return any(words & stands_for(one, file, changed, statement.names) for one in code.imports)

    def _names(self, function: Function, file: str, changed: str) -> bool:
        """Whether the function or its class names the changed file, by the end of its path at least."""
        code = self._of(file)
        first, last = code.around(function)
        texts = (text for line, text in code.texts if first <= line <= last and "." in text)
        return any(f"/{changed}".endswith("/" + text.lstrip("/")) for text in texts)

    def _relative(self, file: str) -> str:
        path = Path(file)
        if path.is_absolute() and not path.is_relative_to(self.root):
            path = path.resolve()
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)

    def _of(self, file: str) -> Source:
        if file not in self._known:
            path = self.root / file
            readable = path.suffix == ".py" and path.is_file()
            self._known[file] = source(path.read_text("utf-8", "replace")) if readable else Source()
        return self._known[file]
