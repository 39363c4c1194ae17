"""What the project chose not to hear."""

from datetime import date

import pytest

from perfcrew.core.findings import Finding
from perfcrew.core.prose import Prose
from perfcrew.core.web import Place
from perfcrew.rules.silence import silenced
from perfcrew.target.config import Acknowledgement, Silence

from .build import App

TODAY = date(2026, 11, 21)


def finding(line: int = 3, trigger: Place | None = None, file: str = "orders.py") -> Finding:
    return Finding(
        rule="DB101",
        title="N+1",
        level="high",
        endpoint="GET /orders",
        place=Place(file=file, line=line, function="f"),
        trigger=trigger,
        prose=Prose(text=""),
        evidence=("e",),
        confidence=0.9,
        subject="s",
        also=("GET /more",),
    )


def status(app: App, comment: str, line: int = 3, above: bool = False, trigger: Place | None = None) -> tuple[str, str]:
    code = f"def f():\n{f'    {comment}' if above else ''}\n    load(){'' if above else f'  {comment}'}\n"
    app.write("orders.py", code)
    (done,) = silenced([finding(line, trigger)], app.root, today=TODAY)
    return done.status, done.status_reason


@pytest.mark.parametrize(
    ("comment", "expected", "said"),
    [
        ("# perfcrew: ignore[DB101] reason=ten rows at most", "ignored", "ten rows at most"),
        ("# perfcrew: ignore[DB101] until=2027-03-01 reason=until the rewrite", "ignored", "until 2027-03-01"),
        ("# perfcrew: ignore[DB102, DB101] reason=both", "ignored", "both"),
        ("# perfcrew: ignore[*] reason=generated code", "ignored", "generated code"),
        ("# noqa: E501  perfcrew: ignore[db101] reason=small", "ignored", "small"),
        ("# perfcrew: ignore[DB101]", "open", "has no reason"),
        ("# perfcrew: ignore[DB101] until=2027-03-01", "open", "has no reason"),
        ("# perfcrew: ignore[DB101] until=2026-11-21 reason=over", "open", "ended on 2026-11-21"),
        ("# perfcrew: ignore[DB101] until=soon reason=later", "open", "no readable date"),
        ("# perfcrew: ignore[DB102] reason=another rule", "open", ""),
        ("# perfcrew ignores DB101", "open", ""),
    ],
)
@pytest.mark.parametrize("above", [False, True])
def test_in_place(app: App, comment: str, expected: str, said: str, above: bool) -> None:
    got, reason = status(app, comment, above=above)
    assert got == expected
    assert said in reason if said else reason == ""


def test_a_trailing_comment_of_the_line_above_is_not_ours(app: App) -> None:
    app.write("orders.py", "def f():\n    other()  # perfcrew: ignore[DB101] reason=that line\n    load()\n")
    (done,) = silenced([finding()], app.root, today=TODAY)
    assert done.status == "open"


def test_text_that_is_no_comment_is_not_ours(app: App) -> None:
    app.write("orders.py", 'def f():\n\n    load("# perfcrew: ignore[DB101] reason=in a string")\n')
    (done,) = silenced([finding()], app.root, today=TODAY)
    assert done.status == "open"


def test_on_the_triggers_line(app: App) -> None:
    app.write("views.py", "load()  # perfcrew: ignore[DB101] reason=known\n")
    (done,) = silenced([finding(file="/usr/lib/x.html", trigger=Place(file="views.py", line=1))], app.root, today=TODAY)
    assert done.status == "ignored"


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"rule": "DB101"}, "acknowledged"),
        ({"rule": "*"}, "acknowledged"),
        ({"rule": "DB101", "file": "orders.py"}, "acknowledged"),
        ({"rule": "DB101", "file": "*.py", "endpoint": "GET /orders"}, "acknowledged"),
        ({"rule": "DB101", "endpoint": "GET /more"}, "acknowledged"),
        ({"rule": "DB101", "endpoint": "GET /o*"}, "acknowledged"),
        ({"rule": "DB102"}, "open"),
        ({"rule": "DB101", "file": "other.py"}, "open"),
        ({"rule": "DB101", "endpoint": "GET /other"}, "open"),
        ({"rule": "DB101", "until": TODAY}, "open"),
    ],
)
def test_acknowledged(app: App, entry: dict[str, object], expected: str) -> None:
    known = Acknowledgement.model_validate({"until": date(2027, 3, 1), "reason": "ticket", **entry})
    (done,) = silenced([finding()], app.root, (), [known], today=TODAY)
    assert done.status == expected
    assert ("ended on" in done.status_reason) == (entry.get("until") == TODAY)


def test_ignored_in_the_configuration_may_have_no_end_but_needs_a_reason(app: App) -> None:
    (done,) = silenced([finding()], app.root, [Silence(rule="DB101", reason="by design")], today=TODAY)
    assert (done.status, done.status_reason) == ("ignored", "by design (ignored)")
    (open_,) = silenced([finding()], app.root, [Silence(rule="DB101", reason=" ")], today=TODAY)
    assert open_.status == "open"
    assert "without a reason" in open_.status_reason


def test_the_source_comes_first(app: App) -> None:
    app.write("orders.py", "def f():\n\n    load()  # perfcrew: ignore[DB101] reason=source\n")
    (done,) = silenced([finding()], app.root, [Silence(rule="DB101", reason="configuration")], today=TODAY)
    assert done.status_reason.startswith("source")
