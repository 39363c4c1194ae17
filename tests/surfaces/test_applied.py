"""What comes into the user's files with `--apply`."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from perfcrew.surfaces import review
from tests.experiment.repositories import contents, git, repository


@pytest.mark.parametrize(
    ("name", "patch", "passed", "said"),
    [
        ("kept and passed", True, True, "applied to"),
        ("the gate failed", True, False, "the gate failed, so nothing is applied"),
        ("nothing held", False, True, "nothing is applied"),
    ],
)
def test_only_what_was_kept_and_passed(
    name: str, patch: bool, passed: bool, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    user, out = repository(tmp_path / "shop"), tmp_path / "out"
    out.mkdir()
    (user / "api/shop/main.py").write_text("ANSWER = 4\n")
    changed = git(user, "diff", "--binary", "--full-index")
    git(user, "checkout", "-q", "--", ".")
    if patch:
        (out / "optimize.patch").write_text(changed)
    before = contents(user)
    outcome: Any = SimpleNamespace(folder=out, passed=passed)
    review._apply(user / "api", outcome)
    assert said in capsys.readouterr().err
    assert (contents(user) != before) == (patch and passed)
