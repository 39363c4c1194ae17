"""Which endpoints there are, how each is asked, and which of them this run is about."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

from perfcrew.core.errors import NothingToReview, PerfcrewError, Unmeasurable, UsageError
from perfcrew.core.evidence import NotMeasured, Survey
from perfcrew.core.trace import Function
from perfcrew.core.web import Plan
from perfcrew.graphs.context import Context, Instance
from perfcrew.instruments import traces
from perfcrew.target import requests, scope
from perfcrew.target.environment import environment_of
from perfcrew.target.routes import RoutesFound, routes


async def survey(context: Context) -> None:
    """Start the target once, list its endpoints, find requests that it answers, and settle the scope."""
    if context.has("survey"):
        return
    context.progress("survey").note("starting the application and listing its endpoints")
    parts = ("spans", "functions") if context.wanted.scope == "changed" else ()
    async with context.started("survey", parts=parts) as instance:
        listed = await _listed(context, instance)
        plans = await _plans(context, instance, listed)
        executed = await _executed(instance, plans) if parts else {}
    found = _bounded(_scoped(context, plans, executed), context.settings.measuring.endpoint_limit)
    for plan in found.plans:
        if plan.skipped and plan.endpoint.key not in found.out_of_scope:
            _not_measured(context, plan)
    context.put("survey", found, context.method("perfcrew survey"))
    if not context.plans:
        raise _nothing(context, found, listed.notes)


async def _listed(context: Context, instance: Instance) -> RoutesFound:
    project = context.project
    listed = await routes(project, instance.client, environment=environment_of(project, instance.clone))
    for note in listed.notes:
        context.progress("survey").note(note)
    return listed


async def _plans(context: Context, instance: Instance, listed: RoutesFound) -> list[Plan]:
    context.progress("survey").note(f"looking for requests to {len(listed.endpoints)} endpoints")
    limit = context.settings.measuring.requests_per_endpoint
    return await requests.plan(context.project, listed.endpoints, instance.client, limit_per_endpoint=limit)


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


def _scoped(context: Context, plans: Sequence[Plan], executed: Mapping[str, Sequence[Function]]) -> Survey:
    keys = [p.endpoint.key for p in plans]
    wanted = context.wanted
    if wanted.scope == "endpoint":
        return Survey(
            plans=tuple(plans), out_of_scope=tuple(k for k in keys if k not in _known(wanted.endpoints, keys))
        )
    if wanted.scope == "changed":
        changes = scope.changed_lines(context.root, wanted.base or context.config.review.base)
        if changes.any:
            handlers = {p.endpoint.key: p.endpoint.handler for p in plans}
            changed = scope.changed_endpoints(changes, executed, context.root, handlers)
            return Survey(plans=tuple(plans), changed=changed, out_of_scope=tuple(k for k in keys if k not in changed))
        context.progress("survey").note(f"everything is reviewed: {changes.reason or 'nothing changed'}")
    return Survey(plans=tuple(plans))


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
    return Unmeasurable(
        "no endpoint could be measured" + "".join(f"\n    {r}" for r in (*notes, *reasons)),
        do="if they want a login, set [auth] in perfcrew.toml; if they want values, add [[scenarios]]",
    )
