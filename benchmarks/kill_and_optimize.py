"""kill -9 at random moments of `perfcrew optimize`, then `perfcrew clean` and `perfcrew resume`.

Run: python benchmarks/kill_and_optimize.py [--times 30] [--seed 1]
After each kill and clean the user's repository must be the same to the byte (files, index, refs, all of .git; but for
the result branch, where the kill came after it was written), and no process, port, worktree or temporary folder be
left; the resumed run must end as an uninterrupted one does: the same decisions, the same kept files, and one branch
more than before. Exits with 1 where a check fails.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from kill_and_resume import CONFIG, LIMIT_S, evidence, owned, perfcrew, temporary

APP = """
import os, sqlite3, time
from contextlib import closing
from fastapi import FastAPI

app = FastAPI()
FILE = os.environ.get("SHOP_DB", "sqlite:///shop.sqlite3").removeprefix("sqlite:///")


@app.get("/healthz")
async def healthz():
    return {"ok": True}


@app.get("/wait")
async def wait():
    time.sleep(0.03)  # a blocking call in async code
    return {"waited": True}


@app.get("/items")
def items():
    with closing(sqlite3.connect(FILE)) as db:
        return [{"item_id": i, "name": n} for i, n in db.execute("SELECT id, name FROM item ORDER BY id LIMIT 20")]
"""
POLICY = """
name: optimize
specialists: [profiler]
reviewer: reviewer
instruments: [baseline, traces, neighbour]
rewrites: 0
specialist_seconds: 60
experiments:
  budget_s: 300
  trial_s: 90
  most: 4
  variants: 2
  margin: 0.15
  error: 0.4
  suite_s: 60
"""
"""As the project's own: a small review and short trials, so that thirty runs fit into an hour."""
TEST = "import main\n\n\ndef test_the_shop_is_there() -> None:\n    assert main.app.title == 'FastAPI'\n"
GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@b.example", "-c", "init.defaultBranch=main")


def project(folder: Path) -> Path:
    """A small application under git, with a blocking call in it."""
    root = folder / "shop"
    (root / "tests").mkdir(parents=True)
    (root / "main.py").write_text(APP)
    (root / "tests" / "test_shop.py").write_text(TEST)
    (root / "perfcrew.toml").write_text(CONFIG)
    (root / ".perfcrew" / "workflows").mkdir(parents=True)
    (root / ".perfcrew" / "workflows" / "optimize.yaml").write_text(POLICY)
    with sqlite3.connect(root / "shop.sqlite3") as db:
        db.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
        db.executemany("INSERT INTO item (name) VALUES (?)", [(f"item {n}",) for n in range(30)])
    for words in (("init", "--quiet"), ("add", "--all"), ("commit", "--quiet", "--message", "the shop")):
        subprocess.run([*GIT, *words], cwd=root, check=True, timeout=60)
    return root


BRANCH = ("objects/", "refs/heads/perfcrew", "logs/refs/heads/perfcrew")
"""What a result branch adds below .git; its folders come with it."""


def digest(root: Path, but_branch: bool = False) -> str:
    """Of every file of the tree and of .git, by name and content, but for what perfcrew keeps of its own.

    `but_branch`: also but for a result branch, which is there once all was decided.
    """
    found = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        branch = but_branch and name.removeprefix(".git/").startswith(BRANCH) and name.startswith(".git/")
        if path.is_file() and ".perfcrew" not in path.relative_to(root).parts and not branch:
            found.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()


def branches(root: Path) -> list[str]:
    done = subprocess.run(
        [*GIT, "branch", "--list", "perfcrew/*"], cwd=root, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def decided(root: Path) -> dict[str, str]:
    """What became of each experiment."""
    bodies = [json.loads(content)["body"] for content in evidence(root).values()]
    return {b["finding"] + str(b["number"]): b["decision"] for b in bodies if b["kind"] == "outcome"}


def refused(root: Path, run_id: str) -> str:
    """What the gate says against the report."""
    report = root / ".perfcrew" / "reports" / run_id / "report.json"
    if not report.exists():
        return "no report"
    checks = json.loads(report.read_text())["verdict"]["checks"]
    return "; ".join(f"{c['name']}: {', '.join(c['reasons'])}" for c in checks if not c["passed"])[:1000]


def run(root: Path, *words: str) -> tuple[int, float]:
    began = time.monotonic()
    done = subprocess.run(perfcrew(*words), capture_output=True, text=True, timeout=LIMIT_S * 6, check=False)
    if done.returncode not in (0, 1):
        print(done.stdout[-500:], done.stderr[-1500:], file=sys.stderr)
    return done.returncode, time.monotonic() - began


def killed(root: Path, after_s: float) -> str:
    """Optimize for so long, then kill -9; the run's id."""
    command = perfcrew("optimize", "--path", str(root), "--all", "--json")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        time.sleep(after_s)
        process.send_signal(signal.SIGKILL)
        process.wait(LIMIT_S)
    return str(first["run"])


def checked(folder: Path, after_s: float, reference: dict[str, str]) -> list[str]:
    """One kill, a clean, a resume: what is wrong."""
    before_folders = temporary()
    root = project(folder)
    before = {but: digest(root, but) for but in (False, True)}
    run_id = killed(root, after_s)
    published = branches(root) == [f"perfcrew/{run_id}"]
    faults = [] if digest(root, published) == before[published] else ["the repository differs right after the kill"]
    run(root, "clean", str(root))
    faults += [f"process {p.pid} is left after clean" for p in owned(root)]
    faults += [f"{name} is left after clean" for name in sorted(temporary() - before_folders)]
    faults += [] if digest(root, published) == before[published] else ["the repository differs after clean"]
    code, _ = run(root, "resume", run_id, str(root), "--json")
    faults += [f"resume ended with {code}: {refused(root, run_id)}"] if code not in (0, 1) else []
    faults += [f"it decided {decided(root)}, uninterrupted {reference}"] if decided(root) != reference else []
    wanted = [f"perfcrew/{run_id}"] if "keep" in reference.values() else []
    faults += [f"branches: {branches(root)}"] if branches(root) != wanted else []
    faults += [f"process {p.pid} is left" for p in owned(root)]
    faults += [f"{name} is left" for name in sorted(temporary() - before_folders)]
    return faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    draw, failed = random.Random(options.seed), 0
    with tempfile.TemporaryDirectory(prefix="kill-and-optimize-") as folder:
        root = project(Path(folder) / "reference")
        code, seconds = run(root, "optimize", "--path", str(root), "--all", "--json")
        reference = decided(root)
        print(f"uninterrupted: exit {code} in {seconds:.0f} s, decided {reference}, branches {branches(root)}\n")
        for number in range(options.times):
            after_s = draw.uniform(0.2, seconds * 0.98)
            place = Path(folder) / str(number)
            faults = checked(place, after_s, reference)
            shutil.rmtree(place, ignore_errors=True)
            failed += bool(faults)
            print(f"killed after {after_s:6.1f} s: {'; '.join(faults) or 'whole'}", flush=True)
    print(f"\n{options.times} kills, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
