"""Path templates: `/books/{book_id}` matched against paths, and filled."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from urllib.parse import quote, unquote

from perfcrew.core.web import Endpoint
from perfcrew.target.requests.parameters import path_parameters

_PARAMETER = re.compile(r"\{([^{}]*)\}")


def names(template: str) -> tuple[str, ...]:
    """The names of the parameters, in their order."""
    return tuple(_PARAMETER.findall(template))


def shape(template: str) -> str:
    """The template without its parameters' names and without a slash at its end."""
    return _PARAMETER.sub("{}", template).rstrip("/")


@lru_cache(maxsize=4096)
def _expression(template: str, spanning: frozenset[str], optional: frozenset[str]) -> re.Pattern[str]:
    parts = _PARAMETER.split(template.rstrip("/"))
    groups = [f"({'.' if p in spanning else '[^/]'}{'*' if p in optional else '+'})" for p in parts]
    pieces = [groups[at] if at % 2 else re.escape(part) for at, part in enumerate(parts)]
    return re.compile("".join(pieces) + "/?")


def matched(endpoint: Endpoint, path: str) -> dict[str, str] | None:
    """The values of the endpoint's parameters in this path, None where it is another endpoint's."""
    known = path_parameters(endpoint)
    spanning = frozenset(p.name for p in known if p.spans_segments)
    optional = frozenset(p.name for p in known if p.may_be_empty)
    found = _expression(endpoint.path, spanning, optional).fullmatch(path)
    if found is None:
        return None
    return {name: unquote(value) for name, value in zip(names(endpoint.path), found.groups(), strict=True)}


def owner(endpoints: Iterable[Endpoint], method: str, path: str) -> Endpoint | None:
    """The endpoint that answers this path: the one with the most fixed text where several match."""
    matching = [e for e in endpoints if e.method == method and matched(e, path) is not None]
    return max(matching, key=lambda e: (len(shape(e.path).replace("{}", "")), -e.path.count("{")), default=None)


def filled(endpoint: Endpoint, values: Mapping[str, object]) -> str:
    """The path with these values, quoted; slashes are kept where the parameter spans segments."""
    spanning = {p.name for p in path_parameters(endpoint) if p.spans_segments}
    return _PARAMETER.sub(
        lambda m: quote(str(values[m[1]]), safe="/" if m[1] in spanning else ""),
        endpoint.path,
    )
