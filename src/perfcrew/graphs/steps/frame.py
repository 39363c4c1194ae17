"""Phase 0: what is reviewed, held to what, and everything that was assumed."""

from __future__ import annotations

import difflib
import json

from perfcrew.core.errors import UsageError
from perfcrew.core.evidence import Frame
from perfcrew.core.metrics import METRICS
from perfcrew.core.project import Project, Workload
from perfcrew.core.targets import Profile
from perfcrew.graphs.context import Context
from perfcrew.graphs.steps.capacity import ASSUMED_EACH_S
from perfcrew.instruments.environment import measure_environment
from perfcrew.target.clone import dropper
from perfcrew.target.config import FILE
from perfcrew.target.hints import redact

UNTESTED = (
    "no test suite was found, so no change can be kept: set [target] tests in perfcrew.toml, or `untested: true` under "
    "`experiments` in the workflow"
)


async def frame(context: Context) -> None:
    """Detect the target and write down the frame and the environment."""
    metric = primary_metric(context.config.frame.primary_metric, context.settings.profile)
    context.progress("frame").note("finding out what the project is")
    context.registry.sweep(dropper(context.project))
    trying = context.policy.experiments
    if trying is not None and not trying.untested and not context.project.tests:
        context.progress("frame").note(UNTESTED)  # now, and not after minutes of measuring
    if not context.has("frame"):
        context.put("frame", _framed(context, context.project, metric), context.method("perfcrew detect"))
    if not context.has("environment"):
        context.put("environment", await measure_environment(context.project), context.method("perfcrew"))


def primary_metric(given: str | None, profile: Profile) -> str:
    """The metric that the effort is judged by: the one given, else that of the profile's first target.

    Raises UsageError where nothing measures the one given.
    """
    own = dict.fromkeys(t.metric for t in profile.targets)
    known = [*own, *(name for name in METRICS if name not in own)]
    if given is None or given in known:
        return given or known[0]
    near = difflib.get_close_matches(given, known, n=1, cutoff=0.5)
    do = f"did you mean {near[0]}?" if near else f"known are: {', '.join(known)}"
    raise UsageError(f"{FILE}: frame.primary_metric: nothing measures {given!r}", do=do)


def _framed(context: Context, project: Project, metric: str) -> Frame:
    settings, said = context.settings, context.config.frame
    return Frame(
        project=without_secrets(project),
        profile=settings.profile,
        primary_metric=metric,
        context=context.redacted(said.context or ""),
        constraints=tuple(context.redacted(one) for one in said.constraints),
        scope=context.wanted.scope,
        base=context.wanted.base,
        assumptions=tuple(_assumptions(project, context, metric)),
        settings=settings.measuring.model_dump(mode="json"),
    )


def _assumptions(project: Project, context: Context, metric: str) -> list[str]:
    """What nobody said, and was therefore taken for granted."""
    found = [f"{d.key}: {d.value} ({d.why}, from {d.source})" for d in project.detected if d.key not in _PLAIN]
    found += peak_assumptions(project.workload, context.settings.profile)
    found += _shares(project)
    if context.config.frame.primary_metric is None:
        found.append(f"the primary metric is not given: it is {metric}, that of the profile's first target")
    found.append(f"the targets are those of the profile {context.settings.profile.name}")
    return found


def peak_assumptions(workload: Workload, profile: Profile) -> list[str]:
    """Where the expected peak is from, unless it is given."""
    if workload.peak_rps:
        return []
    users, of = (workload.users, "") if workload.users else (profile.users, f" of the profile {profile.name}")
    half = "half of the measured capacity is taken for it"
    if not users:
        return [f"the expected peak is not given: {half}"]
    each = f"{workload.request_every_s or ASSUMED_EACH_S:g} s" + ("" if workload.request_every_s else ", as assumed")
    by = f"the expected peak is that of {users} users{of}, each with a request every {each}"
    return [f"{by}; where only a part of the endpoints is reviewed, {half}"]


def _shares(project: Project) -> list[str]:
    if project.workload.shares or any(s.share for s in project.scenarios):
        return []
    if project.workload.access_log:
        return [
            "the shares of the endpoints are not given: they are as often asked as the access log has them, which has "
            "reads alone; where it has none of those measured, each counts the same"
        ]
    return ["the shares of the endpoints are not given: each endpoint counts the same"]


_PLAIN = ("environment", "tests", "frontend", "python", "name")


def without_secrets(project: Project) -> Project:
    """The project as it may be kept: variables by name, their values only where they are no secrets."""
    hidden = project.environment
    escaped = {f"json {name}": json.dumps(value, ensure_ascii=False)[1:-1] for name, value in hidden.items()}
    text = redact(project.model_dump_json(), hidden | escaped)
    kept = Project.model_validate_json(text)
    return kept.model_copy(update={"environment": {name: "(set)" for name in hidden}})
