"""Keep, iterate or discard: changes that make an endpoint faster at the price of something else are not kept."""

from __future__ import annotations

import math
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from perfcrew.core.comparison import Comparison, Effect, Ratio, Side
from perfcrew.experiment.asked import Effort
from perfcrew.experiment.engine import Rules, compare
from perfcrew.experiment.judging import Ruling, ruling
from perfcrew.experiment.servers import APPLICATION, OTHERS, Host, Servers
from perfcrew.experiment.targets import placed, survey
from perfcrew.instruments.load import Driver
from perfcrew.target.clone import Clone, prepare
from perfcrew.target.config import load
from perfcrew.target.detect import detect

BOOKS = "GET /books"
A, B = Side(label="A", what="before"), Side(label="B", what="after")
APP = Path(__file__).parent / "apps" / "trader.py"
CONFIG = """
[target]
app = "main:app"
framework = "starlette"
start = ["{python}", "-m", "uvicorn", "main:app", "--host", "{{host}}", "--port", "{{port}}", "--log-level", "warning"]
health = "/health"
[[scenarios]]
name = "all"
requests = [{{ path = "/books" }}, {{ path = "/tags" }}]
"""


async def tried(root: Path, change: str) -> Ruling:
    """What becomes of a change of GET /books that is there when CHANGE is set, with an error that few starts do for."""
    (root / "main.py").write_bytes(APP.read_bytes())
    (root / "perfcrew.toml").write_text(CONFIG.format(python=sys.executable))
    async with AsyncExitStack() as stack:
        place = await stack.enter_async_context(placed(root))
        project = detect(root, config=load(root))
        template = await prepare(project, workspace=place.folder / "data", registry=place.registry)
        stack.callback(template.drop)

        async def fresh(name: str) -> Clone:
            return await template.clone(name)

        a, b = (Host(name, project, fresh, {"CHANGE": value}) for name, value in (("a", ""), ("b", change)))
        drivers = (await stack.enter_async_context(Driver()), await stack.enter_async_context(Driver()))
        plans = await survey(a, (BOOKS, "GET /tags"), place, lambda what: None)
        sampler = Servers(
            a, b, plans, place.folder, place.registry, drivers,
            awaited_keys=frozenset({BOOKS}), guarding=True, light=Effort(seconds=0.1, turns=2),
        )  # fmt: skip
        found = await compare(sampler, A, B, Rules(error=0.2, budget_s=45), lambda what: None)
    return ruling(found, BOOKS, "latency")


@pytest.mark.target
@pytest.mark.parametrize(("change", "against"), [
    ("moves the cost", ("GET /tags", OTHERS)),
    ("takes memory", (f"rss.peak of {APPLICATION}",)),
    ("only when warm", (f"latency.cold of {BOOKS}",)),
])  # fmt: skip
async def test_what_is_faster_at_the_price_of_something_else_is_discarded(
    tmp_path: Path, change: str, against: tuple[str, ...]
) -> None:
    ruled = await tried(tmp_path, change)
    assert ruled.decision == "discard" and ruled.why.startswith("a regression"), ruled
    assert any(words in ruled.why for words in against), ruled


@pytest.mark.target
async def test_what_is_faster_and_costs_nothing_is_kept(tmp_path: Path) -> None:
    ruled = await tried(tmp_path, "works less")
    assert ruled.decision == "keep", ruled


def effect(metric: str, share: float, verdict: str, a: float = 10.0) -> Effect:
    ratio = Ratio(value=1 + share, low=(1 + share) * 0.99, high=(1 + share) * 1.01, level=0.95)
    return Effect.model_validate({
        "metric": metric, "unit": "ms", "direction": "lower", "role": "deciding", "verdict": verdict, "a": a,
        "b": a * (1 + share), "ratio": ratio, "pairs_count": 20, "log_ratios": [math.log1p(share)] * 20,
    })  # fmt: skip


def compared(subject: str, *effects: Effect, verdict: str | None = "improved", **more: object) -> Comparison:
    return Comparison.model_validate({
        "subject": subject, "a": A, "b": B, "verdict": verdict, "effects": effects, "design": "instances",
        "pairs_count": 20, "margin_share": 0.02, "error_share": 0.05, "seed": 1, "spent_s": 20, "budget_s": 90, **more,
    })  # fmt: skip


def more_work(ms: float) -> Effect:
    return effect("cpu", 0.5, "regressed", a=ms)


FASTER = effect("latency", -0.4, "improved")
SAME = effect("cpu", 0.0, "equivalent")


@pytest.mark.parametrize(
    ("name", "found", "decision", "why"),
    [
        ("a gain", [compared(BOOKS, FASTER, SAME)], "keep", "-40.0 %"),
        ("nothing measured", [], "discard", "nothing was measured"),
        ("a side died", [compared(BOOKS, verdict=None, refused="exit 9")], "discard", "exit 9"),
        ("no gain", [compared(BOOKS, effect("latency", 0.0, "equivalent"))], "iterate", "did not improve: equivalent"),
        ("not certain", [compared(BOOKS, effect("latency", -0.1, "inconclusive"))], "iterate", "inconclusive, -10.0 %"),
        ("another metric", [compared(BOOKS, effect("cpu", -0.4, "improved"))], "iterate", "not measured"),
        ("worse elsewhere", [compared(BOOKS, FASTER), compared("GET /tags", effect("latency", 0.3, "regressed"))],
         "discard", "latency of GET /tags +30.0 %"),
        ("little more work", [compared(BOOKS, FASTER, more_work(0.2))], "keep", "less than matters"),
        ("much more work", [compared(BOOKS, FASTER, more_work(5.0))], "discard", "cpu of GET /books"),
        ("not proven beside", [compared(BOOKS, FASTER, SAME, verdict="inconclusive", unproven=("latency.cold",))],
         "iterate", "not proven: latency.cold of GET /books"),
        ("not proven elsewhere", [compared(BOOKS, FASTER), compared(OTHERS, SAME, unproven=("latency",))],
         "iterate", f"not proven: latency of {OTHERS}"),
        ("not proven, and too little to matter",
         [compared(BOOKS, FASTER, effect("cpu", 0.5, "inconclusive", a=0.2), unproven=("cpu",))], "keep", "-40.0 %"),
    ],
)  # fmt: skip
def test_what_the_measurements_come_to(name: str, found: list[Comparison], decision: str, why: str) -> None:
    ruled = ruling(found, BOOKS, "latency")
    assert ruled.decision == decision and why in ruled.why, ruled
