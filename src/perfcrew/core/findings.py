"""Findings and hypotheses: what was seen, what it costs, and what could be changed."""

from __future__ import annotations

import hashlib
from typing import Literal

from perfcrew.core.base import Noun
from perfcrew.core.prose import Prose
from perfcrew.core.web import Place

Level = Literal["info", "low", "medium", "high"]
LEVELS: tuple[Level, ...] = ("info", "low", "medium", "high")


class Share(Noun):
    """The estimated part of the endpoint's cost that goes with the finding: fraction 0–1 of `of`."""

    fraction: float
    of: Literal["latency", "cpu", "startup", "memory", "bytes", "neighbours"] = "latency"
    basis: str = ""
    """How it was estimated, in words: `time of the repeated statements over the traced request`."""


class Scores(Noun):
    """DOCTRINE Phase 3: each 1 (poor) to 5 (good); effort, risk and reversibility already turned so that 5 is good."""

    impact: int
    evidence: int
    effort: int
    risk: int
    reversibility: int
    learning: int

    @property
    def total(self) -> int:
        return self.impact * 3 + self.evidence * 2 + self.effort + self.risk * 2 + self.reversibility + self.learning


class Hypothesis(Noun):
    """`Changing X improves Y by about Z %`. `improvement` is a fraction of the metric, 0–1, with its basis."""

    id: str
    change: str
    metric: str
    improvement: float | None
    because: str
    kind: Literal["configuration", "code", "schema", "infrastructure"]
    recipe: str
    """What to do, in Markdown, with the code that would be written."""
    scores: Scores
    alternatives: tuple[str, ...] = ()
    trade_offs: str = ""
    rollback: str = ""


class Finding(Noun):
    """One costly pattern at one place. `prose` says what was seen and what it costs, with its figures."""

    rule: str
    title: str
    level: Level
    endpoint: str | None
    """Key of the endpoint, None for the application as a whole."""
    place: Place
    trigger: Place | None = None
    """The application's line that leads there, where the culprit is in a template, a serializer or a library."""
    prose: Prose
    evidence: tuple[str, ...]
    share: Share | None = None
    confidence: float
    """0–1: how sure it is that this is the pattern, not how costly it is."""
    subject: str = ""
    """What tells two findings of one rule at one place apart: the statement's shape, the URL's template."""
    also: tuple[str, ...] = ()
    """Further endpoints where the same place shows the same pattern."""
    hypotheses: tuple[Hypothesis, ...] = ()
    status: Literal["open", "ignored", "acknowledged"] = "open"
    status_reason: str = ""

    @property
    def id(self) -> str:
        """Stable over runs and moved lines: rule, file, function and subject."""
        text = "|".join((self.rule, self.place.file, self.place.function, self.subject))
        return f"{self.rule}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


PROPOSED = "900"
"""What the rule of a finding ends with that no rule recognised: a model brought it up."""


def is_proposed(finding: Finding) -> bool:
    """Whether a model brought it up: its rule is none of the rule book's."""
    return finding.rule.endswith(PROPOSED)
