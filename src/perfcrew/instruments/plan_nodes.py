"""What the engines say of a plan, as nodes. Values of the statement are taken out of the conditions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from perfcrew.core.evidence import PlanNode

_TEXT = re.compile(r"'(?:[^']|'')*'")
_NUMBER = re.compile(r"(?<![\w.$\"])(?<!Plan )-?\d+(?:\.\d+)?(?![\w\"])")
_CONDITIONS = (
    "Index Cond",
    "Recheck Cond",
    "Hash Cond",
    "Merge Cond",
    "Join Filter",
    "Filter",
    "TID Cond",
    "Sort Key",
    "Presorted Key",
    "Group Key",
)
_REMOVED = ("Rows Removed by Filter", "Rows Removed by Join Filter", "Rows Removed by Index Recheck")
_SQLITE = re.compile(
    r"(?P<verb>SCAN|SEARCH) (?:TABLE )?(?P<relation>\S+)(?: AS (?P<alias>\S+))?"
    r"(?: USING (?P<how>(?:AUTOMATIC )?(?:PARTIAL )?(?:COVERING )?INDEX|INTEGER PRIMARY KEY|PRIMARY KEY)"
    r"(?: (?P<index>[^\s(]+))?)?(?P<rest>.*)\Z"
)
_OWN_SCANS = ("CONSTANT", "SUBQUERY")
_KB = 1024.0
_PAGE_BYTES = 8192.0
"""PostgreSQL's block size, unless it was built with another."""


def of_postgres(plan: Mapping[str, Any], triggers: Iterable[Mapping[str, Any]] = ()) -> tuple[PlanNode, ...]:
    """Nodes of the `Plan` of EXPLAIN's JSON, root first, then its `Triggers`. Rows and times are of all loops together.

    The processes of a parallel part work side by side: their times are averaged, so that own times add up.
    """
    return (*_postgres(plan, 0, 1), *map(_trigger, triggers))


def _trigger(trigger: Mapping[str, Any]) -> PlanNode:
    """What a write sets off: the check of a foreign key among them, which reads the other table once a row."""
    constraint = trigger.get("Constraint Name")
    return PlanNode(
        depth=1,
        operation=f"Trigger for constraint {constraint}" if constraint else f"Trigger {trigger.get('Trigger Name')}",
        relation=trigger.get("Relation"),
        own_ms=trigger.get("Time"),
        loops_count=trigger.get("Calls"),
    )


def _postgres(plan: Mapping[str, Any], depth: int, processes: int) -> Iterator[PlanNode]:
    below = processes + int(plan.get("Workers Launched") or 0)
    loops = plan.get("Actual Loops")
    children = plan.get("Plans") or []
    yield PlanNode(
        depth=depth,
        operation=("Parallel " if plan.get("Parallel Aware") else "") + str(plan["Node Type"]),
        relation=plan.get("Relation Name"),
        index=plan.get("Index Name"),
        condition=without_values("; ".join(_conditions(plan))),
        rows=_times(plan.get("Actual Rows"), loops),
        estimated_rows=_times(plan.get("Plan Rows"), loops or 1),
        removed_rows=_removed(plan, loops),
        own_ms=_own_ms(plan, children, processes, below),
        loops_count=loops,
        **_spent(plan, loops),
    )
    for child in children:
        yield from _postgres(child, depth + 1, below)


def _conditions(plan: Mapping[str, Any]) -> Iterator[str]:
    for name in _CONDITIONS:
        if plan.get(name):
            value = plan[name]
            yield f"{name}: {', '.join(value) if isinstance(value, list) else value}"


def _times(value: Any, loops: Any) -> float | None:
    return None if value is None or loops is None else float(value) * float(loops)


def _removed(plan: Mapping[str, Any], loops: Any) -> float | None:
    removed = [plan[name] for name in _REMOVED if name in plan]
    return _times(sum(removed), loops) if removed else None


def _spent(plan: Mapping[str, Any], loops: Any) -> dict[str, Any]:
    """What it took beyond time; only what the engine told."""
    removed, rows = _removed(plan, loops), _times(plan.get("Actual Rows"), loops)
    scans = plan.get("Relation Name") is not None and rows is not None
    told = {
        "read_rows": (rows or 0.0) + (removed or 0.0) if scans else None,
        "method": plan.get("Sort Method"),
        "disk_bytes": _disk_bytes(plan),
        "batches_count": plan.get("Hash Batches", plan.get("HashAgg Batches")),
        "heap_fetches_count": _times(plan.get("Heap Fetches"), loops),
        "lossy_count": plan.get("Lossy Heap Blocks") or None,
        "hit_count": plan.get("Shared Hit Blocks"),
        "read_count": plan.get("Shared Read Blocks"),
    }
    return {name: value for name, value in told.items() if value is not None}


def _disk_bytes(plan: Mapping[str, Any]) -> float | None:
    """A sort's, an aggregate's or a hash's, those of the parallel workers among them; None where memory was enough."""
    sorts = [plan, *(plan.get("Workers") or ())]
    kb = sum(one.get("Sort Space Used", 0) for one in sorts if one.get("Sort Space Type") == "Disk")
    kb += plan.get("Disk Usage") or 0
    if plan["Node Type"] == "Hash" and (plan.get("Hash Batches") or 1) > 1:
        return float(plan.get("Temp Written Blocks") or 0) * _PAGE_BYTES or None
    return kb * _KB or None


def _own_ms(plan: Mapping[str, Any], children: Iterable[Mapping[str, Any]], here: int, below: int) -> float | None:
    """None without ANALYZE, and with TIMING OFF."""
    total = _total_ms(plan, here)
    return None if total is None else round(max(0.0, total - sum(_total_ms(c, below) or 0.0 for c in children)), 4)


def _total_ms(plan: Mapping[str, Any], processes: int) -> float | None:
    whole = _times(plan.get("Actual Total Time"), plan.get("Actual Loops"))
    return None if whole is None else whole / processes


def of_sqlite(rows: Iterable[tuple[int, int, int, str]], aliases: Mapping[str, str]) -> tuple[PlanNode, ...]:
    """Nodes of EXPLAIN QUERY PLAN's rows (id, parent, unused, detail). SQLite tells neither rows nor times.

    `aliases` gives the table that a name of the plan stands for.
    """
    depths = {0: -1}
    nodes = []
    for number, parent, _, detail in rows:
        depths[number] = depths.get(parent, -1) + 1
        nodes.append(_sqlite(detail, depths[number], aliases))
    return tuple(nodes)


def _sqlite(detail: str, depth: int, aliases: Mapping[str, str]) -> PlanNode:
    found = _SQLITE.match(detail)
    if not found or found["relation"] in _OWN_SCANS:
        return PlanNode(depth=depth, operation=detail)
    how, automatic = found["how"] or "", (found["how"] or "").startswith("AUTOMATIC")
    name = found["relation"]
    return PlanNode(
        depth=depth,
        operation=f"{found['verb']} USING {how}" if automatic else found["verb"],
        relation=aliases.get(name.lower(), name),
        index=None if automatic else found["index"] or (how if how.endswith("KEY") else None),
        condition=without_values(found["rest"].strip()),
    )


def without_values(condition: str) -> str:
    """A condition with `?` for each value: a statement's values are its users' business."""
    return _NUMBER.sub("?", _TEXT.sub("?", condition))
