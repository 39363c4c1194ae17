"""What a model answered, held against the ledger: turned into findings, or sent back with the exact faults.

A model proposes. It can add findings that the evidence carries, and doubt others; it can't make a rule's finding
disappear, choose a number, or cite what is not there. What it objects to stands in the report as its objection.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from perfcrew.core.claims import NOT_MEASURED, told
from perfcrew.core.errors import LedgerError, UsageError
from perfcrew.core.evidence import Evidence, Findings
from perfcrew.core.findings import PROPOSED, Finding, Hypothesis, Level, Share, is_proposed
from perfcrew.core.founded import unfounded
from perfcrew.core.metrics import METRICS
from perfcrew.core.numerals import uncited
from perfcrew.core.prose import Prose, Ref
from perfcrew.core.resolve import number_at
from perfcrew.core.web import Place
from perfcrew.crew.answers import (
    Doubt,
    Further,
    ProposedFinding,
    ProposedHypothesis,
    ReviewerAnswer,
    SpecialistAnswer,
)
from perfcrew.crew.cards import Card
from perfcrew.crew.desk.files import Files
from perfcrew.crew.rulebook import DOUBTFUL

FEWEST, MOST = 3, 6
"""Hypotheses for each bottleneck."""
_MARKUP = re.compile(
    r"<\s*/?\s*[a-zA-Z!]|!\[|\]\s?[(\[:]|javascript:|mailto:|\w://|\bwww\.|(?<![\w`.])@[a-zA-Z]|\\`", re.IGNORECASE
)
"""HTML, links of every kind, images, addresses, somebody who would be called, and a backtick that is none."""
_CODE = re.compile(r"^```[^`\n]*\n.*?^```[ \t]*$|(?<![`\\])`[^`\n]+`(?!`)", re.DOTALL | re.MULTILINE)
"""What every reader of Markdown takes for code: fences on lines of their own, and spans of one backtick."""
_PROMISE = re.compile(
    r"\d\s?(?:%|percent|per cent|×|x\b|times|-?fold)|\b(?:halv|doubl|trebl|quarter)(?:es|ing|e)\b"
    r"|\b(?:twice|half|thrice) (?:as|the)\b",
    re.IGNORECASE,
)
"""How much better it gets: a number of the change itself, such as a page's size, is none."""
_REFERENCE = re.compile(r"\s*(?:\{\{)?\s*(E-[0-9a-f]{12})\s*\.\s*([\w.]+?)\s*(?:\}\})?\s*")
LONGEST = 1200
_RECIPE = 4000


class Judged(NamedTuple):
    """What came of an answer, or what is wrong with it."""

    findings: Findings | None
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bench:
    """What an answer is held against."""

    card: Card
    reasoner: str
    held: Mapping[str, Evidence]
    endpoints: frozenset[str]
    files: Files
    limits: Mapping[str, float]
    faults: list[str] = field(default_factory=list)

    def fault(self, where: str, what: str) -> None:
        self.faults.append(f"{where}: {what}")

    def prose(self, where: str, text: str, cited: Sequence[str]) -> Prose:
        """The text with figures; its faults are noted."""
        if not text.strip():
            self.fault(where, "is empty")
        if len(text) > LONGEST:
            self.fault(where, f"is longer than {LONGEST} characters")
        if has_markup(text):
            self.fault(where, "holds markup or an address: write plain words")
        said = told(text, cited, self.held)
        for what in said.faults:
            self.fault(where, what)
        return said.prose


def has_markup(text: str) -> bool:
    """Whether a text holds HTML, a link, an image or an address outside of its code."""
    return _MARKUP.search(_CODE.sub("", text)) is not None


def promises(text: str) -> str:
    """The first words outside of code that say how much a change gains; empty where none do."""
    found = _PROMISE.search(_CODE.sub("", text))
    return found.group(0) if found else ""


def specialist(bench: Bench, answer: SpecialistAnswer, recognised: Sequence[Finding]) -> Judged:
    """What a specialist concludes: its rules' findings, doubted or with further hypotheses, and its own."""
    own = {f.id: f for f in recognised if f.rule in bench.card.rules}
    objections = _doubts(bench, "doubted", answer.doubted, own)
    for n, further in enumerate(answer.further):
        _extend(bench, f"further[{n}]", further, own)
    found = [_finding(bench, f"findings[{n}]", proposed) for n, proposed in enumerate(answer.findings)]
    for finding in found:
        if finding is not None:
            own.setdefault(finding.id, finding)
    return _judged(bench, tuple(own.values()), objections)


def reviewer(bench: Bench, answer: ReviewerAnswer, ranked: Sequence[Finding]) -> Judged:
    """What stands after the review. A rule's finding is at most doubted; a model's is struck where it is refuted."""
    standing = {f.id: f for f in ranked}
    objections = _doubts(bench, "doubted", answer.doubted, standing)
    struck = {d.finding for d in answer.struck if d.finding in standing and is_proposed(standing[d.finding])}
    objections += _doubts(bench, "struck", answer.struck, standing)
    return _judged(bench, tuple(f for f in standing.values() if f.id not in struck), objections)


def _judged(bench: Bench, findings: tuple[Finding, ...], objections: Sequence[str]) -> Judged:
    if bench.faults:
        return Judged(None, tuple(dict.fromkeys(bench.faults)))
    body = Findings(
        specialist=bench.card.name,
        reasoner=bench.reasoner,
        findings=findings,
        questions=(bench.card.question,),
        objections=tuple(objections),
    )
    return Judged(body)


def _doubts(bench: Bench, name: str, doubts: Sequence[Doubt], findings: dict[str, Finding]) -> list[str]:
    """Objections in words, their numbers filled in; what is doubted loses confidence, and never its place."""
    objections = []
    for n, doubt in enumerate(doubts):
        where = f"{name}[{n}]"
        if doubt.finding not in findings:
            bench.fault(f"{where}.finding", f"there is no finding {doubt.finding!r}")
            continue
        _cites(bench, f"{where}.evidence", doubt.evidence)
        prose = bench.prose(f"{where}.reason", doubt.reason, doubt.evidence)
        finding = findings[doubt.finding]
        confidence = max(min(DOUBTFUL, finding.confidence), round(finding.confidence * 0.8, 3))
        findings[finding.id] = finding.model_copy(update={"confidence": confidence})
        objections.append(f"{finding.id}: {prose.text} ({', '.join(doubt.evidence)})")
    return objections


def _cites(bench: Bench, where: str, ids: Sequence[str]) -> None:
    for unknown in (id for id in ids if id not in bench.held):
        bench.fault(where, f"there is no evidence {unknown!r}")
    if not any(id in bench.held and bench.held[id].kind not in NOT_MEASURED for id in ids):
        bench.fault(where, "cites nothing that was measured")


def _extend(bench: Bench, where: str, further: Further, findings: dict[str, Finding]) -> None:
    finding = findings.get(further.finding)
    if finding is None:
        bench.fault(f"{where}.finding", f"there is no finding {further.finding!r} in your field")
        return
    if len(finding.hypotheses) + len(further.hypotheses) > MOST:
        bench.fault(f"{where}.hypotheses", f"with those that it has they are more than {MOST}")
    more = _hypotheses(bench, where, further.hypotheses, len(finding.hypotheses))
    findings[finding.id] = finding.model_copy(update={"hypotheses": (*finding.hypotheses, *more)})


def _hypotheses(bench: Bench, where: str, proposed: Sequence[ProposedHypothesis], after: int) -> tuple[Hypothesis, ...]:
    """The hypotheses, the best first, numbered on. What a change would gain is measured, and never promised."""
    ordered = sorted(enumerate(proposed), key=lambda one: -one[1].scores.total)
    return tuple(
        _hypothesis(bench, f"{where}.hypotheses[{n}]", f"H{after + number}", one)
        for number, (n, one) in enumerate(ordered, 1)
    )


def _hypothesis(bench: Bench, where: str, id: str, one: ProposedHypothesis) -> Hypothesis:
    _cites(bench, f"{where}.evidence", one.evidence)
    if one.metric not in METRICS:
        bench.fault(f"{where}.metric", f"{one.metric!r} is none of {', '.join(METRICS)}")
    if not all(1 <= value <= 5 for value in one.scores.model_dump().values()):
        bench.fault(f"{where}.scores", "each is 1 to 5")
    because = bench.prose(f"{where}.because", one.because, one.evidence)
    if because.figures:
        bench.fault(f"{where}.because", "says numbers: they belong into the finding's text")
    for name in ("change", "trade_offs"):
        _words(bench, f"{where}.{name}", getattr(one, name))
    for name in ("change", "trade_offs", "recipe"):
        if promised := promises(getattr(one, name)):
            bench.fault(f"{where}.{name}", f"promises {promised!r}: what it gains is measured")
    if len(one.recipe) > _RECIPE or has_markup(one.recipe):
        bench.fault(f"{where}.recipe", f"plain Markdown without HTML and addresses, at most {_RECIPE} characters")
    return Hypothesis(
        id=id,
        change=one.change,
        metric=one.metric,
        improvement=None,
        because=because.text,
        kind=one.kind,
        recipe=one.recipe,
        scores=one.scores,
        trade_offs=one.trade_offs,
    )


def _words(bench: Bench, where: str, text: str) -> None:
    if not text.strip() or len(text) > LONGEST or has_markup(text):
        bench.fault(where, f"plain words, at most {LONGEST} characters")


def _finding(bench: Bench, where: str, one: ProposedFinding) -> Finding | None:
    _cites(bench, f"{where}.evidence", one.evidence)
    if one.endpoint is not None and one.endpoint not in bench.endpoints:
        bench.fault(f"{where}.endpoint", f"{one.endpoint!r} is none; null is the application as a whole")
    if not 0 <= one.confidence <= 1:
        bench.fault(f"{where}.confidence", "is a fraction from 0 to 1")
    if not FEWEST <= len(one.hypotheses) <= MOST:
        bench.fault(f"{where}.hypotheses", f"{FEWEST} to {MOST} for each finding")
    _words(bench, f"{where}.title", one.title)
    if uncited(Prose(text=one.title)):
        bench.fault(f"{where}.title", "says a number: it belongs into the text")
    place = _place(bench, where, one)
    share = _share(bench, where, one)
    prose = bench.prose(f"{where}.text", one.text, one.evidence)
    hypotheses = _hypotheses(bench, where, one.hypotheses, 0)
    if place is None:
        return None
    finding = Finding(
        rule=_rule(bench.card),
        title=one.title,
        level=_level(share),
        endpoint=one.endpoint,
        place=place,
        prose=prose,
        evidence=one.evidence,
        share=share,
        confidence=round(min(1.0, max(0.0, one.confidence)), 3),
        subject=re.sub(r"\W+", " ", one.title.lower()).strip(),
        hypotheses=hypotheses,
    )
    cited = [bench.held[id] for id in one.evidence if id in bench.held]
    for reason in unfounded(finding, cited, bench.limits):
        bench.fault(where, reason)
    return finding


def _rule(card: Card) -> str:
    """`DB900` of the database's specialist: what no rule recognised."""
    return f"{card.rules[0][:2] if card.rules else 'CR'}{PROPOSED}"


def _level(share: Share | None) -> Level:
    if share is None or share.fraction < 0.2:
        return "low"
    return "high" if share.fraction >= 0.5 else "medium"


def _share(bench: Bench, where: str, one: ProposedFinding) -> Share | None:
    """The fraction that the reference leads to: a model names where it stands, never how large it is."""
    if one.share is None:
        return None
    match = _REFERENCE.fullmatch(one.share)
    ref = Ref(evidence=match.group(1), field=match.group(2)) if match else None
    cited = {id: bench.held[id] for id in one.evidence if id in bench.held and bench.held[id].kind not in NOT_MEASURED}
    try:
        number = number_at(cited, ref) if ref else None
    except LedgerError as error:
        bench.fault(f"{where}.share", error.what)
        return None
    if ref is None or number is None or number.unit != "fraction" or not 0 <= number.value <= 1:
        bench.fault(f"{where}.share", "is the reference `E-… . field` to a fraction in the cited evidence, or null")
        return None
    return Share(fraction=number.value, basis=f"the share that {ref.evidence} has for it")


def _place(bench: Bench, where: str, one: ProposedFinding) -> Place | None:
    try:
        text = bench.files.text(one.file)
    except UsageError as error:
        bench.fault(f"{where}.file", error.what)
        return None
    if not 1 <= one.line <= len(text.splitlines()):
        bench.fault(f"{where}.line", f"{one.file} has {len(text.splitlines())} lines")
        return None
    return Place(file=one.file, line=one.line, function=function_at(text, one.line) if one.file.endswith(".py") else "")


def function_at(text: str, line: int) -> str:
    """The innermost function that a line stands in, empty where it stands in none or the text does not parse."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return ""
    return max(_around(tree, line), default=(0, ""))[1]


def _around(tree: ast.AST, line: int) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.lineno <= line <= (node.end_lineno or 0):
            yield node.lineno, node.name
