"""A thousand false reports are all refused, a thousand honest ones are not."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from perfcrew.core.report import Report
from perfcrew.gate.held import Held
from perfcrew.gate.judge import decide, limits_of
from perfcrew.report.compose import compose
from tests.gate.mutations import Mutator
from tests.report.make_ledger import RUN, make

LIMITS = limits_of()


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Held]:
    folder: Path = tmp_path_factory.mktemp("shop")
    with make(folder, load_steps=(), without=("POST /login", "GET /recommendations", "GET /health")) as ledger:
        return compose(ledger, RUN), Held.read(ledger, RUN)


def test_a_thousand_false_reports_are_refused(reviewed: tuple[Report, Held]) -> None:
    report, held = reviewed
    mutator = Mutator(report, held, seed=20261121)
    escaped, kinds = [], Counter[str]()
    for number in range(1000):
        mutant = mutator.false()
        kinds[mutant.what] += 1
        if decide(mutant.report, held, LIMITS).passed:
            escaped.append((number, mutant.what, mutant.where, mutant.text))
    assert escaped == []
    assert len(kinds) == 11 and min(kinds.values()) >= 20


def test_a_thousand_honest_reports_pass(reviewed: tuple[Report, Held]) -> None:
    report, held = reviewed
    mutator = Mutator(report, held, seed=11202612)
    refused = []
    for number in range(1000):
        mutant = mutator.honest()
        verdict = decide(mutant.report, held, LIMITS)
        if not verdict.passed:
            refused.append((number, [c.reasons for c in verdict.failed]))
    assert refused == []
