"""The parameters of an endpoint, and which values they take."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from perfcrew.core.base import Noun
from perfcrew.core.web import Endpoint


class Parameter(Noun):
    """One parameter: where it goes, the JSON schema of its values, and the examples that the document gives."""

    name: str
    place: str
    required: bool
    definition: dict[str, Any]
    examples: tuple[Any, ...] = ()
    spans_segments: bool = False
    may_be_empty: bool = False

    @property
    def type(self) -> str:
        """The JSON type; `string` where none is declared."""
        kind = self.definition.get("type", "string")
        named = next((k for k in kind if k != "null"), "string") if isinstance(kind, list) else kind
        return str(named)


def parameters(endpoint: Endpoint) -> tuple[Parameter, ...]:
    """Path and query parameters of an endpoint; a parameter of the path that nothing describes is a string."""
    listed = endpoint.operation.get("parameters")
    known = [_parameter(p) for p in listed if isinstance(p, dict)] if isinstance(listed, list) else []
    described = {p.name for p in known if p.place == "path"}
    missing = [name for name in re.findall(r"\{([^{}]*)\}", endpoint.path) if name not in described]
    return (*known, *(Parameter(name=n, place="path", required=True, definition={"type": "string"}) for n in missing))


def path_parameters(endpoint: Endpoint) -> tuple[Parameter, ...]:
    """The parameters of the path, in the order of the path."""
    by_name = {p.name: p for p in parameters(endpoint) if p.place == "path"}
    return tuple(by_name[name] for name in re.findall(r"\{([^{}]*)\}", endpoint.path))


def query_parameters(endpoint: Endpoint) -> tuple[Parameter, ...]:
    """The parameters of the query, required or not."""
    return tuple(p for p in parameters(endpoint) if p.place == "query")


def _parameter(listed: Mapping[str, Any]) -> Parameter:
    definition = listed.get("schema")
    if not isinstance(definition, dict):  # Swagger 2 has the schema's keys beside the name
        definition = {
            k: v for k, v in listed.items() if k in ("type", "format", "enum", "minimum", "maximum", "pattern")
        }
    definition = plain(definition)
    return Parameter(
        name=str(listed["name"]),
        place=str(listed.get("in", "query")),
        required=bool(listed.get("required")),
        definition=definition,
        examples=tuple(_examples(listed, definition)),
        spans_segments=listed.get("x-converter") == "path",
        may_be_empty=bool(listed.get("x-may-be-empty")),
    )


def plain(definition: dict[str, Any]) -> dict[str, Any]:
    """The first alternative that is not null, so that `int | None` reads as an integer."""
    for word in ("anyOf", "oneOf", "allOf"):
        choices = [c for c in definition.get(word) or () if isinstance(c, dict) and c.get("type") != "null"]
        if choices:
            outer = {k: v for k, v in definition.items() if k != word}
            return plain({**outer, **choices[0]})
    return definition


def _examples(listed: Mapping[str, Any], definition: Mapping[str, Any]) -> Iterable[Any]:
    """The examples in the order of their worth: of the parameter, of its schema, its default."""
    named = listed.get("examples")
    found = [listed.get("example")]
    found += [e.get("value") for e in named.values() if isinstance(e, dict)] if isinstance(named, dict) else []
    found += [definition.get("example"), *_listed(definition.get("examples")), definition.get("default")]
    return _distinct(value for value in found if value is not None and accepts(definition, value))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _distinct(values: Iterable[Any]) -> list[Any]:
    return list({repr(value): value for value in values}.values())


def accepts(definition: Mapping[str, Any], value: Any) -> bool:
    """Whether a value as found in an answer or a link could be one of this schema, whatever type it came in."""
    text = str(value)
    if isinstance(value, bool | dict | list) or not text or text in (".", ".."):
        return definition.get("type") in ("boolean", "array", "object")
    if "enum" in definition:
        return text in {str(item) for item in definition["enum"]}
    return _fits_type(definition, text) and _fits_text(definition, text)


def _fits_type(definition: Mapping[str, Any], text: str) -> bool:
    kind = definition.get("type")
    if kind not in ("integer", "number"):
        return True
    if not re.fullmatch(r"-?\d+" if kind == "integer" else r"-?\d+(\.\d+)?", text):
        return False
    lowest, highest = definition.get("minimum"), definition.get("maximum")
    return (lowest is None or float(text) >= lowest) and (highest is None or float(text) <= highest)


def _fits_text(definition: Mapping[str, Any], text: str) -> bool:
    if definition.get("format") == "uuid":
        return _is_uuid(text)
    try:
        return "pattern" not in definition or re.search(definition["pattern"], text) is not None
    except re.error:  # written for another engine of expressions: the target itself will tell
        return True


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
