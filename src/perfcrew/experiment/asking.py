"""Asks running instances the same questions at the same moment."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol
from urllib.parse import parse_qsl, urlencode

from perfcrew.core.answers import Difference, Role
from perfcrew.core.errors import TargetFailed
from perfcrew.core.web import Plan, Request
from perfcrew.experiment.canonical import Gap
from perfcrew.target.client import Answer, Client
from perfcrew.target.clone import Clone
from perfcrew.target.launch import Running

READS = ("GET", "HEAD")
_SECRET = re.compile(r"(?i)secret|passw|token|api_?key|credential|signature|(^|_)(key|sig|auth|code|session)$")
ENCODINGS = ("gzip", "identity")
"""What is accepted in turn: first as browsers do, so that what is cached compressed meets who can't read it."""


class Side(Protocol):
    """One running instance on a clone of its own, with a client that is logged in."""

    @property
    def client(self) -> Client: ...

    @property
    def other(self) -> Client | None:
        """A client that is logged in as somebody else, where the project tells of one."""
        ...

    @property
    def clone(self) -> Clone: ...

    @property
    def running(self) -> Running: ...


@dataclass(frozen=True)
class Limits:
    """How much is asked."""

    held_out: int = 4
    """Requests an endpoint that the benchmark does not use."""
    wrong: int = 4
    visitors: bool = True
    """Whether it is asked as somebody else too."""
    budget_s: float = 180.0
    pause_s: float = 1.1
    """Before a second look: longer than a second, since many times are given in seconds."""


USUAL = Limits()


class Question(NamedTuple):
    """A request, and why it is asked."""

    request: Request
    role: Role

    @property
    def key(self) -> str:
        """Where the mask keeps what may differ: errors apart from the endpoint's good answers."""
        apart = self.role in ("wrong input", "another user")
        return self.request.endpoint + (f" ({self.role})" if apart else "")


class Replies(NamedTuple):
    """What two sides answered to one question."""

    base: Answer
    change: Answer


@dataclass
class Clock:
    """The time that a comparison may take."""

    until: float

    @staticmethod
    def of(budget_s: float) -> Clock:
        return Clock(time.monotonic() + budget_s)

    @property
    def is_over(self) -> bool:
        return time.monotonic() > self.until


def reads(plans: Sequence[Plan]) -> list[Question]:
    """The measured requests that read, the first of each endpoint first."""
    return _questions([p for p in plans if p.endpoint.method in READS], "measured")


def writes(plans: Sequence[Plan]) -> list[Question]:
    """The measured requests that may write, in their order."""
    return [Question(r, "measured") for p in plans if p.endpoint.method not in READS for r in p.requests]


def held_out(plans: Sequence[Plan]) -> list[Question]:
    """The requests of held-out plans."""
    return _questions(plans, "held out")


def _questions(plans: Sequence[Plan], role: Role) -> list[Question]:
    most = max((len(p.requests) for p in plans), default=0)
    return [Question(p.requests[at], role) for at in range(most) for p in plans if at < len(p.requests)]


async def ask(base: Client, change: Client, request: Request, encoding: str = "identity") -> Replies:
    """Ask both at once. TargetFailed where the base no longer listens: then nothing can be said of the change."""
    one, other = await asyncio.gather(
        base.send(request, accept_encoding=encoding), change.send(request, accept_encoding=encoding)
    )
    if one.refused:
        raise TargetFailed(
            "the base no longer listens",
            where=f"{base.base_url} at {request.method} {written(request)}",
            do="see the end of its log; an endpoint that ends the process can be left out by [target] exclude",
        )
    return Replies(one, other)


def written(request: Request) -> str:
    """Method and target as they may be written down: without the values of parameters that read as secrets."""
    path, mark, query = request.target.partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    if any(_SECRET.search(name) for name, _ in pairs):
        query = urlencode([(name, "***" if _SECRET.search(name) else value) for name, value in pairs])
    return f"{request.method} {path}{mark}{query}"[:300]


def difference(question: Question, gap: Gap) -> Difference:
    """One gap as it is kept."""
    return Difference(
        endpoint=question.request.endpoint,
        request=written(question.request),
        role=question.role,
        what=gap.kind,
        where=gap.path,
        base=gap.base,
        change=gap.change,
    )
