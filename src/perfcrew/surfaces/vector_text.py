"""A vector search in the terminal: what it asks for, each setting that was measured, and the recommended one."""

from __future__ import annotations

from perfcrew.core.units import show
from perfcrew.core.vectors import VectorGrowth, VectorSearch, VectorSetting


def lines(search: VectorSearch) -> list[str]:
    """The search, a table of the frontier and of what lies behind it, growth, and what was left out."""
    head = (
        f"{search.table}.{search.column} {search.operator}: {search.wanted_count} nearest of {search.table_rows} rows, "
        f"{search.dimensions_count} dimensions; {search.queries_count} query vectors, "
        f"{search.captured_count} of them the application's"
    )
    said = [head, f"  exact search: {show(search.exact_ms, 'ms')}", f"  as it stands: {_in_words(search.current)}"]
    said += [f"  index {i.name}: {i.access} {_options(i.options)}; {i.why_not or 'usable'}" for i in search.indexes]
    said += ["", f"    {'setting':<58}{'recall':>8}{'worst':>8}{'median':>10}{'times':>8}{'build':>9}{'size':>10}"]
    said += [_line(one, one == search.recommended) for one in sorted(search.settings, key=lambda s: -s.exact_ratio)]
    said += ["", "  * the frontier: nothing measured was both quicker and closer to the exact answer"]
    said += [f"  {_growth(one)}" for one in search.growth]
    said += [f"  note: {note}" for note in search.notes]
    return [*said, f"  recommended: {_recommended(search)}"]


def _recommended(search: VectorSearch) -> str:
    if search.recommended is None:
        return f"none: nothing of recall {search.asked_share:.2f} was quicker than the exact search"
    return f"{_in_words(search.recommended)}, with {search.operator_class}"


def _in_words(one: VectorSetting) -> str:
    return f"{one.said}: recall {one.recall_share:.3f} in {show(one.median_ms, 'ms')}"


def _options(options: dict[str, int]) -> str:
    return " ".join(f"{name}={value}" for name, value in options.items())


def _line(one: VectorSetting, chosen: bool) -> str:
    mark = "→" if chosen else " "
    build = "-" if one.build_ms is None else show(one.build_ms, "ms")
    size = "-" if one.size_bytes is None else show(one.size_bytes, "bytes")
    return (
        f"  {mark}{'*' if one.frontier else ' '}{one.said:<58}{one.recall_share:>8.3f}{one.worst_share:>8.2f}"
        f"{show(one.median_ms, 'ms'):>10}{one.exact_ratio:>7.1f}x{build:>9}{size:>10}"
    )


def _growth(growth: VectorGrowth) -> str:
    points = ", ".join(
        f"{show(size, 'count')} rows {show(ms, 'ms')}" for size, ms in zip(growth.sizes, growth.values_ms, strict=True)
    )
    return f"growth of {growth.access}: {growth.by_time} by time, {growth.by_plan} by the plan's pages ({points})"
