"""Asking for routes imports the application: what that writes beside itself must not come into the user's tree."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from perfcrew.target import clone
from perfcrew.target.client import Client
from perfcrew.target.config import load
from perfcrew.target.detect import detect
from perfcrew.target.environment import environment_of
from perfcrew.target.leftovers import Registry
from perfcrew.target.routes import routes

APP = """
import sqlite3
from pathlib import Path

from fastapi import FastAPI
from sqlalchemy import create_engine

engine = create_engine("sqlite:///shop.db")
with engine.begin() as db:
    db.exec_driver_sql("CREATE TABLE IF NOT EXISTS book (id INTEGER PRIMARY KEY)")
(Path(__file__).parent / "imported.txt").write_text("here")
app = FastAPI()


@app.get("/books")
def books():
    return []
"""


@pytest.mark.target
async def test_an_import_that_makes_its_database_leaves_the_tree_as_it_was(tmp_path: Path) -> None:
    tree, workspace = tmp_path / "tree", tmp_path / "workspace"
    tree.mkdir()
    (tree / "main.py").write_text(APP)
    project = detect(tree, python=Path(sys.executable), config=load(tree))
    registry = Registry(tmp_path / "leftovers")
    async with await clone.prepare(project, workspace=workspace, registry=registry) as template:
        copy = await template.clone("survey")
        async with Client("http://127.0.0.1:9", {}, {}, 1.0) as client:
            found = await routes(project, client, clone=copy, environment=environment_of(project, copy))
        copy.drop()
    assert [e.key for e in found.endpoints] == ["GET /books"]
    handler = found.endpoints[0].handler
    assert handler is not None and (handler.file, handler.function) == ("main.py", "books")
    assert sorted(p.name for p in tree.iterdir()) == ["main.py"]
