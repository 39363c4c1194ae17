"""What the environment asked for."""

from __future__ import annotations

import os
from typing import NamedTuple

REQUEST_PARTS = frozenset({"spans", "watchdog", "functions", "orm"})


class Settings(NamedTuple):
    """`folder` takes the records, `root` is the target's source, `deps` has OpenTelemetry or is empty."""

    folder: str
    root: str
    mode: str
    parts: frozenset[str]
    deps: str

    @property
    def watches_requests(self) -> bool:
        return bool(self.parts & REQUEST_PARTS)


def read() -> Settings:
    value = os.environ.get
    return Settings(
        folder=value("PERFCREW_PROBE_DIR", ""),
        root=os.path.abspath(value("PERFCREW_PROBE_ROOT", "") or os.curdir),
        mode=value("PERFCREW_PROBE_MODE", "otel"),
        parts=frozenset(part for part in value("PERFCREW_PROBE_PARTS", "spans").split(",") if part),
        deps=value("PERFCREW_PROBE_DEPS", ""),
    )
