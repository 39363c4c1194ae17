"""Which query parameter bounds a listing, found by asking for one item and for two."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

from perfcrew.core.web import Endpoint, Request
from perfcrew.target.client import Client
from perfcrew.target.requests.harvest import snake
from perfcrew.target.requests.parameters import Parameter, query_parameters
from perfcrew.target.requests.trying import Tried, tried

_NAMES = (
    "limit page_size per_page size page_limit pagesize perpage max_results results_per_page take first top count rows n"
)
_RANK = {name: at for at, name in enumerate(_NAMES.split())}
_UNDECLARED = ("limit", "page_size", "per_page", "size")


def with_query(request: Request, name: str, value: object) -> Request:
    """The request with this query parameter set, and only once."""
    path, _, query = request.target.partition("?")
    pairs = [(n, v) for n, v in parse_qsl(query, keep_blank_values=True) if n != name]
    return request.model_copy(update={"target": f"{path}?{urlencode([*pairs, (name, str(value))])}"})


async def page_size_parameter(client: Client, endpoint: Endpoint, accepted: list[Tried]) -> str | None:
    """The parameter that really changes how many items are listed, None where there is none, or too few items."""
    if endpoint.method != "GET":
        return None
    for one in accepted:
        items = one.fingerprint.items
        if items is not None and items >= 2:
            for parameter in _promising(endpoint):
                if await _bounds(client, one.request, parameter, items):
                    return parameter.name
            return None
    return None


def _promising(endpoint: Endpoint) -> list[Parameter]:
    """The declared parameters of such a name; the usual names where nothing declares any parameter."""
    declared = [p for p in query_parameters(endpoint) if p.type == "integer" and snake(p.name) in _RANK]
    if endpoint.source == "openapi" or declared:
        return sorted(declared, key=lambda p: _RANK[snake(p.name)])
    integer = {"type": "integer", "minimum": 1}
    return [Parameter(name=name, place="query", required=False, definition=integer) for name in _UNDECLARED]


async def _bounds(client: Client, request: Request, parameter: Parameter, items: int) -> bool:
    lowest = max(1, int(parameter.definition.get("minimum") or parameter.definition.get("exclusiveMinimum", 0) + 1))
    if lowest > items:
        return False
    sizes = [lowest] if lowest == items else [lowest, lowest + 1]
    counts = [await _count(client, with_query(request, parameter.name, size)) for size in sizes]
    changes = len(sizes) > 1 and items >= sizes[-1]
    return changes and counts == sizes


async def _count(client: Client, request: Request) -> int | None:
    one = await tried(client, request)
    return None if one.failure else one.fingerprint.items
