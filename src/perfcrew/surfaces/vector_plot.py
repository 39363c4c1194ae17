"""A frontier as one self-contained SVG: the report's own drawing, with the style that it needs beside it."""

from __future__ import annotations

from perfcrew.core.charts import Frontier
from perfcrew.report.html_charts import frontier

_STYLE = """<style>
svg { color-scheme: light dark; font: 10px system-ui, sans-serif; background: var(--ground);
  --ground: #fff; --ink: #1b1f24; --soft: #59636e; --mark: #0a5cc2; --db: #b35900; }
@media (prefers-color-scheme: dark) {
  svg { --ground: #15191e; --ink: #e6eaee; --soft: #9aa5b1; --mark: #6cb2ff; --db: #e3924a; } }
text { fill: var(--soft); } .axis { fill: none; stroke: var(--soft); }
.asked { stroke: var(--soft); stroke-dasharray: 4 3; } polyline { fill: none; stroke: var(--mark); stroke-width: 2; }
.hnsw { fill: var(--mark); } .ivfflat { fill: var(--db); }
.behind { fill-opacity: .3; } .ring { fill: none; stroke: var(--ink); stroke-width: 1.5; }
</style>"""


def plot(drawn: Frontier) -> str:
    """The drawing as SVG text, which needs nothing beside it; empty where nothing was tried."""
    svg = str(frontier(drawn))
    head, end, rest = svg.partition(">")
    wide = head.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" width="900" ', 1)
    return f"{wide}{end}{_STYLE}{rest}\n" if svg else ""
