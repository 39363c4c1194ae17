"""Writes a page a rule from its docstring: `python -m perfcrew.rules.pages docs/rules`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from perfcrew.core.errors import UsageError
from perfcrew.rules.catalog import Entry, entries

_SECTION = re.compile(r"^(What it costs|Seen as|Not this|Instead|Confidence|Limits): ", re.MULTILINE)
_THRESHOLDS = """## Thresholds

Under `[rules.{rule}]` in `perfcrew.toml`; the defaults are in `config/rules.yaml`. To silence one finding, write
`# perfcrew: ignore[{rule}] until=2027-03-01 reason=…` on its line, or an `[[acknowledge]]` in `perfcrew.toml`.
"""


def page(entry: Entry) -> str:
    """One rule as Markdown, its sections as headings."""
    parts = _SECTION.split(entry.doc.partition("\n")[2].strip())
    sections = [f"## {name}\n\n{text.strip()}" for name, text in zip(parts[1::2], parts[2::2], strict=True)]
    head = f"# {entry.id}: {entry.title}"
    return "\n\n".join([head, *sections, _THRESHOLDS.format(rule=entry.id)])


def index(found: list[Entry]) -> str:
    """The list of all rules."""
    rows = [f"| [{e.id}]({e.id}.md) | {e.title} | {e.summary} |" for e in found]
    return "\n".join(["# Rules", "", "| rule | what | what it costs |", "|---|---|---|", *rows]) + "\n"


def pages() -> dict[str, str]:
    """File name → text of every page."""
    found = entries()
    return {"README.md": index(found), **{f"{e.id}.md": page(e) for e in found}}


def main(arguments: list[str]) -> int:
    """Writes the pages into the folder that is given. Raises UsageError without one."""
    if len(arguments) != 1:
        raise UsageError("which folder?", do="python -m perfcrew.rules.pages docs/rules")
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
