"""CA207: values in the cache that are larger than a cache is good for.

What it costs: time to send, to copy and to parse them, at every hit; and on the server, which does one thing at a
time, the others wait meanwhile.
Seen as: a value of at least `large_bytes`, read or written from one line.
Not this: several values of one round trip that are large only together, files that are kept on purpose (images, PDF,
archives: by the key's ending), values below the bound.
Instead: keep what the answer shows, not the object; compress text; keep the parts under keys of their own.
Confidence: 0.9 for values that are read, 0.75 for those that are only written.
Limits: bytes are those that the application gave or got: a client that compresses shows what the server holds.
"""

from __future__ import annotations

import re

from perfcrew.core.findings import Finding, Hypothesis, Level
from perfcrew.core.scene import Scene
from perfcrew.rules.caching import Cached, cached, hypothesis, where
from perfcrew.rules.costs import fraction, latency_ms, latency_share, level, scores
from perfcrew.rules.limits import Limits
from perfcrew.rules.recipes import python
from perfcrew.rules.write import Case, finding, sentences

ID = "CA207"
_FILES = re.compile(
    r"\b(image|thumb|thumbnail|photo|picture|avatar|video|audio|pdf|zip|file|upload)s?\b"
    r"|\.(png|jpe?g|gif|webp|pdf|zip|mp4)\b",
    re.IGNORECASE,
)
_RECIPE = """
value = zlib.compress(dump(shown).encode(), level=1)      # the fields that the answer shows, not the whole object
await redis.set(key, value, ex=60)
"""


def recognise(scene: Scene, limits: Limits) -> list[Finding]:
    """One finding a pattern: where it is read, else where it is written."""
    large = [one for one in cached(scene) if one.group.largest_bytes >= limits.large_bytes and one.site]
    kept = [one for one in large if not _FILES.search(one.pattern)]
    read = {one.pattern for one in kept if one.group.reads_count}
    return [_finding(one, limits) for one in kept if one.group.reads_count or one.pattern not in read]


def _finding(one: Cached, limits: Limits) -> Finding:
    part = fraction(one.group.total_ms, one.traced.seen.body.counts.request_ms)
    at: Level = level(part, part * latency_ms(one.scene), limits)
    if one.group.largest_bytes >= limits.huge_bytes and at == "low":
        at = "medium"
    assert one.site is not None
    case = Case(
        f"A large value in the cache, in {where(one)}",
        at,
        one.site,
        latency_share(part, 1.0, "time of these round trips over the traced request"),
        0.9 if one.group.reads_count else 0.75,
        one.pattern,
    )
    prose = sentences(
        one.values(),
        "{line} moves values of keys like {pattern}, the largest of {largest}.",
        "In a request to {endpoint} its round trips take {own} of {request}, without the parsing.",
    )
    return finding(ID, one.scene.endpoint.key, case, prose, [one.traced.seen.evidence], [_change(one, part)])


def _change(one: Cached, part: float) -> Hypothesis:
    return hypothesis(
        ID,
        "smaller",
        f"smaller values under keys like `{one.pattern}`",
        "text shrinks to a fraction of its size, and fields that no answer shows need not be kept",
        python("import zlib\n" + _RECIPE),
        scores(part, 0.8, effort=4, risk=3, reversibility=5),
        improvement=part * 0.5,
        trade_offs="Compressing takes processor time at each read and write; old values must be told from new ones, by "
        "the key's version.",
        alternatives=("a hash with a field for each part, so that a reader takes what it needs",),
    )
