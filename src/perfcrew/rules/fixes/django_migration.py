"""An index of a Django model: in its `Meta` and in a migration, so that `makemigrations --check` stays quiet."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from pathlib import Path

from perfcrew.rules import source
from perfcrew.rules.fixes import declared, django_index, imports, project
from perfcrew.rules.fixes.case import Case
from perfcrew.rules.fixes.edits import Edits, Unwritable
from perfcrew.rules.fixes.layout import put
from perfcrew.rules.fixes.models import Model, app_label
from perfcrew.rules.fixes.wanted_index import Wanted
from perfcrew.rules.recipes import quoted
from perfcrew.rules.source import Source, dotted

_LONGEST_NAME = 30


def files(case: Case, model: Model, index: Wanted) -> dict[str, str]:
    """The model's file and the new migration; the migration alone where a model can't say what the index is.

    Raises Unwritable with what stands in the way.
    """
    said = django_index.said(model, index, lambda column: _field(model, column))
    name = index.free(f"{model.name.lower()}_{'_'.join(_words(model, index))}_idx", _LONGEST_NAME)
    if said is None:
        operation = _by_sql(index)
        path, text = _migration(case.root, model, operation, name, (), index.concurrently)
        return {path: text}
    safe = index.concurrently and not _runs_on_sqlite(case.root)
    operation = _by_model(model, said.code(name, "models"), safe)
    path, text = _migration(case.root, model, operation, name, said.imports, safe)
    return {model.text.path.relative_to(case.root).as_posix(): _model_text(model, said, name), path: text}


def _words(model: Model, index: Wanted) -> list[str]:
    """Of its name: fields where columns are keys, then what kind it is."""
    spec, words = index.spec, index.spec.words
    keys = [_field(model, k) if k in spec.columns else w for k, w in zip(spec.keys, words, strict=False)]
    return [*keys, *words[len(keys) :]]


def _runs_on_sqlite(root: Path) -> bool:
    """Whether some settings of the project use SQLite, which has no CONCURRENTLY."""
    return any("django.db.backends.sqlite3" in text.text for text in project.sources(root))


def _by_model(model: Model, made: str, concurrently: bool) -> str:
    called = "AddIndexConcurrently" if concurrently else "migrations.AddIndex"
    return f"""        {called}(
            model_name="{model.name.lower()}",
            index={made},
        ),"""


def _by_sql(index: Wanted) -> str:
    made, dropped = index.made(index.concurrently), index.dropped(index.concurrently)
    return f"""        migrations.RunSQL(
            sql={quoted(made, '"')},
            reverse_sql={quoted(dropped, '"')},
        ),"""


def _field(model: Model, column: str) -> str:
    found = model.column(column)
    if found is None:
        raise Unwritable(f"{model.name} has no field for the column `{column}` in its source")
    return found.attribute


def _models_name(text: Source) -> str:
    """The name by which the file knows Django's models."""
    for node in ast.walk(text.tree):
        if isinstance(node, ast.ClassDef):
            for base in node.bases:
                if dotted(base).endswith(".Model"):
                    return dotted(base).removesuffix(".Model")
    return "models"


def _model_text(model: Model, said: django_index.Said, name: str) -> str:
    edits = Edits(model.text)
    for module, member in said.imports:
        imports.bring(edits, module, member)
    made = said.code(name, _models_name(model.text))
    meta = next((s for s in model.node.body if isinstance(s, ast.ClassDef) and s.name == "Meta"), None)
    if meta is None:
        last = [s for s in model.node.body if declared.assigned(s) or _is_docstring(s)]
        if not last:
            raise Unwritable(f"{model.name} has no fields of its own")
        edits.after(last[-1], f"\nclass Meta:\n    indexes = [{made}]")
        return edits.result()
    given = next((s for s in meta.body if declared.assigned(s) == "indexes"), None)
    if given is None:
        edits.after(meta.body[-1], f"indexes = [{made}]")
        return edits.result()
    value = getattr(given, "value", None)
    if not isinstance(value, (ast.List, ast.Tuple)):
        raise Unwritable(f"`indexes` on line {given.lineno} isn't written out")
    _append(edits, value, made)
    return edits.result()


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _append(edits: Edits, value: ast.List | ast.Tuple, made: str) -> None:
    if not value.elts:
        edits.swap(value, f"[{made}]")
        return
    last = value.elts[-1]
    apart = ",\n    " if last.lineno != value.lineno else ", "
    close = "]" if isinstance(value, ast.List) else ")"
    body = edits.code(value).rstrip()
    if not body.endswith(close):
        raise Unwritable(f"`indexes` on line {value.lineno} can't be edited by rule")
    inner = body[:-1].rstrip().removesuffix(",")
    end = f",\n{close}" if apart.startswith(",\n") else close
    put(edits, value, f"{inner}{apart}{made}{end}")


def _migration(
    root: Path, model: Model, operation: str, name: str, needed: Iterable[tuple[str, str]], concurrently: bool
) -> tuple[str, str]:
    base = model.text.path.parent.parent if model.text.path.parent.name == "models" else model.text.path.parent
    folder = base / "migrations"
    found = {p.stem: p for p in folder.glob("*.py") if re.match(r"\d{4}_", p.name)}
    if not found:
        raise Unwritable(f"{base.relative_to(root)} has no migrations: run `makemigrations` first")
    label = app_label(model.text.path, model.node)
    leaf = _leaf(found, label)
    number = max(int(stem[:4]) for stem in found) + 1
    path = (folder / f"{number:04d}_{name}.py").relative_to(root).as_posix()
    lines = [f"from {module} import {member}" for module, member in sorted(needed)]
    if "AddIndexConcurrently" in operation:
        lines.insert(0, "from django.contrib.postgres.operations import AddIndexConcurrently")
    lines = sorted([*lines, f"from django.db import migrations{', models' if 'models.' in operation else ''}"])
    apart = "    atomic = False\n" if concurrently else ""
    text = (
        "\n".join(lines)
        + f'''


class Migration(migrations.Migration):
{apart}    dependencies = [("{label}", "{leaf}")]

    operations = [
{operation}
    ]
'''
    )
    return path, text


def _leaf(found: dict[str, Path], label: str) -> str:
    """The one migration that no other of the application depends on."""
    before: set[str] = set()
    for path in found.values():
        text = source.read(path)
        if text is None:
            raise Unwritable(f"{path.name} can't be read as Python")
        for node in ast.walk(text.tree):
            if isinstance(node, ast.Assign) and dotted(node.targets[0]) in ("dependencies", "replaces"):
                before |= {name for owner, name in _pairs(node.value) if owner == label}
    leaves = sorted(set(found) - before)
    if len(leaves) != 1:
        raise Unwritable(
            f"the migrations of {label} have not one end but: {', '.join(leaves) or 'none'}. Merge them first"
        )
    return leaves[0]


def _pairs(node: ast.expr) -> list[tuple[str, str]]:
    pairs = [e for e in getattr(node, "elts", []) if isinstance(e, ast.Tuple) and len(e.elts) == 2]
    return [
        (str(a.value), str(b.value))
        for a, b in (p.elts for p in pairs)
        if isinstance(a, ast.Constant) and isinstance(b, ast.Constant)
    ]
