"""One place for compiled modules, since hundreds of processes import the same ones; and the order of the tests."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

COMPILED = Path(__file__).parents[1] / ".cache" / "compiled"
LONGEST = (
    "graphs/test_resume.py", "graphs/test_targets.py", "experiment/test_answers_and_data.py",
    "experiment/test_answers.py", "experiment/test_at_once.py", "experiment/test_servers.py",
    "rules/fixes/test_bookshop_database.py", "target/test_clone.py", "rules/fixes/test_index_kinds.py",
    "rules/fixes/test_database_runs.py", "gate/test_mutations.py", "surfaces/test_cli.py", "graphs/test_caching.py",
    "target/requests/test_planning.py", "rules/fixes/test_bookshop_runtime.py", "experiment/test_commands.py",
    "crew/test_whole_review.py", "graphs/test_offline.py",
)  # fmt: skip
"""They begin first, or one worker would end long after the others."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ranks = {Path(__file__).parent / name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path, len(LONGEST)))


def _share() -> None:
    """For this process, and by the environment for its workers and whatever they start."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    sys.pycache_prefix = os.environ.setdefault("PYTHONPYCACHEPREFIX", str(COMPILED))


def _forget() -> None:
    """What was compiled of applications in temporary folders that are gone."""
    temporary = Path(tempfile.gettempdir())
    kept = Path(f"{COMPILED}{temporary}")
    for folder in [*kept.glob("pytest-of-*/*"), *kept.glob("*")]:
        if not (temporary / folder.relative_to(kept)).exists():
            shutil.rmtree(folder, ignore_errors=True)


_share()
if "PYTEST_XDIST_WORKER" not in os.environ:
    _forget()
