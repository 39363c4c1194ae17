"""The time of a run: the survey has its own, and the stages that measure share theirs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

WEIGHTS = {
    "baseline": 4.5,
    "traces": 2.2,
    "payload": 0.4,
    "plans": 1.0,
    "vectors": 0.4,
    "profile": 1.0,
    "neighbour": 0.8,
    "startup": 0.1,
    "workload": 0.6,
}
"""Parts of the time for measuring, in the order of the stages. The baseline's are of all its instances together."""

BASELINE_SHARE = WEIGHTS["baseline"] / sum(WEIGHTS.values())

_BESIDE = {"memory": "traces", "allocations": "traces"}
"""What runs beside another stage, in that one's time."""


@dataclass
class Budget:
    """Seconds for looking for requests, and for measuring. Measuring begins when the survey ends.

    A stage is given its part of what is left when it begins, so that what one does not need goes to the later ones.
    """

    measuring_s: float
    survey_s: float
    stages: Iterable[str] = tuple(WEIGHTS)
    clock: Callable[[], float] = time.monotonic
    _end: float | None = field(default=None, repr=False)

    @property
    def survey_limit_s(self) -> float:
        """The survey is never given more than the measuring: who asks for a short review means all of it."""
        return min(self.survey_s, self.measuring_s)

    def begin(self) -> None:
        """Measuring begins now. A run that is resumed after its survey begins when it is first asked for its time."""
        self._end = self.clock() + self.measuring_s

    @property
    def end(self) -> float:
        """When measuring is over, on the clock."""
        if self._end is None:
            self.begin()
        assert self._end is not None
        return self._end

    def spent(self) -> bool:
        """Whether the time for measuring is used up."""
        return self.clock() > self.end

    def until(self, stage: str) -> float:
        """When a stage that begins now is over, on the clock; a stage that has no part goes on to the end."""
        name = _BESIDE.get(stage, stage)
        if name not in WEIGHTS:
            return self.end
        names = list(WEIGHTS)
        later = sum(WEIGHTS[n] for n in names[names.index(name) :] if n in (name, *self.stages))
        now = self.clock()
        return now + max(0.0, self.end - now) * WEIGHTS[name] / later
