"""Puts findings together: one way for all rules, so that none forgets its evidence."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from perfcrew.core.findings import Finding, Hypothesis, Level, Share
from perfcrew.core.prose import Cited, Prose, join, write
from perfcrew.core.scene import Scene, Traced
from perfcrew.rules.costs import share_cited
from perfcrew.rules.places import Site

_SLOT = re.compile(r"\{(\w+)\}")


class Case(NamedTuple):
    """What a rule concluded: goes into a finding as it is."""

    title: str
    level: Level
    site: Site
    share: Share
    confidence: float
    subject: str


def finding(
    rule: str,
    endpoint: str | None,
    case: Case,
    prose: Prose,
    evidence: Iterable[str | None],
    hypotheses: Iterable[Hypothesis],
) -> Finding:
    """The finding, its evidence without repeats."""
    return Finding(
        rule=rule,
        title=case.title,
        level=case.level,
        endpoint=endpoint,
        place=case.site.place,
        trigger=case.site.trigger,
        prose=prose,
        evidence=tuple(dict.fromkeys(e for e in evidence if e)),
        share=case.share,
        confidence=round(max(0.0, min(1.0, case.confidence)), 2),
        subject=case.subject,
        hypotheses=tuple(hypotheses),
    )


def code(text: str) -> str:
    """Text of the target as inline code: it is data, and its numerals are names."""
    return f"`{' '.join(text.replace('`', chr(39)).split())}`"


def sentences(values: Mapping[str, Cited | str | None], *templates: str) -> Prose:
    """Sentences joined. One with a slot whose value is None is left out: it is about something that was not measured.

    Raises KeyError for a slot that `values` does not name.
    """
    measured = [t for t in templates if all(values[slot] is not None for slot in _SLOT.findall(t))]
    known = {name: value for name, value in values.items() if value is not None}
    return join([write(template, known) for template in measured])


def traced_values(scene: Scene, traced: Traced, cold: bool = False) -> dict[str, Cited | str | None]:
    """The slots that every text on a traced request may use: counts and times of its evidence."""
    seen, at = traced.seen, "cold" if cold and traced.seen.body.cold else "counts"
    return {
        "endpoint": code(scene.endpoint.key),
        "statements": seen.cite(f"{at}.statements_count"),
        "rows": seen.cite(f"{at}.rows"),
        "calls": seen.cite(f"{at}.http_count"),
        "spent": seen.cite(f"{at}.statements_ms"),
        "request": seen.cite(f"{at}.request_ms"),
        "share": share_cited(seen, f"{at}.statements_ms", f"{at}.request_ms"),
    }


def growth(scene: Scene, metric: str) -> tuple[Prose, str | None]:
    """How a metric grew over the sizes that were probed, with the evidence's id; nothing where it was not probed."""
    scaled = scene.scaled(metric)
    if scaled is None or len(scaled.body.sizes) < 2:
        return Prose(text=""), None
    last = len(scaled.body.sizes) - 1
    words = {"db.statements": "number of statements", "db.rows": "result", "response.bytes": "answer"}
    by = "the table's size" if scaled.body.by == "rows" else "the page size"
    prose = write(
        "With {by} going from {small} to {large}, the {what} went from {low} to {high}: {growth} growth.",
        by=by,
        small=scaled.cite("sizes.0"),
        large=scaled.cite(f"sizes.{last}"),
        what=words.get(metric, metric),
        low=scaled.cite("values.0"),
        high=scaled.cite(f"values.{last}"),
        growth=scaled.body.growth,
    )
    return prose, scaled.evidence


def grows(scene: Scene, metric: str) -> str | None:
    """The growth of a metric, None where it was not probed."""
    scaled = scene.scaled(metric)
    return scaled.body.growth if scaled else None
