"""Two configurations of a real application under uvicorn, each pair a freshly started instance of both."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from perfcrew.core.comparison import Comparison
from perfcrew.core.errors import CommandError, UsageError
from perfcrew.experiment.engine import Rules
from perfcrew.experiment.servers import APPLICATION, OTHERS, Host, Servers
from perfcrew.experiment.sides import compare_sides
from perfcrew.experiment.targets import placed, survey
from perfcrew.experiment.wish import Wish
from perfcrew.instruments.load import Driver
from perfcrew.target import process
from perfcrew.target.clone import prepare
from perfcrew.target.config import load
from perfcrew.target.detect import detect

from .test_asked import asked

pytestmark = pytest.mark.target

APP = Path(__file__).parent / "apps" / "burner.py"
CONFIG = """
[target]
app = "main:app"
framework = "starlette"
start = ["{python}", "-m", "uvicorn", "main:app", "--host", "{{host}}", "--port", "{{port}}", "--log-level", "warning"]
health = "/health"
start_timeout_s = 20
[[scenarios]]
name = "books"
requests = [{{ path = "/books" }}]
"""


async def configured(root: Path, *settings: str, error: float = 0.4, budget_s: float = 40.0) -> dict[str, Comparison]:
    """With an error that is enough for changes which nobody could miss, so that few starts do."""
    (root / "main.py").write_bytes(APP.read_bytes())
    (root / "perfcrew.toml").write_text(CONFIG.format(python=sys.executable))
    wish = Wish(root=root, settings=settings, rules=Rules(error=error, budget_s=budget_s))
    return {c.subject: c for c in await compare_sides(wish, lambda what: None)}


def left(root: Path) -> list[psutil.Process]:
    found = []
    for one in psutil.process_iter():
        try:
            if one.cwd().startswith(str(root)):
                found.append(one)
        except psutil.Error:
            continue
    return found


async def test_a_slower_configuration_is_a_regression_of_its_endpoint(tmp_path: Path) -> None:
    found = await configured(tmp_path, "B:SLOW=2")
    books = found["GET /books"]
    assert (books.verdict, books.rests_on) == ("regressed", "cpu"), books.refused or books.why
    cpu = books.effect("cpu")
    assert cpu is not None and cpu.ratio is not None and 2 < cpu.ratio.value < 4
    assert (books.a.what, books.b.what) == ("as it is", "SLOW=2")
    assert {e.metric for e in found[APPLICATION].effects} >= {"rss.peak", "startup"}
    assert not left(tmp_path)


@pytest.mark.alone
async def test_one_of_eight_requests_that_waits_is_a_regression_by_the_tail(tmp_path: Path) -> None:
    """Neither the middle of the latencies nor processor time can see it, unless a loaded machine shows more."""
    books = (await configured(tmp_path, "B:RARELY=0.03", error=0.1, budget_s=150.0))["GET /books"]
    tail = books.effect("latency.p95")
    assert books.verdict == "regressed", books.refused or books.why
    assert tail is not None and tail.a is not None and tail.b is not None and tail.b > 2 * tail.a


async def test_equal_configurations_are_not_called_changed(tmp_path: Path) -> None:
    found = await configured(tmp_path, "SLOW=0", error=0.01, budget_s=10)
    assert found["GET /books"].verdict in ("equivalent", "inconclusive", None)
    assert not any(c.verdict in ("improved", "regressed") for c in found.values())


async def test_a_side_that_answers_errors_gets_no_verdict(tmp_path: Path) -> None:
    found = await configured(tmp_path, "B:BROKEN=1", budget_s=10)
    assert found["GET /books"].verdict is None
    assert "did not do the same work" in found["GET /books"].refused


async def test_a_side_that_does_not_start_is_told_and_the_other_is_ended(tmp_path: Path) -> None:
    found = await configured(tmp_path, "B:SLOW=much", budget_s=10)
    assert all(c.verdict is None and "could not be measured" in c.refused for c in found.values())
    assert not left(tmp_path)


async def test_an_endpoint_that_there_is_not_is_a_wrong_use(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_bytes(APP.read_bytes())
    (tmp_path / "perfcrew.toml").write_text(CONFIG.format(python=sys.executable))
    wish = Wish(root=tmp_path, settings=("B:SLOW=2",), scenarios=("GET /boks",))
    with pytest.raises((UsageError, CommandError), match="boks"):
        await compare_sides(wish, lambda what: None)


COUNTING = """
import os

def noted():
    with open(os.environ["SEEN"], "a") as file:
        file.write(f"{len(os.sched_getaffinity(0))}\\n")

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["path"] == "/health":
        noted()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": b"{}"})
"""


@pytest.mark.skipif(not process.CAN_PIN or len(process.usable_cores()) < 2, reason="needs two cores that can be named")
@pytest.mark.parametrize(("guarding", "cores"), [(True, [1, 1, 2, 2]), (False, [2, 2])])
async def test_a_start_that_matters_is_taken_apart_on_one_core_and_who_is_asked_starts_free(
    tmp_path: Path, guarding: bool, cores: list[int]
) -> None:
    (tmp_path / "main.py").write_text(COUNTING)
    (tmp_path / "perfcrew.toml").write_text(CONFIG.format(python=sys.executable))
    async with AsyncExitStack() as stack:
        place = await stack.enter_async_context(placed(tmp_path))
        project = detect(tmp_path, config=load(tmp_path))
        template = await stack.enter_async_context(
            await prepare(project, workspace=place.folder, registry=place.registry)
        )
        drivers = (await stack.enter_async_context(Driver()), await stack.enter_async_context(Driver()))
        a, b = (Host(name, project, template.clone, {"SEEN": str(tmp_path / "seen")}) for name in "ab")
        plans = await survey(a, ("GET /books",), place, lambda what: None)
        (tmp_path / "seen").unlink()
        keys = frozenset(["GET /books"])
        watching = Servers(a, b, plans, place.folder, place.registry, drivers, awaited_keys=keys, guarding=guarding)
        pair = (await watching.pair(a_first=True))[APPLICATION]
    told = [min(int(line), 2) for line in (tmp_path / "seen").read_text().split()]
    assert told == cores
    assert pair.a.values["startup"] > 0 and pair.b.values["startup"] > 0
    assert not left(tmp_path)


def sampler(keys: tuple[str, ...], aims: dict[str, tuple[str, ...]]) -> Servers:
    """One that is asked what it watches, and starts nothing."""
    nothing: Any = None
    return Servers(
        nothing, nothing, (), Path(), nothing, nothing, awaited_keys=frozenset(keys), aims=aims, guarding=True
    )


@pytest.mark.parametrize("aims", [{}, {"GET /a": ("neighbour.latency",)}])
@pytest.mark.parametrize("keys", [(), ("GET /a",), ("GET /a", "GET /b", "GET /c")])
def test_the_error_is_of_all_that_may_be_called_changed(
    keys: tuple[str, ...], aims: dict[str, tuple[str, ...]]
) -> None:
    subjects, watching = (*keys, "GET /beside", OTHERS, APPLICATION), sampler(keys, aims)
    called = [w for subject in subjects for w in watching.watched(subject) if w.role == "deciding" or w.alone]
    assert sum(w.weight for w in called) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("name", "free", "shared", "apart"),
    [
        ("as ever", (10.0, 12.0), (10.0, 12.5), False),
        ("mostly waiting, as ever", (2.0, 50.0), (2.0, 52.0), False),
        ("two threads of twenty after a wait of thirty", (40.0, 50.0), (40.0, 70.0), True),
        ("on two cores at once", (40.0, 25.0), (40.0, 25.0), True),
    ],
)
def test_who_waits_longer_on_one_core_than_free_shares_none(
    name: str, free: tuple[float, float], shared: tuple[float, float], apart: bool
) -> None:
    watching = sampler(("GET /a",), {})
    for cpu_ms, latency_ms in (free, shared):
        watching.seen(asked(cpu_ms, latency_ms), is_a=True)
    assert watching.apart == apart


@pytest.mark.parametrize(("aims", "goal"), [({}, "not worse"), ({APPLICATION: ()}, "verdict")])
def test_a_change_of_the_start_is_asked_for_its_verdict(aims: dict[str, tuple[str, ...]], goal: str) -> None:
    assert sampler((), aims).goal(APPLICATION) == goal
