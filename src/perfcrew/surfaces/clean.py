"""`perfcrew clean`: ends what interrupted reviews left, and nothing else."""

from __future__ import annotations

import argparse
from pathlib import Path

from perfcrew.core.errors import UsageError
from perfcrew.target.clone import dropper
from perfcrew.target.config import load
from perfcrew.target.detect import detect
from perfcrew.target.leftovers import DropDatabase, Registry


def command(options: argparse.Namespace) -> int:
    """Sweep the leftovers of this project and say what was ended."""
    root = Path(options.path).resolve()
    folder = root / ".perfcrew" / "leftovers"
    ended = Registry(folder).sweep(_dropper(root)) if folder.is_dir() else ()
    for item in ended:
        print(f"{'removed' if item.done else 'could not remove'} {item.what} {item.name} {item.detail}".rstrip())
    if not ended:
        print("nothing was left")
    return 0 if all(item.done for item in ended) else 3


def _dropper(root: Path) -> DropDatabase | None:
    """Drops databases on the project's server; None where the project is no longer recognised."""
    try:
        drop: DropDatabase = dropper(detect(root, config=load(root)))
    except UsageError:
        return None
    return drop
