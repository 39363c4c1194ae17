"""Where something happened: the culprit's line, and the line of the application that leads there."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from perfcrew.core.trace import Frame
from perfcrew.core.web import Place
from perfcrew.rules import source

_FOREIGN = frozenset(
    {"site-packages", "dist-packages", "node_modules", ".venv", "venv", "env", ".tox", ".nox", "__pypackages__"}
)

_ANONYMOUS = re.compile(r"(?:\.<locals>)?\.<(?:listcomp|setcomp|dictcomp|genexpr|lambda)>")


class Site(NamedTuple):
    """A call site. `trigger` is set where the culprit's line is not one of the application's own Python lines."""

    place: Place
    trigger: Place | None

    @property
    def in_function(self) -> tuple[str, str]:
        return self.place.file, self.place.function

    @property
    def on_line(self) -> tuple[str, int]:
        return self.place.file, self.place.line


@lru_cache(maxsize=8192)
def below(root: Path, file: str) -> Path | None:
    """The file's path relative to the root, None where it lies elsewhere."""
    try:
        return Path(file).relative_to(root) if Path(file).is_absolute() else Path(file)
    except ValueError:
        return None


def is_application(root: Path, file: str) -> bool:
    """Whether the file is the target's own: below its root, and not in an environment that lies there too."""
    relative = below(root, file)
    return relative is not None and not _FOREIGN.intersection(relative.parts)


def place(root: Path, frame: Frame) -> Place:
    """The frame as a place, relative to the root where it lies below it."""
    relative = below(root, frame.file)
    return Place(file=relative.as_posix() if relative else frame.file, line=frame.line, function=named(frame))


def named(frame: Frame) -> str:
    """The frame's function; a comprehension or lambda goes by the name of the function around it."""
    return _ANONYMOUS.sub("", frame.function)


def own(root: Path, stack: Sequence[Frame]) -> list[Frame]:
    """The frames of the application's Python files, innermost first."""
    return [f for f in stack if f.file.endswith(".py") and is_application(root, f.file)]


def site(root: Path, stack: Sequence[Frame], handler: Place | None = None) -> Site | None:
    """The call site that a stack shows; the handler stands in where nothing of the application is on the stack."""
    if not stack:
        return Site(handler, None) if handler else None
    application = own(root, stack)
    culprit = stack[0]
    if application and application[0] is culprit:
        return Site(place(root, culprit), None)
    return Site(place(root, culprit), place(root, application[0]) if application else handler)


def loop_above(root: Path, stack: Sequence[Frame]) -> Place | None:
    """The innermost line of the application within a loop, where that isn't the culprit's line itself."""
    for frame in own(root, stack):
        code = source.read(frame.file)
        if code and code.in_loop(frame.line):
            return None if frame is stack[0] else place(root, frame)
    return None


def caller(root: Path, stack: Sequence[Frame]) -> Place | None:
    """The innermost line of the application in another file than the culprit's."""
    other = (f for f in own(root, stack) if f.file != stack[0].file)
    found = next(other, None)
    return place(root, found) if found else None


def text(root: Path, at: Place) -> source.Source | None:
    """The source of the file that a place lies in."""
    return source.read(root / at.file)


def answering(root: Path, handler: Place | None) -> Place | None:
    """The handler's only `return` of something, else the handler."""
    code = text(root, handler) if handler else None
    function = code.function_at(handler.line) or code.function_named(handler.function) if handler and code else None
    if handler is None or function is None:
        return handler
    returns = [n for n in source.inside(function) if isinstance(n, ast.Return) and n.value is not None]
    return handler.model_copy(update={"line": returns[0].lineno}) if len(returns) == 1 else handler
