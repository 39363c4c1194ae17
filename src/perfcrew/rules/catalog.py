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


_PROPOSED = """{rule}: what a language model brought up, and no rule recognises.

It is no rule: a finding with this id was written by a model, {field}. Ids that end in 900 are all of this kind.
What it costs: the finding's own text says it; each of its numbers is a figure of the evidence that it cites.
Seen as: the model read that evidence and your source, by tools that keep what they showed. Its answer was taken only
with a file and line that exist, evidence that the gate accepts, and three to six hypotheses; what a change would gain
it can't promise, that is measured.
Not this: a pattern that a rule knows. What a rule recognised keeps that rule's id, and no model can make it disappear.
Instead: read its hypotheses; `perfcrew optimize ID` asks for changes and tries them, as it does with a rule's.
Confidence: as the model said it; the reviewer may doubt it, or strike it where the evidence refutes it.
Limits: another run, or another model, may not bring it up. Its id stays the same for the same place and title, so
`# perfcrew: ignore[{rule}] reason=…` silences it in place. docs/crew.md tells the whole.
"""
_FIELDS = {
    "CA": "in the field of caches",
    "DB": "in the field of the database",
    "HT": "in the field of calls to other services",
    "RT": "in the field of code, memory and waiting",
    "CR": "in a field that has no rules of its own",
}
PROPOSED = tuple(f"{field}900" for field in _FIELDS)
"""Ids of what models bring up."""


def explain(rule: str) -> str:
    """The documentation of one rule. Raises UsageError for an id that isn't one, and names the known ones."""
    known: dict[str, str] = {entry.id: entry.doc for entry in entries()}
    if rule.upper() in PROPOSED:
        return _PROPOSED.format(rule=rule.upper(), field=_FIELDS[rule[:2].upper()]).strip()
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
