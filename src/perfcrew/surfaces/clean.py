"""`perfcrew clean`: ends what interrupted reviews left, and nothing else."""

from __future__ import annotations

import argparse
from pathlib import Path

from perfcrew.target import clone
from perfcrew.target.leftovers import Registry


def command(options: argparse.Namespace) -> int:
    """Sweep the leftovers of this project and say what was ended."""
    folder = Path(options.path).resolve() / ".perfcrew" / "leftovers"
    ended = Registry(folder).sweep(clone.drop_database) if folder.is_dir() else ()
    for item in ended:
        print(f"{'removed' if item.done else 'could not remove'} {item.what} {item.name} {item.detail}".rstrip())
    if not ended:
        print("nothing was left")
    return 0 if all(item.done for item in ended) else 3
