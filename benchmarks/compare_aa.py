"""Equal sides on a loaded machine: how many of `perfcrew compare`'s verdicts call them changed.

Run: python benchmarks/compare_aa.py [--trials 200] [--kind commands|requests] [--budget 20] [--calm] [--show]
Both sides are the same command, or the same configuration of an ASGI application under uvicorn, while another process
loads a core in bursts. Every comparison is a line of `.cache/power/aa.jsonl`; started again, it goes on with those that
are missing. Exits with 1 where more than one in a hundred were called changed.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
from collections import Counter
from pathlib import Path

from compare import neighbour
from compare_power import KINDS, append, bound, kept
from workloads import sides

RESULTS = sides.CACHE / "aa.jsonl"
ALLOWED = 0.01


def run(kinds: list[str], options: argparse.Namespace) -> None:
    sides.scale()
    with neighbour(not options.calm):
        for number in range(options.trials):
            for kind in kinds:
                if number < sum(matches(t, kind, options) for t in kept(options.out)):
                    continue
                seed = random.randrange(10**6)
                told = {"kind": kind, "loaded": not options.calm, "budget_s": options.budget, "seed": seed}
                told |= sides.decide(kind, 0, options.budget, seed)
                append(options.out, told)
                print(f"{kind} {number + 1}: {told['verdict']} {told['changed'] or ''}", file=sys.stderr)


def matches(told: dict[str, object], kind: str, options: argparse.Namespace) -> bool:
    return (told["kind"], told["loaded"]) == (kind, not options.calm)


def line(kind: str, trials: list[dict]) -> str:  # type: ignore[type-arg]
    """`changed` counts every comparison of a trial: of requests, the endpoint's and the application's."""
    changed = sum(bool(t["changed"]) for t in trials)
    low, high = bound(changed, len(trials))
    verdicts = ", ".join(
        f"{n} {verdict or 'no verdict'}" for verdict, n in Counter(t["verdict"] for t in trials).items()
    )
    spent = statistics.median(t["spent_s"] for t in trials)
    said = (
        f"{kind}: {changed} of {len(trials)} called changed, {changed / len(trials):.1%} (exact 95 % bounds {low:.1%}"
    )
    return f"{said} to {high:.1%}); {verdicts}; median {spent:.1f} s"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200, help="of each kind, those of earlier runs included")
    parser.add_argument("--kind", action="append", choices=KINDS)
    parser.add_argument("--budget", type=float, default=20.0)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--calm", action="store_true", help="without the neighbour; counted apart")
    parser.add_argument("--show", action="store_true", help="only what there is")
    options = parser.parse_args()
    kinds = options.kind or list(KINDS)
    if not options.show:
        run(kinds, options)
    failed = False
    for kind in kinds:
        trials = [t for t in kept(options.out) if matches(t, kind, options)]
        if trials:
            print(line(kind, trials))
            failed |= sum(bool(t["changed"]) for t in trials) > ALLOWED * len(trials)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
