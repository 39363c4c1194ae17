"""What is said of a time to live: of which record, at which rate, and that staleness is not known where it is not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from perfcrew.core.evidence import TtlCurve
from perfcrew.core.numerals import touching, uncited
from perfcrew.core.scene import Seen
from perfcrew.rules.caching import Advice, ttl_advice

from .build import lives


def said(writes: int = 0, **more: Any) -> Advice:
    seen: Seen[TtlCurve] = lives("book:{n}", writes=writes)
    scene: Any = SimpleNamespace(ttl=(Seen(seen.evidence, seen.body.model_copy(update=more)),))
    return ttl_advice(scene, "book:{n}")


def test_staleness_that_nobody_saw_is_not_none() -> None:
    assert "is not known: no write was seen" in said().text.text
    assert said().table.count("not known") == 3 and " 0.0%" not in said().table
    assert "10 % would be older than a write, at most" in said(writes=3).text.text
    assert "older than a write." in said(writes=3, deletes=True).text.text


def test_a_mix_that_nobody_recorded_is_told() -> None:
    told = said(synthetic=True).text
    assert "The mix is synthetic: it was replayed from requests of perfcrew's own" in told.text
    assert uncited(told) == touching(told) == []
    assert "synthetic" not in said().text.text


def test_the_rate_is_told_where_nobody_named_it() -> None:
    assert "It takes 12 /s, which is an assumption" in said(rate_per_s=12.0, assumed_rate=True).text.text
    assert "capacity" not in said(rate_per_s=12.0).text.text
    assert "within that record" in said().text.text
