"""planted.yaml says what a review has to find: its lines and endpoints must be there."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

HOME = Path(__file__).parents[2] / "examples" / "bookshop"
PLANTED = yaml.safe_load((HOME / "planted.yaml").read_text())
FAULTS = PLANTED["faults"]
PLACES = [(fault["rule"], place) for fault in FAULTS for place in (fault, fault.get("trigger")) if place is not None]
RULES = [
    "DB101",
    "DB102",
    "DB103",
    "DB104",
    "DB105",
    "DB106",
    "CA201",
    "RT301",
    "RT302",
    "RT303",
    "RT304",
    "RT305",
    "HT401",
    "HT402",
    "HT403",
]
LISTED = """
import json
from bookshop.main import app
print(json.dumps([f"{verb.upper()} {path}" for path, verbs in app.openapi()["paths"].items() for verb in verbs]))
"""


def operations() -> set[str]:
    """What the shop offers, told by the shop in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(HOME / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", LISTED]
    done = subprocess.run(command, cwd=HOME, env=environment, capture_output=True, text=True, timeout=60, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def lines_with(place: dict[str, Any], needle: str) -> list[int]:
    lines = (HOME / place["file"]).read_text().splitlines()
    return [number for number, line in enumerate(lines, start=1) if line.strip() == needle]


def function_at(path: Path, line: int) -> str:
    functions = [
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.lineno <= line <= (node.end_lineno or 0)
    ]
    return max(functions, key=lambda node: node.lineno).name if functions else "<module>"


def test_each_rule_has_one_fault() -> None:
    assert sorted(fault["rule"] for fault in FAULTS) == sorted(RULES)


def test_each_endpoint_is_named_once() -> None:
    named = [entry["endpoint"] for entry in FAULTS + PLANTED["healthy"]]
    assert sorted(named) == sorted(operations())


@pytest.mark.parametrize(("rule", "place"), PLACES, ids=[f"{r}-{p['function']}" for r, p in PLACES])
def test_each_line_stands_once_and_in_its_function(rule: str, place: dict[str, Any]) -> None:
    for needle in [place["needle"], *place.get("also", [])]:
        found = lines_with(place, needle)
        assert len(found) == 1, f"{rule}: {needle}"
        assert function_at(HOME / place["file"], found[0]) == place["function"]


@pytest.mark.parametrize("fault", PLANTED["found_later"], ids=lambda fault: fault["rule"])
def test_what_is_found_later_is_there(fault: dict[str, Any]) -> None:
    assert len(lines_with(fault, fault["needle"])) == 1
