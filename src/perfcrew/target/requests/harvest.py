"""What the answers tell of ids: the items that they list, the links that they carry, the words in their texts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

from perfcrew.core.web import Endpoint, Request
from perfcrew.target.client import LIST_FIELDS, Answer
from perfcrew.target.requests.template import matched, owner, shape

_DEPTH = 5
_ITEMS_A_LIST = 50
_ITEMS = 20_000
_LINKS = 20_000
_TEXT_FIELDS = ("title", "name", "subject", "headline", "text", "label", "description")
_WRAPPERS = frozenset([*LIST_FIELDS, "node"])
_SCALARS = (str, int, float)


@dataclass(frozen=True, slots=True)
class Item:
    """One object of an answer.

    `kind` is what it is one of, in the singular (`book`); `listed_by` the shape of the listing's path where it stands
    in its main list; `bound` the values that the request had, by the shape of the path up to each.
    """

    fields: dict[str, Any]
    kind: str
    listed_by: str
    bound: dict[str, str]


@dataclass
class Harvest:
    """All that was found so far, in the order of the answers."""

    base_url: str
    endpoints: Sequence[Endpoint] = ()
    items: list[Item] = field(default_factory=list)
    links: dict[str, None] = field(default_factory=dict)
    words: dict[str, None] = field(default_factory=dict)
    owners: dict[str, Endpoint | None] = field(default_factory=dict)
    read: dict[tuple[str, str, str, int], Any] = field(default_factory=dict)
    """Choices read before: see `bindings`."""

    def take(self, endpoint: Endpoint, request: Request, answer: Answer) -> None:
        """Add what one answer of an endpoint tells, and the values that somebody knew to ask it with."""
        path = request.target.partition("?")[0]
        bound = bound_values(endpoint, path)
        if request.origin != "generated":
            self.items += [Item({"": value}, "", key.rpartition("/")[0], bound) for key, value in bound.items()]
        if "json" in answer.content_type:
            self._take_json(endpoint, path, bound, answer)
        elif answer.content_type == "text/html":
            self._link_all(_hrefs(answer.body.decode("utf-8", "replace")), path)

    def links_of(self, endpoint: Endpoint) -> list[str]:
        """The links that this endpoint answers, rather than another one that matches them more closely."""
        matching = [link for link in self.links if matched(endpoint, link) is not None]
        for link in matching:
            if link not in self.owners:
                self.owners[link] = owner(self.endpoints, "GET", link)
        return [link for link in matching if self.owners[link] in (None, endpoint)]

    def _take_json(self, endpoint: Endpoint, path: str, bound: dict[str, str], answer: Answer) -> None:
        try:
            content = answer.json()
        except (ValueError, RecursionError):
            return
        for item in _items(content, endpoint, bound):
            if len(self.items) < _ITEMS:
                self.items.append(item)
            self._take_texts(item.fields, path)

    def _take_texts(self, fields: dict[str, Any], path: str) -> None:
        texts = [value for value in fields.values() if isinstance(value, str)]
        self._link_all([t for t in texts if t.startswith(("/", self.base_url)) and len(t) < 500], path)
        for name in _TEXT_FIELDS:
            found = re.search(r"[A-Za-z]{3,}", str(fields.get(name) or ""))
            if found and len(self.words) < 50:
                self.words.setdefault(found[0].lower())

    def _link_all(self, links: list[str], path: str) -> None:
        for link in links[: _LINKS - len(self.links)]:
            try:
                parts = urlsplit(urljoin(self.base_url + path, link))
            except ValueError:
                continue
            if f"{parts.scheme}://{parts.netloc}" == self.base_url and parts.path:
                self.links.setdefault(parts.path)


def bound_values(endpoint: Endpoint, path: str) -> dict[str, str]:
    """The values of a path's parameters by the shape of the path up to each: `{"/authors/{}": "3"}`."""
    values = matched(endpoint, path) or {}
    return {key: values[name] for key, name in keys(endpoint) if name in values}


def keys(endpoint: Endpoint) -> list[tuple[str, str]]:
    """Shape of the path up to and with each parameter, and the parameter's name."""
    parameters = re.finditer(r"\{([^{}]*)\}", endpoint.path)
    return [(shape(endpoint.path[: parameter.end()]), parameter[1]) for parameter in parameters]


def singular(noun: str) -> str:
    """A plain guess at the singular, the same for both forms: `categories` and `category` are `category`."""
    noun = snake(noun)
    if noun.endswith("ies") and len(noun) > 4:
        return noun[:-3] + "y"
    if noun.endswith(("sses", "xes", "ches", "shes")):
        return noun[:-2]
    return noun[:-1] if noun.endswith("s") and not noun.endswith(("ss", "us", "is")) else noun


def snake(name: str) -> str:
    """`bookId` and `book-id` as `book_id`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("-", "_").lower()


def noun_of(path: str) -> str:
    """What the last fixed part of a path names, in the singular."""
    fixed = [part for part in path.split("/") if part and "{" not in part]
    return singular(fixed[-1]) if fixed else ""


def _items(content: Any, endpoint: Endpoint, bound: dict[str, str]) -> Iterator[Item]:
    listing = shape(endpoint.path)
    waiting: list[tuple[Any, str, str, int]] = [(content, noun_of(endpoint.path), listing, 0)]
    while waiting:
        value, kind, listed_by, depth = waiting.pop(0)
        if isinstance(value, list) and depth <= _DEPTH:
            waiting += [(entry, kind, listed_by, depth + 1) for entry in value[:_ITEMS_A_LIST]]
        elif isinstance(value, dict) and depth <= _DEPTH:
            yield Item({k: v for k, v in value.items() if isinstance(v, _SCALARS)}, kind, listed_by, bound)
            waiting += _inner(value, kind, listed_by, depth)
        elif isinstance(value, _SCALARS) and depth:
            yield Item({"": value}, kind, listed_by, bound)


def _inner(value: dict[str, Any], kind: str, listed_by: str, depth: int) -> list[tuple[Any, str, str, int]]:
    """Objects and lists inside: a wrapper such as `results` is still the main list, other keys name their kind."""
    found = []
    for key, inner in value.items():
        if isinstance(inner, dict | list):
            is_wrapper = depth <= 2 and (key in _WRAPPERS or singular(key) == kind)
            found.append((inner, kind, listed_by, depth + 1) if is_wrapper else (inner, singular(key), "", depth + 1))
    return found


class _Anchors(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found += [value for name, value in attrs if name == "href" and value]


def _hrefs(html: str) -> list[str]:
    parser = _Anchors()
    parser.feed(html)
    return parser.found
