"""Base and change run for real and are compared: what a patch may not do is refused by name, what it may is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from perfcrew.experiment.answers import compare
from perfcrew.experiment.asking import Limits
from perfcrew.experiment.visitors import let_in_nowhere
from perfcrew.target.client import Client

from .shops import bench

pytestmark = pytest.mark.target
LIMITS = Limits(pause_s=0.2)


REFUSED = [
    ("breaks an answer", "changes an answer", "GET /books"),
    ("changes order", "changes an answer", "GET /books"),
    ("drops a header", "changes an answer", "GET /books"),
    ("lets browsers cache", "changes an answer", "GET /books"),
    ("compresses for all", "changes an answer", "GET /books"),
    ("breaks a page", "changes an answer", "GET /page"),
    ("breaks a script", "changes an answer", "GET /page"),
    ("breaks a picture", "changes an answer", "GET /cover"),
    ("opens a cookie", "changes an answer", "GET /me"),
    ("special-cases", "special-cases the measured requests", "GET /books/{book_id}"),
    ("ignores what is not measured", "special-cases the measured requests", "GET /books"),
    ("finds what is missing", "changes the answer to wrong input", "GET /books/{book_id}"),
    ("answers to all", "answers one user's data to another", "GET /me"),
]


@pytest.mark.parametrize(("variant", "name", "endpoint"), REFUSED, ids=[case[0] for case in REFUSED])
async def test_what_a_patch_may_not_do_is_refused_by_name(
    tmp_path: Path, variant: str, name: str, endpoint: str
) -> None:
    async with bench(tmp_path) as one:
        known, (base, change) = await one.known(LIMITS), await one.sides(variant)
        verdict = await compare(base, change, known.plans, known.mask, LIMITS)
    assert verdict.outcome == "different"
    assert (name, endpoint) in {(refusal.name, refusal.subject) for refusal in verdict.refusals}
    assert {refusal.subject for refusal in verdict.refusals} == {endpoint}
    assert not verdict.uncompared
    assert "token-of-" not in verdict.model_dump_json()


SAME = ["", "compresses", "caches for a second", "clears its cache", "answers to each", "more headers",
        "sorts its keys", "other white space"]  # fmt: skip


@pytest.mark.parametrize("variant", SAME)
async def test_what_answers_the_same_passes(tmp_path: Path, variant: str) -> None:
    async with bench(tmp_path) as one:
        known, (base, change) = await one.known(LIMITS), await one.sides(variant)
        verdict = await compare(base, change, known.plans, known.mask, LIMITS)
    assert verdict.refusals == ()
    assert verdict.outcome == "equal"
    assert min(verdict.measured_count, verdict.held_out_count, verdict.wrong_input_count) > 0


async def test_the_mask_holds_what_the_base_varies_and_no_more(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        found = (await one.known(LIMITS)).mask.endpoints
    assert found["GET /books"] == ("value $.served_at", "value $.trace")
    assert found["GET /tags"] == ("order $",)
    assert found["GET /suggested"] == ("order $", "value $[].a")
    assert found["GET /books/{book_id}"] == ()
    assert all("/ul/" not in entry for entry in found["GET /page"])
    assert any(entry.startswith("words ") for entry in found["GET /page"])


async def test_another_user_who_is_let_in_nowhere_is_no_other_user(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        plans, side = (await one.known(LIMITS)).plans, await one.start()
        assert any(p.endpoint.path == "/me" and p.measurable for p in plans)
        assert await let_in_nowhere(side, plans) == ""
        async with Client(side.running.base_url, {"Authorization": "Bearer expired"}, timeout_s=20) as stranger:
            assert "let in nowhere" in await let_in_nowhere(replace(side, other=stranger), plans)
        assert await let_in_nowhere(replace(side, other=None), plans) == ""
