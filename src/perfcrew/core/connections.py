"""What a request did with its connections, from its spans: how long it waited, what it held, in which transaction.

The probe writes CONNECT, CHECKOUT, CHECKIN, COMMIT and ROLLBACK as operations without a text; a statement after which
its connection is within a transaction says so in `perfcrew.db.in_transaction`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from perfcrew.core.sql import is_read
from perfcrew.core.trace import Span, Trace

LEAST_WAIT_MS = 1.0
_ENDS = frozenset({"COMMIT", "ROLLBACK", "END", "ABORT", "CHECKIN"})
_OPERATIONS = frozenset({"CONNECT", "CHECKOUT", "CHECKIN", "COMMIT", "ROLLBACK", "BEGIN"})


class Held(NamedTuple):
    """One transaction of one connection: its spans, and its time in ns from its begin to its end, or the request's."""

    spans: tuple[Span, ...]
    start_ns: int
    end_ns: int
    ended: bool
    """Whether its end was seen within the request."""
    calls: tuple[Span, ...]
    """HTTP and model calls that were waited for meanwhile."""
    others: tuple[Span, ...]
    """Statements of other connections and cache commands, likewise."""

    @property
    def first(self) -> Span:
        return self.spans[0]

    @property
    def held_ms(self) -> float:
        return (self.end_ns - self.start_ns) / 1e6

    @property
    def calls_ms(self) -> float:
        return self.busy_ms(self.calls)

    @property
    def idle_ms(self) -> float:
        """Neither a statement nor a call was under way: the application computed, or waited for something else."""
        return max(0.0, self.held_ms - self.busy_ms((*self.spans, *self.calls, *self.others)))

    @property
    def writes(self) -> int:
        return sum(not is_read(text(s)) for s in self.spans if text(s))

    def busy_ms(self, spans: Iterable[Span]) -> float:
        """Time within the transaction in which at least one of them ran."""
        total, end = 0, self.start_ns
        for span in sorted(spans, key=lambda s: s.start_ns):
            begin, until = max(span.start_ns, end), min(span.end_ns, self.end_ns)
            total += max(0, until - begin)
            end = max(end, until)
        return total / 1e6


def text(span: Span) -> str:
    """The statement's text, "" for an operation."""
    return str(span.attributes.get("db.query.text") or "")


def named(trace: Trace, *names: str) -> list[Span]:
    """Operations and boundaries of those names, the framework's own too."""
    return [s for s in trace.spans if s.kind == "database" and s.attributes.get("db.operation.name") in names]


def waited_ms(trace: Trace, checkout: Span) -> float:
    """What of a checkout was waiting: without what was opened or asked of the server within it."""
    below = [s for s in trace.spans if s.parent == checkout.span]
    return max(0.0, checkout.duration_ms - sum(s.duration_ms for s in below))


def pool_wait_ms(trace: Trace) -> float:
    """All waiting for pools in the request, that of several tasks at once counted once.

    What is shorter than `LEAST_WAIT_MS` is the pool's own work, and the probe's.
    """
    waited = [(s, ms) for s in named(trace, "CHECKOUT") if (ms := waited_ms(trace, s)) >= LEAST_WAIT_MS]
    return min(sum(ms for _, ms in waited), covered_ms(s for s, _ in waited))


def covered_ms(spans: Iterable[Span]) -> float:
    """Time in which at least one of them was open."""
    total = end = 0
    for span in sorted(spans, key=lambda s: s.start_ns):
        total += max(0, span.end_ns - max(span.start_ns, end))
        end = max(end, span.end_ns)
    return total / 1e6


def at_once(trace: Trace) -> int:
    """The most connections that were held at the same time, as pools gave them out and took them back."""
    moves = [(s.end_ns, 1) for s in named(trace, "CHECKOUT") if not s.attributes.get("error.type")]
    moves += [(s.start_ns, -1) for s in named(trace, "CHECKIN")]
    most = held = 0
    for _, step in sorted(moves):
        held = max(0, held + step)
        most = max(most, held)
    return most


def held_ms(trace: Trace) -> float:
    """Time that connections were held, that of several at once added up: from a pool until it has them back, or until
    the request's end. Without a pool one is held from the first operation until the request's end."""
    spans = [s for s in trace.spans if s.kind == "database"]
    if not spans:
        return 0.0
    end = trace.server.end_ns if trace.server else max(s.end_ns for s in spans)
    taken = [s.end_ns for s in named(trace, "CHECKOUT") if not s.attributes.get("error.type")]
    if not taken:
        return (end - min(s.start_ns for s in spans)) / 1e6
    moves = sorted([*((at, 1) for at in taken), *((s.start_ns, -1) for s in named(trace, "CHECKIN"))])
    total = held = since = 0
    for at, step in [*moves, (max(end, moves[-1][0]), 0)]:
        total, since, held = total + held * (at - since), at, max(0, held + step)
    return total / 1e6


def transactions(trace: Trace) -> list[Held]:
    """The transactions of the request, in the order of their begin."""
    by_connection: dict[str, list[Span]] = {}
    for span in sorted(trace.spans, key=lambda s: s.start_ns):
        connection = span.attributes.get("perfcrew.db.connection")
        if span.kind == "database" and connection:
            by_connection.setdefault(str(connection), []).append(span)
    found = [held for spans in by_connection.values() for held in _of_one(trace, spans)]
    return sorted(found, key=lambda h: h.start_ns)


def _of_one(trace: Trace, spans: list[Span]) -> list[Held]:
    found: list[Held] = []
    under_way: list[Span] = []
    for span in spans:
        operation = str(span.attributes.get("db.operation.name") or "")
        if under_way and operation in _ENDS:
            closing = () if operation == "CHECKIN" else (span,)
            end = span.start_ns if operation == "CHECKIN" else span.end_ns
            found.append(_held(trace, (*under_way, *closing), end, ended=True))
            under_way = []
        elif span.attributes.get("perfcrew.db.in_transaction"):
            under_way.append(span)
        elif under_way and operation not in _OPERATIONS:
            # It was ended by a way that left no span: nothing is known of the time since the last statement.
            found.append(_held(trace, tuple(under_way), under_way[-1].end_ns, ended=True))
            under_way = []
    if under_way:
        end = max(trace.server.end_ns if trace.server else 0, under_way[-1].end_ns)
        found.append(_held(trace, tuple(under_way), end, ended=False))
    return found


def _held(trace: Trace, spans: tuple[Span, ...], end_ns: int, *, ended: bool) -> Held:
    start, own = spans[0].start_ns, {s.span for s in spans}
    meanwhile = [s for s in trace.spans if s.start_ns < end_ns and s.end_ns > start and s.span not in own]
    calls = tuple(s for s in meanwhile if s.kind in ("http", "model"))
    others = tuple(s for s in meanwhile if s.kind in ("database", "cache"))
    return Held(spans, start, end_ns, ended, calls, others)
