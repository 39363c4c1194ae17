"""What the requests leave behind: rows, old answers, processes. Each refusal by name, each look-alike let pass."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from perfcrew.core.answers import FreshnessVerdict, Mask
from perfcrew.experiment.answers import learn
from perfcrew.experiment.asking import READS, Limits
from perfcrew.experiment.effects import compare_effects
from perfcrew.experiment.footprint import compare_footprints
from perfcrew.experiment.heldout import held_out_of
from perfcrew.experiment.sameness import Wanted, compare_all
from perfcrew.experiment.staleness import compare_freshness

from .shops import WRITES, bench

pytestmark = pytest.mark.target


@pytest.mark.parametrize(("variant", "names"), [
    ("", set()),
    ("writes when read", {"writes when it is read"}),
    ("writes otherwise", {"changes what is written"}),
])  # fmt: skip
async def test_the_same_requests_leave_the_same_rows(tmp_path: Path, variant: str, names: set[str]) -> None:
    async with bench(tmp_path, WRITES) as one:
        known, (base, change) = await one.known(Limits(held_out=0, wrong=0)), await one.sides(variant)
        verdict = await compare_effects(base, change, known.plans, known.mask)
    assert {refusal.name for refusal in verdict.refusals} == names
    assert verdict.writes_count == 2
    assert known.mask.tables == {"book": ("created_at",)}
    assert verdict.differences == () if not names else [d.table for d in verdict.differences] != []


@pytest.mark.parametrize("variant", ["", "clears its cache", "compresses"])
async def test_all_comparisons_one_after_the_other_find_the_same_to_be_the_same(tmp_path: Path, variant: str) -> None:
    async with bench(tmp_path, WRITES) as one:
        known, (base, change) = await one.known(), await one.sides(variant)
        found = await compare_all(base, change, known.plans, known.mask, Wanted(requests_count=40))
    assert found.refusals == ()
    assert {part.outcome for part in (found.answers, found.effects, found.freshness, found.footprint)} == {"equal"}
    assert found.answers.uncompared == {}
    assert sorted(found.freshness.unproven) == ["GET /cover", "GET /me", "GET /tags"]


async def fresh(tmp_path: Path, variant: str, declared_s: float, *, writes: bool) -> FreshnessVerdict:
    async with bench(tmp_path, WRITES if writes else ()) as one:
        known, (base, change) = await one.known(), await one.sides(variant)
        plans = [p for p in known.plans if p.endpoint.path in ("/books", "/books/{book_id}", "/stats")]
        mask = Mask(endpoints={"GET /books": ("value $.served_at", "value $.trace")})
        return await compare_freshness(base, change, plans, mask, declared_s)


@pytest.mark.parametrize(("variant", "declared_s", "writes", "stale"), [
    ("", 0.0, False, set()),
    ("caches forever", 0.0, False, {"GET /books", "GET /stats"}),
    ("caches forever", 1.0, False, {"GET /books", "GET /stats"}),
    ("caches for a second", 1.0, False, set()),
    ("clears its cache", 0.0, True, set()),
    ("caches forever", 0.0, True, {"GET /books", "GET /stats"}),
    ("one tag for all", 0.0, False, {"GET /books/{book_id}", "GET /stats"}),
    ("a tag of its content", 0.0, False, set()),
])  # fmt: skip
async def test_old_answers_are_refused(
    tmp_path: Path, variant: str, declared_s: float, writes: bool, stale: set[str]
) -> None:
    verdict = await fresh(tmp_path, variant, declared_s, writes=writes)
    assert {refusal.subject for refusal in verdict.refusals} == stale
    assert {refusal.name for refusal in verdict.refusals} <= {"serves stale answers"}
    assert {one.endpoint for one in verdict.checked if one.told_unchanged} == (stale if "tag" in variant else set())
    assert {one.endpoint for one in verdict.checked} == {"GET /books", "GET /books/{book_id}", "GET /stats"}
    assert verdict.outcome == ("different" if stale else "equal")


@pytest.mark.parametrize(("variant", "names"), [
    ("", set()),
    ("leaks processes", {"leaks processes"}),
    ("leaks zombies", {"leaks processes"}),
    ("leaks threads", {"leaks threads"}),
    ("leaks open files", {"leaks open files"}),
    ("takes memory", {"takes much more memory"}),
])  # fmt: skip
async def test_what_requests_leave_behind_is_refused(tmp_path: Path, variant: str, names: set[str]) -> None:
    async with bench(tmp_path) as one:
        known, (base, change) = await one.known(), await one.sides(variant)
        plans = [p for p in known.plans if p.endpoint.path == "/books"]
        verdict = await compare_footprints(base, change, plans, 40, settle_s=0.2)
    assert {refusal.name for refusal in verdict.refusals} == names
    assert [one.processes_count for one in verdict.base] == [1, 1, 1]


async def test_an_application_that_is_only_written_to_is_compared_but_for_its_footprint(tmp_path: Path) -> None:
    async with bench(tmp_path, WRITES) as one:
        scout, first, second, base, change = await asyncio.gather(*(one.start() for _ in range(5)))
        plans = [p for p in await one.plans(scout) if p.endpoint.method not in READS]
        mask = await learn(first, second, plans, Limits(held_out=0, wrong=0))
        found = await compare_all(base, change, plans, mask.joined(Mask(tables={"book": ("created_at",)})))
    assert found.refusals == ()
    assert found.effects.writes_count == 2
    assert found.footprint.outcome == "unknown"
    assert found.footprint.notes == ("no request only reads, so nothing could be asked repeatedly",)


async def test_held_out_requests_are_others_that_the_base_answers(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        plans, base = (await one.known()).plans, await one.start()
        found = await held_out_of(base, plans)
    measured = {request.target for plan in plans for request in plan.requests}
    others = {plan.endpoint.key: [request.target for request in plan.requests] for plan in found}
    assert not measured & {target for targets in others.values() for target in targets}
    assert any("genre=" in target for target in others["GET /books"])
    assert any("limit=" in target for target in others["GET /books"])
    assert all(int(target.rpartition("/")[2]) > 5 for target in others["GET /books/{book_id}"])
