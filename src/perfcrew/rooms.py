"""Finds the rooms: cards, prompts, policies, manifests and configuration, and a project's own versions of them.

In a checkout the rooms lie at the top of the repository; in an installed wheel under `perfcrew/_rooms`. A project
overrides any one file by its own under `.perfcrew/`, such as `.perfcrew/agents/database.md`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from perfcrew.core.errors import UsageError

ROOMS = ("agents", "prompts", "workflows", "tools", "config")


def home() -> Path:
    """The folder that holds the rooms."""
    package = Path(__file__).resolve().parent
    installed = package / "_rooms"
    return installed if installed.is_dir() else package.parents[1]


def find(name: str, project: Path | None = None) -> Path:
    """The file of that name, such as `config/rules.yaml`: the project's own first, else the shipped one.

    Raises UsageError where there is none.
    """
    places = [home() / name]
    if project is not None:
        places.insert(0, project / ".perfcrew" / name)
    for place in places:
        if place.is_file():
            return place
    raise UsageError(
        f"no {name}",
        where=" or ".join(str(p) for p in places),
        do=f"put the file there, or name one of: {', '.join(names(name.partition('/')[0], project)) or 'none'}",
    )


def read(name: str, project: Path | None = None) -> str:
    """The text of a room's file."""
    return find(name, project).read_text(encoding="utf-8")


def mapping(text: str, where: str) -> dict[str, Any]:
    """YAML text that must hold a mapping. UsageError says where it doesn't."""
    import yaml

    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"not YAML: {error}", where=where, do="correct the line") from None
    if not isinstance(content, dict):
        raise UsageError("holds no mapping", where=where, do="compare with the shipped file")
    return content


def names(room: str, project: Path | None = None, pattern: str = "*") -> list[str]:
    """The files of a room, as `room/name`, the project's own among them, sorted."""
    folders = [home() / room] + ([project / ".perfcrew" / room] if project else [])
    return sorted({f"{room}/{p.relative_to(f).as_posix()}" for f in folders for p in f.rglob(pattern) if p.is_file()})
