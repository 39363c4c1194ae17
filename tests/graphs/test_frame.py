"""Phase 0: the metric that the effort is judged by."""

from __future__ import annotations

import pytest

from perfcrew import settings
from perfcrew.core.errors import UsageError
from perfcrew.graphs.steps.frame import primary_metric

METRICS: dict[str, tuple[str | None, str, str]] = {
    "not given: that of the first target": (None, "model-orchestrator", "startup"),
    "one that is measured": ("latency", "model-orchestrator", "latency"),
    "one that only the profile knows": ("vector.growth", "meeting-search", "vector.growth"),
}


@pytest.mark.parametrize(("given", "profile", "expected"), METRICS.values(), ids=METRICS)
def test_the_primary_metric(given: str | None, profile: str, expected: str) -> None:
    assert primary_metric(given, settings.profile(profile)) == expected


@pytest.mark.parametrize(
    ("given", "do"),
    [("latnecy", "did you mean latency?"), ("frames a minute", "known are: latency, "), ("", "known are: ")],
)
def test_one_that_nothing_measures_is_refused(given: str, do: str) -> None:
    with pytest.raises(UsageError) as caught:
        primary_metric(given, settings.profile("web-api"))
    assert f"frame.primary_metric: nothing measures {given!r}" in str(caught.value)
    assert do in str(caught.value)
