"""kill -9 in each stage of a review, then `perfcrew resume`: nothing lost, nothing counted twice, nothing left.

Run: python benchmarks/kill_and_resume.py [stage ...]
Prints a line for each stage; exits with 1 where a check fails. Takes some minutes; needs no network and no server.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from perfcrew.target.process import MARK

APP = """
import sqlite3, time
from contextlib import closing
from fastapi import FastAPI

app = FastAPI()
FILE = __import__("os").environ.get("SHOP_DB", "sqlite:///shop.sqlite3").removeprefix("sqlite:///")

def rows(sql, *values):
    with closing(sqlite3.connect(FILE)) as db:
        return db.execute(sql, values).fetchall()

@app.get("/healthz")
async def healthz(): return {"ok": True}

@app.get("/items")
def items(limit: int = 20):
    return [{"item_id": i, "name": n} for i, n in rows("SELECT id, name FROM item LIMIT ?", limit)]

@app.get("/items/{item_id}")
def item(item_id: int): return {"item_id": item_id, "name": rows("SELECT name FROM item WHERE id = ?", item_id)[0][0]}

@app.get("/wait")
async def wait():
    time.sleep(0.012)
    return {"waited": True}

@app.get("/sum")
def total(): return {"sum": sum(i * i for i in range(120_000))}
"""
CONFIG = """
[target]
database_url = "sqlite:///shop.sqlite3"
database_variable = "SHOP_DB"

[data]
sizes = [60, 120, 240]

[review]
seconds = 0.05
requests_per_endpoint = 2
trace_repeats = 2
profile_seconds = 0.3
neighbour_seconds = 0.1
workload_seconds = 0.2
memory_requests = 20
"""
NODES = (
    "frame", "survey", "baseline", "traces", "scaling", "plans", "payload", "memory", "profile", "neighbour",
    "startup", "workload", "recognise", "specialist", "rank", "reviewer", "write", "gate", "publish",
)  # fmt: skip
POINTS = {
    **{name: {"node": name} for name in NODES},
    "baseline 2": {"stage": "baseline 2", "done": 2},
    "baseline 3": {"stage": "baseline 3", "done": 2},
    "traces 2": {"stage": "traces-120", "done": 2},
    "memory 2": {"stage": "memory", "done": 3},
}
COMPARED = ("measurement", "traces", "scaling", "memory", "payload", "startup", "data", "survey", "frame")
LIMIT_S = 180


@dataclass
class Outcome:
    """What became of one kill: where it hit, what was left at once, and what went wrong."""

    point: str
    hit: str = ""
    kept: int = 0
    left: int = 0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)


def project(folder: Path) -> Path:
    """A small application with a database of its own."""
    root = folder / "shop"
    root.mkdir(parents=True)
    (root / "main.py").write_text(APP)
    (root / "perfcrew.toml").write_text(CONFIG)
    with sqlite3.connect(root / "shop.sqlite3") as db:
        db.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
        db.executemany("INSERT INTO item (name) VALUES (?)", [(f"item {n}",) for n in range(30)])
    return root


def perfcrew(*words: str) -> list[str]:
    return [sys.executable, "-m", "perfcrew", *words]


def killed(root: Path, point: dict[str, Any], how: signal.Signals = signal.SIGKILL) -> str:
    """Review until the point is told, then send the signal; the last node that was told."""
    node = ""
    command = perfcrew("review", str(root), "--all", "--json")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            event = json.loads(line)
            node = event.get("node", node)
            if process.poll() is None and all(event.get(key) == value for key, value in point.items()):
                process.send_signal(how)
        process.wait(LIMIT_S)
    return node


def evidence(root: Path) -> dict[str, str]:
    """Every item of the ledger, by id, as it is written."""
    file = root / ".perfcrew" / "ledger.sqlite3"
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as db:
        return dict(db.execute("SELECT id, content FROM evidence"))


def measured(root: Path) -> Counter[tuple[str, ...]]:
    """What was measured: kind, subject, metric and kind of load, and how many runs stand behind it."""
    found: Counter[tuple[str, ...]] = Counter()
    for content in evidence(root).values():
        item = json.loads(content)
        body = item["body"]
        if body["kind"] in COMPARED and body.get("metric") not in ("latency", "lateness"):
            found[(body["kind"], item["subject"], str(body.get("metric", "")), str(body.get("runs", "")))] += 1
        elif body.get("metric") == "latency":  # how often depends on whether the driver was late: runs must be three
            found[("latency", item["subject"], "", str(body["runs"]))] = 1
    return found


def owned(root: Path) -> list[psutil.Process]:
    """Every process that a review of this project started and that still runs."""
    found = []
    for process in psutil.process_iter():
        try:
            ours = MARK in process.environ() and Path(process.cwd()).is_relative_to(root)
            if ours and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def tree(root: Path) -> dict[str, bytes]:
    files = (p for p in root.rglob("*") if p.is_file() and ".perfcrew" not in p.parts)
    return {str(p.relative_to(root)): p.read_bytes() for p in files}


def temporary() -> set[str]:
    """The temporary folders of reviews that no longer run."""
    ours = [p.name for p in Path(tempfile.gettempdir()).glob("perfcrew-*") if p.is_dir()]
    return {name for name in ours if not any(psutil.pid_exists(int(n)) for n in re.findall(r"\d+", name))}


def resumed(root: Path, outcome: Outcome) -> None:
    """Go on with the killed run; what its exit code and its gate say."""
    listed = subprocess.run(perfcrew("evidence"), cwd=root, capture_output=True, text=True, timeout=60, check=True)
    command = perfcrew("resume", listed.stdout.split()[0], str(root), "--json")
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    last = done.stdout.splitlines()[-1] if done.stdout else "{}"
    if not json.loads(last).get("passed"):
        outcome.faults.append(f"resume ended with {done.returncode}: {done.stderr[-300:]}")


def checked(point: str, reference: Counter[tuple[str, ...]], folder: Path) -> Outcome:
    """One kill, one resume, and every check."""
    outcome, began, before = Outcome(point), time.monotonic(), temporary()
    root = project(folder)
    user = tree(root)
    outcome.hit = killed(root, POINTS[point])
    kept = evidence(root)
    outcome.kept, outcome.left = len(kept), len(owned(root))
    resumed(root, outcome)
    after = evidence(root)
    lost = [e for e, content in kept.items() if after.get(e) != content]
    outcome.faults += [f"{len(lost)} items lost or changed"] if lost else []
    different = {k: (n, reference[k]) for k, n in measured(root).items() if n != reference[k]}
    different |= {k: (0, n) for k, n in reference.items() if k not in measured(root)}
    outcome.faults += [f"measured otherwise: {key} {counts}" for key, counts in list(different.items())[:3]]
    outcome.faults += [f"process {p.pid} is left" for p in owned(root)]
    outcome.faults += [f"{name} is left" for name in sorted(temporary() - before - {folder.name})]
    outcome.faults += ["the user's tree changed"] if tree(root) != user else []
    outcome.seconds = time.monotonic() - began
    return outcome


def main(points: list[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="kill-and-resume-") as folder:
        root = project(Path(folder) / "reference")
        done = subprocess.run(perfcrew("review", str(root), "--all", "--quiet"), timeout=LIMIT_S, check=False)
        reference = measured(root)
        print(f"uninterrupted: exit {done.returncode}, {sum(reference.values())} measured\n")
        print(f"{'killed in':<12} {'hit':<12} {'kept':>5} {'left at once':>13} {'resumed in':>11}  outcome")
        failed = 0
        for point in points:
            one = checked(point, reference, Path(folder) / point.replace(" ", "-"))
            shutil.rmtree(Path(folder) / point.replace(" ", "-"), ignore_errors=True)
            failed += bool(one.faults)
            print(
                f"{point:<12} {one.hit:<12} {one.kept:>5} {one.left:>13} {one.seconds:>9.0f} s  "
                f"{'; '.join(one.faults) or 'whole'}",
                flush=True,
            )
    print(f"\n{len(points)} kills, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or list(POINTS)))
