"""One request tried on the running target: whether its answer is one that can be measured."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, replace
from functools import cached_property
from urllib.parse import urljoin, urlsplit

from perfcrew.core.errors import TargetFailed
from perfcrew.core.web import Fingerprint, Request
from perfcrew.target.client import Answer, Client, fingerprint

_LOGIN = re.compile(r"(log|sign)[-_]?in\b|(^|/)(auth|sso|oauth2?|oidc)(/|$)", re.I)
_REFUSED_TRIES = 3


@dataclass(frozen=True)
class Tried:
    """A request that was sent, with its answer. `failure` says why it can't be measured; empty where it can."""

    request: Request
    answer: Answer
    failure: str = ""
    is_final: bool = False
    """No other value would help: it hung, wants somebody to log in, or asks for fewer requests."""

    @cached_property
    def fingerprint(self) -> Fingerprint:
        return fingerprint(self.answer)

    def without_body(self) -> Tried:
        """The same for keeping: bodies of thousands of answers would fill the memory."""
        bare = replace(self, answer=replace(self.answer, body=b""))
        bare.__dict__["fingerprint"] = self.fingerprint
        return bare


async def tried(client: Client, request: Request) -> Tried:
    """Send a request once, and once more where the target only wants a slash added or removed.

    TargetFailed where nobody listens any more.
    """
    answer = await _sent(client, request)
    moved = _only_a_slash(request, answer)
    if moved is not None:
        request = moved
        answer = await _sent(client, request)
    return _judged(request, answer, client.timeout_s)


async def _sent(client: Client, request: Request) -> Answer:
    for attempt in range(_REFUSED_TRIES):
        answer = await client.send(request)
        if not answer.refused:
            return answer
        await asyncio.sleep(0.3 * (attempt + 1))
    raise TargetFailed(
        "the target no longer listens",
        where=f"{client.base_url} at {request.method} {request.target}",
        do="see the end of its log; an endpoint that ends the process can be left out by [target] exclude",
    )


def _only_a_slash(request: Request, answer: Answer) -> Request | None:
    location = answer.headers.get("location", "")
    if answer.status not in (301, 302, 307, 308) or not location:
        return None
    path, _, query = request.target.partition("?")
    to = urlsplit(urljoin("http://target" + path, location))
    if to.path == path or to.path.rstrip("/") != path.rstrip("/"):
        return None
    return request.model_copy(update={"target": to.path + (f"?{to.query or query}" if to.query or query else "")})


def _judged(request: Request, answer: Answer, timeout_s: float) -> Tried:
    if request.expect is not None and answer.error is None:
        wrong = answer.status != request.expect
        return Tried(request, answer, f"answered {answer.status} where {request.expect} was expected" if wrong else "")
    if answer.timed_out:
        return Tried(request, answer, _unending(answer, timeout_s), is_final=True)
    if answer.error is not None:
        return Tried(request, answer, f"broke off ({answer.error})")
    if 200 <= answer.status < 300:
        return Tried(request, answer)
    if 300 <= answer.status < 400:
        return _redirected(request, answer)
    return Tried(request, answer, f"answered {answer.status}", is_final=answer.status in (401, 429))


def _unending(answer: Answer, timeout_s: float) -> str:
    if answer.status:
        return f"began to answer {answer.status} ({answer.content_type}) and did not end within {timeout_s:g} s"
    return f"did not answer within {timeout_s:g} s"


def _redirected(request: Request, answer: Answer) -> Tried:
    """A redirect is work that can be measured, unless it says that somebody must log in first."""
    to = urlsplit(answer.headers.get("location", ""))
    if _LOGIN.search(to.path) or re.search(r"(^|&)next=", to.query):
        return Tried(request, answer, f"answered {answer.status} to {to.path}", is_final=True)
    return Tried(request.model_copy(update={"expect": answer.status}), answer)
