"""How quickly the command line answers, as a ratio to `python -c pass`, in fresh processes, interleaved.

Run: python benchmarks/cli.py [rounds]
Prints the median of the pairwise ratios; the bound that the project sets itself is 4.
"""

import statistics
import subprocess
import sys
import time

CASES = {"perfcrew --help": ["-m", "perfcrew", "--help"], "perfcrew rules": ["-m", "perfcrew", "rules"]}


def seconds(arguments: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, timeout=30, check=True)
    return time.perf_counter() - began


def main(rounds: int) -> None:
    for name, arguments in CASES.items():
        seconds(arguments)
        ratios = []
        for _ in range(rounds):
            before, ours, after = seconds(["-c", "pass"]), seconds(arguments), seconds(["-c", "pass"])
            ratios.append(ours / ((before + after) / 2))
        low, high = min(ratios), max(ratios)
        print(
            f"{name:<16} {statistics.median(ratios):.2f} x python -c pass  ({low:.2f} to {high:.2f}, {rounds} rounds)"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
