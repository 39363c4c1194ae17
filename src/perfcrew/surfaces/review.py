"""`perfcrew review` and `perfcrew resume`: runs the graph, shows its progress, says what came out."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path

from perfcrew.core.errors import UsageError
from perfcrew.core.findings import LEVELS
from perfcrew.graphs.context import Wanted
from perfcrew.graphs.run import Outcome, resume, review
from perfcrew.surfaces.display import display
from perfcrew.surfaces.summary import summary
from perfcrew.target.signals import terminating


def command(options: argparse.Namespace) -> int:
    """Review, or go on with a review; the exit code says what came of it."""
    root = Path(options.path).resolve()
    if not root.is_dir():
        raise UsageError(f"no folder {root}", do="name the project's folder")
    outcome = asyncio.run(_carried_out(options, root))
    if options.json:
        print(json.dumps({"event": "result", **outcome.summary()}))
    elif options.quiet:
        print(outcome.folder / "report.md")
    else:
        summary(outcome)
    return exit_code(outcome)


def exit_code(outcome: Outcome) -> int:
    """0 passed and nothing at the level, 1 findings, 3 the gate refused the report or nothing could be seen."""
    if not outcome.passed or outcome.blind:
        return 3
    bar = LEVELS.index(outcome.level)
    found = [f for f in outcome.findings if f.status == "open" and LEVELS.index(f.level) >= bar]
    return 1 if found else 0


async def _carried_out(options: argparse.Namespace, root: Path) -> Outcome:
    out = Path(options.out).resolve() if options.out else None
    with terminating(), display(quiet=options.quiet, as_json=options.json) as tell:
        if hasattr(options, "run"):
            return await resume(root, options.run, tell=tell, out=out)
        print_run = None if options.quiet or options.json else sys.stderr
        return await review(
            root,
            wanted(options),
            profile=options.profile,
            level=options.level,
            budget_s=options.budget,
            tell=tell,
            out=out,
            announce=print_run,
        )


def wanted(options: argparse.Namespace) -> Wanted:
    """The scope and the overrides, as the command line gives them."""
    if options.all + bool(options.base) + bool(options.endpoint) > 1:
        raise UsageError("--all, --base and --endpoint exclude each other", do="give one of them")
    scope = "all" if options.all else "endpoint" if options.endpoint else "changed"
    return Wanted(
        scope=scope,
        base=options.base,
        endpoints=tuple(options.endpoint or ()),
        app=options.app,
        python=options.python,
    )
