"""Targets: figures that the application is held to, machine-readable."""

from __future__ import annotations

from typing import Literal

from perfcrew.core.base import Noun

Outcome = Literal["met", "met without bound", "missed", "not measured"]
"""`met without bound`: the figure meets the target, from too few samples to say how bad it may really be."""


class Target(Noun):
    """`API p95 < 500 ms`: metric, statistic, operator, bound, unit, and how it is measured."""

    name: str
    metric: str
    statistic: Literal["p50", "p95", "p99", "mean", "max", "value"]
    operator: Literal["<", "<=", ">", ">="]
    bound: float
    unit: str
    measured_by: str
    subject: str = "*"
    """Endpoint glob it applies to, `application` for the whole, `*` for each endpoint."""
    optional: bool = False
    """Applies only where the application has such a thing (Redis, a front end)."""


class Profile(Noun):
    """A named set of targets with the context they come from."""

    name: str
    description: str
    users: int | None = None
    targets: tuple[Target, ...]
