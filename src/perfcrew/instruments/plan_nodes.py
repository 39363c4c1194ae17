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


def of_postgres(plan: Mapping[str, Any]) -> tuple[PlanNode, ...]:
    """Nodes of the `Plan` of EXPLAIN's JSON, root first. Rows and times are of all loops together.

    The processes of a parallel part work side by side: their times are averaged, so that own times add up.
    """
    return tuple(_postgres(plan, 0, 1))


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
