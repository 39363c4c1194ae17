"""Other users ask the same: a cached answer must reach nobody whom the base would not have given it.

Each request is asked by the visitor, by the user of the benchmark, and by the visitor again, so that a cache is met
cold by either.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import NamedTuple

from perfcrew.core.answers import Difference, Mask, Name, Refusal
from perfcrew.core.project import Auth, Project
from perfcrew.core.web import Plan, Request
from perfcrew.experiment import asking
from perfcrew.experiment.asking import Clock, Question, Side, ask, difference, written
from perfcrew.experiment.canonical import Gap
from perfcrew.experiment.replies import gaps, learned
from perfcrew.target.auth import Credentials
from perfcrew.target.client import Answer, Client

_PERSONAL = re.compile(r"(?i)auth|cookie|api-?key|token|session|user|tenant|account")
_PER_ENDPOINT = 2
_PAUSE_S = 1.1
_NOBODY = "Bearer perfcrew-nobody-at-all"


class Visitor(NamedTuple):
    """Somebody else: what they send, and whether they send the benchmark's credentials too."""

    label: str
    credentials: Credentials = Credentials()
    is_same_user: bool = False

    def asks(self, request: Request) -> Request:
        """The request as this visitor sends it: without headers of its own that say who asks."""
        if self.is_same_user:
            return request.model_copy(update={"headers": {**request.headers, **self.credentials.headers}})
        kept = {name: value for name, value in request.headers.items() if not _PERSONAL.search(name)}
        return request.model_copy(update={"headers": kept})


@dataclass
class Visited:
    """What was asked as somebody else, and what the change answered otherwise."""

    asked_count: int = 0
    refusals: list[Refusal] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)

    def add(self, judged: _Judged | None) -> None:
        """Take a refusal, once an endpoint and name."""
        if judged and all((r.name, r.subject) != (judged.refusal.name, judged.refusal.subject) for r in self.refusals):
            self.refusals.append(judged.refusal)
            self.differences += judged.differences


OTHER = Visitor("the other user")


def nobody_else(project: Project) -> str:
    """Why it can't be seen whether what is kept for one user reaches another; empty where it can."""
    if project.auth == Auth() or project.other_user not in (None, project.auth):
        return ""
    return (
        "what is kept for a while might be handed to another user, and there is nobody else to ask as: "
        "give one as [other_user] in perfcrew.toml, with the keys of [auth]"
    )


async def let_in_nowhere(side: Side, plans: Sequence[Plan]) -> str:
    """Why the other user shows nothing, where the benchmark's user needs a login; empty where there is one that is."""
    if side.other is None:
        return ""
    closed = False
    async with Client(side.client.base_url, timeout_s=side.client.timeout_s) as nobody:
        for question in asking.reads([p.model_copy(update={"requests": p.requests[:1]}) for p in plans]):
            asked = OTHER.asks(question.request)
            if _good(await nobody.send(asked)) or not _good(await side.client.send(question.request)):
                continue
            closed = True
            if _good(await side.other.send(asked)):
                return ""
    return "the [other_user] of perfcrew.toml is let in nowhere that needs a login: look at its credentials" * closed


def _good(answer: Answer) -> bool:
    return 200 <= answer.status < 300


def visitors(has_other: bool) -> list[Visitor]:
    """The other user where there is one; always nobody, a token that nobody has, the same user in another language."""
    return [
        *([OTHER] if has_other else []),
        Visitor("somebody without credentials"),
        Visitor("somebody with an unknown token", Credentials(headers={"Authorization": _NOBODY})),
        Visitor("the same user in another language", Credentials(headers={"Accept-Language": "de, fr;q=0.5"}), True),
    ]


async def learn(base_one: Side, base_two: Side, plans: Sequence[Plan], clock: Clock) -> Mask:
    """What may differ in answers to somebody else."""
    mask = Mask()
    async for visit in _visits(base_one, base_two, plans, clock):
        mask = _widened(mask, visit, await visit.ask(), await visit.ask())
    return mask


async def compare(base: Side, change: Side, plans: Sequence[Plan], mask: Mask, clock: Clock) -> Visited:
    """Whether others are answered as by the base, and who gets another's answer where not."""
    visited = Visited()
    async for visit in _visits(base, change, plans, clock):
        if visit.question.key not in mask.endpoints:
            continue
        visited.asked_count += 1
        turns = await visit.ask()
        if _judged(visit, turns, mask):
            await asyncio.sleep(_PAUSE_S)
            again = await visit.ask()
            mask = _widened(mask, visit, *(t._replace(change=t.base) for t in (turns, again)))
            visited.add(_judged(visit, turns, mask))
    return visited


class _Turns(NamedTuple):
    """What the visitor got, then the benchmark's user, then the visitor again: of the base and of the change."""

    base: tuple[Answer, Answer, Answer]
    change: tuple[Answer, Answer, Answer]


class _Judged(NamedTuple):
    refusal: Refusal
    differences: list[Difference]


@dataclass(frozen=True)
class _Visit:
    question: Question
    visitor: Visitor
    own: tuple[Client, Client]
    theirs: tuple[Client, Client]

    async def ask(self) -> _Turns:
        mine = self.question.request
        visitors_own = self.visitor.asks(mine)
        before = await ask(*self.theirs, visitors_own)
        own = await ask(*self.own, mine)
        after = await ask(*self.theirs, visitors_own)
        return _Turns((before.base, own.base, after.base), (before.change, own.change, after.change))


async def _visits(one: Side, two: Side, plans: Sequence[Plan], clock: Clock) -> AsyncIterator[_Visit]:
    first_few = [p.model_copy(update={"requests": p.requests[:_PER_ENDPOINT]}) for p in plans]
    async with AsyncExitStack() as stack:
        own = (one.client, two.client)
        for visitor in visitors(has_other=bool(one.other and two.other)):
            theirs = own
            if visitor is OTHER and one.other and two.other:
                theirs = (one.other, two.other)
            elif not visitor.is_same_user:
                theirs = (_client(visitor, own[0]), _client(visitor, own[1]))
                for client in theirs:
                    await stack.enter_async_context(client)
            for question in asking.reads(first_few):
                if not clock.is_over:
                    yield _Visit(question._replace(role="another user"), visitor, own, theirs)


def _client(visitor: Visitor, like: Client) -> Client:
    return Client(like.base_url, visitor.credentials.headers, visitor.credentials.cookies, like.timeout_s)


def _widened(mask: Mask, visit: _Visit, first: _Turns, again: _Turns) -> Mask:
    for at in range(3):
        answers = [first.base[at], first.change[at], again.base[at], again.change[at]]
        mask = mask.widened(visit.question.key, learned(answers, mask.of(visit.question.key)))
    return mask


_WHO = ((2, 1), (0, 1), (1, 0))
"""Whose turn is looked at, and whose answer it might have got instead."""


def _judged(visit: _Visit, turns: _Turns, mask: Mask) -> _Judged | None:
    allowed = mask.of(visit.question.key)
    for mine, theirs in _WHO:
        found = gaps(turns.base[mine], turns.change[mine], allowed)
        if not found:
            continue
        is_others = not gaps(turns.change[mine], turns.change[theirs], allowed)
        if is_others and gaps(turns.base[mine], turns.base[theirs], allowed):
            return _refused(visit, found, "answers one user's data to another", _leak(visit, mine))
        if mine != 1:  # the benchmark's own user is compared with everything else that is asked
            return _refused(visit, found, "changes an answer", f"{visit.visitor.label} is answered otherwise")
    return None


def _leak(visit: _Visit, mine: int) -> str:
    to, of = ("the benchmark's user", visit.visitor.label) if mine == 1 else (visit.visitor.label, "another user")
    return f"{to} gets what {of} was answered"


def _refused(visit: _Visit, found: list[Gap], name: Name, why: str) -> _Judged:
    question, gap = visit.question, found[0]
    where = f"{gap.kind} {gap.path}".strip()
    told = f"{written(question.request)}: {why} ({where} was {gap.base}, is {gap.change})"
    refusal = Refusal(name=name, why=told, subject=question.request.endpoint)
    return _Judged(refusal, [difference(question, gap) for gap in found[:2]])
