"""The book: all rules over an application, merged, settled, ranked; and what happens when one of them fails."""

from pathlib import Path

import pytest
import yaml

from perfcrew.core.errors import UsageError
from perfcrew.core.scene import Scene
from perfcrew.rules import book
from perfcrew.rules.catalog import entries

from . import test_ca201, test_db101, test_db103, test_db104, test_db105, test_ht401, test_ht402, test_rt301, test_rt302
from .build import App, Shot, application, measured, scaling, scene, thresholds, traced, warm


def found(app: App, *scenes: Scene) -> list[tuple[str, str | None]]:
    run = book.recognise(application(app, *scenes), thresholds())
    assert run.failures == []
    return [(f.rule, f.endpoint) for f in run.findings]


def test_each_fault_is_reported_once(app: App) -> None:
    """Whatever else a fault looks like, one finding speaks for it."""
    lazy = scene(
        app,
        traced(warm(lambda: test_db101.lazy(app, rows=40, ms=6))),
        key="GET /a",
        scaling=(scaling("db.rows", (9, 18, 36), "linear"),),
    )
    assert found(app, lazy) == [("DB101", "GET /a")]
    assert found(app, test_db103.planned(app, ms=150)) == [("DB103", "GET /customers/{id}/activity")]
    assert found(app, test_db104.moving(app, 150)) == [("DB104", "GET /books")]
    assert found(app, test_ca201.ranking(app, ms=150)) == [("CA201", "GET /home")]
    assert [r for r, _ in found(app, test_db105.listing(app, payload=test_db105.payload()))] == ["DB105"]
    assert [r for r, _ in found(app, test_ht401.calls(app, ms=30))] == ["HT401"]
    assert [r for r, _ in found(app, test_ht402.calls(app, "overview", test_ht402.ALL))] == ["HT402"]
    assert [r for r, _ in found(app, test_rt302.awaits(app, "offer", ("stock", "price", "quote")))] == ["RT302"]
    assert [r for r, _ in found(app, test_rt301.calls(app, ("# requests", "direct")))] == ["RT301"]


def test_an_index_comes_before_a_kept_answer_and_that_before_a_faster_statement(app: App) -> None:
    mended = test_db103.planned(app, ms=150)
    plain = scene(app, *mended.traced, key="GET /report")
    assert [r for r, _ in found(app, mended)] == ["DB103"]
    assert [r for r, _ in found(app, plain)] == ["CA201"]


def test_one_place_at_several_endpoints_is_one_finding(app: App) -> None:
    def at(key: str, latency: float) -> Scene:
        return scene(
            app, traced(warm(lambda: test_db101.lazy(app))), key=key, measurements=(measured("latency", latency),)
        )

    run = book.recognise(application(app, at("GET /cheap", 20), at("GET /dear", 90)), thresholds())
    (finding,) = run.findings
    assert (finding.endpoint, finding.also) == ("GET /dear", ("GET /cheap",))


def test_the_most_costly_comes_first(app: App) -> None:
    high = scene(
        app,
        traced(warm(lambda: test_db101.lazy(app, rows=60))),
        key="GET /a",
        measurements=(measured("latency", 400.0),),
    )
    low = test_rt302.awaits(app, "offer", ("price", "quote"))
    run = book.recognise(application(app, low, high), thresholds())
    assert [f.rule for f in run.findings] == ["DB101", "RT302"]
    assert book.ranked(reversed(run.findings)) == run.findings


def test_a_rule_that_fails_is_recorded_and_the_others_go_on(app: App) -> None:
    lazy = scene(app, traced(warm(lambda: test_db101.lazy(app))))
    broken = {**thresholds(), "DB102": {}}
    app.write("orders.py", test_db101.SOURCE)
    run = book.recognise(application(app, lazy), broken)
    assert [f.rule for f in run.findings] == ["DB101"]
    (failure,) = run.failures
    assert (failure.rule, failure.endpoint) == ("DB102", "GET /books")
    assert "no threshold 'repeats'" in failure.error
    assert "DB102" not in run.silent


def test_what_had_nothing_to_say_is_named(app: App) -> None:
    run = book.recognise(application(app, scene(app, traced(warm(Shot)))), thresholds())
    assert (run.findings, run.failures) == ([], [])
    assert run.silent == tuple(e.id for e in entries())


def test_only_some_rules(app: App) -> None:
    lazy = scene(app, traced(warm(lambda: test_db101.lazy(app))))
    assert book.recognise(application(app, lazy), thresholds(), only={"RT302"}).findings == []
    with pytest.raises(UsageError, match="XX999"):
        book.recognise(application(app, lazy), thresholds(), only={"XX999"})


def test_every_rule_has_one_verb_its_id_and_its_thresholds() -> None:
    shipped = yaml.safe_load((Path(__file__).parents[2] / "config/rules.yaml").read_text())
    assert set(shipped) == {e.id for e in entries()}
    for rule in book.rules():
        assert (rule.of_scene is None) != (rule.of_application is None), rule.id
    for values in shipped.values():
        assert all(isinstance(v, (int, float)) for v in values.values())
