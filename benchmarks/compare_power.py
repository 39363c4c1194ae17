"""How small a slow-down `perfcrew compare` finds, how soon, and what the common ways say of the same sides.

Run: python benchmarks/compare_power.py [--trials 30] [--kind commands|requests] [--share 0.02 …] [--budget 60] [--show]
Side B does 0, 1, 2, 5 or 10 % more of the same work (JSON, SQL, plain Python): as a command of some 85 ms, and as a
page of an ASGI application under uvicorn that works for some 5 ms. Each trial is one `perfcrew compare`, and beside it,
on the same machine right afterwards, a blocked series (all A, then all B) that the common ways judge.
Every trial is a line of `.cache/power/power.jsonl`; started again, it goes on with those that are missing.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from workloads import sides

SHARES = (0.0, 0.01, 0.02, 0.05, 0.1)
KINDS = ("commands", "requests")
RESULTS = sides.CACHE / "power.jsonl"
WAYS = ("mean of 3, > 5 %", "pytest-benchmark mean 5 %", "pytest-benchmark min 5 %", "pyperf compare_to", "hyperfine")
RUNS = 40
"""Runs of each side in a blocked series: hyperfine makes about as many of such a command."""
REQUESTS = 200
SOON_S = 30.0


def bound(found: int, of: int) -> tuple[float, float]:
    """The exact binomial interval (Clopper & Pearson), 95 %."""
    from scipy.stats import beta

    low = 0.0 if found == 0 else float(beta.ppf(0.025, found, of - found + 1))
    high = 1.0 if found == of else float(beta.ppf(0.975, found + 1, of - found))
    return low, high


def beyond(a: float, b: float, share: float) -> str:
    """`slower` or `faster` where B lies beyond A by more than the share."""
    return "slower" if b > a * (1 + share) else "faster" if b < a / (1 + share) else ""


def pyperf_says(a: list[float], b: list[float]) -> str:
    """pyperf's rule: a two-sample t-test with pooled variance, two-sided, at 95 %."""
    from scipy.stats import ttest_ind

    significant = float(ttest_ind(a, b, equal_var=True).pvalue) < 0.05
    return beyond(statistics.mean(a), statistics.mean(b), 0.0) if significant else ""


def hyperfine_says(a: tuple[float, float], b: tuple[float, float]) -> str:
    """hyperfine's rule: the ratio of the means lies from one by more than its error; (mean, deviation) of each."""
    ratio = b[0] / a[0]
    error = ratio * ((a[1] / a[0]) ** 2 + (b[1] / b[0]) ** 2) ** 0.5
    return "slower" if ratio - error > 1 else "faster" if ratio + error < 1 else ""


def by_hyperfine(rounds: int, extra: int) -> str | None:
    """What the program itself measures, None where it is not installed."""
    program = shutil.which("hyperfine")
    if program is None:
        return None
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        commands = [" ".join(sides.command(count)) for count in (rounds, rounds + extra)]
        words = [program, "-N", "--warmup", "1", "--export-json", out.name, *commands]
        subprocess.run(words, check=True, capture_output=True, timeout=300)
        told = json.loads(Path(out.name).read_text())["results"]
    a, b = ((one["mean"], one["stddev"]) for one in told)
    return hyperfine_says(a, b)


def of_commands(rounds: int, extra: int) -> dict[str, str]:
    """A blocked series; each way takes as many runs of it as it makes itself, those that lie nearest together."""
    for count in (rounds, rounds + extra):
        sides.wall_s(count)
    a = [sides.wall_s(rounds) for _ in range(RUNS)]
    b = [sides.wall_s(rounds + extra) for _ in range(RUNS)]
    program = by_hyperfine(rounds, extra)
    return {
        WAYS[0]: beyond(statistics.mean(a[-3:]), statistics.mean(b[:3]), 0.05),
        WAYS[1]: beyond(statistics.mean(a[-10:]), statistics.mean(b[:10]), 0.05),
        WAYS[2]: beyond(min(a[-10:]), min(b[:10]), 0.05),
        WAYS[3]: pyperf_says(a[-20:], b[:20]),
        WAYS[4]: hyperfine_says(*((statistics.mean(s), statistics.stdev(s)) for s in (a, b)))
        if program is None
        else program,
    }


def of_requests(extra: int) -> dict[str, str]:
    """One start of each side, as the common ways do, and requests in a row."""
    found = []
    for more in (0, extra):
        with sides.serving(more) as (_, connection):
            found.append([sides.request_s(connection) for _ in range(REQUESTS)])
    a, b = found
    thirds = [[statistics.mean(s[i : i + REQUESTS // 3]) for i in range(0, REQUESTS - 2, REQUESTS // 3)] for s in found]
    return {
        WAYS[0]: beyond(statistics.mean(thirds[0][:3]), statistics.mean(thirds[1][:3]), 0.05),
        WAYS[1]: beyond(statistics.mean(a), statistics.mean(b), 0.05),
        WAYS[2]: beyond(min(a), min(b), 0.05),
        WAYS[3]: pyperf_says(a, b),
    }


def trial(kind: str, share: float, options: argparse.Namespace) -> dict[str, object]:
    found = sides.scale()
    extra, seed = found.extra(kind, share), random.randrange(10**6)
    told = {"kind": kind, "share": share, "extra": extra, "seed": seed, "budget_s": options.budget}
    told |= sides.decide(kind, extra, options.budget, seed)
    if not options.alone:
        told["ways"] = of_requests(extra) if kind == "requests" else of_commands(found.command_rounds, extra)
    return told


def kept(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def append(file: Path, told: dict[str, object]) -> None:
    with file.open("a", encoding="utf-8") as out:
        out.write(json.dumps(told) + "\n")


def run(cells: list[tuple[str, float]], options: argparse.Namespace) -> None:
    """One trial of each cell in turn, until each has as many as are wanted."""
    sides.scale()
    for number in range(options.trials):
        for kind, share in cells:
            there = sum((t["kind"], t["share"]) == (kind, share) for t in kept(options.out))
            if there <= number:
                told = trial(kind, share, options)
                append(options.out, told)
                print(f"{kind} {share:+.0%} {there + 1}: {told['verdict']} in {told['spent_s']} s", file=sys.stderr)


def cell(trials: list[dict[str, object]], share: float, says: list[str]) -> str:
    """The share of trials that found it; of equal sides, that called them changed; with the exact bounds."""
    found = sum(said == "slower" for said in says) if share else sum(bool(said) for said in says)
    low, high = bound(found, len(says))
    return f"{found:>3}/{len(says):<3} {found / len(says):>5.0%} ({low:.0%}–{high:.0%})"


def rows(kind: str, share: float, trials: list[dict]) -> list[str]:  # type: ignore[type-arg]
    words = {"regressed": "slower", "improved": "faster"}
    says = [words.get(str(t["verdict"]), "") for t in trials]
    spent, total = (statistics.median(t[key] for t in trials) for key in ("spent_s", "total_s"))
    wrong = sum(said == "faster" for said in says) if share else 0
    undecided = sum(t["verdict"] in (None, "inconclusive") for t in trials)
    head = f"{kind:<10}{share:>+5.0%}  "
    first = f"{head}{'perfcrew compare':<28}{cell(trials, share, says)}  median {spent:.1f} s ({total:.1f} s in all)"
    soon = sum(float(str(t["spent_s"])) <= SOON_S for t, said in zip(trials, says, strict=True) if said)
    first += f", {soon} in {SOON_S:g} s, {wrong} of the wrong sign, {undecided} not certain"
    beside = [t["ways"] for t in trials if "ways" in t]
    ways = [w for w in WAYS if any(w in said for said in beside)]
    return [first, *(f"{'':<17}{w:<28}{cell(trials, share, [s[w] for s in beside if w in s])}" for w in ways)]


def table(trials: list[dict[str, object]]) -> list[str]:
    lines = ["kind      slower  way                         found (95 % bounds); of equal sides: called changed"]
    for kind in KINDS:
        for share in sorted({float(str(t["share"])) for t in trials if t["kind"] == kind}):
            lines += rows(kind, share, [t for t in trials if (t["kind"], t["share"]) == (kind, share)])
    installed = "the program" if shutil.which("hyperfine") else "its rule on the blocked series: it is not installed"
    return [*lines, f"pytest-benchmark and pyperf: their rules on the blocked series; hyperfine: {installed}"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=30, help="of each cell, those of earlier runs included")
    parser.add_argument("--kind", action="append", choices=KINDS)
    parser.add_argument("--share", action="append", type=float, help="such as 0.02; 0 is equal sides")
    parser.add_argument("--budget", type=float, default=60.0)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--alone", action="store_true", help="without the common ways")
    parser.add_argument("--show", action="store_true", help="only the table of what there is")
    options = parser.parse_args()
    if not options.show:
        run([(k, s) for k in options.kind or KINDS for s in options.share or SHARES], options)
    print("\n".join(table(kept(options.out))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
