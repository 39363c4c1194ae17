"""Pages and other texts held against each other: white space does not count where a browser would not show it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from difflib import SequenceMatcher
from html.parser import HTMLParser
from typing import NamedTuple

from perfcrew.experiment.canonical import GAPS_AT_MOST, Gap, shown

_VOID_TAGS = "area base br col embed hr img input link meta param source track wbr"
_VOID = frozenset(_VOID_TAGS.split())
_VERBATIM = frozenset(("pre", "textarea"))
_DEPTH = 6
_STACK = 64
_MATCHED_AT_MOST = 2000
_LONG = 80
_VOLATILE = re.compile(r"[\w+/=:.-]*\d[\w+/=:.-]*|[\w+/=.-]{12,}")


class Event(NamedTuple):
    """A piece of a page: a tag, an attribute (`form/input[csrf]@value`) or a text, and what it says."""

    path: str
    value: str


def page_gaps(base: str, change: str, allowed: frozenset[str]) -> list[Gap]:
    """What differs between two pages, but for what `allowed` lets differ."""
    one, other = (_reduced(events(page), allowed) for page in (base, change))
    if one == other:
        return []
    if [event.path for event in one] == [event.path for event in other]:
        found: Iterator[Gap] = (_gap(a, b) for a, b in zip(one, other, strict=True) if a != b)
    else:
        found = _presences(one, other)
    return list({gap.entry: gap for gap in found}.values())[:GAPS_AT_MOST]


def text_gaps(base: str, change: str, allowed: frozenset[str]) -> list[Gap]:
    """Whether two texts differ. `words` is the lesser gap: only numbers and what looks random differ."""
    if base == change or "text" in allowed:
        return []
    same_words = skeleton(base) == skeleton(change)
    if same_words and "words" in allowed:
        return []
    return [Gap("words" if same_words else "text", "", shown(base), shown(change))]


def skeleton(text: str) -> str:
    """The text with everything that carries a digit, and every long run of letters, as `#`."""
    return _VOLATILE.sub("#", text)


def events(page: str) -> list[Event]:
    """The page in its order, as what it shows and says."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    return reader.found


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[Event] = []
        self._stack: list[str] = []
        self._verbatim = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        path = self._below(tag + _mark(dict(attrs)))
        self.found.append(Event(path, "<>"))
        self.found += [Event(f"{path}@{name}", value or "") for name, value in sorted(attrs, key=lambda pair: pair[0])]
        if tag not in _VOID and len(self._stack) < _STACK:
            self._stack.append(tag + _mark(dict(attrs)))
            self._verbatim += tag in _VERBATIM

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        at = next((i for i in range(len(self._stack) - 1, -1, -1) if _tag(self._stack[i]) == tag), None)
        if at is not None:
            self._verbatim -= sum(_tag(one) in _VERBATIM for one in self._stack[at:])
            del self._stack[at:]

    def handle_data(self, data: str) -> None:
        text = data if self._verbatim else " ".join(data.split())
        if text:
            self.found.append(Event(self._below("text"), text))

    def handle_decl(self, decl: str) -> None:
        self.found.append(Event("doctype", " ".join(decl.lower().split())))

    def _below(self, last: str) -> str:
        return "/".join([*self._stack[-_DEPTH:], last])


def _tag(entry: str) -> str:
    return re.split(r"[\[#]", entry, maxsplit=1)[0]


def _mark(attributes: dict[str, str | None]) -> str:
    """What tells the tag from its like and was hardly made up for this answer."""
    for name in ("name", "id"):
        value = attributes.get(name)
        if value and not re.search(r"\d", value) and len(value) < 40:
            return f"[{value}]"
    return ""


def _reduced(found: list[Event], allowed: frozenset[str]) -> list[Event]:
    kept = (event for event in found if f"presence {event.path}" not in allowed)
    return [Event(path, _said(path, value, allowed)) for path, value in kept]


def _said(path: str, value: str, allowed: frozenset[str]) -> str:
    if f"value {path}" in allowed:
        return "*"
    return skeleton(value) if f"words {path}" in allowed else value


def _gap(base: Event, change: Event) -> Gap:
    """A long text in which only numbers differ, such as a script with a nonce, is not given up as a whole."""
    is_words = len(base.value) > _LONG and skeleton(base.value) == skeleton(change.value)
    return Gap("words" if is_words else "value", base.path, shown(base.value), shown(change.value))


def _presences(one: list[Event], other: list[Event]) -> Iterator[Gap]:
    """The pieces that only one of them has, and how often each of the pages holds their like."""
    counts = [Counter(event.path for event in side) for side in (one, other)]
    for path in _apart(one, other):
        base, change = (f"there {count[path]} times" for count in counts)
        told = ("another structure", "another structure") if base == change else (base, change)
        yield Gap("presence", path, *told)


def _apart(one: list[Event], other: list[Event]) -> list[str]:
    """The paths of the pieces that only one of them has."""
    a, b = ([event.path for event in side] for side in (one, other))
    start = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    a, b = a[start:], b[start:]
    while a and b and a[-1] == b[-1]:
        a.pop()
        b.pop()
    if max(len(a), len(b)) > _MATCHED_AT_MOST:
        return sorted({*a, *b})
    steps = SequenceMatcher(None, a, b, autojunk=False).get_opcodes()
    return sorted({path for step, i, j, k, m in steps if step != "equal" for path in (*a[i:j], *b[k:m])})
