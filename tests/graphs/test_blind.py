"""A run that saw operations but none of the application's lines can't count as clean."""

from pathlib import Path

import pytest

from perfcrew.core.evidence import Counts, Traces
from perfcrew.core.project import Project
from perfcrew.core.scene import ApplicationScene, Scene, Seen, Traced
from perfcrew.core.trace import Frame, Span, Trace
from perfcrew.core.web import Endpoint, Plan
from perfcrew.graphs.steps.traced import FEWEST_SILENT, blind, unheard

ROOT = Path("/home/me/shop")
CASES = {
    "a statement of the application": ("database", [f"{ROOT}/shop/views.py"], False),
    "a library's statement that the application led to": (
        "database",
        ["/usr/lib/python3/site-packages/orm.py", f"{ROOT}/shop/views.py"],
        False,
    ),
    "statements of an installed application alone": ("database", [f"{ROOT}/.venv/lib/site-packages/app/x.py"], True),
    "another tree's": ("http", ["/opt/other/x.py"], True),
    "no statement at all": ("internal", ["/opt/other/x.py"], False),
    "statements without a stack": ("database", [], False),
}


@pytest.mark.parametrize("name", CASES)
def test_blind(name: str) -> None:
    kind, files, expected = CASES[name]
    stack = tuple(Frame(file=file, line=1, function="f") for file in files)
    span = Span(trace="t", span="s", kind=kind, name="n", start_ns=0, end_ns=1, stack=stack)  # type: ignore[arg-type]
    endpoint = Endpoint(method="GET", path="/", source="user")
    body = Traces(instrumented=True, mode="otel", requests_count=1, counts=Counts())
    traced = Traced(Seen("E-1", body), (Trace(id="t", request=0, spans=(span,)),))
    project = Project(root=ROOT, name="shop", framework="flask", python=Path("python"), workdir=ROOT, start=("x",))
    scene = Scene(root=ROOT, endpoint=endpoint, plan=Plan(endpoint=endpoint), traced=(traced,))
    assert blind(ApplicationScene(root=ROOT, project=project, scenes=(scene,))) is expected


def silent(path: str, statements: float) -> Scene:
    endpoint = Endpoint(method="GET", path=path, source="user")
    body = Traces(instrumented=True, mode="otel", requests_count=1, counts=Counts(statements_count=statements))
    return Scene(root=ROOT, endpoint=endpoint, plan=Plan(endpoint=endpoint), traced=(Traced(Seen("E-1", body), ()),))


@pytest.mark.parametrize(
    ("statements", "expected"),
    [([0.0] * FEWEST_SILENT, True), ([0.0] * (FEWEST_SILENT - 1), False), ([0.0] * 8 + [1.0], False), ([], False)],
)
def test_unheard(statements: list[float], expected: bool) -> None:
    project = Project(root=ROOT, name="shop", framework="flask", python=Path("python"), workdir=ROOT, start=("x",))
    scenes = tuple(silent(f"/{n}", count) for n, count in enumerate(statements))
    assert unheard(ApplicationScene(root=ROOT, project=project, scenes=scenes)) is expected
