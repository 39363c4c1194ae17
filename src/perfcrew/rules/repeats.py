"""How often a shape repeats within a request and the time of its own, as the evidence of the traces has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from perfcrew.core.evidence import TraceGroup
from perfcrew.core.prose import Cited
from perfcrew.core.repeats import digest_of, shape_of
from perfcrew.core.scene import Scene, Traced
from perfcrew.core.trace import Span
from perfcrew.rules.costs import share_cited
from perfcrew.rules.places import place

Values = Mapping[str, Cited | str | None]
_NONE: Values = {"repeats": None, "different": None, "sets": None, "own": None, "own_share": None}


def values(scene: Scene, traced: Traced, spans: Sequence[Span], cold: bool = False) -> Values:
    """Slots for a text on these operations of one request: `repeats`, `different`, `own` and `own_share`.

    All None where the evidence keeps no group of them, or where they come from several lines: medians don't add up.
    """
    keys = {_key(scene, span) for span in spans}
    body = traced.seen.body
    at = [n for n, group in enumerate(body.groups) if group.cold is cold and _key_of(group) in keys]
    if len(keys) != 1 or len(at) != 1:
        return _NONE
    path, whole = f"groups.{at[0]}", "cold.request_ms" if cold and body.cold else "counts.request_ms"
    return {
        "repeats": traced.seen.cite(f"{path}.repeats_count"),
        "different": traced.seen.cite(f"{path}.parameters_count"),
        "sets": "set" if body.groups[at[0]].parameters_count == 1 else "sets",
        "own": traced.seen.cite(f"{path}.total_ms"),
        "own_share": share_cited(traced.seen, f"{path}.total_ms", whole),
    }


def values_of_all(scene: Scene, traced: Traced, spans: Sequence[Span]) -> Values:
    """As `values`, but None too where their request holds more of the same: a client's line serves many callers."""
    request = next(t for t in traced.traces if any(s is spans[0] for s in t.spans))
    same = [s for s in request.of(spans[0].kind) if _key(scene, s) == _key(scene, spans[0])]
    return values(scene, traced, spans) if len(same) == len(spans) else _NONE


def _key(scene: Scene, span: Span) -> tuple[str, str, int]:
    at = place(scene.root, span.stack[0]) if span.stack else None
    return digest_of(shape_of(span)), at.file if at else "", at.line if at else 0


def _key_of(group: TraceGroup) -> tuple[str, str, int]:
    return group.digest, group.place.file if group.place else "", group.place.line if group.place else 0
