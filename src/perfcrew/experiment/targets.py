"""From what the user named to two sides that can be started: revisions, configurations or running servers."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from perfcrew.core.comparison import Comparison, Side
from perfcrew.core.errors import CommandError, Unmeasurable, UsageError
from perfcrew.core.project import Project
from perfcrew.core.web import Plan
from perfcrew.experiment.addresses import compare_urls
from perfcrew.experiment.engine import Tell, compare, no_verdict
from perfcrew.experiment.same_work import Sides, compare_work
from perfcrew.experiment.servers import Host, Servers, chosen
from perfcrew.experiment.wish import Wish, variables
from perfcrew.instruments.load import Driver
from perfcrew.target import auth, requests
from perfcrew.target.client import Client
from perfcrew.target.clone import Clone, Template, prepare
from perfcrew.target.config import load
from perfcrew.target.detect import detect
from perfcrew.target.environment import environment_of
from perfcrew.target.launch import launch
from perfcrew.target.leftovers import Registry
from perfcrew.target.routes import routes


async def compare_servers(wish: Wish, tell: Tell) -> list[Comparison]:
    """One comparison an endpoint, and one of the application. UsageError where no two sides are named."""
    if wish.urls:
        return await compare_urls(wish, tell)
    if len(wish.revisions) not in (0, 2) or not (wish.revisions or wish.settings):
        raise UsageError(
            "two sides are needed",
            do="two revisions, two --command, two --callable, two --url, or --set A:NAME=VALUE --set B:NAME=VALUE",
        )
    async with AsyncExitStack() as stack:
        place = await stack.enter_async_context(placed(wish.root))
        sides = await stack.enter_async_context(_sides(wish, place, tell))
        drivers = (await stack.enter_async_context(Driver()), await stack.enter_async_context(Driver()))
        plans = await survey(sides.a, wish.scenarios, place, tell)
        return await _compared(wish, sides, plans, place, drivers, tell)


async def _compared(
    wish: Wish, sides: Sides, plans: tuple[Plan, ...], place: Place, drivers: tuple[Driver, Driver], tell: Tell
) -> list[Comparison]:
    """What is answered otherwise has no verdict and is not measured; the other endpoints are."""

    def sampler(measured: tuple[Plan, ...]) -> Servers:
        keys = frozenset(p.endpoint.key for p in measured)
        return Servers(sides.a, sides.b, measured, place.folder, place.registry, drivers, awaited_keys=keys)

    labels = wish.revisions or tuple(_configured(wish, side) for side in "AB")
    a, b = (Side(label=s, what=what) for s, what in zip("AB", labels, strict=True))
    try:
        work = await compare_work(sides, plans, place.folder, place.registry, tell)
    except (CommandError, Unmeasurable) as error:
        return [no_verdict(sampler(()), "all", a, b, wish.rules, f"a side could not be measured: {error}")]
    refused = work.refusals(wish.answers_may_differ)
    found = [no_verdict(sampler(()), key, a, b, wish.rules, why) for key, why in refused.items()]
    measured = work.measured(plans, wish.answers_may_differ)
    if measured:
        found += await compare(sampler(measured), a, b, wish.rules, tell)
    return work.told(found, wish.answers_may_differ)


@dataclass(frozen=True)
class Place:
    """Where a comparison works: a temporary folder, and the register of what must be gone afterwards."""

    folder: Path
    registry: Registry


@asynccontextmanager
async def placed(root: Path) -> AsyncIterator[Place]:
    """A folder of the comparison's own, gone afterwards; what a killed one left is cleared up first."""
    name = f"compare-{secrets.token_hex(4)}"
    registry = Registry(root / ".perfcrew" / "leftovers", name)
    registry.sweep()
    folder = Path(tempfile.gettempdir()) / f"perfcrew-{name}-{os.getpid()}"
    token = registry.temporary(folder)
    folder.mkdir(mode=0o700)
    try:
        yield Place(folder, registry)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        registry.over(token)


@asynccontextmanager
async def _sides(wish: Wish, place: Place, tell: Tell) -> AsyncIterator[Sides]:
    python = Path(wish.python) if wish.python else None
    project = detect(wish.root, app=wish.app, python=python, config=load(wish.root))
    async with AsyncExitStack() as stack:
        projects = [project, project]
        if wish.revisions:
            from perfcrew.experiment.worktrees import relocate, worktree

            tell("checking both revisions out")
            for index, revision in enumerate(wish.revisions):
                tree = await stack.enter_async_context(worktree(wish.root, place.registry, place.folder, base=revision))
                projects[index] = relocate(project, wish.root, tree.target_root)
        tell("preparing the data of both sides")
        templates = [await stack.enter_async_context(await _template(projects[0], place, "side-0"))]
        if wish.revisions:
            templates.append(await stack.enter_async_context(await _template(projects[1], place, "side-1")))

        def host(name: str, template: Template) -> Host:
            side = projects["ab".index(name)]
            return Host(name, side, _fresh(template), variables(wish.settings, name.upper()))

        @asynccontextmanager
        async def again() -> AsyncIterator[Host]:
            tell("making the data of A once more, since those of the sides differ")
            async with await _template(projects[0], place, "side-0-again") as template:
                yield host("a", template)

        makes_own = bool(wish.revisions) and not all(t.is_copied and _size(t) is None for t in templates)
        yield Sides(host("a", templates[0]), host("b", templates[-1]), makes_own, again)


async def _template(project: Project, place: Place, name: str) -> Template:
    return await prepare(project, workspace=place.folder / name, registry=place.registry)


def _fresh(template: Template) -> Callable[[str], Awaitable[Clone]]:
    """Copies of the data: as found, or at the largest size that the project's own seed command is asked for."""
    return lambda name: template.clone(name, _size(template))


def _size(template: Template) -> int | None:
    sizes = template.project.data.sizes
    return sizes[-1] if template.seeds_sizes and sizes else None


async def survey(host: Host, keys: Sequence[str], place: Place, tell: Tell) -> tuple[Plan, ...]:
    """Requests that side A answers, to the endpoints named, or to all that can be asked."""
    tell("looking for requests that side A answers")
    clone = await host.fresh("survey")
    try:
        async with launch(
            host.project,
            data=clone,
            workspace=place.folder,
            registry=place.registry,
            environment=dict(host.environment),
            name="survey",
        ) as running:
            found = await auth.credentials(host.project, running.base_url, told=running.redis.environment)
            async with Client(running.base_url, found.headers, found.cookies, 30.0) as client:
                told = environment_of(host.project, clone, running.redis.environment)
                listed = await routes(host.project, client, clone=clone, environment=told)
                limits = requests.Limits(per_endpoint=3, only=frozenset(keys) or None)
                plans = await requests.plan(host.project, listed.endpoints, client, limits)
    finally:
        clone.drop()
    return chosen(plans, keys)


def _configured(wish: Wish, side: str) -> str:
    found = variables(wish.settings, side)
    return " ".join(f"{name}={value}" for name, value in found.items()) or "as it is"
