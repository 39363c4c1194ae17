"""The meter: what models have cost, per specialist and in the run, and the end of it at a limit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

from perfcrew.core.spending import Limits, Price, Spent, Tokens, both, dollars
from perfcrew.crew.models.errors import LimitReached

Tell = Callable[[Spent, Spent], None]
"""Is given what the asker has spent until now, and what the run has."""


class Meter:
    """Counts calls, requests, tokens and money; `of` gives each specialist its own, whose counts are in the run's too.

    Safe in threads and tasks. Limits hold for the meter and all above it; a call that may pass them is not begun, and
    one that is under way is let end, so that at most one answer of each specialist lies over a limit of tokens.
    Seconds are those in which at least one call is under way: an experiment between two calls takes none of them.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        who: str = "run",
        *,
        now: Callable[[], float] = time.monotonic,
        tell: Tell | None = None,
        above: Meter | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.who = who
        self._now, self._tell, self._above = now, tell, above
        self._lock: threading.RLock = above._lock if above else threading.RLock()
        self._spent = Spent(who=who)
        self._under_way = 0
        self._since = 0.0
        self._expected = 0
        self._parts: dict[str, Meter] = {}

    def begin(self, before: Iterable[Spent], tell: Tell) -> None:
        """What was spent before the run was interrupted counts against its limits; `tell` is told of each answer."""
        with self._lock:
            for one in before:
                self._spent = both(self._spent, one)
            self._tell = tell

    def of(self, who: str, limits: Limits | None = None) -> Meter:
        """The meter of a specialist; the same one when asked again."""
        with self._lock:
            if who not in self._parts:
                self._parts[who] = Meter(limits, who, now=self._now, above=self)
            return self._parts[who]

    @property
    def spent(self) -> Spent:
        """Until now."""
        return self._spent

    @property
    def rows(self) -> tuple[Spent, ...]:
        """Each specialist's, then the whole: what the report shows."""
        with self._lock:
            return (*(part.spent for part in self._parts.values()), self._spent)

    def admit(self, expected_tokens: int = 0) -> None:
        """Begin a call that will read about so many tokens. LimitReached where a limit, here or above, says no."""
        with self._lock:
            for meter in self._chain():
                meter._refuse(expected_tokens)
            for meter in self._chain():
                meter._spent = meter._spent.model_copy(update={"calls": meter._spent.calls + 1})
                meter._expected += expected_tokens
                meter._count(1)

    def over(self, expected_tokens: int = 0) -> None:
        """The call that `admit` began has ended, whatever came of it."""
        with self._lock:
            for meter in self._chain():
                meter._expected -= expected_tokens
                meter._count(-1)

    def sent(self) -> None:
        """One request goes over the wire."""
        with self._lock:
            for meter in self._chain():
                meter._spent = meter._spent.model_copy(update={"requests": meter._spent.requests + 1})

    def took(self, tokens: Tokens, price: Price | None, model: str) -> None:
        """An answer came, usable or not: it is paid for."""
        with self._lock:
            for meter in self._chain():
                meter._spent = meter._spent.plus(tokens, price, model)
            own, run = self._spent, self._chain()[-1]
        if run._tell:
            run._tell(own, run.spent)

    def calls_left(self) -> int | None:
        """How many calls the tightest limit still allows; None without one."""
        with self._lock:
            left = [m.limits.calls - m._spent.calls for m in self._chain() if m.limits.calls is not None]
        return min(left, default=None)

    def left_s(self) -> float | None:
        """How long calls may still take, by the tightest limit of seconds; None without one."""
        with self._lock:
            left = [m.limits.seconds - m._waited_s() for m in self._chain() if m.limits.seconds is not None]
        return min(left, default=None)

    def late(self) -> LimitReached:
        """The error of a call that was ended because the time was over."""
        return self._reached("seconds", "the time is over, and what was under way is ended")

    def _chain(self) -> list[Meter]:
        return [self] + (self._above._chain() if self._above else [])

    def _refuse(self, expected: int) -> None:
        limits, spent = self.limits, self._spent
        if limits.calls is not None and spent.calls >= limits.calls:
            raise self._reached("calls", f"{spent.calls:,} of {limits.calls:,} calls are made")
        if limits.tokens is not None and spent.tokens.total + self._expected + expected > limits.tokens:
            raise self._reached("tokens", self._tokens(limits.tokens, expected))
        if limits.money_usd is not None and spent.money_usd >= limits.money_usd:
            over = f", {dollars(spent.money_usd - limits.money_usd)} over it"
            raise self._reached("money", f"{dollars(spent.money_usd)} of {dollars(limits.money_usd)} are spent{over}")
        if limits.seconds is not None and self._waited_s() >= limits.seconds:
            late = self._waited_s() - limits.seconds
            raise self._reached("seconds", f"{limits.seconds:.0f} s for models are over, by {late:.1f} s")

    def _tokens(self, most: int, expected: int) -> str:
        used = self._spent.tokens.total
        if used >= most:
            return f"{used:,} of {most:,} tokens are used, {used - most:,} over it"
        under_way = f", {self._expected:,} are under way" if self._expected else ""
        over = used + self._expected + expected - most
        next_one = f"the next question has about {expected:,}, {over:,} too many"
        return f"{used:,} of {most:,} tokens are used{under_way}, and {next_one}"

    def _waited_s(self) -> float:
        return self._spent.seconds + (self._now() - self._since if self._under_way else 0.0)

    def _count(self, change: int) -> None:
        """A call more, or less, is under way."""
        self._spent, self._since = self._spent.model_copy(update={"seconds": self._waited_s()}), self._now()
        self._under_way += change

    def _reached(self, limit: str, what: str) -> LimitReached:
        whose = "its card's" if self._above else "the run's"
        return LimitReached(limit, f"{whose} limit of {limit} is reached: {what}", where=self.who)
