"""DB112: pages by the last key are not written by rule: the endpoint's own parameters change with them.

Who calls it must hand back the last key rather than a number, and only its developers can change both sides at once.
"""

from __future__ import annotations

from perfcrew.core.patches import Declined, Fix
from perfcrew.core.sql import parse
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.outcomes import declined

_PARAMETERS = (
    "whoever calls the endpoint asks for a page by its number, and would have to hand back the last key instead: both "
    "sides change at once, which is for a developer to do, by the recipe"
)
_NO_ORDER = (
    "the statement has no ORDER BY, so what a page holds is up to the engine: give it an order that ends with a unique "
    "column first, then page by its keys"
)


def fix(case: Case) -> list[Fix | Declined]:
    """Why there is no change, by what the statement lacks."""
    return [declined(case, "key", _reason(case.finding.subject))]


def _reason(statement: str) -> str:
    from sqlglot import exp

    tree = parse(statement)
    if not isinstance(tree, exp.Select):
        return _PARAMETERS
    order = tree.args.get("order")
    if order is None:
        return _NO_ORDER
    if any(not isinstance(o.this, exp.Column) for o in order.expressions):
        return (
            f"the order is by an expression, which a key of the page before can't be compared with; and {_PARAMETERS}"
        )
    if len({bool(o.args.get("desc")) for o in order.expressions}) > 1:
        return f"the order goes up and down, which one comparison of rows can't follow; and {_PARAMETERS}"
    return _PARAMETERS
