"""Databases that Django's test runner makes beside a clone: announced before, and gone after, whatever happens."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from perfcrew.target.clone import Clone
from perfcrew.target.clones import postgres, urls
from perfcrew.target.leftovers import Registry

_MOST = 16


@contextmanager
def announced(data: Clone | None, registry: Registry) -> Iterator[None]:
    """For as long as tests run on the clone; nothing is done for other engines than PostgreSQL."""
    names = _names(data) if data is not None and data.engine == "postgresql" else {}
    tokens = [registry.database(name, urls.without_password(url)) for name, url in names.items()]
    try:
        yield
    finally:
        for name, url in names.items():
            postgres.drop(url, name)
        for token in tokens:
            registry.over(token)


def _names(data: Clone) -> dict[str, str]:
    """`test_<database>`, and those of parallel workers: `_1` by Django, `_gw0` by pytest-xdist."""
    workers = range(min(os.cpu_count() or 1, _MOST))
    ends = ["", *(f"_{n + 1}" for n in workers), *(f"_gw{n}" for n in workers)]
    found = [url for url in data.urls.values() if urls.engine_of(url) == "postgresql"]
    return {f"test_{urls.database_name(url)}{end}": url for url in found for end in ends}
