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
    """What scenarios and recordings hold, by endpoint key; `added` are endpoints that only they name."""

    scenarios: dict[str, list[Candidate]]
    recordings: dict[str, list[Candidate]]
    added: tuple[Endpoint, ...]


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
    return Given(found.scenarios, found.recordings, tuple(added))


def made(endpoint: Endpoint, harvest: Harvest) -> Iterator[Candidate]:
    """Requests made from examples, answers and schemas. Nothing where a parameter has no value at all."""
    queries = list(_queries(endpoint, harvest))
    bodies = list(_bodies(endpoint))
    for at, binding in enumerate(bindings(endpoint, harvest)):
        for query in queries if not binding.values else queries[at % len(queries) :][:1] if queries else []:
            body = bodies[at % len(bodies)] if bodies else _Body()
            origin = least_certain((binding.origin, query.origin))
            yield Candidate(
                Request(
                    endpoint=endpoint.key,
                    method=endpoint.method,
                    target=filled(endpoint, binding.values) + query.text,
                    headers=body.headers,
                    body=body.text,
                    origin=origin,
                ),
                {**{f"{{{name}}}": v for name, v in binding.values.items()}, **query.values},
            )


@dataclass(frozen=True, slots=True)
class _Query:
    text: str
    values: dict[str, Any]
    origin: Origin


def _queries(endpoint: Endpoint, harvest: Harvest) -> Iterator[_Query]:
    """Queries with every required parameter; one empty query where none is required."""
    required = [p for p in query_parameters(endpoint) if p.required]
    listed = [_query_choices(p, harvest) for p in required]
    rounds = max((len(found) for found in listed), default=1)
    if not all(listed):
        return
    for at in range(min(rounds, 8)):
        picked = {p.name: found[at % len(found)] for p, found in zip(required, listed, strict=True)}
        values = {name: choice.value for name, choice in picked.items()}
        origin = least_certain(c.origin for c in picked.values())
        yield _Query(_encoded(values), values, origin)


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


def _bodies(endpoint: Endpoint) -> Iterator[_Body]:
    """Bodies as JSON or as a form, by the examples of the document, then by its schema."""
    wanted = endpoint.operation.get("requestBody")
    content = wanted.get("content") if isinstance(wanted, dict) else None
    for kind, media in content.items() if isinstance(content, dict) else ():
        if kind in ("application/json", "application/x-www-form-urlencoded") and isinstance(media, dict):
            for value in itertools.islice(_body_values(media), 5):
                text = json.dumps(value) if kind == "application/json" else urlencode(value, doseq=True)
                yield _Body(text, {"Content-Type": kind})


def _body_values(media: dict[str, Any]) -> Iterator[Any]:
    named = media.get("examples")
    definition = media.get("schema") if isinstance(media.get("schema"), dict) else {}
    assert isinstance(definition, dict)
    listed = definition.get("examples")
    found = [media.get("example"), definition.get("example"), *(listed if isinstance(listed, list) else [])]
    found += [e.get("value") for e in named.values() if isinstance(e, dict)] if isinstance(named, dict) else []
    yield from (value for value in found if value is not None)
    yield from generated.values("body", definition)
