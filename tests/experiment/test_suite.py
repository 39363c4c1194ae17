"""A project's own tests: how each ended, what is new, and what is never taken for a pass."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
import pytest

from perfcrew.core.experiments import SuiteRun
from perfcrew.core.project import Project
from perfcrew.experiment.suite import run_suite
from perfcrew.experiment.verdicts import Cases, Ended, confirmed, worse
from perfcrew.experiment.verdicts import Tested as SuiteTested
from perfcrew.target.leftovers import Registry

_TESTS = """
import pytest, unittest
def test_passes(): print("noise")
def test_fails(): assert 0
@pytest.mark.parametrize("name", ["a b", "ü"])
def test_of(name): pass
@pytest.mark.skip
def test_skipped(): pass
@pytest.mark.xfail
def test_expected(): assert 0
@pytest.fixture
def broken(): raise ValueError
def test_error(broken): pass
@pytest.fixture
def left():
    yield
    raise ValueError
def test_teardown(left): pass
class TestOld(unittest.TestCase):
    def test_one(self): pass
    def test_parts(self):
        for part in range(3):
            with self.subTest(part=part): self.assertNotEqual(part, 1)
    @unittest.skip("no")
    def test_never(self): pass
    @unittest.expectedFailure
    def test_known(self): self.fail()
"""
PYTEST = ("python", "-m", "pytest", "-q", "-p", "no:randomly")
UNITTEST = ("python", "-m", "unittest", "discover", "-s", "tests")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all, as in a run: what pytest consists of is compiled once."""
    return tmp_path_factory.mktemp("workspace")


@pytest.fixture
def run(tmp_path: Path, workspace: Path) -> Callable[..., object]:
    async def ran(tests: Sequence[str], files: dict[str, str], timeout_s: float = 60.0, **given: object) -> SuiteTested:
        root = tmp_path / "a shop"
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        project = Project(
            root=root,
            name="shop",
            framework="unknown",
            python=Path(sys.executable),
            workdir=root,
            start=("x",),
            tests=tuple(tests),
            environment={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            **given.pop("project", {}),
        )
        return await run_suite(
            project,
            workspace=workspace,
            registry=Registry(tmp_path / "left"),
            commit="c",
            timeout_s=timeout_s,
            **given,
        )

    return ran


COMMANDS = {
    "pytest": PYTEST,
    "a shell that starts pytest": ("sh", "-c", "cd tests/.. && python -m pytest -q tests"),
    "pytest of several processes": (*PYTEST, "-p", "xdist", "-n", "1"),
}


@pytest.mark.parametrize("how", COMMANDS)
async def test_each_test_is_told_apart(run, how: str) -> None:
    found = await run(COMMANDS[how], {"tests/test_a.py": _TESTS})
    ended = {name.rpartition("::")[2]: how for name, how in found.cases.ended.items()}
    assert ended == {
        "test_passes": "passed",
        "test_fails": "failed",
        "test_of[a b]": "passed",
        "test_of[\\xfc]": "passed",
        "test_skipped": "skipped",
        "test_expected": "expected",
        "test_error": "error",
        "test_teardown": "error",
        "test_one": "passed",
        "test_parts": "failed",
        "test_never": "skipped",
        "test_known": "expected",
    }
    assert found.run.ran
    assert len(found.run.failed) == 4
    assert found.exit == 1


async def test_unittest_is_told_apart_too(run) -> None:
    text = _TESTS.replace("import pytest, unittest", "import unittest").replace(
        "@pytest", "@(lambda *a, **k: lambda f: f)#"
    )
    only_class = "import unittest\n" + text[text.index("class TestOld") :]
    found = await run(UNITTEST, {"tests/test_a.py": only_class})
    name = "test_a.TestOld"
    assert dict(found.cases.ended) == {
        f"{name}.test_known": "expected",
        f"{name}.test_never": "skipped",
        f"{name}.test_one": "passed",
        f"{name}.test_parts": "failed",
    }


NOT_RUN: dict[str, tuple[tuple[str, ...], dict[str, str], str]] = {
    "no command": ((), {}, "no test command"),
    "no such program": (("no-such-program",), {"x.py": ""}, "cannot start"),
    "no tests": (PYTEST, {"x.py": ""}, "no test was run"),
    "a wrong option": ((*PYTEST, "--no-such-option"), {"tests/test_a.py": "def test(): pass\n"}, "no test was run"),
    "nothing can be imported": (PYTEST, {"tests/test_a.py": "import nothing_at_all\n"}, "no test was run"),
    "it dies": (
        PYTEST,
        {"tests/test_a.py": "import os\ndef test(): os.kill(os.getpid(), 9)\n"},
        "ended by signal 9",
    ),
}


@pytest.mark.parametrize("case", NOT_RUN)
async def test_what_is_no_run(run, case: str) -> None:
    command, files, said = NOT_RUN[case]
    found = await run(command, files)
    assert (found.run.ran, said in found.run.said) == (False, True), found.run
    assert worse(_tested(a="passed"), found)


async def test_a_suite_without_end_is_ended_with_what_it_started(run, tmp_path: Path) -> None:
    text = (
        "import subprocess, sys, time\ndef test_first(): pass\n"
        "def test_long():\n    subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(4321)'], "
        "start_new_session=True)\n    time.sleep(1234)\n"
    )
    found = await run(PYTEST, {"tests/test_a.py": text}, timeout_s=6.0)
    assert not found.run.ran
    assert "did not end within" in found.run.said
    left = [p for p in psutil.process_iter(["cmdline"]) if "import time; time.sleep(4321)" in (p.info["cmdline"] or [])]
    assert not left


async def test_a_postgresql_of_the_users_is_not_used(run) -> None:
    given = {"database_url": "postgresql://localhost/shop"}
    found = await run(PYTEST, {"tests/test_a.py": "def test(): pass\n"}, project=given)
    assert not found.run.ran
    assert "no clone" in found.run.said


def _tested(exit_: int | None = None, ran: bool = True, **ended: Ended) -> SuiteTested:
    cases = Cases(ended) if ended else None
    failed = tuple(sorted(cases.failed)) if cases else ()
    status = exit_ if exit_ is not None else int(bool(failed))
    run_ = SuiteRun(ran=ran, command=(), failed=failed or (("the command itself",) if status else ()))
    return SuiteTested(run_, cases, status)


@pytest.mark.parametrize(
    ("name", "ran", "exit_", "duration_s", "absent"),
    [
        ("no command", False, None, 0.0, True),
        ("nothing was collected", False, 5, 1.0, True),
        ("it did not end in its time", False, None, 60.0, False),
        ("it was killed", False, -9, 3.0, False),
        ("it ran", True, 0, 3.0, False),
    ],
)
def test_a_suite_that_did_not_end_is_not_an_absent_one(
    name: str, ran: bool, exit_: int | None, duration_s: float, absent: bool
) -> None:
    assert SuiteTested(SuiteRun(ran=ran, command=(), duration_s=duration_s), None, exit_).absent == absent


@pytest.mark.parametrize(
    ("name", "run_", "why"),
    [
        ("it ran", _tested(a="passed"), ""),
        ("some fail", _tested(a="passed", b="failed"), ""),
        ("as it was marked to", _tested(a="expected"), ""),
        ("the command", _tested(0), ""),
        ("no suite", _tested(ran=False), "not run"),
        ("all fail", _tested(a="failed", b="error"), "nothing of it passes"),
        ("all are skipped", _tested(a="skipped"), "nothing of it passes"),
        ("the command fails", _tested(1), "nothing of it passes"),
    ],
)
def test_which_suite_can_speak_against_a_change(name: str, run_: SuiteTested, why: str) -> None:
    assert why in run_.vouches_not and bool(why) == bool(run_.vouches_not)


WORSE = {
    "nothing": (_tested(a="passed"), _tested(a="passed"), ""),
    "a known failure": (_tested(a="passed", b="failed"), _tested(a="passed", b="failed"), ""),
    "a failure is mended": (_tested(a="passed", b="failed"), _tested(a="passed", b="passed"), ""),
    "a new test": (_tested(a="passed"), _tested(a="passed", b="passed"), ""),
    "a new failure": (_tested(a="passed", b="passed"), _tested(a="passed", b="failed"), "passed before: b"),
    "a new test that fails": (_tested(a="passed"), _tested(a="passed", b="failed"), "tests fail"),
    "an error now": (_tested(a="passed"), _tested(a="error"), "passed before: a"),
    "vanished": (_tested(a="passed", b="passed"), _tested(a="passed"), "vanished: b"),
    "a failing one vanished": (_tested(a="passed", b="failed"), _tested(a="passed"), ""),
    "skipped now": (_tested(a="passed", b="passed"), _tested(a="passed", b="skipped"), "skipped that ran before: b"),
    "skipped before": (_tested(a="passed", b="skipped"), _tested(a="passed", b="skipped"), ""),
    "only the command fails": (_tested(a="passed"), _tested(1, a="passed"), "no test does"),
    "the command failed before": (_tested(1, a="passed"), _tested(1, a="passed"), ""),
    "no result after": (_tested(a="passed"), _tested(ran=False), "did not run to their end"),
    "no reports after": (_tested(a="passed"), _tested(0), "no test reports"),
    "whole suites, good": (_tested(0), _tested(0), ""),
    "whole suites, bad": (_tested(0), _tested(1), "fails after the change"),
    "whole suites, bad before": (_tested(1), _tested(1), ""),
    "nothing ran before, and fails now": (_tested(ran=False), _tested(a="failed"), "tests fail"),
}


@pytest.mark.parametrize("case", WORSE)
def test_what_is_worse(case: str) -> None:
    before, after, why = WORSE[case]
    said = worse(before, after)
    assert why in said
    assert bool(why) == bool(said)


BASE = _tested(a="passed", b="passed", c="passed", old="failed")
ONCE = _tested(a="failed", b="passed", c="passed", old="failed")
FLAKY: dict[str, tuple[SuiteTested, SuiteTested | None, tuple[str, ...], tuple[str, ...]]] = {
    # the change's second run, the base's, what counts, what is flaky
    "fails again there, passes here": (ONCE, BASE, ("a",), ()),
    "passes there": (BASE, None, (), ("a",)),
    "another one fails there": (_tested(a="passed", b="failed", c="passed", old="failed"), None, (), ("a", "b")),
    "another one fails there too": (_tested(a="failed", b="error", c="passed", old="failed"), BASE, ("a",), ("b",)),
    "fails here too": (ONCE, ONCE, (), ("a",)),
    "skipped there": (_tested(a="skipped", b="passed", c="passed", old="failed"), BASE, ("a",), ()),
    "did not run again": (_tested(ran=False), BASE, ("a",), ()),
    "it passed there in a run that was broken off": (_tested(ran=False, a="passed"), BASE, ("a",), ()),
    "nothing is known of the base any more": (ONCE, _tested(ran=False), ("a",), ()),
    "the base was broken off where it failed": (ONCE, _tested(ran=False, a="failed"), ("a",), ()),
    "it is not in the base's second run": (ONCE, _tested(b="passed"), ("a",), ()),
}


@pytest.mark.parametrize("case", FLAKY)
async def test_a_failure_counts_where_two_whole_runs_agree(case: str) -> None:
    change_again, base_again, failing, flaky = FLAKY[case]

    async def here() -> SuiteTested:
        assert base_again is not None, "the base is asked only for what failed twice"
        return base_again

    async def there() -> SuiteTested:
        return change_again

    found = await confirmed(BASE, ONCE, here, there)
    assert (found.failing, found.flaky) == (failing, flaky)
