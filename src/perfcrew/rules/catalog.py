"""Lists and explains the rules from their docstrings, without importing them: `perfcrew rules` answers at once."""

from __future__ import annotations

import os
import re
from collections import namedtuple

from perfcrew.core.errors import UsageError

FILE = re.compile(r"[a-z]{2}\d{3}_\w+\.py")
_HEAD = 8000
"""Characters that are read of a rule's file: its documentation stands at the beginning."""
_DOC = re.compile(r'\s*"""(.*?)"""', re.DOTALL)

# typing.NamedTuple would cost the import of typing in the command that must answer at once.
Entry = namedtuple("Entry", ("id", "title", "summary", "doc", "path"))
Entry.__doc__ = (
    """A rule: its id, its title in one line, what it costs in one line, its whole documentation, its file."""
)


def entries() -> list[Entry]:
    """Every rule, in order of its id."""
    folder = os.path.dirname(__file__)
    return [_entry(os.path.join(folder, name)) for name in sorted(os.listdir(folder)) if FILE.fullmatch(name)]


def explain(rule: str) -> str:
    """The documentation of one rule. Raises UsageError for an id that isn't one, and names the known ones."""
    known: dict[str, str] = {entry.id: entry.doc for entry in entries()}
    try:
        return known[rule.upper()]
    except KeyError:
        raise UsageError(f"no rule {rule!r}", do=f"known rules: {', '.join(known)}") from None


def _entry(path: str) -> Entry:
    with open(path, encoding="utf-8") as file:
        match = _DOC.match(file.read(_HEAD))
    if match is None:
        raise UsageError("a rule without its documentation", where=path, do="begin the file with a docstring")
    doc = match.group(1).strip()
    head, _, rest = doc.partition("\n")
    rule, _, title = head.partition(": ")
    cost = re.search(r"What it costs: (.*?)(?:\n[A-Z]|\Z)", rest, re.DOTALL)
    return Entry(rule, title.rstrip("."), " ".join(cost.group(1).split()) if cost else "", doc, path)
