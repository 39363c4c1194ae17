"""An index in the words of Django's models, for as much as those can say."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from perfcrew.core.indexes import IndexSpec, is_expression
from perfcrew.rules.fixes.models import Model
from perfcrew.rules.fixes.wanted_index import Wanted

_FUNCTIONS = {"lower": "Lower", "upper": "Upper"}
_CALL = re.compile(r'(lower|upper)\("?(\w+)"?\)')
_CONDITION = re.compile(
    r'(?P<no>NOT )?"?(?P<column>\w+)"?(?: (?P<null>IS NULL)| = (?P<value>\'[^\']*\'|\d+|TRUE|FALSE))?'
)
_CLASSES = {
    "gin": ("django.contrib.postgres.indexes", "GinIndex"),
    "hnsw": ("pgvector.django", "HnswIndex"),
    "ivfflat": ("pgvector.django", "IvfflatIndex"),
}
Field = Callable[[str], str]


class Said(NamedTuple):
    """`kind` is the class (with the module where it is models'), `rest` its arguments but the name."""

    kind: str
    first: tuple[str, ...]
    rest: tuple[str, ...]
    imports: tuple[tuple[str, str], ...]

    def code(self, name: str, models: str) -> str:
        """The call; `models` is the module's name for django.db.models."""
        kind = f"{models}.Index" if self.kind == "Index" else self.kind
        rest = [part.replace("models.Q(", f"{models}.Q(") for part in self.rest]
        return f"{kind}({', '.join([*self.first, f'name={chr(34)}{name}{chr(34)}', *rest])})"


def said(model: Model, index: Wanted, field: Field) -> Said | None:
    """None for what only SQL can say. Raises Unwritable for a column that the model doesn't have."""
    spec = index.spec
    first = _keys(spec, field)
    condition = _condition(spec.where, model, field) if spec.where else ""
    if first is None or condition is None or (spec.expressions and spec.opclass):
        return None
    rest = [f"include=[{', '.join(_text(field(c)) for c in spec.include)}]"] if spec.include else []
    rest += [f"condition={condition}"] if condition else []
    rest += [f"opclasses=[{', '.join(_text(spec.opclass) for _ in spec.keys)}]"] if spec.opclass else []
    rest += [f"{name}={value}" for name, value in spec.parameters]
    imports = {("django.db.models.functions", f) for f in _functions(spec)}
    kind = _CLASSES.get(spec.using)
    if kind is not None:
        imports.add(kind)
    return Said(kind[1] if kind else "Index", first, tuple(rest), tuple(sorted(imports)))


def _keys(spec: IndexSpec, field: Field) -> tuple[str, ...] | None:
    if not spec.expressions:
        return (f"fields=[{', '.join(_text(field(k)) for k in spec.keys)}]",)
    keys = []
    for key in spec.keys:
        call = _CALL.fullmatch(key)
        if call is None and is_expression(key):
            return None
        keys.append(f"{_FUNCTIONS[call[1]]}({_text(field(call[2]))})" if call else f"models.F({_text(field(key))})")
    return tuple(keys) if not any("models.F" in k for k in keys) else None


def _functions(spec: IndexSpec) -> list[str]:
    return [_FUNCTIONS[call[1]] for key in spec.expressions if (call := _CALL.fullmatch(key))]


def _condition(where: str, model: Model, field: Field) -> str | None:
    found = _CONDITION.fullmatch(where)
    if found is None or (found["no"] and found["value"]):
        return None
    name = field(found["column"])
    if found["null"]:
        return f"models.Q({name}__isnull={not found['no']})"
    value = found["value"]
    if value is None or value in ("TRUE", "FALSE"):
        return f"models.Q({name}={value == 'TRUE' if value else not found['no']})"
    return f"models.Q({name}={_text(value[1:-1]) if value.startswith(chr(39)) else value})"


def _text(value: str) -> str:
    return f'"{value}"'
