"""Ten real upgrades of packages with known truth, each decided several times by `perfcrew compare`.

Run: python benchmarks/compare.py [--times 5] [--loaded] [--only NAME]
Makes a small environment for each side under `.cache/pairs` (from the package index, once), then asks which side is
faster. Prints a line a pair and the median time to a decision; exits with 1 where a verdict has the wrong sign or a
neutral pair is called changed. `--loaded`: meanwhile another process loads a core in bursts.
benchmarks/pairs/truth.tsv holds the truth and how it was measured.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAIRS = HERE / "pairs"
CACHE = HERE.parent / ".cache" / "pairs"
WANTED = {"faster": ("improved",), "slower": ("regressed",), "neutral": ("equivalent", "inconclusive")}
BURSTS = """
import os, random, time
while os.getppid() == {parent}:
    until = time.monotonic() + random.uniform(0.05, 0.6)
    while time.monotonic() < until: sum(range(1000))
    time.sleep(random.uniform(0.05, 0.6))
"""


def interpreters(pair: Path) -> list[str]:
    """The interpreters of the two sides, made where they are not there yet."""
    lines = [line for line in (pair / "versions.txt").read_text().splitlines() if line and line[0] != "#"]
    found = []
    for side, packages in zip("ab", lines, strict=True):
        folder = CACHE / pair.name / side
        python = folder / "bin" / "python"
        if not (folder / "ready").exists():
            uv = str(Path(sys.executable).with_name("uv"))
            subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)], check=True)
            subprocess.run(
                [uv, "pip", "install", "--quiet", "--python", str(python), *packages.split()], check=True, timeout=600
            )
            (folder / "ready").touch()
        found.append(str(python))
    return found


def decide(pair: Path, sides: list[str], budget_s: float, seed: int) -> dict[str, object]:
    """One comparison by the command line, as a user would."""
    command = [sys.executable, "-m", "perfcrew", "compare", "--json", "--quiet", "--metrics", "stdout"]
    for python in sides:
        command += ["--command", f"{python} {pair / 'bench.py'}"]
    command += ["--budget", str(budget_s), "--seed", str(seed), "--path", str(CACHE)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=budget_s * 3 + 300)
    if done.returncode == 2 or not done.stdout.strip():
        raise SystemExit(f"{pair.name}: {done.stderr}")
    result: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return result


@contextmanager
def neighbour(loaded: bool) -> Iterator[None]:
    """Another process that loads a core in bursts, if asked for."""
    if not loaded:
        yield
        return
    process = subprocess.Popen([sys.executable, "-c", BURSTS.format(parent=os.getpid())])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--budget", type=float, default=60.0)
    parser.add_argument("--loaded", action="store_true")
    parser.add_argument("--only", action="append")
    options = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    rows = [line.split("\t") for line in (PAIRS / "truth.tsv").read_text().splitlines()[1:]]
    wrong, undecided, times_s = 0, 0, []
    print(f"{'pair':<26}{'truth':<9}{'cpu B/A':>8}  {'median s':>9}  verdicts (ratio measured)")
    with neighbour(options.loaded):
        for name, truth, ratio, *_ in rows:
            if options.only and name not in options.only:
                continue
            sides, told, spent = interpreters(PAIRS / name), [], []
            for _ in range(options.times):
                began = time.monotonic()
                result = decide(PAIRS / name, sides, options.budget, random.randrange(10**6))
                spent.append(time.monotonic() - began)
                verdict = str(result["verdict"])
                wrong += verdict not in (*WANTED[truth], "inconclusive")
                undecided += verdict == "inconclusive" and truth != "neutral"
                measured = next(e["ratio"] for e in result["effects"] if e["metric"] == "cpu")  # type: ignore[attr-defined]
                told.append(f"{verdict} ({measured['value']:.3f})" if measured else verdict)
            times_s += spent
            print(f"{name:<26}{truth:<9}{ratio:>8}  {statistics.median(spent):>9.1f}  {', '.join(told)}", flush=True)
    print(
        f"\n{len(times_s)} decisions, {wrong} wrong, {undecided} undecided, median {statistics.median(times_s):.1f} s"
    )
    return 1 if wrong or undecided else 0


if __name__ == "__main__":
    sys.exit(main())
