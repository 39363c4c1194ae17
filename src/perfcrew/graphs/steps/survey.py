"""Which endpoints there are, how each is asked, and which of them this run is about."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from perfcrew.core.errors import NothingToReview, PerfcrewError, TargetFailed, UsageError
from perfcrew.core.evidence import Log, NotMeasured, Survey
from perfcrew.core.trace import Function
from perfcrew.core.web import Plan
from perfcrew.graphs.budget import BASELINE_SHARE
from perfcrew.graphs.context import Context, Instance
from perfcrew.instruments import traces
from perfcrew.settings import Measuring
from perfcrew.target import requests, scope
from perfcrew.target.environment import environment_of
from perfcrew.target.routes import RoutesFound, routes
from perfcrew.target.scope import Changes

QUICK_SHARE = 0.5
"""Of the survey's time: one request to each endpoint, which shows which of them execute what changed."""


async def survey(context: Context) -> None:
    """Start the target once, list its endpoints, find requests that it answers, and settle the scope."""
    if context.has("survey"):
        return context.budget.begin()
    context.progress("survey").note("starting the application and listing its endpoints")
    changes = _changes(context)
    async with context.started("survey", parts=("spans", "functions") if changes else ()) as instance:
        listed = await _listed(context, instance)
        looking = _Looking(context, instance, listed, time.monotonic())
        found = await _changed(looking, changes) if changes else await _asked(looking)
    found = _bounded(slowest_first(found, context.settings.measuring), context.settings.measuring.endpoint_limit)
    for plan in found.plans:
        if plan.skipped and plan.endpoint.key not in found.out_of_scope:
            _not_measured(context, plan)
    context.put("survey", found, context.method("perfcrew survey"))
    context.budget.begin()
    if not context.plans:
        raise _nothing(context, found, listed.notes)
    budget_s, count = context.budget.measuring_s, len(context.plans)
    context.progress("survey").note(f"{count} of {len(found.plans)} endpoints are measured, in {budget_s:g} s at most")


def _changes(context: Context) -> Changes | None:
    """What changed, None where the scope is another one, or nothing did: then everything is reviewed."""
    if context.wanted.scope != "changed":
        return None
    changes = scope.changed_lines(context.root, context.wanted.base or context.config.review.base)
    if changes.any:
        return changes
    context.progress("survey").note(f"everything is reviewed: {changes.reason or 'nothing changed'}")
    return None


async def _listed(context: Context, instance: Instance) -> RoutesFound:
    project = context.project
    told = environment_of(project, instance.clone, instance.running.redis.environment)
    listed = await routes(project, instance.client, clone=instance.clone, environment=told)
    for note in listed.notes:
        context.progress("survey").note(note)
    return listed


@dataclass(frozen=True)
class _Looking:
    """For requests, on one instance, within the survey's time."""

    context: Context
    instance: Instance
    listed: RoutesFound
    since: float

    async def plans(
        self, only: Iterable[str] | None = None, *, most: int | None = None, share: float = 1
    ) -> list[Plan]:
        """At most so many requests an endpoint, by the time that the share of the survey's time is over."""
        context, measuring = self.context, self.context.settings.measuring
        progress = context.progress("survey")
        progress.until = self.since + context.budget.survey_limit_s * share
        limits = requests.Limits(
            per_endpoint=most or measuring.requests_per_endpoint,
            only=None if only is None else frozenset(only),
            until=progress.until,
        )

        async def kept_up() -> bool:
            return await context.kept_up(self.instance)

        endpoints, client = self.listed.endpoints, self.instance.client
        return await requests.plan(context.project, endpoints, client, limits, progress.note, kept_up)


async def _asked(looking: _Looking) -> Survey:
    """Everything, or the endpoints that the user named; of the others only those that ids are taken from are asked."""
    wanted = looking.context.wanted
    if wanted.scope != "endpoint":
        return Survey(plans=tuple(await looking.plans()))
    plans = tuple(await looking.plans(wanted.endpoints))
    keys = [p.endpoint.key for p in plans]
    asked_for = _known(wanted.endpoints, keys)
    return Survey(plans=plans, out_of_scope=tuple(k for k in keys if k not in asked_for))


async def _changed(looking: _Looking, changes: Changes) -> Survey:
    """One request to each endpoint tells what it executes; more are looked for where that changed."""
    first = await looking.plans(most=1, share=QUICK_SHARE)
    executed = await _executed(looking.instance, first)
    handlers = {p.endpoint.key: p.endpoint.handler for p in first}
    changed = scope.changed_endpoints(changes, executed, looking.context.root, handlers)
    better = {p.endpoint.key: p for p in await looking.plans(changed)} if changed else {}
    plans = tuple(better[p.endpoint.key] if p.endpoint.key in changed else p for p in first)
    untried = {p.endpoint.key for p in plans if p.skipped == requests.TIME_USED_UP}
    beside = tuple(p.endpoint.key for p in plans if p.endpoint.key not in {*changed, *untried})
    return Survey(plans=plans, changed=changed, out_of_scope=beside)


async def _executed(instance: Instance, plans: Sequence[Plan]) -> Mapping[str, Sequence[Function]]:
    """The functions that one request to each endpoint really executes."""
    assert instance.probe_dir is not None
    sent = {}
    for plan in (p for p in plans if p.measurable):
        trace = secrets.token_hex(16)
        await instance.client.send(plan.requests[0], trace=trace, record_functions=True)
        sent[trace] = plan.endpoint.key
    found = await traces.functions(instance.probe_dir, sent)
    return {key: found.get(trace, ()) for trace, key in sent.items()}


MOST_OF_ALL = 0.2
"""Of the time for the baseline: an endpoint that alone would take more comes after all others."""


def slowest_first(found: Survey, measuring: Measuring) -> Survey:
    """The plans as they are where the time suffices for all; else the slowest of the survey first.

    What costs most is what a review is for. But one that would take much of the time alone is left to the end.
    """
    time_s = measuring.budget_s * BASELINE_SHARE
    wanted = [p for p in found.plans if p.measurable and p.endpoint.key not in found.out_of_scope]
    if sum(_baseline_s(p, measuring) for p in wanted) <= time_s:
        return found

    def turn(plan: Plan) -> tuple[bool, float]:
        return _baseline_s(plan, measuring) > MOST_OF_ALL * time_s, -(plan.tried_ms or 0.0)

    return found.model_copy(update={"plans": tuple(sorted(found.plans, key=turn))})


def _baseline_s(plan: Plan, measuring: Measuring) -> float:
    """About how long the baseline of an endpoint takes: two loads on each instance, and the requests of the warm-up."""
    each_s = max(measuring.seconds, measuring.minimum_requests * (plan.tried_ms or 0.0) / 1e3)
    return measuring.runs * (2 * each_s + 3 * (plan.tried_ms or 0.0) / 1e3)


def _bounded(found: Survey, limit: int) -> Survey:
    """At most so many endpoints are measured; the others say why they are not."""
    left, plans = limit, []
    for plan in found.plans:
        if plan.measurable and plan.endpoint.key not in found.out_of_scope:
            left -= 1
            if left < 0:
                plan = plan.model_copy(update={"skipped": f"beyond the first {limit} ([review] endpoint_limit)"})
        plans.append(plan)
    return found.model_copy(update={"plans": tuple(plans)})


def _known(wanted: Sequence[str], keys: Sequence[str]) -> set[str]:
    for key in wanted:
        if key not in keys:
            near = ", ".join(keys[:12])
            raise UsageError(f"no endpoint {key!r}", do=f"write it as the application does: {near}")
    return set(wanted)


def _not_measured(context: Context, plan: Plan) -> None:
    status = next(
        (int(word) for word in plan.skipped.replace(",", " ").split() if word.isdigit() and len(word) == 3), None
    )
    key = plan.endpoint.key
    context.put(f"not measured/{key}", NotMeasured(reason=plan.skipped, status=status), context.method("perfcrew"), key)


def _nothing(context: Context, found: Survey, notes: Sequence[str]) -> PerfcrewError:
    if context.wanted.scope == "changed" and len(found.out_of_scope) == len(found.plans):
        return NothingToReview(
            "nothing to review: no endpoint executes what changed",
            do="review everything with --all, or name a --base",
        )
    reasons = sorted({f"{p.endpoint.key}: {p.skipped}" for p in found.plans if p.skipped})[:8]
    return TargetFailed(
        "no endpoint could be measured" + "".join(f"\n    {r}" for r in (*notes, *reasons)),
        command=context.frame.project.start,
        tail=_tail(context),
        do="if they want a login, set [auth] in perfcrew.toml; if they want values, add [[scenarios]]",
    )


def _tail(context: Context) -> str:
    """How the target's log ends: it may say why it answers nothing that can be measured."""
    log = context.ledger.slot(context.run, "log/survey")
    return "\n".join(log.body.tail.splitlines()[-20:]) if log and isinstance(log.body, Log) else ""
