"""Less work in a hot function, where it means the same by sight."""

from __future__ import annotations

from pathlib import Path

import pytest

from .cases import At, proposed, reasons, same, variant

DONE = {
    "results of a pure function": (
        """
        import math

        SCALE = 3


        def half(value: int) -> int:
            return value // 2


        # How far apart.
        def hot(left: str, right: str, power: int = 2) -> float:
            row = [0] * len(left)
            for index, letter in enumerate(left):
                row[index] = ord(letter) * SCALE
                row.append(half(index))
            return math.pow(sum(row), power) + len(", ".join([right]))
        """,
        "row.append",
        "lru_cache",
        """
        import functools
        import math

        SCALE = 3


        def half(value: int) -> int:
            return value // 2


        # How far apart.
        @functools.lru_cache(maxsize=4096, typed=True)
        def hot(left: str, right: str, power: int = 2) -> float:
            row = [0] * len(left)
            for index, letter in enumerate(left):
                row[index] = ord(letter) * SCALE
                row.append(half(index))
            return math.pow(sum(row), power) + len(", ".join([right]))
        """,
    ),
    "texts, which may be marked as safe": (
        """
        import functools


        def hot(text: str, width: int | None = None) -> str:
            return text.center(width or 80)
        """,
        "return text",
        "lru_cache",
        """
        import functools


        @functools.lru_cache(maxsize=4096, typed=True)
        def hot(text: str, width: int | None = None) -> str:
            return text.center(width or 80)
        """,
    ),
    "patterns of a module that only the function knows": (
        """
        def hot(line):
            import re

            return re.match("a|b", line)
        """,
        "re.match",
        "compiled pattern",
        """
        import re


        _HOT_PATTERN = re.compile("a|b")


        def hot(line):
            import re

            return _HOT_PATTERN.match(line)
        """,
    ),
    "patterns": (
        """
        import re


        # Words only.
        def hot(lines):
            found = []
            for line in lines:
                line = re.sub(r"\\s+", " ", line)  # blanks
                if re.match("a|b", line, re.IGNORECASE):
                    found.append(re.split(r"\\s+", line, maxsplit=1))
            return found
        """,
        "# blanks",
        "compiled pattern",
        """
        import re


        _HOT_PATTERN = re.compile(r"\\s+")
        _HOT_PATTERN_2 = re.compile("a|b", re.IGNORECASE)


        # Words only.
        def hot(lines):
            found = []
            for line in lines:
                line = _HOT_PATTERN.sub(" ", line)  # blanks
                if _HOT_PATTERN_2.match(line):
                    found.append(_HOT_PATTERN.split(line, maxsplit=1))
            return found
        """,
    ),
    "a text put together": (
        """
        def hot(rows):
            out = ""
            for row in rows:
                # One line each.
                out += f"{row}\\n"
            return out.strip()
        """,
        "out += ",
        "join",
        """
        def hot(rows):
            out_parts = []
            for row in rows:
                # One line each.
                out_parts.append(f"{row}\\n")
            out = "".join(out_parts)
            return out.strip()
        """,
    ),
    "lookups in a list": (
        """
        def hot(words, stop: list[str]):
            return [w for w in words if w not in stop]
        """,
        "if w not in",
        "set",
        """
        def hot(words, stop: list[str]):
            stop_set = frozenset(stop)
            return [w for w in words if w not in stop_set]
        """,
    ),
    "what stays": (
        """
        import json


        def hot(rows, prices):
            out = []
            for row in rows:
                if row in set(prices):
                    out.append(row)
            return out
        """,
        "in set(prices)",
        "hoist",
        """
        import json


        def hot(rows, prices):
            out = []
            prices_set = set(prices)
            for row in rows:
                if row in prices_set:
                    out.append(row)
            return out
        """,
    ),
}

REFUSED = {
    "the flags of a module that only the function knows": (
        "import re as regex\n\n\ndef hot(line):\n    import re\n\n    return re.match('a', line, re.I)\n",
        "the flags on line 7",
    ),
    "arguments that can't be hashed": ("def hot(rows: list[int]) -> int:\n    return sum(rows)\n", "`rows` of `hot`"),
    **{
        f"equal arguments that differ: {annotation}": (
            f"def hot(given: {annotation}) -> str:\n    return str(given)\n",
            f"`given` of `hot` is `{annotation}`: equal values of it may differ",
        )
        for annotation in (
            "Decimal",
            "decimal.Decimal",
            "datetime",
            "datetime.datetime",
            "time",
            "tuple[int, ...]",
            "frozenset[int]",
            "float",
            "int | float",
            "complex",
        )
    },
    "no annotation": ("def hot(rows):\n    return sum(rows)\n", "isn't annotated"),
    "what it gives can be changed": ("def hot(n: int) -> list[int]:\n    return [n]\n", "what `hot` gives"),
    "the clock": (
        "import time\n\n\ndef hot(n: int) -> float:\n    return n * time.time()\n",
        "calls `time.time`",
    ),
    "chance": (
        "import random\n\n\ndef hot(n: int) -> float:\n    return n * random.random()\n",
        "calls `random.random`",
    ),
    "a module's variable": (
        "rate = 1\n\n\ndef change():\n    global rate\n    rate = 2\n\n\n"
        "def hot(n: int) -> int:\n    return n * rate\n",
        "reads `rate`",
    ),
    "a module's dict": ("RATES = {}\n\n\ndef hot(n: int) -> int:\n    return RATES[n]\n", "reads `RATES`"),
    "a helper that writes": (
        "def note(n):\n    print(n)\n\n\ndef hot(n: int) -> int:\n    note(n)\n    return n\n",
        "calls `print`",
    ),
    "a method": ("class A:\n    def hot(self, n: int) -> int:\n        return n\n", "is a method"),
    "a text that is read in the loop": (
        'def hot(rows):\n    out = ""\n    for row in rows:\n        out += row + str(len(out))\n    return out\n',
        "no text is put together",
    ),
    "a number that adds up": (
        "def hot(rows):\n    out = 0\n    for row in rows:\n        out += row\n    return out\n",
        "no text is put together",
    ),
    "a list that the loop fills": (
        "def hot(rows):\n    seen = [1, 2]\n    for row in rows:\n"
        "        if row not in seen:\n            seen.append(row)\n"
        "    return seen\n",
        "no list of values",
    ),
    "a set of what the loop changes": (
        "def hot(rows, keys):\n    for row in rows:\n"
        "        if row in set(keys):\n            keys.append(row)\n    return keys\n",
        "no call in a loop",
    ),
    "a pattern that is put together": (
        'import re\n\n\ndef hot(word, text):\n    return re.match(f"{word}!", text)\n',
        "no pattern that is written out",
    ),
}


@pytest.mark.parametrize("name", DONE)
def test_done(name: str, tmp_path: Path) -> None:
    before, needle, which, after = DONE[name]
    same(variant(proposed(tmp_path, "RT303", before, At(needle, "hot")), which), after)


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, tmp_path: Path) -> None:
    before, why = REFUSED[name]
    answers = proposed(tmp_path, "RT303", before, At("def hot", "hot"))
    assert [a.kind for a in answers] == ["declined"]
    assert why in reasons(answers)


def test_the_written_loops_give_the_same(tmp_path: Path) -> None:
    """Run before and after on the same arguments."""
    arguments = {
        "patterns": (["A  b c", "x y", "b  B  b"],),
        "a text put together": (["a", "b"],),
        "lookups in a list": (["a", "b", "c"], ["b"]),
        "what stays": ([1, 2, 3], [3, 4]),
        "results of a pure function": ("abc", "de"),
    }
    for number, (name, given) in enumerate(arguments.items()):
        root = tmp_path / str(number)
        before, needle, which, _ = DONE[name]
        after = variant(proposed(root, "RT303", before, At(needle, "hot")), which)
        old, new = {}, {}
        exec((root / "shop/app.py").read_text(), old)
        exec(after, new)
        assert new["hot"](*given) == old["hot"](*given)
