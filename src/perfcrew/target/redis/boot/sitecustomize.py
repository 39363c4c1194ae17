"""Found by Python at start-up because this folder stands on PYTHONPATH: guards the user's Redis, then goes on.

Whatever `sitecustomize` this one hid is run next: the probe's, Debian's, or the target's own.
"""

from __future__ import annotations

import _perfcrew_redis_guard

_perfcrew_redis_guard.boot()
_perfcrew_redis_guard.go_on()
