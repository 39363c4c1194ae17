"""What in a plan costs, with the plan's own numbers: whole reads, bad estimates, spills, loops, wasted lookups.

The nodes are the engine's facts; what of them is worth a sentence is judged here. PostgreSQL's documentation, "Using
EXPLAIN"; SQLite's, "EXPLAIN QUERY PLAN", which tells neither rows nor times.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from perfcrew.core.evidence import PlanNode, QueryPlan
from perfcrew.core.prose import Cited, Prose, cite, join
from perfcrew.core.scene import Seen
from perfcrew.rules.limits import Limits
from perfcrew.rules.write import code, sentences

Kind = Literal["scan", "estimate", "spill", "loop", "filtered", "fetches", "lossy", "trigger", "sort", "anew"]
Values = Mapping[str, Cited | str | None]
MOST_TOLD = 3

REMEDIES: dict[Kind, str] = {
    "scan": "an index for what the scan compares, or a condition that leaves fewer rows to read",
    "estimate": "`ANALYZE` of the table, a higher statistics target for the column, or `CREATE STATISTICS` over "
    "columns that depend on each other",
    "spill": "an index that gives the order, fewer columns or rows to sort, or more `work_mem` for this statement "
    "alone (`SET LOCAL work_mem`)",
    "loop": "a condition that leaves fewer rows on the outer side, or statistics by which the planner chooses a hash "
    "join",
    "filtered": "an index that holds the filtered column too, or a partial one",
    "fetches": "`VACUUM` of the table, and autovacuum that keeps up with its writes",
    "lossy": "more `work_mem` for this statement, or an index that finds fewer rows",
    "trigger": "an index on the referencing column, which each row's check looks up",
    "sort": "an index that gives the order",
    "anew": "a real index where SQLite builds one at each run",
}
"""What mends each kind; a trial has to show it."""


class Cost(NamedTuple):
    """One thing of a plan that costs: the node's position, its time where the engine tells, and the sentence."""

    kind: Kind
    node: int
    own_ms: float
    template: str
    values: Values


class _At(NamedTuple):
    """A node within its plan."""

    plan: Seen[QueryPlan]
    number: int
    limits: Limits

    @property
    def node(self) -> PlanNode:
        return self.plan.body.nodes[self.number]

    def cite(self, name: str) -> Cited | None:
        return None if getattr(self.node, name) is None else self.plan.cite(f"nodes.{self.number}.{name}")

    def quotient(self, part: str, whole: str, derivation: Literal["ratio", "share"]) -> Cited | None:
        """One number of the node over another, None where either is missing or the second is zero."""
        a, b = getattr(self.node, part), getattr(self.node, whole)
        if a is None or not b:
            return None
        refs = (self.plan.ref(f"nodes.{self.number}.{part}"), self.plan.ref(f"nodes.{self.number}.{whole}"))
        return cite(a / b, "fraction" if derivation == "share" else "ratio", *refs, derivation=derivation)

    def cost(self, kind: Kind, template: str, **values: Cited | str | None) -> Cost:
        return Cost(kind, self.number, self.node.own_ms or 0.0, template, {"node": _name(self.node), **values})


def costs(plan: Seen[QueryPlan], limits: Limits) -> list[Cost]:
    """What costs in this plan, the longest first; of one node what comes first in `_READERS`.

    `limits`: plan_rows, kept_share, estimate_ratio, plan_loops, node_share.
    """
    total = sum(n.own_ms or 0.0 for n in plan.body.nodes)
    found = []
    for number, node in enumerate(plan.body.nodes):
        at = _At(plan, number, limits)
        weighs = node.own_ms is None or total <= 0 or node.own_ms >= total * limits.node_share
        readers = _READERS if weighs else _READERS_OF_CAUSES
        found += [cost for cost in (read(at) for read in readers) if cost][:2]
    return sorted(found, key=lambda c: -c.own_ms)


def told(plan: Seen[QueryPlan], limits: Limits) -> Prose:
    """The costliest things in sentences; empty where nothing of the plan stands out."""
    return join([sentences(c.values, c.template) for c in costs(plan, limits)[:MOST_TOLD]])


def remedies(plan: Seen[QueryPlan], limits: Limits) -> list[str]:
    """What would mend what was told, without repeats."""
    return list(dict.fromkeys(REMEDIES[c.kind] for c in costs(plan, limits)[:MOST_TOLD]))


def reads_whole(node: PlanNode) -> bool:
    """Whether it reads a table from end to end, in PostgreSQL's or SQLite's words."""
    words = node.operation.lower().removeprefix("parallel ")
    return node.index is None and node.relation is not None and words in ("seq scan", "scan")


def _name(node: PlanNode) -> str:
    on = f" on {node.relation}" if node.relation else ""
    return code(f"{node.operation}{f' using {node.index}' if node.index else ''}{on}")


def _scan(at: _At) -> Cost | None:
    node = at.node
    if not reads_whole(node) or _outer(at) is not None:
        return None
    table = code(node.relation or "")
    if node.read_rows is None:
        return _scan_uncounted(at, table)
    kept = at.quotient("rows", "read_rows", "share")
    if node.read_rows < at.limits.plan_rows:
        return None
    return at.cost(
        "scan",
        "The plan reads {table} from end to end: {read} looked at, of which {kept} are kept.",
        table=table,
        read=at.cite("read_rows"),
        kept=kept,
    )


def _scan_uncounted(at: _At, table: str) -> Cost | None:
    """SQLite, and a plan that was not run: the table's size stands for what is read."""
    name = at.node.relation or ""
    size = at.plan.body.table_rows.get(name, 0)
    if size < at.limits.plan_rows or "." in name:
        return None
    held = at.plan.cite(f"table_rows.{name}")
    return at.cost("scan", "The plan reads {table} from end to end, which held {size}.", table=table, size=held)


def _estimate(at: _At) -> Cost | None:
    """What stops early (a limit, a semi join) gives fewer rows than were expected, and is no mistake."""
    node = at.node
    if not node.rows or not node.estimated_rows or max(node.rows, node.estimated_rows) < at.limits.plan_rows:
        return None
    words = " ".join(n.operation.lower() for n in at.plan.body.nodes)
    stops = any(word in words for word in ("limit", "merge join", "semi", "anti", "memoize"))
    more = node.rows >= node.estimated_rows * at.limits.estimate_ratio
    fewer = node.estimated_rows >= node.rows * at.limits.estimate_ratio and not stops
    if not more and not fewer:
        return None
    off = at.quotient(*(("rows", "estimated_rows") if more else ("estimated_rows", "rows")), "ratio")
    return at.cost(
        "estimate",
        "The planner expected {expected} of {node} and got {got}, which is wrong by {off}.",
        expected=at.cite("estimated_rows"),
        got=at.cite("rows"),
        off=off,
    )


def _spill(at: _At) -> Cost | None:
    if not at.node.disk_bytes:
        return None
    split = (at.node.batches_count or 1) > 1
    return at.cost(
        "spill",
        "{node} does not fit into memory: it is split into {parts} parts and writes {bytes} to disk."
        if split
        else "{node} does not fit into memory and writes {bytes} to disk.",
        parts=at.cite("batches_count"),
        bytes=at.cite("disk_bytes"),
    )


def _loop(at: _At) -> Cost | None:
    node = at.node
    outer = _outer(at)
    if outer is not None:
        template = "For each row of {outer} the plan reads {table} from end to end."
        size = at.plan.body.table_rows.get(node.relation or "", 0)
        named = node.relation and "." not in node.relation and size
        held = at.plan.cite(f"table_rows.{node.relation}") if named else None
        template = template.removesuffix(".") + ", which held {size}." if held else template
        return at.cost("loop", template, outer=code(outer), table=code(node.relation or ""), size=held)
    if (node.loops_count or 0) < at.limits.plan_loops or not node.relation or node.operation.startswith("Trigger"):
        return None
    return at.cost(
        "loop",
        "A nested loop runs {node} {loops} times, and reads {read} with it.",
        loops=at.cite("loops_count"),
        read=at.cite("read_rows"),
    )


def _outer(at: _At) -> str | None:
    """SQLite: what turns a scan of the same level, which is then made once a row; only where it tells no loops."""
    node = at.node
    if node.operation != "SCAN" or node.index or node.loops_count is not None:
        return None
    for other in reversed(at.plan.body.nodes[: at.number]):
        if other.depth < node.depth:
            return None
        if other.depth == node.depth and other.relation and other.operation.startswith(("SCAN", "SEARCH")):
            return other.relation
    return None


def _filtered(at: _At) -> Cost | None:
    node = at.node
    if not node.index or not node.read_rows or node.read_rows < at.limits.plan_rows:
        return None
    if (node.rows or 0) > node.read_rows * at.limits.kept_share:
        return None
    return at.cost(
        "filtered",
        "{index} finds {read} of {table}, of which {kept} are kept: the rest is read and thrown away.",
        index=code(node.index),
        table=code(node.relation or ""),
        read=at.cite("read_rows"),
        kept=at.quotient("rows", "read_rows", "share"),
    )


def _bitmap(at: _At) -> Cost | None:
    """A bitmap's index is on the node below; what the heap scan throws away, the index found in vain."""
    node = at.node
    if "Bitmap Heap Scan" not in node.operation or (node.read_rows or 0) < at.limits.plan_rows:
        return None
    if (node.rows or 0) > (node.read_rows or 0) * at.limits.kept_share:
        return None
    return at.cost(
        "filtered",
        "{node} looks at {read}, of which {kept} are kept: the rest is read and thrown away.",
        read=at.cite("read_rows"),
        kept=at.quotient("rows", "read_rows", "share"),
    )


def _fetches(at: _At) -> Cost | None:
    node = at.node
    if (node.heap_fetches_count or 0) < at.limits.plan_rows:
        return None
    return at.cost(
        "fetches",
        "{index} could answer alone, and {fetches} rows were looked up in {table} all the same.",
        index=code(node.index or ""),
        table=code(node.relation or ""),
        fetches=at.cite("heap_fetches_count"),
    )


def _lossy(at: _At) -> Cost | None:
    if not at.node.lossy_count:
        return None
    return at.cost(
        "lossy", "{node} checks every row of {pages} pages again, for want of memory.", pages=at.cite("lossy_count")
    )


def _trigger(at: _At) -> Cost | None:
    if not at.node.operation.startswith("Trigger") or not at.node.own_ms:
        return None
    return at.cost(
        "trigger",
        "{node} is called {calls} times, which takes {own}.",
        calls=at.cite("loops_count"),
        own=at.cite("own_ms"),
    )


def _sort(at: _At) -> Cost | None:
    """SQLite's words for a sort; in PostgreSQL a sort that fits into memory is told by its time."""
    words = at.node.operation.upper()
    if words.startswith("USE TEMP B-TREE"):
        return at.cost("sort", "No index gives the order: the plan says {node}.")
    if words == "SORT" and at.node.disk_bytes is None and (at.node.rows or 0) >= at.limits.plan_rows:
        return at.cost("sort", "The plan sorts {rows}, which takes {own}.", rows=at.cite("rows"), own=at.cite("own_ms"))
    return None


def _anew(at: _At) -> Cost | None:
    if "AUTOMATIC" not in at.node.operation:
        return None
    return at.cost("anew", "SQLite builds an index on {table} anew at each run.", table=code(at.node.relation or ""))


_READERS: tuple[Callable[[_At], Cost | None], ...] = (
    _spill,
    _loop,
    _scan,
    _filtered,
    _bitmap,
    _fetches,
    _lossy,
    _trigger,
    _sort,
    _anew,
    _estimate,
)
_READERS_OF_CAUSES: tuple[Callable[[_At], Cost | None], ...] = (_spill, _estimate)
"""Of nodes that take little themselves: what they get wrong costs elsewhere."""
