"""`perfcrew doctor`: which programs the instruments find here, and what is detected of the project.

`--models`: which language models are configured, and what each of them answers to one real call.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from perfcrew.core.errors import CommandError, UsageError
from perfcrew.crew import models
from perfcrew.crew.models import offline
from perfcrew.instruments import manifests
from perfcrew.target.config import load
from perfcrew.target.detect import detect


def command(options: argparse.Namespace) -> int:
    """Ask each instrument's program for its version, then detect the project."""
    root = Path(options.path).resolve()
    if options.offline:
        offline.enforce()
    if options.models:
        return asyncio.run(_models(root))
    missing = asyncio.run(_instruments(root))
    try:
        project = detect(root, config=load(root))
    except UsageError as error:
        print(f"\nproject  {error}")
        return error.exit_code
    print(f"\nproject  {project.name} ({project.framework}), started by: {' '.join(project.start)}")
    for found in project.detected:
        print(f"  {found.key} = {found.value}  ({found.source})")
    return 3 if missing else 0


async def _models(root: Path) -> int:
    """A line for each model; 3 where one that is configured does not answer."""
    found = models.look(root)
    print(found.said)
    if found.settings is None:
        return 0
    from perfcrew.crew.models import trying  # what speaks to a model is imported only where there is one

    failed = 0
    async for tried in trying.each(found.settings):
        print(tried.text, flush=True)
        failed += tried.got is None
    return 3 if failed else 0


async def _instruments(root: Path) -> int:
    """Print a line for each; the number of those that are missing."""
    missing = 0
    for name in manifests.names(root):
        found = manifests.manifest(name, root)
        try:
            print(f"{name:<10} {found.program} {await manifests.version(found)}".rstrip())
        except CommandError as error:
            missing += 1
            print(f"{name:<10} MISSING: {error.what}; {found.install}")
    return missing
