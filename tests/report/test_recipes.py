"""What is handed over with a finding: code that runs as it stands."""

from __future__ import annotations

import ast

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
