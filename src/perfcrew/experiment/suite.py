"""The project's own tests, run in a worktree: how each ended, and what is new among those that did not pass.

Refuses: to count a suite that is not there, can't run or does not end in time as passed, and to run tests on the
user's PostgreSQL database: they get a clone; and a Redis of their own, where the project uses one.
"""

from __future__ import annotations

import json
import re
import secrets
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from perfcrew.core.errors import TargetFailed
from perfcrew.core.experiments import SuiteRun
from perfcrew.core.project import Project
from perfcrew.experiment.scratch_databases import announced
from perfcrew.experiment.verdicts import Cases, Ended, Tested, worse
from perfcrew.target import spawn
from perfcrew.target.clone import Clone
from perfcrew.target.environment import BYTECODE, command_of, environment_of, layered
from perfcrew.target.leftovers import Registry
from perfcrew.target.redis.private import private

__all__ = ["Cases", "Tested", "run_suite", "worse"]

_WITNESS = Path(__file__).with_name("witness")
_NO_TESTS, _NOT_RUN = 5, (2, 3, 4)
"""Exits of pytest: nothing collected; interrupted, an internal error, a wrong argument."""
Kind = Literal["pytest", "unittest", "other"]


async def run_suite(
    project: Project,
    *,
    workspace: Path,
    registry: Registry,
    commit: str,
    timeout_s: float,
    environment: Mapping[str, str] | None = None,
    data: Clone | None = None,
) -> Tested:
    """Run it in the project's folder (a worktree), on a clone."""
    if not project.tests:
        return _not_run("no test command was found: set [target] tests in perfcrew.toml", commit)
    if data is None and (project.database_url or "").startswith("postgres"):
        return _not_run("there is no clone of the database, and the tests would use yours", commit)
    place = workspace / f"suite-{secrets.token_hex(3)}"
    place.mkdir(parents=True)
    kind = kind_of(project.tests)
    given = {**(environment or {}), **_told(project, place)}
    told = _environment(project, data, given, workspace)
    try:
        async with private(project, told, workspace=place, registry=registry, name="suite") as redis:
            with announced(data, registry):
                ran = await spawn.ran(
                    _command(project, kind),
                    cwd=project.workdir,
                    environment=layered(told, redis.environment),
                    log=place / "suite.log",
                    registry=registry,
                    what="the project's tests",
                    timeout_s=timeout_s,
                )
    except TargetFailed as error:
        return _not_run(f"{error.what}: {error.do}" if error.do else error.what, commit, project.tests)
    return _tested(ran, cases_of(place / "cases.jsonl"), kind, commit)


def kind_of(command: Sequence[str]) -> Kind:
    """Who runs the tests, by the words of the command."""
    names = [Path(word).name for word in command]
    if any(name in ("pytest", "py.test") for name in names):
        return "pytest"
    python = names[0].startswith("python")
    runs = (names[1:2] == ["manage.py"] and "test" in names) or names[1:3] == ["-m", "unittest"]
    return "unittest" if python and runs else "other"


def _command(project: Project, kind: Kind) -> list[str]:
    command = command_of(project, project.tests)
    return [command[0], str(_WITNESS / "perfcrew_unittest.py"), *command[1:]] if kind == "unittest" else command


def _told(project: Project, place: Path) -> dict[str, str]:
    """Variables rather than options, so that they reach a pytest that `make` or a script starts as well."""
    ini = _ini(project.workdir) + _ini(project.root)
    options = ["-p", "perfcrew_pytest", "-o", f"cache_dir={place / 'cache'}"]
    options += [] if "randomly" in ini else ["-p", "no:randomly"]  # the same order before and after
    before = project.environment.get("PYTEST_ADDOPTS", "")
    return {
        "PYTHONPATH": str(_WITNESS),
        "PYTEST_ADDOPTS": f"{before} {shlex.join(options)}".strip(),
        "PERFCREW_SUITE_OUT": str(place / "cases.jsonl"),
    }


def _ini(folder: Path) -> str:
    names = ("pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")
    return "".join(p.read_text(errors="replace") for name in names if (p := folder / name).is_file())


def _environment(project: Project, data: Clone | None, given: Mapping[str, str], workspace: Path) -> dict[str, str]:
    if data is not None and data.source_root is not None:
        data = None  # a clone that is a copy of the tree; the worktree has a copy of the database file itself
    made = environment_of(project, data, given, bytecode=workspace / BYTECODE)
    named = re.search(r"DJANGO_SETTINGS_MODULE\s*=?\s*[\"']?([\w.]*)", _ini(project.workdir) + _ini(project.root))
    if named:
        made.pop("DJANGO_SETTINGS_MODULE", None)  # the variable would win over the settings that the tests name
        if named[1] and kind_of(project.tests) == "pytest":
            made["DJANGO_SETTINGS_MODULE"] = named[1]
    return made


def cases_of(file: Path) -> Cases | None:
    """What the witness wrote down; None where it was not there. A line cut off by the end is left out."""
    if not file.is_file():
        return None
    text = file.read_text(encoding="utf-8")
    ended: dict[str, Ended] = {}
    for line in text[: text.rfind("\n") + 1].splitlines():
        name, how = json.loads(line)
        if ended.get(name) not in ("failed", "error"):  # a teardown's, or a subtest's, stays
            ended[name] = how
    return Cases(ended)


def _tested(ran: spawn.Ran, cases: Cases | None, kind: Kind, commit: str) -> Tested:
    said = _trouble(ran, cases, kind)
    failed = cases.of("failed", "error") if cases else frozenset()
    run = SuiteRun(
        ran=not said,
        command=ran.command,
        passed_count=len(cases.of("passed", "expected")) if cases else 0,
        failed=tuple(sorted(failed)) or (("the command itself",) if ran.exit and not said else ()),
        skipped_count=len(cases.of("skipped")) if cases else 0,
        duration_s=ran.duration_s,
        said=said or _last(ran.tail),
        commit=commit,
    )
    return Tested(run, cases, ran.exit, ran.tail)


def _trouble(ran: spawn.Ran, cases: Cases | None, kind: Kind) -> str:
    """Why it is no run of the suite; empty where it is one."""
    if ran.exit is None:
        return f"it did not end within {ran.duration_s:g} s"
    if ran.exit < 0:
        return f"it was ended by signal {-ran.exit}: {_last(ran.tail)}"
    if kind == "other":
        return f"there is no such program: {_last(ran.tail)}" if ran.exit == 127 else ""
    if cases is None:
        return f"no test was run: {_last(ran.tail)}"
    only_errors = kind == "pytest" and ran.exit in _NOT_RUN and not cases.of("passed", "failed")
    return f"no test was run: {_last(ran.tail)}" if only_errors or (kind == "pytest" and ran.exit == _NO_TESTS) else ""


def _last(tail: str) -> str:
    lines = [line for line in tail.splitlines() if line.strip()]
    return lines[-1].strip(" =")[:300] if lines else ""


def _not_run(said: str, commit: str, command: Sequence[str] = ()) -> Tested:
    return Tested(SuiteRun(ran=False, command=tuple(command), said=said, commit=commit), None)
