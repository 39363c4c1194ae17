"""The index that a finding's trial built, and the names it gets."""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

from perfcrew.core.evidence import IndexTrial, QueryPlan
from perfcrew.core.indexes import IndexSpec, free_name, name_in
from perfcrew.core.sql import shape
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Unwritable
from perfcrew.rules.recipes import ONLINE

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")


class Wanted(NamedTuple):
    """An index to be made. `ddl` is as the clone took it, under a name that nothing in the database had."""

    table: str
    schema: str | None
    spec: IndexSpec
    ddl: str
    engine: str
    taken: frozenset[str] = frozenset()
    """The names of the database's own indexes, as far as they are known."""

    @property
    def name(self) -> str:
        """The trial's, such as `ix_events_customer_id_happened_at`: it was free."""
        return name_in(self.ddl)

    @property
    def is_usual(self) -> bool:
        """Whether it is the name that SQLAlchemy gives to the index of one column."""
        return self.name == f"ix_{self.table}_{'_'.join(self.spec.keys)}".lower()

    def free(self, name: str, longest: int) -> str:
        """Another name, or one like it that is free."""
        name = shortened(name, longest)
        return name if name not in self.taken else free_name(name, self.taken, longest)

    @property
    def said(self) -> str:
        return f"{self.table} by {self.spec.said}"

    @property
    def concurrently(self) -> bool:
        """Whether it can be built without locking writers out."""
        return self.engine == "postgresql"

    def made(self, concurrently: bool = False) -> str:
        """The statement that makes it. CONCURRENTLY it fails where the name is taken by now, or is left of a build that
        was broken off: it would be skipped otherwise, and another index taken for it."""
        if self.engine == "mysql":  # it fails at once where writers would be locked out
            return f"{self.ddl} {ONLINE}"
        how = "CONCURRENTLY" if concurrently else "IF NOT EXISTS"
        return re.sub(r"^\s*CREATE\s+INDEX\s", f"CREATE INDEX {how} ", self.ddl, count=1)

    def dropped(self, concurrently: bool = False) -> str:
        """The statement that undoes it."""
        if self.engine == "mysql":
            return f"DROP INDEX {self.name} ON `{self.table}`"
        schema = f"{quoted(self.schema)}." if self.schema else ""
        return f"DROP INDEX {'CONCURRENTLY ' if concurrently else ''}IF EXISTS {schema}{quoted(self.name)}"


def quoted(name: str) -> str:
    """An identifier, in quotes where it needs them."""
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'


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
    trial = _trial(case, chosen.body) if chosen else None
    if chosen is None or trial is None:
        raise Unwritable("no index was tried for this statement: there is nothing to make permanent")
    if trial.partitioned:
        raise Unwritable(
            f"`{trial.table}` is partitioned, and none of its indexes can be built CONCURRENTLY as a whole: follow the "
            "recipe, partition by partition"
        )
    owner, _, table = trial.table.rpartition(".")
    plain = owner in ("", "public", "main")
    ddl = trial.ddl.rstrip(";")
    return Wanted(table, None if plain else owner, trial.spec, ddl, chosen.body.engine, taken(case))


def _trial(case: Case, plan: QueryPlan) -> IndexTrial | None:
    """The plan's, or the one of several that the finding proposes."""
    recipes = [h.recipe for h in case.finding.hypotheses]
    proposed = (one for one in plan.trials_beside if any(one.ddl in recipe for recipe in recipes))
    return next(proposed, plan.trial)


def taken(case: Case) -> frozenset[str]:
    """The names of the indexes that are there."""
    seen = case.app.index_usage
    return frozenset(index.name for index in seen.body.indexes) if seen else frozenset()
