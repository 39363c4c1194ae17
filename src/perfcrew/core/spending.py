"""What language models cost: prices, limits, what was spent, and how it is shown."""

from __future__ import annotations

from collections.abc import Iterable

from perfcrew.core.base import Noun
from perfcrew.core.errors import PerfcrewError


class Price(Noun):
    """US dollars for a million tokens; `cached`: read from the provider's cache, `cache_write`: put into it."""

    input: float
    output: float
    cached: float | None = None
    cache_write: float | None = None


class Limits(Noun):
    """What a run, or a specialist, may spend; None is no limit. `seconds` are those in which a model is waited for."""

    calls: int | None = None
    tokens: int | None = None
    money_usd: float | None = None
    seconds: float | None = None


class Tokens(Noun):
    """Of one answer. `input` includes those `cached` and `cache_write`; `estimated` where the server told none."""

    input: int = 0
    output: int = 0
    cached: int = 0
    cache_write: int = 0
    estimated: bool = False

    @property
    def total(self) -> int:
        """What was read and written together."""
        return self.input + self.output

    def cost_usd(self, price: Price | None) -> float | None:
        """What they cost; None where the price is not known."""
        if price is None:
            return None
        fresh = self.input - self.cached - self.cache_write
        read = price.input if price.cached is None else price.cached
        written = price.input if price.cache_write is None else price.cache_write
        millions = fresh * price.input + self.cached * read + self.cache_write * written + self.output * price.output
        return millions / 1e6


class Spent(Noun):
    """What one specialist, or the run, has spent until now."""

    who: str
    calls: int = 0
    """Answers that were asked for."""
    requests: int = 0
    """Sent over the wire; more than `calls` where something was tried again."""
    tokens: Tokens = Tokens()
    seconds: float = 0.0
    """In which at least one call was under way."""
    money_usd: float = 0.0
    unpriced: int = 0
    """Answers of models whose price is not known: their money is missing from `money_usd`."""
    models: tuple[str, ...] = ()

    def plus(self, tokens: Tokens, price: Price | None, model: str) -> Spent:
        """With one more answer."""
        cost = tokens.cost_usd(price)
        return self.model_copy(
            update={
                "tokens": added(self.tokens, tokens),
                "money_usd": self.money_usd + (cost or 0.0),
                "unpriced": self.unpriced + (cost is None),
                "models": self.models if model in self.models else (*self.models, model),
            }
        )


def added(one: Tokens, other: Tokens) -> Tokens:
    """Both together; estimated as soon as one of them is."""
    return Tokens(
        input=one.input + other.input,
        output=one.output + other.output,
        cached=one.cached + other.cached,
        cache_write=one.cache_write + other.cache_write,
        estimated=one.estimated or other.estimated,
    )


def both(one: Spent, other: Spent) -> Spent:
    """What the first has spent, with what the other has."""
    return one.model_copy(
        update={
            "calls": one.calls + other.calls,
            "requests": one.requests + other.requests,
            "tokens": added(one.tokens, other.tokens),
            "seconds": one.seconds + other.seconds,
            "money_usd": one.money_usd + other.money_usd,
            "unpriced": one.unpriced + other.unpriced,
            "models": tuple(dict.fromkeys((*one.models, *other.models))),
        }
    )


def line(spent: Spent) -> str:
    """`database: 3 calls (4 requests), 12,345 tokens in (9,000 from the cache), 678 out, $0.02`."""
    tokens = spent.tokens
    again = f" ({_count(spent.requests, 'request')})" if spent.requests != spent.calls else ""
    about = "about " if tokens.estimated else ""
    cached = f" ({tokens.cached:,} from the cache)" if tokens.cached else ""
    return (
        f"{spent.who}: {_count(spent.calls, 'call')}{again}, {about}{tokens.input:,} tokens in{cached}, "
        f"{tokens.output:,} out, {money(spent)}"
    )


def money(spent: Spent) -> str:
    """`$0.02`; what has no price is said, never counted as nothing."""
    answers = f"{_count(spent.unpriced, 'answer')} without a known price"
    if spent.unpriced and not spent.money_usd:
        return "price unknown"
    shown = dollars(spent.money_usd)
    return f"{shown} and {answers}" if spent.unpriced else shown


def dollars(amount: float) -> str:
    """Cents, or for less than one the first two digits that are not nothing."""
    if amount < 0:
        raise PerfcrewError(f"{amount} is no amount that can be spent")
    if amount == 0 or amount >= 0.01:
        return f"${amount:,.2f}"
    return f"${amount:.2g}" if amount >= 1e-4 else "less than $0.0001"


HEADS = ("who", "model", "calls", "requests", "tokens in", "from the cache", "tokens out", "money")


def rows(spent: Iterable[Spent]) -> list[tuple[str, ...]]:
    """A table's cells in the order of HEADS: a row a specialist, the run's last."""
    return [
        (
            one.who,
            ", ".join(one.models) or "–",
            f"{one.calls:,}",
            f"{one.requests:,}",
            f"{one.tokens.input:,}",
            f"{one.tokens.cached:,}",
            f"{one.tokens.output:,}",
            money(one),
        )
        for one in spent
    ]


def markdown(spent: Iterable[Spent]) -> str:
    """The same as a Markdown table; the numbers to the right."""
    marks = ("---", "---", *["---:"] * (len(HEADS) - 2))
    lines = [HEADS, marks, *rows(spent)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")
