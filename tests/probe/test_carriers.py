"""Which carrier a process gets: the target's own OpenTelemetry, a broken one, a foreign provider."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from probe_harness import APPS, Probe, uvicorn

FELL_BACK = "fell back to stdlib mode"


@pytest.mark.target
def test_the_targets_own_provider_stays_the_global_one_and_is_joined(new_probe: Callable[..., Probe]) -> None:
    with new_probe().serve("own_otel.py", *uvicorn("own_otel:app")) as server:
        assert server.get("/priced", trace="a" * 32).body == b"true"
        (own,) = [span for span in server.records.of("internal", "a" * 32) if span["name"] == "price"]
        (statement,) = [span for span in server.records.at("price") if "db.query.text" in span["attributes"]]
        exported = json.loads(server.get("/exported", trace="b" * 32).body)
        hello = server.records.hello
    assert statement["parent"] == own["span"] and statement["trace"] == "a" * 32
    assert "shop:price" in exported, "its own exporter gets its spans as ever"
    assert [name for name in exported if name.startswith("perfcrew")] == [], "and none of ours"
    assert hello["mode"] == "otel" and any("joined" in note for note in hello["notes"])


@pytest.mark.target
def test_a_sampler_that_drops_everything_drops_nothing_of_ours(new_probe: Callable[..., Probe]) -> None:
    probe = new_probe(extra={"OTEL_TRACES_SAMPLER": "always_off"})
    with probe.serve("own_otel.py", *uvicorn("own_otel:app")) as server:
        server.get("/priced", trace="a" * 32)
        assert len([span for span in server.records.at("price") if "db.query.text" in span["attributes"]]) == 1


def test_a_broken_opentelemetry_means_stdlib_mode_and_says_so(new_probe: Callable[..., Probe]) -> None:
    probe = new_probe(pythonpath=str(APPS / "broken"))
    records = probe.run("statements.py", str(probe.folder / "db.sqlite"))
    assert records.hello["mode"] == "stdlib"
    assert any(FELL_BACK in note and "this OpenTelemetry is broken" in note for note in records.hello["notes"])
    assert len(records.at("shortcut", "database")) == 1


def test_a_disabled_sdk_means_stdlib_mode(new_probe: Callable[..., Probe]) -> None:
    probe = new_probe(extra={"OTEL_SDK_DISABLED": "true"})
    records = probe.run("statements.py", str(probe.folder / "db.sqlite"))
    assert records.hello["mode"] == "stdlib" and any(FELL_BACK in note for note in records.hello["notes"])
    assert len(records.at("shortcut", "database")) == 1


def test_without_dependencies_it_is_stdlib_mode(new_probe: Callable[..., Probe]) -> None:
    probe = new_probe(mode="stdlib", extra={"PERFCREW_PROBE_DEPS": ""})
    records = probe.run("statements.py", str(probe.folder / "db.sqlite"))
    assert records.hello["mode"] == "stdlib"


def test_a_provider_that_cannot_be_joined_means_stdlib_mode_from_then_on(new_probe: Callable[..., Probe]) -> None:
    records = new_probe().run("foreign_otel.py")
    assert records.hello["mode"] == "stdlib" and any(FELL_BACK in note for note in records.hello["notes"])
    assert [len(records.at(mark, "database")) for mark in ("before", "after")] == [1, 1]


def test_where_the_target_has_no_opentelemetry_the_brought_one_shows_in_no_stack(
    new_probe: Callable[..., Probe],
) -> None:
    # The interpreter below the virtual environment has no packages of its own.
    bare = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    records = new_probe(python=str(bare)).run("forking.py")
    assert records.hello["mode"] == "otel"
    (span,) = records.at("parent", "database")
    assert span["stack"] == [[str(records.source), records.line("parent"), "<module>"]]
