"""HT404 sent again: cases that must be found, and look-alikes that must not."""

from __future__ import annotations

from typing import Any

import pytest

from perfcrew.core.evidence import Payload, Revisit
from perfcrew.core.findings import Finding
from perfcrew.core.http_caching import allows
from perfcrew.core.scene import Scene, Seen
from perfcrew.rules import book
from perfcrew.rules.revisits import framework

from .build import App, Found, Silent, application, check_found, run, scene, thresholds

SOURCE = """
async def feed(session):
    rows = await latest(session)
    return rows  # answer

async def choose(session):  # choose
    if session:
        return 1
    return 2
"""
KB = 1000
OLD = 86_400.0 * 30
IGNORED = {"conditional_status": 200, "turns_count": 1}
HONOURED = {"conditional_status": 304, "conditional_bytes": 0, "turns_count": 3, "conditional_ms": 2.0}
BUILT = {**HONOURED, "etag": "strong", "full_ms": 400.0, "conditional_ms": 380.0}


def answer(
    app: App,
    sent: int = 60 * KB,
    *,
    says: dict[str, str] | None = None,
    kind: str = "application/json",
    encoding: str = "gzip",
    streamed: bool = False,
    handler: bool = True,
    function: str = "feed",
    key: str = "GET /feeds/reviews",
    **again: Any,
) -> Scene:
    """An answer that was the same each time it was asked; `says`: headers by which it is kept."""
    app.write("feeds.py", SOURCE)
    if again.get("conditional_status") == 200:
        again = {"conditional_bytes": sent, "conditional_ms": 30.0, **again}
    revisit = Revisit(**{"same": True, "answers_count": 2, "full_ms": 30.0, "allows": allows(says or {}), **again})
    body = Payload(
        content_type=kind,
        content_encoding=encoding,
        sent_bytes=sent,
        decoded_bytes=sent * 4,
        gzip_bytes=sent,
        streamed=streamed,
        revisit=revisit,
    )
    place = app.place("feeds.py", f"def {function}", function) if handler else None
    return scene(app, payload=Seen("payload-1", body), handler=place, key=key)


def found(build: Any, level: Any, subject: str, needle: str = "# answer") -> Found:
    return Found(build, "feeds.py", needle, level, subject=subject)


FOUND = {
    "an ETag that is not honoured": found(
        lambda app: answer(app, etag="strong", **IGNORED), "low", "not honoured"
    ),
    "a large answer with one": found(
        lambda app: answer(app, 150 * KB, etag="strong", **IGNORED), "medium", "not honoured"
    ),
    "a weak one": found(lambda app: answer(app, etag="weak", **IGNORED), "low", "not honoured"),
    "one without quotes": found(lambda app: answer(app, etag="malformed", **IGNORED), "low", "not honoured"),
    "a Last-Modified that is not honoured": found(
        lambda app: answer(app, last_modified_age_s=OLD, **IGNORED), "low", "not honoured"
    ),
    "an ETag that is not honoured beside a clock": found(
        lambda app: answer(app, etag="strong", last_modified_age_s=0.0, moved=("last-modified",), **IGNORED),
        "low", "not honoured",
    ),
    "somebody's own": found(
        lambda app: answer(app, etag="strong", with_credentials=True, says={"cache-control": "private"}, **IGNORED),
        "low", "not honoured",
    ),
    "to be asked each time": found(
        lambda app: answer(app, etag="strong", says={"cache-control": "no-cache"}, **IGNORED), "low", "not honoured"
    ),
    "kept for a minute only": found(
        lambda app: answer(app, etag="strong", says={"cache-control": "max-age=60"}, **IGNORED), "low", "not honoured"
    ),
    "an image with one": found(
        lambda app: answer(app, kind="image/png", etag="strong", **IGNORED), "low", "not honoured"
    ),
    "an ETag that moves": found(
        lambda app: answer(app, etag="strong", moved=("etag",), **IGNORED), "low", "moves"
    ),
    "a large answer whose ETag moves": found(
        lambda app: answer(app, 400 * KB, etag="weak", moved=("etag", "last-modified"), **IGNORED), "medium", "moves"
    ),
    "a large answer without a validator": found(lambda app: answer(app, 150 * KB), "low", ""),
    "a large one for no time": found(
        lambda app: answer(app, 150 * KB, says={"cache-control": "max-age=0"}), "low", ""
    ),
    "a large one of somebody's own": found(lambda app: answer(app, 150 * KB, with_credentials=True), "low", ""),
    "a large image": found(lambda app: answer(app, 150 * KB, kind="image/webp", encoding=""), "low", ""),
    "several returns: the handler": found(
        lambda app: answer(app, 150 * KB, function="choose"), "low", "", "# choose"
    ),
    "a 304 that takes as long": found(lambda app: answer(app, **BUILT), "info", "thrown away"),
    "a 304 that takes longer": found(
        lambda app: answer(app, **{**BUILT, "conditional_ms": 420.0}), "info", "thrown away"
    ),
    "a small answer that is slow to build": found(lambda app: answer(app, 900, **BUILT), "info", "thrown away"),
}  # fmt: skip

NEVER = {"cache-control": "no-store"}
LONG = {"cache-control": "public, max-age=31536000, immutable"}
SILENT: dict[str, Silent] = {
    # Validators that are honoured, as they come.
    "a strong ETag that is honoured": lambda app: answer(app, 400 * KB, etag="strong", **HONOURED),
    "a weak ETag that is honoured": lambda app: answer(app, 400 * KB, etag="weak", **HONOURED),
    "a Last-Modified that is honoured": lambda app: answer(app, 400 * KB, last_modified_age_s=OLD, **HONOURED),
    "a Last-Modified of a moment ago that is honoured": lambda app: answer(app, last_modified_age_s=1.0, **HONOURED),
    "an ETag that moves and is honoured all the same": lambda app: answer(
        app, etag="weak", moved=("etag",), **HONOURED
    ),
    # What can't be told by the second.
    "a Last-Modified of this second": lambda app: answer(app, last_modified_age_s=0.0, **IGNORED),
    "a Last-Modified of the last second": lambda app: answer(app, last_modified_age_s=1.0, **IGNORED),
    "a Last-Modified that is a clock": lambda app: answer(
        app, last_modified_age_s=0.0, moved=("last-modified",), **IGNORED
    ),
    "a Last-Modified that moves": lambda app: answer(app, last_modified_age_s=9.0, moved=("last-modified",), **IGNORED),
    "a Last-Modified from the future": lambda app: answer(app, last_modified_age_s=-60.0, **IGNORED),
    # What may not be kept, or is its author's word that it need not be asked for.
    "not to be kept": lambda app: answer(app, 400 * KB, says=NEVER),
    "not to be kept, with an ETag": lambda app: answer(app, etag="strong", says=NEVER, **IGNORED),
    "sets a cookie": lambda app: answer(app, 400 * KB, sets_cookies=True),
    "sets a cookie, with an ETag": lambda app: answer(app, etag="strong", sets_cookies=True, **IGNORED),
    "varies by everything": lambda app: answer(app, 400 * KB, says={"vary": "*"}),
    "varies by everything, with an ETag": lambda app: answer(app, etag="strong", says={"vary": "*"}, **IGNORED),
    "kept for a year": lambda app: answer(app, 400 * KB, says=LONG),
    "kept for a year, with an ETag": lambda app: answer(app, etag="strong", says=LONG, **IGNORED),
    "kept for a minute": lambda app: answer(app, 400 * KB, says={"cache-control": "private, max-age=60"}),
    # Where nothing is to be spared.
    "a small answer with an ETag": lambda app: answer(app, 9 * KB, etag="strong", **IGNORED),
    "a small answer whose ETag moves": lambda app: answer(app, 9 * KB, etag="strong", moved=("etag",), **IGNORED),
    "a small answer without a validator": lambda app: answer(app, 9 * KB),
    "one in the middle without a validator": lambda app: answer(app, 60 * KB),
    "a time inside": lambda app: answer(app, 400 * KB, same=False),
    "a time inside, with an ETag": lambda app: answer(app, same=False, etag="strong", moved=("etag",)),
    "a stream": lambda app: answer(app, 4000 * KB, streamed=True, kind="text/csv"),
    "events": lambda app: answer(app, 4000 * KB, kind="text/event-stream"),
    "a download": lambda app: answer(app, 4000 * KB, kind="application/zip", etag="strong", **IGNORED),
    "a PDF": lambda app: answer(app, 900 * KB, kind="application/pdf"),
    "a video": lambda app: answer(app, 9000 * KB, kind="video/mp4", etag="strong", **IGNORED),
    "an error to the one that asks": lambda app: answer(app, etag="strong", conditional_status=500, turns_count=1),
    "refused to the one that asks": lambda app: answer(app, etag="strong", conditional_status=412, turns_count=1),
    # A 304 is worth what it takes.
    "a 304 that comes at once": lambda app: answer(app, **{**BUILT, "conditional_ms": 20.0}),
    "a 304 for half of the time": lambda app: answer(app, **{**BUILT, "conditional_ms": 200.0}),
    "a 304 of a quick endpoint": lambda app: answer(app, **{**BUILT, "full_ms": 20.0, "conditional_ms": 20.0}),
    "a 304 that was timed once": lambda app: answer(app, **{**BUILT, "turns_count": 1}),
    "a slow 304 of what is kept for a year": lambda app: answer(app, says=LONG, **BUILT),
    # Nothing is known.
    "nobody knows where it is made": lambda app: answer(app, etag="strong", handler=False, **IGNORED),
    "not measured": lambda app: scene(app),
}


@pytest.mark.parametrize("case", FOUND.values(), ids=FOUND)
def test_found(app: App, case: Found) -> None:
    seen = check_found("HT404", app, case)
    assert seen.subject == (case.subject or "")


@pytest.mark.parametrize("build", SILENT.values(), ids=SILENT)
def test_silent(app: App, build: Silent) -> None:
    assert run("HT404", app, build(app)) == []


def test_a_payload_that_was_not_asked_again(app: App) -> None:
    one = answer(app, 400 * KB)
    assert one.payload is not None
    body = one.payload.body.model_copy(update={"revisit": None})
    assert run("HT404", app, scene(app, payload=Seen("payload-1", body), handler=one.endpoint.handler)) == []


def test_what_nobody_counted_is_not_claimed(app: App) -> None:
    """How many visits are further ones is not known: of two, the second is needless."""
    for case in ("an ETag that is not honoured", "a large answer without a validator"):
        (seen,) = run("HT404", app, FOUND[case].build(app))
        assert seen.share is not None and (seen.share.fraction, seen.share.of) == (0.5, "bytes")


def only(app: App, build: Silent) -> Finding:
    (seen,) = run("HT404", app, build(app))
    return seen


def test_what_is_somebodys_own_is_said_to_be_private(app: App) -> None:
    for told in ({"with_credentials": True}, {"says": {"cache-control": "private"}}, {"says": {"vary": "Cookie"}}):
        seen = only(app, lambda app, told=told: answer(app, 150 * KB, **told))  # type: ignore[misc]
        assert "`private`" in seen.prose.text
        assert "private, max-age" in seen.hypotheses[0].alternatives[0]
        assert "`Cache-Control: private`" in seen.hypotheses[0].trade_offs
    plain = only(app, lambda app: answer(app, 150 * KB, says={"vary": "Accept-Encoding"}))
    assert "private" not in plain.prose.text + plain.hypotheses[0].alternatives[0] + plain.hypotheses[0].trade_offs


def test_a_tag_without_quotes_is_told(app: App) -> None:
    assert "quotes" in only(app, lambda app: answer(app, etag="malformed", **IGNORED)).prose.text
    assert "quotes" not in only(app, lambda app: answer(app, etag="strong", **IGNORED)).prose.text


def test_the_share_of_a_304_is_cited(app: App) -> None:
    seen = only(app, lambda app: answer(app, **BUILT))
    assert "95 %" in seen.prose.text
    refs = {ref.field for figure in seen.prose.figures for ref in figure.refs}
    assert refs == {"revisit.conditional_ms", "revisit.full_ms"}
    assert (seen.hypotheses[0].metric, seen.hypotheses[0].improvement) == ("conditional.latency", None)


@pytest.mark.parametrize(
    ("head", "source", "name"),
    [
        ("from fastapi import APIRouter\n", "openapi", "starlette"),
        ("import starlette.responses\n", "scenario", "starlette"),
        ("from django.http import JsonResponse\n", "scenario", "django"),
        ("def f():\n    from flask import jsonify\n", "har", "flask"),
        ("import flasks\nfrom djangoish import x\n", "openapi", ""),
        ("", "flask", "flask"),
        ("from fastapi import APIRouter\n", "django", "django"),
    ],
)
def test_the_recipe_is_the_frameworks_own(app: App, head: str, source: str, name: str) -> None:
    one = answer(app, 150 * KB)
    app.write("feeds.py", head + SOURCE)
    endpoint = one.endpoint.model_copy(update={"source": source})
    changed = Scene(root=one.root, endpoint=endpoint, plan=one.plan, payload=one.payload)
    assert framework(changed) == name
    (seen,) = run("HT404", app, changed)
    of_django, of_flask = "ConditionalGetMiddleware", "make_conditional"
    named = [word for word in (of_django, of_flask, "class Conditional") if word in seen.hypotheses[0].recipe]
    one_of = {"django": [of_django], "flask": [of_flask], "starlette": ["class Conditional"]}
    assert named == one_of.get(name, [of_django, of_flask, "class Conditional"])


def both(app: App, one: Scene) -> list[Finding]:
    return book.recognise(application(app, one), thresholds(), {"HT403", "HT404"}).findings


def test_a_large_answer_is_one_finding(app: App) -> None:
    """That nobody can ask whether it changed is a hypothesis of HT403."""
    (seen,) = both(app, answer(app, 400 * KB))
    assert (seen.rule, [h.id for h in seen.hypotheses]) == ("HT403", ["HT403-less", "HT403-conditional"])


def test_a_large_answer_with_a_validator_of_its_own_has_no_such_hypothesis(app: App) -> None:
    (seen,) = both(app, answer(app, 400 * KB, etag="strong", **HONOURED))
    assert (seen.rule, [h.id for h in seen.hypotheses]) == ("HT403", ["HT403-less"])


def test_a_validator_that_is_not_honoured_is_another_fault_than_size(app: App) -> None:
    seen = both(app, answer(app, 400 * KB, etag="strong", **IGNORED))
    assert {(f.rule, f.subject) for f in seen} == {("HT403", ""), ("HT404", "not honoured")}


def test_a_compressed_answer_below_the_bound_is_found_by_this_rule_alone(app: App) -> None:
    assert [f.rule for f in both(app, answer(app, 150 * KB))] == ["HT404"]
