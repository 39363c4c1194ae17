"""No key of a cache is kept: neither in the evidence's body nor in its blob."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from perfcrew.core.cache import operations
from perfcrew.core.trace import Span, Trace
from perfcrew.instruments.sealing import words
from perfcrew.instruments.traces import load, summarise_traces


def span(*each: list[object]) -> Span:
    attributes = {
        "perfcrew.cache.key": each[0][1],
        "perfcrew.cache.operations": json.dumps(each),
        "perfcrew.cache.hit": False,
    }
    return Span(trace="t", span="s", kind="cache", name="GET", start_ns=1, end_ns=2, attributes=attributes)  # type: ignore[arg-type]


def test_the_ledger_holds_patterns_and_digests(tmp_path: Path) -> None:
    (tmp_path / "carts.py").write_text('def cart(name, word):\n    return f"cart:{name}:items:{word}"\n')
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_carts.py").write_text('KEY = "cart:peter:items:secret"\n')
    assert words(tmp_path) == {"cart", "items"}
    one = span(["GET", "cart:peter:items:secret", False, 0, None], ["SET", "cart:peter:items:secret", None, 9, 5.0])
    other = span(["HGET", "cart:paula:items:secret colour", True, 3, None])
    traces = [Trace(id=str(n), request=0, repeat=n, spans=(one, other)) for n in (0, 1)]
    run = summarise_traces(traces, root=tmp_path)
    kept = gzip.decompress(run.blob).decode() + run.body.model_dump_json()
    assert not any(word in kept for word in ("peter", "paula", "secret", "colour"))
    assert {group.pattern for group in run.body.cache} == {"cart:{}:items:{}", "cart:{}:items:{} {}"}
    again = load(run.blob)
    assert {group.pattern for group in summarise_traces(again, root=tmp_path).body.cache} == {
        group.pattern for group in run.body.cache
    }
    first, second = operations(again[0].spans[0])
    assert first.key == second.key, "what is equal stays equal"
    assert operations(run.traces[0].spans[0])[0].key == "cart:peter:items:secret", "what a run needs, it has"
