"""How the time for measuring is shared, where it does not suffice for every endpoint."""

from __future__ import annotations

import pytest

from perfcrew.graphs.steps.baseline import first_until


@pytest.mark.parametrize(("budget_s", "runs"), [(900.0, 3), (80.0, 3), (80.0, 10)])
def test_all_instances_at_the_pace_of_the_first_leave_half_the_time(budget_s: float, runs: int) -> None:
    first_s = first_until(100.0, 100.0 + budget_s, runs) - 100.0
    assert first_s > 0
    assert first_s * runs == pytest.approx(budget_s / 2)


def test_no_share_is_left_of_time_that_is_over() -> None:
    assert first_until(100.0, 90.0, 3) < 100.0
