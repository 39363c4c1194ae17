"""Both commands at once: on one core or two, held against pairs in turn, and dropped where those say otherwise."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from perfcrew.core.comparison import Comparison, Side
from perfcrew.experiment.at_once import AGAIN, CHECKED, compare_at_once, disagreement
from perfcrew.experiment.commands import READY, Commands
from perfcrew.experiment.engine import Design, Rules, compare
from perfcrew.instruments.command import Launch

from .samplers import Drawn

A, B = Side(label="A", what="a"), Side(label="B", what="b")
two_cores = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="a duet takes two cores")

WORKS = "import time\nwhile time.process_time() < {0}: pass\n"
ALONE_OR_NOT = """
import fcntl, time
lock = open("lock", "w")
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    seconds = {alone}
except BlockingIOError:
    seconds = {beside}
while time.process_time() < seconds: pass
time.sleep({stays})
"""
"""Works as long as it does because of who runs at the same time, as programs do that share a cache."""


def at_once(root: Path, a: str, b: str, design: Design = "duet", own: bool = False) -> Commands:
    for name, source in (("a.py", a), ("b.py", b)):
        (root / name).write_text(source)
    launches = [
        Launch((sys.executable, "-I", "-S", name), root, timeout_s=30.0, own_figures=own) for name in ("a.py", "b.py")
    ]
    return Commands(*launches, design=design, cores=tuple(sorted(os.sched_getaffinity(0))[:2]))


@two_cores
async def test_a_duet_decides_and_says_whether_pairs_in_turn_agree(tmp_path: Path) -> None:
    """Where others load the machine, pairs in turn may disagree: then it is dropped, and the sign is the same."""
    sampler = at_once(tmp_path, WORKS.format(0.01), WORKS.format(0.06))
    found = await compare_at_once(sampler, A, B, Rules(budget_s=15, error=0.2), lambda what: None)
    assert found.verdict == "regressed", found.why
    said = "pairs in turn agree with those at once within" if found.design == "duet" else "at once was dropped"
    assert any(said in note for note in found.notes)


@two_cores
async def test_a_duet_that_says_otherwise_than_pairs_in_turn_is_dropped(tmp_path: Path) -> None:
    """In turn both work as long; side by side B waits for the lock that A holds, and then does more."""
    a = ALONE_OR_NOT.format(alone=0.02, beside=0.02, stays=0.15)
    b = "import time; time.sleep(0.05)\n" + ALONE_OR_NOT.format(alone=0.02, beside=0.12, stays=0)
    told: list[str] = []
    found = await compare_at_once(at_once(tmp_path, a, b), A, B, Rules(budget_s=15, error=0.4), told.append)
    assert found.design == "interleaved"
    assert [note for note in found.notes if note.startswith("in turn: at once was dropped")]
    assert any(line.startswith("in turn: at once was dropped") for line in told)


def drawn(ratio: float, **more: float) -> Drawn:
    return Drawn(ratios=dict.fromkeys(("cpu", READY.name, "wall"), ratio), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "turns", "said"),
    [
        ("the same", drawn(1.5), ""),
        ("a little noisier", drawn(1.5, noise=2.0), ""),
        ("a change only side by side", drawn(1.0), "cpu differs from what it is in turn"),
        ("more side by side", drawn(1.2), "cpu differs from what it is in turn"),
        ("failed in turn", drawn(1.5, dies_at=1), "cpu could not be measured in turn"),
    ],
)
async def test_a_duet_holds_where_pairs_in_turn_say_the_same(name: str, turns: Drawn, said: str) -> None:
    found = (await compare(drawn(1.5, seed=5), A, B, Rules(most=20), lambda what: None))[0]
    checked = (await compare(turns, A, B, Rules(most=CHECKED), lambda what: None))[0]
    told = disagreement(found, checked)
    assert said in told and bool(said) == bool(told)


@two_cores
async def test_a_side_that_fails_ends_the_other_and_there_is_no_verdict(tmp_path: Path) -> None:
    found = await compare_at_once(
        at_once(tmp_path, "import sys; sys.exit(3)", WORKS.format(0.02)), A, B, Rules(budget_s=3), lambda what: None
    )
    assert found.verdict is None and "exit: 3" in found.refused


async def told_of(sampler: Commands, error: float = 0.2) -> Comparison:
    return await compare_at_once(sampler, A, B, Rules(budget_s=20, error=error), lambda what: None)


async def test_on_one_core_each_side_has_its_own_time_and_wall_time_is_that_of_pairs_in_turn(tmp_path: Path) -> None:
    found = await told_of(at_once(tmp_path, WORKS.format(0.05), WORKS.format(0.09), "one core"))
    cpu, ready, wall = (found.effect(name) for name in ("cpu", READY.name, "wall"))
    assert (found.verdict, found.rests_on, found.design) == ("regressed", "cpu", "one core"), found.notes
    assert cpu is not None and cpu.a is not None and cpu.ratio is not None and 45 < cpu.a < 90 and cpu.ratio.value > 1.3
    assert ready is not None and ready.ratio is not None and ready.ratio.value > 1.3
    assert wall is not None and wall.role == "shown" and wall.pairs_count in (CHECKED, AGAIN)


async def test_on_one_core_waiting_is_seen(tmp_path: Path) -> None:
    sleeps = "import time; time.sleep({0})\n" + WORKS.format(0.2)
    found = await told_of(at_once(tmp_path, sleeps.format(0), sleeps.format(0.03), "one core"))
    assert (found.verdict, found.rests_on, found.design) == ("regressed", READY.name, "one core"), found.notes


async def test_who_mostly_waits_shares_no_core(tmp_path: Path) -> None:
    """What it waits for may be a thing that both would use at once, such as a disk or a server."""
    sleeps = "import time; time.sleep({0})\n" + WORKS.format(0.02)
    found = await told_of(at_once(tmp_path, sleeps.format(0.03), sleeps.format(0.2), "one core"))
    assert (found.verdict, found.rests_on, found.design) == ("regressed", READY.name, "interleaved"), found.notes


async def test_commands_that_fail_beside_each_other_are_compared_in_turn(tmp_path: Path) -> None:
    alone = ALONE_OR_NOT.replace("except BlockingIOError:", "except BlockingIOError:\n    raise SystemExit(3)")
    a, b = (alone.format(alone=seconds, beside=0, stays=0) for seconds in (0.1, 0.2))
    found = await told_of(at_once(tmp_path, a, b, "one core"))
    assert (found.verdict, found.design) == ("regressed", "interleaved"), found.refused or found.why
    assert any("in turn: at once there was no verdict" in note and "exit: 3" in note for note in found.notes)


CHILD = """
import subprocess, sys
child = [sys.executable, "-I", "-S", "-c", "import time\\nwhile time.process_time() < 0.08: pass"]
"""
PARALLEL = CHILD + "for started in [subprocess.Popen(child) for _ in range(2)]: started.wait()"
SERIAL = CHILD + "for _ in range(2): subprocess.run(child)"


async def test_who_works_on_several_cores_shares_none_so_that_lost_parallelism_is_seen(tmp_path: Path) -> None:
    """How much is lost depends on how many cores are idle while this runs."""
    found = await told_of(at_once(tmp_path, PARALLEL, SERIAL, "one core"), error=0.4)
    assert found.design == "interleaved" and "in turn: A works in several threads or processes" in found.notes
    assert found.verdict != "improved" and found.effect("wall") is not None


OWN = """
import json, time
time.sleep({before})
began, worked = time.perf_counter(), time.process_time()
while time.process_time() - worked < {works}: pass
time.sleep({sleeps})
print(json.dumps({{"wall": (time.perf_counter() - began) * {says}, "cpu": time.process_time() - worked}}))
"""


@pytest.mark.parametrize(
    ("name", "b", "rests_on", "design"),
    [
        ("works longer", {"works": 0.3}, "cpu", "one core"),
        ("waits longer", {"sleeps": 0.03}, READY.name, "one core"),
        ("tells of more than the kernel knows", {"says": 3}, "wall", "interleaved"),
        ("waits outside of what it tells", {"before": 0.06, "works": 0.4}, "cpu", "interleaved"),
    ],
)
async def test_own_figures_on_one_core(
    tmp_path: Path, name: str, b: dict[str, float], rests_on: str, design: Design
) -> None:
    sides = [OWN.format(**{"before": 0, "works": 0.2, "sleeps": 0, "says": 1} | more) for more in ({}, b)]
    found = await told_of(at_once(tmp_path, sides[0], sides[1], "one core", own=True))
    assert (found.verdict, found.rests_on, found.design) == ("regressed", rests_on, design), found.notes
