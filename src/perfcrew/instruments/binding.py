"""A statement as a driver sent it, with the values that the probe recorded, made ready for another driver.

Refuses: values that were not recorded, which would plan another statement than the application's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from perfcrew.core.errors import ToolFailed
from perfcrew.core.sql import shape, with_marks

Engine = Literal["sqlite", "postgresql", "mysql"]

CUT_CHARS = 200
"""The probe cuts text at this length."""

_STYLES = {
    "dollar": re.compile(r"\$\d+\Z"),
    "format": re.compile(r"%s\Z"),
    "pyformat": re.compile(r"%\(\w+\)s\Z"),
    "numbered": re.compile(r"\?\d*\Z"),
    "named": re.compile(r":\w+\Z"),
}
_BY_POSITION = {
    "sqlite": ("numbered", "dollar", "format", "named"),
    "postgresql": ("dollar", "format", "named"),
    "mysql": ("format", "numbered", "named"),
}
_BY_NAME = ("pyformat", "named")
_HERE = "\x00"
_APART = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/", re.DOTALL)


@dataclass(frozen=True)
class Bound:
    """A statement in the style of sqlite3 (`?`) or of psycopg and PyMySQL (`%s`), its values in order, and a doubt.

    psycopg is to write the values into the text (ClientCursor): a literal has the type that its place asks for, where
    a parameter needs one of its own, and `GROUP BY f(%s)` is then the same expression as the one selected.
    """

    text: str
    values: tuple[Any, ...]
    shape: str
    doubt: str = ""
    """Why a timed run would not do what the application's did; empty where it would."""


def engine_of(clone: str) -> Engine:
    """The engine of a clone, as statements are bound for it."""
    return "postgresql" if clone == "postgresql" else "mysql" if clone == "mysql" else "sqlite"


def bind(statement: str, parameters: object, engine: Engine) -> Bound:
    """Rewrite each driver's placeholders (`$1`, `%s`, `%(name)s`, `?`, `?1`, `:name`) for sqlite3 or psycopg.

    `parameters` is what the probe recorded: a list, a mapping, or None. Raises ToolFailed where a value is missing.
    """
    if ";" in _APART.sub("", statement).rstrip("; \t\r\n"):
        raise refused(statement, "several statements in one text", "send them one by one")
    style = _style(statement, parameters, engine)
    writer = _Writer(statement, parameters, engine, style)
    text = with_marks(statement, writer.replace).rstrip("; \t\r\n")
    if style in ("format", "pyformat") or (not style and parameters is not None):
        text = text.replace("%%", "%")
    text = text.replace(_HERE, "?") if engine == "sqlite" else text.replace("%", "%%").replace(_HERE, "%s")
    return Bound(text, tuple(writer.values), shape(statement), _doubt(writer.values))


def refused(statement: str, why: str, do: str = "") -> ToolFailed:
    """The error for a statement that can't be planned; it holds no values."""
    return ToolFailed(f"the statement can't be explained: {why}", where=shape(statement)[:500], do=do)


class _Writer:
    """Takes each mark's value, and leaves a sign where it goes."""

    def __init__(self, statement: str, parameters: object, engine: Engine, style: str) -> None:
        self.statement, self.parameters, self.engine, self.style = statement, parameters, engine, style
        self.values: list[Any] = []
        self._count = 0

    def replace(self, _: int, mark: str) -> str:
        if not self.style or not _STYLES[self.style].match(mark):
            return mark  # an operator of the engine, such as jsonb's `?`, that looks like a placeholder
        value = self._value(mark)
        if isinstance(value, list) and (self.engine != "postgresql" or self._expands(mark)):
            return "(" + ", ".join(self._put(one) for one in value) + ")"
        return self._put(value)

    def _put(self, value: Any) -> str:
        self.values.append(value)
        return _HERE

    def _expands(self, mark: str) -> bool:
        """psycopg2 writes a tuple as `(1, 2)` for `IN %s`; lists elsewhere are arrays."""
        before_a_mark = rf"\bIN\s+{re.escape(mark)}"
        return self.style in ("format", "pyformat") and bool(re.search(before_a_mark, self.statement, re.IGNORECASE))

    def _value(self, mark: str) -> Any:
        if isinstance(self.parameters, Mapping):
            name = mark.strip("%:()")
            name = name.removesuffix(")s") if self.style == "pyformat" else name
            found = name in self.parameters
            value = self.parameters[name] if found else None
        else:
            number = re.sub(r"\D", "", mark) if self.style != "format" else ""
            at = int(number) - 1 if number else self._count
            self._count += 1
            given = self.parameters if isinstance(self.parameters, Sequence) else ()
            found = 0 <= at < len(given)
            value = given[at] if found else None
        if not found:
            raise refused(
                self.statement, f"no value was recorded for {mark}", "statements of many values are cut short"
            )
        return value


def _style(statement: str, parameters: object, engine: Engine) -> str:
    """The style of the statement's placeholders, "" where it has none."""
    if not parameters:
        return _found(statement, _BY_POSITION[engine][:2] if engine == "sqlite" else ("dollar",))
    return _found(statement, _BY_NAME if isinstance(parameters, Mapping) else _BY_POSITION[engine])


def _found(statement: str, styles: Sequence[str]) -> str:
    marks: list[str] = []
    with_marks(statement, lambda _, mark: marks.append(mark) or mark)  # type: ignore[func-returns-value]
    return next((style for style in styles if any(_STYLES[style].match(mark) for mark in marks)), "")


def _doubt(values: Sequence[Any]) -> str:
    flat = [one for value in values for one in (value if isinstance(value, list) else [value])]
    if any(value is None for value in flat):
        return "a value of the statement is null or was not recorded"
    if any(isinstance(value, str) and len(value) >= CUT_CHARS for value in flat):
        return f"a value of the statement was cut at {CUT_CHARS} characters"
    return ""
