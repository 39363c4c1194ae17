"""Whether a change still answers as its base does: to what is measured, to what isn't, to wrong input, to other users.

What may differ is learned from two instances of the base, never guessed. Both sides must have been asked the same
before: on clones of the same data they are in the same state.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from perfcrew.core.answers import AnswersVerdict, Difference, Mask, Name, Refusal, Role
from perfcrew.core.web import Plan
from perfcrew.experiment import asking, visitors
from perfcrew.experiment.asking import ENCODINGS, Clock, Limits, Question, Replies, Side, ask, difference, written
from perfcrew.experiment.canonical import Gap
from perfcrew.experiment.heldout import drawn, wrong_inputs
from perfcrew.experiment.replies import EVERYTHING, gaps, learned
from perfcrew.experiment.tables import learn_tables
from perfcrew.target.client import Answer
from perfcrew.target.requests.harvest import Harvest

SHOWN = 5
"""Differences of one endpoint that are kept."""
_SUSPECTS_BYTES = 64 * 1024 * 1024
_LOOKS = 2
_VISITORS_SHARE = 0.3
_OVER = "the time for comparing answers, or for learning what may differ, was over before it was asked"
WHOLE = frozenset((EVERYTHING, "status", "bytes", "text", "type $"))
"""Entries of a mask that leave nothing to be compared."""


async def learn(
    base_one: Side,
    base_two: Side,
    plans: Sequence[Plan],
    limits: Limits = asking.USUAL,
) -> Mask:
    """What may differ, in answers and in the data: see `learn_answers`. Afterwards their data are compared."""
    mask = await learn_answers(base_one, base_two, plans, limits)
    return await asyncio.to_thread(learn_tables, base_one.clone, base_two.clone, mask)


async def learn_answers(base_one: Side, base_two: Side, plans: Sequence[Plan], limits: Limits = asking.USUAL) -> Mask:
    """What may differ in answers: asks two fresh instances of the base the same questions twice.

    Endpoints that were not reached in time are unknown to the mask, and `compare` says that it did not compare them.
    TargetFailed where one of the instances no longer listens.
    """
    inquiry, clock, mask = _Inquiry(plans, limits, base_one.client.base_url), Clock.of(limits.budget_s), Mask()
    if limits.visitors:
        mask = await visitors.learn(base_one, base_two, plans, Clock.of(limits.budget_s * _VISITORS_SHARE))
    for question in inquiry:
        if clock.is_over:
            break
        replies = [await ask(base_one.client, base_two.client, question.request, e) for e in ENCODINGS]
        inquiry.take(question, replies[0].base)
        mask = mask.widened(question.key, learned([a for r in replies for a in r], mask.of(question.key)))
    for question in asking.writes(plans):
        one = await ask(base_one.client, base_two.client, question.request)
        mask = mask.widened(question.key, learned(one, mask.of(question.key)))
    return mask


async def compare(
    base: Side,
    change: Side,
    plans: Sequence[Plan],
    mask: Mask,
    limits: Limits = asking.USUAL,
) -> AnswersVerdict:
    """Ask both sides everything that only reads, and say what the change answers otherwise.

    What differs is looked at again after a pause: where the base itself answers otherwise by then, it may.
    TargetFailed where the base no longer listens.
    """
    inquiry, clock = _Inquiry(plans, limits, base.client.base_url), Clock.of(limits.budget_s)
    visited = visitors.Visited()
    if limits.visitors:
        visitors_clock = Clock.of(limits.budget_s * _VISITORS_SHARE)
        visited = await visitors.compare(base, change, plans, mask, visitors_clock)
    work = _Work(base, change, mask)
    for question in inquiry:
        if clock.is_over:
            break
        if question.key in mask.endpoints:
            inquiry.take(question, await work.put(question))
    await work.look_again(limits.pause_s)
    return _verdict(work, plans, visited)


class _Inquiry:
    """The questions in their order: those about held-out inputs are drawn from the answers to the measured ones."""

    def __init__(self, plans: Sequence[Plan], limits: Limits, base_url: str) -> None:
        self._plans, self._limits = plans, limits
        self._harvest = Harvest(base_url, [p.endpoint for p in plans])
        self._by_key = {p.endpoint.key: p for p in plans}

    def __iter__(self) -> Iterator[Question]:
        yield from asking.reads(self._plans)
        for takes_ids in (False, True):  # other pages of a listing tell ids that the measured ones don't
            wanted = [p for p in self._plans if ("{" in p.endpoint.path) == takes_ids]
            yield from asking.held_out(drawn(wanted, self._harvest, self._limits.held_out))
        for plan in self._plans:
            for request in wrong_inputs(plan, self._limits.wrong):
                yield Question(request, "wrong input")

    def take(self, question: Question, answer: Answer) -> None:
        """What the base answered to a question."""
        plan = self._by_key.get(question.request.endpoint)
        if plan is not None and question.role in ("measured", "held out") and 200 <= answer.status < 300:
            self._harvest.take(plan.endpoint, question.request, answer)


class _Suspect(NamedTuple):
    question: Question
    replies: Replies
    encoding: str


@dataclass
class _Work:
    """A comparison under way."""

    base: Side
    change: Side
    mask: Mask
    asked: Counter[Role] = field(default_factory=Counter)
    endpoints: set[str] = field(default_factory=set)
    suspects: list[_Suspect] = field(default_factory=list)
    _held_bytes: int = 0

    async def put(self, question: Question) -> Answer:
        """Ask one question; gives the base's answer."""
        self.asked[question.role] += 1
        self.endpoints.add(question.request.endpoint)
        for encoding in ENCODINGS:
            replies = await ask(self.base.client, self.change.client, question.request, encoding)
            suspect = _Suspect(question, replies, encoding)
            if self.gaps(suspect):
                self._suspect(suspect)
                break
        return replies.base

    def gaps(self, suspect: _Suspect) -> list[Gap]:
        question, (base, change), encoding = suspect
        shallow = question.role == "wrong input" and not 200 <= base.status < 400
        found = gaps(base, change, self.mask.of(question.key), shallow=shallow)
        if encoding == "identity" and "content-encoding" in change.headers.keys() - base.headers.keys():
            found.append(Gap("header", "content-encoding", "absent", "sent to who did not ask for it"))
        return found

    def _suspect(self, suspect: _Suspect) -> None:
        """Keep it for a second look; more than fits into the memory allowed is not needed for a verdict."""
        self._held_bytes += sum(len(answer.body) for answer in suspect.replies)
        if self._held_bytes < _SUSPECTS_BYTES or not self.suspects:
            self.suspects.append(suspect)

    async def look_again(self, pause_s: float) -> None:
        """Ask what differs once more: what the base itself answers otherwise by now may differ."""
        if self.suspects:
            await asyncio.sleep(pause_s)
        for question, replies, encoding in self.suspects:
            later = [
                (await ask(self.base.client, self.change.client, question.request, encoding)).base
                for _ in range(_LOOKS)
            ]
            known = self.mask.of(question.key)
            self.mask = self.mask.widened(question.key, learned([replies.base, *later], known))


class _Differing(NamedTuple):
    question: Question
    gaps: list[Gap]


def _verdict(work: _Work, plans: Sequence[Plan], visited: visitors.Visited) -> AnswersVerdict:
    found = [_Differing(suspect.question, work.gaps(suspect)) for suspect in work.suspects]
    differing = [one for one in found if one.gaps]
    refusals = (*_refusals(differing), *visited.refusals)
    uncompared = _uncompared(work, plans)
    compared = work.endpoints - uncompared.keys()
    return AnswersVerdict(
        outcome="different" if refusals else "equal" if compared else "unknown",
        measured_count=work.asked["measured"],
        held_out_count=work.asked["held out"],
        wrong_input_count=work.asked["wrong input"],
        other_user_count=visited.asked_count,
        differences=(*_differences(differing), *visited.differences),
        differing_count=len(differing) + len(visited.differences),
        refusals=refusals,
        masked={key: entries for key, entries in work.mask.endpoints.items() if entries},
        uncompared=uncompared,
    )


def _uncompared(work: _Work, plans: Sequence[Plan]) -> dict[str, str]:
    found = {}
    for plan in plans:
        key = plan.endpoint.key
        whole = sorted(work.mask.of(key) & WHOLE)
        if plan.endpoint.method in asking.READS and plan.requests:
            if key not in work.endpoints:
                found[key] = _OVER
            elif whole:
                found[key] = f"the base's own answers differ from each other: {', '.join(whole)}"
    return found


def _differences(differing: Sequence[_Differing]) -> Iterator[Difference]:
    kept: Counter[str] = Counter()
    for question, found in differing:
        for gap in found:
            kept[question.request.endpoint] += 1
            if kept[question.request.endpoint] <= SHOWN:
                yield difference(question, gap)


def _refusals(differing: Sequence[_Differing]) -> Iterator[Refusal]:
    """One an endpoint and name."""
    by_endpoint: dict[str, list[_Differing]] = {}
    for one in differing:
        by_endpoint.setdefault(one.question.request.endpoint, []).append(one)
    for endpoint, found in by_endpoint.items():
        for name, role in _names({one.question.role for one in found}):
            why = _why([one for one in found if one.question.role == role])
            yield Refusal(name=name, why=why, subject=endpoint)


def _names(roles: set[Role]) -> Iterator[tuple[Name, Role]]:
    if "measured" in roles:
        yield "changes an answer", "measured"
    elif "held out" in roles:
        yield "special-cases the measured requests", "held out"
    if "wrong input" in roles:
        yield "changes the answer to wrong input", "wrong input"


def _why(found: Sequence[_Differing]) -> str:
    (question, gaps), *others = found
    equal = "measured requests are answered alike, but not " if question.role == "held out" else ""
    more = f" and {len(others)} more" if others else ""
    return f"{equal}{written(question.request)}{more}: {gaps[0].told}"
