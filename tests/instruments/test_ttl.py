"""What times to live would give, from traces and the workload's mix."""

from __future__ import annotations

import json
from pathlib import Path

from perfcrew.core.evidence import Counts, Traces, TtlCurve
from perfcrew.core.scene import Scene, Seen, Traced
from perfcrew.core.trace import Frame, Span, Trace
from perfcrew.core.web import Endpoint, Plan, Request
from perfcrew.instruments.ttl import Record, ttl_curves

ROOT = Path("/shop")
FRAME = Frame(file="/shop/books.py", line=3, function="book")


def span(kind: str, **attributes: object) -> Span:
    named = {name.replace("__", "."): value for name, value in attributes.items()}
    return Span(
        trace="t",
        span="s",
        kind=kind,
        name=kind,
        start_ns=1,
        end_ns=2,
        attributes=named,
        stack=(FRAME,),  # type: ignore[arg-type]
    )


def redis(*operations: list[object]) -> Span:
    return span("cache", perfcrew__cache__operations=json.dumps(operations))


def statement(text: str, digest: str) -> Span:
    return span("database", db__query__text=text, perfcrew__db__parameters_digest=digest)


def scene(key: str, *requests: tuple[Span, ...]) -> Scene:
    """An endpoint whose requests leave these spans, once cold and once warm."""
    method, path = key.split(" ")
    endpoint = Endpoint(method=method, path=path, source="openapi")
    plan = Plan(
        endpoint=endpoint,
        requests=tuple(Request(endpoint=key, method=method, target=f"/{n}") for n in range(len(requests))),
    )
    traces = tuple(
        Trace(id=f"{n}{repeat}", request=n, repeat=repeat, spans=spans)
        for repeat in (0, 1)
        for n, spans in enumerate(requests)
    )
    body = Traces(instrumented=True, mode="otel", requests_count=len(traces), counts=Counts())
    return Scene(root=ROOT, endpoint=endpoint, plan=plan, traced=(Traced(Seen("t", body), traces),))


def curves(*scenes: Scene, rate: float = 1.0, shares: dict[str, float] | None = None) -> dict[str, TtlCurve]:
    return {body.group: body for _, body in ttl_curves(scenes, Record(shares or {}, rate), 0.8, ROOT)}


def book(number: int) -> Span:
    return redis(["GET", f"book:{number}", False, 0, None], ["SET", f"book:{number}", None, 500, 60])


def test_a_cache_by_its_keys() -> None:
    found = curves(scene("GET /books/{id}", *((book(n),) for n in range(4))))
    body = found["book:{n}"]
    assert (body.of, body.keys_count, body.writes_count) == ("cache", 4, 0)
    assert body.place is not None and (body.place.file, body.place.line) == ("books.py", 3)
    hits = [p.hit_share for p in body.points]
    assert hits == sorted(hits) and hits[-1] > 0.99
    assert body.advised is not None and body.points[body.advised].hit_share >= 0.8
    assert max(p.peak_bytes for p in body.points) == 4 * 500


def test_at_half_the_rate_a_key_has_to_live_twice_as_long() -> None:
    requests = [(book(n),) for n in range(4)]
    fast, slow = (curves(scene("GET /b", *requests), rate=r)["book:{n}"] for r in (2.0, 1.0))
    assert fast.advised is not None and slow.advised is not None
    ratio = slow.points[slow.advised].ttl_s / fast.points[fast.advised].ttl_s
    assert 1.5 < ratio < 2.7


def test_who_deletes_has_misses_and_nothing_stale() -> None:
    """Whichever endpoint writes the key: the model does as the application does."""
    drop = redis(["DEL", "book:0", None, 0, None])
    kept = curves(scene("GET /books", (book(0),)))["book:{n}"]
    found = curves(scene("GET /books", (book(0),)), scene("POST /drop", (drop,)))["book:{n}"]
    assert found.deletes and found.writes_count > 0
    assert {p.stale_share for p in found.points} == {0.0}
    assert found.points[-1].hit_share < 0.6 < 0.99 < kept.points[-1].hit_share


def test_where_no_write_was_seen_staleness_is_not_known() -> None:
    body = curves(scene("GET /books", (book(0),)))["book:{n}"]
    assert (body.writes_count, {p.stale_share for p in body.points}) == (0, {None})


def test_writes_of_a_table_make_stale_what_is_made_of_it() -> None:
    read, write = statement("SELECT a FROM book WHERE id = ?", "1"), statement("UPDATE book SET a = ?", "x")
    other = statement("UPDATE shelf SET a = ?", "x")
    page = scene("GET /books", (read, book(0)))
    told = curves(page, scene("POST /books", (write,)))
    assert {group: body.writes_count > 0 for group, body in told.items()} == dict.fromkeys(told, True)
    assert len(told) == 2, "the statement, and the cache that is filled from it"
    assert all(body.points[-1].stale_share for body in told.values())
    apart = curves(page, scene("POST /shelves", (other,)))
    assert {p.stale_share for body in apart.values() for p in body.points} == {None}


def test_an_endpoint_with_many_keys_and_a_small_share_is_asked_for_all_of_them() -> None:
    rare = scene("GET /books/{id}", *((book(n),) for n in range(40)))
    often = scene("GET /", (statement("SELECT 1 FROM a", "z"),))
    body = curves(rare, often, rate=2.0, shares={"GET /books/{id}": 0.02, "GET /": 0.98})["book:{n}"]
    assert body.keys_count == 40
    assert body.points[-1].hit_share < 0.95, "each key's first read is a miss"


def test_statements_that_are_read_again() -> None:
    text = "SELECT id FROM book WHERE genre = ?"
    found = curves(scene("GET /genres", (statement(text, "a"), statement(text, "a")), (statement(text, "b"),)))
    (body,) = found.values()
    assert (body.of, body.keys_count) == ("statement", 2)


def test_nothing_is_said_without_a_rate_or_of_what_is_no_cache() -> None:
    flags = scene("GET /flags", (redis(["GET", "flag", False, 0, None]),))
    writes = scene("POST /books", (statement("UPDATE book SET a = ?", "x"),))
    assert curves(scene("GET /b", (book(1),)), rate=0.0) == {}
    assert curves(flags, writes) == {}
