"""`perfcrew vectors`: sweeps one vector search by hand, on a copy of the database, or a FAISS index in a file."""

from __future__ import annotations

import argparse
import json
import math
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from perfcrew.core.charts import Frontier
from perfcrew.core.errors import ToolFailed, Unmeasurable, UsageError
from perfcrew.core.vectors import VectorSearch
from perfcrew.instruments import faiss_sweep
from perfcrew.instruments.vectors import Asked, sweep
from perfcrew.surfaces.vector_plot import plot
from perfcrew.surfaces.vector_text import lines
from perfcrew.target.clones import postgres, urls
from perfcrew.target.config import load
from perfcrew.target.detect import detect
from perfcrew.target.leftovers import Registry
from perfcrew.target.signals import terminating

_GRACE_S = 60.0
"""FAISS can't be stopped within a build: its process is ended when it is so late."""


def command(options: argparse.Namespace) -> int:
    """Sweep and say what came out: 0 where a setting meets the recall, 1 where none does."""
    _refuse(options)
    root = Path(options.path).resolve()
    if Path(options.what).is_file():
        return _faiss(options)
    with terminating(), _copied(root, _url(options, root)) as clone:
        found = sweep(clone, _statement(options), None, _asked(options))
    if isinstance(found, str):
        raise Unmeasurable(f"nothing to sweep: {found}", do="name TABLE.COLUMN of a vector column with rows")
    if options.plot:
        Path(options.plot).write_text(plot(_frontier(found)), encoding="utf-8")
    print(json.dumps(found.model_dump(mode="json")) if options.json else "\n".join(lines(found)))
    return 0 if found.recommended else 1


def _refuse(options: argparse.Namespace) -> None:
    if not 0 < options.recall <= 1 or options.limit < 1 or options.queries < 2 or not 0 < options.budget < math.inf:
        raise UsageError("--recall is a fraction such as 0.95, --limit, --queries and --budget are above 0")
    if options.plot and not Path(options.plot).resolve().parent.is_dir():
        raise UsageError(f"no folder for {options.plot}", do="name a file in a folder that there is")


def _asked(options: argparse.Namespace) -> Asked:
    return Asked(recall=options.recall, budget_s=options.budget, queries=options.queries)


def _statement(options: argparse.Namespace) -> str:
    table, dot, column = options.what.rpartition(".")
    if not dot or not column:
        raise UsageError(f"{options.what!r} is neither a file nor TABLE.COLUMN", do="such as items.embedding")
    where = f" WHERE {options.where}" if options.where else ""
    return f"SELECT 1 FROM {table}{where} ORDER BY {column} {options.operator} '[]' LIMIT {options.limit}"


def _url(options: argparse.Namespace, root: Path) -> str:
    url = options.database or (detect(root, config=load(root)).database_url if root.is_dir() else "")
    if not url or urls.engine_of(url) != "postgresql":
        raise UsageError("no PostgreSQL database is known here", do="name it: --database postgresql://…")
    return str(url)


class _Clone:
    """A copy of a database, as instruments take it."""

    engine = "postgresql"

    def __init__(self, url: str) -> None:
        self._url = url

    def connect(self) -> Any:
        return postgres.connect(self._url)


@contextmanager
def _copied(root: Path, url: str) -> Iterator[_Clone]:
    """A copy beside the database, gone afterwards; the registry knows it, should we be killed."""
    registry = Registry(root / ".perfcrew" / "leftovers", "vectors")
    name = f"{postgres.PREFIX}vectors_{secrets.token_hex(4)}"
    folder = Path(tempfile.gettempdir()) / name
    tokens = [registry.temporary(folder), registry.database(name, urls.without_password(url))]
    folder.mkdir(mode=0o700)
    try:
        postgres.copy(url, name, folder)
        yield _Clone(urls.with_database(url, name))
    finally:
        postgres.drop(url, name)
        shutil.rmtree(folder, ignore_errors=True)
        for token in tokens:
            registry.over(token)


def _frontier(found: VectorSearch) -> Frontier:
    return Frontier(
        endpoint="by hand",
        evidence="",
        search=f"{found.table}.{found.column} {found.operator}",
        asked_share=found.asked_share,
        settings=found.settings,
        recommended=found.recommended,
    )


def _faiss(options: argparse.Namespace) -> int:
    """In a process of its own, by the interpreter that has faiss: the script needs that and numpy alone."""
    if options.plot:
        raise UsageError("--plot draws sweeps of pgvector", do="leave it away for a file")
    arguments = {"limit": options.limit, "recall": options.recall, "queries": options.queries, "budget": options.budget}
    python = options.python or sys.executable
    line = [python, str(Path(faiss_sweep.__file__)), options.what]
    line += [word for name, value in arguments.items() for word in (f"--{name}", str(value))]
    line += ["--json"] if options.json else []
    try:
        done = subprocess.run(line, timeout=options.budget + _GRACE_S, stdin=subprocess.DEVNULL, check=False)
    except subprocess.TimeoutExpired:
        raise ToolFailed("the sweep took too long", command=line, do="raise --budget, or give fewer vectors") from None
    return done.returncode
