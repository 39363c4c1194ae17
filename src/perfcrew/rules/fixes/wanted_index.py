"""The index that a finding's trial built, and the names it gets."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from perfcrew.core.sql import shape
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Unwritable

_LONGEST = 60


class Wanted(NamedTuple):
    """An index to be made. `columns` are the database's names, in order."""

    table: str
    schema: str | None
    columns: tuple[str, ...]
    ddl: str

    @property
    def name(self) -> str:
        """`ix_events_customer_id_happened_at`, shortened where a database would cut it."""
        return shortened(f"ix_{self.table}_{'_'.join(self.columns)}", _LONGEST)

    @property
    def said(self) -> str:
        return f"{self.table} by {', '.join(self.columns)}"


def shortened(name: str, longest: int) -> str:
    """The name, or its beginning with a digest of the whole."""
    if len(name) <= longest:
        return name
    return f"{name[: longest - 9]}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def wanted(case: Case) -> Wanted:
    """From the plan that the finding rests on. Raises Unwritable where there is none with a trial."""
    plans = [p for p in (case.scene.plans if case.scene else ()) if p.body.trial is not None]
    cited = [p for p in plans if p.evidence in case.finding.evidence]
    alike = [p for p in plans if case.finding.subject in (p.body.shape, shape(p.body.statement))]
    chosen = next(iter([*cited, *alike]), None)
    trial = chosen.body.trial if chosen else None
    if trial is None:
        raise Unwritable("no index was tried for this statement: there is nothing to make permanent")
    owner, _, table = trial.table.rpartition(".")
    plain = owner in ("", "public", "main")
    return Wanted(table, None if plain else owner, trial.columns, trial.ddl.rstrip(";"))
