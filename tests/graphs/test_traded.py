"""Changes that make an endpoint faster at the price of something else are not kept, by what was measured."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from perfcrew.core.comparison import Side
from perfcrew.experiment.asked import Effort
from perfcrew.experiment.engine import Rules, compare
from perfcrew.experiment.judging import Ruling, ruling
from perfcrew.experiment.servers import APPLICATION, OTHERS, Host, Servers
from perfcrew.experiment.targets import placed, survey
from perfcrew.instruments.load import Driver
from perfcrew.target.clone import Clone, prepare
from perfcrew.target.config import load
from perfcrew.target.detect import detect

pytestmark = [pytest.mark.target, pytest.mark.alone]
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
            awaited_keys=frozenset({BOOKS}), guarding=True, light=Effort(seconds=0.2),
        )  # fmt: skip
        found = await compare(sampler, A, B, Rules(error=0.4, budget_s=150), lambda what: None)
    return ruling(found, BOOKS, "latency")


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


async def test_what_is_faster_and_costs_nothing_is_kept(tmp_path: Path) -> None:
    ruled = await tried(tmp_path, "works less")
    assert ruled.decision == "keep", ruled
