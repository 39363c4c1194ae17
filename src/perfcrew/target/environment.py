"""The target's environment and commands, as they are handed to a process."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from perfcrew.core.project import Project

if TYPE_CHECKING:
    from perfcrew.target.clone import Clone

HOST = "127.0.0.1"
BYTECODE = "bytecode"
"""Folder of the workspace that all starts share."""
_OURS_ONLY = ("VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH")


def start_command(project: Project, port: int) -> list[str]:
    """The start command with host and port put in, and with the target's own interpreter for `python`."""
    return command_of(project, [word.replace("{port}", str(port)).replace("{host}", HOST) for word in project.start])


def command_of(project: Project, command: Sequence[str]) -> list[str]:
    """A command of the project's, its `python` being the target's interpreter."""
    words = list(command)
    if words and words[0] in ("python", "python3"):
        words[0] = str(project.python)
    return words


def environment_of(
    project: Project,
    data: Clone | None,
    extra: Mapping[str, str] | None = None,
    *,
    port: int | None = None,
    bytecode: Path | None = None,
) -> dict[str, str]:
    """The target's environment: ours without our virtual environment, the project's, the clone's, then `extra`.

    Compiled modules go to the folder `bytecode`, so that the tree stays untouched and only the first start has to
    compile what was installed without them; without that folder none are written. Who keeps compiled modules outside
    of the tree already (PYTHONPYCACHEPREFIX) has them there, and then not even the first start compiles.
    """
    layers = [project.environment, data.environment if data else {}, extra or {}]
    merged = {k: v for k, v in os.environ.items() if k not in _OURS_ONLY}
    for layer in layers:
        merged.update(layer)
    merged.pop("PYTHONPATH", None)
    if path := _paths(*reversed(layers), os.environ):
        merged["PYTHONPATH"] = path
    merged["PATH"] = f"{project.python.parent}{os.pathsep}{merged.get('PATH', os.defpath)}"
    merged["PYTHONDONTWRITEBYTECODE"] = "1"
    if bytecode is not None:
        del merged["PYTHONDONTWRITEBYTECODE"]
        merged["PYTHONPYCACHEPREFIX"] = _compiled(project, merged.get("PYTHONPYCACHEPREFIX", ""), bytecode)
    if port is not None:
        merged.update(_port_variables(project, merged, port))
    return merged


def _compiled(project: Project, own: str, bytecode: Path) -> str:
    """Where compiled modules go: the user's own place for them, unless it is in the tree."""
    outside = Path(own).is_absolute() and not Path(own).is_relative_to(project.root)
    return own if outside else str(bytecode)


def layered(*layers: Mapping[str, str]) -> dict[str, str]:
    """One layer of several: what comes later wins, and its PYTHONPATH comes first."""
    merged = {name: value for layer in layers for name, value in layer.items()}
    return {**merged, **({"PYTHONPATH": path} if (path := _paths(*reversed(layers))) else {})}


def _paths(*layers: Mapping[str, str]) -> str:
    paths = [layer.get("PYTHONPATH", "") for layer in layers]
    return os.pathsep.join(dict.fromkeys(p for path in paths for p in path.split(os.pathsep) if p))


def _port_variables(project: Project, environment: Mapping[str, str], port: int) -> dict[str, str]:
    """Where the command has no `{port}`: the variables by which servers commonly learn theirs."""
    told = {k: v.replace("{port}", str(port)).replace("{host}", HOST) for k, v in environment.items() if "{port}" in v}
    if not told and not any("{port}" in word for word in project.start):
        names = ("PORT", "UVICORN_PORT", "FLASK_RUN_PORT", "HYPERCORN_PORT")
        told = dict.fromkeys(names, str(port))
    return told
