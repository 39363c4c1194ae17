"""Changes that a model writes for the findings, beside those that are written by rule."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from perfcrew.core.errors import UsageError
from perfcrew.core.findings import Finding
from perfcrew.core.patches import Declined, Fix
from perfcrew.core.thinking import WrittenPatch, WrittenPatches
from perfcrew.crew import patches, prompts
from perfcrew.crew.answers import PatchAnswer
from perfcrew.crew.cards import Budget
from perfcrew.crew.desk.files import NOTES, Files
from perfcrew.crew.thinking import Judgement
from perfcrew.graphs import thinking
from perfcrew.graphs.context import Context

BUDGET = Budget(calls=3, tokens=120_000, seconds=180)
_AT_ONCE = 3
_NOTES_CHARACTERS = 4000
_FILE_CHARACTERS = 30_000
_LINES = 120


async def write_patches(context: Context, findings: Sequence[Finding], allow: Sequence[str]) -> None:
    """Ask a model for changes for each finding, a few findings at once; what it wrote is kept before it is tried."""
    if not thinking.thinks(context):
        return
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(finding: Finding) -> None:
        async with gate:
            await _written(context, finding, allow)

    await asyncio.gather(*(one(f) for f in findings if f.hypotheses and not context.has(f"patches/{f.id}")))


async def _written(context: Context, finding: Finding, allow: Sequence[str]) -> None:
    sources = _sources(context, finding)
    if not sources:
        return
    refused: list[str] = []
    names: list[str] = []

    def judge(answer: PatchAnswer, name: str) -> Judgement[list[WrittenPatch]]:
        """What can be tried is taken the second time, whatever is wrong with the rest."""
        taken, faults = patches.judged(context.root, finding, answer, allow)
        again, refused[:] = bool(refused), faults
        names[:] = [name]
        return Judgement(taken, () if again or not faults else tuple(faults))

    prompt = prompts.patching(finding, sources, _conventions(context), context.root)
    taken = await thinking.put(context, f"patches {finding.id}", "deep", prompt, PatchAnswer, judge, BUDGET)
    if taken is None:
        return
    body = WrittenPatches(
        finding=finding.id,
        reasoner=names[0],
        patches=tuple(taken[: patches.MOST]),
        refused=tuple(context.redacted(reason) for reason in refused),
    )
    context.put(f"patches/{finding.id}", body, context.method(names[0]), finding.endpoint or "application")


def _sources(context: Context, finding: Finding) -> dict[str, str]:
    """The files that the finding names, as far as they are the target's own and not endless."""
    files, found = Files(context.root), dict[str, str]()
    for place in (finding.place, finding.trigger):
        if place is None or place.file in found:
            continue
        try:
            text = context.redacted(files.text(place.file))
        except UsageError:
            continue
        found[place.file] = _around(text, place.line)
    return found


def _around(text: str, line: int) -> str:
    """The whole of a file, or of a long one the lines around one."""
    if len(text) <= _FILE_CHARACTERS:
        return text
    return "".join(text.splitlines(keepends=True)[max(0, line - _LINES) : line + _LINES])[: 2 * _FILE_CHARACTERS]


def _conventions(context: Context) -> str:
    files = Files(context.root)
    noted = [context.redacted(files.text(name)) for name in NOTES[:2] if (context.root / name).is_file()]
    return "\n\n".join(noted)[:_NOTES_CHARACTERS] or "(none are written down)"


def variants(context: Context, finding: Finding) -> list[str]:
    """The keys of what a model wrote for a finding, the best first."""
    return [f"{p.hypothesis}/{patches.variant(n)}" for n, p in enumerate(_kept(context, finding), 1)]


def fix(context: Context, finding: Finding, variant: str, allow: Sequence[str], best: Path) -> Fix | Declined | None:
    """What a model wrote under this key, on the best tree so far; None where it wrote none."""
    for number, patch in enumerate(_kept(context, finding), 1):
        if f"{patch.hypothesis}/{patches.variant(number)}" == variant:
            return patches.as_fix(best, finding, patch, number, allow)
    return None


def declined(context: Context, finding: Finding) -> list[Declined]:
    """Why something that a model wrote is not tried."""
    item = context.ledger.slot(context.run, f"patches/{finding.id}")
    refused = item.body.refused if item and isinstance(item.body, WrittenPatches) else ()
    first = finding.hypotheses[0].id if finding.hypotheses else finding.rule
    return [Declined(finding=finding.id, hypothesis=first, reason=reason) for reason in refused]


def _kept(context: Context, finding: Finding) -> tuple[WrittenPatch, ...]:
    item = context.ledger.slot(context.run, f"patches/{finding.id}")
    return item.body.patches if item and isinstance(item.body, WrittenPatches) else ()
