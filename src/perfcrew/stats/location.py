"""Where paired differences lie, estimated so that a few wild ones move it little."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


def hodges_lehmann(differences: Sequence[float]) -> float:
    """The median of all pairwise means (Hodges & Lehmann 1963), in the differences' unit. ValueError for none."""
    if not differences:
        raise ValueError("no differences")
    import numpy as np

    values = np.asarray(differences, dtype=float)
    one, other = np.triu_indices(len(values))
    return float(np.median((values[one] + values[other]) / 2))


def spread(differences: Sequence[float]) -> float:
    """The median distance from the median times 1.4826, which is the standard deviation of normal differences."""
    middle = statistics.median(differences)
    return 1.4826 * statistics.median(abs(x - middle) for x in differences)
