"""A plan for each endpoint: candidates tried until enough are answered, listings before what needs their ids."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

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
from perfcrew.target.requests.trying import Tried, tried

_FAILURES_AT_MOST = 6


@dataclass
class _State:
    """What was tried of one endpoint so far."""

    endpoint: Endpoint
    refused: str = ""
    accepted: list[Tried] = field(default_factory=list)
    failed: list[tuple[Candidate, Tried]] = field(default_factory=list)
    asked: set[tuple[str, str | None]] = field(default_factory=set)
    page_size: str | None = None
    is_over: bool = False

    @property
    def is_unsure(self) -> bool:
        """Whether ids of later answers could do better."""
        if self.refused or self.is_over or "{" not in self.endpoint.path:
            return False
        return all(one.request.origin in ("default", "generated") for one in self.accepted)


async def plan(
    project: Project, endpoints: Iterable[Endpoint], client: Client, *, limit_per_endpoint: int = 5
) -> list[Plan]:
    """Find up to `limit_per_endpoint` different requests for each endpoint that the running target answers.

    Endpoints that only scenarios name are added; where no endpoint is known at all, recordings tell them. The plans
    come in the order of the endpoints. UsageError for a recording that can't be read, TargetFailed where the target
    stops listening.
    """
    recorded = _recordings(project)
    known = list(endpoints) or learned(recorded)
    wanted = given(project, known, recorded)
    states = [_State(e, _refusal(project, e, wanted)) for e in [*known, *wanted.added]]
    work = _Work(client, Harvest(client.base_url, [s.endpoint for s in states]), wanted, limit_per_endpoint)
    for state in sorted(states, key=lambda s: (s.endpoint.path.count("{"), _needs(s.endpoint), s.endpoint.path)):
        await work.exercise(state)
    for state in [s for s in states if s.is_unsure]:
        await work.improve(state)
    for state in states:
        state.page_size = await page_size_parameter(client, state.endpoint, state.accepted)
    return [_plan(state) for state in states]


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
    limit: int

    async def exercise(self, state: _State) -> None:
        """Try candidates until enough were answered, or too many were not."""
        failures = 0
        for candidate in () if state.refused else self._candidates(state):
            if state.is_over or len(state.accepted) >= self.limit or failures >= _FAILURES_AT_MOST:
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
        await self.exercise(state)
        state.accepted = [*state.accepted, *(one for one in before if one not in sure)][: self.limit]

    async def _ask(self, state: _State, candidate: Candidate) -> bool:
        one = await tried(self.client, candidate.request)
        if one.failure:
            state.failed.append((candidate, one.without_body()))
            state.is_over = one.is_final
            return False
        self.harvest.take(state.endpoint, one.request, one.answer)
        state.accepted.append(one.without_body())
        return True

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
    )


def _skipped(state: _State) -> str:
    if state.refused or state.accepted:
        return state.refused
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
