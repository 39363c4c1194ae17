"""Builds what a fixer is given: small source files, and a finding by hand at a line of them."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

from perfcrew.core.findings import Finding, Hypothesis, Scores
from perfcrew.core.patches import Declined, Fix
from perfcrew.core.project import Framework, Project
from perfcrew.core.prose import Prose
from perfcrew.core.scene import ApplicationScene
from perfcrew.core.web import Place
from perfcrew.rules.fixes import propose

FILE = "shop/app.py"
PYPROJECT = """
[project]
name = "shop"
requires-python = ">=3.11"
dependencies = ["fastapi", "httpx>=0.28", "flask-compress"]
"""


class At(NamedTuple):
    """A line by a text that stands only there, and its function."""

    needle: str
    function: str
    file: str = FILE


def write(root: Path, files: dict[str, str]) -> None:
    """The files of a case, dedented."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip("\n"))


def place(root: Path, at: At) -> Place:
    """The only line that holds the needle."""
    lines = [n for n, t in enumerate((root / at.file).read_text().splitlines(), 1) if at.needle in t]
    assert len(lines) == 1, f"{at.needle!r} is on lines {lines} of {at.file}"
    return Place(file=at.file, line=lines[0], function=at.function)


def finding(
    root: Path, rule: str, at: At, trigger: At | None = None, subject: str = "", hypotheses: tuple[Hypothesis, ...] = ()
) -> Finding:
    """As a rule would give it."""
    return Finding(
        rule=rule,
        title=rule,
        level="high",
        endpoint=None,
        place=place(root, at),
        trigger=place(root, trigger) if trigger else None,
        prose=Prose(text="seen"),
        evidence=(),
        confidence=0.9,
        subject=subject,
        hypotheses=hypotheses,
    )


def hypothesis(name: str, metric: str = "latency") -> Hypothesis:
    """A hypothesis of which only the name and the scores matter."""
    scores = Scores(impact=4, evidence=4, effort=4, risk=4, reversibility=5, learning=3)
    return Hypothesis(
        id=name, change="a change", metric=metric, improvement=0.5, because="", kind="code", recipe="", scores=scores
    )


def application(root: Path, framework: Framework = "fastapi", **more: object) -> ApplicationScene:
    """A project without a scene."""
    project = Project(
        root=root,
        name="shop",
        framework=framework,
        python=Path("/usr/bin/python3"),
        workdir=root,
        start=("uvicorn",),
        **more,  # type: ignore[arg-type]
    )
    return ApplicationScene(root=root, project=project, scenes=())


def proposed(
    root: Path,
    rule: str,
    source: str,
    at: At,
    trigger: At | None = None,
    *,
    framework: Framework = "fastapi",
    subject: str = "",
    others: dict[str, str] | None = None,
) -> list[Fix | Declined]:
    """What is proposed for one file's fault."""
    write(root, {FILE: source, "pyproject.toml": PYPROJECT, **(others or {})})
    return propose(root, finding(root, rule, at, trigger, subject), application(root, framework))


def variant(answers: list[Fix | Declined], name: str) -> str:
    """The new text of the file by the variant of that name."""
    found = [a for a in answers if isinstance(a, Fix) and a.variant == name]
    said = [a.reason if isinstance(a, Declined) else a.variant for a in answers]
    assert len(found) == 1, f"no {name!r} among {said}"
    (text,) = found[0].files.values()
    assert text is not None
    return text


def reasons(answers: list[Fix | Declined]) -> str:
    """All refusals in one text."""
    return "\n".join(a.reason for a in answers if isinstance(a, Declined))


def same(text: str, expected: str) -> None:
    """To the letter, but for the indentation of the table."""
    assert text == dedent(expected).lstrip("\n")
