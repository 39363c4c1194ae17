"""How many connections an application needs at its peak, by Little's law, and how many its server has to give."""

from __future__ import annotations

import math
from typing import Literal

from perfcrew.core.base import Noun


class ConnectionNeed(Noun):
    """Of all processes of the application together. What nobody could tell is None, never zero."""

    kind: Literal["connection need"] = "connection need"
    engine: str
    rate_per_s: float | None = None
    """Requests a second of the mix, at its peak."""
    assumed_rate: bool = False
    """Whether nobody named a peak, and the rate is a part of the capacity as measured."""
    held_ms: float | None = None
    """How long one request holds a connection, the mean over the mix, by the traces."""
    at_once_count: int = 1
    """The most that one request holds at the same time: a smaller pool would have it wait for itself."""
    busy_count: float | None = None
    """Little's law: the rate times how long each is held."""
    needed_count: int | None = None
    """Those, and twice their root for requests that come in bursts."""
    max_connections_count: int | None = None
    reserved_count: int | None = None
    """Kept by the server for its administrators."""
    usable_count: int | None = None
    """For the application's role."""
    refused: str = ""
    """Why the server did not tell."""
    workers_count: int | None = None
    """Processes that its deployment asks for."""
    workers_said: str = ""
    """Where that stands."""
    bound_count: int | None = None
    """What each process may have at most, of what is usable."""
    pool_count: int | None = None
    """A pool for each process; for all of them together where their number is not known."""


def needed(busy: float) -> int:
    """Connections that are enough for nearly all moments, where so many are in use on average: requests that come
    independently of each other are spread as a Poisson's, whose deviation is the root of its mean."""
    return max(1, math.ceil(busy + 2 * math.sqrt(busy)))
