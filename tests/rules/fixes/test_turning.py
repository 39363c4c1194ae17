"""Which loops turn an expression: what a loop goes over is asked for once."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from perfcrew.rules.fixes.places import Spot
from perfcrew.rules.fixes.turning import around
from perfcrew.rules.source import Source


@pytest.mark.parametrize(
    ("name", "text", "loops"),
    [
        ("in the body", "for a in b:\n    here()", ["For"]),
        ("gone over", "for a in here():\n    pass", []),
        ("afterwards", "for a in b:\n    pass\nelse:\n    here()", []),
        ("in both", "for a in b:\n    while a:\n        here()", ["For", "While"]),
        ("what a while asks", "while here():\n    pass", ["While"]),
        ("of a comprehension", "[here() for a in b]", ["ListComp"]),
        ("its condition", "[a for a in b if here()]", ["ListComp"]),
        ("what it goes over first", "[a for a in here()]", []),
        ("what it goes over in each turn", "[a for c in b for a in here(c)]", ["ListComp"]),
        ("gone over in a loop", "for c in b:\n    [a for a in here(c)]", ["For"]),
    ],
)
def test_loops_around_an_expression(name: str, text: str, loops: list[str]) -> None:
    spot = Spot(Source(Path("shop.py"), text, ast.parse(text)), "shop.py", 1, None)
    call = next(n for n in ast.walk(spot.text.tree) if isinstance(n, ast.Call))
    assert [type(loop).__name__ for loop in around(spot, call)] == loops
