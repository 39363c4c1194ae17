"""One run is of one state of one project: what changed meanwhile, in the tree or around it, is said or refused."""

from __future__ import annotations

from pathlib import Path

from perfcrew.core.errors import UsageError
from perfcrew.core.evidence import Environment, Run
from perfcrew.graphs.context import Context
from perfcrew.instruments.environment import measure_environment
from perfcrew.target.digest import tree_digest

SOURCE = (".py", ".toml", ".html", ".jinja", ".jinja2", ".j2", ".sql")
_COMPARED = ("cpu_model", "cores", "kernel", "python", "packages", "commit")
_SHOWN = 8


def written_since(root: Path, run: Run, beside: Path) -> tuple[str, ...]:
    """Files of the tree that were written since the run began, but for those below `beside`, which are our own."""
    since_ns = int(run.started_at.timestamp() * 1e9)
    files = tree_digest(root).files.items()
    return tuple(sorted(n for n, (_, at_ns) in files if at_ns > since_ns and not (root / n).is_relative_to(beside)))


def say_what_was_written(context: Context) -> None:
    """Tell it as a failure: either the application writes beside its clone, or somebody edits what is measured."""
    written = written_since(context.root, context.ledger.run(context.run), context.out)
    if written:
        more = " and others" if len(written) > _SHOWN else ""
        context.failed(
            "target",
            "the project's folder",
            f"written to while the review ran, by the application or by somebody else: {', '.join(written[:_SHOWN])}"
            f"{more}. What was measured before and after may differ.",
        )


async def refuse_another_state(context: Context) -> None:
    """Raise UsageError where a run that is resumed would mix two machines, commits, sets of packages or sources."""
    before = context.ledger.slot(context.run, "environment")
    if before is None or not isinstance(before.body, Environment) or context.ledger.find(context.run, "published"):
        return
    now = await measure_environment(context.project)
    differing = [name for name in _COMPARED if getattr(now, name) != getattr(before.body, name)]
    written = written_since(context.root, context.ledger.run(context.run), context.out)
    differing += [name for name in written if name.endswith(SOURCE)][:_SHOWN]
    if differing:
        raise UsageError(
            f"the run began under other conditions: {', '.join(differing)} changed since",
            where=str(context.root),
            do="begin a new review; figures of two states would not mean anything together",
        )
