"""Puts comparisons into the ledger of the folder that they were made in."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path

from perfcrew import __version__
from perfcrew.core.comparison import Comparison
from perfcrew.core.evidence import Method, Run
from perfcrew.ledger import Ledger


def record(root: Path, comparison: Comparison, workflow: str = "compare") -> str:
    """Keep a comparison as a run of its own under `.perfcrew` of the folder; returns its evidence id."""
    now = datetime.now(UTC)
    run = Run(id=f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}", root=str(root), workflow=workflow, started_at=now)
    method = Method(
        tool="perfcrew compare",
        version=__version__,
        settings={"design": comparison.design, "seed": comparison.seed, "unit": comparison.unit},
    )
    with Ledger.open(root / ".perfcrew") as ledger:
        ledger.begin(run)
        return ledger.put(run.id, f"comparison/{comparison.subject}", comparison, method).id
