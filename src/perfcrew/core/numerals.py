"""Which numerals of a text are cited, which are names, and which stand there without evidence.

A numeral outside a figure may only be part of a name:

- inline code in backticks, unless it is nothing but a quantity; a lone status from 100 to 599 is a status
- a rule or finding (`DB101`, `DB101-1a2b3c4d`), an evidence id, a hypothesis (`H2`), a percentile (`p95`)
- an ISO date, with or without a time
- `N+1`, big-O, and the protocol names HTTP/1.1, HTTP/2, UTF-8
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from perfcrew.core.prose import Prose
from perfcrew.core.units import NUMBER, unit_names

_NAMES = re.compile(
    r"""
      \b[A-Z]{2}\d{3}(?:-[0-9a-f]{8})?\b     # rule, finding
    | \bE-[0-9a-f]{12}\b                     # evidence
    | \bH\d{1,2}\b                           # hypothesis
    | \bp\d{2}\b                             # percentile
    | \b\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2})?Z?)?(?![\d-])
    | \bN\+1\b
    | \bO\([^()\d]*\)
    | \bHTTP/(?:1\.[01]|2|3)\b | \bUTF-8\b
    """,
    re.VERBOSE,
)
_CODE = re.compile(r"`([^`\n]*)`")
_NUMERAL = re.compile(r"[\d²³¹¼-¾⁰-₉⅐-ↈ①-⓿❶-➓][\d.,]*")
_UNIT = "|".join(sorted((re.escape(n) for n in unit_names() if n), key=len, reverse=True))
_QUANTITY = re.compile(
    rf"\s*(?:(?:about|around|almost|nearly|over|roughly|some|under)\s+|[~≈<>]\s*)?{NUMBER.pattern}\s*(?:{_UNIT}|k|M)?\s*",
    re.IGNORECASE,
)
_STATUS = re.compile(r"[1-5]\d\d")
_OTHER_UNIT = "|".join(u for u in _UNIT.split("|") if u not in ("rows", "row", "times"))
_UNIT_NEXT = re.compile(rf"\s?(?:{_OTHER_UNIT}|percent|thousand|million|billion|[kM])(?![\w`])")
_BEFORE = re.compile(r"(?:^|[\s(])[-−+~]$|[\d.,]$")
_AFTER = re.compile(r"[.,]?\d")
_TENS = r"(?:(?:thir|four|fif|six|seven|eigh|nine)teen|(?:twen|thir|for|fif|six|seven|eigh|nine)ty)"
_THINGS = (
    r"(?:statements?|quer(?:y|ies)|rows?|requests?|calls?|round trips?|connections?|keys?|objects?|allocations?|"
    r"lookups?|reads?|writes?)"
)
_WORDS = re.compile(
    r"\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|forty|fifty|sixty|seventy|"
    r"eighty|ninety|hundreds?|thousands?|dozens?)[ -](?:times|fold|percent|per cent|(?:milli|micro)?seconds?|minutes?|"
    r"(?:kilo|mega|giga)?bytes?)\b|\b(?:twice|thrice) as\b|"
    rf"(?<!of )\b{_TENS}(?:-[a-z]+)? {_THINGS}\b|"
    rf"(?<!many )\b(?:hundreds?|thousands?|millions?|dozens?)(?: of)?(?: [a-z]+)? {_THINGS}\b|"
    r"\b(?:halves|doubles|triples|quadruples) (?:the|its|their) (?:\w+ )?(?:time|latency|memory|cost|size)\b|"
    r"\b(?:half|a third|a quarter) of (?:the|its|all) (?:\w+ )?(?:time|latency|memory|cost|requests|rows|statements)\b",
    re.IGNORECASE,
)


def uncited(prose: Prose) -> list[str]:
    """The numerals, and the quantities in words, of a text that are neither figures nor parts of names."""
    return list(_uncited(_without_figures(prose)))


@lru_cache(maxsize=4096)
def _uncited(text: str) -> tuple[str, ...]:
    found = list(_quantities_as_code(text))
    text = _CODE.sub(_blank, text)
    found += [m.group(0) for m in _WORDS.finditer(text)]
    text = _NAMES.sub(_blank, text)
    return (*found, *[m.group(0) for m in _NUMERAL.finditer(text)])


def numerals(text: str) -> Iterator[int]:
    """Where numerals begin that are no part of a name, nor of inline code."""
    masked = _NAMES.sub(_blank, _CODE.sub(_blank, text))
    yield from (match.start() for match in _NUMERAL.finditer(masked))


def touching(prose: Prose) -> list[str]:
    """Figures that the text around them turns into other numbers: a sign, more digits, or another unit."""
    found = []
    for figure in prose.figures:
        before, after = prose.text[: figure.start][-2:], prose.text[figure.end :][:12]
        if (before and _BEFORE.search(before)) or (after and (_AFTER.match(after) or _UNIT_NEXT.match(after))):
            found.append(f"{before.strip()}{prose.text[figure.start : figure.end]}{after}".strip())
    return found


def _without_figures(prose: Prose) -> str:
    text = prose.text
    for figure in prose.figures:
        text = text[: figure.start] + "·" * (figure.end - figure.start) + text[figure.end :]
    return text


def _blank(match: re.Match[str]) -> str:
    return "·" * len(match.group(0))


def _quantities_as_code(text: str) -> Iterator[str]:
    for code in _CODE.finditer(text):
        inner, after = code.group(1), text[code.end() :]
        is_status = _STATUS.fullmatch(inner) and not _UNIT_NEXT.match(after)
        if _QUANTITY.fullmatch(inner) and not is_status:
            yield code.group(0)
