"""Prompts: the templates of the room, rendered strictly: a name without a value is an error, never an empty place."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined, TemplateError

from perfcrew import rooms
from perfcrew.core.errors import UsageError
from perfcrew.core.evidence import Evidence, Judgement
from perfcrew.core.findings import Finding
from perfcrew.core.targets import Profile
from perfcrew.crew.answers import answer_schema
from perfcrew.crew.cards import Card
from perfcrew.crew.dossier import dossier

_FENCE = ("<data>", "</data>")


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
) -> str:
    """What a model is asked on behalf of a card: protocol, charter, targets, evidence, the answer's form."""
    template = "reviewer" if card.name == "reviewer" else "specialist"
    shown = dossier(evidence, costliest, budget_characters=card.budget.tokens * 2)
    return render(
        template,
        {
            "card": card,
            "profile": profile,
            "judgements": [{"target": j.target, "subject": j.subject, "outcome": j.outcome} for j in judgements],
            "exhibits": [e.model_copy(update={"text": fence(e.text)}) for e in shown.exhibits],
            "left_out": shown.left_out,
            "seen": [
                f.model_copy(update={"prose": f.prose.model_copy(update={"text": fence(f.prose.text)})}) for f in seen
            ],
            "schema": json.dumps(answer_schema(card), indent=1),
        },
        project,
    )


def fence(text: str) -> str:
    """Text from the target, unable to close the fence it stands in."""
    for mark in _FENCE:
        text = text.replace(mark, mark.replace("<", "‹").replace(">", "›"))
    return text
