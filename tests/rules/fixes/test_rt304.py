"""Bounds for what grows, and containers that must not have one."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from .cases import At, proposed, reasons, same, variant


class Done(NamedTuple):
    """Source before, the line that keeps and its function, what grows, the variant, source after."""

    before: str
    at: At
    subject: str
    variant: str
    after: str


DONE = {
    "a dict": Done(
        """
        import re

        # By id.
        _kept: dict[str, Search] = {}  # for the next page


        def keep(search):
            _kept[search.id] = search
            return search


        def find(key):
            return _kept.get(key)
        """,
        At("_kept[search.id]", "keep"),
        "shop.app._kept",
        "OrderedDict",
        """
        import re
        from collections import OrderedDict

        # By id.
        _kept: OrderedDict[str, Search] = OrderedDict()  # for the next page
        _MAX_KEPT = 1000


        def keep(search):
            _kept[search.id] = search
            if len(_kept) > _MAX_KEPT:
                _kept.popitem(last=False)
            return search


        def find(key):
            return _kept.get(key)
        """,
    ),
    "a memo that reads what it just stored": Done(
        """
        RESULTS = dict()


        def result(key):
            if key not in RESULTS:
                RESULTS[key] = compute(key)
            return RESULTS[key]
        """,
        At("RESULTS[key] =", "result"),
        "",
        "OrderedDict",
        """
        from collections import OrderedDict

        RESULTS = dict()
        MAX_RESULTS = 1000


        def result(key):
            if key not in RESULTS:
                RESULTS[key] = compute(key)
                if len(RESULTS) > MAX_RESULTS:
                    RESULTS.popitem(last=False)
            return RESULTS[key]
        """.replace("RESULTS = dict()", "RESULTS = OrderedDict()"),
    ),
    "a list": Done(
        """
        from collections import Counter

        LAST: list[str] = []


        def note(path):
            LAST.append(path)


        def counts():
            return Counter(p for p in LAST), len(LAST)
        """,
        At("LAST.append", "note"),
        "shop.app.LAST",
        "deque",
        """
        from collections import Counter, deque

        LAST: deque[str] = deque(maxlen=1000)


        def note(path):
            LAST.append(path)


        def counts():
            return Counter(p for p in LAST), len(LAST)
        """,
    ),
    "functools.cache": Done(
        """
        from functools import cache, partial


        @cache
        def table(key):
            return partial(print, key)
        """,
        At("def table", "table"),
        "shop.app.table",
        "lru_cache",
        """
        from functools import lru_cache, partial


        @lru_cache(maxsize=1000)
        def table(key):
            return partial(print, key)
        """,
    ),
    "lru_cache without a bound": Done(
        """
        import functools


        @functools.lru_cache(maxsize=None)
        def table(key):
            return key
        """,
        At("def table", "table"),
        "shop.app.table",
        "lru_cache",
        """
        import functools


        @functools.lru_cache(maxsize=1000)
        def table(key):
            return key
        """,
    ),
}

REFUSED = {
    "read as if always there": (
        "KEPT = {}\n\n\ndef keep(k, v):\n    KEPT[k] = v\n\n\ndef find(k):\n    return KEPT[k]\n",
        At("KEPT[k] = v", "keep"),
        "in a way that a bound could break",
    ),
    "handed on": (
        "KEPT = {}\n\n\ndef keep(k, v):\n    KEPT[k] = v\n\n\ndef every():\n    return KEPT\n",
        At("KEPT[k] = v", "keep"),
        "in a way that a bound could break",
    ),
    "counts": (
        "KEPT = {}\n\n\ndef keep(k):\n    KEPT[k] += 1\n",
        At("KEPT[k] += 1", "keep"),
        "counts in `KEPT`",
    ),
    "a list by index": (
        "KEPT = []\n\n\ndef keep(v):\n    KEPT.append(v)\n\n\ndef page(n):\n    return KEPT[n:]\n",
        At("KEPT.append", "keep"),
        "in a way that a deque",
    ),
    "a defaultdict": (
        "from collections import defaultdict\n\nKEPT = defaultdict(list)\n\n\ndef keep(k, v):\n    KEPT[k].append(v)\n",
        At("KEPT[k].append", "keep"),
        "neither a plain dict nor a list",
    ),
    "not empty at first": (
        "KEPT = {1: 2}\n\n\ndef keep(k, v):\n    KEPT[k] = v\n",
        At("KEPT[k] = v", "keep"),
        "neither a plain dict nor a list",
    ),
    "an attribute": (
        "class Kept:\n    def keep(self, k, v):\n        self.kept[k] = v\n",
        At("self.kept[k] = v", "keep"),
        "no container of",
    ),
}


@pytest.mark.parametrize("name", DONE)
def test_done(name: str, tmp_path: Path) -> None:
    case = DONE[name]
    answers = proposed(tmp_path, "RT304", case.before, case.at, subject=case.subject)
    same(variant(answers, case.variant), case.after)


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, tmp_path: Path) -> None:
    before, at, why = REFUSED[name]
    answers = proposed(tmp_path, "RT304", before, at)
    assert [a.kind for a in answers] == ["declined"]
    assert why in reasons(answers)


def test_filled_by_another_module(tmp_path: Path) -> None:
    others = {"shop/other.py": "from shop.app import _kept\n\n\ndef put(k):\n    _kept[k] = k\n"}
    answers = proposed(tmp_path, "RT304", DONE["a dict"].before, DONE["a dict"].at, others=others)
    assert "shop/other.py uses `_kept`" in reasons(answers)


def test_the_bound_holds(tmp_path: Path) -> None:
    """The written code lets the oldest go, and keeps the newest."""
    case = DONE["a memo that reads what it just stored"]
    space: dict[str, object] = {"compute": lambda key: key * 2}
    exec(variant(proposed(tmp_path, "RT304", case.before, case.at), case.variant), space)
    assert [space["result"](n) for n in range(1500)] == [n * 2 for n in range(1500)]  # type: ignore[operator]
    assert list(space["RESULTS"]) == list(range(500, 1500))  # type: ignore[call-overload]
