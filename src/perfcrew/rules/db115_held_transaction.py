"""DB115: a transaction that is held open while the request does something else.

What it costs: the connection is taken for as long, rows that were written stay locked for everyone, and the database
can't clean up what is newer than the transaction's view.
Seen as: between the first statement and the commit or rollback of one connection the request waits for HTTP or model
calls for at least `calls_ms`, or neither sends a statement nor waits for a call for `idle_ms` (it computes, or
sleeps), and both together are at least `min_share` of the time that the transaction is held. Low where it only
read, locked nothing and no call is waited for: a session for each request, and the answer is made while it is open.
Not this: statements that are committed by themselves (autocommit), a transaction whose time is its statements' own,
calls before it begins or after it ends, a few ms between two statements.
Instead: read what is needed, commit, then make the call; write in a second, short transaction. Where one must follow
the other, keep the call's request in a table (an outbox) and send it after the commit.
Confidence: 0.9 where calls lie within it, 0.8 where it is only idle.
Limits: what the request waits for besides calls (a queue, a lock, a file) is not told from computing. A transaction
that ends by a way that leaves no span counts up to its last statement.
"""

from __future__ import annotations

from perfcrew.core import connections
from perfcrew.core.connections import Held
from perfcrew.core.evidence import HeldTransaction
from perfcrew.core.findings import Finding, Hypothesis, Share
from perfcrew.core.prose import Cited, Prose
from perfcrew.core.repeats import digest_of, shape_of
from perfcrew.core.scene import Scene, Traced
from perfcrew.core.sql import binds
from perfcrew.core.trace import Span
from perfcrew.rules import statements
from perfcrew.rules.costs import fraction, level, observed, raised, scores, typical
from perfcrew.rules.limits import Limits
from perfcrew.rules.places import Site, place, site
from perfcrew.rules.recipes import SHORT, flavour
from perfcrew.rules.write import Case, code, finding, sentences, traced_values

ID = "DB115"


def recognise(scene: Scene, limits: Limits) -> list[Finding]:
    """One finding a line that begins such a transaction."""
    traced = observed(scene)
    if traced is None:
        return []
    found = []
    for number, held in enumerate(traced.seen.body.transactions):
        example = _example(scene, traced, held) if _is_held(traced, held, limits) else None
        if example:
            found.append(_finding(scene, traced, number, held, example, limits))
    return found


def _is_held(traced: Traced, held: HeldTransaction, limits: Limits) -> bool:
    aside = held.calls_ms + held.idle_ms
    usual = held.requests_count >= len(typical(traced)) * limits.traces_share
    long = held.calls_ms >= limits.calls_ms or held.idle_ms >= limits.idle_ms
    return usual and long and fraction(aside, held.held_ms) >= limits.min_share


def _example(scene: Scene, traced: Traced, held: HeldTransaction) -> Held | None:
    """The one of the traced transactions that the evidence's group is about, held longest."""
    same = []
    for one in (h for trace in typical(traced) for h in connections.transactions(trace)):
        first = _first(one)
        at = place(scene.root, first.stack[0]) if first.stack else None
        known = (held.place.file, held.place.line) if held.place else None
        if digest_of(shape_of(first)) == held.digest and known == ((at.file, at.line) if at else None):
            same.append(one)
    return max(same, key=lambda h: h.held_ms, default=None)


def _first(held: Held) -> Span:
    return next((s for s in held.spans if connections.text(s)), held.first)


def _finding(
    scene: Scene, traced: Traced, number: int, held: HeldTransaction, example: Held, limits: Limits
) -> Finding:
    first = _first(example)
    where = site(scene.root, first.stack, scene.endpoint.handler) or Site(
        scene.endpoint.handler or place(scene.root, first.stack[0]), None
    )
    aside = held.calls_ms + held.idle_ms
    part = fraction(aside, held.held_ms)
    share = Share(
        fraction=round(part, 4), of="neighbours", basis="time without a statement over the time that it is held"
    )
    called = held.calls_ms >= limits.calls_ms
    keeps = bool(held.writes_count) or any(binds(connections.text(s)) for s in example.spans)
    at = raised(level(part, aside, limits), 1 if held.writes_count else 0) if called or keeps else "low"
    what = "calls" if called else "other work"
    title = f"A transaction is held across {what} in {code(where.place.function or where.place.file)}"
    shape = shape_of(first)
    case = Case(title, at, where, share, 0.9 if called else 0.8, shape)
    prose = _prose(scene, traced, number, held, example, where)
    hypotheses = [_hypothesis(scene, where, part, called)]
    return finding(ID, scene.endpoint.key, case, prose, [traced.seen.evidence], hypotheses)


def _prose(scene: Scene, traced: Traced, number: int, held: HeldTransaction, example: Held, where: Site) -> Prose:
    seen, at = traced.seen, f"transactions.{number}"
    call = next((site(scene.root, s.stack) for s in example.calls if s.stack), None)
    values: dict[str, Cited | str | None] = {
        **traced_values(scene, traced),
        "line": code(str(where.place)),
        "shape": statements.brief(shape_of(_first(example))),
        "held": seen.cite(f"{at}.held_ms"),
        "spent_in_it": seen.cite(f"{at}.statements_ms"),
        "outgoing": seen.cite(f"{at}.calls_count") if held.calls_count else None,
        "waited": seen.cite(f"{at}.calls_ms") if held.calls_count else None,
        "where": code(str(call.place)) if call else None,
        "idle": seen.cite(f"{at}.idle_ms"),
        "writes": seen.cite(f"{at}.writes_count") if held.writes_count else None,
    }
    return sentences(
        values,
        "{line} begins a transaction with {shape}.",
        "It is held for {held}, of which its statements take {spent_in_it}.",
        "Within it the request waits {waited} for {outgoing} outgoing "
        + ("call." if held.calls_count == 1 else "calls."),
        "One of them is made at {where}.",
        "For {idle} it is idle.",
        "By then it has written, with {writes} statements: what they wrote stays locked." if held.writes_count else "",
        "" if held.ended else "The request ended before the transaction did.",
        "A request to {endpoint} takes {request} as traced.",
    )


def _hypothesis(scene: Scene, where: Site, part: float, called: bool) -> Hypothesis:
    return Hypothesis(
        id=f"{ID}-short",
        change=f"a transaction that ends before the {'calls are made' if called else 'other work'}",
        metric="latency",
        improvement=None,
        because="connection and locks are free meanwhile; how much less others wait depends on how many come at once",
        kind="code",
        recipe=SHORT[flavour(scene.root, where.place)],
        scores=scores(part, 0.9 if called else 0.8, effort=3, risk=2, reversibility=5),
        alternatives=("an outbox table, sent after the commit", "`idle_in_transaction_session_timeout` as a bound"),
        trade_offs="What was read may have changed by the time of the write: compare a version, or read again `FOR "
        "UPDATE`. A failure between the two transactions leaves the first one's work.",
        rollback="Revert the commit; no data changes.",
    )
