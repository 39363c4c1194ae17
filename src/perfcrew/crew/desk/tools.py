"""The tools that a model is given. Each answer is evidence with an id, fenced as data; a refusal is one too."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from opentelemetry import trace

from perfcrew import __version__
from perfcrew.core.errors import PerfcrewError, UsageError
from perfcrew.core.evidence import Evidence
from perfcrew.crew import shown
from perfcrew.crew.desk.place import Desk
from perfcrew.crew.desk.rows import TABLE, query

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

_PAGE = 60


def toolbox(desk: Desk) -> list[BaseTool]:
    """The tools of a desk, as LangChain calls them."""
    from langchain_core.tools import StructuredTool

    return [
        StructuredTool.from_function(
            coroutine=_guarded(desk, name, work), name=name, description=says, infer_schema=True
        )
        for name, work, says in _offered(desk)
    ]


Work = Callable[..., Awaitable[str]]


def _offered(desk: Desk) -> list[tuple[str, Work, str]]:
    offered: list[tuple[str, Work, str]] = [
        ("list_evidence", _lists(desk), "List what was measured: id, kind and subject of each item."),
        ("read_evidence", _reads(desk), "Read one item of evidence whole, by its id."),
        ("query_ledger", _queries(desk), f"One SQLite SELECT on {TABLE}; body is JSON, so json_extract(body, '$.x')."),
        ("show_source", _shows(desk), "Show numbered lines of a file of the project around a line."),
        ("search_project", _searches(desk), "Find lines of the project's source and notes that hold all the words."),
    ]
    if desk.measure and desk.instruments:
        says = f"Measure one endpoint again. Instruments: {', '.join(desk.instruments)}. Takes seconds; use it seldom."
        offered.append(("run_instrument", _measures(desk), says))
    return offered


def _guarded(desk: Desk, name: str, work: Work) -> Work:
    """The tool, whose refusals are evidence as well: a model that asks for what it may not have is on record."""
    import functools

    @functools.wraps(work)
    async def inside(**asked: Any) -> str:
        attributes = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name}
        try:
            with trace.get_tracer("perfcrew", __version__).start_as_current_span(
                f"execute_tool {name}", attributes=attributes
            ):
                async with desk.in_turn():
                    return await work(**asked)
        except PerfcrewError as error:
            return desk.keep(name, asked, str(error), refused=True)

    return inside


def _lists(desk: Desk) -> Work:
    async def list_evidence(kind: str = "", subject: str = "", start: int = 0) -> str:
        found = [e for e in desk.held().values() if shown.is_shown(e)]
        found = [e for e in found if kind in ("", e.kind) and subject in ("", e.subject)]
        page = found[max(0, start) : max(0, start) + _PAGE]
        lines = [f"{e.id}  {e.kind}  {e.subject}  {e.slot}" for e in page]
        left = len(found) - max(0, start) - len(page)
        more = [f"({left} more: start={max(0, start) + _PAGE})"] if left > 0 else []
        asked = {"kind": kind, "subject": subject, "start": start}
        return desk.keep("list_evidence", asked, "\n".join([*lines, *more]) or "nothing of that kind and subject")

    return list_evidence


def _reads(desk: Desk) -> Work:
    async def read_evidence(id: str) -> str:
        item = desk.held().get(id.strip())
        if item is None or not shown.is_shown(item):
            raise UsageError(f"no evidence {id!r} in this run", do="list_evidence says what there is")
        desk.lookups += 1
        return desk.told(item, _bounded(item), item.kind)

    return read_evidence


def _bounded(item: Evidence) -> str:
    whole = shown.text(item, whole=True)
    return whole if len(whole) <= 12_000 else shown.text(item)


def _queries(desk: Desk) -> Work:
    async def query_ledger(sql: str) -> str:
        return desk.keep("query_ledger", {"sql": sql}, await query(desk.held().values(), sql))

    return query_ledger


def _shows(desk: Desk) -> Work:
    async def show_source(file: str, line: int = 1, around: int = 20) -> str:
        asked = {"file": file, "line": line, "around": around}
        return desk.keep("show_source", asked, f"{file}\n{desk.files.lines(file, line, around)}")

    return show_source


def _searches(desk: Desk) -> Work:
    async def search_project(words: str, below: str = "") -> str:
        lines = await asyncio.to_thread(desk.files.search, words, below)
        found = "\n".join(lines) or "nothing holds all these words"
        return desk.keep("search_project", {"words": words, "below": below}, found)

    return search_project


def _measures(desk: Desk) -> Work:
    async def run_instrument(instrument: str, endpoint: str) -> str:
        if desk.measure is None or instrument not in desk.instruments:
            raise UsageError(f"no instrument {instrument!r} here", do=f"one of {', '.join(desk.instruments)}")
        if endpoint not in desk.endpoints:
            raise UsageError(f"no endpoint {endpoint!r}", do=f"one of {', '.join(desk.endpoints)}")
        found = await desk.measure(instrument, endpoint)
        desk.lookups += 1
        return "\n\n".join(desk.told(e, shown.text(e), e.kind) for e in found) or desk.keep(
            "run_instrument", {"instrument": instrument, "endpoint": endpoint}, "it saw nothing"
        )

    return run_instrument
