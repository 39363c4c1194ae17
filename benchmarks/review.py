"""What a review costs beside its measuring: reviews the bundled application on a copy, and prints both times.

Run: python benchmarks/review.py
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from perfcrew.core.evidence import Timing
from perfcrew.ledger import Ledger

BOOKSHOP = Path(__file__).resolve().parents[1] / "examples" / "bookshop"
LEFT_OUT = shutil.ignore_patterns("node_modules", "dist", ".perfcrew", "*.sqlite3*", "__pycache__")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="perfcrew-bench-") as folder:
        root = Path(folder) / "bookshop"
        shutil.copytree(BOOKSHOP, root, ignore=LEFT_OUT)
        command = [sys.executable, "-m", "perfcrew", "review", str(root), "--all", "--json"]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=1200, check=False)
        result = json.loads(done.stdout.splitlines()[-1])
        with Ledger.existing(root) as ledger:
            (body,) = [e.body for e in ledger.find(result["run"], "timing") if isinstance(e.body, Timing)]
            items = len(ledger.find(result["run"]))
        print(f"review               {body.total_ms / 1e3:7.1f} s  ({items} items of evidence)")
        print(f"an instance running  {body.measuring_ms / 1e3:7.1f} s")
        rest_s = (body.total_ms - body.measuring_ms) / 1e3
        print(f"all else             {rest_s:7.1f} s  ({body.overhead_share:.1%} of the review)")


if __name__ == "__main__":
    main()
