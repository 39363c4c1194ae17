"""What the user asked to have compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from perfcrew.core.errors import UsageError
from perfcrew.experiment.engine import Rules


@dataclass(frozen=True)
class Wish:
    """What the user asked to have compared. Pairs hold A first."""

    root: Path
    revisions: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    callables: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    """`A:NAME=VALUE` or `B:NAME=VALUE`: environment variables of one side."""
    scenarios: tuple[str, ...] = ()
    own_figures: bool = False
    duet: bool = False
    answers_may_differ: bool = False
    """Sides that answer otherwise are judged all the same, and it is said."""
    timeout_s: float = 600.0
    python: str | None = None
    app: str | None = None
    rules: Rules = field(default_factory=Rules)


def variables(settings: Sequence[str], side: str) -> dict[str, str]:
    """The variables of a side: `A:NAME=VALUE`; without a side they are both's."""
    found = {}
    for setting in settings:
        at, colon, rest = setting.partition(":")
        mine, text = (at == side, rest) if colon and at in ("A", "B") else (True, setting)
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"--set {setting!r} names no variable", do="write --set A:NAME=VALUE --set B:NAME=VALUE")
        if mine:
            found[name] = value
    return found
