"""Prompts: the templates of the room, rendered strictly: a name without a value is an error, never an empty place."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined, TemplateError

from perfcrew import rooms
from perfcrew.core.base import Noun
from perfcrew.core.errors import UsageError
from perfcrew.core.evidence import Evidence, Frame, Judgement
from perfcrew.core.findings import Finding
from perfcrew.core.targets import Profile
from perfcrew.crew.answers import NarratorAnswer, PatchAnswer, form
from perfcrew.crew.cards import LEDGER, Card
from perfcrew.crew.dossier import dossier
from perfcrew.crew.fence import fence
from perfcrew.crew.thinking import Prompt
from perfcrew.instruments.manifests import manifest

_NARRATOR_TOKENS = 10_000


def render(name: str, values: dict[str, Any], project: Path | None = None) -> str:
    """The prompt `prompts/NAME.md.j2` with its values. UsageError where one is missing or the template is wrong."""
    environment = Environment(
        loader=FunctionLoader(lambda file: rooms.read(f"prompts/{file}", project)),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    try:
        return environment.get_template(f"{name}.md.j2").render(values)
    except TemplateError as error:
        raise UsageError(
            f"the prompt can't be rendered: {error}", where=f"prompts/{name}.md.j2", do="correct it"
        ) from None


def question(
    card: Card,
    profile: Profile,
    judgements: Sequence[Judgement],
    evidence: Sequence[Evidence],
    seen: Sequence[Finding],
    costliest: Sequence[str] = (),
    project: Path | None = None,
    frame: Frame | None = None,
) -> Prompt:
    """What a model is asked on behalf of a card: protocol and form, then the charter and all that belongs to it.

    What the user said in `frame` is fenced as data, like everything that the project says.
    """
    template = "reviewer" if card.name == "reviewer" else "specialist"
    values = {
        "card": card,
        "instruments": [manifest(tool, project) for tool in card.tools if tool != LEDGER],
        "profile": profile,
        "purpose": _purpose(frame),
        "judgements": [{"target": j.target, "subject": fence(j.subject), "outcome": j.outcome} for j in judgements],
        **_exhibits(evidence, costliest, card.budget.evidence),
        "seen": [_fenced(finding) for finding in seen],
    }
    return Prompt(system(form(card), project), render(template, values, project))


def _purpose(frame: Frame | None) -> dict[str, object] | None:
    """The user's words; None where there are none."""
    if frame is None or not (frame.context or frame.constraints):
        return None
    must = [fence(one) for one in frame.constraints]
    return {"metric": fence(frame.primary_metric), "context": fence(frame.context), "constraints": must}


def narration(findings: Sequence[Finding], evidence: Sequence[Evidence], project: Path | None = None) -> Prompt:
    """What the narrator is asked: the findings that stand, and the evidence that they cite."""
    values = {"seen": [_fenced(f) for f in findings], **_exhibits(evidence, (), _NARRATOR_TOKENS)}
    return Prompt(system(NarratorAnswer, project), render("narrator", values, project))


def patching(finding: Finding, sources: Mapping[str, str], conventions: str, project: Path | None = None) -> Prompt:
    """What a model is asked for a change: the finding, its hypotheses, the source as it is (`file` → text)."""
    files = [{"file": fence(name), "text": fence(text)} for name, text in sources.items()]
    values = {"finding": _fenced(finding), "sources": files, "conventions": fence(conventions)}
    return Prompt(system(PatchAnswer, project), render("patch", values, project))


def system(answer: type[Noun], project: Path | None = None) -> str:
    """The part that is the same for all who answer in one form, so that providers keep it."""
    return render("system", {"schema": json.dumps(answer.model_json_schema())}, project)


def _exhibits(evidence: Sequence[Evidence], costliest: Sequence[str], budget_tokens: int) -> dict[str, Any]:
    shown = dossier(evidence, costliest, budget_tokens)
    return {
        "exhibits": [e.model_copy(update={"text": fence(e.text), "subject": fence(e.subject)}) for e in shown.exhibits],
        "left_out": shown.left_out,
        "left_kinds": shown.left_kinds,
    }


def _fenced(finding: Finding) -> Finding:
    """The finding with every text of the target's unable to leave its fence."""
    place = finding.place.model_copy(
        update={"file": fence(finding.place.file), "function": fence(finding.place.function)}
    )
    hypotheses = tuple(
        h.model_copy(update={"change": fence(h.change), "because": fence(h.because)}) for h in finding.hypotheses
    )
    changed = {
        "prose": finding.prose.model_copy(update={"text": fence(finding.prose.text)}),
        "endpoint": fence(finding.endpoint) if finding.endpoint else None,
        "place": place,
        "hypotheses": hypotheses,
    }
    return finding.model_copy(update=changed)
