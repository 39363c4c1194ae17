"""Which parent each new row belongs to: some parents have many children, as in life; the first and last ones always."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate

from perfcrew.target.rows.schema import Key

_ENDS_SHARE = 0.05
_ENDS_WEIGHT = 8.0
"""Listings show the oldest or the newest rows first: those have many children, so that what costs per child shows."""


class Parents:
    """Draws parents for one foreign key."""

    def __init__(self, keys: Sequence[Key], old: int, taken: Sequence[Key], alone: bool, chance: random.Random) -> None:
        """`keys`: all parents, the first `old` of which were there before; `taken`: the parents of the rows that are
        there; `alone`: each parent at most once."""
        self.random = chance
        self.alone = alone
        used = set(taken)
        self.keys = [k for k in keys if k not in used] if alone else list(keys)
        self._left = self.keys[::-1] if alone else []
        weights = self._patterned(taken, old) if taken else self._skewed()
        self._weights = list(accumulate(weights)) if self.keys else []

    def draw(self) -> Key | None:
        """A parent's key, None where there is none (any more)."""
        if self.alone:
            return self._left.pop() if self._left else None
        return self.random.choices(self.keys, cum_weights=self._weights)[0] if self.keys else None

    def give_back(self, key: Key) -> None:
        """The row that it was drawn for did not come to be."""
        if self.alone:
            self._left.append(key)

    def _skewed(self) -> list[float]:
        ends = max(1, round(len(self.keys) * _ENDS_SHARE))
        return [_ENDS_WEIGHT if i < ends or i >= len(self.keys) - ends else 1.0 for i in range(len(self.keys))]

    def _patterned(self, taken: Sequence[Key], old: int) -> list[float]:
        """New parents are given as many as the old ones have, and as often none; the old ones keep theirs."""
        counts = Counter(taken)
        pattern = [float(counts[k]) for k in self.keys[:old]] or [1.0]
        weights = [0.0] * old + [self.random.choice(pattern) for _ in self.keys[old:]]
        return weights if any(weights) else [counts[k] + 0.01 for k in self.keys]
