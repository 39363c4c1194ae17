"""What repeats within a request, or takes longest: which groups are told, with which figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfcrew.core.evidence import TraceGroup
from perfcrew.core.trace import Frame, Span, SpanKind, Trace
from perfcrew.instruments.repeats import MOST_COLD_GROUPS, MOST_GROUPS, groups
from perfcrew.instruments.traces import TracedRun, dump, relocated, summarise_traces

MS = 1_000_000
ROOT = Path("/srv/shop")


def span(start: float, end: float, line: int = 7, kind: SpanKind = "database", **attributes: object) -> Span:
    stack = (Frame(file=f"{ROOT}/app.py", line=line, function="f"),) if line else ()
    named = {name.replace("__", "."): value for name, value in attributes.items()}
    at = {"start_ns": round(start * MS), "end_ns": round(end * MS)}
    return Span(trace="t", span=f"{start}-{line}", kind=kind, name=kind, attributes=named, stack=stack, **at)


def sql(
    start: float, end: float, text: str = "SELECT 1", digest: str | None = None, line: int = 7, **more: object
) -> Span:
    return span(start, end, line, db__query__text=text, perfcrew__db__parameters_digest=digest, **more)


def http(start: float, end: float, url: str, line: int = 9) -> Span:
    return span(start, end, line, "http", url__full=url, http__request__method="GET")


def trace(*spans: Span, repeat: int = 1) -> Trace:
    server = Span(trace="t", span="0", kind="server", name="GET", start_ns=0, end_ns=1000 * MS)
    return Trace(id="t", request=0, repeat=repeat, server=server, spans=spans)


def rows(count: int, text: str = "SELECT * FROM book WHERE id = ?", ms: float = 2) -> list[Span]:
    return [sql(10 * n, 10 * n + ms, text, digest=str(n)) for n in range(count)]


# spans of one request: (operation, repeats, parameters, milliseconds) of each group
CASES = {
    "one row each": ([*rows(4)], [("database", 4, 4, 8)]),
    "the same parameters": ([sql(n, n + 1, digest="a") for n in range(3)], [("database", 3, 1, 3)]),
    "parameters that could not be told": ([sql(n, n + 1) for n in range(3)], [("database", 3, 3, 3)]),
    "values in the text make no other shape": (
        [sql(0, 1, "SELECT * FROM t WHERE id = 1"), sql(2, 3, "SELECT * FROM t WHERE id = 2")],
        [("database", 2, 2, 2)],
    ),
    "other lines are other groups": (
        [sql(0, 3, line=1), sql(4, 6, line=2)],
        [("database", 1, 1, 3), ("database", 1, 1, 2)],
    ),
    "at once, each moment counts once": ([sql(0, 10, digest="a"), sql(5, 15, digest="b")], [("database", 2, 2, 15)]),
    "calls by template": ([http(0, 5, "http://a/x/1"), http(5, 9, "http://a/x/2")], [("http", 2, 2, 9)]),
    "no stack": ([sql(0, 1, line=0)], [("database", 1, 1, 1)]),
    "commits, the framework's own and caches are not told": (
        [span(0, 1, db__operation__name="COMMIT"), sql(1, 2, perfcrew__framework=True), span(2, 3, kind="cache")],
        [],
    ),
}


def told(group: TraceGroup) -> tuple[str, float, float, float]:
    return group.operation, group.repeats_count, group.parameters_count, group.total_ms


@pytest.mark.parametrize(("spans", "expected"), CASES.values(), ids=CASES)
def test_groups_of_one_request(spans: list[Span], expected: list[tuple[str, float, float, float]]) -> None:
    assert [told(group) for group in groups([trace(*spans)], ROOT)] == expected


def test_medians_are_over_the_requests_in_which_it_occurs() -> None:
    (group,) = groups([trace(*rows(4)), trace(*rows(8)), trace(*rows(6)), trace()], ROOT)
    assert (group.repeats_count, group.total_ms) == (6, 12)
    assert group.place and (group.place.file, group.place.line) == ("app.py", 7)


COLD = {
    "filled a cache": (20, 0, [(True, 20)]),
    "much more at first": (20, 5, [(False, 5), (True, 20)]),
    "about as often later": (6, 5, [(False, 5)]),
    "once at first": (1, 0, []),
}


@pytest.mark.parametrize(("first", "later", "expected"), COLD.values(), ids=COLD)
def test_cold_groups_are_told_where_they_repeat_more(
    first: int, later: int, expected: list[tuple[bool, float]]
) -> None:
    found = groups([trace(*rows(first), repeat=0), trace(*rows(later))], ROOT)
    assert [(g.cold, g.repeats_count) for g in found] == expected


def test_their_number_is_bounded_and_both_kinds_have_their_part() -> None:
    often = [sql(n, n + 0.1, f"SELECT {chr(97 + k)} FROM often", str(n)) for k in range(26) for n in range(k + 2)]
    long = [sql(100 * n, 100 * n + 50 + n, f"SELECT {chr(97 + n)} FROM long", str(n)) for n in range(26)]
    found = groups([trace(*often, *long), trace(*often, *long, repeat=0)], ROOT)
    assert len(found) == MOST_GROUPS
    assert max(g.repeats_count for g in found) == 27 and max(g.total_ms for g in found) == 75
    only_cold = groups([trace(), trace(*often, repeat=0)], ROOT)
    assert len(only_cold) == MOST_COLD_GROUPS


def test_a_run_in_a_copy_names_the_files_of_the_tree() -> None:
    copied = [t.model_copy(update={"spans": t.spans}) for t in [trace(*rows(3))]]
    run = summarise_traces(copied, root=Path("/elsewhere"))
    assert [g.place.file for g in run.body.groups if g.place] == ["/srv/shop/app.py"]
    moved = relocated(TracedRun(run.body, dump(copied), tuple(copied)), ROOT, Path("/home/me/shop"))
    assert [g.place.file for g in moved.body.groups if g.place] == ["app.py"]
    assert moved.traces[0].spans[0].stack[0].file == "/home/me/shop/app.py"
