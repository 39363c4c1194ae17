"""A comparison in the terminal: the verdict first, then a line a metric with its interval drawn."""

from __future__ import annotations

from perfcrew.core.comparison import Comparison, Effect

_WIDTH = 25


def lines(comparison: Comparison) -> list[str]:
    """The verdict, what it rests on, a table of the metrics, and how it was measured."""
    head = f"{comparison.subject}: " + (comparison.verdict or "no verdict").upper()
    said = [head, f"  {comparison.refused or comparison.why}"]
    said += [f"  note: {note}" for note in comparison.notes]
    said += ["", f"  A  {comparison.a.what}", f"  B  {comparison.b.what}", ""]
    scale = _scale(comparison)
    said.append(f"  {'metric':<32}{'A':>12}{'B':>12}  {'B against A':<28}{_axis(scale)}  verdict")
    said += [_line(effect, scale) for effect in comparison.effects]
    said += [_line(effect, scale) for effect in comparison.cold]
    return [*said, "", *_how(comparison)]


def _how(comparison: Comparison) -> list[str]:
    noises = [f"{e.metric} {e.noise_share:.1%}" for e in comparison.effects if e.noise_share is not None]
    said = [
        f"  {comparison.pairs_count} pairs ({comparison.unit}) in {comparison.spent_s:.1f} s of {comparison.budget_s:g}"
        f" s; margin {comparison.margin_share:.1%}; wrong alarms in {comparison.error_share:.1%} at most; "
        f"seed {comparison.seed}"
    ]
    if noises:
        said.append(f"  noise of this machine (A against A): {', '.join(noises)}")
    if comparison.verdict == "inconclusive":
        seen = [
            f"{e.metric} {e.visible_share:.1%}" for e in comparison.effects if e.role == "deciding" and e.visible_share
        ]
        more = f"; certainty would take about {comparison.more_s:.0f} s more" if comparison.more_s else ""
        said.append(f"  smallest change that could have been seen: {', '.join(seen)}{more}" if seen else "")
    return said


def _line(effect: Effect, scale: float) -> str:
    a, b = _value(effect, effect.a), _value(effect, effect.b)
    ratio = effect.ratio
    change = "" if ratio is None else f"{_share(ratio.value)} ({_share(ratio.low)} to {_share(ratio.high)})"
    verdict = effect.verdict or effect.refused or "-"
    role = "" if effect.role == "deciding" else f" ({effect.role})"
    return f"  {effect.metric + role:<32}{a:>12}{b:>12}  {change:<28}{_drawn(effect, scale)}  {verdict}"


def _value(effect: Effect, value: float | None) -> str:
    if value is None:
        return "-"
    if effect.unit == "bytes":
        return f"{value / 1e6:.1f} MB"
    unit = "" if effect.unit in ("count", "count/request") else f" {effect.unit}"
    return f"{value:.4g}{unit}"


def _share(ratio: float) -> str:
    return f"{(ratio - 1) * 100:+.1f}%" if 1e-4 < ratio < 100 else ("-∞" if ratio < 1 else "+∞")


def _scale(comparison: Comparison) -> float:
    """The ratio distance at the edges of the drawing: the widest interval, three margins at least."""
    seen = [abs(x - 1) for e in comparison.effects if e.ratio for x in (e.ratio.low, e.ratio.high)]
    return max([comparison.margin_share * 3, *(s for s in seen if s < 1)])


def _axis(scale: float) -> str:
    left, right = f"-{scale:.0%}", f"+{scale:.0%}"
    return left + "0".center(_WIDTH - len(left) - len(right)) + right


def _drawn(effect: Effect, scale: float) -> str:
    """`────●──` over the axis, with the middle at no change."""
    if effect.ratio is None:
        return " " * _WIDTH
    low, value, high = (_column(x, scale) for x in (effect.ratio.low, effect.ratio.value, effect.ratio.high))
    cells = [" "] * _WIDTH
    cells[_WIDTH // 2] = "│"
    for column in range(low, high + 1):
        cells[column] = "┼" if column == _WIDTH // 2 else "─"
    cells[value] = "●"
    return "".join(cells)


def _column(ratio: float, scale: float) -> int:
    at = round((ratio - 1) / scale * (_WIDTH // 2)) + _WIDTH // 2
    return max(0, min(_WIDTH - 1, at))
