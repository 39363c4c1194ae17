"""Tries the proposed changes one after the other, each alone against the best so far, and keeps what is proven."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace

from perfcrew.core.comparison import Comparison
from perfcrew.core.errors import PerfcrewError
from perfcrew.core.experiments import Kept, Outcome, Trial, TrialStep
from perfcrew.core.patches import Declined, Fix
from perfcrew.crew.cards import Experiments
from perfcrew.experiment.apply import diff, message, publish, save_patch
from perfcrew.experiment.engine import STRETCH, TWICE, Rules
from perfcrew.experiment.judging import Ruling, against_whole, ruling, seen_of_whole
from perfcrew.graphs import scenes
from perfcrew.graphs.context import APPLICATION, Context
from perfcrew.graphs.steps import patches
from perfcrew.graphs.steps.lab import NO_TEST, STAGE, Lab, opened
from perfcrew.graphs.steps.patches import write_patches
from perfcrew.graphs.steps.proposals import Next, kept, propose, upcoming, wanted
from perfcrew.rules import fixes

_ENOUGH = 20
"""Pairs that a clear change, and a start that is no slower, take to be proven on a busy machine."""
PATCH = "optimize.patch"


async def experiments(context: Context) -> None:
    """Propose, try, keep or discard; then all that was kept against the base. Each step is in the ledger at once."""
    policy = context.policy.experiments
    if policy is None or context.has("kept"):
        return
    (context.out / PATCH).unlink(missing_ok=True)  # a folder may hold that of an earlier run
    await write_patches(context, wanted(context), policy.allow)
    propose(context)
    if upcoming(context, policy) is None and not kept(context):
        return
    try:
        async with opened(context, policy) as lab:
            await _stacked(context, lab)
            until = time.monotonic() + left_s(context, policy)
            await _all(context, policy, lab, until)
            await _together(context, policy, lab, until)
    except PerfcrewError as error:
        context.failed(STAGE, "trying changes", error)


def left_s(context: Context, policy: Experiments) -> float:
    """What is left of the time for experiments in a run that goes on: less what those took that have come to an end.

    The one that was interrupted is tried anew, and counts with what it takes then; nobody knows what it had taken.
    """
    ended = (e.body for e in context.ledger.find(context.run, "outcome"))
    return policy.budget_s - sum(body.seconds for body in ended if isinstance(body, Outcome))


async def _stacked(context: Context, lab: Lab) -> None:
    """What an interrupted run had kept, put back on top of the base."""
    for trial, outcome, files in kept(context):
        fix = Fix(
            finding=trial.finding,
            hypothesis=trial.hypothesis.id,
            variant=trial.variant,
            title=trial.title,
            files=files,
            settings=trial.settings,
            ddl=trial.ddl,
            ttl_s=trial.ttl_s,
        )
        lab.write(fix)
        await lab.install(fix)
        await lab.migrate(fix)
        await lab.keep(fix, _message(trial, outcome.why))


async def _all(context: Context, policy: Experiments, lab: Lab, until: float) -> None:
    total = sum(1 for f in wanted(context) if context.has(f"proposals/{f.id}"))
    while (coming := upcoming(context, policy)) is not None:
        if time.monotonic() > until:
            context.failed(STAGE, "the other changes", f"the {policy.budget_s:g} s for experiments were used up")
            return
        place = f"{coming.finding.rule} {coming.finding.place.file}:{coming.finding.place.line}"
        context.progress(STAGE).note(f"{place}: {coming.variant}", coming.number - 1, total)
        await _one(context, policy, lab, coming, until)


async def _one(context: Context, policy: Experiments, lab: Lab, coming: Next, until: float) -> None:
    """One experiment. Its criteria are written down before anything of the change runs."""
    began = time.monotonic()
    fix = _fix(context, lab, coming)
    refused = fix.reason if isinstance(fix, Declined) else lab.write(fix)
    trial_id, trial = _written_down(context, policy, lab, coming, fix)
    steps = [TrialStep(name="apply", passed=not refused, said=refused or "it applies to the best tree so far")]
    ruled, found, commit = Ruling("discard", refused), list[Comparison](), None
    if isinstance(fix, Fix) and not refused:
        try:
            ruled, found = await _tried(policy, lab, coming, fix, steps, until)
        except PerfcrewError as error:
            context.failed(STAGE, coming.key, error)
            ruled = Ruling("discard", f"it could not be tried to the end: {error.what}")
        if ruled.decision == "keep":
            commit = await lab.keep(fix, _message(trial, ruled.why))
    files = fix.files if isinstance(fix, Fix) and commit else {}
    _outcome(context, coming, trial_id, ruled, steps, found, files, commit, time.monotonic() - began)
    if commit is None:
        await lab.reset()


async def _tried(
    policy: Experiments, lab: Lab, coming: Next, fix: Fix, steps: list[TrialStep], until: float
) -> tuple[Ruling, list[Comparison]]:
    """What is asked of the change, the cheap before the dear; each step is told in `steps`."""
    ruled = await lab.held(fix, coming.finding.endpoint, steps)
    if ruled.decision != "keep":
        return ruled, []
    rules = _rules(policy, policy.trial_s, until, seed=coming.number)
    found = await lab.compared(fix, coming.finding.endpoint, rules)
    ruled = ruling(found, coming.finding.endpoint or APPLICATION, fix.metrics[0], fix.pays)
    steps.append(TrialStep(name="measure", passed=ruled.decision == "keep", said=ruled.why))
    return vouched(ruled, steps), found


def vouched(ruled: Ruling, steps: Sequence[TrialStep]) -> Ruling:
    """The ruling; of what is kept though no test ran it says so."""
    untested = any(s.name == "tests" and s.passed is None for s in steps)
    return replace(ruled, why=f"{ruled.why}; {NO_TEST}") if untested and ruled.decision == "keep" else ruled


def _rules(policy: Experiments, budget_s: float, until: float, seed: int = 0) -> Rules:
    """Where a start takes minutes, the time that all experiments have is what bounds one."""
    longest_s = max(0.0, until - time.monotonic())
    return Rules(policy.margin, policy.error, budget_s, seed=seed, enough=_ENOUGH, longest_s=longest_s)


def _fix(context: Context, lab: Lab, coming: Next) -> Fix | Declined:
    """The variant written anew on the best tree so far, in which earlier changes may have moved its lines."""
    own = patches.fix(context, coming.finding, coming.variant, lab.settings.allow, lab.best_root)
    if own is not None:
        return own
    application = scenes.application(context.ledger, context.run)
    found = fixes.propose(lab.best_root, coming.finding, application)
    for answer in found:
        if isinstance(answer, Fix) and f"{answer.hypothesis}/{answer.variant}" == coming.variant:
            return answer
    declined = next((a for a in found if isinstance(a, Declined)), None)
    reason = declined.reason if declined else "a change that was kept before made it needless"
    return Declined(finding=coming.finding.id, hypothesis=coming.hypothesis.id, reason=reason)


def _written_down(
    context: Context, policy: Experiments, lab: Lab, coming: Next, fix: Fix | Declined
) -> tuple[str, Trial]:
    """The trial in the ledger, with its evidence id."""
    change = fix if isinstance(fix, Fix) else None
    metric = change.metrics[0] if change else coming.hypothesis.metric
    body = Trial(
        number=coming.number,
        finding=coming.finding.id,
        endpoint=coming.finding.endpoint or APPLICATION,
        variant=coming.variant,
        title=change.title if change else coming.variant,
        hypothesis=coming.hypothesis,
        metric=metric,
        expected_share=coming.hypothesis.improvement,
        evidence=coming.finding.evidence,
        success=f"{metric} improves, proven beyond chance, and by no less than what matters",
        failure="a test fails that passed before, an answer differs, or any metric of any endpoint becomes worse; "
        + (f"{', '.join(change.pays)} of its own endpoint is its price; " if change and change.pays else "")
        + "processor time only where it grows by more than the margin of what a request takes",
        stopping="when the verdict is certain, looked at after each pair of started instances, or at the budget; where "
        f"pairs are slow, after {_ENOUGH} of them or {STRETCH:g} times the budget, and not before "
        f"{TWICE * Rules.fewest} while there is time for experiments",
        budget_s=policy.trial_s,
        margin_share=policy.margin,
        error_share=policy.error,
        base_commit=lab.base_commit,
        files=tuple(change.files) if change else (),
        settings=change.settings if change else {},
        ddl=change.ddl if change else (),
        ttl_s=change.ttl_s if change else 0.0,
        settles_requests=change.settles_requests if change else 0,
        pays=change.pays if change else (),
        untested=policy.untested,
        trade_offs=change.trade_offs if change else (),
    )
    blobs = {"diff": lab.diff().encode("utf-8", "surrogateescape")}
    put = context.put(f"trial/{coming.key}", body, context.method("perfcrew fixes"), body.endpoint, blobs)
    return put.id, body


def _outcome(
    context: Context,
    coming: Next,
    trial: str,
    ruled: Ruling,
    steps: Sequence[TrialStep],
    found: Sequence[Comparison],
    files: dict[str, str | None],
    commit: str | None,
    seconds: float,
) -> None:
    subject = coming.finding.endpoint or APPLICATION
    ordered = sorted(found, key=lambda c: c.subject != subject)
    ids = [_compared(context, f"comparison/{coming.key}", c) for c in ordered]
    body = Outcome(
        trial=trial,
        number=coming.number,
        finding=coming.finding.id,
        decision=ruled.decision,
        why=context.redacted(ruled.why),
        steps=tuple(s.model_copy(update={"said": context.redacted(s.said)}) for s in steps),
        comparisons=tuple(ids),
        trade_offs=ruled.trade_offs,
        commit=commit,
        seconds=round(seconds, 1),
    )
    blobs = {"files": json.dumps(files).encode()}
    context.put(f"outcome/{coming.key}", body, context.method("perfcrew experiment"), subject, blobs)


def _compared(context: Context, slot: str, comparison: Comparison) -> str:
    method = context.method("perfcrew compare", design=comparison.design, seed=comparison.seed, unit=comparison.unit)
    return context.put(f"{slot}/{comparison.subject}", comparison, method, comparison.subject).id


async def _together(context: Context, policy: Experiments, lab: Lab, until: float) -> None:
    """Gains don't add up: all that was kept is measured against the base once more, as a whole."""
    stacked = kept(context)
    if not stacked:
        return
    context.progress(STAGE).note("everything that was kept, against the base")
    rules = _rules(policy, policy.trial_s * 2, until)
    aims, pays = dict[str, tuple[str, ...]](), dict[str, tuple[str, ...]]()
    settles: dict[str, int] = {}
    for trial, _, _ in stacked:
        aims[trial.endpoint] = (*aims.get(trial.endpoint, ()), trial.metric)
        pays[trial.endpoint] = (*pays.get(trial.endpoint, ()), *trial.pays)
        settles[trial.endpoint] = max(settles.get(trial.endpoint, 0), trial.settles_requests)
    found = await lab.against_base(aims, settles, rules)
    against = against_whole(found, aims, pays)
    branch = "" if against else f"perfcrew/{context.run}"
    patch = diff(lab.best.worktree, lab.base_commit)
    if branch:  # what does not hold as a whole does not come to the user, neither as a branch nor as a file
        save_patch(patch, context.out / PATCH)
        publish(context.root, lab.best.worktree, branch, context.registry)
    outcomes = [e.id for e in context.ledger.find(context.run, "outcome") if _is_kept(e.body)]
    body = Kept(
        base_commit=lab.base_commit,
        head_commit=lab.best.worktree.git("rev-parse", "HEAD").strip(),
        branch=branch,
        outcomes=tuple(outcomes),
        comparisons=tuple(_compared(context, "comparison/together", c) for c in found),
        whole=not against,
        why=against or seen_of_whole(found, pays),
    )
    blobs = {"patch": patch.encode("utf-8", "surrogateescape")}
    context.put("kept", body, context.method("perfcrew experiment"), APPLICATION, blobs)


def _is_kept(body: object) -> bool:
    return isinstance(body, Outcome) and body.decision == "keep"


def _message(trial: Trial, why: str) -> str:
    """The commit's message of a change that was kept."""
    thought = f"Hypothesis: {trial.hypothesis.change}.\nBecause: {trial.hypothesis.because}."
    prices = [t.rstrip(".") for t in trial.trade_offs]
    return message(trial.title, thought, [why], prices, f"{trial.finding}, experiment {trial.number}")
