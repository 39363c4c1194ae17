"""Where a run took place: machine, kernel, the target's interpreter and packages, its commit."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil

from perfcrew.core.errors import ToolFailed
from perfcrew.core.evidence import Environment
from perfcrew.core.project import Project

TIMEOUT_S = 20.0
_ASKED = """
import json, platform
from importlib import metadata
print(json.dumps({"python": platform.python_version(),
                  "packages": {d.metadata["Name"]: d.version for d in metadata.distributions() if d.metadata["Name"]}}))
"""


async def measure_environment(project: Project) -> Environment:
    """The environment as evidence. ToolFailed where the target's interpreter does not answer."""
    said = json.loads(await _said([str(project.python), "-c", _ASKED], project.workdir))
    commit = await _git(project.root, "rev-parse", "HEAD")
    changed = await _git(project.root, "status", "--porcelain") if commit else None
    return Environment(
        cpu_model=_cpu_model(),
        cores=os.cpu_count() or 1,
        memory_bytes=psutil.virtual_memory().total,
        kernel=f"{platform.system()} {platform.release()}",
        python=said["python"],
        packages=dict(sorted(said["packages"].items())),
        commit=commit or None,
        dirty=None if changed is None else bool(changed),
        load_average=os.getloadavg()[0],
    )


def _cpu_model() -> str:
    if sys.platform == "linux":
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
        named = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model"))]
        if named:
            return named[0]
    return platform.processor() or platform.machine()


async def _git(root: Path, *arguments: str) -> str | None:
    """What git says of the tree; None where it is none, or git is missing."""
    try:
        return (await _said(["git", "-C", str(root), *arguments], root)).strip()
    except ToolFailed:
        return None


async def _said(command: Sequence[str], folder: Path) -> str:
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=folder,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise ToolFailed(f"{command[0]} does not run: {error.strerror}", command=command) from None
    try:
        out, errors = await asyncio.wait_for(process.communicate(), TIMEOUT_S)
    except TimeoutError:
        raise ToolFailed(f"{command[0]} did not answer within {TIMEOUT_S:g} s", command=command) from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        tail = errors.decode(errors="replace")[-500:]
        raise ToolFailed(f"{command[0]} failed", command=command, exit=process.returncode, tail=tail)
    return out.decode(errors="replace")
