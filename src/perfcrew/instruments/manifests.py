"""Manifests: what an instrument is, what it needs, and what a model reads of it. One file each in `tools/`."""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path

from perfcrew import rooms
from perfcrew.core.base import Noun, parsed
from perfcrew.core.errors import ToolFailed, ToolMissing, UsageError

_VERSION_S = 10.0


class Manifest(Noun):
    """One instrument. `version` is the command that prints its program's version; `units` are those of its figures."""

    name: str
    program: str
    version: tuple[str, ...]
    install: str
    needs: tuple[str, ...] = ()
    timeout_s: float
    units: dict[str, str]
    text: str


def manifest(name: str, project: Path | None = None) -> Manifest:
    """The manifest of that name, the project's own first. UsageError says what is wrong in which file."""
    file = f"tools/{name}.yaml"
    found = parsed(Manifest, rooms.mapping(rooms.read(file, project), file), file)
    if found.name != name:
        raise UsageError(f"the file names itself {found.name!r}", where=file, do=f"write `name: {name}`")
    return found


def names(project: Path | None = None) -> tuple[str, ...]:
    """The names of all manifests."""
    return tuple(Path(n).stem for n in rooms.names("tools", project, "*.yaml"))


def program(name: str, install: str) -> str:
    """The path of a program, beside our own interpreter first. ToolMissing says how to install it."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.is_file() else shutil.which(name)
    if found is None:
        raise ToolMissing(f"{name} is not installed", command=(name,), do=install)
    return found


async def version(found: Manifest) -> str:
    """What the program says its version is. ToolMissing or ToolFailed where it can't say."""
    command = [program(found.version[0], found.install), *found.version[1:]]
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), _VERSION_S)
    except TimeoutError:
        raise ToolFailed(f"{found.program} did not say its version", command=command, do=found.install) from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    said = output.decode(errors="replace").strip()
    if process.returncode:
        raise ToolFailed(f"{found.program} failed", command=command, exit=process.returncode, tail=said)
    return said.splitlines()[-1].removeprefix(f"{found.version[0]} ") if said else ""
