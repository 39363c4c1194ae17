"""Experiments: what was to be shown, written down before it ran, what came of it, and what stands at the end."""

from __future__ import annotations

from typing import Literal

from perfcrew.core.base import Noun
from perfcrew.core.findings import Hypothesis
from perfcrew.core.patches import Declined

Decision = Literal["keep", "discard", "iterate"]
"""`iterate`: this variant is dropped, and the next one of the same hypothesis is tried."""


class Proposals(Noun):
    """What could be tried for one finding, best first, and what was declined with its reason."""

    kind: Literal["proposals"] = "proposals"
    finding: str
    variants: tuple[str, ...] = ()
    """Titles of the changes, in the order in which they are tried."""
    declined: tuple[Declined, ...] = ()


class Trial(Noun):
    """An experiment as written down before it ran. The change is in the blob `diff`."""

    kind: Literal["trial"] = "trial"
    number: int
    finding: str
    endpoint: str
    variant: str
    title: str
    hypothesis: Hypothesis
    metric: str
    """The metric that it aims at."""
    expected_share: float | None
    """The improvement that the hypothesis promises, as a fraction of the metric."""
    evidence: tuple[str, ...]
    """What the hypothesis rests on."""
    success: str
    failure: str
    stopping: str
    budget_s: float
    margin_share: float
    error_share: float
    base_commit: str
    files: tuple[str, ...] = ()
    settings: dict[str, str] = {}
    ddl: tuple[str, ...] = ()
    """Statements that were run on the clones of its side, since the project has no tool for migrations."""
    ttl_s: float = 0.0
    """How old answers may be by it, at most; 0 where it keeps none."""
    settles_requests: int = 0
    """After so many requests what it bounds is full; 0 where it bounds nothing."""
    pays: tuple[str, ...] = ()
    """Exact counts that may grow at its endpoint: the price that it names beforehand."""
    untested: bool = False
    """Whether it may be kept where no test of the project's can speak against it."""
    trade_offs: tuple[str, ...] = ()


class TrialStep(Noun):
    """One step of an experiment. `passed` is None where there was nothing to do, which is said."""

    name: Literal["apply", "checks", "tests", "answers", "footprint", "measure"]
    passed: bool | None
    said: str
    evidence: str | None = None
    seconds: float = 0.0


class Outcome(Noun):
    """What came of an experiment. The comparisons are evidence of their own, one an endpoint."""

    kind: Literal["outcome"] = "outcome"
    trial: str
    """Evidence id of the trial."""
    number: int
    finding: str
    decision: Decision
    why: str
    steps: tuple[TrialStep, ...]
    comparisons: tuple[str, ...] = ()
    """Evidence ids, that of the endpoint aimed at first."""
    trade_offs: tuple[str, ...] = ()
    commit: str | None = None
    """Of the kept change on the result branch."""
    seconds: float = 0.0
    """What it took of the time that all experiments have."""


class SuiteRun(Noun):
    """A run of the project's own tests. `ran` is False where there is no suite or it could not run: never a pass."""

    kind: Literal["suite"] = "suite"
    ran: bool
    command: tuple[str, ...]
    passed_count: int = 0
    failed: tuple[str, ...] = ()
    skipped_count: int = 0
    duration_s: float = 0.0
    said: str = ""
    commit: str = ""


class Kept(Noun):
    """All kept changes together against the base. The blob `patch` holds them as one diff."""

    kind: Literal["kept"] = "kept"
    base_commit: str
    head_commit: str
    branch: str
    outcomes: tuple[str, ...]
    """Evidence ids of the outcomes that were kept, in the order in which they stack."""
    comparisons: tuple[str, ...]
    steps: tuple[TrialStep, ...] = ()
    whole: bool
    """Whether all together hold against the base: no regression, tests and answers as before."""
    why: str = ""
