"""What is handed over with a finding: code that runs as it stands."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest

from perfcrew.core.report import Report
from perfcrew.report.recipes import regression_test


@pytest.mark.parametrize(
    ("endpoint", "asked", "wanted"),
    [
        ("GET /books", '"/books"', set()),
        ("GET /books/{book_id}", 'f"/books/{book_id}"', {"book_id"}),
        ("GET /shops/{shop:int}/books/{book}", 'f"/shops/{shop}/books/{book}"', {"shop", "book"}),
        ("GET /books/{book}/like/{book}", 'f"/books/{book}/like/{book}"', {"book"}),
    ],
)
@pytest.mark.parametrize("rule", ["DB101", "RT303"])
def test_ids_are_asked_for_and_not_sent_as_braces(
    report: Report, rule: str, endpoint: str, asked: str, wanted: set[str]
) -> None:
    section = next(s for s in report.findings if s.finding.endpoint and s.budget.text)
    finding = section.finding.model_copy(update={"rule": rule, "endpoint": endpoint})
    text = regression_test(section.model_copy(update={"finding": finding}))
    (function,) = ast.parse(text).body
    assert isinstance(function, ast.FunctionDef) and f"client.get({asked})" in text
    names = {argument.arg for argument in function.args.args}
    assert names - {"client", "benchmark", "add_rows", "count_statements"} == wanted


@pytest.mark.parametrize(("metric", "again"), [("conditional.bytes", True), ("conditional.latency", False)])
def test_what_is_sent_again_is_held_by_its_status_and_not_by_a_clock(report: Report, metric: str, again: bool) -> None:
    """Run against a client of three lines, as Starlette's, Django's and Flask's answer it."""
    section = next(s for s in report.findings if s.finding.endpoint and s.budget.text)
    (first, *_) = section.finding.hypotheses
    known = {"rule": "HT404", "endpoint": "GET /books", "hypotheses": (first.model_copy(update={"metric": metric}),)}
    text = regression_test(section.model_copy(update={"finding": section.finding.model_copy(update=known)}))
    assert ("benchmark" not in text) == again
    if again:
        made: dict[str, Any] = {}
        exec(text, made)
        made["test_get_books_is_not_sent_again"](Shop(honours=True))
        with pytest.raises(AssertionError):
            made["test_get_books_is_not_sent_again"](Shop(honours=False))


@dataclass
class Shop:
    """A client of an application with a tag."""

    honours: bool

    def get(self, path: str, headers: Mapping[str, str] = MappingProxyType({})) -> SimpleNamespace:
        spared = self.honours and headers.get("If-None-Match") == "1"
        return SimpleNamespace(status_code=304 if spared else 200, headers={"ETag": "1"})
