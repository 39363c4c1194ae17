"""DB109: a search for nearest neighbours whose vector index is missing, is of another kind, or is mistuned.

What it costs: without an index that serves it, every search reads all vectors; with a mistuned one, rows are missed.
Seen as: a sweep on a clone, with recall against the exact answer and times in turn with it. One of: the table, of
`min_rows` or more, is read whole, and an index that was built saves `min_gain` and `min_ms` at the asked `recall`; an
index is there whose operator class is not the operator's; the order is by an expression of the distance; `probes` or
`ef_search` find less than the asked recall; an index behind a condition returns fewer than `returned` of the rows;
IVFFlat's lists are `lists_ratio` times off what is advised (rows/1000, or √rows), and a rebuilt one is quicker.
Not this: small tables; a condition that leaves `few_kept` rows, among which exact search is right; an index that meets
the recall; a gain within the noise; recall on vectors that were generated for the review.
Instead: the index with the operator's own class, in a reversible migration; the session's setting beside it; for
conditions, an iterative scan or a partial index.
Confidence: 0.95 for what was built and measured; 0.85 for recall; 0.7 where the clone's vectors were generated.
Limits: pgvector's `vector` and `halfvec` alone; query vectors are mostly drawn from the table, since long values
are not recorded, and real questions may lie further from its rows. Quantized indexes are not tried.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from perfcrew.core.findings import Finding, Hypothesis, Level
from perfcrew.core.prose import Cited, cite
from perfcrew.core.scene import ApplicationScene, Scene, Seen, Traced
from perfcrew.core.vectors import Named, VectorIndex, VectorSearch, VectorSetting
from perfcrew.rules import statements
from perfcrew.rules.costs import latency_ms, latency_share, level, observed, raised, scores
from perfcrew.rules.limits import Limits
from perfcrew.rules.recipes import Flavour, flavour, sql
from perfcrew.rules.vector_recipes import migration, session_setting
from perfcrew.rules.write import Case, code, finding, sentences, traced_values

ID = "DB109"
NEEDS_ROWS = "min_rows"
Fault = Literal["missing", "class", "order", "short", "recall", "lists"]
_TITLES: dict[Fault, str] = {
    "missing": "No index serves the search by {column}",
    "class": "The index on {column} is of another operator class",
    "order": "The search by {column} is ordered by what no index gives",
    "short": "The index on {column} runs out of rows behind a condition",
    "recall": "The search by {column} misses rows that are near",
    "lists": "The lists of the index on {column} are far from what its rows need",
}
_SAID: dict[Fault, str] = {
    "missing": "No index serves it: every search reads all vectors.",
    "class": "The index {index} is there and can't be used, since {why}: every search reads all vectors.",
    "order": "It orders by an expression of the distance, which no index gives: every search reads all vectors.",
    "short": "Its condition is applied to what the index {index} gives: {returned} of the rows asked for come back.",
    "recall": "With the index {index} as its sessions are set it finds {recall} of the exact answer's rows.",
    "lists": "The index {index} has {lists} lists, far from what so many rows need.",
}
_GROWTH: dict[Named, str] = {
    "constant": "not at all",
    "logarithmic": "logarithmically",
    "linear": "linearly",
    "unclear": "unclearly",
}


class _Saw(NamedTuple):
    """What is wrong with one search, what mends it, and what part of the statement's time that saves."""

    fault: Fault
    best: VectorSetting
    gain: float
    there: VectorIndex | None = None


def recognise(scene: Scene, limits: Limits) -> list[Finding]:
    """One finding a search that was swept and whose statement has a line."""
    traced = observed(scene)
    if traced is None:
        return []
    found: dict[str, Finding] = {}
    seen = statements.seen(scene, traced)
    for search in scene.vectors:
        saw = _looked(scene, search.body, limits)
        for group in (s for s in seen if saw and s.group.shape == search.body.shape):
            if saw and group.share >= limits.min_share:
                found.setdefault(search.body.shape, _finding(scene, traced, search, saw, group, limits))
    return list(found.values())


def concerns(app: ApplicationScene) -> bool:
    """Whether it searches for nearest neighbours."""
    return any(scene.vectors for scene in app.scenes)


def _looked(scene: Scene, search: VectorSearch, limits: Limits) -> _Saw | None:
    if search.table_rows < limits.min_rows:
        return None
    if search.current.access == "exact":
        return _exact(search, limits)
    if generated(scene, search):
        return None
    return _missing_rows(search, limits) or _lists(search, limits)


def generated(scene: Scene, search: VectorSearch) -> bool:
    """Whether vectors of the table were made up for the review."""
    if scene.data is None:
        return False
    data, name = scene.data.body, search.table
    grew = data.after.get(name, 0) > data.before.get(name, 0)
    return grew and (data.how == "generated" or not data.before.get(name))


def _exact(search: VectorSearch, limits: Limits) -> _Saw | None:
    best = search.recommended
    if best is None or search.kept_share * search.table_rows < limits.few_kept:
        return None
    gain = 1 - 1 / best.exact_ratio
    if gain < limits.min_gain or search.exact_ms * gain < limits.min_ms:
        return None
    other = next((i for i in search.indexes if i.operator_class != search.operator_class), None)
    usable = any(not i.why_not for i in search.indexes)
    if not search.direct:
        return _Saw("order", best, gain)
    if usable:
        return None  # the planner knows of it, and reads the table all the same
    return _Saw("class", best, gain, other) if other else _Saw("missing", best, gain)


def _missing_rows(search: VectorSearch, limits: Limits) -> _Saw | None:
    """The index is used, and rows are missing from what it gives."""
    now = search.current
    low = now.recall_share < search.asked_share - limits.recall_slack
    best = _own_or_built(search)
    if not low or best is None:
        return None
    fault: Fault = "short" if search.filtered and now.returned_share < limits.returned else "recall"
    return _Saw(fault, best, max(0.0, 1 - now.exact_ratio / best.exact_ratio), _used(search))


def _own_or_built(search: VectorSearch) -> VectorSetting | None:
    """The quickest setting of the index that is there, where one meets the recall: nothing needs to be built for it."""
    own = [s for s in search.settings if s.existing and s.recall_share >= search.asked_share and s.exact_ratio > 1]
    return max(own, key=lambda s: s.exact_ratio, default=search.recommended)


def _lists(search: VectorSearch, limits: Limits) -> _Saw | None:
    index, best = _used(search), search.recommended
    lists = index.options.get("lists") if index else None
    if lists is None or best is None or best.existing or best.exact_ratio <= 0:
        return None
    advised = (math.sqrt(search.table_rows), search.table_rows / 1000)
    off = lists > max(advised) * limits.lists_ratio or lists < min(advised) / limits.lists_ratio
    gain = 1 - search.current.exact_ratio / best.exact_ratio
    if not off or gain < limits.min_gain or search.current.median_ms * gain < limits.min_ms:
        return None
    return _Saw("lists", best, gain, index)


def _used(search: VectorSearch) -> VectorIndex | None:
    return next((i for i in search.indexes if i.name == search.current.existing), None)


def _finding(
    scene: Scene, traced: Traced, search: Seen[VectorSearch], saw: _Saw, group: statements.Seen, limits: Limits
) -> Finding:
    basis = "time of the statement over the traced request"
    timed = saw.fault in ("missing", "class", "order", "lists")
    part = group.share * saw.gain if timed else group.share
    share = latency_share(part, 1.0, f"{basis}, times what was saved on the clone" if timed else basis)
    site = statements.with_loop(scene, group.group)
    sure = 0.7 if generated(scene, search.body) else 0.95 if timed else 0.85
    title = _TITLES[saw.fault].format(column=code(f"{search.body.table}.{search.body.column}"))
    case = Case(title, _level(scene, group, saw, search.body, limits), site, share, sure, group.group.shape)
    values = _values(scene, traced, search, saw, group)
    prose = sentences(
        values,
        "{line} sends {shape}: a search for nearest neighbours among {size}.",
        _SAID[saw.fault],
        "On a clone {setting} took {best} and found {found} of the exact answer's rows, where the exact search, "
        "taken in turn with it, took {exact}: {times} as fast.",
        "It was built in {built}, and takes {bytes}.",
        "The clone's vectors were generated: recall on real ones will differ." if sure == 0.7 else "",
        "By the plan's pages the exact search grows {growth} with the table.",
        "Statements take {spent} of the {request} of a traced request to {endpoint}.",
    )
    evidence = [search.evidence, traced.seen.evidence]
    hypotheses = _hypotheses(scene, search.body, saw, group, part, sure)
    return finding(ID, scene.endpoint.key, case, prose, evidence, hypotheses)


def _level(scene: Scene, group: statements.Seen, saw: _Saw, search: VectorSearch, limits: Limits) -> Level:
    """Rows that are missed are a fault of the answer: by how many, whatever the time."""
    if saw.fault in ("short", "recall"):
        return raised("low", 1 if search.current.recall_share < search.asked_share - 0.05 else 0)
    return level(group.share * saw.gain, group.share * saw.gain * latency_ms(scene), limits)


def _values(
    scene: Scene, traced: Traced, search: Seen[VectorSearch], saw: _Saw, group: statements.Seen
) -> dict[str, Cited | str | None]:
    body, best = search.body, saw.best
    at = "recommended" if best == body.recommended else f"settings.{body.settings.index(best)}"
    number = body.indexes.index(saw.there) if saw.there else 0
    exact = next((g for g in body.growth if g.access == "exact" and g.by_plan != "unclear"), None)
    return {
        **traced_values(scene, traced),
        "line": code(str(group.group.site.place)),
        "shape": statements.brief(group.group.shape),
        "size": search.cite("table_rows"),
        "exact": search.cite(f"{at}.exact_ms"),
        "setting": code(best.said),
        "best": search.cite(f"{at}.median_ms"),
        "found": search.cite(f"{at}.recall_share"),
        "times": cite(best.exact_ratio, "ratio", search.ref(f"{at}.exact_ratio")),
        "bytes": search.cite(f"{at}.size_bytes") if not best.existing and best.size_bytes is not None else None,
        "built": search.cite(f"{at}.build_ms") if best.build_ms is not None else None,
        "index": code(saw.there.name) if saw.there else None,
        "why": code(saw.there.why_not) if saw.there and saw.there.why_not else None,
        "returned": search.cite("current.returned_share"),
        "recall": search.cite("current.recall_share"),
        "lists": search.cite(f"indexes.{number}.options.lists") if saw.fault == "lists" else None,
        "growth": _GROWTH[exact.by_plan] if exact else None,
    }


def _hypotheses(
    scene: Scene, search: VectorSearch, saw: _Saw, group: statements.Seen, saved: float, sure: float
) -> list[Hypothesis]:
    kind = flavour(scene.root, group.group.site.place, group.group.spans[0].stack)
    improvement = round(saved, 3) if saw.gain > 0 and saw.fault not in ("short", "recall") else None
    made = [] if saw.best.existing else [_index(kind, search, saw, improvement, sure)]
    if saw.fault == "order":
        made.insert(0, _order(search, improvement, sure))
    if any(search.session.get(name) != value for name, value in saw.best.session.items()):
        made.append(_setting(kind, search, saw, improvement if not made else None, sure))
    return made


def _index(kind: Flavour, search: VectorSearch, saw: _Saw, improvement: float | None, sure: float) -> Hypothesis:
    replaced = saw.there.name if saw.there else ""
    return Hypothesis(
        id=f"{ID}-index",
        change=f"an index by {saw.best.access} on {code(f'{search.table}.{search.column}')} "
        f"with {code(search.operator_class)}",
        metric="latency",
        improvement=improvement,
        because="it was built on a clone, and searches by it were timed in turn with exact ones",
        kind="schema",
        recipe=migration(kind, search, saw.best, replaced),
        scores=scores(saw.gain, sure, effort=4, risk=3, reversibility=5),
        alternatives=(
            "a partial index, or a partition, for each value of a condition that few rows meet",
            "halfvec, which halves the index at next to no loss of recall",
        ),
        trade_offs="Answers become approximate: some near rows are missed. Building takes time and memory, every "
        "write keeps the index, and it takes disk.",
        rollback="Run the migration's downgrade: the index is dropped, and searches are exact again.",
    )


def _setting(kind: Flavour, search: VectorSearch, saw: _Saw, improvement: float | None, sure: float) -> Hypothesis:
    named = ", ".join(f"{name} = {value}" for name, value in saw.best.session.items())
    return Hypothesis(
        id=f"{ID}-session",
        change=f"searches with {code(named)}",
        metric="latency",
        improvement=improvement,
        because="of the settings that were measured it is the quickest that finds what is asked",
        kind="configuration",
        recipe=session_setting(kind, saw.best.session),
        scores=scores(1 - search.current.recall_share, sure, effort=5, risk=4, reversibility=5),
        trade_offs="A higher setting finds more and takes longer; one for the whole database holds for searches of "
        "other tables too.",
        rollback="Take the setting away: the server's default holds again.",
    )


def _order(search: VectorSearch, improvement: float | None, sure: float) -> Hypothesis:
    distance = f"{search.column} {search.operator} :vector"
    return Hypothesis(
        id=f"{ID}-order",
        change=f"order by {code(distance)} itself, ascending",
        metric="latency",
        improvement=improvement,
        because="an index gives rows by ascending distance and in no other order",
        kind="code",
        recipe="The rows are the same; select the similarity, and order by the distance:\n\n"
        + sql(f"SELECT id, 1 - ({distance}) AS similarity\nFROM {search.table}\nORDER BY {distance}\nLIMIT :limit"),
        scores=scores(0.8, sure, effort=5, risk=4, reversibility=5),
        trade_offs="None beside the index that it needs.",
        rollback="Revert the commit.",
    )
