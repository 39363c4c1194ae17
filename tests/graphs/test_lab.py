"""What is kept becomes the state that the next change is held against."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from perfcrew.core.patches import Fix
from perfcrew.experiment.worktrees import worktree
from perfcrew.graphs.steps.lab import Lab, Tree
from perfcrew.target.leftovers import Registry
from tests.experiment.repositories import repository


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    """On two worktrees of a real repository; nothing is started in them."""
    user, nothing = repository(tmp_path / "shop"), _nothing()
    (tmp_path / "workspace").mkdir()
    async with AsyncExitStack() as stack:
        both = [
            await stack.enter_async_context(worktree(user / "api", Registry(tmp_path / name), tmp_path / "workspace"))
            for name in ("best", "change")
        ]
        best, change = (Tree(one, nothing, nothing) for one in both)
        yield Lab(nothing, nothing, best, change, best.worktree.base_commit, nothing)


def _nothing() -> Any:
    return None


async def keep(lab: Lab, text: str, ttl_s: float = 0.0) -> None:
    fix = Fix(finding="f", hypothesis="h", variant="v", title="Do it", files={"shop/main.py": text}, ttl_s=ttl_s)
    (lab.change.root / "shop/main.py").write_text(text)
    await lab.keep(fix, "Do it")


async def test_what_is_kept_for_a_while_makes_later_answers_as_old_too(lab: Lab) -> None:
    plain = Fix(finding="f", hypothesis="h", variant="v", title="Index it")
    assert lab.declared_s(plain) == 0
    await keep(lab, "ANSWER = 4\n", ttl_s=30)
    assert lab.declared_s(plain) == 30
    await keep(lab, "ANSWER = 5\n")
    await keep(lab, "ANSWER = 6\n", ttl_s=5)
    assert lab.declared_s(plain) == 30
    assert lab.declared_s(plain.model_copy(update={"ttl_s": 3600.0})) == 60, "what lives for longer is not waited for"


async def test_the_next_change_begins_with_what_was_kept(lab: Lab) -> None:
    await keep(lab, "ANSWER = 4\n")
    (lab.change.root / "shop/main.py").write_text("ANSWER = 5\n")
    await lab.reset()
    texts = [(tree.root / "shop/main.py").read_text() for tree in (lab.best, lab.change)]
    assert texts == ["ANSWER = 4\n"] * 2 and lab.diff() == ""
