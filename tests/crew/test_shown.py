"""Which kinds of evidence a model is shown, and that no value of the target's users is in their text."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import pytest

from perfcrew.core.advice import AdvisedIndex, IndexAdvice, IndexUsage, KnownIndex, RefusedIndex, StatementTimes
from perfcrew.core.evidence import Body, CacheServer, Evidence, KeyGroup, Method, TtlCurve, TtlPoint
from perfcrew.core.indexes import IndexSpec
from perfcrew.core.vectors import VectorSearch, VectorSetting
from perfcrew.crew import cards, shown
from perfcrew.crew.desk.rows import query
from perfcrew.crew.desk.tools import toolbox
from perfcrew.crew.dossier import dossier
from perfcrew.graphs.thinking import _KINDS
from perfcrew.rooms import names
from tests.crew.desk import desk, shop
from tests.report.make_ledger import RUN

NOT_SHOWN = {
    "frame": "variables and settings of the target",
    "survey": "requests with their headers and bodies",
    "proposals": "the plan of the experiments, not a measurement",
    "instance": "what measurements combine",
    "timing": "of perfcrew itself",
    "out of reach": "thresholds of the rules, not a measurement",
    "published": "of a report",
    "lookup": "what a model asked for itself",
    "exchange": "what was sent to a model",
    "narrative": "what a model wrote",
    "written patches": "what a model wrote",
}
PLANTED = "acme-gmbh"
SPEC = IndexSpec(table="orders", keys=("at",), where=f"tenant = '{PLANTED}' AND plan = 7731")
DDL = f"CREATE INDEX ix_orders_at ON orders (at) WHERE tenant = '{PLANTED}' AND plan = 7731"
SETTING = VectorSetting(
    access="hnsw",
    options={"m": 16},
    session={"hnsw.ef_search": "40"},
    recall_share=0.96,
    worst_share=0.9,
    median_ms=1.5,
    exact_ms=30.0,
    exact_ratio=20.0,
    frontier=True,
)
POINTS = tuple(TtlPoint(ttl_s=2.0**n, hit_share=n / 20, stale_share=None, peak_bytes=0) for n in range(14))
BODIES = {
    "vectors": VectorSearch(
        shape="SELECT id FROM items ORDER BY e <=> ? LIMIT ?",
        table="items",
        column="e",
        column_type="vector",
        expression="e",
        operator="<=>",
        operator_class="vector_cosine_ops",
        direct=True,
        wanted_count=5,
        filtered=False,
        kept_share=1.0,
        dimensions_count=128,
        table_rows=50_000,
        queries_count=20,
        captured_count=3,
        asked_share=0.95,
        exact_ms=30.0,
        current=SETTING,
        settings=(SETTING,),
    ),
    "cache server": CacheServer(
        version="7.2",
        keys_count=9,
        sampled_count=9,
        hits_count=6,
        misses_count=3,
        hit_share=0.667,
        evicted_count=0,
        expired_count=0,
        commands_count=20,
        used_bytes=1_000_000,
        peak_bytes=1_000_000,
        resident_bytes=2_000_000,
        fragmentation_share=2.0,
        limit_bytes=0,
        policy="noeviction",
        groups=(KeyGroup(pattern="person:{n}:{email}", keys_count=9, estimated_count=9, without_ttl_count=9),),
    ),
    "ttl curve": TtlCurve(
        of="cache",
        group="person:{n}",
        reads_count=100,
        keys_count=9,
        writes_count=0,
        span_s=60.0,
        target_share=0.6,
        points=POINTS,
        advised=12,
    ),
    "index advice": IndexAdvice(
        engine="postgresql",
        statements=(StatementTimes(shape="SELECT 1 FROM orders WHERE at = ?", endpoints=("GET /x",), sent_count=1),),
        advised=(
            AdvisedIndex(
                index=SPEC,
                name="ix_orders_at",
                ddl=DDL,
                before_median_ms=9.0,
                after_median_ms=1.0,
                pairs_count=9,
                verdict="improved",
                build_ms=5.0,
            ),
        ),
        refused=(RefusedIndex(index=f"orders ({SPEC.said})", reason="no gain"),),
    ),
    "index usage": IndexUsage(
        engine="postgresql", indexes=(KnownIndex(name="ix_orders_at", table="orders", ddl=DDL, scans_count=3),)
    ),
}


def item(kind: str, subject: str = "application") -> Evidence:
    method = Method(tool="t", version="1")
    body = BODIES[kind]
    return Evidence(
        id=f"E-{kind}", run="r", slot=kind, subject=subject, body=body, method=method, taken_at=datetime.now(UTC)
    )


def kinds() -> set[str]:
    """Of all bodies that there are."""
    return {one.model_fields["kind"].default for one in get_args(get_args(Body)[0])}


def test_of_each_kind_it_is_decided_whether_it_is_shown() -> None:
    assert kinds() == {*shown.KINDS, *NOT_SHOWN}
    assert not set(shown.KINDS) & set(NOT_SHOWN)


def test_what_the_cards_instruments_measure_is_in_their_prompts() -> None:
    tools = {t for n in names("agents", pattern="*.md") for t in cards.card(Path(n).stem).tools} - {cards.LEDGER}
    assert tools == set(_KINDS)
    assert {kind for found in _KINDS.values() for kind in found} <= set(shown.KINDS)


@pytest.mark.parametrize("kind", BODIES)
async def test_it_is_listed_read_and_queried(kind: str, tmp_path: Path) -> None:
    with shop(tmp_path) as ledger:
        kept = ledger.put(RUN, kind, BODIES[kind], Method(tool="t", version="1"))
        at = {tool.name: tool for tool in toolbox(desk(ledger))}
        assert kept.id in str(await at["list_evidence"].ainvoke({"kind": kind}))
        assert f"{kept.id} ({kind})" in str(await at["read_evidence"].ainvoke({"id": kept.id}))
        assert kept.id in await query(ledger.find(RUN), f"SELECT id FROM evidence WHERE kind = '{kind}'")


@pytest.mark.parametrize("kind", BODIES)
@pytest.mark.parametrize("whole", [True, False])
def test_no_value_of_a_condition_is_in_its_text(kind: str, whole: bool) -> None:
    text = shown.text(item(kind), whole=whole)
    assert PLANTED not in text and "7731" not in text


def test_what_is_no_value_stays() -> None:
    advice, usage = (json.loads(shown.text(item(kind), whole=True)) for kind in ("index advice", "index usage"))
    assert advice["advised"][0]["ddl"] == "CREATE INDEX ix_orders_at ON orders (at) WHERE tenant = ? AND plan = ?"
    assert advice["advised"][0]["index"]["where"] == "tenant = ? AND plan = ?"
    assert usage["indexes"][0]["name"] == "ix_orders_at"
    swept = json.loads(shown.text(item("vectors")))
    assert swept["settings"][0]["options"] == {"m": 16}


def test_the_table_of_times_to_live_is_whole() -> None:
    assert len(json.loads(shown.text(item("ttl curve")))["points"]) == len(POINTS)


def test_a_list_that_is_cut_says_so() -> None:
    group = BODIES["cache server"].groups[0]  # type: ignore[union-attr]
    long = item("cache server").model_copy(
        update={"body": BODIES["cache server"].model_copy(update={"groups": (group,) * 11})}
    )
    assert json.loads(shown.text(long))["groups"][8:] == ["(3 more: read the item)"]
    assert len(json.loads(shown.text(long, whole=True))["groups"]) == 11


def test_what_sums_up_the_application_comes_before_its_endpoints() -> None:
    found = [item("ttl curve", "GET /x"), item("index usage"), item("cache server"), item("vectors", "GET /x")]
    one = item("cache server", "GET /y")  # a sample that somebody asked for is of its endpoint alone
    ordered = [e.kind for e in dossier([*found, one], ["GET /x", "GET /y"], 50_000).exhibits]
    assert ordered == ["cache server", "ttl curve", "vectors", "cache server", "index usage"]
