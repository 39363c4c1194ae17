"""Where warm-up ends: found in the samples, since applications warm up after one request or after a thousand.

The running median is cut where two levels explain it best, as change-point methods for warm-up do (Barrett et al.,
OOPSLA 2017). Only a fall counts: samples that grow slower are a finding, not warm-up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

WINDOW = 5
SHORTEST = 5
"""Samples on either side of a cut; fewer at the start are looked at one by one."""
FALL = 1.10
"""So many times slower than after it must the part before the cut be."""
NOISE = 3.0
"""And by so many deviations of the part behind the cut."""


def warmup_end(samples: Sequence[float]) -> int:
    """Index of the first warm sample: 0 where the samples show no warm-up, never beyond the middle.

    Samples are positive times in the order they were taken.
    """
    start = 0
    for _ in range(3):  # a compiled template, then a filled pool, then a cache: falls come one after the other
        step = _cut(samples[start:])
        if step == 0 or start + step > len(samples) // 2:
            break
        start += step
    return start


def _cut(samples: Sequence[float]) -> int:
    import numpy as np

    if len(samples) < 2 * SHORTEST:
        return 0
    logs = np.log(np.maximum(np.asarray(samples, dtype=float), 1e-9))
    smooth = _running_median(logs)
    costs = [_spread(smooth[:k]) + _spread(smooth[k:]) for k in range(SHORTEST, len(logs) - SHORTEST + 1)]
    cut = SHORTEST + int(np.argmin(costs))
    return cut if _stands_out(logs[:cut], logs[cut:]) else _strays_at_the_start(logs)


def _strays_at_the_start(logs: object) -> int:
    """The samples at the very start that stand out one by one, fewer than a level has."""
    import numpy as np

    values = np.asarray(logs)
    end = 0
    while end < SHORTEST - 1 and _stands_out(values[end : end + 1], values[end + 1 :]):
        end += 1
    return end


def _running_median(values: object) -> list[float]:
    import numpy as np

    array = np.asarray(values)
    half = WINDOW // 2
    return [float(np.median(array[max(0, i - half) : i + half + 1])) for i in range(len(array))]


def _spread(values: Sequence[float]) -> float:
    import numpy as np

    return float(np.abs(np.asarray(values) - np.median(values)).sum())


def _stands_out(before: object, after: object) -> bool:
    """Whether the level before is slower than after, in effect and in deviations (MAD, scaled to a normal's sigma)."""
    import numpy as np

    first, rest = np.asarray(before), np.asarray(after)
    level = float(np.median(rest))
    sigma = 1.4826 * float(np.median(np.abs(rest - level))) / math.sqrt(len(first))
    fall = float(np.median(first)) - level
    return fall > math.log(FALL) and fall > NOISE * sigma
