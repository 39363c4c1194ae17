"""What was spent: counted once for the specialist and once for the run, priced, shown."""

from __future__ import annotations

import threading

import pytest

from perfcrew.core.errors import PerfcrewError
from perfcrew.core.spending import HEADS, Limits, Price, Spent, Tokens, dollars, line, markdown, rows
from perfcrew.crew.models import LimitReached, Meter

PRICE = Price(input=5.0, output=25.0, cached=0.5, cache_write=6.25)
ANSWER = Tokens(input=1_000_000, output=100_000, cached=600_000, cache_write=200_000)

COSTS: dict[str, tuple[Tokens, Price | None, float | None]] = {
    "fresh, read, written and answered": (ANSWER, PRICE, 1.0 + 0.3 + 1.25 + 2.5),
    "without prices of the cache": (ANSWER, Price(input=5.0, output=25.0), 7.5),
    "nothing": (Tokens(), PRICE, 0.0),
    "no price": (ANSWER, None, None),
    "a model of one's own, which costs nothing": (ANSWER, Price(input=0, output=0), 0.0),
}


@pytest.mark.parametrize("name", COSTS)
def test_cost(name: str) -> None:
    tokens, price, cost = COSTS[name]
    assert tokens.cost_usd(price) == (pytest.approx(cost) if cost is not None else None)


def spent(meter: Meter) -> tuple[int, int, int, float]:
    return meter.spent.calls, meter.spent.requests, meter.spent.tokens.total, meter.spent.money_usd


def answered(meter: Meter, tokens: Tokens = ANSWER, price: Price | None = PRICE) -> None:
    meter.admit()
    meter.sent()
    meter.took(tokens, price, "anthropic:claude-opus-5")
    meter.over()


def test_the_run_is_the_sum_of_its_specialists() -> None:
    run = Meter()
    database, caching = run.of("database"), run.of("caching")
    answered(database)
    answered(database)
    answered(caching)
    caching.admit()
    caching.sent()
    caching.over()
    assert spent(database) == (2, 2, 2_200_000, pytest.approx(10.1))
    assert spent(caching) == (2, 2, 1_100_000, pytest.approx(5.05))
    assert spent(run) == (4, 4, 3_300_000, pytest.approx(15.15))
    assert [row.who for row in run.rows] == ["database", "caching", "run"]
    assert run.of("database") is database


def test_threads_lose_nothing() -> None:
    run = Meter()
    threads = [
        threading.Thread(target=lambda n=n: [answered(run.of(f"s{n % 3}")) for _ in range(200)]) for n in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert run.spent.calls == run.spent.requests == 1200
    assert sum(row.calls for row in run.rows[:-1]) == 1200


def test_tokens_expected_of_calls_under_way_count_against_the_limit() -> None:
    run = Meter(Limits(tokens=1000))
    run.of("database").admit(600)
    with pytest.raises(LimitReached, match=r"0 of 1,000 tokens .*, 600 are under way, .* about 600, 200 too many"):
        run.of("caching").admit(600)
    run.of("database").over(600)
    run.of("caching").admit(600)


def test_the_limit_of_one_specialist_is_not_that_of_another() -> None:
    run = Meter(Limits(calls=5))
    answered(run.of("database", Limits(calls=1)))
    with pytest.raises(LimitReached) as error:
        run.of("database").admit()
    assert (error.value.limit, error.value.where) == ("calls", "database")
    answered(run.of("caching", Limits(calls=1)))


def test_seconds_are_those_in_which_a_model_is_waited_for() -> None:
    now = [100.0]
    run = Meter(Limits(seconds=60), now=lambda: now[0])
    database, caching = run.of("database", Limits(seconds=25)), run.of("caching")
    database.admit()
    now[0] += 10
    caching.admit()
    now[0] += 10
    assert (database.left_s(), caching.left_s()) == (5, 40)
    database.over()
    now[0] += 10
    caching.over()
    now[0] += 3600
    assert (run.spent.seconds, database.spent.seconds, caching.spent.seconds) == (30, 20, 20)
    assert run.left_s() == 30
    caching.admit()
    now[0] += 30
    with pytest.raises(LimitReached, match="60 s for models are over"):
        database.admit()


def test_a_run_that_is_gone_on_with_has_spent_what_it_had_spent() -> None:
    first = Meter()
    answered(first.of("database"))
    again = Meter(Limits(calls=2))
    again.begin([first.of("database").spent], lambda own, run: None)
    answered(again.of("caching"))
    assert (again.of("caching").spent.calls, again.spent.calls) == (1, 2)
    with pytest.raises(LimitReached):
        again.of("caching").admit()


def test_each_answer_is_told() -> None:
    told: list[tuple[Spent, Spent]] = []
    run = Meter()
    run.begin([], lambda own, whole: told.append((own, whole)))
    answered(run.of("database"))
    answered(run.of("caching"))
    assert [line(own).partition(":")[0] for own, _ in told] == ["database", "caching"]
    assert [whole.calls for _, whole in told] == [1, 2]


CHEAP = Tokens(input=100_000, output=12_000)
REACHED: dict[str, tuple[Limits, str]] = {
    "calls": (Limits(calls=2), "limit of calls is reached: 2 of 2 calls are made"),
    "tokens": (
        Limits(tokens=200_000),
        "limit of tokens is reached: 224,000 of 200,000 tokens .* 24,000 over it",
    ),
    "money": (Limits(money_usd=1.5), r"limit of money is reached: \$1.60 of \$1.50 are spent, \$0.10 over it"),
    "seconds": (Limits(seconds=15), "limit of seconds is reached: 15 s for models are over, by 5.0 s"),
}


@pytest.mark.parametrize("what", REACHED)
@pytest.mark.parametrize("whose", ["the run's", "its card's"])
def test_a_limit_that_is_reached_says_which_and_by_how_much(what: str, whose: str) -> None:
    limits, said = REACHED[what]
    now = [0.0]
    run = Meter(limits if whose == "the run's" else None, now=lambda: now[0])
    meter = run.of("database", None if whose == "the run's" else limits)
    for _ in range(2):
        meter.admit()
        now[0] += 10
        meter.took(CHEAP, PRICE, "anthropic:claude-opus-5")
        meter.over()
    with pytest.raises(LimitReached, match=f"{whose} {said}") as error:
        meter.admit()
    assert error.value.limit == what


def test_how_many_calls_are_left() -> None:
    run = Meter(Limits(calls=3))
    one, other = run.of("database", Limits(calls=2)), run.of("caching")
    assert (one.calls_left(), other.calls_left(), Meter().calls_left()) == (2, 3, None)
    answered(other)
    answered(other)
    assert (one.calls_left(), other.calls_left()) == (1, 1)


LINES: dict[str, tuple[Spent, str]] = {
    "plain": (
        Spent(who="database", calls=3, requests=3, tokens=Tokens(input=12345, output=678), money_usd=0.0213),
        "database: 3 calls, 12,345 tokens in, 678 out, $0.02",
    ),
    "tried again, from the cache": (
        Spent(who="run", calls=1, requests=2, tokens=Tokens(input=12345, output=678, cached=9000), money_usd=1234.5),
        "run: 1 call (2 requests), 12,345 tokens in (9,000 from the cache), 678 out, $1,234.50",
    ),
    "estimated, without a price": (
        Spent(who="run", calls=2, requests=2, tokens=Tokens(input=10, output=5, estimated=True), unpriced=2),
        "run: 2 calls, about 10 tokens in, 5 out, price unknown",
    ),
    "one of two without a price": (
        Spent(who="run", calls=2, requests=2, tokens=Tokens(input=10, output=5), money_usd=0.5, unpriced=1),
        "run: 2 calls, 10 tokens in, 5 out, $0.50 and 1 answer without a known price",
    ),
}


@pytest.mark.parametrize("name", LINES)
def test_the_line(name: str) -> None:
    one, said = LINES[name]
    assert line(one) == said


@pytest.mark.parametrize(
    ("amount", "said"),
    [(0, "$0.00"), (0.00001, "less than $0.0001"), (0.00123, "$0.0012"), (0.01, "$0.01"), (5, "$5.00")],
)
def test_dollars(amount: float, said: str) -> None:
    assert dollars(amount) == said


def test_no_amount_is_less_than_nothing() -> None:
    with pytest.raises(PerfcrewError):
        dollars(-1)


def test_the_report_has_a_row_a_specialist_and_the_run_last() -> None:
    run = Meter()
    answered(run.of("database"))
    answered(run.of("caching"))
    assert [cells[0] for cells in rows(run.rows)] == ["database", "caching", "run"]
    text = markdown(run.rows).splitlines()
    assert text[0] == "| " + " | ".join(HEADS) + " |"
    assert text[-1] == "| run | anthropic:claude-opus-5 | 2 | 2 | 2,000,000 | 1,200,000 | 200,000 | $10.10 |"
