"""The crew over the three real wire protocols: configured models, real SDKs, a scripted server on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from perfcrew.gate import check
from perfcrew.graphs.configured import configured
from perfcrew.ledger import Ledger
from perfcrew.report.compose import compose
from perfcrew.testing import ScriptedModel, answer, fail, say, use
from tests.crew.desk import shop
from tests.crew.scripted import NOTHING
from tests.crew.thought import concluded, context
from tests.report.make_ledger import RUN

PROVIDERS = ("anthropic", "google_genai", "openai")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with shop(tmp_path) as made:
        yield made


def step(asked: Any) -> Any:
    """A tool first, then the answer; the reviewer answers at once."""
    told = asked.text
    if "Your charter: reviewer" in told:
        return answer({"struck": [], "doubted": []}, tool="ReviewerAnswer")
    if "(list_evidence)" in told:
        return answer(NOTHING, tool="SpecialistAnswer")
    return use(("list_evidence", {"kind": "traces"}))


async def run(ledger: Ledger, provider: str, script: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    with ScriptedModel([script] * 40) as model:
        for name, value in model.environment(provider).items():
            monkeypatch.setenv(name, value)
        made = context(ledger, configured(ledger.where.parent.parent))
        assert made.thinking is not None
        await concluded(made)
        return compose(ledger, RUN), model


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_investigate_and_conclude(provider: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    report, model = await run(ledger, provider, step, monkeypatch)
    assert [t.why for t in report.thought] == [None] * 6
    assert len(model.requests) == 11
    assert check(report, ledger).passed


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_dead_provider(provider: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    report, model = await run(ledger, provider, lambda asked: fail(401), monkeypatch)
    assert not any(t.answered for t in report.thought)
    assert len(model.requests) <= 6
    assert check(report, ledger).passed


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_no_form(provider: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    report, model = await run(ledger, provider, lambda asked: say("All is well."), monkeypatch)
    assert not any(t.answered for t in report.thought)
    assert len(model.requests) == 12
