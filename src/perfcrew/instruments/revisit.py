"""A GET asked again: as it was, and as a client asks that kept the answer (`If-None-Match`, `If-Modified-Since`)."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from statistics import median

from perfcrew.core.evidence import Revisit
from perfcrew.core.http_caching import allows, conditions, moment, tag
from perfcrew.core.web import Plan, Request
from perfcrew.instruments.traces import Sends
from perfcrew.target.client import Answer, Client

TURNS = 3
"""Of a conditional and a full request, where a 304 came: their times are compared."""
ENOUGH_S = 2.0
"""No turn is begun after that, nor is an answer that takes as long asked for again."""
_VALIDATORS = ("etag", "last-modified")
ENCODINGS = "gzip, deflate"


async def measure_revisit(client: Client, request: Request, first: Answer) -> Revisit | None:
    """What is sent to a client that asks once more after its `first` answer, asked with gzip and deflate offered.

    None where it is no GET that was answered with 200 and kept whole, or takes too long to be asked again.
    """
    if request.method != "GET" or first.status != 200 or first.truncated or first.elapsed_ms > ENOUGH_S * 1e3:
        return None
    visits = _Visits(client, request, first)
    await visits.again()
    if visits.same and (known := conditions(first.headers)):
        await visits.in_turn(by_who_knows(request, known))
    return visits.told() if visits.full else None


def by_who_knows(request: Request, known: dict[str, str]) -> Request:
    """The request of a client that kept an answer."""
    return request.model_copy(update={"headers": {**request.headers, **known}})


@dataclass
class _Visits:
    client: Client
    request: Request
    first: Answer
    full: list[Answer] = field(default_factory=list)
    conditional: list[Answer] = field(default_factory=list)

    async def again(self) -> None:
        answer = await self.client.send(self.request, accept_encoding=ENCODINGS)
        if answer.error is None and answer.status == self.first.status:
            self.full.append(answer)

    async def in_turn(self, asked: Request) -> None:
        """Where no 304 comes, once is enough."""
        began = time.monotonic()
        for turn in range(TURNS):
            if turn:
                await self.again()
            self.conditional.append(await self.client.send(asked, accept_encoding=ENCODINGS))
            if self.conditional[-1].status != 304 or time.monotonic() - began > ENOUGH_S:
                break

    @property
    def same(self) -> bool:
        """Byte for byte, without their encoding: gzip may pad by chance."""
        whole = [*self.full, *(a for a in self.conditional if a.status == self.first.status)]
        return bool(self.full) and all(a.body == self.first.body and a.error is None for a in whole)

    @property
    def moved(self) -> tuple[str, ...]:
        return tuple(name for name in _VALIDATORS if len({a.headers.get(name) for a in (self.first, *self.full)}) > 1)

    def told(self) -> Revisit:
        headers, asked = self.first.headers, self.conditional[:1]
        return Revisit(
            same=self.same,
            answers_count=1 + len(self.full),
            etag=tag(headers.get("etag", "")),
            last_modified_age_s=_age_s(headers),
            moved=self.moved,
            allows=allows(headers),
            sets_cookies="set-cookie" in headers,
            with_credentials=self.client.shows_credentials(self.request),
            conditional_status=asked[0].status if asked else None,
            conditional_bytes=asked[0].sent_bytes if asked else None,
            turns_count=len(self.conditional),
            full_ms=median(a.elapsed_ms for a in self.full),
            conditional_ms=median(a.elapsed_ms for a in self.conditional) if self.conditional else None,
        )


def _age_s(headers: dict[str, str]) -> float | None:
    """By the answer's own date, which tells it to the second; a validator of that very second is none."""
    modified, sent = moment(headers.get("last-modified")), moment(headers.get("date"))
    return (sent - modified).total_seconds() if modified and sent else None


async def count_conditional_bytes(client: Sends, plan: Plan) -> float | None:
    """What a client is sent, a request, that asks again for what it has; all of it where it has nothing to ask by.

    None where it is no GET, or a request is not answered, or by neither the whole nor a 304.
    """
    if plan.endpoint.method != "GET" or not plan.requests:
        return None
    sent_bytes = 0
    for request in plan.requests:
        answer = await client.send(request)
        if answer.status == 200 and (known := conditions(answer.headers)):
            answer = await client.send(by_who_knows(request, known))
        if answer.error is not None or answer.status not in (200, 304):
            return None
        sent_bytes += answer.sent_bytes
    return sent_bytes / len(plan.requests)
