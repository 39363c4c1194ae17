"""CA208: a key that says neither whose it is nor which shape its value has.

What it costs: after a deploy that changes the fields, the new code reads what the old one wrote: errors or wrong
answers until the last key has ended; and without a namespace two caches write over each other.
Seen as: a write of a serialized object (json, pickle, msgpack, a model's dump in the function that writes, or the one
that calls it) under a key with no version in it; or any write under a key that begins with the id itself.
Not this: a version anywhere in the key (`v2:`, `:v3:`), keys of frameworks that put one there (Django's `:1:`), plain
texts and numbers, counters, locks and flags.
Instead: `f"{NAMESPACE}:v{SCHEMA}:{id}"`, with the number raised when the fields change.
Confidence: 0.8 without a namespace; 0.6 without a version, since a prefix may be put on by the client's configuration.
Limits: a serialization that happens elsewhere is not seen. What it costs is a risk, not time.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from perfcrew.core.findings import Finding, Hypothesis
from perfcrew.core.scene import Scene
from perfcrew.core.trace import Frame
from perfcrew.rules import source
from perfcrew.rules.caching import Cached, cached, hypothesis, where
from perfcrew.rules.costs import latency_share, scores
from perfcrew.rules.limits import Limits
from perfcrew.rules.places import own
from perfcrew.rules.recipes import python
from perfcrew.rules.write import Case, finding, sentences

ID = "CA208"
_VERSION = re.compile(r"(^|[^a-z])(v|ver|version|schema|rev)[-_.]?(\d|\{n\})|^[^:]*:\{n\}:(?!$)", re.IGNORECASE)
_NAMELESS = re.compile(r"\{(n|hash|uuid|email|date|ip|)\}")
_DUMPS = frozenset(["dumps", "packb", "model_dump_json", "dump_json", "to_json", "SerializeToString"])
_NUMBERS = frozenset(["INCR", "INCRBY", "DECR", "SETNX"])
_REACH = 2
"""Functions up the stack in which the serialization may stand."""


def recognise(scene: Scene, limits: Limits) -> list[Finding]:
    """One finding a pattern and line that writes it."""
    found = []
    for one in cached(scene):
        if one.site is None or not one.group.writes_count or one.group.largest_bytes < limits.min_bytes:
            continue
        if _NUMBERS.intersection(one.group.commands) or _VERSION.search(one.pattern):
            continue
        nameless = bool(_NAMELESS.match(one.pattern))
        if nameless or _serialized(scene, one):
            found.append(_finding(one, nameless))
    return found


def _serialized(scene: Scene, one: Cached) -> bool:
    written = next(a for a in one.use.accesses if a.operation.size_bytes)
    frames = own(scene.root, written.span.stack)[:_REACH]
    return any(_DUMPS.intersection(_called(frame)) for frame in frames)


def _called(frame: Frame) -> Iterator[str]:
    """The names of methods and functions that the frame's function calls."""
    code = source.read(frame.file)
    function = code.function_at(frame.line) if code else None
    for node in ast.walk(function) if function else ():
        if isinstance(node, ast.Call):
            yield getattr(node.func, "attr", getattr(node.func, "id", ""))


def _finding(one: Cached, nameless: bool) -> Finding:
    assert one.site is not None
    lacks = "a namespace" if nameless else "a version"
    case = Case(
        f"A key without {lacks}, in {where(one)}",
        "low",
        one.site,
        latency_share(
            one.group.total_ms,
            one.traced.seen.body.counts.request_ms,
            "time of these round trips over the traced request; the risk at the next deploy is no time",
        ),
        0.8 if nameless else 0.6,
        one.pattern,
    )
    prose = sentences(
        {**one.values(), "lacks": lacks},
        "{line} keeps values of up to {largest} under keys like {pattern}, which carry no word of "
        + ("whose they are." if nameless else "the shape that the value was serialized with."),
        "The {requests} requests to {endpoint} wrote {writes} of them.",
    )
    return finding(ID, one.scene.endpoint.key, case, prose, [one.traced.seen.evidence], [_change(one)])


def _change(one: Cached) -> Hypothesis:
    return hypothesis(
        ID,
        "version",
        f"a namespace and the shape's version in keys like `{one.pattern}`",
        "code of another version then looks under another key and finds nothing, instead of what it can't read",
        python('BOOK = "shop:book:v1"     # raise it when the fields change\n\nkey = f"{BOOK}:{book_id}"'),
        scores(0.1, 0.8, effort=5, risk=5, reversibility=5),
        trade_offs="The cache is empty after a deploy that raises it; the old keys end with their time to live.",
        alternatives=("a prefix in the client's configuration, where the framework has one",),
    )
