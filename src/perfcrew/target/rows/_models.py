"""Runs in the target's interpreter: which values the models allow in which columns, and which columns must name a file.

The answer is JSON in a file: `{"choices": {table: {column: values}}, "files": {table: columns}}`.

Arguments: the file, and the application's module (empty for Django). Standard library and the target's packages only.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
from collections.abc import Iterator


def django_choices() -> Iterator[tuple[str, str, list[object]]]:
    import django  # type: ignore[import-untyped, unused-ignore]
    from django.apps import apps  # type: ignore[import-untyped, unused-ignore]
    from django.db.models import FileField, JSONField  # type: ignore[import-untyped, unused-ignore]

    django.setup()
    for model in apps.get_models(include_auto_created=True):
        for field in model._meta.local_concrete_fields:
            values: list[object] = [
                value for value, _ in field.flatchoices if isinstance(value, (str, int)) and value != ""
            ]
            if isinstance(field, FileField) and field.blank:
                values = [""]
            if isinstance(field, JSONField) and field.has_default():
                values = [json.dumps(field.get_default())]  # a list where the code expects a dict makes it fail
            if values:
                yield str(model._meta.db_table), str(field.column), values


def django_files() -> Iterator[tuple[str, str]]:
    from django.apps import apps
    from django.db.models import FileField

    for model in apps.get_models(include_auto_created=True):
        for field in model._meta.local_concrete_fields:
            if isinstance(field, FileField) and not field.blank:
                yield str(model._meta.db_table), str(field.column)


def sqlalchemy_choices() -> Iterator[tuple[str, str, list[object]]]:
    from sqlalchemy import Enum, MetaData

    for metadata in [thing for thing in gc.get_objects() if isinstance(thing, MetaData)]:
        for table in metadata.tables.values():
            for column in table.columns:
                kind = getattr(column.type, "impl", column.type)
                if isinstance(kind, Enum) and kind.enums:
                    name = table.name if table.schema in (None, "public") else f"{table.schema}.{table.name}"
                    yield name, column.name, [*kind.enums]


def main() -> None:
    answer, module = sys.argv[1:3]
    sys.path.insert(0, os.getcwd())
    if module:
        importlib.import_module(module)
    found: dict[str, dict[str, list[object]]] = {}
    files: dict[str, list[str]] = {}
    known: Iterator[tuple[str, str, list[object]]] = iter(())
    if os.environ.get("DJANGO_SETTINGS_MODULE"):
        known = django_choices()
    elif "sqlalchemy" in sys.modules:
        known = sqlalchemy_choices()
    for table, column, values in known:
        found.setdefault(table, {})[column] = values
    if os.environ.get("DJANGO_SETTINGS_MODULE"):
        for table, column in django_files():
            files.setdefault(table, []).append(column)
    with open(answer, "w") as out:
        json.dump({"choices": found, "files": files}, out)


main()
