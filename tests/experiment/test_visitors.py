"""Who else is asked."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from perfcrew.core.project import Auth, Project
from perfcrew.experiment.visitors import nobody_else, visitors

TOLD, OTHERS = (Auth(headers={"Authorization": f"env:{name}"}) for name in ("TOKEN", "OTHER_TOKEN"))


@pytest.mark.parametrize(
    ("auth", "other", "said"),
    [
        (Auth(), None, ""),
        (TOLD, OTHERS, ""),
        (Auth(), TOLD, ""),
        (TOLD, None, "give one as [other_user]"),
        (TOLD, TOLD, "give one as [other_user]"),
    ],
)
def test_where_users_log_in_another_one_is_needed_to_see_a_leak(auth: Auth, other: Auth | None, said: str) -> None:
    project = Project(
        root=Path(),
        name="shop",
        framework="fastapi",
        python=Path(sys.executable),
        workdir=Path(),
        start=("x",),
        auth=auth,
        other_user=other,
    )
    assert said in nobody_else(project) and bool(said) == bool(nobody_else(project))


def test_nobody_and_an_unknown_token_are_always_asked() -> None:
    labels = [visitor.label for visitor in visitors(has_other=False)]
    assert labels[:2] == ["somebody without credentials", "somebody with an unknown token"]
    assert [visitor.label for visitor in visitors(has_other=True)] == ["the other user", *labels]
