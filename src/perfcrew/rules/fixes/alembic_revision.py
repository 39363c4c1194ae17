"""A further revision in the project's Alembic folder, named and written as its own are."""

from __future__ import annotations

import ast
import configparser
import hashlib
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from perfcrew.rules import source
from perfcrew.rules.fixes.edits import Unwritable
from perfcrew.rules.fixes.wanted_index import Wanted
from perfcrew.rules.recipes import alembic_arguments
from perfcrew.rules.source import Source, dotted

_WIDTH = 120


class Revision(NamedTuple):
    """A revision file of the project."""

    id: str
    down: tuple[str, ...]
    text: Source


def folder(root: Path) -> Path | None:
    """The folder of the revisions, None where the project has none. Raises Unwritable where it has several."""
    said = [at for ini in sorted(root.rglob("alembic.ini")) if _ours(root, ini) and (at := _configured(ini))]
    found = said or [p.parent / "versions" for p in sorted(root.rglob("env.py")) if _ours(root, p)]
    there = [f for f in dict.fromkeys(found) if f.is_dir()]
    if len(there) > 1:
        raise Unwritable(
            "the project has several folders of Alembic revisions: which of them this table's is can't be told"
        )
    return there[0] if there else None


def _ours(root: Path, path: Path) -> bool:
    return not {"node_modules", "site-packages", ".venv", "venv"}.intersection(path.relative_to(root).parts)


def _configured(ini: Path) -> Path | None:
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(ini.read_text(encoding="utf-8"))
    except (configparser.Error, UnicodeDecodeError):
        return None  # env.py is looked for instead
    location = parser.get("alembic", "script_location", fallback="").replace("%(here)s/", "").replace("%(here)s", ".")
    return ini.parent / location / "versions" if location and ":" not in location else None


def revision(root: Path, index: Wanted) -> tuple[str, str] | None:
    """Path and text of the new revision; None where the project has no Alembic. Raises Unwritable."""
    versions = folder(root)
    if versions is None:
        return None
    known = list(_revisions(versions))
    lower = {d for r in known for d in r.down}
    heads = [r for r in known if r.id not in lower]
    if len(heads) != 1:
        heads_said = ", ".join(sorted(r.id for r in heads)) or "none"
        raise Unwritable(f"Alembic has not one head but: {heads_said}. Merge them first")
    head = heads[0]
    new = _next_id(head, known, index)
    slug = re.sub(r"\W+", "_", f"index {index.said}".lower())[:40].strip("_")
    name = _by_template(root, new, slug) or _file_name(head, new, slug)
    path = (versions / name).relative_to(root).as_posix()
    return path, _text(head, new, index)


def _revisions(versions: Path) -> Iterator[Revision]:
    for path in sorted(versions.rglob("*.py")):
        text = source.read(path)
        values = dict(_constants(text)) if text else {}
        id = values.get("revision")
        if text and isinstance(id, str):
            down = values.get("down_revision")
            many = tuple(down) if isinstance(down, (tuple, list)) else (down,) if down else ()
            yield Revision(id, tuple(str(d) for d in many), text)


def _constants(text: Source) -> Iterator[tuple[str, str | tuple[str, ...] | None]]:
    for statement in text.tree.body:
        if isinstance(statement, (ast.Assign, ast.AnnAssign)) and statement.value is not None:
            target = statement.target if isinstance(statement, ast.AnnAssign) else statement.targets[0]
            if dotted(target) in ("revision", "down_revision"):
                try:
                    yield dotted(target), ast.literal_eval(statement.value)
                except ValueError:
                    raise Unwritable(f"{text.path.name} computes its {dotted(target)}") from None


def _next_id(head: Revision, known: Sequence[Revision], index: Wanted) -> str:
    """The next number where the project counts, else twelve hexadecimal digits that follow from head and index."""
    if head.id.isdigit() and len(head.id) < 8:
        return str(int(head.id) + 1).zfill(len(head.id))
    new = hashlib.sha256(f"{head.id} {index.ddl}".encode()).hexdigest()[:12]
    if any(r.id == new for r in known):
        raise Unwritable("this index has a revision by now")
    return new


def _by_template(root: Path, new: str, slug: str) -> str:
    """As `file_template` in alembic.ini has it, by the clock of now; empty where there is none, or one that fails."""
    for ini in sorted(root.rglob("alembic.ini")):
        if not _ours(root, ini):
            continue
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(ini.read_text(encoding="utf-8"))
            template = parser.get("alembic", "file_template", fallback="").replace("%%", "%")
            return f"{template % _named(new, slug)}.py" if template else ""
        except (configparser.Error, UnicodeDecodeError, KeyError, ValueError, TypeError):
            return ""  # the head's own name is followed instead
    return ""


def _named(new: str, slug: str) -> dict[str, object]:
    now = datetime.now(UTC)
    parts = {part: getattr(now, part) for part in ("year", "month", "day", "hour", "minute", "second")}
    return {"rev": new, "slug": slug, "epoch": int(now.timestamp()), **parts}


def _file_name(head: Revision, new: str, slug: str) -> str:
    """As the head's: its revision first, in between, or not at all in the name."""
    stem = head.text.path.stem
    if stem.startswith(head.id) or head.id not in stem:
        return f"{new}_{slug}.py"
    return f"{stem.partition(head.id)[0]}{new}_{slug}.py"


def _text(head: Revision, new: str, index: Wanted) -> str:
    """A header of the head's own style: annotated where that is, its functions too."""
    old = head.text.text
    typed = bool(re.search(r"^revision\s*:", old, re.M))
    returns = " -> None" if re.search(r"def upgrade\(\)\s*->\s*None", old) else ""
    quote = "'" if re.search(r"^revision(\s*:[^=]*)?\s*=\s*'", old, re.M) else '"'
    q = quote
    return "\n".join(
        [
            f'"""index {index.said}"""',
            "",
            *(["import sqlalchemy as sa"] if index.spec.expressions or index.spec.where else []),
            "from alembic import op",
            "",
            f"revision{': str' if typed else ''} = {q}{new}{q}",
            f"down_revision{': str | None' if typed else ''} = {q}{head.id}{q}",
            "branch_labels = None",
            "depends_on = None",
            "",
            "",
            f"def upgrade(){returns}:",
            *_lines(index, "op.create_index", _created(index, q)),
            "",
            "",
            f"def downgrade(){returns}:",
            *_lines(index, "op.drop_index", _dropped(index, q)),
            "",
        ]
    )


def _lines(index: Wanted, called: str, arguments: Sequence[str]) -> list[str]:
    """Outside of a transaction where it is built CONCURRENTLY; a line an argument where one line is too long."""
    indent = " " * (8 if index.concurrently else 4)
    opening = ["    with op.get_context().autocommit_block():"] if index.concurrently else []
    line = f"{indent}{called}({', '.join(arguments)})"
    if len(line) <= _WIDTH:
        return [*opening, line]
    return [*opening, f"{indent}{called}(", *(f"{indent}    {one}," for one in arguments), f"{indent})"]


def _created(index: Wanted, quote: str) -> list[str]:
    name, table, keys, *more = alembic_arguments(index.spec, index.name, quote)
    return [name, table, keys, "unique=False", *_schema(index, quote), *more, *_without_locks(index)]


def _dropped(index: Wanted, quote: str) -> list[str]:
    named = [f"{quote}{index.name}{quote}", f"table_name={quote}{index.table}{quote}"]
    return [*named, *_schema(index, quote), *_without_locks(index)]


def _schema(index: Wanted, quote: str) -> list[str]:
    return [f"schema={quote}{index.schema}{quote}"] if index.schema else []


def _without_locks(index: Wanted) -> list[str]:
    return ["postgresql_concurrently=True"] if index.concurrently else []
