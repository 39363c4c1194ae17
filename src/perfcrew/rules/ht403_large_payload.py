"""HT403: a large answer, or one that is sent uncompressed.

What it costs: bytes on the wire, time to build, to send and to parse them, most of all on a phone.
Seen as: an answer of at least `large_bytes` as sent; or one of at least `compressible_bytes` of text that was sent
without an encoding though the client offered gzip, and that gzip makes smaller by `gzip_gain` or more.
Not this: streams by design, downloads and media (images, video, archives, PDF), answers that are encoded already,
small answers: below a network packet or two, compressing costs more than it saves.
Instead: `GZipMiddleware` or compression at the proxy; fewer items, fewer fields; where it stayed the same when it was
asked again, a validator, so that who has it is not sent it again (HT404).
Confidence: 0.9; 0.6 for compression alone, since a proxy in front may do it.
Limits: sees the application itself, not what stands in front of it.
"""

from __future__ import annotations

from perfcrew.core.evidence import Payload
from perfcrew.core.findings import Finding, Hypothesis, Level, Share
from perfcrew.core.prose import Cited, Prose, cite
from perfcrew.core.scene import Scene, Seen
from perfcrew.core.web import Place
from perfcrew.rules.costs import by_design, fraction, scores
from perfcrew.rules.limits import Limits
from perfcrew.rules.places import Site, answering
from perfcrew.rules.recipes import python
from perfcrew.rules.revisits import conditional, is_paid_each_time, kept
from perfcrew.rules.write import Case, code, finding, sentences

ID = "HT403"
_TEXT = ("json", "text/", "xml", "javascript", "svg", "csv")


def recognise(scene: Scene, limits: Limits) -> list[Finding]:
    """At most one finding an endpoint."""
    payload, handler = scene.payload, answering(scene.root, scene.endpoint.handler)
    if payload is None or handler is None or by_design(payload.body):
        return []
    large = payload.body.sent_bytes >= limits.large_bytes
    plain = _would_shrink(payload.body, limits)
    return [_finding(scene, payload, handler, large, plain, limits)] if large or plain else []


def _would_shrink(payload: Payload, limits: Limits) -> bool:
    textual = any(kind in payload.content_type.lower() for kind in _TEXT)
    plain = payload.content_encoding.lower() in ("", "identity")
    enough = payload.sent_bytes >= limits.compressible_bytes
    return textual and plain and enough and payload.gzip_bytes <= payload.sent_bytes * (1 - limits.gzip_gain)


def _finding(scene: Scene, payload: Seen[Payload], handler: Place, large: bool, plain: bool, limits: Limits) -> Finding:
    body = payload.body
    part = (
        fraction(body.sent_bytes - body.gzip_bytes, body.sent_bytes)
        if plain
        else fraction(body.sent_bytes - limits.large_bytes, body.sent_bytes)
    )
    basis = "bytes that gzip would spare over the bytes sent" if plain else "bytes beyond the bound over the bytes sent"
    confidence = 0.9 if large else 0.6
    title = (
        f"A large answer{', sent uncompressed,' if plain else ''} from {code(handler.function or handler.file)}"
        if large
        else (f"An answer sent uncompressed from {code(handler.function or handler.file)}")
    )
    share = Share(fraction=round(part, 4), of="bytes", basis=basis)
    case = Case(title, _level(body, large, limits), Site(handler, None), share, confidence, "")
    again = kept(body)
    hypotheses = ([_compress(part, confidence)] if plain else []) + ([_smaller(confidence)] if large else [])
    hypotheses += [conditional(ID, scene, again, 0.5)] if again and is_paid_each_time(again) else []
    return finding(ID, scene.endpoint.key, case, _prose(scene, payload, plain), [payload.evidence], hypotheses)


def _level(payload: Payload, large: bool, limits: Limits) -> Level:
    if payload.sent_bytes >= limits.huge_bytes:
        return "high"
    return "medium" if large else "low"


def _prose(scene: Scene, payload: Seen[Payload], plain: bool) -> Prose:
    body = payload.body
    sent, zipped = payload.ref("sent_bytes"), payload.ref("gzip_bytes")
    values: dict[str, Cited | str | None] = {
        "endpoint": code(scene.endpoint.key),
        "type": code(body.content_type or "no content type"),
        "sent": payload.cite("sent_bytes"),
        "items": payload.cite("items_count") if body.items_count is not None else None,
        "zipped": payload.cite("gzip_bytes") if plain else None,
        "part": cite(body.gzip_bytes / body.sent_bytes, "fraction", zipped, sent, derivation="share")
        if plain
        else None,
    }
    return sentences(
        values,
        "{endpoint} answers with {sent} of {type}.",
        "It holds {items} items.",
        "It was sent without compression though gzip was offered: compressed it would be {zipped}, which is {part}.",
    )


def _compress(part: float, confidence: float) -> Hypothesis:
    recipe = (
        "FastAPI and Starlette:\n\n"
        + python("app.add_middleware(GZipMiddleware, minimum_size=1000)")
        + '\n\nDjango: `"django.middleware.gzip.GZipMiddleware"` first in `MIDDLEWARE`. '
        "Flask: `Compress(app)` of flask-compress. "
        "Or at the proxy, which costs the application nothing."
    )
    return Hypothesis(
        id=f"{ID}-gzip",
        change="compressing answers that the client accepts compressed",
        metric="response.bytes",
        improvement=round(part, 3),
        because="the answer was compressed while it was measured, and the share is what that spared",
        kind="configuration",
        recipe=recipe,
        scores=scores(part, confidence, effort=5, risk=4, reversibility=5),
        alternatives=("compression at the proxy or the content network",),
        trade_offs="Processor time for each answer. Pages that mix secrets with what an attacker sends must not be "
        "compressed (BREACH).",
        rollback="Take the middleware out.",
    )


def _smaller(confidence: float) -> Hypothesis:
    return Hypothesis(
        id=f"{ID}-less",
        change="answering with fewer items or fewer fields",
        metric="response.bytes",
        improvement=None,
        because="what is not sent need not be loaded, serialized, compressed or parsed; how much may go is for its "
        "readers to say",
        kind="code",
        recipe="A smaller default page, a schema with the fields of the list view, "
        "`response_model_exclude_unset=True`.",
        scores=scores(0.5, confidence, effort=3, risk=2, reversibility=4),
        trade_offs="Clients that read the fields left out must ask for them.",
        rollback="Revert the commit.",
    )
