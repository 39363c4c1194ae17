"""A model's words turned into prose whose every number is a figure, or the faults that keep them from being that.

Numbers come by reference, `{{ E-1a2b3c4d5e6f . statistics.p95.value }}`, or are written out: then they must be a
rounding of a number in the evidence that the text cites, in a unit of the same kind.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, get_args

from perfcrew.core.errors import LedgerError
from perfcrew.core.evidence import Evidence
from perfcrew.core.numerals import numerals, touching, uncited
from perfcrew.core.prose import Cited, Derivation, Prose, Ref, cite, join, write
from perfcrew.core.resolve import Computed, derived, number_at, numbers_of, stands_for
from perfcrew.core.units import NUMBER, unit_names

NOT_MEASURED = ("findings", "lookup", "exchange", "narrative", "written patches", "frame", "survey", "proposals")
"""Kinds whose numbers somebody chose: a claim that cites one is a claim about a claim."""
_FIELD = r"E-[0-9a-f]{12}\s*\.\s*[\w.]+"
_REFERENCE = re.compile(rf"\{{\{{\s*(?:(share|ratio|difference|sum)\s+)?({_FIELD}(?:[\s,]+{_FIELD})*)\s*\}}\}}")
_ONE = re.compile(r"(E-[0-9a-f]{12})\s*\.\s*([\w.]+)")
_UNIT = "|".join(sorted((re.escape(name) for name in unit_names() if name), key=len, reverse=True))
_SHOWN = re.compile(rf"{NUMBER.pattern}(?:\s?(?:{_UNIT})(?![\w`]))?")
_BARE = re.compile(NUMBER.pattern)
_SIGNED = re.compile(r"(?:^|[\s(])[-−]$")


class Told(NamedTuple):
    """The prose, and what is wrong with it."""

    prose: Prose
    faults: tuple[str, ...]


def told(text: str, cited: Sequence[str], held: Mapping[str, Evidence]) -> Told:
    """The text with its numbers as figures. `cited`: ids of the evidence that it may take them from."""
    faults = [f"there is no evidence {id!r}" for id in cited if id not in held]
    items = {id: held[id] for id in cited if id in held and held[id].kind not in NOT_MEASURED}
    numbers = [one for item in items.values() for one in numbers_of(item)]
    parts, at = [], 0
    for match in _REFERENCE.finditer(text):
        parts.append(_written_out(text[at : match.start()], numbers))
        part, fault = _referred(match, items)
        parts.append(part)
        faults += [fault] if fault else []
        at = match.end()
    prose = join([*parts, _written_out(text[at:], numbers)], "")
    return Told(prose, (*dict.fromkeys(faults), *_left(prose)))


def _left(prose: Prose) -> Iterator[str]:
    if "{{" in prose.text or "}}" in prose.text:
        yield "a reference can't be read: write {{ E-… . field }}, with the id and the path of a number"
    yield from (f"the number {n!r} is not in the cited evidence" for n in dict.fromkeys(uncited(prose)))
    yield from (f"{n!r} is changed by what stands around it" for n in touching(prose))


def _referred(match: re.Match[str], items: Mapping[str, Evidence]) -> tuple[Prose, str]:
    """The figure that a reference gives, or why it gives none."""
    refs = [Ref(evidence=id, field=path.strip(".")) for id, path in _ONE.findall(match.group(2))]
    how: Derivation = next((d for d in get_args(Derivation) if d == match.group(1)), "value")
    try:
        number = derived(how, [number_at(items, ref) for ref in refs])
    except LedgerError as error:
        return Prose(text="·"), f"{match.group(0)}: {error.what}, or the text does not cite it"
    return write("{value}", value=cite(number.value, number.unit, *refs, derivation=how)), ""


def _written_out(text: str, numbers: Sequence[tuple[Ref, Computed]]) -> Prose:
    """Numerals that stand for a cited number become figures; the others stay, and are found to be uncited."""
    parts, at = [], 0
    for digit in numerals(text):
        for start in (digit - 1, digit) if _SIGNED.search(text[:digit]) else (digit,):
            found = _known(text, start, numbers) if start >= at else None
            if found is not None:
                parts += [Prose(text=text[at:start]), write("{value}", value=found)]
                at = start + len(found.shown)
                break
    return join([*parts, Prose(text=text[at:])], "")


def _known(text: str, start: int, numbers: Sequence[tuple[Ref, Computed]]) -> Cited | None:
    for pattern in (_SHOWN, _BARE):
        match = pattern.match(text, start)
        shown = match.group(0).rstrip(",") if match else ""
        for ref, number in numbers if shown else ():
            if stands_for(shown, number.unit, number):
                return Cited(shown=shown, refs=(ref,), unit=number.unit)
    return None
