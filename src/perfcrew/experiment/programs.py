"""Runs a program of the project's to its end, whatever its exit status, within a time; all that it started ends too."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from perfcrew.target import spawn
from perfcrew.target.hints import readable
from perfcrew.target.leftovers import Registry


@dataclass(frozen=True)
class Ran:
    """How a program ended. `exit` is None where it was ended by us because its time was over."""

    command: tuple[str, ...]
    exit: int | None
    duration_s: float
    tail: str
    """The last lines it printed, without secrets."""


async def run_program(
    command: Sequence[str],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    log: Path,
    registry: Registry,
    what: str,
    timeout_s: float,
) -> Ran:
    """Run it. TargetFailed where there is no such program or folder."""
    began = time.monotonic()
    child = spawn.spawn(command, cwd=cwd, environment=environment, log=log, registry=registry, what=what)
    try:
        while child.exit is None and time.monotonic() - began < timeout_s:  # noqa: ASYNC110 - nothing tells of its end
            await asyncio.sleep(0.05)
        status, duration_s = child.exit, time.monotonic() - began
    finally:
        await spawn.uninterrupted(asyncio.to_thread(child.end, 2.0))
    return Ran(tuple(command), status, round(duration_s, 2), readable(child.log.tail(), environment))
