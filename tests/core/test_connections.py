"""How long a request holds connections, from its spans."""

from __future__ import annotations

import pytest

from perfcrew.core.connections import held_ms
from perfcrew.core.trace import Span, Trace

MS = 1_000_000


def span(name: str, start: float, end: float, **more: object) -> Span:
    attributes = {"db.operation.name": name, **more} if name.isupper() else {"db.query.text": name}
    return Span(
        trace="t", span=f"{name}{start}", kind="database", name=name, start_ns=int(start * MS), end_ns=int(end * MS),
        attributes=attributes,  # type: ignore[arg-type]
    )  # fmt: skip


HELD = {
    "no database": ((), 0),
    "from the pool until it has it back": ((("CHECKOUT", 5, 8), ("select 1", 8, 9), ("CHECKIN", 30, 31)), 22),
    "waiting for the pool is not holding": ((("CHECKOUT", 0, 60), ("CHECKIN", 70, 71)), 10),
    "never given back: until the request's end": ((("CHECKOUT", 5, 10), ("select 1", 10, 11)), 90),
    "one after the other": ((("CHECKOUT", 0, 1), ("CHECKIN", 11, 12), ("CHECKOUT", 50, 51), ("CHECKIN", 61, 62)), 20),
    "two at once are added up": (
        (("CHECKOUT", 0, 1), ("CHECKOUT", 2, 3), ("CHECKIN", 11, 12), ("CHECKIN", 13, 14)), 20
    ),
    "without a pool, from the first operation": ((("CONNECT", 20, 28), ("select 1", 28, 30)), 80),
    "given back without being taken": ((("CHECKIN", 1, 2), ("CHECKOUT", 3, 4), ("CHECKIN", 14, 15)), 10),
}  # fmt: skip


@pytest.mark.parametrize("name", HELD)
def test_held(name: str) -> None:
    spans, expected = HELD[name]
    server = Span(trace="t", span="s", kind="server", name="GET", start_ns=0, end_ns=100 * MS)
    trace = Trace(id="t", request=0, server=server, spans=tuple(span(*one) for one in spans))
    assert held_ms(trace) == pytest.approx(expected)


def test_one_that_the_pool_did_not_give_is_not_held() -> None:
    refused = span("CHECKOUT", 0, 30, **{"error.type": "TimeoutError"})
    given = span("CHECKOUT", 40, 41)
    server = Span(trace="t", span="s", kind="server", name="GET", start_ns=0, end_ns=100 * MS)
    assert held_ms(Trace(id="t", request=0, server=server, spans=(refused, given))) == pytest.approx(59)
