"""Which values that stand in a statement's own text may become part of an index: those that no request brought.

An application that writes its values into the text looks the same as one whose conditions are fixed. So a value counts
as the program's only where executions whose texts differ all have it, and it is a word or a small number; what lies
within an expression, only where it says how, not what: a time zone, a language, a document's key, a place, a length.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from perfcrew.core.sql import parse

if TYPE_CHECKING:
    from sqlglot import exp

MOST_TEXTS = 50
_WORD = re.compile(r"[A-Za-z]+(?:[_-][A-Za-z]+)*")
_KEY = re.compile(r"[A-Za-z_]+")
_LONGEST = 24
_MOST_DIGITS = 2
_LANGUAGES = ("to_tsvector",)


def agreed(texts: Iterable[str], dialect: str) -> frozenset[str]:
    """The comparisons with a word or a small number that all of several differing texts have, as SQL; comments don't
    make a difference. None of them where all texts are the same."""
    trees = (parse(text, dialect) for text in list(dict.fromkeys(texts))[:MOST_TEXTS])
    found = {str(tree.sql(dialect=dialect, comments=False)): tree for tree in trees if tree is not None}
    if len(found) < 2:
        return frozenset()
    first, *others = (_compared(tree, dialect) for tree in found.values())
    return first.intersection(*others)


def is_agreed(comparison: exp.Expr, agreed: frozenset[str], dialect: str) -> bool:
    """Whether it is one of those."""
    return str(comparison.sql(dialect=dialect, comments=False)) in agreed


def _compared(tree: exp.Expr, dialect: str) -> frozenset[str]:
    from sqlglot import exp

    alike = (node for node in tree.find_all(exp.EQ) if _is_name(node.expression.unnest()))
    return frozenset(str(node.sql(dialect=dialect, comments=False)) for node in alike)


def _is_name(node: exp.Expr) -> bool:
    """A word such as `open`, or a number such as 3: no address, no id, no date."""
    from sqlglot import exp

    if not isinstance(node, exp.Literal):
        return False
    if not node.is_string:
        return node.name.isdigit() and len(node.name) <= _MOST_DIGITS
    return len(node.name) <= _LONGEST and bool(_WORD.fullmatch(node.name))


def says_how(expression: exp.Expr) -> bool:
    """Whether all values within an expression over a column say how it is computed."""
    from sqlglot import exp

    keys = [key for path in expression.find_all(exp.JSONPathKey) if isinstance(key := path.this, str)]
    return all(map(_KEY.fullmatch, keys)) and all(_is_manner(one) for one in expression.find_all(exp.Literal))


def _is_manner(value: exp.Literal) -> bool:
    from sqlglot import exp

    above = value.parent
    if isinstance(above, exp.DataTypeParam):
        return True
    if not value.is_string:
        return isinstance(above, exp.Func) and not isinstance(above, exp.Coalesce) and _is_name(value)
    if isinstance(above, (exp.AtTimeZone, exp.TimestampTrunc)):
        return True
    return isinstance(above, exp.Anonymous) and above.name.lower() in _LANGUAGES and _is_name(value)
