"""Reports with one thing changed: false ones, which the gate must refuse, and honest ones, which it must not.

Everything is drawn from a seeded generator, so that a mutant that escapes can be made again by its number.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, NamedTuple

from pydantic import BaseModel

from perfcrew.core.claims import NOT_MEASURED
from perfcrew.core.errors import LedgerError
from perfcrew.core.evidence import Evidence
from perfcrew.core.prose import Figure, Prose
from perfcrew.core.report import Report
from perfcrew.core.resolve import Computed, numbers_of, stands_for
from perfcrew.core.units import names, read
from perfcrew.gate.held import Held, compute

Path = tuple[str | int, ...]


class Mutant(NamedTuple):
    """A changed report, what was done to it, and where."""

    report: Report
    what: str
    where: Path
    text: str


def texts(at: Any, path: Path = ()) -> Iterator[tuple[Path, Prose]]:
    """Every text of a report, with the way to it."""
    if isinstance(at, Prose):
        yield path, at
    elif isinstance(at, BaseModel):
        for name in type(at).model_fields:
            if name not in ("charts", "evidence", "hypotheses"):
                yield from texts(getattr(at, name), (*path, name))
    elif isinstance(at, tuple):
        for n, member in enumerate(at):
            yield from texts(member, (*path, n))


def replaced(at: Any, path: Path, new: Prose) -> Any:
    """A copy in which the text at a path is another one."""
    if not path:
        return new
    if isinstance(at, tuple):
        n = int(path[0])
        return (*at[:n], replaced(at[n], path[1:], new), *at[n + 1 :])
    name = str(path[0])
    return at.model_copy(update={name: replaced(getattr(at, name), path[1:], new)})


def retold(prose: Prose, n: int, shown: str, **changes: Any) -> Prose:
    """The text with its n-th figure shown otherwise, the figures behind it moved along."""
    old = prose.figures[n]
    moved = len(shown) - (old.end - old.start)
    figures = []
    for m, figure in enumerate(prose.figures):
        if m == n:
            figure = figure.model_copy(update={"end": figure.end + moved, **changes})
        elif figure.start >= old.end:
            figure = figure.model_copy(update={"start": figure.start + moved, "end": figure.end + moved})
        figures.append(figure)
    return Prose(text=prose.text[: old.start] + shown + prose.text[old.end :], figures=tuple(figures))


KINDS = ("altered", "invented", "mis-rounded", "wrong unit", "wrong sign", "wrong evidence")
"""What a number can be, and must not be."""


class Mutator:
    """Makes mutants of one report."""

    ways: ClassVar[dict[str, tuple[str, ...]]] = {
        "altered": ("altered", "longer"),
        "invented": ("invented",),
        "mis-rounded": ("misrounded",),
        "wrong unit": ("another_unit",),
        "wrong sign": ("another_sign", "signed_from_outside"),
        "wrong evidence": ("wrong_evidence", "wrong_field", "unknown_evidence", "another_derivation"),
    }

    def __init__(self, report: Report, held: Held, seed: int) -> None:
        self.report, self.held, self.random = report, held, random.Random(seed)
        self.cited = [(path, prose) for path, prose in texts(report) if prose.figures]
        self.sections = [(path, prose) for path, prose in texts(report) if len(prose.text.split()) > 6]

    def false(self, kind: str | None = None) -> Mutant:
        """One report that says something the ledger does not, in one of the six kinds of KINDS."""
        kind = kind or self.random.choice(KINDS)
        while True:
            way = self.random.choice(self.ways[kind])
            if way == "invented":
                return self.invented()
            path, prose = self.random.choice(self.cited)
            n = self.random.randrange(len(prose.figures))
            new: Prose | None = getattr(self, way)(prose, n)
            if new is not None and new != prose:
                return Mutant(replaced(self.report, path, new), way, path, new.text)

    def honest(self) -> Mutant:
        """The report with some of its numbers rounded to other digits, or in other units."""
        report, where, said = self.report, (), ""
        own = [(p, t) for p, t in self.cited if "finding" not in p]
        for path, prose in self.random.sample(own, 3):
            for n in range(len(prose.figures)):
                prose = self.rounded(prose, n)
            report, where, said = replaced(report, path, prose), path, prose.text
        return Mutant(report, "rounded", where, said)

    def rounded(self, prose: Prose, n: int) -> Prose:
        figure = prose.figures[n]
        value = compute(figure, self.held).value
        name, factor = self.random.choice(sorted(names(figure.unit).items()))
        scaled, digits = value / factor, self.random.randint(2, 4)
        places = max(0, digits - 1 - math.floor(math.log10(abs(scaled)))) if scaled else 0
        grouping = self.random.choice(("", ","))
        return retold(prose, n, f"{scaled:{grouping}.{places}f} {name}".rstrip())

    def _false(self, shown: str, figure: Figure) -> bool:
        """Whether a text does not stand for what its figure comes to."""
        try:
            value = compute(figure, self.held).value
        except LedgerError:
            return True
        number = read(shown, figure.unit)
        return number is None or not number.stands_for(value)

    def _shown(self, prose: Prose, n: int) -> str:
        return prose.text[prose.figures[n].start : prose.figures[n].end]

    def altered(self, prose: Prose, n: int) -> Prose | None:
        shown = self._shown(prose, n)
        at = self.random.choice([m.start() for m in re.finditer(r"\d", shown)])
        new = shown[:at] + self.random.choice("0123456789") + shown[at + 1 :]
        return retold(prose, n, new) if self._false(new, prose.figures[n]) else None

    def misrounded(self, prose: Prose, n: int) -> Prose | None:
        shown = self._shown(prose, n)
        digits = re.match(r"-?[\d,]*(?:\.(\d+))?", shown)
        assert digits is not None
        places = len(digits.group(1) or "")
        number = float(digits.group(0).replace(",", ""))
        step = self.random.choice((-1, 1)) * 10**-places
        new = f"{number + step:,.{places}f}{shown[digits.end() :]}"
        return retold(prose, n, new) if self._false(new, prose.figures[n]) else None

    def another_unit(self, prose: Prose, n: int) -> Prose | None:
        shown = self._shown(prose, n)
        number = re.match(r"-?[\d,.]+", shown)
        assert number is not None
        new = f"{number.group(0)} {self.random.choice(('ms', 's', 'µs', 'min', 'kB', 'MB', '%', '×', '/s', 'fps'))}"
        return retold(prose, n, new) if self._false(new, prose.figures[n]) else None

    def another_sign(self, prose: Prose, n: int) -> Prose | None:
        new = self.random.choice("-−") + self._shown(prose, n).lstrip("-−")
        return retold(prose, n, new) if self._false(new, prose.figures[n]) else None

    def signed_from_outside(self, prose: Prose, n: int) -> Prose | None:
        """A sign that stands before the figure, which itself stays right."""
        start = prose.figures[n].start
        sign = self.random.choice(("-", "−", "~"))
        figures = tuple(
            f.model_copy(update={"start": f.start + 1, "end": f.end + 1}) if f.start >= start else f
            for f in prose.figures
        )
        return Prose(text=prose.text[:start] + sign + prose.text[start:], figures=figures)

    def longer(self, prose: Prose, n: int) -> Prose | None:
        """More behind the figure, which itself stays right."""
        end = prose.figures[n].end
        more = self.random.choice(("0", ".5", ",000", " thousand", " million", "9"))
        figures = tuple(
            f.model_copy(update={"start": f.start + len(more), "end": f.end + len(more)}) if f.start >= end else f
            for f in prose.figures
        )
        return Prose(text=prose.text[:end] + more + prose.text[end:], figures=figures)

    def wrong_evidence(self, prose: Prose, n: int) -> Prose | None:
        """The same field of another item: of another endpoint, or with another number."""
        figure = prose.figures[n]
        right = self.held.items[figure.refs[0].evidence]
        item = self.random.choice(
            [e for e in self.held.items.values() if e.kind == right.kind and e.id != right.id] or [right]
        )
        ref = figure.refs[0].model_copy(update={"evidence": item.id})
        new = figure.model_copy(update={"refs": (ref, *figure.refs[1:])})
        if item.subject == right.subject and not self._false(self._shown(prose, n), new):
            return None  # the same was measured twice: it is no lie
        return self._cite(prose, n, ref)

    def wrong_field(self, prose: Prose, n: int) -> Prose | None:
        figure = prose.figures[n]
        fields = ("statistics.p50.value", "statistics.p95.high", "count", "runs", "counts.rows", "counts.request_ms")
        new = figure.model_copy(
            update={"refs": (figure.refs[0].model_copy(update={"field": self.random.choice(fields)}), *figure.refs[1:])}
        )
        return self._cite(prose, n, new.refs[0]) if self._false(self._shown(prose, n), new) else None

    def unknown_evidence(self, prose: Prose, n: int) -> Prose | None:
        figure = prose.figures[n]
        known = figure.refs[0].evidence
        wrong = self.random.choice((known[:-1], f"E-{self.random.randrange(16**12):012x}", known.upper(), ""))
        return self._cite(prose, n, figure.refs[0].model_copy(update={"evidence": wrong}))

    def another_derivation(self, prose: Prose, n: int) -> Prose | None:
        figure = prose.figures[n]
        other = self.random.choice(("value", "ratio", "share", "difference", "sum"))
        new = figure.model_copy(update={"derivation": other})
        if not self._false(self._shown(prose, n), new):
            return None
        return retold(prose, n, self._shown(prose, n), derivation=other)

    def _cite(self, prose: Prose, n: int, ref: Any) -> Prose | None:
        figure = prose.figures[n]
        if ref == figure.refs[0]:
            return None
        return retold(prose, n, self._shown(prose, n), refs=(ref, *figure.refs[1:]))

    def invented(self) -> Mutant:
        """A number that nobody measured, put into a text."""
        path, prose = self.random.choice(self.sections)
        claim = self.random.choice(
            (
                " It is {} ms slower.",
                " That is {} %.",
                " `{} ms` in all.",
                " It runs {} times.",
                " Twice as slow.",
                " {}x.",
            )
        ).format(self.random.randrange(2, 999))
        return Mutant(
            replaced(self.report, path, Prose(text=prose.text + claim, figures=prose.figures)), "invented", path, claim
        )


class Written(NamedTuple):
    """A sentence as a narrator writes it, and the item that it says its numbers are from."""

    cited: str
    text: str


class Writer:
    """Writes sentences with one number of one item, right or wrong, by reference or with its own numeral."""

    def __init__(self, items: Mapping[str, Evidence], seed: int) -> None:
        self.random = random.Random(seed)
        self.known = {id: list(numbers_of(e)) for id, e in items.items() if e.kind not in NOT_MEASURED}
        self.items = [id for id, numbers in self.known.items() if numbers]

    def number(self) -> tuple[str, str, Computed]:
        id = self.random.choice(self.items)
        ref, number = self.random.choice(self.known[id])
        return id, ref.field, number

    def shown(self, number: Computed, more: float = 0.0) -> str:
        """The number in one of its units, rounded to two to four digits; `more` steps of the last one are added."""
        name, factor = self.random.choice(sorted(names(number.unit).items()))
        scaled, digits = number.value / factor, self.random.randint(2, 4)
        places = max(0, digits - 1 - math.floor(math.log10(abs(scaled)))) if scaled else 0
        scaled += more * 10.0**-places
        return f"{scaled:{self.random.choice(('', ','))}.{places}f} {name}".rstrip()

    def honest(self) -> Written:
        id, path, number = self.number()
        if self.random.random() < 0.3:
            return Written(id, f"It is {{{{ {id} . {path} }}}} here.")
        return Written(id, f"It is {self.shown(number)} here.")

    def false(self, kind: str, by_reference: bool = True) -> Written:
        """A number that no field of the cited item gives, in that unit or another, or that another item has.

        `by_reference`: also references that lead nowhere, which are a fault before there is a number to be refused.
        """
        while True:
            id, path, number = self.number()
            if by_reference and kind == "wrong evidence" and self.random.random() < 0.3:
                wrong = self.random.choice((f"{id} . {path}x", f"E-{self.random.randrange(16**12):012x} . {path}"))
                return Written(id, f"It is {{{{ {wrong} }}}} here.")
            cited = self.random.choice(self.items) if kind == "wrong evidence" else id
            shown = self._false(kind, number)
            if not self._true(cited, shown):
                return Written(cited, f"It is {shown} here.")

    def _false(self, kind: str, number: Computed) -> str:
        shown, choice = self.shown(number), self.random.choice
        if kind == "altered":
            return shown.replace(choice("123456789"), choice("123456789"), 1)
        if kind == "mis-rounded":
            return self.shown(number, choice((-1.0, 1.0)))
        if kind == "wrong unit":
            return f"{shown.split()[0]} {choice(('ms', 's', 'min', 'kB', 'MB', '%', '×', '/s', 'fps'))}"
        if kind == "wrong sign":
            return f"{choice('-−')}{shown.lstrip('-−')}"
        if kind == "invented":
            return f"{self.random.randrange(2, 99_999) / 7:.3f} {choice(('ms', 'rows', '%', ''))}".strip()
        return shown

    def _true(self, id: str, shown: str) -> bool:
        """Rows are counted as everything else is: what is counted a text says in words, which no gate can read."""
        same = (shown, shown.removesuffix(" rows").removesuffix(" row"))
        return any(stands_for(one, number.unit, number) for one in same for _, number in self.known[id])
