"""Which of two findings speaks where both saw the same fault, so that one fault is reported once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from perfcrew.core.findings import Finding
from perfcrew.core.web import Place

Same = Literal["statement", "place", "endpoint"]


class Order(NamedTuple):
    """`first` silences `later` at the same endpoint where both are about the `same` thing."""

    first: str
    later: str
    same: Same


ORDERS: tuple[Order, ...] = (
    # Repeats before what the repeats add up to.
    Order("DB101", "DB102", "statement"),
    Order("DB101", "DB104", "statement"),
    Order("DB101", "DB105", "statement"),
    Order("DB101", "DB106", "statement"),
    Order("DB101", "CA201", "statement"),
    Order("DB102", "DB104", "statement"),
    Order("DB110", "DB104", "statement"),
    Order("DB102", "CA201", "statement"),
    # An index mends what would otherwise look slow, or worth keeping.
    Order("DB103", "DB104", "statement"),
    Order("DB103", "CA201", "statement"),
    Order("DB109", "DB104", "statement"),
    Order("DB109", "CA201", "statement"),
    # A large answer is one finding; that nobody can ask by anything whether it changed is a hypothesis of it.
    Order("HT403", "HT404", "statement"),
    # A result without a bound is slow, over-fetched and large for one reason.
    Order("DB105", "DB104", "statement"),
    Order("DB105", "DB106", "place"),
    Order("DB105", "CA201", "statement"),
    Order("DB105", "HT403", "endpoint"),
    Order("DB106", "DB104", "place"),
    Order("DB106", "CA201", "place"),
    # A hidden column says why no index serves; a plain index would not.
    Order("DB114", "DB103", "statement"),
    Order("DB114", "DB113", "statement"),
    Order("DB114", "DB104", "statement"),
    Order("DB114", "CA201", "statement"),
    Order("DB103", "DB112", "statement"),
    Order("DB112", "DB104", "statement"),
    # A count beside a page is mended by not counting, or by the index that it lacks.
    Order("DB103", "DB113", "statement"),
    Order("DB113", "DB104", "statement"),
    Order("DB113", "CA201", "statement"),
    # Keeping an answer that never changes is cheaper than making its statement fast.
    Order("CA201", "DB104", "statement"),
    # A cache that misses must hit before its cost means anything; growth that was measured comes before what is read.
    Order("CA202", "CA209", "place"),
    Order("CA204", "CA209", "place"),
    Order("RT304", "CA206", "place"),
    # Calls: one a row, then sequential ones; what is proven before what is likely.
    Order("HT401", "HT402", "place"),
    Order("HT401", "RT302", "place"),
    Order("HT401", "RT301", "place"),
    Order("RT302", "HT402", "place"),
    Order("RT301", "HT402", "place"),
    # Awaits on connections of their own can be gathered as they are; one session's can't.
    Order("RT302", "DB107", "place"),
    # A loop that waits is not a loop that computes.
    Order("RT301", "RT303", "place"),
    Order("DB101", "RT303", "place"),
    Order("DB110", "RT303", "place"),
)


def settle(findings: Iterable[Finding]) -> list[Finding]:
    """Without those that another one silences. A silenced finding silences nothing itself."""
    left = list(findings)
    for order in ORDERS:
        firsts = [f for f in left if f.rule == order.first]
        left = [f for f in left if f.rule != order.later or not any(_same(order.same, first, f) for first in firsts)]
    return left


def _same(same: Same, first: Finding, later: Finding) -> bool:
    if first.endpoint != later.endpoint:
        return False
    if same == "statement":
        return first.subject == later.subject
    return same == "endpoint" or bool(_lines(first) & _lines(later))


def _lines(finding: Finding) -> set[tuple[str, str]]:
    """By function: two rules may name different lines of one fault."""
    places: list[Place | None] = [finding.place, finding.trigger]
    return {(p.file, p.function or str(p.line)) for p in places if p}
