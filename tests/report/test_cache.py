"""The cache server in the report: tables and a sentence where they are bad news, and held against the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from perfcrew.core.evidence import CacheServer, Estimate, KeyGroup, Measurement, SlowCommand
from perfcrew.core.prose import Prose
from perfcrew.core.report import CacheLook, Report
from perfcrew.gate.held import Held
from perfcrew.gate.judge import decide, limits_of
from perfcrew.ledger import Ledger
from perfcrew.report import html, markdown
from perfcrew.report import json as as_json
from perfcrew.report.compose import compose
from tests.gate.mutations import KINDS, Mutator
from tests.report.make_ledger import RUN, make
from tests.report.shop import METHOD

LIMITS = limits_of()


def server(**changes: object) -> CacheServer:
    whole: dict[str, object] = {
        "version": "7.2.4",
        "keys_count": 4210,
        "sampled_count": 2000,
        "hits_count": 873,
        "misses_count": 127,
        "hit_share": 0.873,
        "evicted_count": 0,
        "expired_count": 31,
        "commands_count": 1907,
        "used_bytes": 3_410_000,
        "peak_bytes": 5_120_000,
        "resident_bytes": 21_400_000,
        "fragmentation_share": 6.27,
        "limit_bytes": 0,
        "policy": "noeviction",
        "groups": (
            KeyGroup(
                pattern="book:{n}`|<b>",
                keys_count=1930,
                estimated_count=4062,
                without_ttl_count=1930,
                median_bytes=312.0,
                largest_bytes=9000,
                total_bytes=640_000,
            ),
            *(
                KeyGroup(
                    pattern=f"page{x}:{{n}}", keys_count=7, estimated_count=15, without_ttl_count=0, ttl_median_s=41
                )
                for x in "abcdefghijkl"
            ),
        ),
        "slow": (SlowCommand(command="SMEMBERS", pattern="tag:{n}", times_count=4, longest_ms=23.4),),
        "refused": {"size": "this user has no permissions to run the 'memory|usage' command"},
        **changes,
    }
    return CacheServer.model_validate(whole)


FULL = {"evicted_count": 512, "limit_bytes": 100_000_000, "used_bytes": 99_800_000, "policy": "allkeys-lru"}
FRAGMENTED = {"used_bytes": 200_000_000, "resident_bytes": 420_000_000, "fragmentation_share": 2.1}
SWAPPED = {"used_bytes": 900_000_000, "resident_bytes": 500_000_000, "fragmentation_share": 0.56}
RATIO = Measurement(
    metric="cache.hit_ratio", unit="fraction", direction="higher", runs=3, count=1000,
    statistics={"value": Estimate(value=0.861)},
)  # fmt: skip


def written(folder: Path, *bodies: CacheServer) -> Ledger:
    ledger = make(folder)
    for stage, body in zip(("traces", "workload"), bodies, strict=False):
        ledger.put(RUN, f"redis/{stage}", body, METHOD)
    return ledger


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    with written(tmp_path_factory.mktemp("shop"), server(hit_share=None), server(**FULL)) as made:
        made.put(RUN, "workload/hit ratio", RATIO, METHOD)
        made.put(RUN, "redis/GET /books", server(hits_count=99_111), METHOD, "GET /books")
        yield made


@pytest.fixture(scope="module")
def report(ledger: Ledger) -> Report:
    return compose(ledger, RUN)


def test_the_tables_are_in_the_document(report: Report) -> None:
    text = markdown.render(report)
    section = text[text.index("## Cache") :]
    assert "after its warm-up: 86.1 %." in section
    assert "| traced requests | – | 873 | 127 | 0 | 31 | 1,907 | 4,210 | 3.41 MB |" in section
    assert "| workload | 87.3 % | 873 | 127 | 512 |" in section
    assert "| `book:{n}'\\|<b>` | 1,930 | 4,062 | 1,930 | – | 312 B | 640 kB |" in section
    assert "| `SMEMBERS` | `tag:{n}` | 4 | 23.4 ms | workload |" in section
    assert "no permissions to run" in section
    assert section.count("`pagea:") == 1 and "*5 more rows stand in the JSON report.*" in section


def test_in_the_page_and_in_json(report: Report) -> None:
    page = html.render(report)
    assert 'id="cache"' in page and 'href="#cache"' in page
    assert "book:{n}`|&lt;b&gt;" in page and "book:{n}`|<b>" not in page
    kept = as_json.parse(as_json.render(report))
    assert kept.cache == report.cache and kept.cache is not None
    assert [look.after for look in kept.cache.looks] == ["traced requests", "workload"]


def test_a_sample_of_one_endpoint_is_not_in_it(report: Report) -> None:
    assert "99,111" not in markdown.render(report)


def test_without_a_cache_server_there_is_no_section(tmp_path: Path) -> None:
    with make(tmp_path) as ledger:
        bare = compose(ledger, RUN)
        assert bare.cache is None
        assert "## Cache" not in markdown.render(bare) and 'id="cache"' not in html.render(bare)
        assert decide(bare, Held.read(ledger, RUN), LIMITS).passed


SAID = {
    "evicted": (FULL, "dropped keys before their time: 512 of them, with 99.8 MB in use and 100 MB allowed"),
    "no limit": ({}, "no `maxmemory`"),
    "fragmented": (FRAGMENTED, "fragmented: 420 MB are resident for 200 MB in use"),
    "swapped out": (SWAPPED, "swapped out: 500 MB are resident for 900 MB in use"),
}
NOT_SAID = {
    "nearly empty, so that the ratio means nothing": ({}, "fragmented"),
    "resident what is used": ({"used_bytes": 200_000_000, "fragmentation_share": 1.1}, "memory is"),
    "a limit, and room below it": ({"limit_bytes": 100_000_000}, "memory"),
}


@pytest.mark.parametrize("name", SAID)
def test_bad_news_is_a_sentence(name: str, tmp_path: Path) -> None:
    changes, said = SAID[name]
    with written(tmp_path, server(**changes)) as ledger:
        told = compose(ledger, RUN)
        assert said in markdown.render(told)
        assert decide(told, Held.read(ledger, RUN), LIMITS).passed


@pytest.mark.parametrize("name", NOT_SAID)
def test_no_news_is_none(name: str, tmp_path: Path) -> None:
    changes, said = NOT_SAID[name]
    with written(tmp_path, server(**changes)) as ledger:
        use = compose(ledger, RUN).cache
    assert use is not None and said not in use.looks[0].said.text


def look(report: Report, n: int = 1, **changes: object) -> Report:
    assert report.cache is not None
    looks = list(report.cache.looks)
    looks[n] = looks[n].model_copy(update=changes)
    return report.model_copy(update={"cache": report.cache.model_copy(update={"looks": tuple(looks)})})


def of(report: Report, n: int = 1) -> CacheLook:
    assert report.cache is not None
    return report.cache.looks[n]


def _swapped(report: Report) -> Report:
    cells = list(of(report).server.cells)
    cells[1], cells[2] = cells[2], cells[1]
    return look(report, server=of(report).server.model_copy(update={"cells": tuple(cells)}))


def _hidden(report: Report) -> Report:
    server = of(report).server
    return look(report, server=server.model_copy(update={"cells": (Prose(text="–"), *server.cells[1:])}))


REFUSED: dict[str, Callable[[Report], Report]] = {
    "hits under misses": _swapped,
    "a number kept back": _hidden,
    "a pattern left out": lambda r: look(r, groups=of(r).groups[1:]),
    "a slow command left out": lambda r: look(r, slow=()),
    "another pattern's numbers": lambda r: look(r, groups=(of(r).groups[1], of(r).groups[0], *of(r).groups[2:])),
    "the traces' figures for the workload's": lambda r: look(r, server=of(r, 0).server),
    "another stage": lambda r: look(r, after="traced requests"),
    "evictions that no sentence tells": lambda r: look(r, said=Prose(text="All is well.")),
    "what was refused is not told": lambda r: look(r, refused=()),
    "another policy": lambda r: look(r, policy=of(r, 0).policy),
    "a look left out": lambda r: r.model_copy(
        update={"cache": r.cache.model_copy(update={"looks": r.cache.looks[1:]}) if r.cache else None}
    ),
    "all of it left out": lambda r: r.model_copy(update={"cache": None}),
    "the ratio left out": lambda r: r.model_copy(
        update={"cache": r.cache.model_copy(update={"hit_ratio": Prose(text="")}) if r.cache else None}
    ),
}  # fmt: skip


def test_the_gate_passes_it_as_it_is(ledger: Ledger, report: Report) -> None:
    assert decide(report, Held.read(ledger, RUN), LIMITS, markdown.render(report)).failed == ()


@pytest.mark.parametrize("name", REFUSED)
def test_the_gate_refuses(name: str, ledger: Ledger, report: Report) -> None:
    assert not decide(REFUSED[name](report), Held.read(ledger, RUN), LIMITS).passed


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "invented"])
def test_no_false_number_in_it_escapes(kind: str, ledger: Ledger, report: Report) -> None:
    held = Held.read(ledger, RUN)
    mutator = Mutator(report, held, seed=20261121)
    mutator.cited = [(path, prose) for path, prose in mutator.cited if path[0] == "cache"]
    mutants = (mutator.false(kind) for _ in range(8))
    assert [m for m in mutants if decide(m.report, held, LIMITS).passed] == []
