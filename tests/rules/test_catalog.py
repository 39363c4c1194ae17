"""The list of rules, their documentation, and the pages made from it."""

import subprocess
import sys
from pathlib import Path

import pytest

from perfcrew.core.errors import UsageError
from perfcrew.crew import cards
from perfcrew.crew.judging import _rule
from perfcrew.rules import catalog, pages
from perfcrew.rules.limits import Limits

ROOT = Path(__file__).parents[2]
RULES = [
    "CA201",
    *(f"CA20{n}" for n in range(2, 10)),
    "DB101",
    "DB102",
    "DB103",
    "DB104",
    "DB105",
    "DB106",
    "DB107",
    "DB108",
    "DB109",
    "DB110",
    "DB111",
    "DB112",
    "DB113",
    "DB114",
    "DB115",
    "HT401",
    "HT402",
    "HT403",
    "HT404",
    "RT301",
    "RT302",
    "RT303",
    "RT304",
    "RT305",
]


def test_every_rule_of_the_issue_is_there() -> None:
    assert [entry.id for entry in catalog.entries()] == RULES


@pytest.mark.parametrize("entry", catalog.entries(), ids=lambda e: e.id)
def test_the_documentation_is_complete(entry: catalog.Entry) -> None:
    for section in ("What it costs: ", "Seen as: ", "Not this: ", "Instead: ", "Confidence: ", "Limits: "):
        assert f"\n{section}" in entry.doc, f"{entry.id} lacks “{section}”"
    assert entry.title
    assert entry.summary
    assert Path(entry.path).stem.startswith(entry.id.lower())


def test_explaining() -> None:
    assert catalog.explain("db101").startswith("DB101: ")
    with pytest.raises(UsageError, match="DB999") as error:
        catalog.explain("DB999")
    assert "DB101" in error.value.do


def test_what_a_model_brings_up_is_explained_for_each_card() -> None:
    for name in (*cards.policy("review").specialists, "reviewer"):
        rule = _rule(cards.card(name))
        assert catalog.explain(rule.lower()).startswith(f"{rule}: what a language model brought up")
    assert set(catalog.PROPOSED).isdisjoint(e.id for e in catalog.entries())


def test_listing_imports_nothing_heavy() -> None:
    """`perfcrew rules` must answer at once: neither pydantic nor a rule, nor what they need."""
    code = (
        "import sys; from perfcrew.rules import catalog; catalog.entries(); catalog.explain('DB101');"
        "print(sorted(m for m in sys.modules if m.split('.')[0] in "
        "{'pydantic', 'yaml', 'sqlglot', 'numpy', 'ast', 'dataclasses', 'typing_extensions'} "
        "or m.startswith('perfcrew.rules.') and m != 'perfcrew.rules.catalog'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_the_pages_are_up_to_date() -> None:
    folder = ROOT / "docs/rules"
    there = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.md")}
    assert there == pages.pages(), "run: python -m perfcrew.rules.pages docs/rules"


def test_limits_are_frozen_and_say_what_is_missing() -> None:
    limits = Limits("DB101", {"repeats": 5})
    assert limits.repeats == limits["repeats"] == 5
    with pytest.raises(UsageError, match="no threshold 'repeat'"):
        limits.repeat  # noqa: B018
    with pytest.raises(AttributeError):
        limits.repeats = 6  # type: ignore[misc]
