"""How long a call is tried: four requests, waits that grow unless the provider names one, and an end by the clock."""

from __future__ import annotations

import random

from tenacity import RetryCallState

from perfcrew.core.language import Calling
from perfcrew.crew.models import faults
from perfcrew.crew.models.breaking import Circuit
from perfcrew.crew.models.errors import AnswerUnusable, CallFailed, ModelFailed
from perfcrew.crew.models.faults import Fault
from perfcrew.crew.models.meter import Meter
from perfcrew.crew.models.settings import Choice


class Patience:
    """Of one call: what tenacity asks before it asks again."""

    def __init__(self, calling: Calling, circuit: Circuit, choice: Choice, meter: Meter) -> None:
        self._calling, self._circuit, self._choice, self._meter = calling, circuit, choice, meter
        left = meter.left_s()
        self._by_meter = left is not None and left < calling.deadline_s
        allowed = calling.deadline_s if left is None else min(left, calling.deadline_s)
        self._until = circuit.clock.now() + allowed

    def request_s(self) -> float:
        """How long the next request may take."""
        return max(0.0, min(self._calling.timeout_s, self._left_s()))

    def over(self) -> bool:
        """Whether the time is up, ours and not the provider's: a request that it ended says nothing of the provider."""
        return self._left_s() <= 0

    async def turn(self) -> None:
        """Wait until the provider may be asked again, if it told anybody to wait."""
        if self.over():
            raise self.failure(Fault(kind="too slow", said="the time for this call is over"), 0)
        owed = self._circuit.owed_s(self._choice)
        if owed > self._left_s():
            raise CallFailed(
                "rate limit", f"{self._choice.name} is to be asked again in {owed:.0f} s, which is too long"
            )
        if owed:
            await self._circuit.wait(self._choice, owed + random.uniform(0.0, min(1.0, owed / 4)))  # not all at once

    async def sleep(self, seconds: float) -> None:
        """Between two requests."""
        await self._circuit.wait(self._choice, seconds)

    def wait(self, state: RetryCallState) -> float:
        """Seconds until the next request: what the provider asked for, else between half and all of a growing bound."""
        error = state.outcome.exception() if state.outcome else None
        if error is None or isinstance(error, AnswerUnusable):
            return 0.0
        asked = faults.of(error).wait_s
        bound = min(self._calling.most_wait_s, self._calling.first_wait_s * 2 ** (state.attempt_number - 1))
        return asked or bound * random.uniform(0.5, 1.0)  # a time that is over already names none

    def stop(self, state: RetryCallState) -> bool:
        """Whether enough was tried, or the wait would pass the deadline."""
        return state.attempt_number >= self._calling.attempts or state.upcoming_sleep > self._left_s()

    def failure(self, fault: Fault, tries: int) -> ModelFailed:
        """The error that a call ends with."""
        if self._by_meter and self.over():
            return self._meter.late()
        status = f" {fault.status}" if fault.status else ""
        times = f"{tries} request{'' if tries == 1 else 's'}"
        owed = f" (it asks to wait {fault.wait_s:,.0f} s)" if (fault.wait_s or 0.0) > self._left_s() else ""
        what = f"{self._choice.name}: {fault.kind}{status} after {times}{owed}: {fault.said}"
        return CallFailed(fault.kind, what, where=self._choice.host, do=TO_DO.get(fault.kind, ""), tries=tries)

    def _left_s(self) -> float:
        return self._until - self._circuit.clock.now()


TO_DO = {
    "key refused": "check the key's variable; `perfcrew doctor --models` tries it",
    "no credit": "see to the account, or name another model under [models] in perfcrew.toml",
    "no such model": "correct the model's name under [models] in perfcrew.toml",
    "not allowed": "ask for access to this model, or name another one under [models] in perfcrew.toml",
    "no connection": "see whether this machine reaches the provider; base_url is under [models.providers]",
    "offline": "leave out --offline, or name a server on this machine",
    "rate limit": "try later, or name a second model under [models] in perfcrew.toml",
}
