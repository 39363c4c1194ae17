"""Values made from a schema: the same ones on each run, plain ones before odd ones."""

from __future__ import annotations

import re
import tempfile
import uuid
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from perfcrew.target.requests.parameters import accepts, plain

_LATE = re.compile(r"(^|_)(end|to|until|before|max)(_|$)", re.I)
_EARLY = re.compile(r"(^|_)(start|from|since|after|min)(_|$)", re.I)
_WORDS = ("a", "the", "test", "one", "new")
_DIGITS = ("1", "2", "2024", "2025", "01", "02")
_KNOWN_FORMATS: dict[str, list[Any]] = {
    "uuid": [str(uuid.UUID(int=n, version=4)) for n in (1, 2, 3)],
    "email": ["someone@example.com", "other@example.com"],
    "uri": ["https://example.com/"],
    "url": ["https://example.com/"],
    "ipv4": ["127.0.0.1"],
    "time": ["12:00:00"],
    "binary": ["x"],
    "password": ["correct-horse-battery-staple"],
}


def values(name: str, definition: Mapping[str, Any], count: int = 3) -> list[Any]:
    """Up to `count` values of this JSON schema, for a parameter or field of this name; empty where none can be made."""
    definition = plain(dict(definition))
    if "const" in definition:
        return [definition["const"]]
    if definition.get("enum"):
        return [value for value in definition["enum"] if value is not None][:count]
    kind = definition.get("type", "string")
    kind = next((k for k in kind if k != "null"), "string") if isinstance(kind, list) else kind
    if kind == "boolean":
        return [True, False][:count]
    if kind in ("integer", "number"):
        return _numbers(definition, count)
    if kind == "array":
        return [[value] for value in values(name, definition.get("items") or {}, count)]
    return [_object(definition)] if kind == "object" else _texts(name, definition, count)


def _object(definition: Mapping[str, Any]) -> dict[str, Any]:
    """The required fields only, each with its example or first value."""
    fields = definition.get("properties") or {}
    made = {}
    for name in definition.get("required") or ():
        field = fields.get(name) or {}
        given = [field[key] for key in ("example", "default") if field.get(key) is not None]
        made[name] = next(iter([*given, *(field.get("examples") or []), *values(name, field, 1)]), None)
    return made


def _numbers(definition: Mapping[str, Any], count: int) -> list[Any]:
    """1, 2, 3 where they are allowed, since ids begin there; from the lower bound upwards otherwise."""
    if "multipleOf" in definition:
        return _drawn(dict(definition), count)
    lowest = _bound(definition, "minimum", "exclusiveMinimum", 1)
    highest = _bound(definition, "maximum", "exclusiveMaximum", -1)
    first = max(1, lowest) if lowest is not None else 1
    if highest is not None and highest < first:
        first = lowest if lowest is not None else highest - count + 1
    numbers = [first + step for step in range(count)]
    return [number for number in numbers if highest is None or number <= highest]


def _bound(definition: Mapping[str, Any], inclusive: str, exclusive: str, step: int) -> Any:
    """The bound as a value that is allowed; OpenAPI 3.0 has the exclusive one as a flag beside the other."""
    value, beyond = definition.get(inclusive), definition.get(exclusive)
    if beyond is True and value is not None:
        return value + step
    return beyond + step if beyond is not None and not isinstance(beyond, bool) else value


def _texts(name: str, definition: Mapping[str, Any], count: int) -> list[Any]:
    kind = definition.get("format")
    if kind in ("date", "date-time"):
        return [day if kind == "date" else f"{day}T00:00:00Z" for day in _days(name)][:count]
    if kind in _KNOWN_FORMATS:
        return _KNOWN_FORMATS[kind][:count]
    if "pattern" in definition or kind:
        fitting = [] if kind else [word for word in (*_WORDS, *_DIGITS) if accepts(definition, word)]
        return fitting[:count] or _drawn(dict(definition), count)
    shortest, longest = definition.get("minLength", 1), definition.get("maxLength", 64)
    padded = [word.ljust(shortest, "a") for word in _WORDS]
    return [word for word in padded if len(word) <= longest][:count]


def _days(name: str) -> list[str]:
    if _EARLY.search(name):
        return ["2000-01-01"]
    return ["2100-01-01"] if _LATE.search(name) else ["2024-01-15", "2025-01-15", "2026-01-15"]


def _drawn(definition: dict[str, Any], count: int) -> list[Any]:
    """Values by hypothesis-jsonschema, for what has no plain values; empty where it can make none."""
    with _elsewhere(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what it can't draw, an empty list tells
        found = _examples(definition, count * 4)
    return [v for v in dict.fromkeys(found) if str(v).isprintable() and str(v).strip()][:count]


def _examples(definition: dict[str, Any], count: int) -> list[Any]:
    """Imported here because it is slow to import and seldom needed; and it writes files when it is imported."""
    import hypothesis
    from hypothesis import HealthCheck, Phase
    from hypothesis_jsonschema import from_schema

    definition = {"maxLength": 32, **definition, "type": definition.get("type", "string")}
    found: list[Any] = []

    def keep(value: Any) -> None:
        found.append(value)

    settings = hypothesis.settings(
        max_examples=count,
        database=None,
        derandomize=True,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    try:
        settings(hypothesis.given(from_schema(definition))(keep))()
    except (hypothesis.errors.HypothesisException, re.error, ValueError, TypeError):
        return []  # the target's schema has no value, or a pattern of another engine: there is nothing to try
    return found


@contextmanager
def _elsewhere() -> Iterator[None]:
    """Keep hypothesis from writing its files into the current folder, which may be the target's tree."""
    from hypothesis import configuration

    home = configuration.storage_directory(intent_to_write=False).path
    with tempfile.TemporaryDirectory(prefix="perfcrew-hypothesis-") as folder:
        configuration.set_hypothesis_home_dir(folder)
        try:
            yield
        finally:
            configuration.set_hypothesis_home_dir(home)
