"""DB103: the index that was tried, made permanent: a migration that can be undone, and the model that knows of it."""

from __future__ import annotations

from perfcrew.core.patches import Declined, Fix
from perfcrew.rules.fixes import alembic_revision, django_migration, indexed, models, sql_file
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Unwritable
from perfcrew.rules.fixes.outcomes import Draft, attempt
from perfcrew.rules.fixes.wanted_index import Wanted, wanted

_COSTS = "Every write to {table} keeps one index more up to date."
_LOCKS = "Building it locks out writes for as long as it takes."
_CONCURRENTLY = (
    "It is built CONCURRENTLY, outside of a transaction: writes go on meanwhile, and a build that is broken off leaves "
    "an invalid index, to be dropped before the migration is run again."
)


def fix(case: Case) -> list[Fix | Declined]:
    """One variant: the way that the project changes its schema."""
    return attempt(case, "index", lambda: permanent(case, wanted(case), _COSTS))


def permanent(case: Case, index: Wanted, costs: str, exact: bool = True) -> Draft:
    """An index the way that the project changes its schema; `costs` says what it costs `{table}`. Raises Unwritable."""
    known = models.read(case.root)
    model = known.of_table(index.table)
    risks = (costs.format(table=index.table), _CONCURRENTLY if index.concurrently else _LOCKS)
    title = f"Index {index.said}"
    if model is not None and model.style == "django":
        return Draft("Django migration", title, django_migration.files(case, model, index), risks, exact=exact)
    revision = alembic_revision.revision(case.root, index)
    if revision is None:
        return Draft("SQL", title, _plain(case, model, index), risks, exact=exact, ddl=(index.made(),))
    if model is None:
        raise Unwritable(
            f"no mapped class of `{index.table}` was found: a revision alone would be undone by the next one that is "
            "generated from the models"
        )
    return Draft("Alembic", title, dict([revision, indexed.sqlalchemy(case, model, index)]), risks, exact=exact)


def _plain(case: Case, model: models.Model | None, index: Wanted) -> dict[str, str]:
    written = sql_file.files(case.root, index)
    if model is not None:
        written.update([indexed.sqlalchemy(case, model, index)])
    return written
