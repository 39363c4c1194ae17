"""The bookshop's planted faults of database and cache: each has a change, and with each the shop's own suite passes."""

from __future__ import annotations

import compileall
from pathlib import Path

import pytest

from perfcrew.core.findings import Finding
from perfcrew.core.patches import Declined, Fix
from perfcrew.core.scene import ApplicationScene, Scene
from perfcrew.core.sql import shape
from perfcrew.core.web import Endpoint, Plan
from perfcrew.rules.fixes import propose

from .cases import application
from .database import seen, tried
from .test_bookshop_runtime import SHOP, apply, copy, found, suite

STATEMENTS = {
    "DB101": "SELECT order_lines.id, order_lines.order_id, order_lines.book_id FROM order_lines "
    "WHERE ? = order_lines.order_id ORDER BY order_lines.id",
    "DB102": "SELECT settings.value FROM settings WHERE settings.key = ?",
    "DB103": "SELECT events.id FROM events WHERE events.customer_id = ? ORDER BY events.happened_at DESC LIMIT ?",
    "DB105": "SELECT orders.id, orders.status FROM orders WHERE orders.status = ? ORDER BY orders.placed_at",
    "CA201": "SELECT books.id, authors.name, sum(order_lines.quantity) AS copies FROM books "
    "JOIN order_lines ON order_lines.book_id = books.id JOIN orders ON orders.id = order_lines.order_id "
    "JOIN authors ON authors.id = books.author_id GROUP BY books.id, authors.name LIMIT ?",
}
SUBJECTS = {**{rule: shape(text) for rule, text in STATEMENTS.items()}, "DB106": "Article.body"}
VARIANTS = {
    "DB101": ["selectinload"],
    "DB102": ["hand down", "kept on the session"],
    "DB103": ["Alembic"],
    "DB105": ["limit and offset"],
    "DB106": ["defer", "load_only"],
    "CA201": ["kept in the process"],
}
FILES = {
    "DB101": {"src/bookshop/services/ordering.py"},
    "DB102": {"src/bookshop/services/pricing.py"},
    "DB103": {"src/bookshop/models.py", "alembic/versions/0002_index_events_by_customer_id_happened_at.py"},
    "DB105": {"src/bookshop/services/ordering.py", "src/bookshop/routers/orders.py"},
    "DB106": {"src/bookshop/services/magazine.py"},
    "CA201": {"src/bookshop/services/ranking.py"},
}


def database_finding(rule: str) -> Finding:
    return found(rule).model_copy(update={"subject": SUBJECTS[rule]})


def observed(rule: str) -> ApplicationScene:
    """As a review of the untouched shop gives it: with the trial of the index, without traces."""
    app = application(SHOP, app="bookshop.main:app")
    method, path = database_finding(rule).endpoint.split(" ")  # type: ignore[union-attr]
    endpoint = Endpoint(method=method, path=path, source="openapi")
    plan = tried(STATEMENTS["DB103"], "events", "customer_id", "happened_at")
    scene = Scene(SHOP, endpoint, Plan(endpoint=endpoint), plans=seen(plan))
    return ApplicationScene(root=SHOP, project=app.project, scenes=(scene,))


def answers(root: Path, rule: str) -> list[Fix | Declined]:
    return propose(root, database_finding(rule), observed(rule))


def fixes(root: Path, rule: str) -> list[Fix]:
    return [a for a in answers(root, rule) if isinstance(a, Fix)]


@pytest.mark.parametrize("rule", VARIANTS)
def test_every_fault_has_a_change(rule: str) -> None:
    proposed = fixes(SHOP, rule)
    assert [fix.variant for fix in proposed] == VARIANTS[rule]
    assert all(set(fix.files) <= FILES[rule] for fix in proposed)
    assert all(fix.trade_offs or rule in ("DB101", "DB102") for fix in proposed)


def test_what_changes_answers_says_so() -> None:
    assert [fix.exact for fix in fixes(SHOP, "DB105")] == [False]
    assert [fix.ttl_s for fix in fixes(SHOP, "CA201")] == [30]


@pytest.mark.target
@pytest.mark.parametrize("rule", VARIANTS)
def test_each_compiles_and_the_suite_passes_with_the_second_choices(rule: str, tmp_path: Path) -> None:
    for number, fix in enumerate(fixes(SHOP, rule)):
        root = copy(tmp_path / str(number))
        apply(root, fix)
        assert compileall.compile_dir(root / "src", quiet=1)
        if number:
            done = suite(root)
            assert done.returncode == 0, f"{fix.variant}\n{done.stdout[-3000:]}{done.stderr[-1000:]}"


@pytest.mark.target
def test_the_suite_passes_with_all_first_choices_together(tmp_path: Path) -> None:
    """One after another, each written into what the ones before have left."""
    root = copy(tmp_path / "all")
    for rule in VARIANTS:
        first = fixes(root, rule)[0]
        assert first.variant == VARIANTS[rule][0]
        apply(root, first)
    done = suite(root)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
