"""Markdown: escaping what is data, tables, and lists that are cut with a count of what is left out."""

from __future__ import annotations

import re
from collections.abc import Sequence

from perfcrew.core.prose import Prose

_CODE = re.compile(r"(`[^`]*`)")


def escape(text: str) -> str:
    """One line of text that can't become markup: HTML, a table's bar, a link; inline code stays code."""
    flat = " ".join(text.split())
    parts = _CODE.split(flat)
    return "".join(p.replace("|", "\\|") if n % 2 else _plain(p) for n, p in enumerate(parts))


def _plain(text: str) -> str:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|").replace("](", "]\\(")
    return re.sub(r"([*_]{2,}|^#)", lambda m: "".join("\\" + c for c in m.group(0)), escaped)


def inline(prose: Prose) -> str:
    """A text in one line."""
    return escape(prose.text)


def words_of(model: str, prose: Prose) -> list[str]:
    """A text that a model wrote, and which; nothing where there is none."""
    return [f"*In the words of {escape(model) or 'a model'}:* {inline(prose)}", ""] if prose.text else []


def hidden(count: int, one: str, many: str, where: str) -> list[str]:
    """The line that says how many were left out; nothing where none was."""
    return [f"*{count} more {one if count == 1 else many} {where}.*", ""] if count > 0 else []


def bounded(items: Sequence[str], most: int) -> list[str]:
    """The first items, and how many more there are."""
    left = len(items) - most
    return [*items[:most], f"- and {left} more"] if left > 0 else list(items)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], most: int) -> list[str]:
    """A table of at most so many rows, and how many more there are."""
    drawn = ["| " + " | ".join(cells) + " |" for cells in rows[:most]]
    rule = "|" + "---|" * len(heads)
    left = hidden(len(rows) - most, "row stands", "rows stand", "in the JSON report")
    return ["| " + " | ".join(heads) + " |", rule, *drawn, "", *left]


def fenced(text: str, language: str = "") -> list[str]:
    """Code in a fence that no fence in it can end."""
    longest = max((len(m) for m in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}{language}", *text.rstrip("\n").splitlines(), fence]
