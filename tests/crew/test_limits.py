"""One count for the limits, the line that is shown and the report; a run that stops at a limit says so and ships."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from perfcrew.core.spending import Limits, line
from perfcrew.core.thinking import Exchange
from perfcrew.gate import check
from perfcrew.graphs import conclude, thinking
from perfcrew.graphs.run import Outcome
from perfcrew.ledger import Ledger
from perfcrew.report import html, markdown
from perfcrew.surfaces.summary import summary
from tests.crew.desk import shop
from tests.crew.scripted import NOTHING, Models, Scripted, call, in_turn
from tests.crew.thought import concluded, context, findings, recognised, runtime
from tests.report.make_ledger import RUN


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with shop(tmp_path) as made:
        yield made


def models(limits: Limits | None = None) -> Models:
    def of(who: str) -> Scripted:
        answer = call("ReviewerAnswer", struck=[], doubted=[]) if who == "reviewer" else None
        return Scripted(script=in_turn(answer or call("SpecialistAnswer", **NOTHING)))

    return Models(of, limits)


def exchanges(ledger: Ledger) -> list[Exchange]:
    return [e.body for e in ledger.find(RUN, "exchange") if isinstance(e.body, Exchange)]


async def written(made: Any) -> Any:
    await concluded(made)
    await conclude.write({"run": RUN}, runtime(made))
    return made.draft


STOPS = {
    "calls": (Limits(calls=3), "the run's limit of calls is reached: 3 of 3 calls are made"),
    "money": (Limits(money_usd=0.02), "the run's limit of money is reached: $0.06 of $0.02 are spent, $0.04 over it"),
    "tokens": (Limits(tokens=500), "the run's limit of tokens is reached: "),
}


@pytest.mark.parametrize("what", STOPS)
async def test_a_run_that_stops_at_a_limit_says_which_and_by_how_much_and_ships(what: str, ledger: Ledger) -> None:
    limits, said = STOPS[what]
    made = context(ledger, models(limits))
    report = await written(made)
    assert check(report, ledger).passed
    assert {f.id for f in findings(made, f"{conclude.FINAL}/0").findings} == {f.id for f in recognised(ledger)}
    assert {x.limit for x in exchanges(ledger)} - {""} == {what}
    assert report.limits and all(why.text.startswith(said) for why in report.limits)
    outcome = Outcome(RUN, made.root, made.out, report, (), "low", 1.0)
    shown = io.StringIO()
    summary(outcome, Console(file=shown, width=200))
    for text in (markdown.render(report), html.render(report), shown.getvalue()):
        assert "Stopped at a limit" in text and "the rule book concluded the rest" in text


async def test_the_line_the_limits_and_the_report_tell_the_same(ledger: Ledger) -> None:
    asked = models()
    made = context(ledger, None)
    thinking.begin(made, asked)
    report = await written(made)
    whole = asked.meter.spent
    assert whole.calls == sum(x.calls_count for x in exchanges(ledger))
    assert whole.tokens.total == sum(x.input_tokens_count + x.output_tokens_count for x in exchanges(ledger))
    assert whole.money_usd == pytest.approx(sum(x.cost_usd or 0 for x in exchanges(ledger)))
    assert f"{whole.tokens.input:,} tokens in" in report.spent.text.replace("\xa0", " ")
    told = [event["what"] for event in made.tell.told if event.get("stage") == "crew"]
    own = [row for row in asked.meter.rows if row.who != "run"]
    assert len(own) == 7 and all(any(line(row) in text for text in told) for row in own)


async def test_what_an_interrupted_run_had_spent_counts_when_it_goes_on(ledger: Ledger) -> None:
    first = context(ledger, models())
    await conclude.specialist({"run": RUN, "specialist": "database"}, runtime(first))
    again = models(Limits(calls=1))
    made = context(ledger, None)
    thinking.begin(made, again)
    assert again.meter.spent.calls == 1
    await conclude.specialist({"run": RUN, "specialist": "caching"}, runtime(made))
    assert exchanges(ledger)[-1].limit == "calls"
