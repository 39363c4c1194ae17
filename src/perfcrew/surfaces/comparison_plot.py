"""Comparisons as a forest plot: one self-contained SVG with a line a metric, the margin as a band, and words beside it.

Ratios are drawn on a logarithmic axis, so that half and double lie equally far from no change.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from perfcrew.core.comparison import Comparison, Effect, Ratio
from perfcrew.core.units import show

WIDTH, LEFT, RIGHT, ROW, HEAD = 880.0, 250.0, 560.0, 26.0, 58.0
"""The axis goes from LEFT to RIGHT; names stand before it, figures after it."""
_TICKS = (0.1, 0.25, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 1.0, 1.01, 1.02, 1.05, 1.1, 1.25, 2.0, 4.0, 10.0)
_MOST = math.log(12)
_APART = 44.0
"""Labels of the axis that are nearer than this would run into each other."""
_STYLE = """
svg { color-scheme: light dark; font: 13px system-ui, sans-serif;
  --ground: #fff; --ink: #1b1f24; --soft: #59636e; --line: #d1d9e0; --band: #e7ecf0;
  --better: #1a7f37; --worse: #c3272b; --even: #0a5cc2; }
@media (prefers-color-scheme: dark) {
  svg { --ground: #15191e; --ink: #e6eaee; --soft: #9aa5b1; --line: #3a434d; --band: #262d35;
    --better: #4ac26b; --worse: #ff7b72; --even: #6cb2ff; } }
.ground { fill: var(--ground); } text { fill: var(--ink); } .soft { fill: var(--soft); font-size: 11px; }
.head { font-weight: 600; font-size: 14px; } .band { fill: var(--band); } .tick { stroke: var(--line); }
.one { stroke: var(--soft); stroke-dasharray: 4 3; } .whisker { stroke-width: 2; }
.improved { fill: var(--better); stroke: var(--better); } .regressed { fill: var(--worse); stroke: var(--worse); }
.equivalent { fill: var(--even); stroke: var(--even); } .open { fill: var(--soft); stroke: var(--soft); }
"""


def plot(comparisons: Sequence[Comparison]) -> str:
    """The drawing as SVG text, which needs nothing beside it; figures stand in words too, for who does not see it."""
    reach = _reach(comparisons)
    parts, top = [], 8.0
    for comparison in comparisons:
        parts.append(_forest(comparison, reach, top))
        top += _height(comparison)
    names = ", ".join(c.subject for c in comparisons) or "nothing"
    return str(
        Markup(
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img" '
            'aria-labelledby="title desc"><title id="title">B against A: {names}</title><desc id="desc">{words}</desc>'
            '<style>{style}</style><rect class="ground" width="{w}" height="{h}"/>{parts}</svg>\n'
        ).format(
            w=_n(WIDTH),
            h=_n(top + 8),
            names=_clean(names),
            style=Markup(_STYLE),
            parts=Markup().join(parts),
            words=" ".join(_in_words(c) for c in comparisons),
        )
    )


def _drawn(comparison: Comparison) -> list[Effect]:
    return [e for e in comparison.effects if e.ratio or e.exact]


def _height(comparison: Comparison) -> float:
    return HEAD + ROW * max(len(_drawn(comparison)), 1) + 34


def _reach(comparisons: Sequence[Comparison]) -> float:
    """The logarithm at the ends of the axis: the widest interval, three margins at least, a factor of 12 at most."""
    edges = [x for c in comparisons for e in c.effects if e.ratio for x in (e.ratio.low, e.ratio.high)]
    far = [abs(math.log(x)) for x in edges if x > 0]
    margins = [3 * math.log1p(c.margin_share) for c in comparisons]
    return min(_MOST, 1.05 * max([0.01, *margins, *(x for x in far if x <= _MOST)]))


def _x(ratio: float, reach: float) -> float:
    at = math.log(ratio) / reach if ratio > 0 else -1.0
    return (LEFT + RIGHT) / 2 + max(-1.0, min(1.0, at)) * (RIGHT - LEFT) / 2


def _forest(comparison: Comparison, reach: float, top: float) -> Markup:
    rows = _drawn(comparison)
    first, bottom = top + HEAD, top + HEAD + ROW * max(len(rows), 1)
    said = comparison.refused or comparison.why
    head = Markup('<text class="head" x="12" y="{}">{}: {}</text><text class="soft" x="12" y="{}">{}</text>').format(
        _n(top + 20), _clean(_short(comparison.subject, 80)), comparison.verdict or "no verdict", _n(top + 38),
        _clean(_short(said.splitlines()[0] if said else "", 130)),
    )  # fmt: skip
    low, high = (_x(r, reach) for r in (1 / (1 + comparison.margin_share), 1 + comparison.margin_share))
    band = Markup('<rect class="band" x="{}" y="{}" width="{}" height="{}"/>').format(
        _n(low), _n(first - 8), _n(high - low), _n(bottom - first + 8)
    )
    lines = Markup().join(_row(effect, reach, first + ROW * n + ROW / 2) for n, effect in enumerate(rows))
    return head + band + _axis(reach, first - 8, bottom) + lines


def _axis(reach: float, top: float, bottom: float) -> Markup:
    """The line of no change, ticks with shares, and which way is more."""
    ticks: list[float] = []
    for ratio in sorted((t for t in _TICKS if abs(math.log(t)) <= reach), key=lambda t: abs(math.log(t)), reverse=True):
        if ratio != 1.0 and all(abs(_x(ratio, reach) - _x(t, reach)) >= _APART for t in (*ticks, 1.0)):
            ticks.append(ratio)
    drawn = Markup().join(
        Markup(
            '<line class="{c}" x1="{x}" x2="{x}" y1="{t}" y2="{b}"/><text class="soft" x="{x}" y="{y}" '
            'text-anchor="middle">{s}</text>'
        ).format(c="one" if r == 1 else "tick", x=_n(_x(r, reach)), t=_n(top), b=_n(bottom), y=_n(bottom + 16), s=s)
        for r, s in [(1.0, "same"), *((r, _share(r)) for r in ticks)]
    )
    return drawn


def _row(effect: Effect, reach: float, y: float) -> Markup:
    role = "" if effect.role == "deciding" else f" ({effect.role})"
    name = Markup('<text x="{}" y="{}" text-anchor="end">{}</text>').format(
        _n(LEFT - 12), _n(y + 4), _clean(_short(effect.metric + role, 36))
    )
    words = Markup('<text class="soft" x="{}" y="{}">{}</text>').format(_n(RIGHT + 14), _n(y + 4), _figures(effect))
    return name + (_interval(effect, effect.ratio, reach, y) if effect.ratio else Markup()) + words


def _interval(effect: Effect, ratio: Ratio, reach: float, y: float) -> Markup:
    """From low to high with the estimate on it; an arrow where it goes beyond the axis."""
    kind = effect.verdict if effect.verdict in ("improved", "regressed", "equivalent") else "open"
    left, at, right = (_x(r, reach) for r in (ratio.low, ratio.value, ratio.high))
    ends = Markup().join(_end(edge, reach, y) for edge in (ratio.low, ratio.high))
    return Markup(
        '<g class="{kind}"><line class="whisker" x1="{l}" x2="{r}" y1="{y}" y2="{y}"/>{ends}'
        '<rect x="{x}" y="{t}" width="9" height="9" transform="rotate(45 {at} {y})"/></g>'
    ).format(kind=kind, l=_n(left), r=_n(right), y=_n(y), ends=ends, x=_n(at - 4.5), t=_n(y - 4.5), at=_n(at))


def _end(edge: float, reach: float, y: float) -> Markup:
    x = _x(edge, reach)
    if edge > 0 and abs(math.log(edge)) <= reach:
        return Markup('<line class="whisker" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>').format(_n(x), _n(y - 5), _n(y + 5))
    back = 7 if edge > 1 else -7
    return Markup('<path d="M{},{} L{},{} V{} Z"/>').format(_n(x), _n(y), _n(x - back), _n(y - 5), _n(y + 5))


def _figures(effect: Effect) -> str:
    if effect.ratio is None:
        a, b = (_amount(effect, value) for value in (effect.a, effect.b))
        return f"{a} → {b}, {effect.verdict or 'no verdict'}"
    low, value, high = (_share(r) for r in (effect.ratio.low, effect.ratio.value, effect.ratio.high))
    return f"{value} ({low} to {high}), {effect.verdict or 'no verdict'}"


def _amount(effect: Effect, value: float | None) -> str:
    return "unknown" if value is None else show(value, effect.unit)


def _share(ratio: float) -> str:
    """`+5.0 %`, or a factor where a share would be hard to read."""
    if ratio <= 1e-4 or ratio >= 1e4:
        return "−∞" if ratio < 1 else "+∞"
    if ratio >= 3:
        return f"× {ratio:.3g}"
    share = (ratio - 1) * 100
    digits = 0 if abs(share) >= 9.95 else 1
    return f"{share:+.{digits}f} %".replace("-", "−")


def _in_words(comparison: Comparison) -> str:
    metrics = "; ".join(f"{e.metric} {_figures(e)}" for e in _drawn(comparison)) or "no figures"
    said = (comparison.refused or comparison.why).split("\n")[0]
    return _clean(f"{comparison.subject}: {comparison.verdict or 'no verdict'} ({said}). {metrics}.")


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _clean(text: str) -> str:
    """Without what no XML may hold: control characters and halves of surrogates."""
    return "".join(c if c >= " " and not 0xD800 <= ord(c) < 0xE000 and ord(c) < 0xFFFE else "�" for c in text)


def _n(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
