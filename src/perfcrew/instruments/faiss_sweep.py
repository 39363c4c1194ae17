"""FAISS swept: flat, IVF and HNSW on the vectors of an index file or of a .npy file, recall against latency.

    python faiss_sweep.py vectors.npy            # or an index that faiss.write_index wrote
    perfcrew vectors index.faiss --python /the/target's/python

Needs numpy and faiss alone, so that any interpreter that has them can run it: nothing of perfcrew is imported. One
thread, one query at a time, each in turn with the flat search; recall is counted by distance. Prints the frontier, and
the quickest way of the asked recall. What an index file holds is measured as it stands too.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

_TOWARDS = 0.1
_GOOD_ENOUGH = 0.999
_BARELY = 1.1
_NOTHING, _MISSING = 2, 3


@dataclass
class Way:
    """One way to search, as measured."""

    name: str
    recall: float
    worst: float
    median_ms: float
    times: float
    build_s: float
    size_bytes: int
    frontier: bool = False


class Sweep:
    """Vectors, queries, and the flat index that the others are held against."""

    def __init__(self, faiss: Any, numpy: Any, vectors: Any, options: argparse.Namespace, inner: bool) -> None:
        self.faiss, self.numpy, self.vectors, self.inner = faiss, numpy, vectors, inner
        self.limit, self.end = options.limit, time.monotonic() + options.budget
        self.queries = self._queries(options.queries)
        self.flat = faiss.IndexFlatIP(vectors.shape[1]) if inner else faiss.IndexFlatL2(vectors.shape[1])
        self.flat.add(vectors)
        self.truth = [self.flat.search(query, self.limit)[0][0] for query in self.queries]
        self.ways: list[Way] = []
        self.notes: list[str] = []

    def _queries(self, count: int) -> list[Any]:
        """A tenth of the way from one vector to another: a vector itself would find itself."""
        lot = self.numpy.random.default_rng(0)
        one, other = (self.vectors[lot.integers(0, len(self.vectors), count)] for _ in range(2))
        return [row[None, :] for row in one + _TOWARDS * (other - one)]

    def all(self, own: Any) -> None:
        """The user's own index first, then those that are built."""
        if own is not None:
            self._measure(f"as it stands: {told(self.faiss, own)}", own, 0.0)
            if any(code in told(self.faiss, own) for code in ("PQ", "ScalarQuantizer", "LSH", "Residual")):
                self.notes.append("the index keeps codes: what was swept are the vectors that it makes of them")
        for name, made, ladder in self._built():
            if time.monotonic() > self.end:
                self.notes.append(f"{name}: the time was used up")
                continue
            began = time.monotonic()
            index = made()
            built_s = time.monotonic() - began
            for setting, value in ladder:
                setattr(getattr(index, "hnsw", index), setting, value)
                way = self._measure(f"{name}, {setting}={value}", index, built_s)
                if way.recall >= _GOOD_ENOUGH or way.times < 1 / _BARELY or time.monotonic() > self.end:
                    break
        for way in self.ways:
            way.frontier = not any(_beats(other, way) for other in self.ways)

    def _built(self) -> Iterator[tuple[str, Any, list[tuple[str, int]]]]:
        rows = len(self.vectors)
        root = max(1, round(math.sqrt(rows)))
        for lists in sorted({root, min(4 * root, max(1, rows // 39))}):
            probes = sorted({min(lists, 2**n) for n in range(lists.bit_length() + 1)})
            yield f"ivf nlist={lists}", lambda lists=lists: self._ivf(lists), [("nprobe", p) for p in probes]
        for links, effort in ((16, 64), (32, 128)):
            efforts = [e for e in (16, 32, 64, 128, 256, 512) if e >= self.limit]
            ladder = [("efSearch", e) for e in efforts]
            yield f"hnsw M={links} efConstruction={effort}", lambda m=links, e=effort: self._hnsw(m, e), ladder

    def _metric(self) -> int:
        metric = self.faiss.METRIC_INNER_PRODUCT if self.inner else self.faiss.METRIC_L2
        return int(metric)

    def _ivf(self, lists: int) -> Any:
        flat = type(self.flat)(self.vectors.shape[1])
        index = self.faiss.IndexIVFFlat(flat, self.vectors.shape[1], lists, self._metric())
        index.train(self.vectors)
        index.add(self.vectors)
        return index

    def _hnsw(self, links: int, effort: int) -> Any:
        index = self.faiss.IndexHNSWFlat(self.vectors.shape[1], links, self._metric())
        index.hnsw.efConstruction = effort
        index.add(self.vectors)
        return index

    def _measure(self, name: str, index: Any, built_s: float) -> Way:
        shares, ms, ratios = [], [], []
        index.search(self.queries[0], self.limit)
        for n, (query, truth) in enumerate(zip(self.queries, self.truth, strict=True)):
            flat_ms = _ms(self.flat, query, self.limit)[0] if n % 2 else None
            own_ms, distances = _ms(index, query, self.limit)
            flat_ms = _ms(self.flat, query, self.limit)[0] if flat_ms is None else flat_ms
            ms.append(own_ms)
            ratios.append(flat_ms / own_ms)
            shares.append(self._recall(distances, truth))
        size = int(self.faiss.serialize_index(index).nbytes)
        way = Way(name, mean(shares), min(shares), median(ms), median(ratios), built_s, size)
        self.ways.append(way)
        return way

    def _recall(self, found: Any, truth: Any) -> float:
        """Inner products fall and distances rise; unused places of an answer are beyond any bound."""
        last = float(truth[-1])
        slack = 1e-5 * max(1.0, abs(last))
        right = (found >= last - slack) if self.inner else (found <= last + slack)
        return min(len(truth), int(right.sum())) / len(truth)


def told(faiss: Any, index: Any) -> str:
    """The type of an index, its wrappers left away, with what it is tuned by."""
    index = faiss.downcast_index(index)
    while type(index).__name__.startswith(("IndexIDMap", "IndexPreTransform")):
        index = faiss.downcast_index(index.index)
    name = type(index).__name__
    if "IVF" in name:
        return f"{name} nlist={index.nlist} nprobe={index.nprobe}"
    if "HNSW" in name:
        return f"{name} efConstruction={index.hnsw.efConstruction} efSearch={index.hnsw.efSearch}"
    return name


def loaded(faiss: Any, numpy: Any, file: Path) -> tuple[Any, Any, bool]:
    """Vectors, the index where the file holds one, and whether it goes by inner product."""
    if file.suffix == ".npy":
        return numpy.ascontiguousarray(numpy.load(file, allow_pickle=False), dtype="float32"), None, False
    index = faiss.read_index(str(file))
    inner = index.metric_type == faiss.METRIC_INNER_PRODUCT
    plain = faiss.downcast_index(index)
    while type(plain).__name__.startswith("IndexIDMap"):
        plain = faiss.downcast_index(plain.index)
    if "IVF" in type(plain).__name__:
        plain.make_direct_map()
    return plain.reconstruct_n(0, plain.ntotal), index, inner


def recommended(ways: list[Way], recall: float) -> Way | None:
    """The quickest of that recall; None where the flat search is as quick."""
    good = [w for w in ways if w.recall >= recall and w.times >= _BARELY]
    return max(good, key=lambda w: w.times, default=None)


def _beats(other: Way, way: Way) -> bool:
    mine, theirs = (way.recall, way.times), (other.recall, other.times)
    return theirs != mine and theirs[0] >= mine[0] and theirs[1] >= mine[1]


def _ms(index: Any, query: Any, limit: int) -> tuple[float, Any]:
    started = time.perf_counter()
    distances, _ = index.search(query, limit)
    return (time.perf_counter() - started) * 1000, distances[0]


def show(sweep: Sweep, chosen: Way | None, asked: float) -> Iterator[str]:
    """A table of all that was measured, the quickest first."""
    rows, dimensions = sweep.vectors.shape
    yield f"{sweep.limit} nearest of {rows} vectors of {dimensions} dimensions, {len(sweep.queries)} queries"
    yield f"    {'way':<58}{'recall':>8}{'worst':>8}{'median':>11}{'times':>8}{'build':>9}{'size':>10}"
    for way in sorted(sweep.ways, key=lambda w: -w.times):
        marks = f"{'→' if way is chosen else ' '}{'*' if way.frontier else ' '}"
        yield (
            f"  {marks}{way.name:<58}{way.recall:>8.3f}{way.worst:>8.2f}{way.median_ms:>8.3f} ms{way.times:>7.1f}x"
            f"{way.build_s:>7.1f} s{way.size_bytes / 1e6:>7.1f} MB"
        )
    yield "  * the frontier; times: against the flat search, in turn with it"
    yield from (f"  note: {note}" for note in sweep.notes)
    yield f"  recommended: {chosen.name if chosen else f'flat: nothing of recall {asked:.2f} was quicker'}"


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path, help="a FAISS index, or vectors as .npy (rows × dimensions)")
    parser.add_argument("--limit", type=int, default=10)
    parser.add_argument("--recall", type=float, default=0.95)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--budget", type=float, default=120.0, help="seconds")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """0 where a way meets the recall and is quicker than flat, 1 where none is, 2 and 3 where nothing can be done."""
    options = parsed(arguments)
    try:
        numpy, faiss = importlib.import_module("numpy"), importlib.import_module("faiss")
    except ImportError as error:
        print(f"{error.name} is missing in {sys.executable}: pip install 'perfcrew[faiss]'", file=sys.stderr)
        return _MISSING
    faiss.omp_set_num_threads(1)
    try:
        vectors, own, inner = loaded(faiss, numpy, options.file)
    except (OSError, ValueError, RuntimeError) as error:
        print(f"{options.file} can't be read: {str(error).strip().splitlines()[-1]}", file=sys.stderr)
        return _NOTHING
    if vectors.ndim != 2 or len(vectors) < max(1000, options.limit):
        print(f"{options.file} holds {vectors.shape}: a thousand vectors or more are worth an index", file=sys.stderr)
        return _NOTHING
    sweep = Sweep(faiss, numpy, vectors, options, inner)
    sweep.all(own)
    chosen = recommended(sweep.ways, options.recall)
    if options.json:
        ways = [asdict(way) for way in sweep.ways]
        print(json.dumps({"ways": ways, "recommended": asdict(chosen) if chosen else None, "notes": sweep.notes}))
    else:
        print("\n".join(show(sweep, chosen, options.recall)))
    return 0 if chosen else 1


if __name__ == "__main__":
    sys.path = [
        p for p in sys.path if Path(p or ".").resolve() != Path(__file__).parent
    ]  # our neighbours are no modules
    sys.exit(main(sys.argv[1:]))
