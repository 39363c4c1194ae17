"""Values for all parameters of a path at once: `/authors/{author_id}/books/{book_id}` needs a book of that author."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from perfcrew.core.web import Endpoint
from perfcrew.target.requests import generated
from perfcrew.target.requests.harvest import Harvest, Item, keys, noun_of, singular, snake
from perfcrew.target.requests.parameters import Parameter, accepts, path_parameters
from perfcrew.target.requests.refusals import harmful_word
from perfcrew.target.requests.template import matched

Origin = Literal["example", "listing", "generated", "default"]
_ENDINGS = ("id", "pk", "uuid", "guid", "slug", "key", "code", "name", "number", "no")
_FIELDS = {
    "id": ("id", "pk", "_id", "uuid", "guid"),
    "pk": ("pk", "id", "_id", "uuid"),
    "uuid": ("uuid", "guid", "id"),
    "guid": ("guid", "uuid", "id"),
    "": ("slug", "id", "pk", "uuid", "key", "code", "name"),
}
_WIDTH = 24
_CERTAINTY: tuple[Origin, ...] = ("default", "example", "listing", "generated")


@dataclass(frozen=True, slots=True)
class Choice:
    """One value for one parameter, where it comes from, and the item that it was read from."""

    value: Any
    origin: Origin
    item: Item | None = None


@dataclass(frozen=True, slots=True)
class Binding:
    """Values for all parameters of a path; `origin` is the least certain one's."""

    values: dict[str, Any]
    origin: Origin


def least_certain(origins: Iterable[Origin]) -> Origin:
    """The origin that a request has whose values come from all of these."""
    return max(origins, key=_CERTAINTY.index, default="default")


def bindings(endpoint: Endpoint, harvest: Harvest) -> Iterator[Binding]:
    """Bindings in the order of their worth: with examples, from answers, from links, generated ones; none twice."""
    seen = set()
    examples = _joint(endpoint, harvest, ("example", "listing", "generated"))
    answers = _joint(endpoint, harvest, ("listing", "generated"))
    sure = [b for b in [*examples, *answers] if b.origin != "generated"]
    made = _joint(endpoint, harvest, ("generated",))
    unsure = [b for b in [*examples, *answers] if b.origin == "generated"]
    for binding in [*sure, *_linked(endpoint, harvest), *unsure, *made]:
        key = repr(sorted(binding.values.items()))
        if key not in seen:
            seen.add(key)
            yield binding


def _linked(endpoint: Endpoint, harvest: Harvest) -> list[Binding]:
    own = [link for link in harvest.links_of(endpoint) if not harmful_word(link)]
    found = [matched(endpoint, link) for link in own]
    wanted = {p.name: p for p in path_parameters(endpoint)}
    fitting = [f for f in found if f and all(v == "" or accepts(wanted[n].definition, v) for n, v in f.items())]
    return [Binding(dict(values), "listing") for values in spread(fitting, _WIDTH)]


def _joint(endpoint: Endpoint, harvest: Harvest, sources: tuple[str, ...]) -> list[Binding]:
    wanted = list(zip(keys(endpoint), path_parameters(endpoint), strict=True))
    by_first: dict[str, list[Binding]] = {}
    for chosen in itertools.islice(_chosen(wanted, {}, {}, harvest, sources), _WIDTH * _WIDTH):
        values = {name: choice.value for name, choice in chosen.items()}
        origin = least_certain(choice.origin for choice in chosen.values())
        by_first.setdefault(str(next(iter(values.values()), "")), []).append(Binding(values, origin))
    # another parent each time rather than one parent's children, and then not the first child of each
    turned = [found[at % len(found) :] + found[: at % len(found)] for at, found in enumerate(by_first.values())]
    return [binding for one in itertools.zip_longest(*turned) for binding in one if binding is not None]


def _chosen(
    wanted: list[tuple[tuple[str, str], Parameter]],
    bound: dict[str, str],
    chosen: dict[str, Choice],
    harvest: Harvest,
    sources: tuple[str, ...],
) -> Iterator[dict[str, Choice]]:
    """Choose for the first wanted parameter, then for the others in agreement with it."""
    if not wanted:
        yield chosen
        return
    (key, name), parameter = wanted[0]
    for choice in choices(parameter, key, bound, chosen, harvest, sources):
        yield from _chosen(wanted[1:], {**bound, key: str(choice.value)}, {**chosen, name: choice}, harvest, sources)


def choices(
    parameter: Parameter,
    key: str,
    bound: dict[str, str],
    chosen: dict[str, Choice],
    harvest: Harvest,
    sources: tuple[str, ...],
) -> list[Choice]:
    """Values for one parameter from the first of the sources that has any."""
    for source in sources:
        if source == "example":
            found = [Choice(value, "example") for value in parameter.examples]
        elif source == "listing":
            found = [c for c in _read(parameter, key, harvest) if c.item and _agrees(c.item, bound, chosen)]
        else:
            found = [Choice("", "default")] if parameter.may_be_empty else []
            found += [Choice(v, "generated") for v in generated.values(parameter.name, parameter.definition)]
        distinct: dict[str, Choice] = {}
        for choice in found:
            distinct.setdefault(str(choice.value), choice)
        if distinct:
            return spread(list(distinct.values()), _WIDTH)
    return []


def _agrees(item: Item, bound: dict[str, str], chosen: dict[str, Choice]) -> bool:
    """Whether an item belongs below the values chosen so far, by its request and by its own fields."""
    same_request = all(item.bound.get(key, value) == value for key, value in bound.items())
    return same_request and all(
        str(item.fields.get(n, c.value)) == str(c.value) for n, c in chosen.items() if not _is_generic(n)
    )


def _is_generic(name: str) -> bool:
    return snake(name) in _ENDINGS


def _read(parameter: Parameter, key: str, harvest: Harvest) -> list[Choice]:
    """Choices out of the items, those of the very listing before those of the same kind, then equal names.

    Kept by the number of items, since the same are read again below each parent.
    """
    asked = (key, parameter.name, repr(parameter.definition), len(harvest.items))
    found: list[Choice] | None = harvest.read.get(asked)
    if found is None:
        found = harvest.read[asked] = _ranked(parameter, key, harvest)
    return found


def _ranked(parameter: Parameter, key: str, harvest: Harvest) -> list[Choice]:
    ranked: dict[int, list[Choice]] = {0: [], 1: [], 2: []}
    above = key.rpartition("/")[0]
    kinds = {noun_of(above), entity(parameter.name)} - {""}
    own_name = "" if _is_generic(parameter.name) else parameter.name
    for item in harvest.items:
        if item.listed_by and item.listed_by == above:
            rank = 0
        elif item.kind in kinds:
            rank = 1
        elif own_name and own_name in item.fields:
            rank = 2
        else:
            continue
        ranked[rank] += [Choice(value, "listing", item) for value in _values(item, parameter, rank)]
    return [*ranked[0], *ranked[1], *ranked[2]]


def entity(name: str) -> str:
    """What a parameter's name says it identifies: `book` of `book_id` and of `book`; empty for `id` alone."""
    words = snake(name).split("_")
    return singular("_".join(words[:-1] if words[-1] in _ENDINGS else words))


def _values(item: Item, parameter: Parameter, rank: int) -> Iterable[Any]:
    name = snake(parameter.name)
    ending = name.rpartition("_")[2] if name.rpartition("_")[2] in _ENDINGS else ""
    usual = () if rank == 2 else _FIELDS.get(ending, (ending,))
    by_name = {snake(field): value for field, value in item.fields.items()}
    found = [by_name[field] for field in dict.fromkeys([name, *usual, ""]) if field in by_name]
    return [value for value in found if accepts(parameter.definition, value)][:2]


def spread(found: list[Any], count: int) -> list[Any]:
    """At most `count` of them, evenly spread, the first one among them."""
    if len(found) <= count:
        return found
    return [found[position * len(found) // count] for position in range(count)]
