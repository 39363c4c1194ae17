"""What models were asked, what it took, and what the narrator wrote, its references filled in."""

from __future__ import annotations

from collections.abc import Sequence

from perfcrew.core.claims import told
from perfcrew.core.evidence import Evidence, Failure
from perfcrew.core.prose import Cited, Prose, cite, join, write
from perfcrew.core.report import FindingSection, Thought
from perfcrew.core.thinking import Exchange, Narrative
from perfcrew.report.book import Book, figure, number, quote, ref

SUMMARY = "summary"
REFUSED = "the narrator's text"
"""What a failure is called that takes the narrator's text out of the report."""


def written(book: Book) -> Narrative | None:
    """What the narrator wrote, unless the gate refused it."""
    item = book.first("narrative")
    refused = any(isinstance(e.body, Failure) and e.body.what == REFUSED for e in book.of("failure"))
    return item.body if item and isinstance(item.body, Narrative) and not refused else None


def paragraph(book: Book, narrative: Narrative | None, about: str) -> Prose:
    """The narrator's text about something; empty where there is none. A numeral that does not resolve stays bare."""
    found = next((p for p in narrative.paragraphs if p.about == about), None) if narrative else None
    held = {e.id: e for e in book.items}
    return told(found.text.strip(), found.evidence, held).prose if found else Prose(text="")


def narrated(book: Book, sections: Sequence[FindingSection], narrative: Narrative | None) -> tuple[FindingSection, ...]:
    """The sections with what the narrator wrote about each."""
    if narrative is None:
        return tuple(sections)
    return tuple(s.model_copy(update={"narrative": paragraph(book, narrative, s.finding.id)}) for s in sections)


def thought(book: Book) -> tuple[Thought, ...]:
    """Everybody for whom a model was asked, in that order."""
    return tuple(_thought(e, e.body) for e in book.of("exchange") if isinstance(e.body, Exchange))


def _thought(item: Evidence, body: Exchange) -> Thought:
    return Thought(
        who=body.who,
        reasoner=body.reasoner,
        evidence=item.id,
        answered=body.answered,
        why=None if body.answered else quote(item, "why"),
        sent_back=tuple(quote(item, f"sent_back.{n}") for n in range(len(body.sent_back))),
        limit=body.limit,
        calls=figure(number(item, "calls_count")),
        requests=figure(number(item, "requests_count")),
        tokens_in=_tokens(item, body, "input_tokens_count"),
        tokens_cached=figure(number(item, "cached_tokens_count")),
        tokens_out=_tokens(item, body, "output_tokens_count"),
        cost=Prose(text="price not known") if body.cost_usd is None else figure(number(item, "cost_usd")),
    )


def _tokens(item: Evidence, body: Exchange, name: str) -> Prose:
    """As the provider counted them; about so many where it counted none."""
    return write("about {n}" if body.estimated else "{n}", n=number(item, name))


def spent(book: Book) -> Prose:
    """What all of them took together; empty where none was asked."""
    items = [(e, e.body) for e in book.of("exchange") if isinstance(e.body, Exchange)]
    if not items:
        return Prose(text="")
    took = write(
        "In all: {calls} calls, {read} tokens in and {wrote} out.",
        calls=_sum(items, "calls_count", "count"),
        read=_sum(items, "input_tokens_count", "count"),
        wrote=_sum(items, "output_tokens_count", "count"),
    )
    priced = [(e, b) for e, b in items if b.cost_usd is not None]
    paid = write("It cost {paid}.", paid=_sum(priced, "cost_usd", "usd")) if priced else Prose(text="")
    without = Prose(text="The price of some of it is not known." if len(priced) < len(items) else "")
    return join([took, paid, without])


def _sum(items: Sequence[tuple[Evidence, Exchange]], name: str, unit: str) -> Cited:
    total = sum(float(getattr(body, name)) for _, body in items)
    return cite(total, unit, *[ref(item, name) for item, _ in items], derivation="sum")
