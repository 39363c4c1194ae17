"""Spans of requests: read from what a probe wrote, counted, and shared out over the stages."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfcrew.core.errors import LedgerError
from perfcrew.core.trace import Span, SpanKind, Trace
from perfcrew.instruments.life import counts_of, own_times, stages
from perfcrew.instruments.probe_records import Records, hellos
from perfcrew.instruments.traces import Sent, collect, dump, functions, load, summarise_traces

MS = 1_000_000


def span(
    kind: SpanKind, start: float, end: float, name: str = "", parent: str | None = "0", **attributes: object
) -> Span:
    key = f"{kind}{start}{end}"
    return Span(
        trace="t",
        span="0" if kind == "server" else key,
        parent=None if kind == "server" else parent,
        kind=kind,
        name=name or kind,
        start_ns=round(start * MS),
        end_ns=round(end * MS),
        attributes={k.replace("__", "."): v for k, v in attributes.items()},
    )


def trace(*spans: Span, repeat: int = 1, **server: object) -> Trace:
    return Trace(id="t", request=0, repeat=repeat, server=span("server", 0, 100, **server), spans=spans)


def sql(start: float, end: float, parent: str = "0", **attributes: object) -> Span:
    return span("database", start, end, parent=parent, db__query__text="SELECT 1", **attributes)


ENDPOINT = span("stage", 10, 90, "fastapi.endpoint")
LIVES = {
    "a request and nothing else": (trace(), {"application code": 100}),
    "statements one after the other": (trace(sql(10, 20), sql(30, 50)), {"SQL": 30, "application code": 70}),
    "statements at once count once": (trace(sql(10, 30), sql(20, 40)), {"SQL": 30, "application code": 70}),
    "statements within the endpoint": (
        trace(ENDPOINT, sql(20, 50, ENDPOINT.span)),
        {"framework": 20, "endpoint code": 50, "SQL": 30},
    ),
    "a statement whose parent was lost": (
        trace(ENDPOINT, sql(20, 50, parent="gone")),
        {"framework": 20, "endpoint code": 50, "SQL": 30},
    ),
    "a call and a statement at once: the earlier one has the moment": (
        trace(span("http", 10, 40), sql(20, 50)),
        {"HTTP": 30, "SQL": 10, "application code": 60},
    ),
    "work after the answer is no part of it": (trace(sql(90, 150), sql(200, 300)), {"SQL": 10, "application code": 90}),
    "a model's call is not told as HTTP": (trace(span("model", 0, 60)), {"model calls": 60, "application code": 40}),
}


@pytest.mark.parametrize(("one", "expected"), LIVES.values(), ids=LIVES.keys())
def test_each_moment_belongs_to_one_stage(one: Trace, expected: dict[str, float]) -> None:
    assert {k: round(v, 6) for k, v in own_times(one).items() if v} == expected


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["database", "stage", "http", "internal"]),
            st.integers(-50, 150),
            st.integers(0, 100),
            st.sampled_from(["0", "gone", "loop"]),
        ),
        max_size=12,
    )
)
def test_stages_of_any_spans_sum_to_the_request(drawn: list[tuple[SpanKind, int, int, str]]) -> None:
    spans = [span(kind, start + 60, start + 60 + long, parent=parent) for kind, start, long, parent in drawn]
    assert sum(own_times(trace(*spans)).values()) == pytest.approx(100)
    assert sum(s.own_share for s in stages([trace(*spans)])) <= 1 + 1e-9


def test_time_without_processor_is_waiting() -> None:
    found = {s.name: s.own_ms for s in stages([trace(ENDPOINT, sql(20, 50), perfcrew__cpu_ns=8 * MS)])}
    assert found == pytest.approx({"waiting": 62, "SQL": 30, "framework": 8})


def test_counts_leave_out_what_is_no_statement_of_the_application() -> None:
    one = trace(
        sql(0, 10, db__response__returned_rows=7),
        sql(10, 20, perfcrew__framework=True),
        span("database", 20, 30, db__operation__name="COMMIT"),
        span("cache", 30, 31),
        span("http", 31, 32),
        span("model", 32, 33),
        http__response__body__size=512,
    )
    counts = counts_of(one)
    assert (counts.statements_count, counts.rows, counts.statements_ms) == (1, 7, 10)
    assert (counts.cache_count, counts.http_count, counts.model_count) == (1, 1, 1)
    assert (counts.response_bytes, counts.request_ms) == (512, 100)


def test_counts_are_medians_of_warm_requests_and_cold_ones_stand_apart() -> None:
    warm = [trace(*[sql(n, n + 1) for n in range(count)]) for count in (4, 8, 4)]
    run = summarise_traces([trace(*[sql(n, n + 1) for n in range(20)], repeat=0), *warm], size=400)
    assert run.body.counts.statements_count == 4 and run.body.cold and run.body.cold.statements_count == 20
    assert run.body.size == 400 and run.body.instrumented


def test_a_run_without_spans_is_not_a_clean_one(tmp_path: Path) -> None:
    run = summarise_traces([Trace(id="a", request=0), Trace(id="b", request=0, repeat=1)], probe_dir=tmp_path)
    assert not run.body.instrumented and run.body.mode == "none"
    assert any("never loaded" in note for note in run.body.notes)
    assert any("2 of 2" in note for note in run.body.notes)


def test_traces_come_back_from_their_blob() -> None:
    traces = [trace(sql(0, 10), repeat=n) for n in range(3)]
    assert load(dump(traces)) == traces and dump(traces) == dump(traces)


@pytest.mark.parametrize("blob", [b"", b"nothing", dump([trace()])[:-9], b"\x1f\x8b" + b"\x00" * 20])
def test_other_blobs_are_refused(blob: bytes) -> None:
    with pytest.raises(LedgerError):
        load(blob)


def record(trace: str, kind: str = "server", **more: object) -> str:
    return json.dumps(
        {
            "type": "span",
            "trace": trace,
            "span": "1",
            "parent": None,
            "kind": kind,
            "name": "GET /",
            "start_ns": 1,
            "end_ns": 2,
            "attributes": {},
            "stack": [["/app/a.py", 3, "f"]],
            **more,
        }
    )


HELLO = '{"type":"hello","pid":1,"python":"3.11.7","mode":"otel","patched":[],"notes":["a note"],"control":"/x.sock"}'


def test_records_of_several_processes_are_joined_by_trace(tmp_path: Path) -> None:
    (tmp_path / "1.jsonl").write_text(HELLO + "\n" + record("a") + "\n")
    (tmp_path / "2.jsonl").write_text(record("a", "database", span="2") + "\n" + record("b") + "\n")
    sent = {"b": Sent(request=1, repeat=0), "a": Sent(request=0, repeat=0, items=5)}
    first, second = collect(tmp_path, sent)
    assert (first.id, first.request, second.items) == ("b", 1, 5)
    assert second.server and [s.kind for s in second.spans] == ["database"] and second.spans[0].stack[0].line == 3
    assert [(h.mode, h.notes, h.control) for h in hellos(tmp_path)] == [("otel", ("a note",), "/x.sock")]


def test_a_cut_line_waits_for_its_end_and_a_broken_one_is_counted(tmp_path: Path) -> None:
    file, line = tmp_path / "1.jsonl", record("a")
    file.write_text('{"type":"span","trace":"a"}\n[]\n\xff\n' + line[:40])
    records = Records(tmp_path)
    records.read()
    assert records.unreadable == 2 and not records.served("a")
    file.write_text(file.read_text() + line[40:] + "\n")
    records.read()
    assert records.served("a")


def test_what_was_written_before_is_not_read_again(tmp_path: Path) -> None:
    file = tmp_path / "1.jsonl"
    file.write_text(record("a") + "\n")
    records = Records(tmp_path, beyond=True)
    file.write_text(file.read_text() + record("b") + "\n")
    records.read()
    assert set(records.traces) == {"b"}


@given(st.lists(st.one_of(st.text(max_size=60), st.just(record("a")), st.just(record("a")[:50])), max_size=6))
def test_no_bytes_can_stop_the_reader(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    folder = tmp_path_factory.mktemp("probe")
    (folder / "1.jsonl").write_bytes("\n".join(lines).encode(errors="surrogatepass"))
    collect(folder, {"a": Sent(request=0, repeat=0)})
    hellos(folder)


async def test_spans_that_come_a_moment_later_are_waited_for(tmp_path: Path) -> None:
    async def later() -> None:
        await asyncio.sleep(0.1)
        executed = {"type": "functions", "trace": "a", "functions": [["/app/a.py", 1, 9, "f"]]}
        (tmp_path / "1.jsonl").write_text(json.dumps(executed) + "\n" + record("a") + "\n")

    writing = asyncio.create_task(later())
    found = await functions(tmp_path, ["a", "never"], wait_s=0.5)
    await writing
    assert [f.name for f in found["a"]] == ["f"] and "never" not in found


def test_a_repeat_that_waited_for_a_core_does_not_bend_the_stages() -> None:
    slow = trace(sql(10, 20)).model_copy(update={"server": span("server", 0, 500)})
    assert {s.name: s.own_ms for s in stages([trace(sql(10, 20)), slow])} == {"application code": 90, "SQL": 10}
