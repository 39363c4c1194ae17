"""How many rows each table is to have, and in which order they are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from perfcrew.target.framework_tables import is_framework_table
from perfcrew.target.rows.schema import ForeignKey, Table

_CHILDREN = 4.0
"""Children a parent, where nothing says how many there are."""


@dataclass
class Wanted:
    """Rows wanted by table, in the order of making; what is left alone, with the reason."""

    rows: dict[str, int] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)
    broken: set[ForeignKey] = field(default_factory=set)
    """Foreign keys of a cycle that are left null."""


def wanted(tables: Mapping[str, Table], before: Mapping[str, int], target: int, bound: int, largest: int) -> Wanted:
    """Rows for each table: `target` for those without parents; children in proportion to their parents.

    No table grows beyond `bound`. The proportion is held to what `largest`, the largest target of this run, allows,
    so that it is the same at every size.
    """
    plan = Wanted()
    growing = {name: table for name, table in tables.items() if not _left_alone(table, plan, before)}
    growing = _without_few(_without_extensions(growing, plan), plan, before)
    most = max(1.0, bound / max(1, largest))
    for name in _order(growing, plan):
        count = _rows(growing[name], plan, before, target, most)
        plan.rows[name] = max(before.get(name, 0), min(count, max(bound, target)))
    return plan


FEW = 5
"""Rows in the project's own data, up to which a table of sites or settings is believed to stay small."""
FEW_SO = "few by its name and in the project's own data: left as found"


def _left_alone(table: Table, plan: Wanted, before: Mapping[str, int]) -> bool:
    if is_framework_table(table.name):
        return True
    reason = _reason(table, before.get(table.name, 0))
    if reason:
        plan.left[table.name] = reason
    return bool(reason)


def _reason(table: Table, own: int) -> str:
    """Why rows that we make would break the application, or mislead; empty where they would not."""
    if table.is_tree():
        return "a tree that only its library can extend"
    if table.names_models():
        return "its rows name the model that they belong to: only the application can make them"
    if table.files and (not own or set(table.files) & {column for key in table.keys for column in key}):
        return f"its rows name files ({', '.join(table.files)}), and there are none for new rows: left as found"
    return ""


def _without_extensions(growing: dict[str, Table], plan: Wanted) -> dict[str, Table]:
    """Without tables that complete the rows of one that is left alone: new ones would complete others' rows."""
    while True:
        found = {name: table.extends(plan.left) for name, table in growing.items()}
        plan.left |= {name: f"its rows complete those of {of}, which is left alone" for name, of in found.items() if of}
        if not any(found.values()):
            return growing
        growing = {name: table for name, table in growing.items() if not found[name]}


def _without_few(growing: dict[str, Table], plan: Wanted, before: Mapping[str, int]) -> dict[str, Table]:
    """Without sites, locales and settings; not where rows belong to one that grows, such as the settings of a user."""
    few = {
        name
        for name, table in growing.items()
        if table.is_few_by_name()
        and 0 < before.get(name, 0) <= FEW
        and not any(f.table in growing for f in table.parents)
    }
    plan.left |= dict.fromkeys(few, FEW_SO)
    return {name: table for name, table in growing.items() if name not in few}


def _order(growing: Mapping[str, Table], plan: Wanted) -> list[str]:
    """Parents first. A cycle is opened at a foreign key that may be null; where none may, its tables are left."""
    left = dict(growing)
    while True:
        graph = {
            name: {f.table for f in table.parents if f.table in left and f not in plan.broken}
            for name, table in left.items()
        }
        try:
            return list(TopologicalSorter(graph).static_order())
        except CycleError as error:
            _open(error.args[1], left, plan)


def _open(cycle: list[str], left: dict[str, Table], plan: Wanted) -> None:
    """`cycle` names each table before the one that refers to it, the first again at its end."""
    for parent, child in pairwise(cycle):
        for key in left[child].parents:
            if key.table == parent and key not in plan.broken and not left[child].must_have(key):
                plan.broken.add(key)
                return
    for name in set(cycle):
        del left[name]
        plan.left[name] = f"its rows and those of {', '.join(sorted(set(cycle) - {name}))} need each other"


def _rows(table: Table, plan: Wanted, before: Mapping[str, int], target: int, most: float) -> int:
    owners = [f for f in table.parents if f.table in plan.rows and f not in plan.broken]
    held = _held(table, plan, before)
    if not owners:
        return min(target, held)
    count = before.get(table.name, 0)
    if not count:
        fewest = min((plan.rows[f.table] for f in owners if table.must_have(f)), default=target)
        rows = round(min(target, fewest) * min(_CHILDREN, most))
    else:
        owner = max(owners, key=lambda f: before.get(f.table, 0))
        fan_out = count / max(1, before.get(owner.table, 0))
        rows = round(min(fan_out, most) * plan.rows[owner.table])
    return min(rows, held, *(_limit(table, f, plan) for f in owners))


def _held(table: Table, plan: Wanted, before: Mapping[str, int]) -> int:
    """The children that parents which are left alone may have, where no row says how many: as many at every size.

    More would grow the rows of one parent with the size, which is no growth that an application sees. Whatever has a
    language or a site grows all the same: those are meant to have any number of rows.
    """
    fixed = [
        before.get(f.table, 0) for f in table.parents if table.must_have(f) and plan.left.get(f.table, FEW_SO) != FEW_SO
    ]
    known = [rows for rows in fixed if rows]
    return round(_CHILDREN * min(known)) if known and not before.get(table.name) else 10**9


def _limit(table: Table, key: ForeignKey, plan: Wanted) -> int:
    """One row a parent, where the foreign key is unique."""
    alone = any(set(unique) <= set(key.columns) for unique in table.keys)
    return plan.rows[key.table] if alone else 10**9
