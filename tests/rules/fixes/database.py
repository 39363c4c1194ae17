"""Builds findings of database rules: with the statement's shape, and with what a trial of an index measured."""

from __future__ import annotations

from pathlib import Path

from perfcrew.core.evidence import IndexTrial, QueryPlan
from perfcrew.core.patches import Declined, Fix
from perfcrew.core.project import Framework
from perfcrew.core.scene import ApplicationScene, Scene, Seen
from perfcrew.core.sql import shape
from perfcrew.core.web import Endpoint, Place, Plan
from perfcrew.rules.fixes import propose

from .cases import At, application, finding, write


def scene(root: Path, plan: QueryPlan | None = None, handler: Place | None = None) -> Scene:
    """Of `GET /page`."""
    endpoint = Endpoint(method="GET", path="/page", source="openapi", handler=handler)
    return Scene(root, endpoint, Plan(endpoint=endpoint), plans=seen(plan))


def seen(plan: QueryPlan | None) -> tuple[Seen[QueryPlan], ...]:
    """As evidence."""
    return (Seen("E-plan", plan),) if plan else ()


def tried(statement: str, table: str, *columns: str, name: str = "") -> QueryPlan:
    """An index on the columns, built and measured."""
    trial = IndexTrial(
        ddl=f"CREATE INDEX {name or f'ix_{table}_' + '_'.join(columns)} ON {table} ({', '.join(columns)})",
        table=table,
        columns=columns,
        before_ms=(4.6, 4.7, 4.5),
        after_ms=(0.02, 0.02, 0.03),
        before_median_ms=4.6,
        after_median_ms=0.02,
        size_bytes=4096,
        used=True,
    )
    return QueryPlan(engine="sqlite", shape=shape(statement), statement=statement, nodes=(), trial=trial)


def with_scene(root: Path, plan: QueryPlan | None = None, framework: Framework = "fastapi") -> ApplicationScene:
    app = application(root, framework)
    return ApplicationScene(root=app.root, project=app.project, scenes=(scene(root, plan),))


def asked(
    root: Path,
    rule: str,
    files: dict[str, str],
    at: At,
    statement: str = "",
    trigger: At | None = None,
    plan: QueryPlan | None = None,
    subject: str = "",
    framework: Framework = "fastapi",
) -> list[Fix | Declined]:
    """What is proposed for a finding whose subject is the statement's shape."""
    write(root, files)
    found = finding(root, rule, at, trigger, subject or (shape(statement) if statement else ""))
    return propose(root, found.model_copy(update={"endpoint": "GET /page"}), with_scene(root, plan, framework))


def fixed(answers: list[Fix | Declined], name: str) -> dict[str, str]:
    """The files of the variant of that name."""
    found = [a for a in answers if isinstance(a, Fix) and a.variant == name]
    said = [a.reason if isinstance(a, Declined) else a.variant for a in answers]
    assert len(found) == 1, f"no {name!r} among {said}"
    return {path: text for path, text in found[0].files.items() if text is not None}


def refused(answers: list[Fix | Declined]) -> str:
    """The reasons, where nothing was proposed."""
    assert not [a for a in answers if isinstance(a, Fix)], [a.variant for a in answers if isinstance(a, Fix)]
    return "\n".join(a.reason for a in answers if isinstance(a, Declined))
