"""Nanoseconds since 1970 that never run backwards within a process, and random ids that leave `random` alone."""

from __future__ import annotations

import os
import random
import time

_base_ns = time.time_ns() - time.perf_counter_ns()
# An own generator: drawing from the shared one would change what a target that seeded it gets.
_random = random.Random(os.urandom(16))
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _random.seed(os.urandom(16)))


def now_ns() -> int:
    return _base_ns + time.perf_counter_ns()


def trace_id() -> int:
    return _random.getrandbits(128) or 1


def span_id() -> int:
    return _random.getrandbits(64) or 1
