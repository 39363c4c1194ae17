"""What is known of the target: how it is started, prepared, asked and reviewed.

`perfcrew init` writes these down in perfcrew.toml, `review` reads them from there and detects the rest.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from perfcrew.core.base import Noun

Framework = Literal["fastapi", "starlette", "django", "flask", "quart", "unknown"]


class Detected(Noun):
    """How a key came to its value: which file said so, and why that one was believed."""

    key: str
    value: str
    source: str
    why: str


class LoginRequest(Noun):
    """A request whose token or cookie is carried by all later ones."""

    method: str = "POST"
    path: str
    json_body: dict[str, object] | None = None
    form: dict[str, str] | None = None
    token_field: str | None = None
    """Dotted path into the JSON answer, such as `access_token`."""
    header: str = "Authorization"
    header_format: str = "Bearer {token}"
    csrf: bool = False
    """Fetch the page first, and send back its CSRF cookie and hidden field."""


class Auth(Noun):
    """How requests are authenticated. Values may be `env:NAME`, so that no secret is written down."""

    headers: dict[str, str] = {}
    cookies: dict[str, str] = {}
    login: LoginRequest | None = None
    script: tuple[str, ...] = ()
    """A command that prints a JSON object with `headers` and/or `cookies`."""
    session_file: str | None = None
    """A recorded session: a JSON object with `headers`/`cookies`, or a Netscape cookie file."""


class ScenarioRequest(Noun):
    """One request as the user or a recording gives it."""

    method: str = "GET"
    path: str
    """Path and query, such as `/books/7?full=1`."""
    headers: dict[str, str] = {}
    json_body: object | None = None
    body: str | None = None
    expect: int | None = None


class Scenario(Noun):
    """Requests that exercise one endpoint or flow; `share` of the workload, 0–1."""

    name: str
    requests: tuple[ScenarioRequest, ...]
    share: float | None = None


class Workload(Noun):
    """What the application is asked to bear."""

    peak_rps: float | None = None
    users: int | None = Field(default=None, gt=0)
    """At the same time, at the peak."""
    request_every_s: float | None = Field(default=None, gt=0)
    """Each user sends a request every so many seconds; 10 are assumed."""
    concurrency: int = 4
    shares: dict[str, float] = {}
    har: str | None = None
    access_log: str | None = None


class DataPlan(Noun):
    """How much data the clone is given. `rows` bounds each table after generation."""

    seed: tuple[str, ...] = ()
    """The project's own seed command; `{rows}` in it makes the scaling probe use it."""
    sizes: tuple[int, ...] = (200, 400, 800)
    generate: bool = True
    rows: int = 2000


RedisPart = Literal["url", "host", "port", "password", "user", "tls", "socket"]
"""What one variable tells of a Redis."""


class RedisAddress(Noun):
    """A Redis that the source of the target names, and how the target is told of another one."""

    url: str | None = None
    """Where it is when nothing else is set, without a password; None where the source has no default."""
    source: str
    variables: dict[str, RedisPart] = {}
    """Those of the environment that carry it. None: it is written out in the source, or Django's settings hold it."""
    settings: bool = False
    """Whether Django's settings hold it, which are ours to overlay."""

    @property
    def fixed(self) -> bool:
        """Whether the target can't be told of another."""
        return not self.variables and not self.settings


class Project(Noun):
    """The target as a whole. Paths are absolute, commands are argument lists with `{port}` and `{host}`."""

    root: Path
    name: str
    framework: Framework
    python: Path
    workdir: Path
    app: str | None = None
    """`module:attribute`, or `module:factory()`."""
    factory: bool = False
    settings_module: str | None = None
    manage_py: Path | None = None
    start: tuple[str, ...]
    prepare: tuple[tuple[str, ...], ...] = ()
    migrate: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    health: str | None = None
    database_url: str | None = None
    database_variable: str | None = None
    """The environment variable that carries the database URL, so that a clone's can be put there."""
    database_files: tuple[Path, ...] = ()
    redis: tuple[RedisAddress, ...] = ()
    """What the source says of Redis. Variables that carry the URL of one are seen at the start besides."""
    shared_redis: bool = False
    """Whether the target may use the user's own Redis instead of one of its own."""
    tests: tuple[str, ...] = ()
    frontend: Path | None = None
    auth: Auth = Auth()
    other_user: Auth | None = None
    """Somebody else, who is asked too where a change might hand one user's answer to another."""
    scenarios: tuple[Scenario, ...] = ()
    methods: tuple[str, ...] = ("GET", "HEAD")
    exclude: tuple[str, ...] = ()
    """Endpoint keys or path globs that are never asked."""
    workload: Workload = Workload()
    data: DataPlan = DataPlan()
    start_timeout_s: float = 60.0
    profile: str = "web-api"
    detected: tuple[Detected, ...] = Field(default=())
