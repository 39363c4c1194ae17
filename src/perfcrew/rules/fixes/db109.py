"""DB109: the vector index that was built in the sweep, made permanent: a migration that can be undone, and the model.

SQLAlchemy's `Index` with `postgresql_using`, `_with` and `_ops`; pgvector's own classes for Django; SQL elsewhere.
Refuses: an index on a cast, which no model declares, and settings of sessions, which belong to the database or to the
transaction of the search.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from perfcrew.core.patches import Declined, Fix
from perfcrew.core.vectors import VectorSearch, VectorSetting
from perfcrew.rules.fixes import alembic_revision, django_migration, indexed, models, sql_file
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Unwritable
from perfcrew.rules.fixes.outcomes import Draft, attempt, declined
from perfcrew.rules.fixes.wanted_index import Wanted
from perfcrew.rules.vector_recipes import arguments, create, django_class, django_index

_COSTS = "Every write to {table} keeps the index too, and answers become approximate."
_LOCKS = (
    "Building it locks out writes for as long as it takes: on a large table build it CONCURRENTLY, outside of a "
    "transaction."
)
_BY_HAND = {
    "DB109-session": "a session's setting belongs to the database, the role or the search's transaction: follow its "
    "recipe",
    "DB109-order": "what is ordered by changes what the statement gives beside its rows: follow its recipe",
}


class _Wish(NamedTuple):
    """The search, the index that served it best, and how the project's own tools call it."""

    search: VectorSearch
    best: VectorSetting
    wanted: Wanted


def fix(case: Case) -> list[Fix | Declined]:
    """The index, the way that the project changes its schema; a refusal for all else that the finding proposes."""
    named = [h.id for h in case.finding.hypotheses] or ["DB109-index"]
    others = [declined(case, h.removeprefix("DB109-"), _BY_HAND[h]) for h in named if h in _BY_HAND]
    made = attempt(case, "index", lambda: _index(case)) if "DB109-index" in named else []
    return [*made, *others]


def _wish(case: Case) -> _Wish:
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
    return _Wish(search, best, Wanted(table, schema or None, (search.column,), ddl))


def _index(case: Case) -> Draft:
    wish = _wish(case)
    model = models.read(case.root).of_table(wish.wanted.table)
    risks = (_COSTS.format(table=wish.wanted.table), _LOCKS)
    title = f"Index {wish.wanted.said} for nearest neighbours"
    if model is not None and model.style == "django":
        return Draft("Django migration", title, _django(case, model, wish), risks, exact=False)
    revision = alembic_revision.revision(case.root, wish.wanted)
    if revision is None:
        return Draft("SQL", title, _plain(case, model, wish), risks, exact=False)
    if model is None:
        raise Unwritable(
            f"no mapped class of `{wish.wanted.table}` was found: a revision alone would be undone by the next one "
            "that is generated from the models"
        )
    path, text = revision
    files = {path: _revised(text, wish), **dict([_model(case, model, wish)])}
    return Draft("Alembic", title, files, risks, exact=False)


_CALL = re.compile(r"^    op\.create_index\((?P<head>[^\n]*?), unique=False(?P<rest>[^\n]*)\)$", re.MULTILINE)


def _revised(text: str, wish: _Wish) -> str:
    """The revision of a plain index, with what makes it one of vectors."""
    call = _CALL.search(text)
    if call is None:
        raise Unwritable("the project's revisions are written in a form that can't be followed")
    given = re.split(r", (?![^\[]*\])", call["head"] + call["rest"])
    more = [a.replace('"', "'") if "'" in call["head"] else a for a in arguments(wish.search, wish.best)]
    lines = "".join(f"        {argument},\n" for argument in [*given, *more])
    return f"{text[: call.start()]}    op.create_index(\n{lines}    ){text[call.end() :]}"


def _model(case: Case, model: models.Model, wish: _Wish) -> tuple[str, str]:
    return indexed.with_arguments(case, model, wish.wanted, ", ".join(arguments(wish.search, wish.best)))


def _django(case: Case, model: models.Model, wish: _Wish) -> dict[str, str]:
    """Its model's file and the migration, with pgvector's class in place of Django's."""
    plain = re.compile(r'\w+(?:\.\w+)*\.Index\(fields=\["(?P<field>\w+)"\], name="(?P<name>[^"]+)"\)')
    found = {}
    for path, text in django_migration.files(case, model, wish.wanted).items():
        at = next((m for m in plain.finditer(text) if m["field"] == _field(model, wish)), None)
        if at is None:
            raise Unwritable(f"{path} can't be edited by rule")
        made = django_index(wish.search, wish.best, at["field"], at["name"])
        found[path] = _imported(text[: at.start()] + made + text[at.end() :], django_class(wish.best))
    return found


def _field(model: models.Model, wish: _Wish) -> str:
    column = model.column(wish.search.column)
    return column.attribute if column else ""


def _imported(text: str, name: str) -> str:
    """With pgvector's class imported: beside its field in a model, below Django's in a migration."""
    there = re.search(r"^from pgvector\.django import (?P<names>[\w, ]+)$", text, re.MULTILINE)
    if there:
        names = sorted({*re.split(r",\s*", there["names"]), name})
        return f"{text[: there.start()]}from pgvector.django import {', '.join(names)}{text[there.end() :]}"
    header = "from django.db import migrations, models\n"
    if text.startswith(header):
        return f"from django.db import migrations\nfrom pgvector.django import {name}\n{text[len(header) :]}"
    raise Unwritable("the model's file imports pgvector in a form that can't be followed")


def _plain(case: Case, model: models.Model | None, wish: _Wish) -> dict[str, str]:
    """SQL, and the class of a model that there is."""
    index, best = wish.wanted, wish.best
    options = ", ".join(f"{name} = {value}" for name, value in best.options.items())
    listed = f"({index.columns[0]})"
    how = f"USING {best.access} ({wish.search.expression} {wish.search.operator_class}) WITH ({options})"
    plain = re.compile(rf"(CREATE INDEX [^\n]*\b{re.escape(index.name)} ON [^\n(]+){re.escape(listed)}")
    found = {path: plain.sub(lambda m: m[1] + how, text) for path, text in sql_file.files(case.root, index).items()}
    if model is not None:
        found.update([_model(case, model, wish)])
    return found
