"""Texts of the report as HTML: numbers that lead to their evidence, inline code, and the Markdown of a recipe."""

from __future__ import annotations

import re
from collections.abc import Iterator

from markupsafe import Markup, escape

from perfcrew.core.prose import Figure, Prose

_CODE = re.compile(r"`([^`\n]+)`")
_FENCE = re.compile(r"^(`{3,})\s*([\w-]*)\s*$")
_LIST = re.compile(r"^\s*(?:[-*]|\d+[.)])\s+")


def text(prose: Prose) -> Markup:
    """A text whose numbers are links to their evidence."""
    return _filled(prose, link=True)


def cell(prose: Prose) -> Markup:
    """A text of a table: its numbers say where they come from, and are no stops of the tab key."""
    return _filled(prose, link=False)


def _filled(prose: Prose, *, link: bool) -> Markup:
    out, at = Markup(), 0
    for figure in sorted(prose.figures, key=lambda f: f.start):
        out += words(prose.text[at : figure.start]) + _number(prose, figure, link)
        at = figure.end
    return out + words(prose.text[at:])


def _number(prose: Prose, figure: Figure, link: bool) -> Markup:
    shown = escape(prose.text[figure.start : figure.end].replace(" ", "\u202f"))
    first = figure.refs[0]
    source = f"{figure.derivation} of " * (figure.derivation != "value") + ", ".join(
        f"{r.evidence} {r.field}" for r in figure.refs
    )
    if link:
        return Markup('<a class="n" href="#{}" title="{}">{}</a>').format(first.evidence, source, shown)
    return Markup('<span class="n" title="{}">{}</span>').format(source, shown)


def words(plain: str) -> Markup:
    """Plain text with inline code."""
    parts = _CODE.split(plain)
    return Markup().join(Markup("<code>{}</code>").format(p) if n % 2 else escape(p) for n, p in enumerate(parts))


def recipe(markdown: str) -> Markup:
    """The Markdown of a recipe: paragraphs, lists, fences and inline code; anything else stays the text that it is."""
    return Markup().join(_blocks(markdown.strip().splitlines()))


def _blocks(lines: list[str]) -> Iterator[Markup]:
    at = 0
    while at < len(lines):
        fence = _FENCE.match(lines[at].strip())
        if fence:
            end = next((n for n in range(at + 1, len(lines)) if lines[n].strip() == fence.group(1)), len(lines))
            yield Markup("<pre><code>{}</code></pre>").format("\n".join(lines[at + 1 : end]))
            at = end + 1
            continue
        end = next(
            (n for n in range(at, len(lines)) if not lines[n].strip() or _FENCE.match(lines[n].strip())), len(lines)
        )
        if end > at:
            yield _paragraph(lines[at:end])
        at = max(end, at + 1) if end == at else end


def _paragraph(lines: list[str]) -> Markup:
    if all(_LIST.match(line) for line in lines):
        items = Markup().join(Markup("<li>{}</li>").format(words(_LIST.sub("", line))) for line in lines)
        return Markup("<ul>{}</ul>").format(items)
    return Markup("<p>{}</p>").format(words(" ".join(line.strip().lstrip("# ") for line in lines)))
