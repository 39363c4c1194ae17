"""Every manifest is whole, its program says its version, and a project's own one wins."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfcrew.core.errors import ToolMissing, UsageError
from perfcrew.instruments.manifests import manifest, names, program, version

NEEDED = {"load", "baseline", "workload", "traces", "scaling", "py-spy", "profile", "memory", "neighbour", "redis"}


def test_the_instruments_of_the_policies_have_manifests() -> None:
    assert set(names()) >= NEEDED


@pytest.mark.parametrize("name", sorted(NEEDED))
def test_a_manifest_is_whole(name: str) -> None:
    found = manifest(name)
    assert found.needs and found.units and found.timeout_s > 0 and len(found.text) > 100


async def test_programs_say_their_version() -> None:
    assert (await version(manifest("py-spy")))[0].isdigit()
    assert (await version(manifest("load")))[0].isdigit()


WHOLE = "name: load\nprogram: p\nversion: [p]\ninstall: i\ntimeout_s: 1\nunits: {}\ntext: t\n"
WRONG = {
    "no YAML": ("name: [", "not YAML"),
    "a key is missing": ("name: load", "Field required"),
    "a key too many": (WHOLE + "colour: red\n", "Extra inputs"),
    "another name": (WHOLE.replace("load", "other"), "names itself"),
}


@pytest.mark.parametrize(("content", "said"), WRONG.values(), ids=WRONG.keys())
def test_a_projects_own_manifest_wins_and_is_checked(tmp_path: Path, content: str, said: str) -> None:
    own = tmp_path / ".perfcrew" / "tools" / "load.yaml"
    own.parent.mkdir(parents=True)
    own.write_text(WHOLE)
    assert manifest("load", tmp_path).program == "p"
    own.write_text(content)
    with pytest.raises(UsageError, match=said):
        manifest("load", tmp_path)


def test_a_missing_program_says_how_to_install_it() -> None:
    with pytest.raises(ToolMissing, match="apt install it"):
        program("no-such-program-anywhere", "apt install it")
