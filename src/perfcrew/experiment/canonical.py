"""Two JSON values held against each other, path by path, with what may differ left out.

A path names keys and `[]` for any place in a list, so that what is learned of one element holds for all. Order counts
in lists unless the base itself changes it; then elements are paired by the fields that keep their values.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

GAPS_AT_MOST = 100
DEPTH_AT_MOST = 100
_RANDOM_KEY = re.compile(r"\d+|[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}|\d{4}-\d\d.*|[0-9A-Za-z_-]{20,}", re.I)
_NUMBERS = frozenset(("integer", "number"))


@dataclass(frozen=True, slots=True)
class Gap:
    """One thing that differs: `kind` and `path` are what a mask would have to let differ."""

    kind: str
    path: str
    base: str = ""
    change: str = ""

    @property
    def entry(self) -> str:
        return f"{self.kind} {self.path}".rstrip()

    @property
    def told(self) -> str:
        """`length $.items was list of 40, is list of 10`."""
        return f"{self.entry} was {self.base}, is {self.change}"


def shown(value: Any) -> str:
    """A value without a text of the target's: numbers as they are, texts by length and digest."""
    if isinstance(value, str):
        return f"text of {len(value)} characters ({hashlib.sha256(value.encode(errors='replace')).hexdigest()[:6]})"
    if isinstance(value, list):
        return f"list of {len(value)}"
    return f"object of {len(value)} keys" if isinstance(value, dict) else json.dumps(value)


def kind_of(value: Any) -> str:
    """The JSON type; an empty text is a kind of its own, since a value that may differ is hardly ever empty."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else "boolean"
    if isinstance(value, str):
        return "text" if value else "empty text"
    if isinstance(value, int | float):
        return "integer" if isinstance(value, int) else "number"
    return "list" if isinstance(value, list) else "object"


def is_deep(value: Any) -> bool:
    """Whether it is nested deeper than can be walked."""
    level = [value]
    for _ in range(DEPTH_AT_MOST):
        level = [inner for one in level for inner in _inside(one)]
        if not level:
            return False
    return True


def _inside(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def json_gaps(base: Any, change: Any, allowed: frozenset[str]) -> list[Gap]:
    """What differs, but for what `allowed` lets differ: entries such as `value $.items[].at`. The first hundred."""
    walk = _Walk(allowed)
    walk.compare(base, change, "$")
    return walk.gaps


@dataclass
class _Walk:
    allowed: frozenset[str]
    gaps: list[Gap] = field(default_factory=list)

    def may(self, kind: str, path: str) -> bool:
        return f"{kind} {path}" in self.allowed

    def gap(self, kind: str, path: str, base: str, change: str) -> None:
        if not self.may(kind, path) and len(self.gaps) < GAPS_AT_MOST:
            self.gaps.append(Gap(kind, path, base, change))

    def compare(self, base: Any, change: Any, path: str) -> None:
        one, other = kind_of(base), kind_of(change)
        if self.may("type", path) or len(self.gaps) >= GAPS_AT_MOST:
            return
        if one != other and not {one, other} <= _NUMBERS:
            self.gap("type", path, f"{one}: {shown(base)}", f"{other}: {shown(change)}")
        elif one == "object":
            self._objects(base, change, path)
        elif one == "list":
            self._lists(base, change, path)
        elif json.dumps(base) != json.dumps(change):  # 1 is not 1.0 here, as for many who read it, and NaN is NaN
            self.gap("value", path, shown(base), shown(change))

    def _objects(self, base: dict[str, Any], change: dict[str, Any], path: str) -> None:
        apart = base.keys() ^ change.keys()
        if self.may("keys", path):
            self._lists(list(base.values()), list(change.values()), f"{path}.*")
            return
        if apart and all(_RANDOM_KEY.fullmatch(key) for key in apart):
            self.gap("keys", path, shown(base), shown(change))
            return
        for key in sorted(apart):
            self.gap("presence", f"{path}.{key}", *("present" if key in one else "absent" for one in (base, change)))
        for key in (key for key in base if key in change):
            self.compare(base[key], change[key], f"{path}.{key}")

    def _lists(self, base: list[Any], change: list[Any], path: str) -> None:
        if len(base) != len(change) and not self.may("length", path):
            self.gap("length", path, shown(base), shown(change))
            return
        if self.may("order", path) or path.endswith(".*"):
            self._elements(*self._aligned(base, change, f"{path}[]"), path)
            return
        before = len(self.gaps)
        self._elements(base, change, path)
        if len(self.gaps) > before and self._is_reordered(base, change, f"{path}[]"):
            del self.gaps[before:]
            self.gap("order", path, shown(base), "the same in another order")

    def _elements(self, base: list[Any], change: list[Any], path: str) -> None:
        for one, other in zip(base, change, strict=False):
            self.compare(one, other, f"{path}[]")

    def _is_reordered(self, base: list[Any], change: list[Any], path: str) -> bool:
        if len(base) != len(change) or len(base) < 2:
            return False
        one, other = self._keys(base, change, path)
        return one != other and sorted(one) == sorted(other)

    def _aligned(self, base: list[Any], change: list[Any], path: str) -> tuple[list[Any], list[Any]]:
        one, other = self._keys(base, change, path)
        return _sorted_by(base, one), _sorted_by(change, other)

    def _keys(self, base: list[Any], change: list[Any], path: str) -> tuple[list[str], list[str]]:
        """What tells the elements of both lists apart: the fields that hold the same set of values on both sides."""
        one, other = ([self.canonical(value, path) for value in side] for side in (base, change))
        if sorted(one) == sorted(other) or not all(isinstance(value, dict) for value in (*base, *change)):
            return one, other
        kept = self._kept_fields(base, change, path)
        if not kept:
            return one, other
        return tuple(  # type: ignore[return-value]
            ["\x00".join(self.canonical(value[name], f"{path}.{name}") for name in kept) for value in side]
            for side in (base, change)
        )

    def _kept_fields(self, base: list[dict[str, Any]], change: list[dict[str, Any]], path: str) -> list[str]:
        """Those that tell every element apart, where there are such; else all whose values are the same as a whole."""
        kept, telling = [], []
        for name in base[0] if base else ():
            if not all(name in value for value in (*base, *change)):
                continue
            one, other = (sorted(self.canonical(v[name], f"{path}.{name}") for v in side) for side in (base, change))
            if one == other and len(set(one)) > 1:
                kept.append(name)
                telling += [name] if len(set(one)) == len(one) else []
        return telling or kept

    def canonical(self, value: Any, path: str) -> str:
        """The value as a text that is the same for what may not be told apart."""
        if self.may("type", path):
            return "*"
        if isinstance(value, list):
            parts = [self.canonical(inner, f"{path}[]") for inner in value]
            return f"[{','.join(sorted(parts) if self.may('order', path) else parts)}]"
        if isinstance(value, dict):
            return self._canonical_object(value, path)
        return kind_of(value) if self.may("value", path) else json.dumps(value)

    def _canonical_object(self, value: dict[str, Any], path: str) -> str:
        if self.may("keys", path):
            return "{" + ",".join(sorted(self.canonical(inner, f"{path}.*[]") for inner in value.values())) + "}"
        names = sorted(name for name in value if not self.may("presence", f"{path}.{name}"))
        return "{" + ",".join(f"{json.dumps(n)}:" + self.canonical(value[n], f"{path}.{n}") for n in names) + "}"


def _sorted_by(values: list[Any], keys: list[str]) -> list[Any]:
    return [values[at] for at in sorted(range(len(values)), key=keys.__getitem__)]
