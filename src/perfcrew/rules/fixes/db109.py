"""DB109: the vector index that was built in the sweep, made permanent: a migration that can be undone, and the model.

Refuses: an index on a cast, which no model declares, and settings of sessions, which belong to the database or to the
transaction of the search.
"""

from __future__ import annotations

from perfcrew.core.patches import Declined, Fix
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.db103 import permanent
from perfcrew.rules.fixes.edits import Unwritable
from perfcrew.rules.fixes.outcomes import attempt, declined
from perfcrew.rules.fixes.wanted_index import Wanted, taken
from perfcrew.rules.vector_recipes import create, spec_of

_COSTS = "Every write to {table} keeps the index too, and answers become approximate."
_BY_HAND = {
    "DB109-session": "a session's setting belongs to the database, the role or the search's transaction: follow its "
    "recipe",
    "DB109-order": "what is ordered by changes what the statement gives beside its rows: follow its recipe",
}


def fix(case: Case) -> list[Fix | Declined]:
    """The index, the way that the project changes its schema; a refusal for all else that the finding proposes."""
    named = [h.id for h in case.finding.hypotheses] or ["DB109-index"]
    others = [declined(case, h.removeprefix("DB109-"), _BY_HAND[h]) for h in named if h in _BY_HAND]
    made = attempt(case, "index", lambda: permanent(case, _wanted(case), _COSTS, exact=False))
    return [*(made if "DB109-index" in named else []), *others]


def _wanted(case: Case) -> Wanted:
    """The index that served the search best."""
    searches = case.scene.vectors if case.scene else ()
    cited = [s.body for s in searches if s.evidence in case.finding.evidence]
    alike = [s.body for s in searches if s.body.shape == case.finding.subject]
    search = next(iter([*cited, *alike]), None)
    best = search.recommended if search else None
    if search is None or best is None or best.existing:
        raise Unwritable("no index was built for this search that would serve it: there is nothing to make permanent")
    if "::" in search.expression:
        raise Unwritable(f"the index is on `{search.expression}`, which no model declares: use the recipe's SQL")
    schema, _, table = search.table.rpartition(".")
    ddl = create(search, best, concurrently=False)
    spec = spec_of(search, best)
    return Wanted(table, schema or None, spec, " ".join(ddl.split()), "postgresql", taken(case))
