"""Both commands at once: on a core each, held against some pairs in turn, and dropped where those say otherwise."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from perfcrew.core.comparison import Side
from perfcrew.experiment.commands import READY, Commands
from perfcrew.experiment.duet import CHECKED, compare_duet, disagreement
from perfcrew.experiment.engine import Rules, compare
from perfcrew.instruments.command import Launch

from .samplers import Drawn

A, B = Side(label="A", what="a"), Side(label="B", what="b")
pytestmark = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="a duet takes two cores")

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


def duet(root: Path, a: str, b: str) -> Commands:
    for name, source in (("a.py", a), ("b.py", b)):
        (root / name).write_text(source)
    launches = [Launch((sys.executable, "-I", "-S", name), root, timeout_s=30.0) for name in ("a.py", "b.py")]
    return Commands(*launches, design="duet", cores=tuple(sorted(os.sched_getaffinity(0))[:2]))


async def test_a_duet_decides_and_says_whether_pairs_in_turn_agree(tmp_path: Path) -> None:
    """Where others load the machine, pairs in turn may disagree: then it is dropped, and the sign is the same."""
    sampler = duet(tmp_path, WORKS.format(0.01), WORKS.format(0.06))
    found = await compare_duet(sampler, A, B, Rules(budget_s=15, error=0.2), lambda what: None)
    assert found.verdict == "regressed", found.why
    said = f"{CHECKED} pairs in turn agree with the duet" if found.design == "duet" else "the duet was dropped"
    assert any(note.startswith(said) for note in found.notes)


async def test_a_duet_that_says_otherwise_than_pairs_in_turn_is_dropped(tmp_path: Path) -> None:
    """In turn both work as long; side by side B waits for the lock that A holds, and then does more."""
    a = ALONE_OR_NOT.format(alone=0.02, beside=0.02, stays=0.15)
    b = "import time; time.sleep(0.05)\n" + ALONE_OR_NOT.format(alone=0.02, beside=0.12, stays=0)
    told: list[str] = []
    found = await compare_duet(duet(tmp_path, a, b), A, B, Rules(budget_s=15, error=0.4), told.append)
    assert found.design == "interleaved"
    assert [note for note in found.notes if note.startswith("the duet was dropped")]
    assert any(line.startswith("the duet was dropped") for line in told)


def drawn(ratio: float, **more: float) -> Drawn:
    return Drawn(ratios=dict.fromkeys(("cpu", READY.name, "wall"), ratio), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "turns", "said"),
    [
        ("the same", drawn(1.5), ""),
        ("a little noisier", drawn(1.5, noise=2.0), ""),
        ("a change only side by side", drawn(1.0), "side by side cpu differs"),
        ("more side by side", drawn(1.2), "side by side cpu differs"),
        ("failed in turn", drawn(1.5, dies_at=1), "cpu could not be measured in turn"),
    ],
)
async def test_a_duet_holds_where_pairs_in_turn_say_the_same(name: str, turns: Drawn, said: str) -> None:
    found = (await compare(drawn(1.5, seed=5), A, B, Rules(most=20), lambda what: None))[0]
    checked = (await compare(turns, A, B, Rules(most=CHECKED), lambda what: None))[0]
    told = disagreement(found, checked)
    assert said in told and bool(said) == bool(told)


async def test_a_side_that_fails_ends_the_other_and_there_is_no_verdict(tmp_path: Path) -> None:
    found = await compare_duet(
        duet(tmp_path, "import sys; sys.exit(3)", WORKS.format(0.02)), A, B, Rules(budget_s=3), lambda what: None
    )
    assert found.verdict is None and "exit: 3" in found.refused
