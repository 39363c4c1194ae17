"""The circuit: what all specialists of a run know of a provider, so that an outage is waited for once.

Closed, requests go through. After some failures one after the other, of whomever, it is open: requests are refused at
once, and those who sleep before another try are woken to be refused. After a while one request may look; it closes the
circuit, or the while begins again. A refused key opens it for the rest of the run. A time that a provider asks for
(`retry-after`) is kept by all, not only by the one who was told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from perfcrew.crew.models.errors import ProviderDown
from perfcrew.crew.models.faults import DOWN, LASTING, Fault
from perfcrew.crew.models.settings import Choice


@dataclass
class Clock:
    """Time, and how it is waited for; a test's own passes at once."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


@dataclass
class _Place:
    """What is known of one provider at one address."""

    failures: int = 0
    opened: float | None = None
    looking: bool = False
    """Whether one request is under way to see if it is up again."""
    not_before: float = 0.0
    last: Fault | None = None
    lasting: dict[str, Fault] = field(default_factory=dict)
    """By model, or for all of them under the empty name."""
    woken: asyncio.Event = field(default_factory=asyncio.Event)


class Circuit:
    """Shared by all specialists of one run, which has one event loop."""

    def __init__(self, failures: int, cooldown_s: float, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self._most, self._cooldown_s = failures, cooldown_s
        self._places: dict[str, _Place] = {}

    def admit(self, choice: Choice) -> None:
        """Before a request. ProviderDown where it would meet what others have just met."""
        place = self._place(choice)
        lasting = place.lasting.get("") or place.lasting.get(choice.model)
        if lasting:
            raise _down(choice, lasting, "nothing more is sent in this run")
        if place.opened is None:
            return
        if place.looking or self.clock.now() - place.opened < self._cooldown_s:
            raise _down(choice, place.last, "it counts as down for a while")
        place.looking = True
        place.woken.clear()

    def went_well(self, choice: Choice) -> None:
        """An answer came."""
        place = self._place(choice)
        place.failures, place.opened, place.looking = 0, None, False
        place.woken.clear()

    def went_wrong(self, choice: Choice, fault: Fault) -> None:
        """A request failed."""
        place = self._place(choice)
        place.last = fault
        if fault.wait_s is not None and fault.again:
            place.not_before = max(place.not_before, self.clock.now() + fault.wait_s)
        if fault.kind in LASTING:
            place.lasting["" if fault.kind in ("key refused", "no credit") else choice.model] = fault
        place.failures = place.failures + 1 if fault.kind in DOWN else 0
        if place.failures >= self._most or (place.looking and fault.kind in DOWN):
            place.opened = self.clock.now()
            place.woken.set()
        place.looking = False

    def given_up(self, choice: Choice) -> None:
        """A request was cancelled: it says nothing of the provider."""
        self._place(choice).looking = False

    def owed_s(self, choice: Choice) -> float:
        """How long nobody is to ask, because the provider said so."""
        return max(0.0, self._place(choice).not_before - self.clock.now())

    async def wait(self, choice: Choice, seconds: float) -> None:
        """Sleep, unless the circuit opens meanwhile."""
        woken = self._place(choice).woken
        sleeping = asyncio.ensure_future(self.clock.sleep(seconds))
        watching = asyncio.ensure_future(woken.wait())
        try:
            await asyncio.wait((sleeping, watching), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            watching.cancel()

    def _place(self, choice: Choice) -> _Place:
        return self._places.setdefault(choice.place, _Place())


def _down(choice: Choice, fault: Fault | None, what: str) -> ProviderDown:
    kind = fault.kind if fault else "unknown"
    return ProviderDown(kind, f"{choice.name}: {kind}; {what}", where=choice.host, tries=0)
