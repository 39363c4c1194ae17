"""How large a pool should be: what was measured of its need, in words and as arithmetic, and what bounds it."""

from __future__ import annotations

import math

from perfcrew.core.pooling import ConnectionNeed
from perfcrew.core.prose import Cited, Prose, join
from perfcrew.core.scene import Scene, Seen
from perfcrew.core.units import show
from perfcrew.rules.write import code, sentences

GENERAL = (
    "Size: requests a second times the seconds that each holds a connection, and room for bursts; all processes "
    "together stay below the server's `max_connections` less those kept for administration. On Cloud Run: instances "
    "times pool."
)


def pool_size(scene: Scene) -> int | None:
    """What each process's pool should hold; None where it can't be said."""
    return scene.need.body.pool_count if scene.need else None


def need_told(scene: Scene, prose: Prose) -> tuple[Prose, str | None]:
    """The text with what is needed and allowed, and the id of the evidence for it."""
    if scene.need is None or scene.need.body.busy_count is None:
        return prose, None
    return join([prose, _said(scene.need)]), scene.need.evidence


def _said(seen: Seen[ConnectionNeed]) -> Prose:
    body = seen.body
    names = ("busy", "needed", "bound", "pool", "workers", "usable", "reserved")
    fields = {name: f"{name}_count" for name in names} | {"most": "max_connections_count"}
    fields |= {"rate": "rate_per_s", "held": "held_ms"}
    values: dict[str, Cited | str | None] = {
        name: None if getattr(body, field) is None else seen.cite(field) for name, field in fields.items()
    }
    return sentences({**values, "said": code(body.workers_said)}, *_templates(body))


def _templates(body: ConnectionNeed) -> list[str]:
    """Sentences of which those without their numbers are left out."""
    peak = "At {rate}, assumed for want of a named peak" if body.assumed_rate else "At the peak of {rate}"
    told = [
        f"{peak}, each request holding a connection for {{held}} (the mean over the mix, as traced), {{busy}} are in "
        "use by Little's law; {needed} are enough for bursts too, of all processes together.",
        "The server that was measured on gives {usable} to this login: it has {most} in all and keeps {reserved} back.",
        "Production's may differ." if body.usable_count is not None else "What the server allows could not be read.",
    ]
    if body.workers_count is None:
        return [*told, "How many processes serve is not known."]
    told.append("Its deployment asks for {workers} processes ({said}): a pool of {pool} for each.")
    if body.bound_count == 0:
        return [*told, "The server has not even one for each."]
    return [*told, "Each could have {bound} at most."]


def arithmetic(scene: Scene) -> str:
    """The same as sums, for a recipe; the rule of thumb where there are no figures."""
    body = scene.need.body if scene.need else None
    if body is None or body.busy_count is None or body.rate_per_s is None or body.held_ms is None:
        return GENERAL
    return "Size:\n\n" + "\n".join(f"- {line}" for line in (*_need(body), *_bounds(body)))


def _need(body: ConnectionNeed) -> list[str]:
    busy, rate, held = body.busy_count or 0.0, show(body.rate_per_s or 0.0, "1/s"), show(body.held_ms or 0.0, "ms")
    whole = busy + 2 * math.sqrt(busy)
    return [
        f"in use: {rate} × {held} = {busy:.3g}" + (" (the rate is assumed)" if body.assumed_rate else ""),
        f"with room for bursts: {busy:.3g} + 2 × √{busy:.3g} = {whole:.3g}, so {body.needed_count} in all",
    ]


def _bounds(body: ConnectionNeed) -> list[str]:
    said = [
        f"the server gives {body.usable_count} (`max_connections` {body.max_connections_count}, "
        f"{body.reserved_count or 0} kept for administrators)"
        if body.usable_count is not None
        else f"what the server gives is not known: {body.refused or 'it was not asked'}"
    ]
    if body.workers_count is None:
        return [*said, f"processes: not known, so a pool of {body.pool_count} is for one; divide by them"]
    bound = f", {body.usable_count} / {body.workers_count} = {body.bound_count} at most" if body.bound_count else ""
    part = (body.busy_count or 0.0) / body.workers_count
    each = (
        f"each of {body.workers_count} processes ({body.workers_said}) has its part and its own bursts: {part:.3g} + "
        f"2 × √{part:.3g} = {part + 2 * math.sqrt(part):.3g}{bound}, so a pool of {body.pool_count}"
    )
    several = f"; one request holds {body.at_once_count} at the same time" if body.at_once_count > 1 else ""
    proxy = "more are needed than the server gives: put a proxy (PgBouncer) between, or hold them for a shorter time"
    wanting = body.usable_count is not None and (body.needed_count or 0) > body.usable_count
    return [*said, each + several, *([proxy] if wanting else [])]
