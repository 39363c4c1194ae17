"""Text in which every number is cited.

A figure stands for one number of the text: it names the evidence and the field it was read from, or a derivation
of several, so that the gate can compute it again and refuse a text that says something else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from perfcrew.core.base import Noun
from perfcrew.core.units import show

Derivation = Literal["value", "ratio", "share", "difference", "sum"]
"""value: the field · ratio: first / second · share: first / second, as a percentage · difference: first − second."""


class Ref(Noun):
    """A number in the ledger: evidence id and dotted path into its body, such as `statistics.p95.value`."""

    evidence: str
    field: str


class Figure(Noun):
    """One number of a text: characters `start` to `end`, what it derives from, and its unit as computed."""

    start: int
    end: int
    refs: tuple[Ref, ...]
    derivation: Derivation = "value"
    unit: str


class Prose(Noun):
    """Plain text (inline code in backticks) and the figures in it."""

    text: str
    figures: tuple[Figure, ...] = ()


class Cited(Noun):
    """A number on its way into a text."""

    shown: str
    refs: tuple[Ref, ...]
    derivation: Derivation = "value"
    unit: str


def cite(value: float, unit: str, *refs: Ref, derivation: Derivation = "value") -> Cited:
    """A number with its unit, ready to be put into a text."""
    return Cited(shown=show(value, unit), refs=refs, derivation=derivation, unit=unit)


_SLOT = re.compile(r"\{(\w+)\}")


def write(template: str, values: Mapping[str, Cited | str] | None = None, /, **more: Cited | str) -> Prose:
    """Fill `{name}` slots: cited numbers become figures, strings are put in as they are.

    Raises KeyError for a slot without a value.
    """
    known = {**(values or {}), **more}
    out, figures, at, length = [], [], 0, 0
    for slot in _SLOT.finditer(template):
        before, value = template[at : slot.start()], known[slot.group(1)]
        shown = value if isinstance(value, str) else value.shown
        out += [before, shown]
        length += len(before)
        if isinstance(value, Cited):
            figures.append(
                Figure(
                    start=length,
                    end=length + len(shown),
                    refs=value.refs,
                    derivation=value.derivation,
                    unit=value.unit,
                )
            )
        length += len(shown)
        at = slot.end()
    out.append(template[at:])
    return Prose(text="".join(out), figures=tuple(figures))


def join(parts: Sequence[Prose], separator: str = " ") -> Prose:
    """One text of several, their figures moved along."""
    text, figures = "", []
    for part in parts:
        if not part.text:
            continue
        if text:
            text += separator
        figures += [f.model_copy(update={"start": f.start + len(text), "end": f.end + len(text)}) for f in part.figures]
        text += part.text
    return Prose(text=text, figures=tuple(figures))
