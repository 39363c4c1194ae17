"""Numerals that are names stay, numerals that claim something are found."""

from __future__ import annotations

import pytest

from perfcrew.core.numerals import touching, uncited
from perfcrew.core.prose import Figure, Prose, Ref, cite, write

REF = Ref(evidence="E-0123456789ab", field="counts.rows")


@pytest.mark.parametrize(
    "text",
    [
        "DB101 was seen at p95 in `src/api.py:31`",
        "`GET /v1/books/{id}` answers `404`",
        "the N+1 of 2026-11-21 at 2026-11-21T09:00:00Z",
        "HTTP/1.1, HTTP/2 and UTF-8",
        "see E-0123456789ab, DB101-1a2b3c4d and H2",
        "O(n) and O(log n)",
        "`range(10)` and `LIMIT 50` in the code",
        "one statement, then another two of them",
        "COPY, for many thousands of rows",
        "nineteen of twenty requests stay below it",
        "half of them, and the keys of a hundred",
    ],
)
def test_names_are_not_claims(text: str) -> None:
    assert uncited(Prose(text=text)) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("it takes 12 ms", "12"),
        ("it takes 1,200.5 ms", "1,200.5"),
        ("it takes `12 ms`", "`12 ms`"),
        ("it takes `1200`", "`1200`"),
        ("it takes `404` ms", "`404`"),
        ("it takes `404`", None),
        ("it is 3x faster", "3"),
        ("it is three times faster", "three times"),
        ("it is twice as fast", "twice as"),
        ("fifty percent of it", "fifty percent"),
        ("it sends forty-two statements", "forty-two statements"),
        ("it reads a hundred rows", "hundred rows"),
        ("thousands of small allocations", "thousands of small allocations"),
        ("it doubles the response time", "doubles the response time"),
        ("half of the time", "half of the time"),
        ("it takes `about 4500 ms`", "`about 4500 ms`"),
        ("it takes `≈4500`", "`≈4500`"),
        ("grows as n²", "²"),
        ("½ of it", "½"),
        ("p95 is 3", "3"),
        ("DB1012", "1012"),
        ("between 2026-11-21 and 22", "22"),
        ("٣ statements", "٣"),
    ],
)
def test_claims_are_found(text: str, found: str | None) -> None:
    assert uncited(Prose(text=text)) == ([found] if found else [])


def test_a_cited_number_is_no_claim() -> None:
    prose = write("It sends {n} statements.", n=cite(51, "count", REF))
    assert uncited(prose) == [] and touching(prose) == []


@pytest.mark.parametrize(
    "text", ["-[51]", "1[51]", "[51]3", "[51].5", "[51] ms", "[51] %", "[51] thousand", "~[51]", "[51]k"]
)
def test_what_stands_around_a_figure_may_not_change_it(text: str) -> None:
    start, end = text.index("["), text.index("]") - 1
    prose = Prose(
        text=text.replace("[", "").replace("]", ""), figures=(Figure(start=start, end=end, refs=(REF,), unit="count"),)
    )
    assert touching(prose)


@pytest.mark.parametrize(
    "text", ["[51] statements", "from [51] to", "([51])", "[51], then", "[51].", "41–[51]", "[51] rows", "[51] times"]
)
def test_what_is_harmless_around_a_figure(text: str) -> None:
    start, end = text.index("["), text.index("]") - 1
    prose = Prose(
        text=text.replace("[", "").replace("]", ""), figures=(Figure(start=start, end=end, refs=(REF,), unit="count"),)
    )
    assert not touching(prose)
