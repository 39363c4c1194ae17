"""What MySQL and MariaDB say of a plan by EXPLAIN FORMAT=JSON, as nodes. Their documents differ, and are read by one
reader: a table stands under `table`, whatever lies around it, and what sorts or keeps rows aside is a node above it.

Where MariaDB ran the statement (ANALYZE FORMAT=JSON), rows and times are what happened; else they are estimates.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from perfcrew.core.evidence import PlanNode
from perfcrew.instruments.plan_nodes import without_values

_SORTS = {"filesort": "Sort (filesort)", "ordering_operation": "Sort (filesort)"}
_KEEPS = {"temporary_table": "Temporary table", "grouping_operation": "Group", "duplicates_removal": "Distinct"}
_WITH_FILE = ("ordering_operation", "grouping_operation", "duplicates_removal")
_SCANS = {"ALL": "Scan", "index": "Index scan"}
_NAME = re.compile(r"`(?:[^`]|``)+`\.(?=`)")


def of_mysql(document: Mapping[str, Any], aliases: Mapping[str, str]) -> tuple[PlanNode, ...]:
    """Nodes of the document, root first. `aliases` gives the table that a name of the plan stands for."""
    return tuple(_below(document.get("query_block") or document, 0, aliases))


def _below(part: Any, depth: int, aliases: Mapping[str, str]) -> Iterator[PlanNode]:
    """Of a part that is none itself."""
    if isinstance(part, list):
        for one in part:
            yield from _below(one, depth, aliases)
    elif isinstance(part, Mapping):
        for name, inner in part.items():
            yield from _part(name, inner, depth, aliases)


def _part(name: str, inner: Any, depth: int, aliases: Mapping[str, str]) -> Iterator[PlanNode]:
    if not isinstance(inner, Mapping | list):
        return
    if name == "table" and isinstance(inner, Mapping):
        yield _table(inner, depth, aliases)
        yield from _below(inner, depth + 1, aliases)
        return
    made = _around(name, inner, depth) if isinstance(inner, Mapping) else None
    if made is not None:
        yield made
    yield from _below(inner, depth + (made is not None), aliases)


def _around(name: str, inner: Mapping[str, Any], depth: int) -> PlanNode | None:
    """What sorts or keeps aside. MySQL names the operation even where an index gives the order."""
    if name in _WITH_FILE and not inner.get("using_filesort"):
        kept = inner.get("using_temporary_table")
        return PlanNode(depth=depth, operation=_KEEPS["temporary_table"]) if kept else None
    operation = _SORTS.get(name) or (_SORTS["filesort"] if name in _WITH_FILE else _KEEPS.get(name))
    if operation is None:
        return None
    key = inner.get("sort_key")
    return PlanNode(
        depth=depth,
        operation=operation,
        condition=f"Sort Key: {_bare(str(key))}" if key else "",
        rows=inner.get("r_output_rows"),
        method="temporary table" if inner.get("using_temporary_table") else "",
    )


def _table(table: Mapping[str, Any], depth: int, aliases: Mapping[str, str]) -> PlanNode:
    name, kind = str(table.get("table_name", "")), str(table.get("access_type", ""))
    looked_at = table.get("rows_examined_per_scan", table.get("rows"))
    passed = float(table.get("filtered") or 100.0) / 100
    index = table.get("key")
    return PlanNode(
        depth=depth,
        operation=f"{_SCANS.get(kind, 'Search')} ({kind})" if kind else "Rows made aside",
        relation=None if not name or name.startswith("<") else aliases.get(name.lower(), name),
        index=str(index) if index else None,
        condition=_condition(table),
        estimated_rows=None if looked_at is None else float(looked_at) * passed,
        **_counted(table),
    )


def _counted(table: Mapping[str, Any]) -> dict[str, Any]:
    """What ANALYZE counted: rows that were looked at, and those of them that the condition let through."""
    rows, loops = table.get("r_rows"), table.get("r_loops")
    if rows is None or loops is None:
        return {}
    read = float(rows) * float(loops)
    kept = read * float(table.get("r_filtered") or 0.0) / 100
    times = [float(table[t]) for t in ("r_table_time_ms", "r_other_time_ms") if t in table]
    found = {"read_rows": read, "rows": kept, "removed_rows": read - kept, "loops_count": float(loops)}
    return found | ({"own_ms": sum(times)} if times else {})


def _condition(table: Mapping[str, Any]) -> str:
    """What the index is asked for, then what is filtered afterwards."""
    used = table.get("used_key_parts")
    looked = f"Index Cond: {', '.join(map(str, used))}" if table.get("key") and used else ""
    filtered = table.get("attached_condition")
    pushed = table.get("index_condition")
    each = [looked, f"Index Filter: {_bare(str(pushed))}" if pushed else ""]
    return "; ".join(part for part in (*each, f"Filter: {_bare(str(filtered))}" if filtered else "") if part)


def _bare(condition: str) -> str:
    """Without the names of database and table, without quotes around names, and with `?` for each value."""
    text = _NAME.sub("", _NAME.sub("", condition))
    return without_values(text.replace("`", ""))
