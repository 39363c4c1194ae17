"""Changes that could be tried: a patch or a setting for one hypothesis, or why there is none."""

from __future__ import annotations

from typing import Literal

from perfcrew.core.base import Noun


class Fix(Noun):
    """One variant of a change, ready to be applied in a worktree."""

    kind: Literal["fix"] = "fix"
    finding: str
    """Id of the finding that it answers."""
    hypothesis: str
    """Id of the finding's hypothesis that it carries out."""
    variant: str
    """What tells it from other variants of the hypothesis: `selectinload`, `one IN`."""
    title: str
    """One line in the imperative, as a commit's subject."""
    files: dict[str, str | None] = {}
    """Path relative to the repository's root → the whole new text; None removes the file."""
    settings: dict[str, str] = {}
    """Environment variables of the target: a configuration that is tried without a patch."""
    ddl: tuple[str, ...] = ()
    """Statements that its files hold and nothing of the project's runs: they are run on the clones of its side."""
    metrics: tuple[str, ...] = ("latency",)
    """Metrics that it is meant to improve, the first one first."""
    exact: bool = True
    """Whether answers must stay as they are. A bound on a listing changes them on purpose, and says so."""
    ttl_s: float = 0.0
    """For a cache: how long an answer may be old."""
    settles_requests: int = 0
    """For a bound: after so many requests what it bounds is full, and grows no more."""
    pays: tuple[str, ...] = ()
    """Exact counts that it pays with at its own endpoint, such as `cache.round_trips` for what a cache is asked."""
    trade_offs: tuple[str, ...] = ()
    rank: float = 0.0
    """Higher is tried earlier: the hypothesis' score, lowered for the riskier variants."""


class Declined(Noun):
    """Why no safe change could be written by rule; the recipe stays."""

    kind: Literal["declined"] = "declined"
    finding: str
    hypothesis: str
    reason: str
