"""Runs a workflow from its first node, or from where it was killed, and gathers what came out."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from perfcrew import settings as settings_room
from perfcrew.core.base import parsed
from perfcrew.core.evidence import Run
from perfcrew.core.findings import Finding, Level
from perfcrew.core.report import Report
from perfcrew.crew import cards
from perfcrew.crew.thinking import Thinking
from perfcrew.experiment.worktrees import refuse_unfit
from perfcrew.graphs import thinking as crew
from perfcrew.graphs.budget import Budget
from perfcrew.graphs.conclude import publish_report
from perfcrew.graphs.context import Context, Wanted, workspace
from perfcrew.graphs.progress import Tell
from perfcrew.graphs.state import SCHEMA_VERSION, State
from perfcrew.graphs.steps.traced import BLIND, UNHEARD
from perfcrew.graphs.untouched import refuse_another_state
from perfcrew.ledger import Ledger
from perfcrew.target.config import load
from perfcrew.target.leftovers import Registry


@dataclass(frozen=True)
class Outcome:
    """What a run came to."""

    run: str
    root: Path
    folder: Path
    """Holds report.md, report.html, report.json, report.sarif, report.junit.xml."""
    report: Report
    findings: tuple[Finding, ...]
    level: Level
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether the gate passed the report."""
        return self.report.verdict is not None and self.report.verdict.passed

    @property
    def blind(self) -> bool:
        """Whether the application's own code was not seen, so that finding nothing says nothing."""
        unseen = (BLIND, UNHEARD, "the whole stage")
        return any(f.stage.text == "traces" and f.what.text in unseen for f in self.report.failures)

    def summary(self) -> dict[str, Any]:
        """For machines: the run, the verdict, the findings' places, the report's paths."""
        return {
            "run": self.run,
            "passed": self.passed,
            "findings": [
                {"id": f.id, "rule": f.rule, "level": f.level, "endpoint": f.endpoint, "place": str(f.place)}
                for f in self.findings
            ],
            "report": str(self.folder / "report.json"),
            "seconds": round(self.seconds, 1),
        }


async def review(
    root: Path,
    wanted: Wanted,
    *,
    workflow: str = "review",
    profile: str | None = None,
    level: Level | None = None,
    budget_s: float | None = None,
    tell: Tell,
    out: Path | None = None,
    begun: Callable[[str], None] | None = None,
    thinking: Thinking | None = None,
) -> Outcome:
    """Begin a run and carry it out; `begun` is told its id. UsageError or TargetFailed where it can't begin.

    `thinking`: the models that the crew asks; without them the rule book concludes.
    """
    now = datetime.now(UTC)
    options = {
        "wanted": wanted.model_dump(mode="json"),
        "profile": profile,
        "level": level,
        "budget_s": budget_s,
        "out": str(out) if out else None,
    }
    run = Run(
        id=f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}",
        root=str(root),
        workflow=workflow,
        started_at=now,
        options=options,
    )
    if cards.policy(workflow, root).experiments:
        refuse_unfit(root, wanted.carry)  # now, and not after minutes of measuring
    with Ledger.open(root / ".perfcrew") as ledger:
        ledger.begin(run)
        if begun:
            begun(run.id)
        return await _carry_out(ledger, run, tell, thinking=thinking)


async def resume(
    root: Path, run_id: str, *, tell: Tell, out: Path | None = None, thinking: Thinking | None = None
) -> Outcome:
    """Go on with a run where it was left. LedgerError where there is no such run."""
    with Ledger.existing(root) as ledger:
        return await _carry_out(ledger, ledger.run(run_id), tell, out, thinking)


async def _carry_out(
    ledger: Ledger, run: Run, tell: Tell, out: Path | None = None, thinking: Thinking | None = None
) -> Outcome:
    began = time.monotonic()
    root = Path(run.root)
    registry = Registry(root / ".perfcrew" / "leftovers", run.id)
    registry.sweep()
    async with workspace(registry, run.id) as folder:
        context = _context(ledger, run, registry, folder, tell, out)
        crew.begin(context, thinking)
        await refuse_another_state(context)
        try:
            await _through(context)
        finally:
            context.close()
    report = context.published or _of_finished(context)
    return Outcome(
        run=run.id,
        root=root,
        folder=context.out,
        report=report,
        findings=tuple(section.finding for section in report.findings),
        level=context.settings.level,
        seconds=time.monotonic() - began,
    )


def _context(ledger: Ledger, run: Run, registry: Registry, folder: Path, tell: Tell, out: Path | None) -> Context:
    root, options = Path(run.root), run.options
    config = load(root)
    given = config.review.given()
    given.update({k: options[k] for k in ("level", "budget_s") if options.get(k) is not None})
    profile = options.get("profile")
    settings = settings_room.load(root, given, config.rules, str(profile) if profile else None)
    wanted = parsed(Wanted, options["wanted"] if isinstance(options.get("wanted"), dict) else {}, "the run's options")  # type: ignore[arg-type]
    kept, measuring = options.get("out"), settings.measuring
    policy = cards.policy(run.workflow, root)
    return Context(
        run=run.id,
        root=root,
        config=config,
        settings=settings,
        policy=policy,
        wanted=wanted,
        ledger=ledger,
        registry=registry,
        workspace=folder,
        out=out or (Path(str(kept)) if kept else root / ".perfcrew" / "reports" / run.id),
        tell=tell,
        budget=Budget(measuring.budget_s, measuring.survey_s, policy.instruments),
    )


def _of_finished(context: Context) -> Report:
    """The report of a run that was finished before; rendered again where it is no longer there, or wanted elsewhere."""
    context.progress("report").note(f"run {context.run} is finished; this is its report")
    file = context.out / "report.json"
    return Report.model_validate_json(file.read_bytes()) if file.is_file() else publish_report(context)


async def _through(context: Context) -> None:
    """Through the graph, from its beginning or from the last node that was done."""
    async with _saver(context.root / ".perfcrew" / "checkpoints.sqlite3") as saver:
        from perfcrew.graphs.review import build

        graph = build(context.policy, saver)
        thread: Any = {"configurable": {"thread_id": context.run}, "recursion_limit": 100}
        known = await graph.aget_state(thread)
        first: State | None = None if known.values else {"schema_version": SCHEMA_VERSION, "run": context.run}
        await graph.ainvoke(first, thread, context=context, durability="sync")


@asynccontextmanager
async def _saver(path: Path) -> AsyncIterator[Any]:
    os.environ.setdefault("LANGGRAPH_STRICT_MSGPACK", "true")
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

    async with AsyncSqliteSaver.from_conn_string(str(path)) as saver:
        yield saver
