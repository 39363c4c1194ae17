"""Requests that the benchmark does not use: other ids, pages and queries, and wrong input.

A patch that knows the measured requests answers these differently, or no faster.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import NamedTuple
from urllib.parse import parse_qsl

from perfcrew.core.web import Plan, Request
from perfcrew.experiment.asking import READS, Side
from perfcrew.target.client import Answer
from perfcrew.target.requests.bindings import choices
from perfcrew.target.requests.candidates import made
from perfcrew.target.requests.harvest import Harvest, snake
from perfcrew.target.requests.paging import with_query
from perfcrew.target.requests.parameters import Parameter, path_parameters, query_parameters
from perfcrew.target.requests.refusals import harmful_word
from perfcrew.target.requests.template import filled, matched

_SIZES = (7, 3, 13, 2, 1)
_FAR = 10**9
_PAGES = ("page", "offset", "skip", "start", "p", "page_number")


class Seen(NamedTuple):
    """An answer of the base, which ids and words are drawn from."""

    plan: Plan
    request: Request
    answer: Answer


async def held_out_of(side: Side, plans: Sequence[Plan], per_endpoint: int = 4) -> tuple[Plan, ...]:
    """Ask the base once, and give held-out plans of what it answers with success: to be timed beside the measured."""
    harvest = Harvest(side.client.base_url, [p.endpoint for p in plans])
    for plan in plans:
        for request in plan.requests if plan.endpoint.method in READS else ():
            harvest.take(plan.endpoint, request, await side.client.send(request))
    found: dict[str, Plan] = {}
    for plan in sorted(plans, key=lambda one: "{" in one.endpoint.path):
        for other in drawn([plan], harvest, per_endpoint * 2):
            good = await _answered(side, other, harvest)
            found[plan.endpoint.key] = other.model_copy(update={"requests": tuple(good[:per_endpoint])})
    return tuple(one for p in plans if (one := found.get(p.endpoint.key)) and one.requests)


async def _answered(side: Side, plan: Plan, harvest: Harvest) -> list[Request]:
    good = []
    for request in plan.requests:
        answer = await side.client.send(request)
        if 200 <= answer.status < 300:
            harvest.take(plan.endpoint, request, answer)
            good.append(request)
    return good


def held_out(plans: Sequence[Plan], seen: Sequence[Seen], per_endpoint: int = 4) -> tuple[Plan, ...]:
    """Plans of the same endpoints with requests that none of these plans has, drawn from the answers of listings."""
    harvest = Harvest("", [p.endpoint for p in plans])
    for one in seen:
        harvest.take(one.plan.endpoint, one.request, one.answer)
    return drawn(plans, harvest, per_endpoint)


def drawn(plans: Sequence[Plan], harvest: Harvest, per_endpoint: int) -> tuple[Plan, ...]:
    """As `held_out`, from what was found already."""
    found = []
    for plan in plans:
        if plan.endpoint.method in READS and plan.requests:
            others = _others(plan, harvest, per_endpoint)
            if others:
                kept = {"requests": tuple(others), "fingerprints": (), "tried_ms": None}
                found.append(plan.model_copy(update=kept))
    return tuple(found)


def _others(plan: Plan, harvest: Harvest, count: int) -> list[Request]:
    known = {_same(request) for request in plan.requests}
    found: dict[object, Request] = {}
    sources = [_other_ids(plan, harvest), _other_sizes(plan), _other_queries(plan, harvest)]
    for request in islice(_in_turn(sources), count * 20):
        if _same(request) not in known and not harmful_word(request.target.partition("?")[0]):
            found.setdefault(_same(request), request.model_copy(update={"expect": None}))
        if len(found) == count:
            break
    return list(found.values())


def _same(request: Request) -> object:
    path, _, query = request.target.partition("?")
    return path, tuple(sorted(parse_qsl(query, keep_blank_values=True))), request.body


def _in_turn(sources: list[Iterator[Request]]) -> Iterator[Request]:
    while sources:
        for source in list(sources):
            request = next(source, None)
            if request is None:
                sources.remove(source)
            else:
                yield request


def _other_ids(plan: Plan, harvest: Harvest) -> Iterator[Request]:
    """Other values for the path and the required parameters, with the measured request's headers."""
    headers = plan.requests[0].headers
    for candidate in made(plan.endpoint, harvest):
        request = candidate.request
        yield request.model_copy(update={"headers": {**headers, **request.headers}})
    yield from _next_ids(plan)


def _next_ids(plan: Plan) -> Iterator[Request]:
    """The numbers after the highest id that is measured, where the path takes one number."""
    numbers = []
    for request in plan.requests:
        values = matched(plan.endpoint, request.target.partition("?")[0]) or {}
        numbers += [int(value) for value in values.values() if len(values) == 1 and value.isdigit()]
    for step in range(1, 4) if numbers else ():
        name = path_parameters(plan.endpoint)[0].name
        query = plan.requests[0].target.partition("?")[1:]
        target = filled(plan.endpoint, {name: max(numbers) + step}) + "".join(query)
        yield plan.requests[0].model_copy(update={"target": target, "origin": "generated"})


def _other_sizes(plan: Plan) -> Iterator[Request]:
    name = plan.page_size_parameter
    if name is None:
        return
    described = next((p for p in query_parameters(plan.endpoint) if p.name == name), None)
    highest = described.definition.get("maximum", _FAR) if described else _FAR
    yield from (with_query(plan.requests[0], name, size) for size in _SIZES if size <= highest)


def _other_queries(plan: Plan, harvest: Harvest) -> Iterator[Request]:
    """Optional parameters that the measured requests leave out, and other values for those that they carry."""
    for parameter in query_parameters(plan.endpoint):
        if parameter.name != plan.page_size_parameter:
            for value in _values(parameter, harvest):
                yield with_query(plan.requests[0], parameter.name, value)


def _values(parameter: Parameter, harvest: Harvest) -> list[str]:
    if snake(parameter.name) in _PAGES:
        return ["2", "1"]
    words = [*harvest.words][:2] if parameter.type == "string" and "enum" not in parameter.definition else []
    found = choices(parameter, "", {}, {}, harvest, ("example", "listing", "generated"))
    texts = (str(c.value).lower() if isinstance(c.value, bool) else str(c.value) for c in found)
    return list(dict.fromkeys(chain(texts, words)))[:3]


def wrong_inputs(plan: Plan, count: int = 4) -> list[Request]:
    """A missing id, a value of the wrong type, a page far out of range: each must be answered as the base does."""
    if plan.endpoint.method not in READS or not plan.requests:
        return []
    first = plan.requests[0]
    made_wrong = [*_wrong_paths(plan, first), *_wrong_queries(plan, first)]
    return [request.model_copy(update={"origin": "generated", "expect": None}) for request in made_wrong[:count]]


def _wrong_paths(plan: Plan, first: Request) -> Iterator[Request]:
    path, mark, query = first.target.partition("?")
    values = matched(plan.endpoint, path) or {}
    for parameter in path_parameters(plan.endpoint) if values else ():
        for wrong in (_missing(parameter, values[parameter.name]), "not-a-number"):
            target = filled(plan.endpoint, {**values, parameter.name: wrong}) + mark + query
            yield first.model_copy(update={"target": target})


def _missing(parameter: Parameter, value: str) -> str:
    if value.isdigit():
        return str(_FAR - 1)
    is_uuid = len(value) == 36 and value.count("-") == 4
    return "00000000-0000-4000-8000-000000000000" if is_uuid else "there-is-no-such-thing"


def _wrong_queries(plan: Plan, first: Request) -> Iterator[Request]:
    for parameter in query_parameters(plan.endpoint):
        if parameter.type in ("integer", "number"):
            is_page = snake(parameter.name) in _PAGES
            yield with_query(first, parameter.name, 10**6 if is_page else "not-a-number")
            yield with_query(first, parameter.name, -1)
