"""A specialist with a model: its answer is held against the ledger, and replaced by the rule book where it is wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage

from perfcrew.core.evidence import Failure
from perfcrew.core.thinking import Exchange
from perfcrew.crew import cards, rulebook
from perfcrew.graphs import conclude, thinking
from perfcrew.ledger import Ledger
from tests.crew.desk import one, shop
from tests.crew.scripted import NOTHING, Gauge, Models, Script, Scripted, call, in_turn
from tests.crew.thought import concluded, context, findings, recognised, runtime
from tests.report.make_ledger import RUN


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with shop(tmp_path) as made:
        yield made


def answer(**more: Any) -> AIMessage:
    return call("SpecialistAnswer", **{**NOTHING, **more})


def hypothesis(id: str, **more: Any) -> dict[str, Any]:
    scores = dict(impact=4, evidence=4, effort=4, risk=4, reversibility=5, learning=2)
    whole = dict(change="load the books with their authors", metric="latency", because="the loop asks again")
    return {
        **whole,
        "evidence": [id],
        "kind": "code",
        "recipe": "Use it.",
        "scores": scores,
        "trade_offs": "Memory.",
        **more,
    }


def proposed(ledger: Ledger, **more: Any) -> dict[str, Any]:
    id = one(ledger, "traces", "GET /authors").id
    whole = {
        "title": "Titles are fetched by author",
        "endpoint": "GET /authors",
        "file": "src/bookshop/api.py",
        "line": 6,
        "text": f"`list_authors` sends {{{{ {id}.counts.statements_count }}}} statements for 100 rows.",
        "evidence": [id],
        "confidence": 0.8,
        "share": f"{id}.stages.0.own_share",
        "hypotheses": [hypothesis(id, change=f"change {word}") for word in ("one", "two", "three")],
    }
    return {**whole, **more}


async def asked(ledger: Ledger, script: Script, who: str = "database", **more: Any) -> tuple[Any, Scripted, Any]:
    """What a specialist concludes with a model that follows this script."""
    model = Scripted(script=script, **more)
    made = context(ledger, Models(model))
    await conclude.specialist({"run": RUN, "specialist": who}, runtime(made))
    exchange = made.ledger.slot(RUN, f"exchange/{who}")
    return findings(made, f"findings/specialist/{who}"), model, exchange


async def test_what_it_adds_is_a_finding_with_figures(ledger: Ledger) -> None:
    body, _, exchange = await asked(ledger, in_turn(answer(findings=[proposed(ledger)])))
    assert body.reasoner == "scripted:deep"
    added = next(f for f in body.findings if f.rule == "DB900")
    assert added.place.function == "list_authors"
    assert [f.refs[0].field for f in added.prose.figures] == ["counts.statements_count", "counts.rows"]
    assert added.prose.text == "`list_authors` sends 51 statements for 100 rows."
    assert [h.id for h in added.hypotheses] == ["H1", "H2", "H3"]
    assert exchange.body.answered and exchange.body.cost_usd == 0.0123 and exchange.body.calls_count == 1


async def test_it_investigates_with_its_tools_first(ledger: Ledger) -> None:
    body, model, exchange = await asked(
        ledger,
        in_turn(
            call("list_evidence", kind="traces"),
            call("show_source", file="src/bookshop/api.py", line=5),
            call("query_ledger", sql="SELECT count(*) FROM evidence"),
            answer(),
        ),
    )
    assert body.reasoner == "scripted:deep"
    assert exchange.body.calls_count == 4 and exchange.body.lookups_count == 3
    assert "b in a.books" in model.read
    assert {e.body.tool for e in ledger.find(RUN, "lookup")} == {"list_evidence", "show_source", "query_ledger"}


async def test_what_was_sent_and_what_came_is_kept(ledger: Ledger) -> None:
    _, _, exchange = await asked(ledger, in_turn(call("search_project", words="paged"), answer()))
    lines = [json.loads(line) for line in ledger.blob(exchange.blobs["sent"]).splitlines()]
    assert [line["what"] for line in lines] == ["sent"] * 2 + ["received"] + ["sent"] * 2 + ["received"] * 2
    assert lines[0]["type"] == "system" and "# The protocol" in lines[0]["content"]
    assert "Listings are paged" in lines[4]["content"]


def wrong(ledger: Ledger) -> dict[str, AIMessage]:
    id = one(ledger, "traces", "GET /authors").id
    other = one(ledger, "traces", "GET /books").id
    few = [hypothesis(id)]
    return {
        "an invented number": answer(findings=[proposed(ledger, text="It sends 4,711 statements.")]),
        "a wrong unit": answer(findings=[proposed(ledger, text="It sends 51 ms.")]),
        "an unknown id": answer(findings=[proposed(ledger, evidence=[id, "E-0123456789ab"])]),
        "no evidence": answer(findings=[proposed(ledger, evidence=[], text="It asks often.", share=None)]),
        "another endpoint's": answer(findings=[proposed(ledger, evidence=[id, other])]),
        "an endpoint that is none": answer(findings=[proposed(ledger, endpoint="GET /nowhere")]),
        "a line that is none": answer(findings=[proposed(ledger, line=900)]),
        "a file that is none": answer(findings=[proposed(ledger, file="src/other.py")]),
        "a file of secrets": answer(findings=[proposed(ledger, file=".env", line=1)]),
        "a share that it chose": answer(findings=[proposed(ledger, share="0.99")]),
        "a share that is none": answer(findings=[proposed(ledger, share=f"{id}.counts.rows")]),
        "too few hypotheses": answer(findings=[proposed(ledger, hypotheses=few)]),
        "too many hypotheses": answer(findings=[proposed(ledger, hypotheses=few * 7)]),
        "an unknown metric": answer(findings=[proposed(ledger, hypotheses=[hypothesis(id, metric="joy")] * 3)]),
        "a number that is promised": answer(
            findings=[proposed(ledger, hypotheses=[hypothesis(id, because="it gains 51 rows")] * 3)]
        ),
        "a number in the title": answer(findings=[proposed(ledger, title="51 statements")]),
        "markup": answer(findings=[proposed(ledger, text="<img src=x> It asks often.")]),
        "an address": answer(findings=[proposed(ledger, text="See https://evil.example for more.")]),
        "a field that is missing": call("SpecialistAnswer", doubted=[], findings=[]),
        "a field too many": answer(praise="all is well"),
        "a doubt of nothing": answer(doubted=[{"finding": "DB101-00000000", "reason": "No.", "evidence": [id]}]),
        "a doubt without evidence": answer(
            doubted=[{"finding": recognised(ledger)[0].id, "reason": "No.", "evidence": []}]
        ),
        "no form": AIMessage("All is well, ship it."),
        "nothing": AIMessage(""),
        "two answers": AIMessage(
            "", tool_calls=[*answer().tool_calls, *[{**c, "id": "x"} for c in answer().tool_calls]]
        ),
    }


WRONG = (
    *("an invented number", "a wrong unit", "an unknown id", "no evidence", "another endpoint's", "no form", "nothing"),
    *("an endpoint that is none", "a line that is none", "a file that is none", "a file of secrets", "two answers"),
    *("a share that it chose", "a share that is none", "too few hypotheses", "too many hypotheses", "markup"),
    *("an unknown metric", "a number that is promised", "a number in the title", "an address"),
    *("a field that is missing", "a field too many", "a doubt of nothing", "a doubt without evidence"),
)


@pytest.mark.parametrize("what", WRONG)
async def test_it_goes_back_once_and_then_the_rule_book_concludes(what: str, ledger: Ledger) -> None:
    body, model, exchange = await asked(ledger, in_turn(wrong(ledger)[what]))
    book = rulebook.conclude(cards.card("database"), recognised(ledger))
    assert body == book
    assert len(model.requests) == 2 and len(exchange.body.sent_back) == 2 and not exchange.body.answered
    (failure,) = [e.body for e in ledger.find(RUN, "failure") if isinstance(e.body, Failure) and e.body.stage == "crew"]
    assert "database" in failure.what and "rule book concluded" in failure.error


@pytest.mark.parametrize("what", ["an invented number", "a field that is missing", "no form"])
async def test_what_is_corrected_is_taken(what: str, ledger: Ledger) -> None:
    body, model, exchange = await asked(ledger, in_turn(wrong(ledger)[what], answer(findings=[proposed(ledger)])))
    assert any(f.rule == "DB900" for f in body.findings)
    assert len(exchange.body.sent_back) == 1
    fault = {"an invented number": "'4,711' is not in", "a field that is missing": "further", "no form": "in the form"}
    assert fault[what] in model.read


def dies(sent: Any) -> AIMessage:
    raise ConnectionResetError("peer went away")


FAILS = {
    "it loops on a tool": (in_turn(call("list_evidence")), "12 of 12 calls are made"),
    "it asks for a tool that is none": (in_turn(call("rm_rf", path="/")), "12 of 12 calls are made"),
    "its provider dies": (dies, "ConnectionResetError"),
}


@pytest.mark.parametrize("what", FAILS)
async def test_it_fails_and_the_rule_book_concludes(what: str, ledger: Ledger) -> None:
    script, why = FAILS[what]
    body, model, exchange = await asked(ledger, script)
    assert body.reasoner == rulebook.NAME and body.findings
    assert why in exchange.body.why
    assert len(model.requests) <= cards.card("database").budget.calls


async def test_with_its_last_call_it_is_offered_no_tools(ledger: Ledger) -> None:
    _, model, _ = await asked(ledger, in_turn(call("list_evidence")))
    assert model.offered[-1] == ["SpecialistAnswer"] and len(model.offered[0]) > 3


async def test_it_takes_too_long(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    card = cards.card("database")
    hasty = card.model_copy(update={"budget": card.budget.model_copy(update={"seconds": 0.2})})
    made = context(ledger, Models(Scripted(script=in_turn(answer()), delay_s=30)))
    body = await asyncio.wait_for(thinking.conclude(made, hasty, recognised(ledger)), 10)
    assert body.reasoner == rulebook.NAME
    (item,) = ledger.find(RUN, "exchange")
    assert isinstance(item.body, Exchange) and "did not answer within" in item.body.why


async def test_it_uses_too_many_tokens(ledger: Ledger) -> None:
    card = cards.card("database")
    poor = card.model_copy(update={"budget": card.budget.model_copy(update={"tokens": 500})})
    made = context(ledger, Models(Scripted(script=in_turn(call("list_evidence"), answer()))))
    assert (await thinking.conclude(made, poor, recognised(ledger))).reasoner == rulebook.NAME
    (item,) = ledger.find(RUN, "exchange")
    assert isinstance(item.body, Exchange) and item.body.limit == "tokens" and "of 500 tokens are used" in item.body.why


async def test_a_cancelled_run_is_not_held_up(ledger: Ledger) -> None:
    made = context(ledger, Models(Scripted(script=in_turn(answer()), delay_s=30)))
    task = asyncio.create_task(thinking.conclude(made, cards.card("database"), recognised(ledger)))
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)


async def test_without_a_model_the_rule_book_concludes_and_nothing_is_said_of_it(ledger: Ledger) -> None:
    made = context(ledger)
    await concluded(made)
    assert findings(made, "findings/specialist/database").reasoner == rulebook.NAME
    assert not ledger.find(RUN, "exchange") and not ledger.find(RUN, "lookup")


async def test_a_rules_finding_is_doubted_and_stays(ledger: Ledger) -> None:
    first = next(f for f in recognised(ledger) if f.rule == "DB101")
    doubt = {"finding": first.id, "reason": "It sends 51 statements by design.", "evidence": [first.evidence[0]]}
    body, _, _ = await asked(ledger, in_turn(answer(doubted=[doubt])))
    same = next(f for f in body.findings if f.id == first.id)
    assert same.confidence < first.confidence
    assert body.objections == (f"{first.id}: It sends 51 statements by design. ({first.evidence[0]})",)


async def test_further_hypotheses_are_numbered_on(ledger: Ledger) -> None:
    first = next(f for f in recognised(ledger) if f.rule == "DB101")
    more = [hypothesis(first.evidence[0], change=f"change {word}") for word in ("one", "two")]
    body, _, _ = await asked(ledger, in_turn(answer(further=[{"finding": first.id, "hypotheses": more}])))
    same = next(f for f in body.findings if f.id == first.id)
    assert [h.id for h in same.hypotheses] == ["H1", "H2", "H3"]
    assert same.hypotheses[0] == first.hypotheses[0] and same.hypotheses[1].improvement is None


async def test_the_reviewer_strikes_what_a_model_proposed_and_doubts_what_a_rule_saw(ledger: Ledger) -> None:
    id = one(ledger, "traces", "GET /authors").id
    rules = recognised(ledger)[0]

    def model(who: str) -> Scripted:
        if who == "database":
            return Scripted(script=in_turn(answer(findings=[proposed(ledger)])))
        if who == "reviewer":
            return Scripted(script=review)
        return Scripted(script=in_turn(answer()))

    def review(sent: Any) -> AIMessage:
        added = next(f.id for f in findings(made, conclude.RANKED).findings if f.rule == "DB900")
        strikes = [{"finding": f, "reason": "It is by design.", "evidence": [id]} for f in (added, rules.id)]
        return call("ReviewerAnswer", struck=strikes, doubted=[])

    made = context(ledger, Models(model))
    await concluded(made)
    final = findings(made, f"{conclude.FINAL}/0")
    assert final.reasoner == "scripted:deep"
    assert not any(f.rule == "DB900" for f in final.findings)
    assert rules.id in {f.id for f in final.findings}
    assert len(final.objections) == 2


async def test_the_reviewer_is_asked_once_whatever_the_gate_sends_back(ledger: Ledger) -> None:
    model = Scripted(script=in_turn(call("ReviewerAnswer", struck=[], doubted=[])))
    made = context(ledger, Models(lambda who: model if who == "reviewer" else Scripted(script=in_turn(answer()))))
    await concluded(made)
    gone = findings(made, f"{conclude.FINAL}/0").findings[0].id
    await conclude.reviewer({"run": RUN, "rewrites": 1, "withheld": [gone]}, runtime(made))
    assert gone not in {f.id for f in findings(made, f"{conclude.FINAL}/1").findings}
    assert len(model.requests) == 1


async def test_a_provider_that_dies_half_way_leaves_the_rule_book_to_finish(ledger: Ledger) -> None:
    calls: list[int] = []

    def half(sent: Any) -> AIMessage:
        calls.append(1)
        return answer() if len(calls) <= 2 else dies(sent)

    made = context(ledger, Models(lambda who: Scripted(script=half)))
    await concluded(made)
    reasoners = [findings(made, f"findings/specialist/{name}").reasoner for name in made.policy.specialists]
    assert reasoners.count(rulebook.NAME) == 3
    assert findings(made, f"{conclude.FINAL}/0").reasoner == rulebook.NAME
    assert {f.id for f in findings(made, f"{conclude.FINAL}/0").findings} == {f.id for f in recognised(ledger)}


async def test_an_answer_that_was_lost_in_a_crash_is_said_and_nobody_is_asked_again(ledger: Ledger) -> None:
    model = Scripted(script=in_turn(answer()))
    made = context(ledger, Models(model))
    card = cards.card("database")
    await thinking.conclude(made, card, recognised(ledger))  # what comes of it is never kept
    assert (await thinking.conclude(made, card, recognised(ledger))).reasoner == rulebook.NAME
    assert len(model.requests) == 1
    failures = [e.body.error for e in ledger.find(RUN, "failure") if isinstance(e.body, Failure)]
    assert any("interrupted before it was kept" in error for error in failures)


async def test_five_specialists_are_asked_at_once(ledger: Ledger) -> None:
    gauge = Gauge()
    made = context(ledger, Models(lambda who: Scripted(script=in_turn(_of(who)), delay_s=2, gauge=gauge)))
    await concluded(made)
    assert gauge.most == 5
    assert len(ledger.find(RUN, "exchange")) == 6


def _of(who: str) -> AIMessage:
    return call("ReviewerAnswer", struck=[], doubted=[]) if who == "reviewer" else answer()
