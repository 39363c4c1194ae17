"""The index that a finding's trial built, and the names it gets."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from perfcrew.core.indexes import IndexSpec
from perfcrew.core.sql import shape
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Unwritable

_LONGEST = 60


class Wanted(NamedTuple):
    """An index to be made. `ddl` is as the clone took it, under the trial's name."""

    table: str
    schema: str | None
    spec: IndexSpec
    ddl: str
    engine: str

    @property
    def name(self) -> str:
        """`ix_events_customer_id_happened_at`, shortened where a database would cut it."""
        return shortened(f"ix_{self.table}_{'_'.join(self.spec.words)}", _LONGEST)

    @property
    def said(self) -> str:
        return f"{self.table} by {self.spec.said}"

    @property
    def concurrently(self) -> bool:
        """Whether it can be built without locking writers out."""
        return self.engine == "postgresql"

    def made(self, concurrently: bool = False) -> str:
        """The statement that makes it, under its own name."""
        tail = self.ddl.partition(" ON ")[2]
        return f"CREATE INDEX {'CONCURRENTLY ' if concurrently else ''}IF NOT EXISTS {self.name} ON {tail}"

    def dropped(self, concurrently: bool = False) -> str:
        """The statement that undoes it."""
        schema = f"{self.schema}." if self.schema else ""
        return f"DROP INDEX {'CONCURRENTLY ' if concurrently else ''}IF EXISTS {schema}{self.name}"


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
    if chosen is None or trial is None:
        raise Unwritable("no index was tried for this statement: there is nothing to make permanent")
    owner, _, table = trial.table.rpartition(".")
    plain = owner in ("", "public", "main")
    return Wanted(table, None if plain else owner, trial.spec, trial.ddl.rstrip(";"), chosen.body.engine)
