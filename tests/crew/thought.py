"""A run in which everything was measured and nothing concluded yet: the book shop's, with models by a script."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from perfcrew import settings
from perfcrew.core.evidence import Findings, Frame, Method
from perfcrew.core.findings import Finding
from perfcrew.crew import cards
from perfcrew.crew.thinking import Thinking
from perfcrew.graphs import conclude, scenes
from perfcrew.graphs.budget import Budget
from perfcrew.graphs.context import Context, Wanted
from perfcrew.ledger import Ledger
from perfcrew.target.config import load
from perfcrew.target.leftovers import Registry
from tests.report.make_ledger import RUN

SPECIALISTS = ("profiler", "database", "caching", "frontend", "inference")


def context(ledger: Ledger, thinking: Thinking | None = None, **wanted: Any) -> Context:
    """The context of the shop's run; its rules' findings are in the ledger."""
    root = ledger.where.parent.parent
    steered, policy = settings.load(root), cards.policy("review")
    made = Context(
        run=RUN,
        root=root,
        config=load(root),
        settings=steered,
        policy=policy,
        wanted=Wanted(scope="all", **wanted),
        ledger=ledger,
        registry=Registry(root / ".perfcrew" / "leftovers", RUN),
        workspace=root / "workspace",
        out=root / ".perfcrew" / "reports" / RUN,
        tell=events(),
        budget=Budget(900, 120, policy.instruments),
        thinking=thinking,
    )
    made.__dict__["project"] = scenes.slot_body(ledger, RUN, "frame", Frame).project
    if not made.has(conclude.BOOK):
        book = Findings(specialist="rule book", reasoner="rule book", findings=tuple(recognised(ledger)))
        ledger.put(RUN, conclude.BOOK, book, Method(tool="perfcrew rules", version="0.1.0"))
    return made


def events() -> Any:
    """A listener that keeps what it is told."""
    told: list[dict[str, Any]] = []

    def tell(event: dict[str, Any]) -> None:
        told.append(event)

    tell.told = told  # type: ignore[attr-defined]
    return tell


def recognised(ledger: Ledger) -> list[Finding]:
    """What the rules found in the shop, one finding each."""
    bodies = [e.body for e in ledger.find(RUN, "findings") if isinstance(e.body, Findings)]
    found = {f.id: f for b in bodies if b.specialist in ("database", "profiler") for f in b.findings}
    return list(found.values())


def runtime(made: Context) -> Any:
    """What LangGraph gives a node, as far as ours look at it."""
    return SimpleNamespace(context=made)


async def concluded(made: Context) -> None:
    """Through the specialists, the ranking and the reviewer."""
    import asyncio

    at = runtime(made)
    names = made.policy.specialists
    await asyncio.gather(*(conclude.specialist({"run": RUN, "specialist": name}, at) for name in names))
    await conclude.rank({"run": RUN}, at)
    await conclude.reviewer({"run": RUN}, at)


def findings(made: Context, slot: str) -> Findings:
    return scenes.slot_body(made.ledger, made.run, slot, Findings)
