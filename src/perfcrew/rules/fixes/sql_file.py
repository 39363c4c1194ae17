"""An index as plain SQL with its roll-back, where the project has no tool for migrations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from perfcrew.rules.fixes.edits import Unwritable
from perfcrew.rules.fixes.wanted_index import Wanted

_SKIPPED = {"node_modules", "site-packages", ".venv", "venv", ".git", ".perfcrew"}
_NUMBERED = re.compile(r"^(\d+)([_-])(.*?)((?:\.(?:up|down))?\.sql)$")


def files(root: Path, index: Wanted) -> dict[str, str]:
    """A migration beside the project's own numbered ones, or a script; and the schema file, where there is one.

    On PostgreSQL it is built and dropped CONCURRENTLY, alone in its file: that can't be done in a transaction.
    """
    made, dropped = f"{index.made(index.concurrently)};", f"{index.dropped(index.concurrently)};"
    found = list(_scripts(root))
    numbered = [p for p in found if _NUMBERED.match(p.name)]
    creating = [p for p in found if p not in numbered and _creates(p, index.table)]
    written = _numbered(root, numbered, index, made, dropped) if numbered else _script(index, made, dropped)
    if len(creating) == 1:
        old = creating[0].read_text(encoding="utf-8")
        if index.name in old:
            raise Unwritable(f"{creating[0].name} makes {index.name} by now")
        written[creating[0].relative_to(root).as_posix()] = f"{old.rstrip()}\n\n{index.made()};\n"
    return written


def _scripts(root: Path) -> Iterator[Path]:
    for path in sorted(root.rglob("*.sql")):
        if not _SKIPPED.intersection(path.relative_to(root).parts) and path.stat().st_size < 1_000_000:
            yield path


def _creates(path: Path, table: str) -> bool:
    text = path.read_text(encoding="utf-8", errors="replace")
    return (
        re.search(rf"CREATE\s+TABLE\s+(IF\s+NOT\s+EXISTS\s+)?[\"`\[]?(\w+\.)?{re.escape(table)}\b", text, re.I)
        is not None
    )


def _script(index: Wanted, made: str, dropped: str) -> dict[str, str]:
    return {f"migrations/{index.name}.sql": f"{made}\n\n-- To roll back:\n-- {dropped}\n"}


def _numbered(root: Path, numbered: list[Path], index: Wanted, made: str, dropped: str) -> dict[str, str]:
    last = max(numbered, key=lambda p: int(p.name.split("_")[0].split("-")[0]))
    match = _NUMBERED.match(last.name)
    assert match is not None
    stem = f"{int(match[1]) + 1:0{len(match[1])}d}{match[2]}{index.name}"
    folder = last.parent.relative_to(root).as_posix()
    text = last.read_text(encoding="utf-8", errors="replace")
    if match[4] in (".up.sql", ".down.sql"):
        return {f"{folder}/{stem}.up.sql": f"{made}\n", f"{folder}/{stem}.down.sql": f"{dropped}\n"}
    if "-- migrate:up" in text:
        apart = " transaction:false" if index.concurrently else ""
        text = f"-- migrate:up{apart}\n{made}\n\n-- migrate:down{apart}\n{dropped}\n"
        return {f"{folder}/{stem}.sql": text}
    return {f"{folder}/{stem}.sql": f"{made}\n\n-- To roll back:\n-- {dropped}\n"}
