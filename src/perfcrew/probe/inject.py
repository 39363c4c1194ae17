"""How the probe gets into the target: environment variables, and a folder with OpenTelemetry in it.

Nothing is installed into the target's environment. Python imports a `sitecustomize` module it finds on
PYTHONPATH at every start; ours lies in `boot/` and goes on to the one it hid.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

Mode = Literal["otel", "stdlib"]
BOOT = Path(__file__).parent / "boot"
PARTS = frozenset({"spans", "watchdog", "functions", "orm", "heap", "allocations"})
_ROOTS = ("opentelemetry-api", "opentelemetry-sdk", "opentelemetry-semantic-conventions")
INSTRUMENTORS = "perfcrew-instrumentors.json"
_INSTRUMENTATION = "opentelemetry-instrumentation"


def environment(
    out: Path,
    root: Path,
    *,
    mode: Mode = "otel",
    parts: Iterable[str] = ("spans",),
    deps: Path | None = None,
    pythonpath: str | None = None,
) -> dict[str, str]:
    """The variables to add to the target's environment.

    `out` receives one `<pid>.jsonl` a process, `root` is the target's own source, `deps` comes from
    `dependencies()` and is needed for mode "otel" only. `pythonpath` is what the target already had there
    (default: this process's). Raises ValueError for a part that does not exist.
    """
    wanted = sorted(set(parts))
    unknown = set(wanted) - PARTS
    if unknown:
        there_are = ", ".join(sorted(PARTS))
        raise ValueError(f"no such part of the probe: {', '.join(sorted(unknown))}; there are {there_are}")
    existing = os.environ.get("PYTHONPATH", "") if pythonpath is None else pythonpath
    return {
        "PYTHONPATH": os.pathsep.join(part for part in (str(BOOT), existing) if part),
        "PERFCREW_PROBE_DIR": str(out.resolve()),
        "PERFCREW_PROBE_ROOT": str(root.resolve()),
        "PERFCREW_PROBE_MODE": mode,
        "PERFCREW_PROBE_PARTS": ",".join(wanted),
        "PERFCREW_PROBE_DEPS": str(deps.resolve()) if deps is not None else "",
    }


def dependencies(folder: Path) -> Path:
    """A folder below `folder` with the OpenTelemetry distributions of this environment and what they need.

    Made once for each set of versions and moved into place whole, so that two runs at once are safe. Works
    offline: files are linked, or copied where links are not possible. Raises
    importlib.metadata.PackageNotFoundError where OpenTelemetry's SDK is not installed here.
    """
    wanted = _closure([*_ROOTS, *_instrumentations()])
    versions = "\n".join(f"{name}=={item.version}" for name, item in sorted(wanted.items()))
    place = folder / f"otel-{hashlib.sha256(versions.encode()).hexdigest()[:16]}"
    if place.is_dir():
        return place
    folder.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".otel-", dir=folder))
    try:
        for item in wanted.values():
            _bring(item, draft)
        (draft / INSTRUMENTORS).write_text(json.dumps(_entry_points(wanted)), encoding="utf-8")
        _move(draft, place)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return place


def _instrumentations() -> list[str]:
    names = (item.metadata["Name"].lower() for item in metadata.distributions())
    return sorted(name for name in names if name.startswith(_INSTRUMENTATION))


def _closure(names: list[str]) -> dict[str, metadata.Distribution]:
    """The distributions and, transitively, those they require in this environment (extras left out)."""
    found: dict[str, metadata.Distribution] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop().lower().replace("_", "-")
        if name in found:
            continue
        found[name] = metadata.distribution(name)
        waiting.extend(_required(found[name]))
    return found


def _required(item: metadata.Distribution) -> list[str]:
    """What this distribution needs, extras left out, and what a marker leaves out of this environment too."""
    names = []
    for line in item.requires or ():
        requirement, _, marker = line.partition(";")
        name = re.split(r"[^A-Za-z0-9._-]", requirement.strip(), maxsplit=1)[0]
        if "extra" not in marker and not (marker and _missing(name)):
            names.append(name)
    return names


def _missing(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return True
    return False


def _entry_points(wanted: dict[str, metadata.Distribution]) -> dict[str, str]:
    """Instrumented library -> "module:class" of OpenTelemetry's instrumentor for it."""
    points = (point for item in wanted.values() for point in item.entry_points)
    return {point.name: point.value for point in points if point.group == "opentelemetry_instrumentor"}


@dataclass(frozen=True)
class _Entry:
    source: Path
    relative: Path


def _entries(item: metadata.Distribution) -> Iterable[_Entry]:
    for file in item.files or ():
        source = Path(str(item.locate_file(file)))
        # Scripts lie outside (`../../bin`), compiled caches belong to one interpreter only.
        if ".." in file.parts or "__pycache__" in file.parts or not source.is_file():
            continue
        yield _Entry(source, Path(*file.parts))


def _bring(item: metadata.Distribution, draft: Path) -> None:
    for entry in _entries(item):
        goal = draft / entry.relative
        goal.parent.mkdir(parents=True, exist_ok=True)
        try:
            goal.symlink_to(entry.source.resolve())
        except OSError:
            shutil.copyfile(entry.source, goal)


def _move(draft: Path, place: Path) -> None:
    try:
        draft.rename(place)
    except OSError:
        # Another run was first: its folder holds the same versions.
        if not place.is_dir():
            raise
