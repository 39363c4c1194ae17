"""Where changes are tried: the best tree so far, the tree of the change, and everything that is asked of both."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from perfcrew.core.answers import Mask, Refusal
from perfcrew.core.comparison import Comparison, Effect, Side
from perfcrew.core.experiments import TrialStep
from perfcrew.core.patches import Fix
from perfcrew.core.project import Project
from perfcrew.core.web import Plan
from perfcrew.crew.cards import Experiments
from perfcrew.experiment import answers, counted, environments
from perfcrew.experiment.apply import write_fix
from perfcrew.experiment.asked import Effort
from perfcrew.experiment.checks import check, judged
from perfcrew.experiment.engine import Reading, Rules, compare
from perfcrew.experiment.judging import Ruling
from perfcrew.experiment.overlay import on_worktree
from perfcrew.experiment.pooled import Pool
from perfcrew.experiment.sameness import Wanted, compare_all
from perfcrew.experiment.servers import EXTRA, Host, Servers
from perfcrew.experiment.suite import Tested, run_suite
from perfcrew.experiment.verdicts import confirmed
from perfcrew.experiment.visitors import let_in_nowhere, nobody_else
from perfcrew.experiment.worktrees import Worktree, refuse_unfit, relocate, worktree
from perfcrew.graphs.context import APPLICATION, Context, Fresh, Instance
from perfcrew.instruments.load import Driver
from perfcrew.target.clone import Clone

STAGE = "experiments"
NO_TEST = "no test of the project's vouches for this change"
_BESIDE_S = 1.5
"""An instance of each side, for all endpoints that a change is not about."""
_SLOW_MS = 500.0
"""Where one request to each of them takes longer, they are asked fewer."""
_LONGEST_TTL_S = 60.0
"""A cache that keeps answers for longer is not waited for: it has to show new data by being told."""
_MIGRATION = re.compile(r"(^|/)(versions|migrations|alembic)/")


@dataclass
class Tree:
    """A worktree, the project as it is in it, and its data."""

    worktree: Worktree
    plain: Project
    """In the environment that the target has."""
    fresh: Fresh
    environment: dict[str, str] = field(default_factory=dict)
    migrated: Clone | None = None
    ddl: tuple[str, ...] = ()
    """Of the migrations that are plain SQL, which nothing of the project's runs."""
    installed: Path | None = None
    """An environment of its own, where a change altered the dependencies."""

    @property
    def project(self) -> Project:
        return environments.within(self.plain, self.installed) if self.installed else self.plain

    @property
    def root(self) -> Path:
        return self.worktree.target_root


@dataclass
class Lab:
    """The best state so far and the one that is tried, on data of their own."""

    context: Context
    settings: Experiments
    best: Tree
    change: Tree
    base_commit: str
    drivers: tuple[Driver, Driver]
    _old_s: float = 0.0
    """How old answers may be by what was kept: caches of two instances are not of the same age."""
    _mask: Mask | None = None
    _suite: Tested | None = None

    @property
    def best_root(self) -> Path:
        return self.best.root

    def write(self, fix: Fix) -> str:
        """Write a change into its tree. Gives why it is refused, empty where it is there."""
        applied = write_fix(self.change.worktree, fix, self.settings.allow)
        if applied.refused:
            return applied.refused
        self.change.environment = {**self.best.environment, **fix.settings}
        return ""

    def diff(self) -> str:
        """What differs from the best tree so far."""
        return self.change.worktree.diff()

    async def reset(self) -> None:
        """The tree of the change back to the best one."""
        self.change.worktree.reset()
        self.change.installed = self.best.installed
        self.change.environment = dict(self.best.environment)
        self.change.ddl = self.best.ddl
        if self.change.migrated is not None and self.change.migrated is not self.best.migrated:
            self.change.migrated.drop()
        self.change.migrated = self.best.migrated

    async def keep(self, fix: Fix, message: str) -> str:
        """The change becomes part of the best tree, as a commit; gives its id."""
        for name in fix.files:
            source, to = self.change.root / name, self.best.root / name
            if not source.exists():
                to.unlink(missing_ok=True)
                continue
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(source.read_bytes())
        self.best.environment = dict(self.change.environment)
        self.best.installed, self.best.ddl = self.change.installed, self.change.ddl
        if self.change.migrated is not self.best.migrated:
            if self.best.migrated is not None:
                self.best.migrated.drop()
            self.best.migrated, self._mask = self.change.migrated, None
        if fix.ttl_s:  # what is kept for a while may differ from now on; else what may is as it was
            self._old_s, self._mask = max(self._old_s, fix.ttl_s), None
        for tree in (self.best, self.change):
            commit = tree.worktree.commit(message, fix.files)
            tree.worktree.reset()  # without what tests and the application left in it
        return commit

    async def held(self, fix: Fix, endpoint: str | None, steps: list[TrialStep]) -> Ruling:
        """Tests, answers, data and what is left running: each as a step; the first that does not hold ends it."""
        await self.install(fix)
        await self.migrate(fix)
        for step in (self._checks, self._tests, self._answers):
            began = time.monotonic()
            made = await step(fix, endpoint)
            steps += [s.model_copy(update={"seconds": round(time.monotonic() - began, 1)}) for s in made]
            failed = next((s for s in made if s.passed is False), None)
            if failed is not None:
                return Ruling("discard", f"{failed.name}: {failed.said}")
        return Ruling("keep", "")

    async def install(self, fix: Fix) -> None:
        """Where it alters the dependencies, the tree of the change gets an environment of its own."""
        words = environments.asked_for(self.best.root, self.change.root, fix.files)
        if not words:
            return
        self.context.progress(STAGE).note("an environment with the changed dependencies")
        workspace = self.context.workspace
        to = Path(tempfile.mkdtemp(prefix="environment-", dir=workspace))
        await environments.clone(self.change.plain, words, to=to, workspace=workspace, registry=self.context.registry)
        self.change.installed = to

    async def migrate(self, fix: Fix) -> None:
        """Where it changes the schema, its tree gets data with that done, and all that was kept before."""
        self.change.ddl = (*self.best.ddl, *fix.ddl)
        if fix.ddl or any(_MIGRATION.search(name) for name in fix.files):
            self.change.migrated = await self.context.data.migrated(self.change.project, self.change.ddl)

    async def _checks(self, fix: Fix, endpoint: str | None) -> list[TrialStep]:
        self.context.progress(STAGE).note("the project's type check and lint")
        workspace, registry = self.context.workspace, self.context.registry
        before = await check(self.best.project, fix.files, workspace=workspace, registry=registry)
        after = await check(self.change.project, fix.files, workspace=workspace, registry=registry)
        found = judged(before, after)
        return [TrialStep(name="checks", passed=found.passed, said=found.said)]

    async def _tests(self, fix: Fix, endpoint: str | None) -> list[TrialStep]:
        self.context.progress(STAGE).note("the project's own tests")
        if self._suite is None:
            self._suite = await self._run_suite(self.best, "before")
        before = self._suite
        if before.vouches_not:
            return [self._untested(before)]
        after = await self._run_suite(self.change, "after")
        found = await confirmed(
            before,
            after,
            lambda: self._run_suite(self.best, "before"),
            lambda: self._run_suite(self.change, "after"),
        )
        why = found.why
        if not why and not found.flaky:
            self._suite = after
        known = f", {len(before.run.failed)} fail before and after" if before.run.failed else ""
        known += f", {', '.join(found.flaky[:3])} did not end alike each time" if found.flaky else ""
        said = why or f"{after.run.passed_count} passed{known}"
        return [TrialStep(name="tests", passed=not why, said=said)]

    def _untested(self, before: Tested) -> TrialStep:
        """Where no test can speak against a change it is kept only if the workflow says so."""
        if not before.run.ran and not before.absent:  # there is a suite, and what it says nobody knows
            return TrialStep(name="tests", passed=False, said=before.vouches_not)
        if self.settings.untested:
            return TrialStep(name="tests", passed=None, said=f"{before.vouches_not}; {NO_TEST}")
        allowed = "no change is kept without a test, unless the workflow has `untested: true` under `experiments`"
        return TrialStep(name="tests", passed=False, said=f"{before.vouches_not}; {allowed}")

    async def _run_suite(self, tree: Tree, when: str) -> Tested:
        data = await self._fresh(tree)("suite")
        try:
            return await run_suite(
                tree.project,
                workspace=self.context.workspace,
                registry=self.context.registry,
                commit=when,
                timeout_s=self.settings.suite_s,
                environment=tree.environment,
                data=data,
            )
        finally:
            data.drop()

    async def _answers(self, fix: Fix, endpoint: str | None) -> list[TrialStep]:
        self.context.progress(STAGE).note("whether the answers are the same")
        plans = self.context.plans
        if fix.ttl_s and (alone := nobody_else(self.context.project)):
            return [TrialStep(name="answers", passed=False, said=alone)]
        mask = await self._learned(plans)
        async with AsyncExitStack() as stack:
            base = await stack.enter_async_context(self._started("answers-base", self.best))
            change = await stack.enter_async_context(self._started("answers-change", self.change))
            if fix.ttl_s:  # both are asked, so that what asking changes is no difference between them
                alone, _ = await let_in_nowhere(base, plans), await let_in_nowhere(change, plans)
                if alone:
                    return [TrialStep(name="answers", passed=False, said=alone)]
            same = await compare_all(base, change, plans, mask, Wanted(declared_s=self.declared_s(fix)))
        against = same.against(endpoint, exact=fix.exact)
        footprint = [r for r in against if r in same.footprint.refusals]
        others = _said([r for r in against if r not in footprint]) or same.unseen(endpoint)
        return [
            TrialStep(name="answers", passed=not others, said=others or same.told(exact=fix.exact)),
            TrialStep(name="footprint", passed=not footprint, said=_said(footprint) or same.left()),
        ]

    def declared_s(self, fix: Fix) -> float:
        """How old an answer of either side may be: by this change, and by all that were kept before it."""
        return min(max(fix.ttl_s, self._old_s), _LONGEST_TTL_S)

    async def _learned(self, plans: tuple[Plan, ...]) -> Mask:
        if self._mask is None:
            async with AsyncExitStack() as stack:
                one = await stack.enter_async_context(self._started("learn-one", self.best))
                two = await stack.enter_async_context(self._started("learn-two", self.best))
                self._mask = await answers.learn(one, two, plans)
        return self._mask

    def _started(self, name: str, tree: Tree, parts: Sequence[str] = ()) -> AbstractAsyncContextManager[Instance]:
        return self.context.started(
            name,
            parts=parts,
            project=tree.project,
            environment=tree.environment,
            fresh=self._fresh(tree),
            with_other=not parts,
        )

    def _fresh(self, tree: Tree) -> Fresh:
        async def made(name: str) -> Clone:
            if tree.migrated is not None:
                return on_worktree(await self.context.data.copy(tree.migrated, name), tree.worktree)
            return on_worktree(await self.context.data.clone(name), tree.worktree)

        return made

    async def compared(self, fix: Fix, endpoint: str | None, rules: Rules) -> list[Comparison]:
        """The change against the best so far: the endpoint closely, the others and the application beside it."""
        aims = {endpoint or APPLICATION: fix.metrics}
        found = await self._compare(self.best, self.change, frozenset({endpoint} if endpoint else ()), aims, rules)
        return counted.beside(found, await self._grown(self.best, self.change, {endpoint or "": fix.settles_requests}))

    async def against_base(
        self, aims: Mapping[str, tuple[str, ...]], settles: Mapping[str, int], rules: Rules
    ) -> list[Comparison]:
        """Everything that was kept against the base, all endpoints closely, and what the changes aimed at.

        The tails are of all requests together, for the targets: a pair asks each endpoint but a few times.
        """
        async with _tree(self.context, self.settings, "base", self.base_commit) as base:
            keys, pool = frozenset(p.endpoint.key for p in self.context.plans), Pool()
            found = await self._compare(base, self.best, keys, aims, rules, pool)
            found = counted.beside(found, pool.effects())
            return counted.beside(found, await self._grown(base, self.best, settles))

    async def _compare(
        self,
        a: Tree,
        b: Tree,
        keys: frozenset[str],
        aims: Mapping[str, tuple[str, ...]],
        rules: Rules,
        pool: Pool | None = None,
    ) -> list[Comparison]:
        context = self.context
        latency = {p.endpoint.key: context.baseline(p.endpoint.key) or 0.0 for p in context.plans}
        cheap = min(context.plans, key=lambda p: latency[p.endpoint.key] or 1e9)
        sampler = Servers(
            self._host("a", a),
            self._host("b", b),
            context.plans,
            context.workspace,
            context.registry,
            self.drivers,
            awaited_keys=keys,
            aims={key: tuple(n for n in names if n in EXTRA) for key, names in aims.items()},
            cheap=cheap,
            effort=Effort(seconds=0.5) if len(keys) <= 2 else _light([latency[key] for key in keys]),
            light=_light([ms for key, ms in latency.items() if key not in keys]),
            guarding=True,
            timeout_s=context.settings.measuring.request_timeout_s,
            pool=pool,
        )
        sides = (Side(label="A", what="the best so far"), Side(label="B", what="the change"))
        progress = context.progress(STAGE)
        with context.measuring():
            found = await compare(sampler, *sides, rules, progress.note)
        return counted.beside(found, await self._counted(a, b, aims))

    async def _counted(self, a: Tree, b: Tree, aims: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[Effect, ...]]:
        """What each endpoint sends, with the probe in an instance of both."""
        self.context.progress(STAGE).note("counting what the endpoints send")
        read: list[dict[str, list[Reading]]] = []
        for name, tree in (("counted-a", a), ("counted-b", b)):
            async with self._started(name, tree, counted.PARTS) as instance:
                plans = {p.endpoint.key: p for p in self.context.plans}
                read.append({key: await counted.count(instance, p, aims.get(key, ())) for key, p in plans.items()})
        return {key: counted.effects(read[0][key], read[1][key]) for key in read[0]}

    async def _grown(self, a: Tree, b: Tree, settles: Mapping[str, int]) -> dict[str, tuple[Effect, ...]]:
        """What requests leave behind on both sides, by endpoint, once what a change bounds is full: after so many."""
        wanted = [(p, settles[p.endpoint.key]) for p in self.context.plans if settles.get(p.endpoint.key)]
        return {plan.endpoint.key: (await self._grown_by(a, b, plan, settled),) for plan, settled in wanted}

    async def _grown_by(self, a: Tree, b: Tree, plan: Plan, settles_requests: int) -> Effect:
        self.context.progress(STAGE).note(f"filling what has a bound now: {settles_requests} requests to both")
        read: list[list[Reading]] = []
        for name, tree in (("grown-a", a), ("grown-b", b)):
            async with self._started(name, tree, counted.HEAP) as instance:
                read.append(await counted.growths(instance, plan, settles_requests, self.drivers[0]))
        return counted.grown(read[0], read[1])

    def _host(self, name: str, tree: Tree) -> Host:
        return Host(name, tree.project, self._fresh(tree), tree.environment)


def _light(latencies_ms: Sequence[float]) -> Effort:
    """What each of so many endpoints is asked beside what a change is about: all together take a second or two."""
    slow = sum(latencies_ms) > _SLOW_MS
    seconds = min(0.5, 2 * _BESIDE_S / max(len(latencies_ms), 1))
    return Effort(seconds=seconds, fewest=2, warm=1) if slow else Effort(seconds, fewest=4, warm=2)


def _said(refusals: Sequence[Refusal]) -> str:
    return "; ".join(f"{r.name} ({r.subject}): {r.why}" for r in refusals)


@asynccontextmanager
async def _tree(context: Context, settings: Experiments, name: str, revision: str) -> AsyncIterator[Tree]:
    async with worktree(
        context.root, context.registry, context.workspace, base=revision, carry_uncommitted=context.wanted.carry
    ) as made:
        yield Tree(made, relocate(context.project, context.root, made.target_root), context.data.clone)


@asynccontextmanager
async def opened(context: Context, settings: Experiments) -> AsyncIterator[Lab]:
    """Two worktrees of the user's HEAD. UsageError where there is no repository, or work that is not committed."""
    refuse_unfit(context.root, context.wanted.carry)
    async with AsyncExitStack() as stack:
        best = await stack.enter_async_context(_tree(context, settings, "best", "HEAD"))
        change = await stack.enter_async_context(_tree(context, settings, "change", "HEAD"))
        drivers = (await stack.enter_async_context(Driver()), await stack.enter_async_context(Driver()))
        yield Lab(context, settings, best, change, best.worktree.base_commit, drivers)
