"""Whose answers hold the ids that an endpoint's path takes: the listings above it, and those that name the same thing.

Where only a few endpoints are wanted, these are asked before them, and nothing else is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import takewhile

from perfcrew.core.web import Endpoint
from perfcrew.target.requests.bindings import entity
from perfcrew.target.requests.harvest import keys, noun_of
from perfcrew.target.requests.parameters import parameters

AT_A_TIME = 8
ROUNDS = 3
"""After so many are asked in vain, the ids stand nowhere: values are generated then."""


def needs_values(endpoint: Endpoint) -> bool:
    """Whether a request to it takes a value that stands in another's answer."""
    return any(p.required for p in parameters(endpoint))


def suppliers(wanted: Sequence[Endpoint], known: Iterable[Endpoint]) -> list[list[Endpoint]]:
    """Rounds of endpoints to ask for the wanted ones' ids, the likeliest first; within a round, parents first."""
    hungry = [e for e in wanted if needs_values(e)]
    others = [e for e in known if e.method == "GET" and e not in wanted] if hungry else []
    ranked = sorted(others, key=lambda e: (*max(_likeness(e, one) for one in hungry), -_count(e)), reverse=True)
    rounds = [ranked[at : at + AT_A_TIME] for at in range(0, len(ranked), AT_A_TIME)][:ROUNDS]
    return [sorted(one, key=lambda e: (_count(e), e.path)) for one in rounds]


def _likeness(supplier: Endpoint, wanted: Endpoint) -> tuple[bool, int]:
    """Whether it names what a parameter of the other's identifies, and how many parts of the path they share."""
    names_it = noun_of(supplier.path) in _things(wanted) and not supplier.path.endswith("}")
    pairs = zip(_parts(supplier), _parts(wanted), strict=False)
    return names_it, len(list(takewhile(lambda pair: pair[0] == pair[1] or pair[0][:1] == pair[1][:1] == "{", pairs)))


def _things(endpoint: Endpoint) -> set[str]:
    above = {noun_of(key.rpartition("/")[0]) for key, _ in keys(endpoint)}
    return (above | {entity(p.name) for p in parameters(endpoint) if p.required}) - {""}


def _parts(endpoint: Endpoint) -> list[str]:
    return [part for part in endpoint.path.split("/") if part]


def _count(endpoint: Endpoint) -> int:
    return endpoint.path.count("{")
