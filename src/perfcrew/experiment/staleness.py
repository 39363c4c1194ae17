"""Whether a change still shows new data: it is read, the data are written, it is read again.

Written through the application's own requests where some are in scope, which a cache may be cleared by; else in the
clones of both sides, in the same way. The base is the measure: what it does not show anew either proves nothing.
Where the change answers with a validator, who kept the old answer must not be told that it still holds.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from perfcrew.core.answers import Freshening, FreshnessVerdict, Mask, Refusal
from perfcrew.core.http_caching import conditions
from perfcrew.core.web import Plan, Request
from perfcrew.experiment import asking
from perfcrew.experiment.asking import Question, Replies, Side, ask, written
from perfcrew.experiment.replies import gaps
from perfcrew.experiment.rewriting import Rewrite, apply, rewrites, says, texts, turned
from perfcrew.experiment.withdrawing import Row, candidates, put_back, take_out
from perfcrew.instruments.revisit import by_who_knows
from perfcrew.target.client import Answer, Client

TTL_AT_MOST_S = 120.0
_PATIENCE_S = 3.0
"""How long a change that declares no time to live is watched, to say how old its answers get at least."""
_SLACK_S = 1.0
_EVERY_S = 0.25
_WARMING = 3
"""Times that an answer is read before the write: a cache that begins at the second request is met too."""


async def compare_freshness(
    base: Side, change: Side, plans: Sequence[Plan], mask: Mask, declared_s: float = 0.0
) -> FreshnessVerdict:
    """Refuse a change whose answers stay old for longer than `declared_s`, its declared time to live (at most 120 s).

    Writes to both clones. TargetFailed where the base no longer listens.
    """
    work = _Work(base, change, mask, min(declared_s, TTL_AT_MOST_S))
    questions = _one_each(plans)
    await work.by_own_requests(questions, plans)
    await work.by_rewriting([q for q in questions if q.request.endpoint not in work.proven])
    stale = [one for one in work.checked if not one.fresh]
    return FreshnessVerdict(
        outcome="different" if stale else "equal" if work.checked else "unknown",
        declared_s=declared_s,
        checked=tuple(work.checked),
        unproven={k: why for k, why in work.unproven.items() if k not in work.proven},
        refusals=tuple(_refusal(one, declared_s) for one in stale),
    )


def _one_each(plans: Sequence[Plan]) -> list[Question]:
    return asking.reads([p.model_copy(update={"requests": p.requests[:1]}) for p in plans])


def _refusal(one: Freshening, declared_s: float) -> Refusal:
    declared = f"declares {declared_s:g} s" if declared_s else "declares no time to live"
    if one.told_unchanged:
        why = (
            f"{one.request} answers 304 to who kept the old answer, though {one.written} was changed and it shows that"
        )
        return Refusal(name="serves stale answers", why=why, subject=one.endpoint)
    why = (
        f"{one.request} shows the old value {one.stale_ms / 1e3:.1f} s after {one.written} was changed, where the base "
        f"shows the new one; the change {declared}"
    )
    return Refusal(name="serves stale answers", why=why, subject=one.endpoint)


def otherwise(request: Request) -> Request:
    """The same write with other texts in its JSON body: what was written before must not be written again."""
    try:
        content = json.loads(request.body or "")
    except ValueError:
        return request
    if not isinstance(content, dict):
        return request
    body = {name: turned(value) if isinstance(value, str) else value for name, value in content.items()}
    return request.model_copy(update={"body": json.dumps(body)})


class _Written(NamedTuple):
    """A write that the base's answer shows, and what was answered right after it."""

    question: Question
    what: str
    old: Replies
    now: Replies
    at_s: float


@dataclass
class _Work:
    base: Side
    change: Side
    mask: Mask
    declared_s: float
    checked: list[Freshening] = field(default_factory=list)
    unproven: dict[str, str] = field(default_factory=dict)

    @property
    def proven(self) -> set[str]:
        return {one.endpoint for one in self.checked}

    async def by_own_requests(self, questions: Sequence[Question], plans: Sequence[Plan]) -> None:
        """Read, send what writes, read again: what the base then answers anew, the change must."""
        writing = asking.writes(plans)
        if not writing:
            return
        before = [await self._warm(q) for q in questions]
        for question in writing:
            await ask(self.base.client, self.change.client, otherwise(question.request))
        at_s = time.monotonic()
        what = ", ".join(dict.fromkeys(q.request.endpoint for q in writing))[:200]
        shown = []
        for question, old in zip(questions, before, strict=True):
            now = await self._ask(question)
            if gaps(old.base, now.base, self.mask.of(question.key)) and self._agree(question, old):
                shown.append(_Written(question, what, old, now, at_s))
        await self._watch(shown)

    async def by_rewriting(self, questions: Sequence[Question]) -> None:
        """Change in both clones a value that each answer shows."""
        shown = []
        for question in questions:
            one = await self._rewritten(question)
            if one is not None:
                shown.append(one)
        await self._watch(shown)

    async def _rewritten(self, question: Question) -> _Written | None:
        """Write what the answer shows, a text or else a row, until the base answers anew."""
        old = await self._warm(question)
        if not self._agree(question, old):
            self.unproven[question.request.endpoint] = "both sides answer otherwise before anything is written"
            return None
        for rewrite in await asyncio.to_thread(rewrites, self.base.clone, texts(old.base)):
            found = await self._tried(question, old, rewrite)
            if found:
                return found
        for row in await asyncio.to_thread(candidates, self.base.clone):
            found = await self._without(question, old, row)
            if found:
                return found
        self.unproven[question.request.endpoint] = "nothing that was written into the database showed in the base"
        return None

    async def _tried(self, question: Question, old: Replies, rewrite: Rewrite) -> _Written | None:
        at_s = time.monotonic()
        if not await asyncio.to_thread(self._apply, rewrite):
            return None
        now = await self._ask(question)
        if now.base.status == old.base.status and says(now.base, rewrite.new):
            return _Written(question, rewrite.where, old, now, at_s)
        await asyncio.to_thread(self._apply, rewrite._replace(old=rewrite.new, new=rewrite.old))
        return None

    async def _without(self, question: Question, old: Replies, row: Row) -> _Written | None:
        at_s = time.monotonic()
        if not await asyncio.to_thread(take_out, self.base.clone, row):
            return None
        await asyncio.to_thread(take_out, self.change.clone, row)
        now = await self._ask(question)
        if now.base.status == old.base.status and gaps(old.base, now.base, self.mask.of(question.key)):
            return _Written(question, f"a row of {row.table}", old, now, at_s)
        await asyncio.to_thread(put_back, self.base.clone, row)
        await asyncio.to_thread(put_back, self.change.clone, row)
        return None

    def _agree(self, question: Question, replies: Replies) -> bool:
        return not gaps(*replies, self.mask.of(question.key))

    def _apply(self, rewrite: Rewrite) -> bool:
        """Into both clones or into none."""
        if not apply(self.base.clone, rewrite):
            return False
        if apply(self.change.clone, rewrite):
            return True
        apply(self.base.clone, rewrite._replace(old=rewrite.new, new=rewrite.old))
        return False

    async def _watch(self, shown: Sequence[_Written]) -> None:
        """Until all are fresh, or the time is over that they may be old."""
        patience_s = self.declared_s + _SLACK_S if self.declared_s else _PATIENCE_S
        waiting = [one for one in shown if not await self._take(one, one.now)]
        while waiting:
            await asyncio.sleep(_EVERY_S)
            left = []
            for one in waiting:
                is_over = time.monotonic() - one.at_s > patience_s
                if not await self._take(one, await self._ask(one.question), is_over):
                    left.append(one)
            waiting = left

    async def _take(self, one: _Written, now: Replies, is_over: bool = False) -> bool:
        """Whether it is decided by what was answered now."""
        is_new = not gaps(now.base, now.change, self.mask.of(one.question.key))
        stale_s = time.monotonic() - one.at_s
        is_late = not is_new and is_over
        if is_new or is_late:
            unchanged = is_new and await self._tells_unchanged(one)
            self.checked.append(
                Freshening(
                    endpoint=one.question.request.endpoint,
                    request=written(one.question.request),
                    written=one.what,
                    fresh=is_new and not unchanged and (one.now is now or stale_s <= self.declared_s + _SLACK_S),
                    stale_ms=0.0 if one.now is now and is_new else stale_s * 1e3,
                    told_unchanged=unchanged,
                )
            )
        return is_new or is_late

    async def _tells_unchanged(self, one: _Written) -> bool:
        """Whether the change tells who kept its old answer that it still holds, and the base does not."""
        base, change = one.old
        if not await _holds(self.change.client, one.question.request, change):
            return False
        return not await _holds(self.base.client, one.question.request, base)

    async def _warm(self, question: Question) -> Replies:
        for _ in range(_WARMING - 1):
            await self._ask(question)
        return await self._ask(question)

    async def _ask(self, question: Question) -> Replies:
        return await ask(self.base.client, self.change.client, question.request)


async def _holds(client: Client, request: Request, kept: Answer) -> bool:
    """Whether who kept this answer is told by a 304 that it still holds."""
    known = conditions(kept.headers)
    return bool(known) and (await client.send(by_who_knows(request, known))).status == 304
