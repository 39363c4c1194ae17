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

        BUSY = 20
        LAST: list[str] = []


        def note(path):
            if path not in LAST:
                LAST.append(path)


        def busy():
            return len(LAST) > BUSY
        """,
        At("LAST.append", "note"),
        "shop.app.LAST",
        "deque",
        """
        from collections import Counter, deque

        BUSY = 20
        LAST: deque[str] = deque(maxlen=1000)


        def note(path):
            if path not in LAST:
                LAST.append(path)


        def busy():
            return len(LAST) > BUSY
        """,
    ),
    "a dict whose length is compared with a number below the bound": Done(
        """
        KEPT = {}


        def keep(key, value):
            KEPT[key] = value
            if 500 < len(KEPT):
                warn("many")
        """,
        At("KEPT[key] =", "keep"),
        "",
        "OrderedDict",
        """
        from collections import OrderedDict

        KEPT = OrderedDict()
        MAX_KEPT = 1000


        def keep(key, value):
            KEPT[key] = value
            if len(KEPT) > MAX_KEPT:
                KEPT.popitem(last=False)
            if 500 < len(KEPT):
                warn("many")
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


def dict_with(read: str) -> str:
    """A dict that is filled, and read in one more way."""
    return f"KEPT = {{}}\n\n\ndef keep(k, v):\n    KEPT[k] = v\n\n\ndef every():\n    {read}\n"


def list_with(read: str) -> str:
    """A list that is filled, and read in one more way."""
    return f"KEPT = []\n\n\ndef keep(v):\n    KEPT.append(v)\n\n\ndef every():\n    {read}\n"


COMPLETE = {
    "its length": "return len(KEPT)",
    "all of it, in a loop": "for one in KEPT:\n        send(one)",
    "all of it, in a comprehension": "return [one for one in KEPT]",
    "a sum": "return sum(KEPT)",
    "sorted": "return sorted(KEPT)",
    "the largest": "return max(KEPT)",
    "a list of it": "return list(KEPT)",
}
COMPLETE_DICTS = COMPLETE | {
    "its values": "return KEPT.values()",
    "its items": "return [k for k, v in KEPT.items() if v]",
    "its keys": "return sorted(KEPT.keys())",
}
UNTOLD = {
    "a length compared with more than the bound": "return len(KEPT) > 5000",
    "a length compared with the bound itself": "return len(KEPT) == 1000",
    "a length compared with what isn't known": "return len(KEPT) > most",
    "the whole compared": "return KEPT == other",
}

REFUSED = {
    **{
        f"must be complete: {name} of a dict": (dict_with(read), At("KEPT[k] = v", "keep"), "must be complete")
        for name, read in COMPLETE_DICTS.items()
    },
    **{
        f"must be complete: {name} of a list": (list_with(read), At("KEPT.append", "keep"), "must be complete")
        for name, read in COMPLETE.items()
    },
    **{f"{name}, of a dict": (dict_with(read), At("KEPT[k] = v", "keep"), "KEPT") for name, read in UNTOLD.items()},
    **{f"{name}, of a list": (list_with(read), At("KEPT.append", "keep"), "KEPT") for name, read in UNTOLD.items()},
    "read as if always there": (
        "KEPT = {}\n\n\ndef keep(k, v):\n    KEPT[k] = v\n\n\ndef find(k):\n    return KEPT[k]\n",
        At("KEPT[k] = v", "keep"),
        "in a way that a bound could break",
    ),
    "popped as if always there": (
        dict_with("return KEPT.pop(3)"),
        At("KEPT[k] = v", "keep"),
        "in a way that a bound could break",
    ),
    "deleted as if always there": (
        dict_with("del KEPT[3]"),
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


@pytest.mark.parametrize("read", ["return KEPT.pop(3, None)", "if 3 in KEPT:\n        del KEPT[3]"])
def test_taken_out_where_it_may_be_gone(read: str, tmp_path: Path) -> None:
    answers = proposed(tmp_path, "RT304", dict_with(read), At("KEPT[k] = v", "keep"))
    assert "popitem(last=False)" in variant(answers, "OrderedDict")


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
