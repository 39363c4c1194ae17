"""What became worse between two runs of a suite: new failures, tests that vanished, tests that are skipped now."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from perfcrew.core.experiments import SuiteRun

Ended = Literal["passed", "failed", "error", "skipped", "expected"]
"""`error`: in a fixture or while collecting; `expected`: failed as it was marked to."""


@dataclass(frozen=True)
class Cases:
    """How each test ended, by its id."""

    ended: Mapping[str, Ended]

    def of(self, *how: Ended) -> frozenset[str]:
        """Ids of the tests that ended so."""
        return frozenset(name for name, ended in self.ended.items() if ended in how)

    @property
    def passed(self) -> frozenset[str]:
        return self.of("passed", "expected")

    @property
    def failed(self) -> frozenset[str]:
        return self.of("failed", "error")

    @property
    def skipped(self) -> frozenset[str]:
        return self.of("skipped")


@dataclass(frozen=True)
class Tested:
    """A run of the suite. `cases` is None where single tests can't be told apart, so only the exit counts."""

    run: SuiteRun
    cases: Cases | None
    exit: int | None = None
    tail: str = ""

    @property
    def absent(self) -> bool:
        """Whether there is no suite to be run here, as opposed to one that did not come to its end."""
        broken_off = self.run.duration_s > 0 and (self.exit is None or self.exit < 0)
        return not self.run.ran and not broken_off

    @property
    def vouches_not(self) -> str:
        """Why it can't tell of a change: it did not run, or nothing of it passes as it is. Empty where it can."""
        if not self.run.ran:
            return f"not run: {self.run.said}"
        passes = not self.run.failed if self.cases is None else bool(self.cases.passed)
        return "" if passes else f"nothing of it passes before the change: {self.run.said}"


@dataclass(frozen=True)
class Worse:
    """What does not hold after a change and did before. `flaky`: what failed in one of two runs, and is no verdict."""

    failing: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    other: str = ""
    flaky: tuple[str, ...] = ()

    @property
    def why(self) -> str:
        """The reason to refuse the change; empty where the suite holds."""
        said = {
            "tests fail that passed before": self.failing,
            "tests vanished": self.vanished,
            "tests are skipped that ran before": self.skipped,
        }
        return self.other or "; ".join(f"{what}: {_some(names)}" for what, names in said.items() if names)


def compared(before: Tested, after: Tested) -> Worse:
    """What is worse in `after`, each run taken at its word."""
    if not after.run.ran:
        return Worse(other=f"the tests did not run to their end: {after.run.said or 'no result'}")
    if not before.run.ran:
        return Worse(failing=after.run.failed)
    if before.cases is None or after.cases is None:
        broke = after.run.failed and not before.run.failed
        lost = before.cases is not None and after.cases is None
        return Worse(other="the suite fails after the change" if broke else "no test reports any more" if lost else "")
    return _cases_compared(before, after, before.cases, after.cases)


def _cases_compared(before: Tested, after: Tested, old: Cases, new: Cases) -> Worse:
    failing = new.failed - old.failed
    gone = old.passed - frozenset(new.ended)
    command = not failing and not new.failed and after.exit and not before.exit
    return Worse(
        failing=tuple(sorted(failing)),
        vanished=tuple(sorted(gone)),
        skipped=tuple(sorted(old.passed & new.skipped)),
        other=f"the test command fails after the change though no test does: exit {after.exit}" if command else "",
    )


def worse(before: Tested, after: Tested) -> str:
    """Why the change does not pass: what fails, vanished or is skipped now and did not before; empty if it passes."""
    return compared(before, after).why


Again = Callable[[], Awaitable[Tested]]
"""Run the whole suite once more."""


async def confirmed(before: Tested, after: Tested, again_before: Again, again_after: Again) -> Worse:
    """The same, where tests fail anew, after a second run of the whole suite: what fails in both of them counts.

    Whole, since a change may let what one test leaves behind reach another: alone, each of them would pass. The base is
    asked again only for what failed twice, whole as well: a test that needs those before it fails alone on any side,
    and would be forgiven.
    """
    found = compared(before, after)
    if not found.failing or before.cases is None or after.cases is None:
        return found
    second = await again_after()
    still = frozenset(found.failing) - _did(second, "passed", "expected")
    if still:
        still -= _did(await again_before(), "failed", "error")
    new = _did(second, "failed", "error") - before.cases.failed
    flaky = (new | frozenset(found.failing)) - still
    return Worse(tuple(sorted(still)), found.vanished, found.skipped, found.other, tuple(sorted(flaky)))


def _did(run: Tested, *how: Ended) -> frozenset[str]:
    """The tests that ended so; none where the run did not come to its end, and so says nothing."""
    return run.cases.of(*how) if run.run.ran and run.cases is not None else frozenset()


def _some(names: Iterable[str]) -> str:
    shown = sorted(names)
    return ", ".join(shown[:4]) + (f" and {len(shown) - 4} more" if len(shown) > 4 else "")
