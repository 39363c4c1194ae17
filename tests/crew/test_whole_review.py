"""A whole review of a real application with models by a script: an instrument is run, the gate passes."""

from __future__ import annotations

import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage

from perfcrew.core.evidence import Timing
from perfcrew.graphs.context import Wanted
from perfcrew.graphs.run import Outcome, review
from perfcrew.ledger import Ledger
from perfcrew.report import markdown
from tests.crew.scripted import NOTHING, Models, Script, Scripted, call, in_turn

APP = Path(__file__).parents[1] / "graphs" / "apps" / "shop.py"
CONFIG = """
[target]
health = "/openapi.json"
database_url = "sqlite:///shop.sqlite3"
database_variable = "SHOP_DB"

[data]
sizes = [60, 120]

[review]
seconds = 0.05
requests_per_endpoint = 2
trace_repeats = 20
profile_seconds = 0.3
"""
POLICY = """
name: review
specialists: [profiler, database]
reviewer: reviewer
instruments: [baseline, traces]
rewrites: 2
specialist_seconds: 60
"""


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="pc-", dir="/tmp"))
    policy = folder / ".perfcrew" / "workflows" / "review.yaml"
    policy.parent.mkdir(parents=True)
    policy.write_text(POLICY)
    (folder / "main.py").write_bytes(APP.read_bytes())
    (folder / "perfcrew.toml").write_text(CONFIG)
    with sqlite3.connect(folder / "shop.sqlite3") as db:
        db.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
        db.executemany("INSERT INTO item (name) VALUES (?)", [(f"item {n}",) for n in range(30)])
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def said(sent: Sequence[BaseMessage], kind: str) -> str:
    """The id of the last item of a kind that stands in what was sent."""
    found = re.findall(rf"(E-[0-9a-f]{{12}}) \({kind}\)", "\n".join(str(m.content) for m in sent))
    return found[-1]


def profiler() -> Script:
    """Has an endpoint profiled, and reports what the profile shows."""
    begun: list[int] = []

    def script(sent: Sequence[BaseMessage]) -> AIMessage:
        begun.append(1)
        if len(begun) == 1:
            return call("run_instrument", instrument="py-spy", endpoint="GET /items")
        id = said(sent, "profile")
        return call("SpecialistAnswer", doubted=[], further=[], findings=[_finding(id)])

    return script


def _finding(id: str) -> dict[str, Any]:
    scores = dict(impact=3, evidence=3, effort=3, risk=3, reversibility=3, learning=3)
    one = dict(change="keep one connection", metric="latency", because="each request opens one", evidence=[id])
    one |= dict(kind="code", recipe="Open it once.", scores=scores, trade_offs="It has to be closed.")
    text = f"The process was idle for {{{{ {id} . idle_share }}}} of {{{{ {id} . samples_count }}}} samples."
    found = dict(title="A connection for each request", endpoint="GET /items", file="main.py", line=13, text=text)
    return {**found, "evidence": [id], "confidence": 0.7, "share": None, "hypotheses": [one] * 3}


async def reviewed(root: Path, models: Models) -> Outcome:
    return await review(root, Wanted(scope="all"), tell=lambda event: None, thinking=models)


async def test_a_review_with_models_passes_the_gate(root: Path) -> None:
    def narrator(sent: Sequence[BaseMessage]) -> AIMessage:
        id = said(sent, "measurement")
        text = f"The first of the figures is {{{{ {id} . statistics.p50.value }}}} at the median."
        return call("NarratorAnswer", paragraphs=[{"about": "summary", "text": text, "evidence": [id]}])

    scripts: dict[str, Script] = {
        "profiler": profiler(),
        "database": in_turn(call("SpecialistAnswer", **NOTHING)),
        "reviewer": in_turn(call("ReviewerAnswer", struck=[], doubted=[])),
        "narrator": narrator,
    }
    outcome = await reviewed(root, Models(lambda who: Scripted(script=scripts[who])))
    assert outcome.passed
    (found,) = [f for f in outcome.findings if f.rule == "RT900"]
    assert found.place.function == "rows"
    assert {t.who: t.answered for t in outcome.report.thought} == dict.fromkeys(scripts, True)
    assert outcome.report.narrative.text and "What models were asked" in markdown.render(outcome.report)
    with Ledger.existing(root) as ledger:
        (item,) = ledger.find(outcome.run, "timing")
        assert ledger.find(outcome.run, "profile", "GET /items")
    assert isinstance(item.body, Timing) and item.body.thinking_ms > 0
