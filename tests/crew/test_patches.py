"""Patches of a model apply exactly, or are refused with the reason; what is off limits stays so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from perfcrew.core.findings import Finding, Hypothesis, Scores
from perfcrew.core.patches import Declined, Fix
from perfcrew.core.thinking import WrittenPatches
from perfcrew.crew.answers import PatchAnswer, ProposedEdit, ProposedPatch
from perfcrew.crew.patches import Unfit, as_fix, edits_of, judged, texts, written
from perfcrew.graphs import conclude
from perfcrew.graphs.steps import patches as step
from perfcrew.graphs.steps.proposals import propose
from perfcrew.ledger import Ledger
from tests.crew.desk import shop
from tests.crew.scripted import Models, Scripted, call, in_turn
from tests.crew.test_prompts import finding as plain
from tests.crew.thought import context, findings, recognised, runtime
from tests.report.make_ledger import RUN

API = """\
import select


def list_authors(session):
    authors = session.scalars(select(Author)).all()
    return [a.name for a in authors]


def list_books(session):
    books = session.scalars(select(Book)).all()
    return [b.name for b in books]


def count(session):
    x = 1
    return x


def count_again(session):
    x = 1
    return x
"""
FILES = {
    "shop/api.py": API,
    "shop/windows.py": "a = 1\r\nb = 2\r\n",
    "tests/test_api.py": "def test_it():\n    assert True\n",
    "uv.lock": "version = 1\n",
    ".github/workflows/ci.yml": "on: push\n",
    "perfcrew.toml": "[target]\n",
    ".env": "KEY=1\n",
    "requirements.txt": "flask\n",
    "pyproject.toml": '[project]\ndependencies = ["flask"]\n\n[tool.pytest.ini_options]\naddopts = "-x"\n',
}
SCORES = Scores(impact=3, evidence=3, effort=3, risk=3, reversibility=3, learning=3)
FINDING: Finding = plain("It asks again.").model_copy(
    update={
        "hypotheses": (
            Hypothesis(
                id="H1",
                change="c",
                metric="latency",
                improvement=None,
                because="b",
                kind="code",
                recipe="",
                scores=SCORES,
            ),
        )
    }
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    (tmp_path / "link.py").symlink_to(tmp_path / "shop/api.py")
    return tmp_path


def patch(*edits: tuple[str, str, str], diff: str = "", **more: Any) -> ProposedPatch:
    made = tuple(ProposedEdit(file=f, old=o, new=n) for f, o, n in edits)
    whole = {"hypothesis": "H1", "title": "Fetch less", "metrics": ("latency",), "trade_offs": (), **more}
    return ProposedPatch(edits=made, diff=diff, **whole)


BOUND = "    books = session.scalars(select(Book)).all()\n"
BETTER = "    books = session.scalars(select(Book).limit(9)).all()\n"
HEAD = "--- a/shop/api.py\n+++ b/shop/api.py\n"
CONTEXT = "@@ -9,3 +9,3 @@\n def list_books(session):\n"
DIFF = f"{HEAD}{CONTEXT}-{BOUND}+{BETTER}     return [b.name for b in books]\n"

APPLIES = {
    "an edit": patch(("shop/api.py", BOUND, BETTER)),
    "without the line's end": patch(("shop/api.py", BOUND.rstrip("\n"), BETTER.rstrip("\n"))),
    "a diff": patch(diff=DIFF),
    "a diff by git": patch(diff="diff --git a/shop/api.py b/shop/api.py\nindex 1..2 100644\n" + DIFF),
    "wrong counts": patch(diff=DIFF.replace("@@ -9,3 +9,3 @@", "@@ -9,30 +900,1 @@")),
    "the wrong place": patch(diff=DIFF.replace("@@ -9,3", "@@ -1,3")),
    "without a prefix": patch(diff=DIFF.replace("a/shop", "shop").replace("b/shop", "shop")),
    "lines of Windows": patch(diff=DIFF.replace("\n", "\r\n")),
}


@pytest.mark.parametrize("what", APPLIES)
def test_applies(what: str, root: Path) -> None:
    made = texts(root, written(root, FINDING, APPLIES[what], ()), ())
    assert made == {"shop/api.py": API.replace(BOUND, BETTER)}


def test_two_hunks(root: Path) -> None:
    old = "    authors = session.scalars(select(Author)).all()\n"
    more = f"@@ -4,2 +4,2 @@\n def list_authors(session):\n-{old}+    authors = []\n"
    (text,) = texts(root, written(root, FINDING, patch(diff=DIFF + more), ()), ()).values()
    assert text is not None and "authors = []" in text and ".limit(9)" in text


def test_a_comment_of_sql_that_goes_is_no_head_of_a_file(root: Path) -> None:
    """`-- by name` shows as `--- by name`, and `++ x` as `+++ x`: what follows belongs to the hunk all the same."""
    (root / "list.sql").write_text("SELECT *\n-- by name\nFROM book\nORDER BY name\n")
    diff = "--- a/list.sql\n+++ b/list.sql\n@@ -1,4 +1,3 @@\n SELECT *\n"
    diff += "--- by name\n FROM book\n-ORDER BY name\n+ORDER BY id\n"
    (text,) = texts(root, written(root, FINDING, patch(diff=diff), ()), ()).values()
    assert text == "SELECT *\nFROM book\nORDER BY id\n"


def test_a_diff_reads_nothing_outside_of_the_tree(root: Path) -> None:
    (root.parent / "outside.txt").write_text("x = 1\nsecret\nx = 1\n")
    diff = "--- a/y\n+++ ../outside.txt\n@@ -1 +1 @@\n-x = 1\n+x = 2\n"
    (edit,) = edits_of(root, diff)
    assert edit.old == "x = 1\n"
    with pytest.raises(Unfit, match="outside"):
        written(root, FINDING, patch(diff=diff), ())


def test_a_new_file(root: Path) -> None:
    new = "diff --git a/shop/cache.py b/shop/cache.py\nnew file mode 100644\n"
    new += "--- /dev/null\n+++ b/shop/cache.py\n@@ -0,0 +1 @@\n+CACHE = {}\n"
    for proposed in (patch(("shop/cache.py", "", "CACHE = {}\n")), patch(diff=new)):
        assert texts(root, written(root, FINDING, proposed, ()), ()) == {"shop/cache.py": "CACHE = {}\n"}


def test_the_line_says_which_of_two_places(root: Path) -> None:
    diff = f"{HEAD}@@ -20,2 +20,2 @@\n-    x = 1\n+    x = 2\n     return x\n"
    (text,) = texts(root, written(root, FINDING, patch(diff=diff), ()), ()).values()
    assert text is not None and text.index("x = 2") > text.index("count_again")


def test_other_line_ends_are_left(root: Path) -> None:
    (text,) = texts(root, written(root, FINDING, patch(("shop/windows.py", "a = 1\n", "a = 3\n")), ()), ()).values()
    assert text == "a = 3\r\nb = 2\r\n"


REFUSED = {
    "old lines that are not there": (patch(("shop/api.py", "nothing\n", "x\n")), "stand nowhere"),
    "old lines that stand twice": (patch(("shop/api.py", "    x = 1\n", "    x = 2\n")), "stand 2 times"),
    "a part of a line": (patch(("shop/api.py", "books = session", "books = s")), "stand nowhere"),
    "a file that is not there": (patch(("shop/other.py", "a\n", "b\n")), "no file"),
    "a file that is there already": (patch(("shop/api.py", "", "x = 1\n")), "is there already"),
    "what does not parse": (patch(("shop/api.py", BOUND, "    books = (\n")), "would not parse"),
    "nothing": (patch(("shop/api.py", BOUND, BOUND)), "changes nothing"),
    "no patch": (patch(), "either edits or a diff"),
    "both": (patch(("shop/api.py", BOUND, BETTER), diff=DIFF), "either edits or a diff"),
    "no diff": (patch(diff="please make it faster"), "no unified diff"),
    "a diff without a file": (patch(diff=CONTEXT + f"-{BOUND}+{BETTER}"), "names no file"),
    "lines without a mark": (patch(diff=f"{HEAD}{CONTEXT}books = 1\n"), "begins with neither"),
    "a removed file": (patch(diff="--- a/shop/api.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-import select\n"), "removes"),
    "a rename": (patch(diff="diff --git a/a b/b\nrename from a\nrename to b\n"), "renames"),
    "another hypothesis": (patch(("shop/api.py", BOUND, BETTER), hypothesis="H7"), "no hypothesis"),
    "an unknown metric": (patch(("shop/api.py", BOUND, BETTER), metrics=("joy",)), "joy"),
    "no metric": (patch(("shop/api.py", BOUND, BETTER), metrics=()), "none"),
    "too much": (patch(("shop/api.py", BOUND, "".join(f"    y{n} = {n}\n" for n in range(500)))), "smallest"),
    "tests": (patch(("tests/test_api.py", "    assert True\n", "    pass\n")), "tests"),
    "a new test": (patch(("tests/conftest.py", "", "import pytest\n")), "tests"),
    "a lock file": (patch(("uv.lock", "version = 1\n", "version = 2\n")), "lock file"),
    "CI": (patch((".github/workflows/ci.yml", "on: push\n", "on: never\n")), "CI"),
    "perfcrew's configuration": (patch(("perfcrew.toml", "[target]\n", "[x]\n")), "configuration"),
    "our own folder": (patch((".perfcrew/config/gate.yaml", "", "runs: 0\n")), "configuration"),
    "secrets": (patch((".env", "KEY=1\n", "KEY=2\n")), "secrets"),
    "dependencies": (patch(("requirements.txt", "flask\n", "evil\n")), "dependencies"),
    "how tests run": (patch(("pyproject.toml", 'addopts = "-x"\n', 'addopts = ""\n')), "tests"),
    "the project's dependencies": (
        patch(("pyproject.toml", 'dependencies = ["flask"]\n', 'dependencies = ["evil"]\n')),
        "dependencies",
    ),
    "how the interpreter starts": (patch(("sitecustomize.py", "", "x = 1\n")), "interpreter"),
    "a hook of git": (patch((".git/hooks/post-commit", "", "rm -rf /\n")), "git"),
    "outside": (patch(("../evil.py", "", "x = 1\n")), "outside"),
    "absolute": (patch(("/tmp/evil.py", "", "x = 1\n")), "outside"),
    "a link": (patch(("link.py", BOUND, BETTER)), "link"),
    "code that knows it is tested": (
        patch(("shop/api.py", BOUND, '    books = [] if "PYTEST_CURRENT_TEST" in os.environ else None\n')),
        "tested",
    ),
    "code that knows it is measured": (
        patch(("shop/api.py", BOUND, '    books = os.environ["PERFCREW"]\n')),
        "measured",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused(what: str, root: Path) -> None:
    proposed, why = REFUSED[what]
    with pytest.raises(Unfit, match=why):
        written(root, FINDING, proposed, ())
    assert (root / "shop/api.py").read_text() == API


def test_the_policy_may_allow_a_file(root: Path) -> None:
    proposed = patch(("requirements.txt", "flask\n", "quart\n"))
    assert texts(root, written(root, FINDING, proposed, ("requirements.txt",)), ("requirements.txt",))


def test_only_a_cure_by_a_cache_may_let_answers_be_old(root: Path) -> None:
    proposed = patch(("shop/api.py", BOUND, BETTER), cache_seconds=900)
    assert written(root, FINDING, proposed, ()).ttl_s == 0
    assert written(root, FINDING.model_copy(update={"rule": "CA201"}), proposed, ()).ttl_s == 900


def test_it_is_applied_anew_to_the_best_tree_so_far(root: Path) -> None:
    made = written(root, FINDING, patch(("shop/api.py", BOUND, BETTER)), ())
    (root / "shop/api.py").write_text("# moved\n\n" + API)
    fix = as_fix(root, FINDING, made, 1, ())
    assert isinstance(fix, Fix) and fix.exact and (fix.files["shop/api.py"] or "").startswith("# moved")
    (root / "shop/api.py").write_text(API.replace(BOUND, BETTER))
    gone = as_fix(root, FINDING, made, 1, ())
    assert isinstance(gone, Declined) and "stand nowhere" in gone.reason


def test_the_good_ones_are_taken_and_the_others_named(root: Path) -> None:
    answer = PatchAnswer(patches=(patch(("shop/api.py", BOUND, BETTER)), patch(("uv.lock", "version = 1\n", "x\n"))))
    taken, faults = judged(root, FINDING, answer, ())
    assert len(taken) == 1 and len(faults) == 1 and faults[0].startswith("patches[1]: it edits a lock file")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with shop(tmp_path) as made:
        yield made


def answered(*patches: ProposedPatch) -> Any:
    return call("PatchAnswer", patches=[p.model_dump(mode="json") for p in patches])


LOOP = "    return [(a.name, [b.title for b in a.books]) for a in authors]\n"
GOOD = patch(("src/bookshop/api.py", LOOP, "    return [(a.name, a.titles) for a in authors]\n"))
FORBIDDEN = patch(("tests/test_api.py", "", "x = 1\n"))


async def tried(ledger: Ledger, script: Any) -> Any:
    """What is proposed for the N+1 with a model that writes patches by this script."""
    model = Scripted(script=script)
    made = context(ledger, Models(model))
    body = findings(made, conclude.BOOK)
    made.ledger.put(RUN, conclude.RANKED, body, made.method("perfcrew crew"))
    first = next(f for f in recognised(ledger) if f.rule == "DB101")
    first = first.model_copy(update={"place": first.place.model_copy(update={"file": "src/bookshop/api.py"})})
    await step.write_patches(made, [first], ())
    propose(made)
    return made, first, model


async def test_a_models_patch_is_one_more_variant(ledger: Ledger) -> None:
    made, first, _ = await tried(ledger, in_turn(answered(GOOD)))
    body = made.ledger.slot(RUN, f"proposals/{first.id}").body
    assert body.variants[-1] == "H1/written 1"
    fix = step.fix(made, first, "H1/written 1", (), made.root)
    assert isinstance(fix, Fix) and "a.titles" in (fix.files["src/bookshop/api.py"] or "")
    assert step.fix(made, first, "H1/selectinload", (), made.root) is None


async def test_what_does_not_apply_goes_back_once_with_the_reason(ledger: Ledger) -> None:
    made, first, model = await tried(ledger, in_turn(answered(FORBIDDEN), answered(GOOD)))
    assert "it edits tests, which is off limits" in model.read
    assert step.variants(made, first) == ["H1/written 1"]


async def test_what_is_refused_twice_is_declined_with_its_reason(ledger: Ledger) -> None:
    made, first, model = await tried(ledger, in_turn(answered(GOOD, FORBIDDEN)))
    assert len(model.requests) == 2
    assert step.variants(made, first) == ["H1/written 1"]
    body = made.ledger.slot(RUN, f"proposals/{first.id}").body
    assert any("off limits" in d.reason for d in body.declined)


async def test_without_a_model_nothing_is_asked(ledger: Ledger) -> None:
    made = context(ledger)
    await step.write_patches(made, recognised(ledger), ())
    assert not ledger.find(RUN, "written patches")


async def test_several_findings_are_asked_for_at_once(ledger: Ledger) -> None:
    model = Scripted(script=lambda sent: answered(), delay_s=0.3)
    made = context(ledger, Models(model))
    some = [
        f.model_copy(update={"subject": f"{n}", "place": f.place.model_copy(update={"file": "src/bookshop/api.py"})})
        for n, f in enumerate(recognised(ledger)[:1] * 6)
    ]
    await step.write_patches(made, some, ())
    assert model.gauge.most == 3
    bodies = [e.body for e in ledger.find(RUN, "written patches")]
    assert len(bodies) == 6 and all(isinstance(b, WrittenPatches) and not b.patches for b in bodies)


async def test_a_run_of_the_specialists_leaves_patches_alone(ledger: Ledger) -> None:
    made = context(ledger)
    await conclude.specialist({"run": RUN, "specialist": "database"}, runtime(made))
    assert not ledger.find(RUN, "written patches")
