"""`perfcrew review` and `perfcrew resume`: runs the graph, shows its progress, says what came out."""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import shlex
import sys
from pathlib import Path

from perfcrew.core.errors import UsageError
from perfcrew.core.findings import LEVELS
from perfcrew.crew.models import offline
from perfcrew.graphs.configured import configured
from perfcrew.graphs.context import Wanted
from perfcrew.graphs.run import Outcome, resume, review
from perfcrew.surfaces.display import display
from perfcrew.surfaces.summary import summary
from perfcrew.target.signals import terminating

_FINDING = re.compile(r"[A-Z]{2}\d{3}(-[0-9a-f]{1,8})?")


def command(options: argparse.Namespace) -> int:
    """Review, or go on with a review; the exit code says what came of it."""
    root = Path(options.path).resolve()
    if not root.is_dir():
        raise UsageError(f"no folder {root}", do="name the project's folder")
    if options.offline:
        offline.enforce()
    begun = _Begun(options)
    try:
        outcome = asyncio.run(_carried_out(options, root, begun))
    except KeyboardInterrupt as interrupt:
        if begun.run:
            interrupt.add_note(f"go on with it: {begun.again}")
        raise
    if options.json:
        print(json.dumps({"event": "result", **outcome.summary()}))
    elif options.quiet:
        print(outcome.folder / "report.md")
    else:
        summary(outcome)
    if getattr(options, "show_prompts", False) and not options.json:
        _print_prompts(outcome)
    if getattr(options, "apply", False):
        _apply(root, outcome)
    return exit_code(outcome)


def _print_prompts(outcome: Outcome) -> None:
    """What a model would have been sent, on standard output; a file each lies beside the report."""
    for file in sorted((outcome.folder / "prompts").glob("*.md")):
        print(f"\n===== {file.stem} ({file})\n")
        print(file.read_text(encoding="utf-8"))


def _apply(root: Path, outcome: Outcome) -> None:
    """Put what was kept into the user's working files; the index stays as it is."""
    from perfcrew.experiment.apply import apply_patch_file

    patch = outcome.folder / "optimize.patch"
    if not patch.is_file():
        print("nothing was kept that holds as a whole, so nothing is applied", file=sys.stderr)
        return
    if not outcome.passed:
        print(f"the gate failed, so nothing is applied; what was kept is in {patch}", file=sys.stderr)
        return
    files = apply_patch_file(root, patch)
    print(f"applied to {root}: {', '.join(files)}", file=sys.stderr)


def exit_code(outcome: Outcome) -> int:
    """0 passed and nothing at the level, 1 findings, 3 the gate refused the report or nothing could be seen."""
    if not outcome.passed or outcome.blind:
        return 3
    bar = LEVELS.index(outcome.level)
    found = [f for f in outcome.findings if f.status == "open" and LEVELS.index(f.level) >= bar]
    return 1 if found else 0


class _Begun:
    """Which run it is, as soon as there is one, and how to go on with it."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self.run: str = getattr(options, "run", "")

    def __call__(self, run: str) -> None:
        self.run = run
        if self._options.json:
            print(json.dumps({"event": "run", "run": run}), flush=True)
        elif not self._options.quiet:
            print(f"run {run} (if it is interrupted: {self.again})", file=sys.stderr)

    @property
    def again(self) -> str:
        words = ["perfcrew", "resume", self.run, *([] if self._options.path == "." else [self._options.path])]
        return shlex.join(words)


async def _carried_out(options: argparse.Namespace, root: Path, begun: _Begun) -> Outcome:
    out = Path(options.out).resolve() if options.out else None
    with terminating(), display(quiet=options.quiet, as_json=options.json) as tell:
        if hasattr(options, "run"):
            return await resume(root, options.run, tell=tell, out=out, thinking=configured(root))
        return await review(
            root,
            wanted(options),
            workflow="optimize" if options.fix else "review",
            profile=options.profile,
            level=options.level,
            budget_s=options.budget,
            tell=tell,
            out=out,
            begun=begun,
            thinking=configured(root),
        )


def wanted(options: argparse.Namespace) -> Wanted:
    """The scope and the overrides, as the command line gives them."""
    if options.all + bool(options.base) + bool(options.endpoint) > 1:
        raise UsageError("--all, --base and --endpoint exclude each other", do="give one of them")
    for id in getattr(options, "findings", ()):
        if not _FINDING.fullmatch(id):
            raise UsageError(f"{id!r} is no finding", do="give a rule's, DB101, or as reported, DB101-1a2b3c4d")
    scope = "all" if options.all else "endpoint" if options.endpoint else "changed"
    return Wanted(
        scope=scope,
        base=options.base,
        endpoints=tuple(options.endpoint or ()),
        app=options.app,
        python=options.python,
        findings=tuple(getattr(options, "findings", ())),
        carry=options.carry,
        show_prompts=getattr(options, "show_prompts", False),
    )
