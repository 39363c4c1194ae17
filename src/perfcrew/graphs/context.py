"""The live handles of a run: ledger, target, clones, progress. They travel beside the state, never in it."""

from __future__ import annotations

import asyncio
import glob
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from perfcrew import __version__
from perfcrew.core.base import Noun
from perfcrew.core.errors import TargetFailed
from perfcrew.core.evidence import Body, Evidence, Failure, Frame, Log, Measurement, Method, Survey
from perfcrew.core.project import Project
from perfcrew.core.report import Report
from perfcrew.core.web import Plan
from perfcrew.crew.cards import Policy
from perfcrew.crew.thinking import Thinking
from perfcrew.graphs import scenes
from perfcrew.graphs.budget import Budget
from perfcrew.graphs.data import Data
from perfcrew.graphs.progress import Progress, Tell
from perfcrew.instruments import control
from perfcrew.instruments.load import Aim
from perfcrew.instruments.workload import logged_shares, scenario_shares
from perfcrew.ledger import Ledger
from perfcrew.probe import inject
from perfcrew.settings import Settings
from perfcrew.target import auth
from perfcrew.target.client import Client
from perfcrew.target.clone import Clone
from perfcrew.target.config import Config
from perfcrew.target.detect import detect
from perfcrew.target.hints import redact
from perfcrew.target.launch import Running, launch
from perfcrew.target.leftovers import Registry

APPLICATION = "application"
_SILENT_S = 10.0
"""A target that answers nothing for so long is started again."""
Fresh = Callable[[str], Awaitable[Clone]]
"""Makes a copy of the data under a name."""


class Wanted(Noun):
    """What the user asked for: the scope, and what overrides detection."""

    scope: Literal["all", "changed", "endpoint"] = "changed"
    base: str | None = None
    endpoints: tuple[str, ...] = ()
    app: str | None = None
    python: Path | None = None
    findings: tuple[str, ...] = ()
    """Ids, or their beginnings, of the findings that changes are tried for; empty: all."""
    show_prompts: bool = False
    """Whether the prompts are written down instead of being sent."""
    carry: bool = False
    """Whether uncommitted work is part of the base that changes are tried on."""


@dataclass
class Instance:
    """One started instance of the target, with a client that is logged in."""

    running: Running
    client: Client
    clone: Clone
    credentials: auth.Credentials
    probe_dir: Path | None
    timeout_s: float
    other: Client | None = None
    """Logged in as the other user, where the project has one and was asked to."""

    @property
    def aim(self) -> Aim:
        """What the load drivers need to ask this instance as the same user."""
        return Aim(self.running.base_url, self.credentials.headers, self.credentials.cookies, self.timeout_s)


@dataclass
class Together:
    """Counts the time in which at least one of several was under way."""

    seconds: float = 0.0
    _under_way: int = 0
    _since: float = 0.0

    def __enter__(self) -> None:
        self._counted(1)

    def __exit__(self, *error: object) -> None:
        self._counted(-1)

    def _counted(self, change: int) -> None:
        now = time.monotonic()
        if self._under_way:
            self.seconds += now - self._since
        self._under_way, self._since = self._under_way + change, now


@dataclass
class Context:
    """Everything that a node needs beside the state."""

    run: str
    root: Path
    config: Config
    settings: Settings
    policy: Policy
    wanted: Wanted
    ledger: Ledger
    registry: Registry
    workspace: Path
    out: Path
    """Where the rendered report goes."""
    tell: Tell
    budget: Budget
    """What is not measured when it is over is listed as not measured."""
    measuring_s: float = 0.0
    """Spent with the target under measurement; the rest of a run is our own doing."""
    began: float = field(default_factory=time.monotonic)
    _instances: int = 0
    _since: float = 0.0
    _carried: set[str] = field(default_factory=set, repr=False)
    """Values of the headers and cookies of all logins."""
    thinking: Thinking | None = None
    """The models of this run; without them the rule book concludes."""
    thought: Together = field(default_factory=Together)
    """Waiting for models."""
    one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)
    """Held while an instrument runs for a specialist: two at once would disturb each other."""
    draft: Report | None = None
    published: Report | None = None

    @cached_property
    def data(self) -> Data:
        """The clones of this run, made when first needed."""
        return Data(self)

    def close(self) -> None:
        """Remove the clones, if any were made."""
        if "data" in self.__dict__:
            self.data.drop()

    @property
    def frame(self) -> Frame:
        """What the run is about; LedgerError before it is framed."""
        return scenes.slot_body(self.ledger, self.run, "frame", Frame)

    @cached_property
    def project(self) -> Project:
        """The target, detected anew in each process: the ledger's copy of it holds no values of variables."""
        return detect(self.root, app=self.wanted.app, python=self.wanted.python, config=self.config)

    @property
    def survey(self) -> Survey:
        """Every endpoint found; LedgerError before the survey."""
        return scenes.slot_body(self.ledger, self.run, "survey", Survey)

    @property
    def plans(self) -> tuple[Plan, ...]:
        """The plans that are measured: in scope, with requests that were answered, and not given up since."""
        wanted = (p for p in scenes.in_scope(self.survey) if p.measurable)
        return tuple(p for p in wanted if not self.has(f"not measured/{p.endpoint.key}"))

    @property
    def shares(self) -> dict[str, float]:
        """The part of each endpoint in the mix: as the user says, else as the access log has it; empty: all alike."""
        given = scenario_shares(self.project.scenarios, self.survey.plans) | self.project.workload.shares
        return given or logged_shares(self.plans)

    def progress(self, stage: str) -> Progress:
        return Progress(self.tell, stage)

    def method(self, tool: str, version: str = __version__, command: Sequence[str] = (), **settings: object) -> Method:
        """A method taken in this run's environment."""
        environment = self.ledger.slot(self.run, "environment")
        return Method.model_validate(
            {
                "tool": tool,
                "version": version,
                "command": command,
                "settings": settings,
                "environment": environment.id if environment else None,
            }
        )

    def put(
        self,
        slot: str,
        body: Body,
        method: Method,
        subject: str = APPLICATION,
        blobs: Mapping[str, bytes] | None = None,
    ) -> Evidence:
        return self.ledger.put(self.run, slot, body, method, subject, blobs)

    def has(self, slot: str) -> bool:
        return self.ledger.slot(self.run, slot) is not None

    def failed(self, stage: str, what: str, error: BaseException | str, subject: str = APPLICATION) -> Evidence:
        """Something did not work: kept as evidence, told, and the run goes on."""
        self.progress(stage).note(f"{what}: {str(error).splitlines()[0]}")
        body = Failure(stage=stage, what=what, error=self.redacted(str(error)))
        return self.put(f"failure/{stage}/{what}", body, self.method("perfcrew"), subject)

    def baseline(self, key: str, metric: str = "latency") -> float | None:
        """The median of an endpoint's baseline in the metric's unit, None where it has none."""
        found = [e.body for e in self.ledger.find(self.run, "measurement", key) if isinstance(e.body, Measurement)]
        one = next((m for m in found if m.metric == metric and "p50" in m.statistics), None)
        return one.statistics["p50"].value if one else None

    @contextmanager
    def measuring(self) -> Iterator[None]:
        """Count the block as time in which at least one instance is there, or a clone of the data is measured."""
        self._counted(1)
        try:
            yield
        finally:
            self._counted(-1)

    def _counted(self, change: int) -> None:
        now = time.monotonic()
        if self._instances:
            self.measuring_s += now - self._since
        self._instances, self._since = self._instances + change, now

    def spent(self) -> bool:
        """Whether the time for measuring is used up."""
        return self.budget.spent()

    @asynccontextmanager
    async def started(
        self,
        name: str,
        *,
        size: int | None = None,
        parts: Iterable[str] = (),
        environment: Mapping[str, str] | None = None,
        project: Project | None = None,
        fresh: Fresh | None = None,
        with_other: bool = False,
    ) -> AsyncIterator[Instance]:
        """Start the target on a clone of its own, with these parts of the probe, until the block ends.

        `project` is another state of it, in a worktree; `fresh` makes its data where they differ from the base's.
        """
        clone = await (fresh(name) if fresh else self.data.clone(name, size))
        probe_dir = self.workspace / f"probe-{name}" if parts else None
        extra = dict(environment or {}) | self._probe(probe_dir, parts, clone)
        try:
            with self.measuring():
                async with (
                    launch(
                        project or self.project,
                        data=clone,
                        workspace=self.workspace,
                        registry=self.registry,
                        environment=extra,
                        name=name,
                    ) as running,
                    self._client(running) as (client, credentials),
                    self._other(running, with_other) as other,
                ):
                    timeout_s = self.settings.measuring.request_timeout_s
                    yield Instance(running, client, clone, credentials, probe_dir, timeout_s, other)
        finally:
            try:
                if probe_dir is not None:
                    control.remove(probe_dir)
                self._keep_logs(name)
            finally:
                clone.drop()

    async def kept_up(self, instance: Instance) -> bool:
        """Start an instance again that has ended or no longer answers; whether it had to be."""
        try:
            await instance.running.check(min(_SILENT_S, instance.timeout_s))
        except TargetFailed:
            await instance.running.again()
            instance.credentials = await self._login(instance.running)
            instance.client.carry(instance.credentials.headers, instance.credentials.cookies)
            if instance.other is not None:
                other = await self._login(instance.running, other=True)
                instance.other.carry(other.headers, other.cookies)
            return True
        return False

    async def _login(self, running: Running, other: bool = False) -> auth.Credentials:
        credentials = await auth.credentials(self.project, running.base_url, other, running.redis.environment)
        carried = (*credentials.headers.values(), *credentials.cookies.values())
        self._carried |= {value.split()[-1] for value in carried if value.strip()}  # `Bearer TOKEN`: the token alone
        return credentials

    @asynccontextmanager
    async def _client(self, running: Running) -> AsyncIterator[tuple[Client, auth.Credentials]]:
        credentials = await self._login(running)
        timeout_s = self.settings.measuring.request_timeout_s
        async with Client(running.base_url, credentials.headers, credentials.cookies, timeout_s) as client:
            yield client, credentials

    @asynccontextmanager
    async def _other(self, running: Running, wanted: bool) -> AsyncIterator[Client | None]:
        if not wanted or self.project.other_user is None:
            yield None
            return
        found = await self._login(running, other=True)
        timeout_s = self.settings.measuring.request_timeout_s
        async with Client(running.base_url, found.headers, found.cookies, timeout_s) as client:
            yield client

    def _probe(self, probe_dir: Path | None, parts: Iterable[str], clone: Clone) -> dict[str, str]:
        if probe_dir is None:
            return {}
        probe_dir.mkdir(parents=True, exist_ok=True)
        deps = inject.dependencies(cache_folder() / "probe")
        return inject.environment(probe_dir, clone.source_root or self.root, parts=parts, deps=deps, pythonpath="")

    def _keep_logs(self, name: str) -> None:
        """That of the start, and those of the times that it had to be started again."""
        self._keep_log(name)
        for file in sorted(self.workspace.glob(f"{glob.escape(name)}.again-*.log")):
            self._keep_log(file.stem)

    def _keep_log(self, name: str) -> None:
        file = self.workspace / f"{name}.log"
        if file.is_file():
            printed = file.read_bytes()
            content = self.redacted(printed.decode(errors="replace")).encode()
            body = Log(size_bytes=len(printed), tail=content[-2000:].decode(errors="replace"))
            self.put(f"log/{name}", body, self.method("perfcrew"), blobs={"log": content})

    def redacted(self, text: str) -> str:
        """Text of the target's without the secrets that it was given: variables, passwords of URLs, and its login."""
        carried = {f"secret {number}": value for number, value in enumerate(sorted(self._carried))}
        return redact(text, {**os.environ, **self.project.environment, **carried})


def cache_folder() -> Path:
    """Where perfcrew keeps what all projects share."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "perfcrew"


@asynccontextmanager
async def workspace(registry: Registry, run: str) -> AsyncIterator[Path]:
    """A temporary folder of the run's own, gone afterwards; the registry knows it, should we be killed."""
    path = Path(tempfile.gettempdir()) / f"perfcrew-{run}-{os.getpid()}"
    token = registry.temporary(path)
    path.mkdir(mode=0o700)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        registry.over(token)
