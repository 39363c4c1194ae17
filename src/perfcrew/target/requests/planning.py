"""A plan for each endpoint: candidates tried until enough are answered, listings before what needs their ids."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from perfcrew.core.errors import TargetFailed
from perfcrew.core.project import Project
from perfcrew.core.web import Endpoint, Plan
from perfcrew.target.client import Client
from perfcrew.target.requests import access_log, har
from perfcrew.target.requests.candidates import Candidate, Given, given, made
from perfcrew.target.requests.harvest import Harvest
from perfcrew.target.requests.paging import page_size_parameter
from perfcrew.target.requests.parameters import parameters
from perfcrew.target.requests.recorded import Recorded, learned
from perfcrew.target.requests.refusals import harmful_word, refusal
from perfcrew.target.requests.suppliers import suppliers
from perfcrew.target.requests.trying import Tried, tried

_FAILURES_AT_MOST = 6
TIME_USED_UP = "the time for looking for requests was used up before it was tried; raise [review] survey_s"


@dataclass
class _State:
    """What was tried of one endpoint so far."""

    endpoint: Endpoint
    refused: str = ""
    logged_count: int = 0
    accepted: list[Tried] = field(default_factory=list)
    failed: list[tuple[Candidate, Tried]] = field(default_factory=list)
    asked: set[tuple[str, str | None]] = field(default_factory=set)
    page_size: str | None = None
    is_over: bool = False
    is_late: bool = False
    """The time was over before all candidates were tried."""

    @property
    def is_unsure(self) -> bool:
        """Whether ids of later answers could do better."""
        if self.refused or self.is_over or "{" not in self.endpoint.path:
            return False
        return all(one.request.origin in ("default", "generated") for one in self.accepted)


@dataclass(frozen=True)
class Limits:
    """How much is tried."""

    per_endpoint: int = 5
    only: frozenset[str] | None = None
    """Keys of the endpoints that are wanted: others are asked for ids alone. None: all are wanted."""
    until: float = math.inf
    """On the monotonic clock: what is not tried by then says so."""


KeptUp = Callable[[], Awaitable[bool]]
"""Starts a target again that has ended or no longer answers; whether it had to."""

Told = Callable[[str, int, int], None]
"""Is told the endpoint under way, how many are done, and of how many."""


async def plan(
    project: Project,
    endpoints: Iterable[Endpoint],
    client: Client,
    limits: Limits = Limits(),
    told: Told = lambda what, done, total: None,
    kept_up: KeptUp | None = None,
) -> list[Plan]:
    """Find up to `limits.per_endpoint` different requests for each endpoint that the running target answers.

    Endpoints that only scenarios name are added; where no endpoint is known at all, recordings tell them. The plans
    come in the order of the endpoints. UsageError for a recording that can't be read, TargetFailed where the target
    stops listening and there is no `kept_up`, or that can't start it again.
    """
    recorded = _recordings(project)
    known = list(endpoints) or learned(recorded)
    wanted = given(project, known, recorded)
    states = [_State(e, _refusal(project, e, wanted), wanted.logged.get(e.key, 0)) for e in [*known, *wanted.added]]
    work = _Work(client, Harvest(client.base_url, [s.endpoint for s in states]), wanted, limits, told, kept_up)
    asked = [s for s in states if limits.only is None or s.endpoint.key in limits.only]
    await (work.everything(asked) if len(asked) == len(states) else work.some(asked, states))
    for state in asked:
        if not work.is_late:
            state.page_size = await page_size_parameter(client, state.endpoint, state.accepted)
    return [_plan(s) if limits.only is None or s.endpoint.key in limits.only else _unwanted(s) for s in states]


def _turn(state: _State) -> tuple[int, int, str]:
    """Listings before what needs their ids."""
    return state.endpoint.path.count("{"), _needs(state.endpoint), state.endpoint.path


def _needs(endpoint: Endpoint) -> int:
    """How many query parameters are required: values for them may stand in other answers, so those come first."""
    return sum(p.required for p in parameters(endpoint) if p.place == "query")


def _recordings(project: Project) -> list[Recorded]:
    workload = project.workload
    found = har.read(_below(project.root, workload.har)) if workload.har else []
    return found + (access_log.read(_below(project.root, workload.access_log)) if workload.access_log else [])


def _below(root: Path, name: str) -> Path:
    return root / Path(name).expanduser()


def _refusal(project: Project, endpoint: Endpoint, wanted: Given) -> str:
    """A scenario of the user's may ask what we would not dare to, but neither other methods nor what is excluded."""
    reason = refusal(project, endpoint)
    return "" if "asked only by a scenario" in reason and endpoint.key in wanted.scenarios else reason


@dataclass
class _Work:
    client: Client
    harvest: Harvest
    wanted: Given
    limits: Limits
    told: Told
    kept_up: KeptUp | None

    @property
    def is_late(self) -> bool:
        return time.monotonic() > self.limits.until

    async def everything(self, states: Sequence[_State]) -> None:
        """Each endpoint once, those before that others take ids from; then again what ids were not known for."""
        for number, state in enumerate(sorted(states, key=_turn)):
            self.told(state.endpoint.key, number, len(states))
            await self.exercise(state, self.limits.per_endpoint)
        for state in [s for s in states if s.is_unsure]:
            await self.improve(state)

    async def some(self, asked: Sequence[_State], states: Sequence[_State]) -> None:
        """The wanted ones, after those whose answers hold their ids: no more of these than it takes."""
        by_key = {s.endpoint.key: s for s in states}
        unsure = [s for s in asked if not s.refused and not self._is_given(s)]
        for one in suppliers([s.endpoint for s in unsure], [s.endpoint for s in states if not s.refused]):
            for supplier in one:
                self.told(f"{supplier.key}, for ids", 0, len(asked))
                await self.exercise(by_key[supplier.key], 1)
            for state in sorted(unsure, key=_turn):
                await self.improve(state)
            unsure = [s for s in unsure if s.is_unsure]
            if not unsure:
                break
        await self.everything(asked)

    def _is_given(self, state: _State) -> bool:
        return state.endpoint.key in self.wanted.scenarios or state.endpoint.key in self.wanted.recordings

    async def exercise(self, state: _State, limit: int) -> None:
        """Try candidates until enough were answered, or too many were not."""
        failures = 0
        for candidate in () if state.refused else self._candidates(state):
            if state.is_over or len(state.accepted) >= limit or failures >= _FAILURES_AT_MOST:
                return
            if self.is_late:
                state.is_late = True
                return
            key = (candidate.request.target, candidate.request.body)
            if key not in state.asked:
                state.asked.add(key)
                failures += not await self._ask(state, candidate)

    async def improve(self, state: _State) -> None:
        """Try again what only generated values, or none, were found for: what later answers told comes first."""
        before = state.accepted
        sure = [one for one in before if one.request.origin != "generated"]
        state.accepted = [*sure]
        await self.exercise(state, self.limits.per_endpoint)
        state.accepted = [*state.accepted, *(one for one in before if one not in sure)][: self.limits.per_endpoint]

    async def _ask(self, state: _State, candidate: Candidate) -> bool:
        one = await self._tried(candidate)
        if one.failure:
            state.failed.append((candidate, one.without_body()))
            state.is_over = one.is_final
            return False
        self.harvest.take(state.endpoint, one.request, one.answer)
        state.accepted.append(one.without_body())
        return True

    async def _tried(self, candidate: Candidate) -> Tried:
        """Try it; where it ends the target, or nothing is answered afterwards, that is its failure, not the others'."""
        try:
            one = await tried(self.client, candidate.request)
        except TargetFailed:
            if self.kept_up is None or not await self.kept_up():
                raise
            one = await tried(self.client, candidate.request)  # it may have been the one before that ended the target
        if one.answer.error is None or self.kept_up is None or not await self.kept_up():
            return one
        what = "no longer answered anything" if one.answer.timed_out else "ended"
        return replace(one, failure=f"the application {what} when this was asked", is_final=True)

    def _candidates(self, state: _State) -> Iterator[Candidate]:
        """The user's own requests alone, where there are any; else recordings, then made ones."""
        key = state.endpoint.key
        if key in self.wanted.scenarios:
            yield from self.wanted.scenarios[key]
            return
        for candidate in chain(self.wanted.recordings.get(key, ()), made(state.endpoint, self.harvest)):
            if not harmful_word(candidate.request.target.partition("?")[0]):
                yield candidate


def _plan(state: _State) -> Plan:
    return Plan(
        endpoint=state.endpoint,
        requests=tuple(one.request for one in state.accepted),
        fingerprints=tuple(one.fingerprint for one in state.accepted),
        page_size_parameter=state.page_size,
        skipped=_skipped(state),
        logged_count=state.logged_count,
        tried_ms=min((one.answer.elapsed_ms for one in state.accepted), default=None),
    )


def _unwanted(state: _State) -> Plan:
    return Plan(endpoint=state.endpoint, skipped=state.refused or "it was not asked for")


def _skipped(state: _State) -> str:
    if state.refused or state.accepted:
        return state.refused
    if state.is_late and not state.failed:
        return TIME_USED_UP
    if not state.failed:
        missing = [f"{{{p.name}}}" if p.place == "path" else p.name for p in parameters(state.endpoint) if p.required]
        return f"no value found for {', '.join(missing)}" if missing else "nothing to ask"
    by_reason: dict[str, list[dict[str, Any]]] = {}
    for candidate, one in state.failed:
        by_reason.setdefault(one.failure, []).append(candidate.values)
    return "; ".join(reason + _for(values) for reason, values in by_reason.items())


def _for(tried_values: list[dict[str, Any]]) -> str:
    """` for {book_id}=1, 2`: what was tried, so that the reader can see what would have to be given."""
    named = [values for values in tried_values if values]
    if not named:
        return ""
    if len(named[0]) == 1:
        name = next(iter(named[0]))
        return f" for {name}={', '.join(_short(values.get(name)) for values in named)}"
    return " for " + ", ".join(" ".join(f"{n}={_short(v)}" for n, v in values.items()) for values in named)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:37] + "..."
