"""How many processes the target's own deployment serves it with: measured is one, and a pool is each one's own."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from perfcrew.core.project import Project
from perfcrew.target.detect.launches import WORKERS
from perfcrew.target.detect.servers import workers_note

_NOTED = re.compile(rf"{workers_note('')}(\d+)")
_GUNICORN = re.compile(r"^workers\s*=\s*(\d+)\s*(?:#.*)?$", re.MULTILINE)
_OPTIONS = ("--workers", "-w", "--processes")


@dataclass(frozen=True)
class Said:
    """The number, and what said so."""

    count: int
    source: str


def workers(project: Project) -> Said | None:
    """What the command says that it was detected in, else the one that was given, a variable, or Gunicorn's file.

    None where nothing says it: a platform may start any number.
    """
    for one in (d for d in project.detected if d.key == "start"):
        if noted := _NOTED.search(one.why):
            return Said(int(noted[1]), one.source)
        if one.why.startswith("given") and (count := _asked(project.start)):
            return Said(count, one.source)
    for name in WORKERS:
        if project.environment.get(name, "").isdigit() and int(project.environment[name]):
            return Said(int(project.environment[name]), name)
    return _of_gunicorn(project)


def _asked(words: Sequence[str]) -> int | None:
    plain = [part for word in words for part in re.split(r"[=\s]", word)]
    return next((int(b) for a, b in itertools.pairwise(plain) if a in _OPTIONS and b.isdigit() and int(b)), None)


def _of_gunicorn(project: Project) -> Said | None:
    file = project.workdir / "gunicorn.conf.py"
    if not any("gunicorn" in word for word in project.start) or not file.is_file():
        return None
    found = _GUNICORN.search(file.read_text(encoding="utf-8", errors="replace"))
    return Said(int(found[1]), file.name) if found and int(found[1]) else None
