"""How sure it is that repeats of one statement come once a row: whether their number grows with the data."""

from __future__ import annotations

from perfcrew.core.scene import Scene
from perfcrew.rules import statements
from perfcrew.rules.limits import Limits
from perfcrew.rules.statements import Seen
from perfcrew.rules.write import grows

_GROWTH = 1.3
"""Times as many at the largest size as at the smallest, from which they grow."""


def growing(scene: Scene, seen: Seen) -> bool | None:
    """Whether the repeats grow with the data; None where only one size was seen."""
    if grows(scene, "db.statements") in ("linear", "quadratic"):
        return True
    points = statements.by_size(scene, seen.group)
    if len(points) < 2:
        return None if grows(scene, "db.statements") in (None, "unclear") else False
    return points[-1][1].repeats > points[0][1].repeats * _GROWTH


def confidence(seen: Seen, growing: bool | None, limits: Limits) -> float:
    """More where the number grows or is high, less where it stays the same and is low, or no line is known."""
    many = seen.repeats >= limits.sure_repeats
    sure = 0.7 + (0.2 if growing else 0.0) + (0.08 if many else 0.0)
    return sure - (0.2 if growing is False and not many else 0.0) - (0.0 if seen.group.spans[0].stack else 0.2)


def in_batches(seen: Seen) -> bool:
    """Whether each of them carries many rows already."""
    return any((s.attributes.get("perfcrew.db.executemany") or 0) > 1 for s in seen.group.spans)
