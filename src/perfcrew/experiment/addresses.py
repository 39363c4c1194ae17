"""Two running servers that are not ours to restart, by their addresses.

What may differ in their answers can't be learned from a second instance: both are asked twice, and what each answers
otherwise than itself may differ.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple
from urllib.parse import urlsplit

from perfcrew.core.comparison import Comparison, Side
from perfcrew.core.errors import Unmeasurable, UsageError
from perfcrew.core.web import Request
from perfcrew.experiment.answers import WHOLE
from perfcrew.experiment.asking import ENCODINGS, USUAL, Replies
from perfcrew.experiment.canonical import Gap
from perfcrew.experiment.engine import Checks, Design, Goal, Pair, Reading, Tell, Watched, compare, no_verdict
from perfcrew.experiment.replies import gaps, learned
from perfcrew.experiment.same_work import Work
from perfcrew.experiment.wish import Wish
from perfcrew.instruments.load import Aim, Driver, closed_loop
from perfcrew.target.client import Answer, Client

SUBJECT = "urls"
_TIMEOUT_S = 30.0


@dataclass
class Urls:
    """A sampler of both: a pair is some blocks of requests to each."""

    a: str
    b: str
    driver: Driver
    timeout_s: float = _TIMEOUT_S
    design: Design = "interleaved"
    unit: str = "two blocks of requests to each, in turn"
    checks: Checks = "must agree"

    def goal(self, subject: str) -> Goal:
        return "verdict"

    def watched(self, subject: str) -> tuple[Watched, ...]:
        return (Watched("latency", "ms", "deciding"),)

    async def pair(self, a_first: bool) -> dict[str, Pair]:
        order = [self.a, self.b] if a_first else [self.b, self.a]
        samples: dict[str, list[float]] = {self.a: [], self.b: []}
        errors: dict[str, set[str]] = {self.a: set(), self.b: set()}
        for url in (*order, *order[::-1]):
            result = await closed_loop(
                Aim(_origin(url), timeout_s=self.timeout_s),
                [_request(url)],
                duration_s=0.1,
                minimum=4,
                driver=self.driver,
            )
            samples[url] += result.samples_ms
            errors[url] |= set(result.errors)
        a, b = (Reading(_median(samples[u]), ", ".join(sorted(errors[u]))) for u in (self.a, self.b))
        return {SUBJECT: Pair(a, b)}


def _median(samples: Sequence[float]) -> dict[str, float]:
    return {"latency": statistics.median(samples)} if samples else {}


def _request(url: str) -> Request:
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Request(endpoint=f"GET {url}", method="GET", target=target)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise UsageError(f"{url!r} is no address", do="write it whole: http://127.0.0.1:8000/books")
    return f"{parts.scheme}://{parts.netloc}"


async def compare_urls(wish: Wish, tell: Tell) -> list[Comparison]:
    """One comparison of two addresses. UsageError where they are not two."""
    if len(wish.urls) != 2 or wish.urls[0] == wish.urls[1]:
        raise UsageError("two different addresses are compared", do="--url http://… --url http://…")
    for url in wish.urls:
        _origin(url)
    a, b = (Side(label=s, what=url) for s, url in zip("AB", wish.urls, strict=True))
    async with Driver() as driver:
        sampler = Urls(*wish.urls, driver=driver)
        try:
            work = await compare_answers(wish.urls[0], wish.urls[1], tell)
        except Unmeasurable as error:
            return [no_verdict(sampler, SUBJECT, a, b, wish.rules, f"a side could not be measured: {error}")]
        refused = work.refusals(wish.answers_may_differ)
        found = [no_verdict(sampler, subject, a, b, wish.rules, why) for subject, why in refused.items()]
        found = found or await compare(sampler, a, b, wish.rules, tell)
    return work.told(found, wish.answers_may_differ)


async def compare_answers(a: str, b: str, tell: Tell, pause_s: float = USUAL.pause_s) -> Work:
    """Whether both answer the same status and body; what differs is looked at again after a pause.

    Unmeasurable where one gives no answer.
    """
    tell("comparing what both addresses answer")
    began = time.monotonic()
    async with Client(_origin(a), timeout_s=_TIMEOUT_S) as one, Client(_origin(b), timeout_s=_TIMEOUT_S) as other:
        seen = await _twice(one, other, _request(a), _request(b))
        apart = _apart(seen)
        if apart.gaps:
            await asyncio.sleep(pause_s)
            seen += await _twice(one, other, _request(a), _request(b))
            apart = _apart(seen)
    for url, answer in zip((a, b), seen[-1], strict=True):
        if answer.error:
            raise Unmeasurable(f"{url} gives no answer: {answer.error}")
    notes = (
        f"what both answer was compared before measuring, in {time.monotonic() - began:.1f} s beside the budget",
        "the servers are not restarted: that two starts of one server differ is not seen; nor is processor time",
    )
    differing = {SUBJECT: apart.gaps[0].told} if apart.gaps else {}
    unknown = {SUBJECT: f"they answer themselves otherwise: {', '.join(apart.whole)}"} if apart.whole else {}
    return Work(frozenset((SUBJECT,)), differing, {} if differing else unknown, notes)


async def _twice(one: Client, other: Client, a: Request, b: Request) -> list[Replies]:
    """As they are measured: compressed."""

    async def asked(client: Client, request: Request) -> Answer:
        return _without_address(await client.send(request, accept_encoding=ENCODINGS[0]), client.base_url)

    return [Replies(*await asyncio.gather(asked(one, a), asked(other, b))) for _ in range(2)]


def _without_address(answer: Answer, base_url: str) -> Answer:
    """Links to itself name the server, and do no other work for that."""
    body = answer.body.replace(urlsplit(base_url).netloc.encode(), b"the-server")
    return replace(answer, body=body, decoded_bytes=answer.decoded_bytes + len(body) - len(answer.body))


class _Apart(NamedTuple):
    gaps: list[Gap]
    whole: list[str]
    """What leaves nothing to be compared."""


def _apart(seen: Sequence[Replies]) -> _Apart:
    mask: frozenset[str] = frozenset()
    for side in zip(*seen, strict=True):
        mask = learned(side, mask)
    found = gaps(seen[-1].base, seen[-1].change, mask)  # headers tell who served it, and through what
    return _Apart([g for g in found if g.kind != "header" or g.path == "content-type"], sorted(mask & WHOLE))
