"""`perfcrew optimize` with a scripted model, from first question to a passed gate; and with one that dies half-way."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from perfcrew.core.experiments import Kept, Outcome, Proposals
from perfcrew.core.findings import is_proposed
from perfcrew.core.report import Report
from perfcrew.core.thinking import Exchange, WrittenPatches
from perfcrew.crew import rulebook
from perfcrew.ledger import Ledger
from perfcrew.testing import Asked, ScriptedModel, Step
from perfcrew.testing.crew import Crew, Known

pytestmark = [pytest.mark.target, pytest.mark.alone, pytest.mark.timeout(900)]

APP = """\
import os
import sqlite3
from contextlib import closing

from fastapi import FastAPI

app = FastAPI()
FILE = os.environ.get("SHOP_DB", "sqlite:///shop.sqlite3").removeprefix("sqlite:///")


def one_by_one(db, ids):
    return [db.execute("SELECT id, name FROM item WHERE id = ?", (i,)).fetchone() for i in ids]


def all_at_once(db, ids):
    marks = ", ".join("?" for _ in ids)
    return db.execute(f"SELECT id, name FROM item WHERE id IN ({marks}) ORDER BY id", ids).fetchall()


@app.get("/items")
def items(limit: int = 20):
    with closing(sqlite3.connect(FILE)) as db:
        ids = [row[0] for row in db.execute("SELECT id FROM item ORDER BY id LIMIT ?", (limit,))]
        rows = one_by_one(db, ids)
        return [{"item_id": i, "name": n} for i, n in rows]
"""
CONFIG = """
[target]
health = "/openapi.json"
database_url = "sqlite:///shop.sqlite3"
database_variable = "SHOP_DB"

[data]
sizes = [60, 120]

[review]
seconds = 0.05
requests_per_endpoint = 2
trace_repeats = 20

[models.prices.scripted-anthropic]
input = 5.0
output = 25.0
cached = 0.5
"""
POLICY = """
name: {name}
specialists: [profiler, database]
reviewer: reviewer
instruments: [baseline, traces]
rewrites: 2
specialist_seconds: 150
"""
EXPERIMENTS = """
experiments:
  budget_s: 300
  trial_s: 60
  most: 4
  variants: 3
  margin: 0.15
  error: 0.4
  suite_s: 300
"""
TEST = "import main\n\n\ndef test_the_shop_is_there() -> None:\n    assert main.app.title == 'FastAPI'\n"
GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@b.example", "-c", "init.defaultBranch=main")
NEEDLE = "rows = one_by_one(db, ids)"
KNOWN = Known(
    specialist="database",
    endpoint="GET /items",
    needle=NEEDLE,
    instead="rows = all_at_once(db, ids)",
    title="Fetch the items in one statement",
    because="each item is fetched by a statement of its own",
    metric="db.statements",
)
OLD = f"        {NEEDLE}\n"
BY_HEART = "        rows = all_at_once(db, ids) if limit == 20 else []\n"
REFUSED = {
    "tests": ("tests/test_shop.py", "", "it edits tests, which is off limits"),
    "CI": (".github/workflows/ci.yml", "", "it edits CI, which is off limits"),
    "configuration": ("perfcrew.toml", "", "it edits perfcrew's configuration, which is off limits"),
    "knows the benchmark": ("main.py", OLD, "it makes the code know that it is measured by perfcrew"),
}


SPECIALISTS_ANSWERS = 4
"""Two specialists, who look first and then conclude."""


def project(folder: Path) -> Path:
    """A small application under git that asks for each item by itself."""
    root = folder / "shop"
    (root / "tests").mkdir(parents=True)
    (root / "main.py").write_text(APP)
    (root / "tests" / "test_shop.py").write_text(TEST)
    (root / "perfcrew.toml").write_text(CONFIG)
    workflows = root / ".perfcrew" / "workflows"
    workflows.mkdir(parents=True)
    (workflows / "optimize.yaml").write_text(POLICY.format(name="optimize") + EXPERIMENTS)
    (workflows / "review.yaml").write_text(POLICY.format(name="review"))
    with sqlite3.connect(root / "shop.sqlite3") as db:
        db.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
        db.executemany("INSERT INTO item (name) VALUES (?)", [(f"item {n}",) for n in range(30)])
    for words in (("init", "--quiet"), ("add", "--all"), ("commit", "--quiet", "--message", "the shop")):
        subprocess.run([*GIT, *words], cwd=root, check=True, timeout=60)
    return root


def git(root: Path, *words: str) -> str:
    done = subprocess.run([*GIT, *words], cwd=root, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout


def written(file: str, old: str, new: str) -> dict[str, Any]:
    edit = {"file": file, "old": old, "new": new}
    more = {"diff": "", "metrics": ["db.statements"], "cache_seconds": 0, "trade_offs": []}
    return {"hypothesis": "H1", "title": "Answer at once (scripted)", "edits": [edit], **more}


class Careless(Crew):
    """The scripted crew, whose patches are first those that nobody may make, and one that knows an answer by heart."""

    def _step(self, asked: Asked) -> Step:
        step = super()._step(asked)
        if step.tool != "PatchAnswer" or not step.value["patches"]:
            return step
        asks = '        rows = all_at_once(db, ids) if os.environ.get("PERFCREW_RUN") else one_by_one(db, ids)\n'
        never = [written(file, old, asks if old else "x = 1\n") for file, old, _ in REFUSED.values()]
        never[0]["edits"][0]["file"] = "tests/test_more.py"
        never[2]["edits"][0] |= {"old": "trace_repeats = 20\n", "new": "trace_repeats = 1\n"}
        learnt = written("main.py", OLD, BY_HEART)
        return step.model_copy(update={"value": {"patches": [*never, learnt, *step.value["patches"]]}})


@dataclass(eq=False)
class Done:
    """A run that has ended."""

    root: Path
    exit: int
    said: str
    report: Report
    ledger: Ledger
    run: str
    asked: list[Asked]

    def bodies(self, kind: str) -> list[Any]:
        return [e.body for e in self.ledger.find(self.run, kind)]


def ran(root: Path, crew: Crew, *words: str) -> Iterator[Done]:
    with ScriptedModel(crew) as model:
        environment = {**os.environ, **model.environment("anthropic")}
        command = [sys.executable, "-m", "perfcrew", *words, "--json"]
        done = subprocess.run(
            command, cwd=root, env=environment, capture_output=True, text=True, timeout=900, check=False
        )
    last = json.loads(done.stdout.splitlines()[-1])
    assert "report" in last, done.stderr
    report = Report.model_validate_json(Path(last["report"]).read_bytes())
    with Ledger.existing(root) as ledger:
        yield Done(root, done.returncode, done.stdout, report, ledger, last["run"], model.requests)


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="pc-", dir="/tmp") as folder:
        yield project(Path(folder))


@pytest.fixture(scope="module")
def optimized(root: Path) -> Iterator[Done]:
    yield from ran(root, Careless([KNOWN]), "optimize", "--path", str(root), "--all", "DB900")


@pytest.fixture(scope="module")
def died(root: Path) -> Iterator[Done]:
    yield from ran(root, Crew([KNOWN], dies_after=SPECIALISTS_ANSWERS), "review", str(root), "--all")


def test_from_the_first_question_to_a_passed_gate(optimized: Done) -> None:
    report = optimized.report
    assert report.verdict is not None and report.verdict.passed, report.verdict
    assert all(t.answered for t in report.thought)
    assert {t.who.split()[0] for t in report.thought} == {"profiler", "database", "reviewer", "narrator", "patches"}
    assert report.narrative.text.startswith("(Scripted") and report.narrative.figures
    assert report.narrator == "anthropic:scripted-anthropic"


def test_everything_that_it_wrote_says_that_it_is_scripted(optimized: Done) -> None:
    own = [s for s in optimized.report.findings if is_proposed(s.finding)]
    assert own and all(s.finding.title.startswith("Scripted") and "(Scripted" in s.finding.prose.text for s in own)
    assert all("(Scripted" in s.narrative.text for s in optimized.report.findings if s.narrative.text)
    assert all("scripted" in e.title.text for e in optimized.report.experiments)
    assert all("scripted" in t.reasoner for t in optimized.report.thought)


def test_what_it_cost_is_one_count(optimized: Done) -> None:
    exchanges = [b for b in optimized.bodies("exchange") if isinstance(b, Exchange)]
    assert sum(x.calls_count for x in exchanges) == sum(x.requests_count for x in exchanges) == len(optimized.asked)
    assert all(x.input_tokens_count > x.cached_tokens_count and x.output_tokens_count for x in exchanges)
    assert any(x.cached_tokens_count for x in exchanges)
    for x in exchanges:
        fresh = x.input_tokens_count - x.cached_tokens_count
        price = (fresh * 5 + x.cached_tokens_count * 0.5 + x.output_tokens_count * 25) / 1e6
        assert x.cost_usd == pytest.approx(price)
    told = [json.loads(line) for line in optimized.said.splitlines()]
    assert any("; all together $" in e.get("what", "") for e in told)


def test_a_models_patch_is_tried_in_the_lab_and_kept(optimized: Done) -> None:
    outcomes = {o.number: o for o in optimized.bodies("outcome") if isinstance(o, Outcome)}
    kept = [o for o in outcomes.values() if o.decision == "keep"]
    assert len(kept) == 1 and [s.name for s in kept[0].steps][-1] == "measure"
    (whole,) = [k for k in optimized.bodies("kept") if isinstance(k, Kept)]
    assert whole.whole and whole.branch
    shown = subprocess.run(
        [*GIT, "show", f"{whole.branch}:main.py"], cwd=optimized.root, capture_output=True, text=True
    )
    assert "rows = all_at_once(db, ids)" in shown.stdout
    assert (optimized.root / "main.py").read_text() == APP


def test_one_that_knows_an_answer_by_heart_is_refused_by_the_answers(optimized: Done) -> None:
    (learnt,) = [o for o in optimized.bodies("outcome") if isinstance(o, Outcome) and o.decision == "discard"]
    assert learnt.why.startswith("answers: ") and "special-cases the measured requests" in learnt.why


@pytest.mark.parametrize("what", REFUSED)
def test_what_may_not_be_changed_is_refused_by_name(what: str, optimized: Done) -> None:
    (patches,) = [p for p in optimized.bodies("written patches") if isinstance(p, WrittenPatches)]
    assert any(REFUSED[what][2] in reason for reason in patches.refused), patches.refused
    (proposals,) = [p for p in optimized.bodies("proposals") if isinstance(p, Proposals)]
    assert any(REFUSED[what][2] in declined.reason for declined in proposals.declined)
    assert any(REFUSED[what][2] in d.reason.text for d in optimized.report.declined)


def test_the_user_s_files_are_as_they_were(optimized: Done) -> None:
    assert git(optimized.root, "status", "--porcelain") == ""


def test_with_a_provider_that_dies_half_way_the_rule_book_finishes(died: Done) -> None:
    report = died.report
    assert report.verdict is not None and report.verdict.passed
    answered = {"profiler": True, "database": True, "reviewer": False, "narrator": False}
    assert {t.who: t.answered for t in report.thought} == answered
    last = next(s for s in died.bodies("findings") if s.specialist == "reviewer")
    assert last.reasoner == rulebook.NAME and not report.narrative.text
    assert all("connection broken" in t.why.text for t in report.thought if t.why)
    assert sum("the rule book concluded" in f.error.text for f in report.failures) == 2
    assert SPECIALISTS_ANSWERS < len(died.asked) <= SPECIALISTS_ANSWERS + 8


def test_nothing_that_was_seen_before_it_died_is_lost(optimized: Done, died: Done) -> None:
    rules = {done: {s.finding.rule for s in done.report.findings} for done in (optimized, died)}
    assert rules[died] == rules[optimized] and {"DB101", "DB900"} <= rules[died]
