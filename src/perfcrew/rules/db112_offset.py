"""DB112: pages by OFFSET, which cost more the further behind they lie.

What it costs: the database reads and throws away every row before the page; the last page reads the whole result.
Seen as: on a clone, a page far behind takes at least `min_ratio` times as long as the first, and `min_ms` more, in a
result of at least `min_rows`; or, where the traced requests asked for several pages, those with the largest offset do.
Not this: a small result, later pages that are as quick as the first, a page that no index serves from the first one on
(DB103), a LIMIT without an OFFSET; the OFFSET of 0 that SQLAlchemy sends SQLite with each LIMIT, where no file that
leads there speaks of pages.
Instead: page by the last key of the page before (`WHERE (created, id) > (…) ORDER BY created, id LIMIT …`), with an
index in that order.
Confidence: 0.9 where it was timed on a clone, 0.8 where only the traced requests show it.
Limits: how often users ask for later pages is not known; crawlers and exports do. Frameworks that leave the OFFSET out
of the first page (Django) are seen only where a later page was asked for.
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple

from perfcrew.core.evidence import PageTrial, QueryPlan
from perfcrew.core.findings import Finding, Hypothesis
from perfcrew.core.prose import Cited, Prose, cite
from perfcrew.core.scene import Scene, Seen, Traced
from perfcrew.core.sql import is_read, shape, with_marks
from perfcrew.core.trace import Span, Trace
from perfcrew.rules import source, statements
from perfcrew.rules.costs import fraction, latency_ms, latency_share, level, middle, observed, scores, typical
from perfcrew.rules.limits import Limits
from perfcrew.rules.places import own
from perfcrew.rules.recipes import BY_KEY, flavour
from perfcrew.rules.write import Case, code, finding, sentences, traced_values

ID = "DB112"
NEEDS_ROWS = "min_rows"
_MARK = "\x00"
_OFFSET = re.compile(rf"\bOFFSET\s+(?:{_MARK}(?P<mark>\d+){_MARK}|(?P<number>\d+))", re.IGNORECASE)

_PAGING = re.compile(r"offset|paginat|\[[^\]\n]+:[^\]\n]+\]", re.IGNORECASE)


class _Growth(NamedTuple):
    """What a later page takes beyond the first; `trial` where it was timed on a clone."""

    more_ms: float
    plan: str | None
    trial: PageTrial | None
    later: Cited | None
    values: dict[str, Cited | str | None]


def recognise(scene: Scene, limits: Limits) -> list[Finding]:
    """One finding a statement and line."""
    traced = observed(scene)
    if traced is None:
        return []
    found = []
    for seen in statements.seen(scene, traced):
        text = seen.group.text
        if re.search(r"\bOFFSET\b", text, re.IGNORECASE) and is_read(text) and _pages(scene, traced, seen):
            grown = _on_the_clone(scene, seen, limits) or _as_traced(traced, seen, limits)
            if grown:
                found.append(_finding(scene, traced, seen, grown, limits))
    return found


def _pages(scene: Scene, traced: Traced, seen: statements.Seen) -> bool:
    """Whether the application chooses the offset: one was sent, or a file on the way there speaks of it."""
    if any(_offset(span) for trace in typical(traced) for span in _sent(trace, seen)):
        return True
    frames = [frame for span in seen.group.spans for frame in span.stack]
    if any("paginat" in f"{frame.file} {frame.function}".lower() for frame in frames):
        return True
    files = [source.read(file) for file in {frame.file for frame in own(scene.root, frames)}]
    return not files or any(file is None or _PAGING.search(file.text) for file in files)


def _sent(trace: Trace, seen: statements.Seen) -> list[Span]:
    return [span for span in statements.sent(trace) if shape(statements.text_of(span)) == seen.group.shape]


def _on_the_clone(scene: Scene, seen: statements.Seen, limits: Limits) -> _Growth | None:
    for plan in scene.plans:
        trial = plan.body.pages
        if trial is None or seen.group.shape not in (plan.body.shape, shape(plan.body.statement)):
            continue
        more = trial.later_median_ms - trial.first_median_ms
        slower = min(trial.later_ms) > max(trial.first_ms) and more >= limits.min_ms
        enough = trial.later_median_ms >= trial.first_median_ms * limits.min_ratio
        if slower and enough and trial.result_rows >= limits.min_rows:
            return _Growth(more, plan.evidence, trial, None, _cited(plan, trial))
    return None


def _cited(plan: Seen[QueryPlan], trial: PageTrial) -> dict[str, Cited | str | None]:
    later, first = plan.ref("pages.later_median_ms"), plan.ref("pages.first_median_ms")
    times = trial.later_median_ms / trial.first_median_ms if trial.first_median_ms > 0 else None
    return {
        "result": plan.cite("pages.result_rows"),
        "skipped": plan.cite("pages.skipped_rows"),
        "first": plan.cite("pages.first_median_ms"),
        "later": plan.cite("pages.later_median_ms"),
        "times": cite(times, "ratio", later, first, derivation="ratio") if times else None,
        "read": plan.cite("pages.later_read_rows") if trial.later_read_rows is not None else None,
    }


def _as_traced(traced: Traced, seen: statements.Seen, limits: Limits) -> _Growth | None:
    """The pages that the requests asked for, by their offset: the first ones beside those furthest behind."""
    by_offset: dict[int, list[float]] = {}
    for trace in typical(traced):
        for span in _sent(trace, seen):
            offset = _offset(span)
            if offset is not None:
                by_offset.setdefault(offset, []).append(span.duration_ms)
    if len(by_offset) < 2 or max(by_offset) < limits.min_rows:
        return None
    first, later = middle(by_offset[min(by_offset)]), middle(by_offset[max(by_offset)])
    if later < first * limits.min_ratio or later - first < limits.min_ms:
        return None
    none = dict.fromkeys(("result", "skipped", "first", "later", "times", "read"))
    return _Growth(later - first, None, None, None, none)


def _offset(span: Span) -> int | None:
    """The offset that a statement was sent with; it stays here, and is never told."""
    marks: list[str] = []

    def sign(_: int, mark: str) -> str:
        marks.append(mark)
        return f"{_MARK}{len(marks) - 1}{_MARK}"

    found = _OFFSET.search(with_marks(statements.text_of(span), sign))
    if found is None:
        return None
    if found["number"]:
        return int(found["number"])
    value = _value(span, marks[int(found["mark"])], int(found["mark"]))
    return value if isinstance(value, int) else None


def _value(span: Span, mark: str, number: int) -> object:
    """What was sent for a mark: by name, by its own number (`$3`), or by where it stands."""
    given = span.attributes.get("perfcrew.db.parameters")
    try:
        values = json.loads(given) if isinstance(given, str) else given
    except ValueError:
        return None
    if isinstance(values, dict):
        return values.get(re.sub(r"\W|s$", "", mark) if mark.startswith("%") else re.sub(r"\W", "", mark))
    digits = re.sub(r"\D", "", mark) if mark[0] in "$?" else ""
    at = int(digits) - 1 if digits else number
    return values[at] if isinstance(values, list) and at < len(values) else None


def _finding(scene: Scene, traced: Traced, seen: statements.Seen, grown: _Growth, limits: Limits) -> Finding:
    part = fraction(grown.more_ms, grown.more_ms + latency_ms(scene))
    basis = "what a page far behind takes beyond the first, over the time that its request then takes"
    at = level(part, grown.more_ms, limits)
    site = statements.with_loop(scene, seen.group)
    title = f"Later pages cost more in {code(site.place.function or site.place.file)}"
    sure = 0.9 if grown.trial else 0.8
    case = Case(title, at, site, latency_share(part, 1.0, basis), sure, seen.group.shape)
    prose = _prose(scene, traced, seen, grown)
    evidence = [traced.seen.evidence, grown.plan]
    return finding(ID, scene.endpoint.key, case, prose, evidence, [_hypothesis(scene, seen, grown, part, sure)])


def _prose(scene: Scene, traced: Traced, seen: statements.Seen, grown: _Growth) -> Prose:
    values: dict[str, Cited | str | None] = {
        **traced_values(scene, traced),
        **grown.values,
        "line": code(str(seen.group.site.place)),
        "shape": statements.brief(seen.group.shape),
    }
    return sentences(
        values,
        "{line} sends {shape}, which skips rows by reading them.",
        "Of a result of {result} the first page took {first} on the clone, and the page behind {skipped} took {later}.",
        "That is {times} as long.",
        "For that page {read} were looked at.",
        *(() if grown.trial else ("In the traced requests the pages furthest behind took several times as long.",)),
        "A request to {endpoint} takes {request} as traced.",
    )


def _hypothesis(scene: Scene, seen: statements.Seen, grown: _Growth, part: float, sure: float) -> Hypothesis:
    kind = flavour(scene.root, seen.group.site.place, seen.group.spans[0].stack)
    return Hypothesis(
        id=f"{ID}-key",
        change=f"paging by the last key at {code(str(seen.group.site.place))}",
        metric="latency",
        improvement=round(part, 3),
        because="by an index in its order each page begins where the one before ended, and none reads what it skips",
        kind="code",
        recipe=BY_KEY[kind]
        + "\n\nThe order must end with a unique column, or rows with equal values are shown twice or never.",
        scores=scores(part, sure, effort=3, risk=3, reversibility=5),
        alternatives=("a bound on the offset that is allowed", "the keys of the page first, then its rows by key"),
        trade_offs="Pages are reached one after the other, not by their number: whoever calls the endpoint must hand "
        "the last key back.",
        rollback="Accept the old parameter again; no data changes.",
    )
