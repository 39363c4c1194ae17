"""What a started target uses for its Redis: a server of its own, and the variables that tell it so."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from perfcrew.core.errors import TargetFailed, UsageError
from perfcrew.core.project import Project, RedisAddress, RedisPart
from perfcrew.target.clones import django
from perfcrew.target.config import FILE
from perfcrew.target.environment import layered
from perfcrew.target.leftovers import Registry
from perfcrew.target.redis import overlay
from perfcrew.target.redis.address import PORT, answers, endpoints, is_url, moved, where, without_password
from perfcrew.target.redis.guard import Guard, guard
from perfcrew.target.redis.server import HOST, INSTALL, Server, program, serving

_USUAL = f"redis://localhost:{PORT}/0"
"""Stands in for an address of which nothing is known but the variable that the user says it comes from."""
OPT_IN = "set `shared_redis = true` under [target] in perfcrew.toml to let the review use, and write to, this Redis"


@dataclass(frozen=True)
class Private:
    """The Redis of one started instance; without a `server` the target was found to use none."""

    server: Server | None = None
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """To add to the target's."""
    foreign: frozenset[tuple[str, int]] = frozenset()
    """Addresses and ports of the user's Redis, as far as known."""
    notes: tuple[str, ...] = ()
    guard: Guard | None = None
    """What keeps its processes away from any other Redis; None where the user's may be used."""

    @property
    def url(self) -> str | None:
        """For inspection; None where there is none."""
        return self.server.url if self.server else None

    def refuse_strays(self, processes: Iterable[psutil.Process]) -> None:
        """Raise TargetFailed where the user's Redis was asked for, or one of these processes is connected to it."""
        if self.guard is not None:
            self.guard.refuse()
        for process in processes:
            try:
                connections = process.net_connections("tcp")
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
            for one in connections:
                if one.raddr and (one.raddr.ip, one.raddr.port) in self.foreign:
                    raise TargetFailed(
                        f"the target uses your Redis, not one of its own (pid {process.pid})",
                        where=f"{one.raddr.ip}:{one.raddr.port}",
                        do=f"set `target.redis_variable` to the variable its Redis URL comes from, or {OPT_IN}",
                    )


@dataclass(frozen=True)
class _Uses:
    """How the target is told of its Redis, by what its environment and its source say."""

    urls: Mapping[str, str]
    """Variable → the URL it carries, or stands in for."""
    parts: Mapping[str, RedisPart]
    """Variables that carry a part of an address."""
    fixed: tuple[RedisAddress, ...]
    settings: tuple[RedisAddress, ...]
    own: tuple[str, ...]
    """URLs of the user's servers."""

    defaults: Mapping[str, str | None]
    """Of the variables of parts, the URL that their defaults come to."""

    @property
    def redirected(self) -> bool:
        return bool(self.urls or self.parts or self.settings)

    @property
    def certain(self) -> bool:
        """Whether it is known to use one."""
        return bool(self.own or self.redirected or self.fixed)


@asynccontextmanager
async def private(
    project: Project, environment: Mapping[str, str], *, workspace: Path, registry: Registry, name: str
) -> AsyncIterator[Private]:
    """A Redis for one start of the target, whose whole environment this is, until the block ends.

    Its processes can't connect to another (see `guard`). UsageError where the target would use the user's Redis and
    can't be told of another one; TargetFailed at the end where a process asked for one all the same.
    """
    if project.shared_redis:
        yield Private(notes=("the target may use your own Redis: shared_redis is set in perfcrew.toml",))
        return
    async with _given(project, environment, workspace=workspace, registry=registry, name=name) as found:
        assert found.guard is not None
        try:
            yield found
        except TargetFailed as error:
            found.guard.refuse(error)
            raise
        else:
            await asyncio.to_thread(found.guard.refuse)
        finally:
            found.guard.clear()


@asynccontextmanager
async def _given(
    project: Project, environment: Mapping[str, str], *, workspace: Path, registry: Registry, name: str
) -> AsyncIterator[Private]:
    uses = _uses(project, environment)
    _refuse_many(uses)
    notes = _refuse_fixed(uses)
    foreign = frozenset({(HOST, PORT), ("::1", PORT)}.union(*(endpoints(url) for url in uses.own)))
    binary = program() if uses.redirected else None
    if binary is None:
        _refuse_without_program(uses)
        kept = guard(workspace, foreign=uses.own, uses=uses.certain)
        yield Private(environment=kept.environment, foreign=foreign, notes=notes, guard=kept)
        return
    password = _password(uses, environment)
    async with serving(binary, workspace=workspace, registry=registry, name=name, password=password) as server:
        kept = guard(workspace, own=server, foreign=uses.own, uses=True)
        told = _told(uses, environment, server)
        if project.framework == "django":
            told |= _overlaid(project, uses, environment, server, workspace)
        said = f"a Redis of its own, empty at the start, by {Path(binary).name}"
        whole = layered(told, kept.environment)
        yield Private(server, whole, foreign - {(HOST, server.port)}, (said, *notes), kept)


def _uses(project: Project, environment: Mapping[str, str]) -> _Uses:
    urls = {name: value for name, value in environment.items() if is_url(value, name)}
    parts: dict[str, RedisPart] = {}
    own = list(urls.values())
    urls |= {name: _USUAL for one in project.redis if one.source == FILE for name in one.variables if name not in urls}
    fixed = [a for a in project.redis if a.fixed and a.url]
    for one in project.redis:
        given = {name: environment[name] for name in one.variables if name in environment}
        if any(part in ("url", "host", "socket") and given.get(name) == "" for name, part in one.variables.items()):
            continue  # switched off
        own += [one.url] if one.url else []
        whole = [name for name, part in one.variables.items() if part == "url"]
        urls |= {name: one.url for name in whole if one.url and name not in environment}
        rest = {name: part for name, part in one.variables.items() if part != "url"}
        if not rest or not (one.url or given):
            continue
        own.append(_of_parts(rest, given, one.url))
        if _lacks_port(rest, given, one.url):
            fixed.append(one.model_copy(update={"url": without_password(own[-1])}))
        else:
            parts |= rest
    defaults = {name: one.url for one in project.redis for name in one.variables}
    settings = tuple(a for a in project.redis if a.settings)
    return _Uses(urls, parts, tuple(fixed), settings, tuple(own), defaults)


def _lacks_port(parts: Mapping[str, RedisPart], given: Mapping[str, str], default: str | None) -> bool:
    """Whether a host alone is told by variables: the port that stands in the source is the user's server's."""
    if "host" not in parts.values() or {"port", "socket"} & set(parts.values()):
        return False
    hosts = [given.get(name, "") for name, part in parts.items() if part == "host"]
    return not any(_with_port(host, default) or is_url(host) for host in hosts)


def _with_port(host: str, default: str | None) -> bool:
    """Whether a variable of a host carries `host:port`, by its value or else by its default."""
    return bool(re.search(r":\d+$", host) if host else re.search(r":\d+:\d+", default or ""))


def _of_parts(parts: Mapping[str, RedisPart], given: Mapping[str, str], default: str | None) -> str:
    """The URL that these variables come to."""
    at = where(default or "redis://localhost")
    known = {part: given[name] for name, part in parts.items() if given.get(name)}
    if "socket" in known:
        return f"unix://{known['socket']}"
    if is_url(known.get("host", "")):
        return known["host"]
    port = known.get("port", str(at.port))
    return f"redis://{known.get('host', at.host)}:{port if port.isdigit() else at.port}"


def _password(uses: _Uses, environment: Mapping[str, str]) -> str:
    found = (environment.get(name, "") for name, part in uses.parts.items() if part == "password")
    return next((value for value in found if value), "")


def _told(uses: _Uses, environment: Mapping[str, str], server: Server) -> dict[str, str]:
    told = {name: moved(url, HOST, server.port, server.password) for name, url in uses.urls.items()}
    values: dict[RedisPart, str] = {
        "host": HOST,
        "port": str(server.port),
        "user": "default",
        "tls": "false",
        "socket": str(server.socket),
    }
    for name, part in uses.parts.items():
        keeps = part == "password" or (part in ("user", "tls", "socket") and not environment.get(name))
        if name not in told and not keeps:
            both = part == "host" and _with_port(environment.get(name, ""), uses.defaults.get(name))
            told[name] = f"{HOST}:{server.port}" if both else values[part]
    return told


def _overlaid(
    project: Project, uses: _Uses, environment: Mapping[str, str], server: Server, workspace: Path
) -> dict[str, str]:
    """Django: its settings with every address of a Redis turned to this server.

    UsageError where an address that no variable carries stands in settings that can't be overlaid.
    """
    told = {where(url)[:3] for url in uses.urls.values()}
    try:
        django.refuse_fixed_settings(project)
    except UsageError:
        if all(where(a.url or "")[:3] in told for a in uses.settings):
            return {}
        raise
    real = environment.get("DJANGO_SETTINGS_MODULE") or django.settings_module(project)
    folder = workspace / "redis-settings"
    overlay.write_module(folder)
    return overlay.environment(real, folder, HOST, server)


def _refuse_many(uses: _Uses) -> None:
    for url in (*uses.urls.values(), *(a.url for a in uses.fixed if a.url)):
        if where(url).many and answers(url):
            raise UsageError(
                "the target uses a Redis cluster or sentinel, which one server can't stand in for",
                where=without_password(url),
                do=f"run the review with a URL of a plain Redis, or {OPT_IN}",
            )


def _refuse_fixed(uses: _Uses) -> tuple[str, ...]:
    """Notes of addresses that are written out in the source and where nobody answers; UsageError where one does."""
    notes = []
    for one in uses.fixed:
        shown = without_password(one.url or "")
        if answers(one.url or ""):
            raise UsageError(
                f"the target's source has the address of a Redis, or its port, written out, and one answers: {shown}",
                where=one.source,
                do="read it from a variable such as REDIS_URL; or name the variable that decides, by "
                f"`redis_variable` under [target] in perfcrew.toml; or {OPT_IN}",
            )
        notes.append(f"{one.source}: {shown} is written out in the source, and nobody answers there")
    return tuple(notes)


def _refuse_without_program(uses: _Uses) -> None:
    there = next((url for url in uses.own if uses.redirected and answers(url)), None)
    if there is not None:
        raise UsageError(
            "the target would use your Redis, and there is no redis-server to give it one of its own",
            where=without_password(there),
            do=f"{INSTALL}; or {OPT_IN}",
        )
