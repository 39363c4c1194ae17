"""Requests of an access log: common and combined format, and any other that has the quoted request line and status."""

from __future__ import annotations

import gzip
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from perfcrew.core.errors import UsageError
from perfcrew.target.requests.recorded import Recorded, carries_secret, target_of

_LINE = re.compile(r'"(?P<method>[A-Z]{3,7}) (?P<target>[^\s"]+)(?: HTTP/[\d.]+)?" (?P<status>\d{3})\b')
_LINE_LIMIT = 16_384
_DISTINCT_LIMIT = 50_000


def read(path: Path) -> list[Recorded]:
    """The requests that were answered without an error, the most frequent first; `.gz` is unpacked on the way."""
    try:
        with _opened(path) as lines:
            return parsed(lines)
    except (OSError, EOFError) as error:
        raise UsageError(f"the access log can't be read: {error}", where=str(path)) from None


def _opened(path: Path) -> gzip.GzipFile:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def parsed(lines: Iterable[bytes]) -> list[Recorded]:
    """The distinct requests of these lines with how often each occurred; bodies are in no log, so only reads are."""
    counts: Counter[tuple[str, str]] = Counter()
    for request in _requests(lines):
        if request in counts or len(counts) < _DISTINCT_LIMIT:
            counts[request] += 1
    return [Recorded(method=m, target=t, origin="access-log", times=n) for (m, t), n in counts.most_common()]


def _requests(lines: Iterable[bytes]) -> Iterator[tuple[str, str]]:
    for line in lines:
        found = _LINE.search(line[:_LINE_LIMIT].decode("utf-8", "replace"))
        if found is None or found["method"] not in ("GET", "HEAD") or found["status"][0] not in "23":
            continue
        target = target_of(found["target"])
        if target and not carries_secret(target):
            yield found["method"], target
