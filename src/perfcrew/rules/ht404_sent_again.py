"""HT404: an answer that is sent again in full to who has it already.

What it costs: each further visit pays for the whole answer: its bytes, and the wait for them, most of all on a phone.
Seen as: one GET, asked again, gave the same bytes, and one of these. Not honoured: it carries an `ETag` or
`Last-Modified`, but asked with it (`If-None-Match`, `If-Modified-Since`) it sent `least_bytes` or more again instead of
a `304`. Moving: its `ETag` differs from answer to answer though the bytes do not. Nothing to ask by: an answer of
`large_bytes` or more as sent has neither a validator nor a time for which it may be kept. Thrown away (a note, level
info): its `304` takes `built_share` or more of the time of the full answer, which takes `slow_ms` or more.
Not this: `no-store`, answers that set cookies or vary by more than the request (`Vary: *`), answers that differ each
time, errors and redirects, other methods, streams and downloads, small answers, what browsers may keep for `fresh_s`
without asking, a `Last-Modified` of the very second of the answer. Where HT403 finds the answer too large, that nobody
can ask whether it changed is a hypothesis of that finding.
Instead: Django's `ConditionalGetMiddleware`, Werkzeug's `add_etag` and `make_conditional`, a small middleware for ASGI;
`Cache-Control` with a `max-age` where it may be old for a while, with `private` where it is somebody's own.
Confidence: 0.9 for what is not honoured or moves; 0.5 without a validator, since it may change more often than it is
visited, and for what is thrown away, since the times of a few requests tell it.
Limits: sees the application itself; a proxy or content network in front may answer for it. The largest answer of an
endpoint is asked again at once, so that one which changes by the minute looks the same.
"""

from __future__ import annotations

from typing import Literal

from perfcrew.core.evidence import Payload, Revisit
from perfcrew.core.findings import Finding, Hypothesis, Level, Share
from perfcrew.core.prose import Cited, Prose
from perfcrew.core.scene import Scene, Seen
from perfcrew.core.web import Place
from perfcrew.rules.costs import scores, share_cited
from perfcrew.rules.limits import Limits
from perfcrew.rules.places import Site, answering
from perfcrew.rules.recipes import python
from perfcrew.rules.revisits import METRIC, conditional, is_paid_each_time, is_personal, kept
from perfcrew.rules.write import Case, code, finding, sentences

ID = "HT404"
Fault = Literal["not honoured", "moves", "thrown away", ""]
"""The last is that there is nothing to ask by. Each tells a finding's subject."""
_OLD_S = 2.0
"""`Last-Modified` tells seconds: what is younger may be the clock's, or change once more within its second."""
_TURNS = 3
_SECOND = 0.5
"""How often who has the answer comes back, no instrument here can see; so one visit is held against one more."""
_TITLES: dict[Fault, str] = {
    "not honoured": "A validator that is sent and not honoured",
    "moves": "An `ETag` that moves though the answer does not",
    "thrown away": "An answer that is built and then thrown away",
    "": "A large answer that is sent again on each visit",
}


def recognise(scene: Scene, limits: Limits) -> list[Finding]:
    """At most one finding an endpoint."""
    payload, handler = scene.payload, answering(scene.root, scene.endpoint.handler)
    again = kept(payload.body) if payload else None
    if payload is None or handler is None or again is None:
        return []
    fault = _fault(payload.body, again, limits)
    return [] if fault is None else [_finding(scene, payload, again, handler, fault, limits)]


def _fault(body: Payload, again: Revisit, limits: Limits) -> Fault | None:
    if is_paid_each_time(again):
        return "" if body.sent_bytes >= limits.large_bytes else None
    if again.allows.fresh_s >= limits.fresh_s or again.conditional_status is None:
        return None
    if again.conditional_status == 304:
        return "thrown away" if _is_thrown_away(again, limits) else None
    if again.conditional_status != 200 or body.sent_bytes < limits.least_bytes:
        return None
    if "etag" in again.moved:
        return "moves"
    return "not honoured" if again.etag or _stands(again) else None


def _is_thrown_away(again: Revisit, limits: Limits) -> bool:
    full, spared = again.full_ms or 0.0, again.conditional_ms or 0.0
    return again.turns_count >= _TURNS and full >= limits.slow_ms and spared >= full * limits.built_share


def _stands(again: Revisit) -> bool:
    return (again.last_modified_age_s or 0.0) >= _OLD_S and "last-modified" not in again.moved


def _finding(
    scene: Scene, payload: Seen[Payload], again: Revisit, handler: Place, fault: Fault, limits: Limits
) -> Finding:
    confidence = 0.9 if fault in ("not honoured", "moves") else 0.5
    title = f"{_TITLES[fault]}, from {code(handler.function or handler.file)}"
    level = _level(payload.body, fault, limits)
    case = Case(title, level, Site(handler, None), _share(again, fault), confidence, fault)
    hypotheses = {"moves": _steady, "thrown away": _early}
    hypothesis = hypotheses[fault]() if fault in hypotheses else conditional(ID, scene, again, confidence)
    return finding(ID, scene.endpoint.key, case, _prose(scene, payload, again, fault), [payload.evidence], [hypothesis])


def _level(body: Payload, fault: Fault, limits: Limits) -> Level:
    if fault == "thrown away":
        return "info"
    return "medium" if fault and body.sent_bytes >= limits.large_bytes else "low"


def _share(again: Revisit, fault: Fault) -> Share:
    if fault != "thrown away":
        return Share(fraction=_SECOND, of="bytes", basis="of a first visit and one more, what the second is sent again")
    part = min((again.conditional_ms or 0.0) / (again.full_ms or 1.0), 1.0)
    return Share(fraction=round(part, 4), of="latency", basis="time of the `304` over the time of the full answer")


def _prose(scene: Scene, payload: Seen[Payload], again: Revisit, fault: Fault) -> Prose:
    values: dict[str, Cited | str | None] = {
        "endpoint": code(scene.endpoint.key),
        "sent": payload.cite("sent_bytes"),
        "answers": payload.cite("revisit.answers_count"),
        "validator": "an `ETag`" if again.etag else "a `Last-Modified`",
        "resent": payload.cite("revisit.conditional_bytes") if again.conditional_bytes is not None else None,
        "full": payload.cite("revisit.full_ms") if again.full_ms is not None else None,
        "spared": payload.cite("revisit.conditional_ms") if again.conditional_ms is not None else None,
        "share": share_cited(payload, "revisit.conditional_ms", "revisit.full_ms") if again.conditional_ms else None,
        "personal": "" if is_personal(again) else None,
        "unquoted": "" if again.etag == "malformed" and fault == "not honoured" else None,
    }
    return sentences(
        values,
        _SAID[fault],
        "{unquoted}The `ETag` stands without the quotes that HTTP demands, so that frameworks never match it.",
        "{personal}It depends on who asks, so only a browser may keep it (`private`), no cache between.",
    )


_SAID: dict[Fault, str] = {
    "not honoured": "{endpoint} carries {validator}, but asked with it by a client that has the answer already it sent "
    "{resent} again, instead of a `304` without a body; {answers} full answers were the same byte for byte.",
    "moves": "{answers} full answers of {endpoint} were the same byte for byte, but their `ETag` was not, so that a "
    "client that asks with the one it has is sent all {sent} again.",
    "thrown away": "{endpoint} answers `304` to a client that has the answer already, but in {spared}, {share} of the "
    "{full} that the full answer takes: it seems to be built and then thrown away.",
    "": "{endpoint} sent the same {sent} each of the {answers} times that it was asked, and gives a client nothing to "
    "ask by: neither an `ETag` nor a `Last-Modified`, nor a time for which the answer may be kept.",
}


def _steady() -> Hypothesis:
    return Hypothesis(
        id=f"{ID}-steady",
        change="an `ETag` that is made of the answer, or of the version of what it shows, and of nothing else",
        metric=METRIC,
        improvement=1.0,
        because="the answer stayed the same byte for byte, and a `304` has no body",
        kind="code",
        recipe="What makes it move: a time or a random part in it, Python's `hash()` of a text (another one in each "
        "process), an object's `repr`, compression with a random part below the middleware that makes the tag "
        "(Django: `GZipMiddleware` belongs above `ConditionalGetMiddleware`), several workers that count by "
        "themselves. Instead:\n\n"
        + python('response.headers["ETag"] = f\'W/"{hashlib.blake2b(response.body, digest_size=16).hexdigest()}"\''),
        scores=scores(0.5, 0.9, effort=4, risk=4, reversibility=5),
        alternatives=("no validator at all: one that is never met costs more than none",),
        trade_offs="Two answers that differ must not share a tag: all that the answer depends on goes into it.",
        rollback="Revert the commit.",
    )


def _early() -> Hypothesis:
    return Hypothesis(
        id=f"{ID}-early",
        change="deciding on the `304` before the answer is built, by a version that is cheap to read",
        metric="conditional.latency",
        improvement=None,
        because="the `304` took about as long as the full answer, so the answer is built for it too; how cheap its "
        "version is to read, no rule can see",
        kind="code",
        recipe="Django:\n\n"
        + python(
            """
def version(request):      # one cheap statement; with who asks in it, where the answer depends on that
    shown = Book.objects.aggregate(last=Max("updated_at"), count=Count("*"))
    return f"{shown['last']}-{shown['count']}"

@condition(etag_func=version)
def books(request): ...
"""
        )
        + "\n\nFastAPI and Starlette:\n\n"
        + python(
            """
tag = f'W/"{await version(session)}"'
if tag in request.headers.get("if-none-match", ""):
    return Response(status_code=304, headers={"ETag": tag})
"""
        )
        + "\n\nFlask:\n\n"
        + python(
            """
tag = version()
if request.if_none_match.contains_weak(tag):
    return "", 304, {"ETag": quote_etag(tag, weak=True)}      # werkzeug.http
"""
        ),
        scores=scores(0.4, 0.5, effort=3, risk=3, reversibility=4),
        alternatives=("keeping the built answer on the server, with the same version as its key",),
        trade_offs="What the version leaves out is not seen to change: a client then keeps what is old.",
        rollback="Revert the commit.",
    )
