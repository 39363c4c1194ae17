"""Every file of a room is load-bearing: without it, something that runs says so or comes out different."""

import shutil
from pathlib import Path

import pytest

from perfcrew import rooms, settings
from perfcrew.core.errors import PerfcrewError
from perfcrew.crew import cards, models
from perfcrew.instruments import manifests

from ..crew.test_prompts import asked, narrated, patched

FILES = [name for room in rooms.ROOMS for name in rooms.names(room)]
PROFILES = ("web-api", "persona-platform", "model-orchestrator", "meeting-search")


def what_runs() -> str:
    """All that the rooms decide, in words."""
    policies = [cards.policy(Path(n).stem) for n in rooms.names("workflows", pattern="*.yaml")]
    members = sorted({m for p in policies for m in (*p.specialists, p.reviewer)})
    return repr(
        (
            policies,
            [asked(member) for member in members],
            [narrated(), patched()],
            [manifests.manifest(i) for p in policies for i in p.instruments],
            [manifests.manifest(t) for m in members for t in cards.card(m).tools if t != "ledger"],
            [settings.load(profile_name=name) for name in PROFILES],
            models.look(Path("/nowhere"), environment={"ANTHROPIC_API_KEY": "k"}),
        )
    )


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for room in rooms.ROOMS:
        shutil.copytree(rooms.home() / room, tmp_path / room)
    monkeypatch.setattr(rooms, "home", lambda: tmp_path)
    return tmp_path


def test_the_copy_alone_changes_nothing(copied: Path) -> None:
    assert what_runs()


@pytest.mark.parametrize("name", FILES)
def test_without_it_something_changes(name: str, copied: Path) -> None:
    before = what_runs()
    (copied / name).unlink()
    try:
        after = what_runs()
    except PerfcrewError:
        return
    assert after != before


def test_a_project_overrides_any_file(tmp_path: Path) -> None:
    own = tmp_path / ".perfcrew" / "prompts" / "_protocol.md.j2"
    own.parent.mkdir(parents=True)
    own.write_text("Our own protocol.")
    assert rooms.read("prompts/_protocol.md.j2", tmp_path) == "Our own protocol."
    assert rooms.read("prompts/_targets.md.j2", tmp_path) == rooms.read("prompts/_targets.md.j2")
