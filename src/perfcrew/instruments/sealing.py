"""Keys of a cache as they may be kept: what the ledger holds of them is their pattern and a digest, never the key."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from perfcrew.core.cache import operations, sealed, words_of
from perfcrew.core.trace import Span, Trace

MOST_FILES = 5000
_ASIDE = frozenset(["node_modules", "__pycache__", "site-packages", "tests", "test", "venv", "env", "fixtures"])
_TEXT = re.compile(r"\"([^\"\n]{1,200})\"|'([^'\n]{1,200})'")
_OPERATIONS, _KEY = "perfcrew.cache.operations", "perfcrew.cache.key"


@lru_cache(maxsize=8)
def words(root: Path) -> frozenset[str]:
    """What stands in the texts of the Python files below a root that look like keys; its tests' are left out."""
    found: set[str] = set()
    for number, path in enumerate(_python(root)):
        if number >= MOST_FILES:
            break
        texts = _TEXT.findall(path.read_text(encoding="utf-8", errors="replace"))
        found |= words_of(double or single for double, single in texts)
    return frozenset(found)


def _python(root: Path) -> Iterator[Path]:
    for folder, names, files in os.walk(root):
        names[:] = sorted(n for n in names if n not in _ASIDE and not n.startswith("."))
        yield from (Path(folder, f) for f in sorted(files) if f.endswith(".py") and not f.startswith("test_"))


def without_keys(traces: Sequence[Trace], root: Path | None) -> tuple[Trace, ...]:
    """The traces with each key of a cache sealed; equal keys of one project stay equal."""
    spans = [span for trace in traces for span in trace.of("cache")]
    keys = [one.key for span in spans for one in operations(span)]
    alone = [str(span.attributes[_KEY]) for span in spans if span.attributes.get(_KEY)]
    if not keys and not alone:
        return tuple(traces)
    known = sealed([*keys, *alone], words(root) if root else (), str(root or ""))
    return tuple(
        trace.model_copy(update={"spans": tuple(_sealed(span, known) for span in trace.spans)}) for trace in traces
    )


def _sealed(span: Span, known: dict[str, str]) -> Span:
    if span.kind != "cache":
        return span
    told = [[c, known[k], hit, size, ttl] for c, k, hit, size, ttl in operations(span)]
    given = dict(span.attributes)
    if told:
        given[_OPERATIONS] = json.dumps(told, separators=(",", ":"))
    if given.get(_KEY):
        given[_KEY] = known[str(given[_KEY])]
    return span.model_copy(update={"attributes": given})
