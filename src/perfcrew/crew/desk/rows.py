"""The ledger by SQL: a copy of this run's rows in a process of its own, which nothing but a SELECT may touch."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Iterable
from typing import Any

from perfcrew.core.errors import UsageError
from perfcrew.core.evidence import Evidence
from perfcrew.crew.desk import apart
from perfcrew.crew.desk.apart import MOST_ROWS, TABLE
from perfcrew.crew.shown import is_shown, plain

__all__ = ["MOST_ROWS", "TABLE", "query"]
_PATIENCE_S = 20.0
"""Until the process is ended: far beyond its own limit, for it starts and is given its rows on a busy machine."""


async def query(items: Iterable[Evidence], sql: str) -> str:
    """The rows that a SELECT gives, as text; `body` is JSON. UsageError says what is refused or wrong."""
    rows = [(e.id, e.slot, e.kind, e.subject, json.dumps(plain(e))) for e in items if is_shown(e)]
    answer = await _answered({"rows": rows, "sql": sql})
    if "refused" in answer:
        raise _refused(answer["refused"])
    return answer["said"]


async def _answered(asked: dict[str, Any]) -> dict[str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", apart.__file__), stdin=PIPE, stdout=PIPE, stderr=DEVNULL
    )
    try:
        async with asyncio.timeout(_PATIENCE_S):
            said, _ = await process.communicate(json.dumps(asked).encode("utf-8", "replace"))
    except TimeoutError:
        raise _refused("interrupted: it takes too long") from None
    finally:
        await _ended(process)
    if not said:
        raise _refused("interrupted: it takes too long, or too much memory")
    answer: dict[str, str] = json.loads(said)
    return answer


async def _ended(process: Process) -> None:
    """No process outlives its question, whoever gave it up."""
    if process.returncode is None:
        process.kill()
        await process.wait()


def _refused(why: str) -> UsageError:
    return UsageError(f"refused: {why}", do=f"one SELECT on {TABLE}; body is JSON")
