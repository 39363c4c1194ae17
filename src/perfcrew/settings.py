"""The figures that steer a run: the shipped defaults, overridden by the project.

`config/defaults.yaml` and `config/rules.yaml` hold the defaults; perfcrew.toml's `[review]` and `[rules.ID]` override.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from perfcrew import rooms
from perfcrew.core.base import Noun, parsed
from perfcrew.core.errors import UsageError
from perfcrew.core.findings import Level
from perfcrew.core.targets import Profile


class Measuring(Noun):
    """How much is measured. Seconds are per endpoint and started instance."""

    runs: int
    seconds: float
    minimum_requests: int
    trace_repeats: int
    profile_seconds: float
    memory_requests: int
    neighbour_seconds: float
    workload_seconds: float
    load_steps: tuple[float, ...]
    endpoint_limit: int
    requests_per_endpoint: int
    request_timeout_s: float
    survey_s: float
    budget_s: float


class Settings(Noun):
    """Everything that a run is steered by, resolved."""

    profile: Profile
    measuring: Measuring
    rules: dict[str, dict[str, float]]
    gate: dict[str, float]
    level: Level


def _yaml(name: str, project: Path | None) -> dict[str, Any]:
    return rooms.mapping(rooms.read(name, project), name)


def profile(name: str, project: Path | None = None) -> Profile:
    """The profile of targets of that name. UsageError names the known ones."""
    known = [Path(n).stem for n in rooms.names("config/profiles", project, "*.yaml")]
    file = f"config/profiles/{name}.yaml"
    if name not in known:
        raise UsageError(f"no profile {name!r}", do=f"choose one of {', '.join(known)}, or write .perfcrew/{file}")
    return parsed(Profile, {"name": name, **_yaml(file, project)}, file)


def load(
    project: Path | None = None,
    review: Mapping[str, Any] | None = None,
    rules: Mapping[str, Mapping[str, float]] | None = None,
    profile_name: str | None = None,
) -> Settings:
    """The settings of a project: the shipped defaults with `review` and `rules` laid over them."""
    defaults = _yaml("config/defaults.yaml", project)
    given = dict(review or {})
    name = profile_name or given.pop("profile", None) or defaults.pop("profile")
    level = given.pop("level", None) or defaults.pop("level")
    measuring = {**defaults["measuring"], **{k: v for k, v in given.items() if k in Measuring.model_fields}}
    return parsed(
        Settings,
        {
            "profile": profile(str(name), project),
            "measuring": measuring,
            "rules": _thresholds(_yaml("config/rules.yaml", project), rules or {}),
            "gate": _yaml("config/gate.yaml", project),
            "level": level,
        },
        "config/defaults.yaml or perfcrew.toml [review]",
    )


def _thresholds(
    shipped: Mapping[str, Mapping[str, float]], own: Mapping[str, Mapping[str, float]]
) -> dict[str, dict[str, float]]:
    for rule, limits in own.items():
        unknown = set(limits) - set(shipped.get(rule, {}))
        if unknown:
            raise UsageError(
                f"unknown threshold {rule}.{sorted(unknown)[0]}",
                where="perfcrew.toml",
                do=f"known: {', '.join(shipped.get(rule, {})) or f'no rule {rule}'}",
            )
    return {rule: {**limits, **own.get(rule, {})} for rule, limits in shipped.items()}
