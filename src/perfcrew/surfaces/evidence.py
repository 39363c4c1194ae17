"""`perfcrew evidence`: what the ledger holds, as it was written."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from perfcrew.core.errors import LedgerError
from perfcrew.core.evidence import Evidence
from perfcrew.ledger import Ledger


def command(options: argparse.Namespace) -> int:
    """Print the runs, one run's items, or one item whole."""
    with Ledger.existing(Path(options.path)) as ledger:
        if options.id is None:
            for run in ledger.runs():
                print(f"{run.id}  {run.started_at:%Y-%m-%d %H:%M}  {run.workflow}  {len(ledger.find(run.id))} items")
            return 0
        if not options.id.startswith("E-"):
            for item in ledger.find(ledger.run(options.id).id):
                print(f"{item.id}  {item.kind:<14} {item.subject:<40} {item.slot}")
            return 0
        _print(ledger, ledger.get(options.id), options.blob)
    return 0


def _print(ledger: Ledger, item: Evidence, blob: str | None) -> None:
    if blob is None:
        print(item.model_dump_json(indent=2))
    elif blob in item.blobs:
        sys.stdout.buffer.write(ledger.blob(item.blobs[blob]))
    else:
        raise LedgerError(f"{item.id} has no blob {blob!r}", do=f"it has: {', '.join(item.blobs) or 'none'}")
