"""The report as one HTML file that asks the network for nothing, for light and dark, phone, keyboard and paper."""

from __future__ import annotations

import shlex
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from perfcrew.core import cache_table
from perfcrew.core.charts import Distribution, ScalingPlot, TtlPlot
from perfcrew.core.columns import COLUMNS, column
from perfcrew.core.report import EndpointState, FindingSection, LoadState, Report
from perfcrew.core.units import read, show
from perfcrew.report import html_charts as drawn
from perfcrew.report import html_text as told
from perfcrew.report.recipes import alert_rule, regression_test
from perfcrew.report.tallies import counted, grouped, machine, outcomes, standing, verdict_words, worst_first

_ASSETS = Path(__file__).parent / "assets"
_GROWN = 18
_ROWS = 40
"""Of a waterfall, after equal spans were folded."""
_STAGES = {
    "sql": "db", "database": "db", "cache": "cache", "redis": "cache", "http": "http", "model": "model",
    "serialization": "out", "rendering": "out", "template": "out", "endpoint": "own", "code": "own", "view": "own",
    "dependencies": "deps", "waiting": "wait",
}  # fmt: skip


def render(report: Report) -> str:
    """The page."""
    template = _environment().get_template("report.html")
    return template.render(**_context(report))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_ASSETS),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        text=told.text,
        cell=told.cell,
        words=told.words,
        recipe=told.recipe,
        shell=shlex.join,
        tone=tone,
        percent=percent,
    )
    return environment


def _context(report: Report) -> dict[str, Any]:
    axis = drawn.latency_axis(report.charts.distributions)
    return {
        "report": report,
        "style": (_ASSETS / "style.css").read_text(encoding="utf-8"),
        "script": (_ASSETS / "script.js").read_text(encoding="utf-8"),
        "verdict": verdict_words(report),
        "counted": counted(report),
        "columns": [c for c in COLUMNS if c.key not in ("database", "errors")],
        "column": column,
        "axis": axis,
        "loads": list(dict.fromkeys(s.load for s in report.load)),
        "loaded": _loaded(report),
        "multiples": [_multiple(d, axis, report) for d in report.charts.distributions] if axis else [],
        "grown": _grown(report),
        "grown_most": _GROWN,
        "frontiers": [(plot, drawn.frontier(plot)) for plot in report.charts.frontiers if plot.settings],
        "show": show,
        "lives": _lives(report),
        "cache": cache_table,
        "grouped": grouped(report.targets),
        "outcomes": outcomes,
        "worst_first": worst_first,
        "machine": machine,
        "sections": [_section(report, s) for s in report.findings],
        "stage_names": _stage_names(report),
        "forest": drawn.forest,
    }


def _grown(report: Report) -> list[tuple[ScalingPlot, Markup]]:
    """What grows with the data, at endpoints with findings first."""
    found = {s.endpoint for s in report.findings}
    grown = [p for p in report.charts.scaling if p.growth not in ("constant", "unclear")]
    return [(p, drawn.scaling(p)) for p in sorted(grown, key=lambda p: p.endpoint not in found)]


def _lives(report: Report) -> list[tuple[TtlPlot, Markup]]:
    """Times to live of what findings of caching are about, at endpoints with findings first."""
    found = {s.finding.endpoint for s in report.findings if s.finding.rule.startswith("CA")}
    return [(p, drawn.ttl(p)) for p in report.charts.ttl if p.endpoint in found][:_GROWN]


def _loaded(report: Report) -> dict[str, dict[str, LoadState]]:
    """The steps of the load by endpoint, the slowest endpoint first as in the table above it."""
    order = {row.endpoint: n for n, row in enumerate(report.state)}
    endpoints = sorted(dict.fromkeys(s.endpoint for s in report.load), key=lambda e: order.get(e, -1))
    return {key: {s.load: s for s in report.load if s.endpoint == key} for key in endpoints}


def _multiple(distribution: Distribution, axis: drawn.Axis, report: Report) -> dict[str, Any]:
    row = next(r for r in report.state if r.endpoint == distribution.endpoint)
    marks = [(key, value) for key in ("p50", "p95") if (value := _milliseconds(row, key)) is not None]
    return {"row": row, "svg": drawn.histogram(distribution, axis, marks), "count": sum(distribution.counts)}


def _milliseconds(row: EndpointState, key: str) -> float | None:
    shown = read(row.reading(key).value.text, "ms")
    return shown.value if shown else None


def _section(report: Report, section: FindingSection) -> dict[str, Any]:
    """A finding with its drawings; those of an endpoint stand with its first finding alone."""
    first = next(s for s in report.findings if s.endpoint == section.endpoint) is section
    waterfall = next((w for w in report.charts.waterfalls if w.endpoint == section.endpoint), None) if first else None
    flame = next((f for f in report.charts.flames if f.endpoint == section.endpoint), None) if first else None
    own = [s.finding.place.file for s in report.findings]
    rows = drawn.waterfall_rows(waterfall) if waterfall else []
    return {
        "told": section,
        "standing": standing(report, section.finding),
        "test": regression_test(section),
        "alert": alert_rule(section),
        "waterfall": waterfall,
        "rows": rows[:_ROWS],
        "cut": len(rows) > _ROWS,
        "flame": flame,
        "boxes": drawn.flame_boxes(flame.root, own) if flame else [],
    }


def tone(name: str) -> str:
    """The colour class of a stage or a span, the same all over the page."""
    return next((tone for word, tone in _STAGES.items() if word in name.lower()), "rest")


def percent(text: str) -> float:
    """`55 %` → 55.0, for a bar's length."""
    shown = read(text, "fraction")
    return round(shown.value * 100, 3) if shown else 0.0


def _stage_names(report: Report) -> list[str]:
    names = [s.name for one in report.life for s in one.stages]
    return list(dict.fromkeys(names))
