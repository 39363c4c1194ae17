"""Cards and policies: who takes part in a workflow, with which rules, question and budget."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from perfcrew import rooms
from perfcrew.core.base import Noun, parsed
from perfcrew.core.errors import UsageError

LEDGER = "ledger"
"""A tool of a card that is no instrument."""


class Budget(Noun):
    """What a specialist may spend with a model: calls, tokens of all of them, seconds."""

    calls: int
    tokens: int
    seconds: int
    evidence: int = 8000
    """Tokens of evidence in its prompt; it may read more of it by its tools."""


class Card(Noun):
    """A specialist: front matter as coding assistants read it, and rules, question, budget; the body is its charter."""

    name: str
    description: str
    tools: tuple[str, ...]
    model: str
    rules: tuple[str, ...]
    question: str
    budget: Budget
    charter: str


class Experiments(Noun):
    """How changes are tried. Seconds, and fractions; `most` counts experiments, `variants` those of one hypothesis."""

    budget_s: float
    trial_s: float
    most: int
    variants: int
    margin: float
    error: float
    suite_s: float
    allow: tuple[str, ...] = ()
    """Globs of files that are off limits and may be changed all the same, such as `requirements.txt`."""
    untested: bool = False
    """Whether a change may be kept where the project has no tests that could speak against it."""


class Policy(Noun):
    """A workflow: who takes part, which instruments run, how often a report may be sent back."""

    name: str
    specialists: tuple[str, ...]
    reviewer: str
    instruments: tuple[str, ...]
    rewrites: int
    specialist_seconds: float
    load_steps: tuple[float, ...] | None = None
    experiments: Experiments | None = None
    """None: nothing is changed."""


def card(name: str, project: Path | None = None) -> Card:
    """The card of that name. UsageError says which file is wrong, and how."""
    file = f"agents/{name}.md"
    front, body = _split(rooms.read(file, project), file)
    found = parsed(Card, {**front, "charter": body.strip()}, file)
    known = {Path(n).stem for n in rooms.names("tools", project, "*.yaml")} | {LEDGER}
    unknown = set(found.tools) - known
    if unknown:
        raise UsageError(f"no tool {sorted(unknown)[0]!r}", where=file, do=f"known: {', '.join(sorted(known))}")
    return found


def policy(name: str, project: Path | None = None) -> Policy:
    """The policy of that name, its specialists' cards all there."""
    file = f"workflows/{name}.yaml"
    found = parsed(Policy, rooms.mapping(rooms.read(file, project), file), file)
    for member in (*found.specialists, found.reviewer):
        rooms.find(f"agents/{member}.md", project)
    for instrument in found.instruments:
        rooms.find(f"tools/{instrument}.yaml", project)
    return found


def _split(text: str, file: str) -> tuple[dict[str, Any], str]:
    parts = text.split("---\n", 2)
    if len(parts) != 3 or parts[0].strip():
        raise UsageError("no front matter", where=file, do="begin the card with `---`, keys, `---`")
    return rooms.mapping(parts[1], file), parts[2]
