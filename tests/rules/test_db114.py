"""DB114 a hidden column: cases that must be found, and look-alikes that must not."""

from typing import Any

import pytest

from perfcrew.core.evidence import ExpressionTrial, QueryPlan
from perfcrew.core.scene import Scene, Seen

from .build import App, Found, Shot, Silent, check_found, run, scene, traced, warm

SOURCE = """
def login(session, email):
    return session.scalar(select(User).where(func.lower(User.email) == email))  # login
"""
TEXT = "SELECT users.id FROM users WHERE lower(users.email) = $1"


def trial(before: float = 20.0, after: float = 0.1, **more: Any) -> ExpressionTrial:
    known: dict[str, Any] = {
        "table": "users",
        "column": "email",
        "expression": "LOWER(email)",
        "implicit": False,
        "ddl": "CREATE INDEX ix_users_email ON users ((LOWER(email)))",
        "used": True,
        "before_ms": (before, before * 1.1),
        "after_ms": (after, after * 1.1),
        "before_median_ms": before * 1.05,
        "after_median_ms": after * 1.05,
        "size_bytes": 2_000_000,
    }
    return ExpressionTrial(**{**known, **more})


def defeated(before: float = 20.0) -> ExpressionTrial:
    return trial(
        ddl="",
        used=False,
        after_ms=(before, before),
        after_median_ms=before,
        defeated="users_email_key",
        size_bytes=None,
        before=before,
    )


def lookup(app: App, tried: ExpressionTrial | None, ms: float = 20.0, wait: float = 2.0, text: str = TEXT) -> Scene:
    app.write("accounts.py", SOURCE)
    frames = [app.frame("accounts.py", "# login", "login")]
    plan = QueryPlan(
        engine="postgresql", shape="", statement=TEXT, table_rows={"users": 90_000}, nodes=(), expression=tried
    )
    shots = warm(lambda: Shot().sql(text, "x", frames, ms=ms).wait(wait))
    return scene(app, traced(shots), plans=(Seen("plan-1", plan),))


FOUND = {
    "an index on the expression": Found(
        lambda app: lookup(app, trial()), "accounts.py", "# login", "medium", None, "LOWER(users.email)"
    ),
    "an index that is defeated": Found(lambda app: lookup(app, defeated()), "accounts.py", "# login", "medium"),
    "a cast of the server's": Found(
        lambda app: lookup(app, trial(implicit=True, expression="(email)::numeric")),
        "accounts.py",
        "# login",
        "medium",
    ),
    "a slow one": Found(lambda app: lookup(app, trial(before=200), ms=200), "accounts.py", "# login", "high"),
}

SILENT: dict[str, Silent] = {
    "no expression was found": lambda app: lookup(app, None),
    "the index was not used": lambda app: lookup(app, trial(used=False)),
    "little gain": lambda app: lookup(app, trial(before=20, after=16)),
    "times that overlap": lambda app: lookup(app, trial(after_ms=(0.1, 90.0))),
    "an index is defeated, and nobody waits": lambda app: lookup(app, defeated(0.2), ms=5.0),
    "little of the request": lambda app: lookup(app, trial(), wait=2000),
    "another statement": lambda app: lookup(app, trial(), text="SELECT 1 FROM other WHERE lower(x) = $1"),
    "nothing was traced": scene,
}


@pytest.mark.parametrize("case", FOUND.values(), ids=FOUND)
def test_found(app: App, case: Found) -> None:
    check_found("DB114", app, case)


@pytest.mark.parametrize("build", SILENT.values(), ids=SILENT)
def test_silent(app: App, build: Silent) -> None:
    assert run("DB114", app, build(app)) == []


def test_the_index_comes_first_where_no_other_is_defeated(app: App) -> None:
    (proven,) = run("DB114", app, lookup(app, trial()))
    assert [h.id for h in proven.hypotheses] == ["DB114-index", "DB114-bare"]
    (plain,) = run("DB114", app, lookup(app, defeated()))
    assert [h.id for h in plain.hypotheses] == ["DB114-bare"]
    assert "the plan uses the index `users_email_key`" in plain.prose.text
    assert plain.hypotheses[0].improvement is None, "the bare column was not timed"
