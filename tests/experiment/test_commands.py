"""Two real commands compared: what is called a change, what gets no verdict, and what is said beside it."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

import psutil
import pytest

from perfcrew.core.comparison import Comparison
from perfcrew.core.errors import CommandError, UsageError
from perfcrew.experiment.commands import READY
from perfcrew.experiment.engine import Rules
from perfcrew.experiment.sides import compare_sides
from perfcrew.experiment.wish import Wish, variables

PYTHON = f"{sys.executable} -I -S"
WORKS = "import time\nwhile time.process_time() < {0}: pass\n"
WAITS = "import time; time.sleep({0})\n"
TELLS = """
import json, random
noise = random.uniform(1, 1.01)
print(json.dumps({{"wall": {wall} * noise, "cpu": {cpu} * noise, "check": {check!r}, "rows": {rows}}}))
"""


TICKS = 'import random; print(\'{"wall": %r, "cpu": %r}\' % (random.uniform(1, 1.1), random.choice([0.03, 0.04])))'


def told(wall: str = "0.1", cpu: str = "0.1", check: str = "same", rows: str = "7") -> str:
    return TELLS.format(wall=wall, cpu=cpu, check=check, rows=rows)


async def compared(
    root: Path, a: str, b: str, own: bool = False, timeout_s: float = 60.0, budget_s: float = 15.0, error: float = 0.2
) -> Comparison:
    """With an error that is enough for changes which nobody could miss, so that few pairs do."""
    for name, source in (("a.py", a), ("b.py", b)):
        (root / name).write_text(source)
    wish = Wish(
        root=root,
        commands=(f"{PYTHON} a.py", f"{PYTHON} b.py"),
        own_figures=own,
        timeout_s=timeout_s,
        rules=Rules(budget_s=budget_s, error=error),
    )
    return (await compare_sides(wish, lambda what: None))[0]


async def test_more_work_is_a_regression_by_processor_time(tmp_path: Path) -> None:
    found = await compared(tmp_path, WORKS.format(0.01), WORKS.format(0.06))
    assert (found.verdict, found.rests_on) == ("regressed", "cpu"), found.why
    cpu = found.effect("cpu")
    assert cpu is not None and cpu.a is not None and cpu.b is not None and cpu.b > cpu.a + 30


async def test_less_work_is_an_improvement(tmp_path: Path) -> None:
    found = await compared(tmp_path, WORKS.format(0.09), WORKS.format(0.01))
    assert found.verdict == "improved", found.why


async def test_waiting_is_a_regression_that_time_passing_shows_and_processor_time_does_not(tmp_path: Path) -> None:
    found = await compared(tmp_path, WAITS.format(0.01), WAITS.format(0.2))
    cpu, ready = found.effect("cpu"), found.effect(READY.name)
    assert found.verdict == "regressed", found.why
    assert cpu is not None and cpu.ratio is not None and ready is not None and ready.ratio is not None
    assert ready.ratio.value > 2 > cpu.ratio.value  # a longer sleep leaves colder caches: even is not exactly one


async def test_equal_sides_are_not_called_changed_and_the_noise_is_shown(tmp_path: Path) -> None:
    found = await compared(tmp_path, WORKS.format(0.01), WORKS.format(0.01), budget_s=2, error=0.01)
    assert found.verdict in ("equivalent", "inconclusive"), found.why
    assert all(e.noise_share is not None for e in found.effects if e.metric in ("cpu", "wall", READY.name))
    assert [e.metric for e in found.cold] == ["cpu, first run", "wall, first run"]
    assert all(e.pairs_count == found.pairs_count for e in found.effects if e.metric not in ("rss.peak", "wall"))


@pytest.mark.parametrize(
    ("name", "a", "b", "verdict"),
    [
        ("slower", told(), told(wall="0.13", cpu="0.13"), "regressed"),
        ("faster", told(), told(wall="0.08", cpu="0.08"), "improved"),
        ("even", told(), told(), "equivalent"),
        ("waits", told(), told(wall="0.2"), "regressed"),
    ],
)
async def test_a_commands_own_figures_decide(tmp_path: Path, name: str, a: str, b: str, verdict: str) -> None:
    found = await compared(tmp_path, a, b, own=True)
    assert found.verdict == verdict, found.why
    assert {e.metric for e in found.effects} >= {"cpu", "wall", "rows"}
    assert found.rests_on == ("wall" if name == "waits" else "cpu")


@pytest.mark.parametrize(
    ("name", "a", "b", "why"),
    [
        ("other answers", told(), told(check="other"), "A answered 'same', B 'other'"),
        ("one side does not tell", told(), told(check=""), "did not do the same work"),
        ("zero variance", 'print(\'{"wall": 0.2, "cpu": 0.2}\')', told(check=""), "the very same value"),
        ("ticks", TICKS, TICKS, "steps of 10"),
        ("too short to be timed", told(wall="0.0004", cpu="0.0004"), told(wall="0.0004", cpu="0.0004"), "too coarse"),
        ("no time at all", told(cpu="0"), told(), "too coarse"),
        ("no figures", told(), "print('finished')", "not its figures"),
    ],
)
async def test_figures_that_mean_nothing_get_no_verdict(tmp_path: Path, name: str, a: str, b: str, why: str) -> None:
    found = await compared(tmp_path, a, b, own=True)
    assert found.verdict is None
    assert why in found.refused
    assert all(e.verdict is None for e in found.effects)


async def test_own_figures_that_vary_are_shown_without_a_verdict(tmp_path: Path) -> None:
    found = await compared(tmp_path, told(rows="random.randint(1, 9)"), told(rows="random.randint(20, 29)"), own=True)
    rows = found.effect("rows")
    assert found.verdict == "equivalent"
    assert rows is not None and rows.verdict is None and "varies" in rows.refused


@pytest.mark.parametrize(
    ("name", "b", "why"),
    [
        ("fails at once", "import sys; sys.exit('no such table')", "no such table"),
        (
            "fails later",
            "import os, sys; open('n', 'a').write('x')\nif os.path.getsize('n') > 3: sys.exit(5)",
            "exit: 5",
        ),
        ("hangs", "import time; time.sleep(60)", "did not end within 1 s"),
    ],
)
async def test_a_side_that_fails_gets_no_verdict_and_says_how(tmp_path: Path, name: str, b: str, why: str) -> None:
    found = await compared(tmp_path, "", b, timeout_s=1.0)
    assert found.verdict is None and why in found.refused


async def test_commands_that_print_different_things_get_no_verdict(tmp_path: Path) -> None:
    found = await compared(tmp_path, "print('total 4')", "print('total 5')")
    assert found.verdict is None and "did not do the same work" in found.refused


async def test_output_that_differs_from_run_to_run_is_not_held_against_a_side(tmp_path: Path) -> None:
    clock = "import time; print(time.time_ns())\n"
    found = await compared(tmp_path, clock + WORKS.format(0.03), clock + WORKS.format(0.12))
    assert found.verdict == "regressed", found.refused


async def test_a_side_that_leaves_processes_behind_is_said_and_they_are_ended(tmp_path: Path) -> None:
    mark = f"61.{secrets.randbelow(10**9)}"
    leaves = f"import subprocess; c = subprocess.Popen(['sleep', '{mark}'], start_new_session=True); c.returncode = 0\n"
    found = await compared(tmp_path, "", leaves, budget_s=1)
    assert [note for note in found.notes if note.startswith("B leaves processes running")]
    assert found.verdict is None and found.refused.startswith("B leaves work to processes that go on after it")
    assert not [note for note in found.notes if note.startswith("A ")]
    assert not [p for p in psutil.process_iter() if mark in " ".join(_words(p))]


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


CALLED = """
import time
def work(seconds=0.004):
    until = time.process_time() + seconds
    while time.process_time() < until: pass
    return object()
def more(): return work(0.008)
def other(): return work(), 1
async def later(): work()
def lazy(): yield work()
"""


async def called(root: Path, *names: str) -> Comparison:
    (root / "called.py").write_text(CALLED)
    wish = Wish(root=root, callables=names, rules=Rules(budget_s=60, error=0.4))
    return (await compare_sides(wish, lambda what: None))[0]


async def test_two_callables_are_compared_by_as_many_calls(tmp_path: Path) -> None:
    found = await called(tmp_path, "called:work", "called:more")
    turns = found.effect("turns")
    assert (found.subject, found.verdict) == ("callables", "regressed"), found.refused
    assert turns is not None and turns.a == turns.b and turns.verdict == "equivalent"


async def test_callables_with_other_answers_get_no_verdict(tmp_path: Path) -> None:
    found = await called(tmp_path, "called:work", "called:other")
    assert found.verdict is None and "did not do the same work" in found.refused


@pytest.mark.parametrize("name", ["called:later", "called:lazy"])
async def test_callables_that_only_promise_their_work_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(CommandError) as caught:
        await called(tmp_path, name, name)
    assert "has done nothing yet" in caught.value.tail


async def test_a_variable_of_one_side_makes_the_difference(tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text(
        "import os, time\nwhile time.process_time() < float(os.environ['SECONDS']) + float(os.environ['BASE']): pass\n"
    )
    wish = Wish(
        root=tmp_path,
        commands=(f"{sys.executable} -S work.py",) * 2,
        settings=("A:SECONDS=0.01", "B:SECONDS=0.06", "BASE=0.02"),
        rules=Rules(budget_s=15, error=0.2),
    )
    assert (await compare_sides(wish, lambda what: None))[0].verdict == "regressed"


@pytest.mark.parametrize(
    ("name", "settings", "a", "b"),
    [
        ("one side", ("B:SLOW=1",), {}, {"SLOW": "1"}),
        ("both", ("SLOW=1",), {"SLOW": "1"}, {"SLOW": "1"}),
        ("each its own", ("A:N=1", "B:N=2"), {"N": "1"}, {"N": "2"}),
        (
            "a colon in the value",
            ("URL=http://x:1", "A:U=B:2"),
            {"URL": "http://x:1", "U": "B:2"},
            {"URL": "http://x:1"},
        ),
        ("no value", ("A:N=",), {"N": ""}, {}),
        ("an equals sign in the value", ("N=a=b",), {"N": "a=b"}, {"N": "a=b"}),
    ],
)
def test_variables_of_the_sides(name: str, settings: tuple[str, ...], a: dict[str, str], b: dict[str, str]) -> None:
    assert (variables(settings, "A"), variables(settings, "B")) == (a, b)


@pytest.mark.parametrize("setting", ["SLOW", "A:SLOW", "=1", "A:=1", ""])
def test_what_is_no_variable_is_refused(setting: str) -> None:
    with pytest.raises(UsageError):
        variables((setting,), "A")


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("one command", {"commands": ("true",)}),
        ("three commands", {"commands": ("true", "true", "true")}),
        ("one callable", {"callables": ("a:b",)}),
        ("commands and addresses", {"commands": ("true", "true"), "urls": ("http://x/", "http://y/")}),
        ("revisions and addresses", {"revisions": ("a", "b"), "urls": ("http://x/", "http://y/")}),
        ("one address", {"urls": ("http://x/",)}),
        ("the same address", {"urls": ("http://x/", "http://x/")}),
        ("no address", {"urls": ("x", "y")}),
        ("nothing", {}),
        ("one revision", {"revisions": ("a",)}),
    ],
)
async def test_what_is_not_two_sides_is_refused(tmp_path: Path, name: str, asked: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(UsageError):
        await compare_sides(Wish(root=tmp_path, **asked), lambda what: None)  # type: ignore[arg-type]
