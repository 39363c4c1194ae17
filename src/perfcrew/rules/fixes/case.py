"""What a fixer is given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from perfcrew.core.findings import Finding
from perfcrew.core.scene import ApplicationScene, Scene


@dataclass(frozen=True)
class Case:
    """One finding, and the tree that is to be edited."""

    root: Path
    """A copy of the target's tree, in which lines may have moved since the finding."""
    finding: Finding
    scene: Scene | None
    """Of the finding's endpoint, None where it has none."""
    app: ApplicationScene
