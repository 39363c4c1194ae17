"""The model against a real server: a short replay of the benchmark, within its bound."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import ttl_model

pytestmark = pytest.mark.redis


def test_predictions_are_within_two_points_of_a_real_redis() -> None:
    rows = ttl_model.measured(2500, 1.5)
    assert len(rows) == 2 * len(ttl_model.TTL_SHARES) + len(ttl_model.LIMITS)
    assert 0.1 < min(r.real for r in rows) < max(r.real for r in rows) < 0.95
    assert {r.name: r.off for r in rows if abs(r.off) > ttl_model.POINTS} == {}
