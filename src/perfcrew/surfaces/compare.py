"""`perfcrew compare`: two sides measured in turn in one session, and a verdict with what it rests on."""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import sys
from pathlib import Path

from perfcrew.core.comparison import Comparison
from perfcrew.core.errors import UsageError
from perfcrew.experiment.engine import Rules
from perfcrew.experiment.record import record
from perfcrew.experiment.sides import compare_sides
from perfcrew.experiment.wish import Wish
from perfcrew.surfaces.comparison_text import lines
from perfcrew.surfaces.display import display
from perfcrew.target.signals import terminating


def command(options: argparse.Namespace) -> int:
    """Compare and say what came out: 0 not worse, 1 regressed, 3 no verdict."""
    root = Path(options.path).resolve()
    if not root.is_dir():
        raise UsageError(f"no folder {root}", do="name the folder that the sides are run in")
    found = asyncio.run(_carried_out(_wish(options, root), quiet=options.quiet))
    kept = [record(root, comparison) for comparison in found]
    if options.plot:
        from perfcrew.surfaces.comparison_plot import plot

        Path(options.plot).write_text(plot(found), encoding="utf-8")
    _show(options, found, kept)
    return exit_code(found)


async def _carried_out(wish: Wish, quiet: bool) -> list[Comparison]:
    with terminating(), display(quiet=quiet, as_json=False) as tell:
        return await compare_sides(wish, lambda what: tell(_event(what)))


def exit_code(found: list[Comparison]) -> int:
    """3 where any comparison has no verdict, 1 where any regressed, else 0."""
    if any(c.verdict is None for c in found):
        return 3
    return 1 if any(c.verdict == "regressed" for c in found) else 0


def _event(what: str) -> dict[str, object]:
    return {"stage": "compare", "what": what, "done": 0, "total": 0}


def _show(options: argparse.Namespace, found: list[Comparison], kept: list[str]) -> None:
    if options.json:
        shown = [{**c.model_dump(mode="json"), "evidence": id} for c, id in zip(found, kept, strict=True)]
        print(json.dumps(shown[0] if len(shown) == 1 else {"verdict": _worst(found), "comparisons": shown}))
        return
    for comparison, evidence in zip(found, kept, strict=True):
        print("\n".join(lines(comparison)))
        print(f"evidence: {evidence}" + (f", plot: {options.plot}" if options.plot else ""))
    sys.stdout.flush()


def _worst(found: list[Comparison]) -> str | None:
    """Of several comparisons: none where one has none, else regressed, inconclusive, improved, equivalent."""
    verdicts = [c.verdict for c in found]
    if None in verdicts:
        return None
    order = ("regressed", "inconclusive", "improved", "equivalent")
    return next(v for v in order if v in verdicts)


def _wish(options: argparse.Namespace, root: Path) -> Wish:
    seconds = (options.budget, options.timeout)
    if not all(0 < s < math.inf for s in seconds) or not 0 < options.margin < 1 or not 0 < options.error < 0.5:
        raise UsageError("--budget and --timeout are seconds above 0, --margin and --error fractions such as 0.02")
    if options.plot and not Path(options.plot).resolve().parent.is_dir():
        raise UsageError(f"no folder for {options.plot}", do="name a file in a folder that there is")
    return Wish(
        root=root,
        revisions=tuple(options.revisions),
        commands=tuple(options.command_line or ()),
        urls=tuple(options.url or ()),
        callables=tuple(options.callable or ()),
        settings=tuple(options.set or ()),
        scenarios=tuple(options.scenario or ()),
        own_figures=options.metrics == "stdout",
        duet=options.duet,
        answers_may_differ=options.answers_may_differ,
        timeout_s=options.timeout,
        python=options.python,
        app=options.app,
        rules=Rules(margin=options.margin, error=options.error, budget_s=options.budget, seed=options.seed),
    )
