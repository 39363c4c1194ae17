"""Text leaves a hot function above a loop that does nothing with letters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from perfcrew.core.patches import Fix

from .cases import FILE, At, proposed, reasons, same, variant

DONE = {
    "a generator that enumerates": (
        """
        from collections.abc import Iterable, Mapping
        from typing import Any


        def hot(sequence: Iterable[Any], prefix=""):
            \"\"\"Flat.\"\"\"
            if isinstance(sequence, str) or not any(isinstance(obj, Mapping) for obj in sequence):
                yield prefix, sequence
            for idx, obj in enumerate(sequence):
                if not isinstance(obj, Mapping):
                    continue
                yield from ((f"{prefix}.{idx}", v) for v in obj.values())
        """,
        """
        from collections.abc import Iterable, Mapping
        from typing import Any


        def hot(sequence: Iterable[Any], prefix=""):
            \"\"\"Flat.\"\"\"
            if isinstance(sequence, str) or not any(isinstance(obj, Mapping) for obj in sequence):
                yield prefix, sequence
            if isinstance(sequence, str):
                return
            for idx, obj in enumerate(sequence):
                if not isinstance(obj, Mapping):
                    continue
                yield from ((f"{prefix}.{idx}", v) for v in obj.values())
        """,
    ),
    "a function that gives nothing, comments kept": (
        """
        def hot(rows: object, found: list) -> None:
            # What was found before goes.
            found.clear()

            # Rows only.
            for row in rows:  # a text has none
                # Nested ones count.
                if isinstance(row, (list, tuple)):
                    found.append(len(row))  # how many
        """,
        """
        def hot(rows: object, found: list) -> None:
            # What was found before goes.
            found.clear()
            if isinstance(rows, str):
                return

            # Rows only.
            for row in rows:  # a text has none
                # Nested ones count.
                if isinstance(row, (list, tuple)):
                    found.append(len(row))  # how many
        """,
    ),
    "a method, with tabs": (
        """
        import numbers


        class Adder:
        \ttotal = 0

        \tdef hot(self, values: "str | list[int]"):
        \t\tfor number, value in enumerate(values, start=1):
        \t\t\tif not isinstance(value, numbers.Number):
        \t\t\t\tcontinue
        \t\t\tself.total += number * value
        """,
        """
        import numbers


        class Adder:
        \ttotal = 0

        \tdef hot(self, values: "str | list[int]"):
        \t\tif isinstance(values, str):
        \t\t\treturn
        \t\tfor number, value in enumerate(values, start=1):
        \t\t\tif not isinstance(value, numbers.Number):
        \t\t\t\tcontinue
        \t\t\tself.total += number * value
        """,
    ),
    "a local of an asynchronous function that may return early": (
        """
        from pydantic import BaseModel as Model


        async def hot(load, send):
            answer = await load()
            if answer is None:
                return
            if isinstance(answer, (str, bytes)):
                await send(answer)
            for part in answer:
                if isinstance(part, Model):
                    await send(part)
        """,
        """
        from pydantic import BaseModel as Model


        async def hot(load, send):
            answer = await load()
            if answer is None:
                return
            if isinstance(answer, (str, bytes)):
                await send(answer)
            if isinstance(answer, str):
                return
            for part in answer:
                if isinstance(part, Model):
                    await send(part)
        """,
    ),
}

HEAD = "from collections.abc import Mapping, Sequence\nfrom typing import Any\n\n\n"
LOOP = "    for x in xs:\n        if not isinstance(x, dict):\n            continue\n        yield x\n"


def loop(head: str = "for x in xs:", test: str = "if not isinstance(x, dict):") -> str:
    """The same loop with another head or test."""
    return LOOP.replace("for x in xs:", head).replace("if not isinstance(x, dict):", test)


def hot(body: str, parameters: str = "xs: Any", above: str = HEAD) -> str:
    """A function with that body."""
    return f"{above}def hot({parameters}):\n{body}"


MAY_BE = "a letter may be a"
MAY_DO = "may do something with a letter"
NOT_A_NAME = "isn't over a plain name"
NOT_ONCE = "`xs` isn't given once"
LEFT = "a text `xs` has left"
NO_HINT = "nothing says that `xs` may be text"

DECLINED = {
    "what it goes over is an attribute": (hot(loop("for x in xs.rows:")), NOT_A_NAME),
    "what it goes over is sorted": (hot(loop("for x in sorted(xs):")), NOT_A_NAME),
    "the start may fail": (hot(loop("for i, x in enumerate(xs, first):"), "xs: Any, first"), NOT_A_NAME),
    "a letter is taken apart": (hot(loop("for i, (x, y) in enumerate(xs):")), NOT_A_NAME),
    "the count goes into an object": (hot(loop("for xs.i, x in enumerate(xs):")), NOT_A_NAME),
    "the pair itself is asked": (hot(loop("for x in enumerate(xs):", "if not isinstance(x, tuple):")), NOT_A_NAME),
    "an asynchronous loop": (f"{HEAD}async def hot(xs: Any):\n{loop('async for x in xs:')}", "doesn't end in a loop"),
    "something follows": (hot(LOOP + "    yield None\n"), "doesn't end in a loop"),
    "the loop is in a branch": (
        hot(f"    if xs:\n{LOOP}".replace("\n    ", "\n        ")),
        "doesn't end in a loop",
    ),
    "an else": (hot(LOOP + "    else:\n        yield None\n"), "has an `else`"),
    "it returns values": (hot(f"    if not xs:\n        return 1\n{LOOP}"), "`hot` returns values"),
    "a function made above reads the last": (
        hot(f"    yield lambda: x\n{LOOP}"),
        "`x` may be read after the loop",
    ),
    "the last outlives the function": (
        hot(f"    global x\n{LOOP}"),
        "`x` may be read after the loop",
    ),
    "a parameter is given anew": (hot(f"    if isinstance(xs, str):\n        xs = [xs]\n{LOOP}"), NOT_ONCE),
    "a local is given twice": (
        hot(f"    xs = ys\n    if isinstance(xs, str):\n        xs = [xs]\n{LOOP}", "ys"),
        NOT_ONCE,
    ),
    "a name of the module": (f"xs = 'abc'\n\n\n{hot(LOOP, '', '')}", NOT_ONCE),
    "any number of arguments": (hot(LOOP, "*xs: Any"), NOT_ONCE),
    "letters are counted first": (
        hot(loop().replace("        if not", "        n.add(x)\n        if not"), "xs: Any, n"),
        MAY_DO,
    ),
    "something for what is of no such type": (
        hot(
            "    for x in xs:\n        if isinstance(x, dict):\n            pass\n        else:\n            yield x\n"
        ),
        MAY_DO,
    ),
    "something after the only test": (
        hot("    for x in xs:\n        if isinstance(x, dict):\n            yield x\n        yield\n"),
        MAY_DO,
    ),
    "another is asked": (hot(loop(test="if not isinstance(xs, dict):")), MAY_DO),
    "an attribute is asked": (hot(loop(test="if not isinstance(x.y, dict):")), MAY_DO),
    "two conditions": (hot(loop(test="if not isinstance(x, dict) and xs:")), MAY_DO),
    "what is of the type is passed over": (hot(loop(test="if isinstance(x, dict):")), MAY_DO),
    "text": (hot(loop(test="if not isinstance(x, str):")), f"{MAY_BE} `str`"),
    "object": (hot(loop(test="if not isinstance(x, object):")), f"{MAY_BE} `object`"),
    "sequences": (hot(loop(test="if not isinstance(x, Sequence):")), f"{MAY_BE} `Sequence`"),
    "one of several": (hot(loop(test="if not isinstance(x, (dict, Sequence)):")), f"{MAY_BE} `Sequence`"),
    **{
        f"{name} of collections.abc": (
            hot(loop(test=f"if not isinstance(x, abc.{name}):"), above="from collections import abc\n\n\n"),
            f"{MAY_BE} `abc.{name}`",
        )
        for name in ("Iterable", "Collection", "Sized", "Hashable", "Container", "Reversible", "Sequence")
    },
    "a type of its own": (
        hot(loop(test="if not isinstance(x, Row):"), above="class Row: ...\n\n\n"),
        f"{MAY_BE} `Row`",
    ),
    "a Mapping of its own": (
        hot(loop(test="if not isinstance(x, Mapping):"), above="from .types import Mapping\n\n\n"),
        f"{MAY_BE} `Mapping`",
    ),
    "a Mapping from elsewhere where there is none": (
        hot(
            loop(test="if not isinstance(x, Mapping):"),
            above="try:\n    from fast import Mapping\nexcept ImportError:\n    from typing import Mapping\n\n\n",
        ),
        f"{MAY_BE} `Mapping`",
    ),
    "a Mapping that is handed in": (
        hot(loop(test="if not isinstance(x, Mapping):"), "xs: Any, Mapping"),
        f"{MAY_BE} `Mapping`",
    ),
    "a dict of its own": (hot(LOOP, above="from rows import dict\n\n\n"), f"{MAY_BE} `dict`"),
    "an isinstance of its own": (
        hot(LOOP, above="def isinstance(a, b): ...\n\n\n"),
        "`isinstance` has another meaning",
    ),
    "names from anywhere": (hot(LOOP, above="from rows import *\n\n\n"), "after `import *`"),
    "text returns": (hot(f"    if isinstance(xs, str):\n        yield xs\n        return\n{LOOP}"), LEFT),
    "text and bytes return": (hot(f"    if xs is None or isinstance(xs, (bytes, str)):\n        return\n{LOOP}"), LEFT),
    "text is an error": (hot(f"    if isinstance(xs, str):\n        raise TypeError\n{LOOP}"), LEFT),
    "all but lists return": (hot(f"    if not isinstance(xs, list):\n        return\n{LOOP}"), LEFT),
    "no annotation": (hot(LOOP, "xs"), NO_HINT),
    "a list": (hot(LOOP, "xs: list[str]"), NO_HINT),
    "a sequence of dicts": (hot(LOOP, "xs: Sequence[Mapping[str, Any]]"), NO_HINT),
    "another may be text": (hot(f"    if isinstance(ys, str):\n        yield ys\n{LOOP}", "xs, ys: str"), NO_HINT),
}

ANNOTATIONS = (
    "Any",
    "object",
    "str",
    "Sequence",
    "Sequence[str]",
    "t.Iterable[Any]",
    "Sequence[Mapping | str]",
    "Optional[Union[str, list[int]]]",
    "list | str",
    "'list | str'",
)


@pytest.mark.parametrize("name", DONE)
def test_done(name: str, tmp_path: Path) -> None:
    before, after = DONE[name]
    answers = proposed(tmp_path, "RT303", before, At("def hot", "hot"))
    same(variant(answers, "text"), after)
    assert [(a.title, a.metrics, a.trade_offs) for a in answers if isinstance(a, Fix)] == [
        ("Do not walk text letter by letter in hot", ("latency",), ())
    ]


@pytest.mark.parametrize("name", DECLINED)
def test_declined(name: str, tmp_path: Path) -> None:
    before, why = DECLINED[name]
    answers = proposed(tmp_path, "RT303", before, At("def hot", "hot"))
    assert [a.kind for a in answers] == ["declined"]
    assert why in reasons(answers)


@pytest.mark.parametrize("annotation", ANNOTATIONS)
def test_an_annotation_that_admits_text(annotation: str, tmp_path: Path) -> None:
    variant(proposed(tmp_path, "RT303", hot(LOOP, f"xs: {annotation}"), At("def hot", "hot")), "text")


@pytest.mark.parametrize("given", ["", "a text", ["a", {"k": 1}, {"l": 2}], [], {"k": 1}, b"ab"])
def test_it_gives_the_same(given: object, tmp_path: Path) -> None:
    before, _ = DONE["a generator that enumerates"]
    after = variant(proposed(tmp_path, "RT303", before, At("def hot", "hot")), "text")
    old: dict[str, Any] = {}
    new: dict[str, Any] = {}
    exec((tmp_path / FILE).read_text(), old)
    exec(after, new)
    assert list(new["hot"](given)) == list(old["hot"](given))
