"""From what the user named to two sides that can be started: revisions, configurations or running servers."""

from __future__ import annotations

import os
import secrets
import shutil
import statistics
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from perfcrew.core.comparison import Comparison, Side
from perfcrew.core.errors import UsageError
from perfcrew.core.project import Project
from perfcrew.core.web import Plan, Request
from perfcrew.experiment.engine import Checks, Design, Goal, Pair, Reading, Tell, Watched, compare
from perfcrew.experiment.servers import Host, Servers, chosen
from perfcrew.experiment.wish import Wish, variables
from perfcrew.instruments.load import Aim, Driver, closed_loop
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
        return await _urls(wish, tell)
    if len(wish.revisions) not in (0, 2) or not (wish.revisions or wish.settings):
        raise UsageError(
            "two sides are needed",
            do="two revisions, two --command, two --callable, two --url, or --set A:NAME=VALUE --set B:NAME=VALUE",
        )
    async with AsyncExitStack() as stack:
        place = await stack.enter_async_context(placed(wish.root))
        a, b = await stack.enter_async_context(_hosts(wish, place, tell))
        drivers = (await stack.enter_async_context(Driver()), await stack.enter_async_context(Driver()))
        plans = await survey(a, wish.scenarios, place, tell)
        keys = frozenset(p.endpoint.key for p in plans)
        sampler = Servers(a, b, plans, place.folder, place.registry, drivers, awaited_keys=keys)
        labels = wish.revisions or tuple(_configured(wish, side) for side in "AB")
        one, other = (Side(label=s, what=what) for s, what in zip("AB", labels, strict=True))
        return await compare(sampler, one, other, wish.rules, tell)


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
async def _hosts(wish: Wish, place: Place, tell: Tell) -> AsyncIterator[tuple[Host, Host]]:
    python = Path(wish.python) if wish.python else None
    project = detect(wish.root, app=wish.app, python=python, config=load(wish.root))
    async with AsyncExitStack() as stack:
        sides = [project, project]
        if wish.revisions:
            from perfcrew.experiment.worktrees import relocate, worktree

            tell("checking both revisions out")
            for index, revision in enumerate(wish.revisions):
                tree = await stack.enter_async_context(worktree(wish.root, place.registry, place.folder, base=revision))
                sides[index] = relocate(project, wish.root, tree.target_root)
        tell("preparing the data of both sides")
        templates = [await stack.enter_async_context(await _template(s, place, i)) for i, s in enumerate(sides)]
        a, b = (
            Host(name, side, _fresh(template, side), variables(wish.settings, name.upper()))
            for name, side, template in zip("ab", sides, templates, strict=True)
        )
        yield a, b


async def _template(project: Project, place: Place, number: int) -> Template:
    return await prepare(project, workspace=place.folder / f"side-{number}", registry=place.registry)


def _fresh(template: Template, project: Project) -> Callable[[str], Awaitable[Clone]]:
    """Copies of the data: as found, or at the largest size that the project's own seed command is asked for."""
    size = project.data.sizes[-1] if template.seeds_sizes and project.data.sizes else None
    return lambda name: template.clone(name, size)


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


@dataclass
class Urls:
    """A sampler of two running servers that are not ours to restart: a pair is some blocks of requests to each."""

    a: str
    b: str
    driver: Driver
    timeout_s: float = 30.0
    design: Design = "interleaved"
    unit: str = "two blocks of requests to each, in turn"
    checks: Checks = "must agree"

    def goal(self, subject: str) -> Goal:
        return "verdict"

    def watched(self, subject: str) -> tuple[Watched, ...]:
        return (Watched("latency", "ms", "deciding"),)

    async def pair(self, a_first: bool) -> dict[str, Pair]:
        order = [self.a, self.b] if a_first else [self.b, self.a]
        samples: dict[str, list[float]] = {self.a: [], self.b: []}
        errors: dict[str, set[str]] = {self.a: set(), self.b: set()}
        for url in (*order, *order[::-1]):
            result = await closed_loop(
                Aim(_origin(url), timeout_s=self.timeout_s),
                [Request(endpoint=f"GET {url}", method="GET", target=_target(url))],
                duration_s=0.1,
                minimum=4,
                driver=self.driver,
            )
            samples[url] += result.samples_ms
            errors[url] |= set(result.errors)
        a, b = (Reading(_median(samples[u]), ", ".join(sorted(errors[u]))) for u in (self.a, self.b))
        return {"urls": Pair(a, b)}


def _median(samples: Sequence[float]) -> dict[str, float]:
    return {"latency": statistics.median(samples)} if samples else {}


def _origin(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise UsageError(f"{url!r} is no address", do="write it whole: http://127.0.0.1:8000/books")
    return f"{parts.scheme}://{parts.netloc}"


def _target(url: str) -> str:
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


async def _urls(wish: Wish, tell: Tell) -> list[Comparison]:
    if len(wish.urls) != 2 or wish.urls[0] == wish.urls[1]:
        raise UsageError("two different addresses are compared", do="--url http://… --url http://…")
    for url in wish.urls:
        _origin(url)
    a, b = (Side(label=s, what=url) for s, url in zip("AB", wish.urls, strict=True))
    async with Driver() as driver:
        found = await compare(Urls(*wish.urls, driver=driver), a, b, wish.rules, tell)
    note = "the servers are not restarted: that two starts of one server differ is not seen; nor is processor time"
    return [c.model_copy(update={"notes": (*c.notes, note)}) for c in found]
