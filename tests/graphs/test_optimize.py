"""The whole of `perfcrew optimize`: found, fixed, proven, kept on a branch; and the user's repository as it was."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import kill_and_optimize
import kill_and_resume
import pytest
from reviews import Ended, Place

from perfcrew.core.comparison import Comparison
from perfcrew.core.experiments import Kept, Outcome
from perfcrew.ledger import Ledger

pytestmark = [pytest.mark.target, pytest.mark.alone]


def files(root: Path) -> dict[str, bytes]:
    """The user's files, and those of git."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and ".perfcrew" not in path.relative_to(root).parts
    }


@dataclass
class Optimized:
    """An application with a blocking call in it, optimized."""

    place: Place
    before: dict[str, bytes]
    ended: Ended

    @property
    def branch(self) -> str:
        return f"perfcrew/{self.ended.events[-1]['run']}"

    def git(self, *words: str) -> str:
        command = [*kill_and_optimize.GIT, *words]
        done = subprocess.run(command, cwd=self.place.root, capture_output=True, text=True, check=True, timeout=60)
        return done.stdout


@pytest.fixture(scope="module")
def optimized() -> Iterator[Optimized]:
    with tempfile.TemporaryDirectory(prefix="pc-", dir="/tmp") as folder:
        root, temporary = kill_and_optimize.project(Path(folder)), Path(folder) / "t"
        temporary.mkdir()
        place, before = Place(root, temporary), files(root)
        yield Optimized(place, before, place.ended("optimize", "--path", str(root), "--all", "--json", limit_s=400))


def test_what_is_proven_is_kept_and_the_gate_passes(optimized: Optimized) -> None:
    assert (optimized.ended.exit, optimized.ended.events[-1]["passed"]) == (1, True), optimized.ended.said
    with Ledger.existing(optimized.place.root) as ledger:
        run = optimized.ended.events[-1]["run"]
        outcomes = [e.body for e in ledger.find(run, "outcome") if isinstance(e.body, Outcome)]
        compared = [e.body for e in ledger.find(run, "comparison") if isinstance(e.body, Comparison)]
        kept = [e.body for e in ledger.find(run, "kept") if isinstance(e.body, Kept)]
    assert [o.decision for o in outcomes] == ["keep"]
    assert [s.name for s in outcomes[0].steps] == ["apply", "checks", "tests", "answers", "footprint", "measure"]
    assert outcomes[0].seconds >= sum(s.seconds for s in outcomes[0].steps) > 0
    assert kept[0].whole and kept[0].branch == optimized.branch
    statements = {c.subject: e.b for c in compared for e in c.effects if e.metric == "db.statements"}
    assert statements == {"GET /items": 1}


def test_the_branch_has_a_commit_that_tells_what_was_measured(optimized: Optimized) -> None:
    said = optimized.git("log", "--format=%B", f"main..{optimized.branch}")
    assert said.splitlines()[0] == "Wait with asyncio.sleep, which lets the loop go on"
    assert all(words in said for words in ("Hypothesis: ", "Because: ", "neighbour.latency of GET /wait -", "RT301-"))
    changed = optimized.git("diff", "--unified=0", "main", optimized.branch)
    assert "-    time.sleep(0.03)  # a blocking call" in changed and "+    await asyncio.sleep(0.03)" in changed


def test_the_patch_is_what_the_branch_changes(optimized: Optimized) -> None:
    patch = Path(optimized.ended.events[-1]["report"]).with_name("optimize.patch")
    optimized.git("apply", "--check", str(patch))
    assert patch.read_text().splitlines()[-3:] == optimized.git("diff", "main", optimized.branch).splitlines()[-3:]


def test_the_report_tells_what_was_tried(optimized: Optimized) -> None:
    text = Path(optimized.ended.events[-1]["report"]).with_suffix(".md").read_text()
    assert "Wait with asyncio.sleep" in text and optimized.branch in text


def test_the_repository_is_as_it_was_but_for_the_branch_and_its_objects(optimized: Optimized) -> None:
    assert optimized.git("status", "--porcelain") == ""
    assert optimized.git("for-each-ref", "--format=%(refname)").split() == [
        "refs/heads/main",
        f"refs/heads/{optimized.branch}",
    ]
    found = files(optimized.place.root)
    new = {name for name in found if name not in optimized.before}
    assert {name: found[name] for name in optimized.before} == optimized.before
    assert all(name.startswith((".git/objects/", ".git/refs/heads/perfcrew/")) for name in new)
    assert kill_and_resume.owned(optimized.place.root) == []
    assert sorted(p.name for p in optimized.place.temporary.iterdir()) == []
