"""The project's own tests, run in a worktree: which failed, which were skipped, and what is new among them.

A suite that is not there, can't run or does not end in time is said to be so, and never counts as passed.
"""

from __future__ import annotations

import time
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from perfcrew.core.errors import TargetFailed
from perfcrew.core.experiments import SuiteRun
from perfcrew.core.project import Project
from perfcrew.target import spawn
from perfcrew.target.environment import BYTECODE, command_of, environment_of
from perfcrew.target.leftovers import Registry

_NO_TESTS, _SOME_FAILED = 5, 1


@dataclass(frozen=True)
class Cases:
    """Test ids by how they ended."""

    passed: frozenset[str]
    failed: frozenset[str]
    skipped: frozenset[str]


@dataclass(frozen=True)
class Tested:
    """A run of the suite. `cases` is None where single tests can't be told apart, so only the exit counts."""

    run: SuiteRun
    cases: Cases | None


async def run_suite(
    project: Project,
    *,
    workspace: Path,
    registry: Registry,
    commit: str,
    timeout_s: float,
    only: tuple[str, ...] = (),
    environment: Mapping[str, str] | None = None,
) -> Tested:
    """Run it in the project's folder (a worktree), in a process group that ends with it. `only`: these test ids."""
    if not project.tests:
        said = "no test command was found: set [target] tests in perfcrew.toml"
        return Tested(SuiteRun(ran=False, command=(), said=said, commit=commit), None)
    report = workspace / "suite.xml"
    report.unlink(missing_ok=True)
    command = [*command_of(project, project.tests), *_told(project, report), *only]
    began, failure = time.monotonic(), None
    try:
        await spawn.run(
            command,
            cwd=project.workdir,
            environment=environment_of(project, None, environment, bytecode=workspace / BYTECODE),
            log=workspace / "suite.log",
            registry=registry,
            what="the project's tests",
            timeout_s=timeout_s,
        )
    except TargetFailed as error:
        failure = error
    return _tested(command, report, failure, time.monotonic() - began, commit)


def _told(project: Project, report: Path) -> list[str]:
    """What makes pytest say how each test ended, and write nothing into the tree."""
    if not _is_pytest(project):
        return []
    return [f"--junitxml={report}", "-p", "no:cacheprovider", "-o", "junit_family=xunit2"]


def _is_pytest(project: Project) -> bool:
    return any(Path(word).name in ("pytest", "py.test") for word in project.tests[:4])


def _tested(command: list[str], report: Path, failure: TargetFailed | None, duration_s: float, commit: str) -> Tested:
    cases = _cases(report)
    ended = failure is None or failure.exit is not None
    ran = ended and (cases is not None or failure is None or failure.exit == _SOME_FAILED)
    if failure is not None and failure.exit == _NO_TESTS:
        ran = False
    said = "" if failure is None else (failure.tail.strip().splitlines() or [failure.what])[-1]
    run = SuiteRun(
        ran=ran,
        command=tuple(command),
        passed_count=len(cases.passed) if cases else 0,
        failed=tuple(sorted(cases.failed)) if cases else (("the suite",) if failure else ()),
        skipped_count=len(cases.skipped) if cases else 0,
        duration_s=round(duration_s, 1),
        said=(failure.what + ": " if failure and failure.exit is None else "") + said[:300],
        commit=commit,
    )
    return Tested(run, cases)


def _cases(report: Path) -> Cases | None:
    try:
        root = ET.fromstring(report.read_bytes())
    except (OSError, ET.ParseError):
        return None
    ended: dict[str, set[str]] = {"passed": set(), "failed": set(), "skipped": set()}
    for case in root.iter("testcase"):
        name = f"{case.get('classname', '')}::{case.get('name', '')}"
        kinds = {child.tag for child in case}
        how = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        ended[how].add(name)
    return Cases(*(frozenset(ended[k]) for k in ("passed", "failed", "skipped")))


def worse(before: Tested, after: Tested) -> str:
    """Why the change does not pass: what fails, vanished or is skipped now and did not before; empty if it passes."""
    if not before.run.ran:
        return "" if not after.run.failed else f"tests fail after the change: {_some(after.run.failed)}"
    if not after.run.ran:
        return f"the tests did not run to their end: {after.run.said or 'no result'}"
    if before.cases is None or after.cases is None:
        return "the suite fails after the change" if after.run.failed and not before.run.failed else ""
    new = after.cases.failed - before.cases.failed
    if new:
        return f"tests fail that passed before: {_some(new)}"
    known = after.cases.passed | after.cases.failed | after.cases.skipped
    gone = before.cases.passed - known
    if gone:
        return f"tests vanished: {_some(gone)}"
    skipped = before.cases.passed & after.cases.skipped
    return f"tests are skipped that ran before: {_some(skipped)}" if skipped else ""


def _some(names: frozenset[str] | tuple[str, ...]) -> str:
    shown = sorted(names)
    return ", ".join(shown[:4]) + (f" and {len(shown) - 4} more" if len(shown) > 4 else "")
