"""Reviews of tiny applications, and the checks that benchmarks/kill_and_resume.py makes."""

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from reviews import Place, project

Placed = Callable[..., Place]


@pytest.fixture(scope="module")
def placed() -> Iterator[Placed]:
    """Makes places for projects. Short names: those of sockets are bounded, and a file below must be what is meant."""
    made: list[Path] = []

    def place(app: str, target: str = "", instruments: str = "baseline, traces") -> Place:
        folder = Path(tempfile.mkdtemp(prefix="pc-", dir="/tmp"))
        made.append(folder)
        temporary = folder / "t"
        temporary.mkdir()
        return Place(project(folder, app, target, instruments), temporary)

    yield place
    for folder in made:
        shutil.rmtree(folder, ignore_errors=True)
