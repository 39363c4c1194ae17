"""A scripted crew: what `perfcrew review` and `perfcrew optimize` ask of a model, answered by rule from the question.

Ids, numbers, endpoints and lines are those that stand in the prompt or in what a tool answered: nothing is canned but
the changes that a script knows (`Known`), and of them only those whose line is in the project. Whatever it writes says
that a script wrote it. It may be made to die half-way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from perfcrew.core.base import Noun, parsed
from perfcrew.core.errors import UsageError
from perfcrew.testing.asked import Asked
from perfcrew.testing.steps import Step, answer, reset, use

SAYS_SO = "(Scripted: a script wrote this, no language model.)"
_EXHIBIT = re.compile(r"^## \d+\. (E-[0-9a-f]{12}) \(([^)\n]+)\)\n<data>\n([^\n]*)\n(.*?)\n</data>", re.DOTALL | re.M)
_SEEN = re.compile(
    r"^- ([A-Z]{2}\d{3}-[0-9a-f]{8})[^\n]*?: <data>at ([^\n]*?)</data> \(evidence ([^;)\n]+)(?:; hypotheses (\d+))?",
    re.M,
)
_COUNTS = ("http_count", "statements_count", "cache_count", "model_count")
_SCORES = {"impact": 3, "evidence": 3, "effort": 4, "risk": 4, "reversibility": 5, "learning": 3}
_KEPT_TOKENS = 1024
"""Shorter beginnings are kept by no provider."""


class Known(Noun):
    """A change that the script knows: `needle` is a line of the project, `instead` what stands there afterwards."""

    specialist: str
    """Who brings it up."""
    endpoint: str
    needle: str
    instead: str
    title: str
    because: str
    metric: str


class Exhibit(NamedTuple):
    """An item of evidence as it stands in a prompt."""

    id: str
    kind: str
    subject: str
    body: dict[str, Any]


class Seen(NamedTuple):
    """A finding as it stands in a prompt."""

    id: str
    endpoint: str
    evidence: list[str]
    hypotheses: int


class Crew:
    """The crew: call it with what was asked. After `dies_after` answers every connection is reset."""

    def __init__(self, known: Sequence[Known] = (), dies_after: int | None = None) -> None:
        self._known, self._dies_after = tuple(known), dies_after
        self._read: list[str] = []
        self.answered = 0

    def __call__(self, asked: Asked) -> Step:
        """What is answered to one request."""
        if self._dies_after is not None and self.answered >= self._dies_after:
            return reset()
        self.answered += 1
        return self._counted(asked, self._step(asked))

    def _step(self, asked: Asked) -> Step:
        charter = re.search(r"^# Your charter: (\S+)", asked.text, re.M)
        who = charter.group(1) if charter else ""
        if who == "patches":
            return answer({"patches": list(_patches(asked.text, self._known))}, tool="PatchAnswer")
        if who == "narrator":
            return answer({"paragraphs": list(_paragraphs(asked.text))}, tool="NarratorAnswer")
        if who == "reviewer":
            return answer({"struck": [], "doubted": _doubts(asked.text)}, tool="ReviewerAnswer")
        return self._investigates(asked, [k for k in self._known if k.specialist == who])

    def _investigates(self, asked: Asked, known: Sequence[Known]) -> Step:
        """Looks for the lines that it knows first; then it says what the prompt and the tools carry."""
        if "search_project" in asked.tools and "(search_project)" not in asked.text:
            words = [k.needle for k in known] or ["def"]
            return use(*(("search_project", {"words": line}) for line in words))
        found = [one for k in known if (one := _finding(asked.text, k)) is not None]
        value = {"doubted": [], "further": _further(asked.text), "findings": found}
        return answer(value, tool="SpecialistAnswer")

    def _counted(self, asked: Asked, step: Step) -> Step:
        """With tokens as they may be: four characters each, and what begins as something read before from the cache."""
        same = max((_alike(asked.text, text) for text in self._read), default=0) // 4
        self._read.append(asked.text)
        said = json.dumps(step.value) if step.do == "answer" else "".join(one.text for one in step.uses)
        return step.model_copy(
            update={
                "tokens_in": len(asked.text) // 4,
                "tokens_out": max(1, len(said) // 4),
                "tokens_cached": same if same >= _KEPT_TOKENS else 0,
            }
        )


def _alike(one: str, other: str) -> int:
    """How many characters both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(one), len(other)))


def read(path: Path, dies_after: int | None = None) -> Crew | None:
    """The crew of a file with the one key `crew`, a list of what it knows; None where it is a script of steps."""
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise UsageError(f"not YAML: {error}", where=str(path), do="correct the line") from None
    if not isinstance(content, dict) or set(content) != {"crew"}:
        return None
    return Crew([parsed(Known, one, str(path)) for one in content["crew"] or ()], dies_after)


def exhibits(text: str) -> list[Exhibit]:
    """The evidence of a prompt, in its order: the costliest first."""
    return [Exhibit(id, kind, subject, _body(body)) for id, kind, subject, body in _EXHIBIT.findall(text)]


def seen(text: str) -> list[Seen]:
    """The findings of a prompt."""
    found = []
    for id, said, evidence, hypotheses in _SEEN.findall(text):
        endpoint = re.search(r" for `([^`]+)`:", said)
        ids = [e.strip() for e in evidence.split(",")]
        found.append(Seen(id, endpoint.group(1) if endpoint else "", ids, int(hypotheses or 0)))
    return found


def _body(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _count(exhibit: Exhibit) -> str:
    """The path of what a traced request has most of; empty where it has none of them."""
    counts = exhibit.body.get("counts") or {}
    most = max(_COUNTS, key=lambda name: counts.get(name) or 0)
    return f"counts.{most}" if counts.get(most) else ""


def _traced(text: str, endpoint: str) -> Exhibit | None:
    return next((e for e in exhibits(text) if (e.kind, e.subject) == ("traces", endpoint) and _count(e)), None)


def _place(text: str, needle: str) -> tuple[str, int] | None:
    """Where a line stands, as the search of the project told it."""
    for file, line, found in re.findall(r"^(\S+\.py):(\d+): (.*)$", text, re.M):
        if found.strip() == needle.strip():
            return file, int(line)
    return None


def _finding(text: str, known: Known) -> dict[str, Any] | None:
    """What it knows as a finding, if its line was found and its endpoint was traced."""
    place, traced = _place(text, known.needle), _traced(text, known.endpoint)
    if place is None or traced is None:
        return None
    first = _hypothesis(known.title, known.because, known.metric, traced.id)
    other = _hypothesis("keep the answer for the length of the request", known.because, known.metric, traced.id)
    third = _hypothesis("ask for less at a time", known.because, known.metric, traced.id)
    return {
        "title": f"Scripted: {known.title}",
        "endpoint": known.endpoint,
        "file": place[0],
        "line": place[1],
        "text": f"{SAYS_SO} `{known.endpoint}` asks {{{{ {traced.id} . {_count(traced)} }}}} times in a request.",
        "evidence": [traced.id],
        "confidence": 0.8,
        "share": None,
        "hypotheses": [first, _lower(other), _lower(third)],
    }


def _hypothesis(change: str, because: str, metric: str, evidence: str) -> dict[str, Any]:
    return {
        "change": f"{change} (scripted)",
        "metric": metric,
        "because": because,
        "evidence": [evidence],
        "kind": "code",
        "recipe": SAYS_SO,
        "scores": _SCORES,
        "trade_offs": "The code is another one to read.",
    }


def _lower(hypothesis: dict[str, Any]) -> dict[str, Any]:
    return {**hypothesis, "scores": {**_SCORES, "impact": 2}}


def _further(text: str) -> list[dict[str, Any]]:
    """A further hypothesis for the first finding that has room for one."""
    roomy = [s for s in seen(text) if s.hypotheses < 6]
    if not roomy:
        return []
    change, because = "measure it again with other data before anything is changed", "growth was seen at few sizes"
    one = _hypothesis(change, because, "latency", roomy[0].evidence[0])
    return [{"finding": roomy[0].id, "hypotheses": [{**one, "kind": "configuration"}]}]


def _doubts(text: str) -> list[dict[str, Any]]:
    """A doubt of the last finding in the list, the least costly."""
    last = seen(text)[-1:]
    reason = f"{SAYS_SO} Where it lies is seen; what a change gains has still to be measured."
    return [{"finding": s.id, "reason": reason, "evidence": s.evidence[:1]} for s in last]


def _paragraphs(text: str) -> Iterator[dict[str, Any]]:
    """The summary by the first latency that was measured, then a sentence about each finding that was traced."""
    held = {e.id: e for e in exhibits(text)}
    known = "p95" if any("p95" in (e.body.get("statistics") or {}) for e in held.values()) else "p50"
    timed = [
        e for e in held.values() if e.body.get("metric") == "latency" and known in (e.body.get("statistics") or {})
    ]
    if not timed:
        yield {"about": "summary", "text": SAYS_SO, "evidence": list(held)[:1]}
    for one in timed[:1]:
        said = f"`{one.subject}` answers within {{{{ {one.id} . statistics.{known}.value }}}} ({known})."
        yield {"about": "summary", "text": f"{SAYS_SO} {said}", "evidence": [one.id]}
    for finding in seen(text):
        own = (held[id] for id in finding.evidence if id in held)
        traced = next((e for e in own if e.kind == "traces" and e.subject == finding.endpoint and _count(e)), None)
        if traced is not None:
            number = f"{{{{ {traced.id} . {_count(traced)} }}}}"
            said = f"{SAYS_SO} A request to `{traced.subject}` asks others {number} times."
            yield {"about": finding.id, "text": said, "evidence": [traced.id]}


def _patches(text: str, known: Sequence[Known]) -> Iterator[dict[str, Any]]:
    """The changes that it knows, for the first hypothesis, where their line stands whole in the source it was given."""
    _, _, sources = text.partition("\n# The source\n")
    for file, source in re.findall(r"^<data>\n(\S+)\n(.*?)\n?</data>", sources, re.DOTALL | re.M):
        for one in known:
            lines = [line for line in source.split("\n") if line.strip() == one.needle.strip()]
            if len(lines) == 1:
                yield _patch(file, lines[0], one)


def _patch(file: str, line: str, known: Known) -> dict[str, Any]:
    """`instead` may have several lines; they are indented as the line was."""
    indent = line[: len(line) - len(line.lstrip())]
    new = "".join(f"{indent}{part}\n" if part.strip() else "\n" for part in known.instead.strip("\n").split("\n"))
    return {
        "hypothesis": "H1",
        "title": f"{known.title} (scripted)",
        "edits": [{"file": file, "old": f"{line}\n", "new": new}],
        "diff": "",
        "metrics": [known.metric],
        "cache_seconds": 0,
        "trade_offs": ["The code is another one to read."],
    }
