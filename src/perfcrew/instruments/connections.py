"""How requests use their connections and transactions: medians over the warm requests, and many copies sent at once."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Protocol

from perfcrew.core import connections as core
from perfcrew.core.evidence import Connections, Crowd, HeldTransaction
from perfcrew.core.repeats import digest_of, shape_of
from perfcrew.core.trace import Span, Trace
from perfcrew.core.web import Request
from perfcrew.instruments.places import place
from perfcrew.instruments.probe_records import OneTrace, Records
from perfcrew.target.client import Answer

COPIES = 20
"""More than SQLAlchemy's default pool gives out (5, and 10 over)."""
LONGEST_MS = 1000.0
"""Slower requests are not sent at once: twenty of them on one core take their time."""
_WAIT_S = 5.0
_MOST_TRANSACTIONS = 10
_NO_ROOT = Path("/dev/null")


class Sends(Protocol):
    """The client of a started target."""

    async def send(self, request: Request, *, trace: str | None = None) -> Answer: ...


def connections(traces: Sequence[Trace]) -> Connections | None:
    """None where no database was used. Opening a SQLite file is no connection."""
    served = _warm(traces)
    if not any(s.kind == "database" for t in served for s in t.spans):
        return None

    def over(value: Callable[[Trace], float]) -> float:
        return float(median(value(t) for t in served))

    checkouts = [s for t in served for s in core.named(t, "CHECKOUT")]
    return Connections(
        connects_count=over(lambda t: len(_opened(t))),
        connect_ms=over(lambda t: sum(s.duration_ms for s in _opened(t))),
        checkouts_count=over(lambda t: len(core.named(t, "CHECKOUT"))),
        wait_ms=over(core.pool_wait_ms),
        at_once_count=over(core.at_once),
        held_ms=over(core.held_ms),
        commits_count=over(lambda t: len(core.named(t, "COMMIT"))),
        pool_size_count=_told(checkouts, "perfcrew.db.pool_size"),
        pool_overflow_count=_told(checkouts, "perfcrew.db.pool_overflow"),
    )


def _warm(traces: Sequence[Trace]) -> list[Trace]:
    served = [t for t in traces if t.server]
    return [t for t in served if t.repeat > 0] or served


def _opened(trace: Trace) -> list[Span]:
    return [s for s in core.named(trace, "CONNECT") if s.attributes.get("db.system.name") != "sqlite"]


def _told(spans: Sequence[Span], name: str) -> float | None:
    """The smallest pool's; a negative overflow has no bound."""
    values = [float(s.attributes[name]) for s in spans if isinstance(s.attributes.get(name), int)]
    return min((v for v in values if v >= 0), default=None)


def transactions(traces: Sequence[Trace], root: Path | None = None) -> tuple[HeldTransaction, ...]:
    """By the line and the shape of the statement that begins them, those held longest first, relative to root."""
    found: dict[tuple[str, str, int], list[core.Held]] = {}
    for trace in _warm(traces):
        longest: dict[tuple[str, str, int], core.Held] = {}
        for held in core.transactions(trace):
            key = _key(held)
            if key not in longest or held.held_ms > longest[key].held_ms:
                longest[key] = held
        for key, held in longest.items():
            found.setdefault(key, []).append(held)
    every = [_over(key, ones, root) for key, ones in found.items()]
    return tuple(sorted(every, key=lambda h: -h.held_ms)[:_MOST_TRANSACTIONS])


def _key(held: core.Held) -> tuple[str, str, int]:
    """A BEGIN is the same whoever sends it: the first statement with a text tells transactions apart."""
    first = next((s for s in held.spans if core.text(s)), held.first)
    at = first.stack[0] if first.stack else None
    return digest_of(shape_of(first)), at.file if at else "", at.line if at else 0


def _over(key: tuple[str, str, int], ones: Sequence[core.Held], root: Path | None) -> HeldTransaction:
    example = max(ones, key=lambda h: h.held_ms)
    first = next((s for s in example.spans if core.text(s)), example.first)
    return HeldTransaction(
        digest=key[0],
        place=place(first.stack[0], root or _NO_ROOT) if first.stack else None,
        requests_count=len(ones),
        held_ms=median(h.held_ms for h in ones),
        statements_ms=median(h.busy_ms(h.spans) for h in ones),
        calls_ms=median(h.calls_ms for h in ones),
        calls_count=median(len(h.calls) for h in ones),
        idle_ms=median(h.idle_ms for h in ones),
        writes_count=median(h.writes for h in ones),
        ended=all(h.ended for h in ones),
    )


async def run_crowd(
    client: Sends, request: Request, probe_dir: Path, *, copies: int = COPIES, wait_s: float = _WAIT_S
) -> Crowd | None:
    """Send copies of one request at the same moment, and see what they wait for; None where their spans did not come.

    Traced, so its times are for the shares of waiting, not for latency.
    """
    sent = [secrets.token_hex(16) for _ in range(copies)]
    records = Records(probe_dir, set(sent), beyond=True)
    answers = await asyncio.gather(*(client.send(request, trace=trace) for trace in sent))
    await records.wait(lambda: all(map(records.served, sent)), wait_s)
    seen = [_trace(trace, records.traces[trace]) for trace in sent if records.served(trace)]
    if 2 * len(seen) < copies:
        return None
    waits = [core.pool_wait_ms(t) for t in seen]
    return Crowd(
        copies_count=copies,
        answered_count=sum(a.error is None and 200 <= a.status < 400 for a in answers),
        wait_ms=median(waits),
        wait_max_ms=max(waits),
        request_ms=median(t.server.duration_ms for t in seen if t.server),
        connects_count=sum(len(_opened(t)) for t in seen),
    )


def _trace(trace: str, one: OneTrace) -> Trace:
    return Trace(id=trace, request=0, server=one.server, spans=tuple(one.spans))
