"""Requests that an endpoint might answer, in the order in which they are tried."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from perfcrew.core.project import Project, ScenarioRequest
from perfcrew.core.web import Endpoint, Request
from perfcrew.target.requests import generated
from perfcrew.target.requests.bindings import Choice, Origin, bindings, choices, least_certain, spread
from perfcrew.target.requests.harvest import Harvest, snake
from perfcrew.target.requests.parameters import Parameter, accepts, query_parameters
from perfcrew.target.requests.recorded import Recorded
from perfcrew.target.requests.template import filled, owner

_SEARCHES = ("q", "query", "search", "term", "text", "keyword", "keywords", "s")
_COMBINATIONS = 1024
_QUERIES = 8


@dataclass(frozen=True, slots=True)
class Candidate:
    """A request to be tried; `values` are those that were chosen, for the reason where it fails."""

    request: Request
    values: dict[str, Any] = field(default_factory=dict)


def of_scenario(endpoint: Endpoint, wanted: ScenarioRequest) -> Candidate:
    """A request of perfcrew.toml, as it stands there."""
    is_json = wanted.json_body is not None
    headers = {**({"Content-Type": "application/json"} if is_json else {}), **wanted.headers}
    return Candidate(
        Request(
            endpoint=endpoint.key,
            method=wanted.method.upper(),
            target=wanted.path,
            headers=headers,
            body=json.dumps(wanted.json_body) if is_json else wanted.body,
            origin="scenario",
            expect=wanted.expect,
        )
    )


def of_recorded(endpoint: Endpoint, recorded: Recorded) -> Candidate:
    """A request of a recording."""
    return Candidate(
        Request(
            endpoint=endpoint.key,
            method=recorded.method,
            target=recorded.target,
            headers=recorded.headers,
            body=recorded.body,
            origin=recorded.origin,
        )
    )


@dataclass(frozen=True)
class Given:
    """What scenarios and recordings hold, by endpoint key; `added` are endpoints that only they name.

    `logged` says how often the access log has an endpoint.
    """

    scenarios: dict[str, list[Candidate]]
    recordings: dict[str, list[Candidate]]
    added: tuple[Endpoint, ...]
    logged: dict[str, int] = field(default_factory=dict)


def given(project: Project, endpoints: Iterable[Endpoint], recorded: Iterable[Recorded]) -> Given:
    """Sort the requests of the scenarios and the recordings to the endpoints that answer them."""
    known = list(endpoints)
    found, added = Given({}, {}, ()), []
    for wanted in (request for scenario in project.scenarios for request in scenario.requests):
        path = wanted.path.partition("?")[0]
        endpoint = owner(known, wanted.method.upper(), path)
        if endpoint is None:
            endpoint = Endpoint(method=wanted.method.upper(), path=path, source="scenario")
            known.append(endpoint)
            added.append(endpoint)
        found.scenarios.setdefault(endpoint.key, []).append(of_scenario(endpoint, wanted))
    for one in recorded:
        endpoint = owner(known, one.method, one.path)
        if endpoint is not None:
            found.recordings.setdefault(endpoint.key, []).append(of_recorded(endpoint, one))
            times = one.times if one.origin == "access-log" else 0
            found.logged[endpoint.key] = found.logged.get(endpoint.key, 0) + times
    return Given(found.scenarios, found.recordings, tuple(added), found.logged)


def made(endpoint: Endpoint, harvest: Harvest) -> Iterator[Candidate]:
    """Requests made from examples, answers and schemas. Nothing where a parameter has no value at all."""
    queries = list(_queries(endpoint, harvest))
    bodies = list(_bodies(endpoint)) or [_Body()]
    varied = list(itertools.product(queries, bodies))
    for at, binding in enumerate(bindings(endpoint, harvest)):
        # with ids in the path another id each time; without, each query and body in turn
        for query, body in varied[at % len(varied) :][:1] if binding.values and varied else varied:
            yield Candidate(
                Request(
                    endpoint=endpoint.key,
                    method=endpoint.method,
                    target=filled(endpoint, binding.values) + query.text,
                    headers=body.headers,
                    body=body.text,
                    origin=least_certain((binding.origin, query.origin, body.origin)),
                ),
                {**{f"{{{name}}}": v for name, v in binding.values.items()}, **query.values},
            )


@dataclass(frozen=True, slots=True)
class _Query:
    text: str
    values: dict[str, Any]
    origin: Origin


def _queries(endpoint: Endpoint, harvest: Harvest) -> Iterator[_Query]:
    """Queries with every required parameter, the likeliest values first; one empty query where none is required."""
    required = [p for p in query_parameters(endpoint) if p.required]
    listed = [list(enumerate(_query_choices(p, harvest)[:4])) for p in required]
    combined = itertools.islice(itertools.product(*listed), _COMBINATIONS)
    for ranked in sorted(combined, key=lambda one: sum(rank for rank, _ in one))[:_QUERIES]:
        values = {p.name: choice.value for p, (_, choice) in zip(required, ranked, strict=True)}
        yield _Query(_encoded(values), values, least_certain(choice.origin for _, choice in ranked))


def _encoded(values: dict[str, Any]) -> str:
    written = {name: str(v).lower() if isinstance(v, bool) else v for name, v in values.items()}
    return f"?{urlencode(written, doseq=True)}" if written else ""


def _query_choices(parameter: Parameter, harvest: Harvest) -> list[Choice]:
    if not parameter.examples and snake(parameter.name) in _SEARCHES:
        words = [w for w in harvest.words if accepts(parameter.definition, w)]
        if words:
            return [Choice(word, "listing") for word in spread(words, 5)]
    return choices(parameter, "", {}, {}, harvest, ("example", "listing", "generated"))


@dataclass(frozen=True, slots=True)
class _Body:
    text: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    origin: Origin = "default"


def _bodies(endpoint: Endpoint) -> Iterator[_Body]:
    """Bodies as JSON or as a form, by the examples of the document, then by its schema."""
    wanted = endpoint.operation.get("requestBody")
    content = wanted.get("content") if isinstance(wanted, dict) else None
    for kind, media in content.items() if isinstance(content, dict) else ():
        if kind in ("application/json", "application/x-www-form-urlencoded") and isinstance(media, dict):
            for choice in _body_choices(media)[:5]:
                if kind == "application/json":
                    yield _Body(json.dumps(choice.value), {"Content-Type": kind}, choice.origin)
                elif isinstance(choice.value, dict):
                    yield _Body(urlencode(choice.value, doseq=True), {"Content-Type": kind}, choice.origin)


def _body_choices(media: dict[str, Any]) -> list[Choice]:
    definition = media.get("schema")
    definition = definition if isinstance(definition, dict) else {}
    named, listed = media.get("examples"), definition.get("examples")
    found = [media.get("example"), definition.get("example"), *(listed if isinstance(listed, list) else [])]
    found += [e.get("value") for e in named.values() if isinstance(e, dict)] if isinstance(named, dict) else []
    given = [Choice(value, "example") for value in found if value is not None]
    return given + [Choice(value, "generated") for value in generated.values("body", definition)]
