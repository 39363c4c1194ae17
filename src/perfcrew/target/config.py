"""Reads perfcrew.toml: what the user says of the target, which overrides whatever would be detected."""

from __future__ import annotations

import difflib
import os
import re
import shlex
import tomllib
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import BaseModel, BeforeValidator, Field, StringConstraints, ValidationError, model_validator

from perfcrew.core.base import Noun
from perfcrew.core.errors import UsageError
from perfcrew.core.findings import Level
from perfcrew.core.language import ModelKeys
from perfcrew.core.project import Auth, DataPlan, Framework, LoginRequest, Scenario, Workload

FILE = "perfcrew.toml"
SECRET_WORDS = ("password", "passwd", "secret", "token", "authorization", "cookie", "api-key", "api_key", "apikey")
_REFERENCE = re.compile(r"(?<!\S)env:([A-Za-z_]\w*)")


def _words(value: object) -> object:
    """A command as the user writes it: one string as a shell would split it, or a list."""
    return tuple(shlex.split(value)) if isinstance(value, str) else value


def _commands(value: object) -> object:
    """Several commands: a list of strings and lists, or one string."""
    if isinstance(value, str):
        return (_words(value),) if value.strip() else ()
    return tuple(_words(item) for item in value) if isinstance(value, list | tuple) else value


Command = Annotated[tuple[str, ...], BeforeValidator(_words)]
Commands = Annotated[tuple[tuple[str, ...], ...], BeforeValidator(_commands)]


class TargetKeys(Noun):
    """`[target]`: each key that is given replaces what would be detected; an empty text says that there is none."""

    name: str | None = None
    framework: Framework | None = None
    python: str | None = None
    app: str | None = None
    settings: str | None = None
    manage: str | None = None
    start: Command | None = None
    prepare: Commands | None = None
    workdir: str | None = None
    migrate: Command | None = None
    seed: Command | None = None
    health: str | None = None
    database_url: str | None = None
    database_variable: str | None = None
    database_files: tuple[str, ...] | None = None
    redis_variable: str | None = None
    shared_redis: bool = False
    tests: Command | None = None
    frontend: str | None = None
    start_timeout_s: float | None = None
    exclude: tuple[str, ...] = ()
    methods: tuple[str, ...] | None = None
    environment: dict[str, str] = {}


def _secret_fields(auth: Auth) -> Iterable[tuple[str, str]]:
    """Those fields of an Auth whose values open something."""
    yield from ((f"headers.{name}", value) for name, value in auth.headers.items() if _secret_name(name))
    yield from ((f"cookies.{name}", value) for name, value in auth.cookies.items())
    login = auth.login or LoginRequest(path="")
    fields: dict[str, object] = {**(login.json_body or {}), **(login.form or {})}
    for name, value in fields.items():
        if _secret_name(name) and isinstance(value, str):
            yield f"login.{name}", value


def _secret_name(name: str) -> bool:
    return any(word in name.lower() for word in SECRET_WORDS)


def _refers(value: str) -> bool:
    return bool(_REFERENCE.search(value))


class AuthKeys(Auth):
    """`[auth]`: as core's Auth, with the script written as a command, and no secret written down."""

    script: Command = ()

    @model_validator(mode="after")
    def _no_secret_in_the_open(self) -> AuthKeys:
        for name, value in _secret_fields(self):
            if not _refers(value):
                raise ValueError(f"{name} is a secret: write env:NAME and set NAME in the environment")
        return self


class Review(Noun):
    """`[review]`: the profile and level of the gate, what to compare with, and how much is measured."""

    profile: str | None = None
    level: Level | None = None
    base: str | None = None
    survey_s: float | None = None
    budget_s: float | None = None
    runs: int | None = None
    seconds: float | None = None
    minimum_requests: int | None = None
    trace_repeats: int | None = None
    profile_seconds: float | None = None
    memory_requests: int | None = None
    neighbour_seconds: float | None = None
    workload_seconds: float | None = None
    load_steps: tuple[float, ...] | None = None
    endpoint_limit: int | None = None
    requests_per_endpoint: int | None = None
    request_timeout_s: float | None = None

    def given(self) -> dict[str, Any]:
        """What the file says, and nothing else: the shape that `settings.load(review=…)` takes."""
        return self.model_dump(exclude_none=True)


Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]
Limit = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]


class FrameKeys(Noun):
    """`[frame]`: what the effort is for. `context` and `constraints` are told in the report as the user's words."""

    primary_metric: str | None = None
    """The metric by which the effort is judged; one of those that are measured, or of the profile's targets."""
    context: Words | None = None
    """Who waits for what, what it costs, what changed lately."""
    constraints: Annotated[tuple[Limit, ...], Field(max_length=20)] = ()
    """What must hold: a budget, the hardware, a law, who is there to do it."""


class Silence(Noun):
    """One `[[ignore]]` or `[[acknowledge]]`: findings of a rule, perhaps only in a file or at an endpoint."""

    rule: str
    file: str | None = None
    endpoint: str | None = None
    until: date | None = None
    reason: str


class Acknowledgement(Silence):
    """A finding that is known and will be seen to: always with the day on which it counts again."""

    until: date


class Config(Noun):
    """perfcrew.toml as a whole. `file` is None where the project has none."""

    file: Path | None = None
    target: TargetKeys = TargetKeys()
    auth: AuthKeys = AuthKeys()
    other_user: AuthKeys | None = None
    scenarios: tuple[Scenario, ...] = ()
    workload: Workload = Workload()
    data: DataPlan = DataPlan()
    review: Review = Review()
    frame: FrameKeys = FrameKeys()
    models: ModelKeys = ModelKeys()
    rules: dict[str, dict[str, float]] = {}
    ignore: tuple[Silence, ...] = ()
    acknowledge: tuple[Acknowledgement, ...] = ()


def load(root: Path) -> Config:
    """The project's perfcrew.toml, or an empty Config where there is none.

    Raises UsageError where it is not TOML, a value has the wrong type, or a key is unknown (with the nearest known).
    """
    path = root / FILE
    if not path.is_file():
        return Config()
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{FILE} is not valid TOML: {error}", where=str(path), do="correct that line") from None
    return parse(content, path)


def parse(content: Mapping[str, Any], path: Path) -> Config:
    """The Config that this content means; `path` is named in errors."""
    if "file" in content:
        raise UsageError(f"{FILE} has the unknown key file", where=str(path), do="remove it")
    try:
        return Config.model_validate({**content, "file": path})
    except ValidationError as error:
        first = error.errors()[0]
        raise _usage(first["type"], first["loc"], first["msg"], path) from None


def _usage(kind: str, loc: tuple[int | str, ...], message: str, path: Path) -> UsageError:
    key = ".".join(str(part) for part in loc)
    if kind != "extra_forbidden":
        return UsageError(f"{FILE}: {key}: {message}", where=str(path), do="correct the value")
    known = sorted(_known(loc[:-1]))
    near = difflib.get_close_matches(str(loc[-1]), known, n=1, cutoff=0.5)
    do = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
    return UsageError(f"{FILE} has the unknown key {key}", where=str(path), do=do)


def _known(loc: Iterable[int | str]) -> set[str]:
    """The keys that are known at that place of the file."""
    model: type[BaseModel] = Config
    for part in loc:
        if isinstance(part, str) and part in model.model_fields:
            model = _model_of(model.model_fields[part].annotation) or model
    return set(model.model_fields) - {"file"}


def _model_of(annotation: Any) -> type[BaseModel] | None:
    """The model within `Model`, `Model | None` or `tuple[Model, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_of(inner) for inner in get_args(annotation))
    return next((model for model in found if model), None)


def resolved(text: str, where: str) -> str:
    """The text with each word `env:NAME` replaced by that variable's value. UsageError where it is not set."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise UsageError(f"the variable {match[1]} is not set", where=where, do=f"export {match[1]}=…")
        return os.environ[match[1]]

    return _REFERENCE.sub(value, text)
